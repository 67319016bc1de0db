// A burst of vibration: its spectrum, and the spectrum of its envelope with the lines of a bearing's faults.

import { useMemo, useState } from 'preact/hooks'
import type { Waveform, Window } from '../api'
import { type Line, SpectrumChart } from '../charts/spectrum'
import { number, unitName } from '../format'
import { faultLines, feature, impulsiveBand, type Part } from '../signal/bearing'
import { envelopeSpectrum, spectrum } from '../signal/spectrum'

/** Harmonics that are marked of what is named, and of the shaft. */
const ORDERS = 4

/** How far the envelope's spectrum is shown: so that the lines' harmonics are seen and the rest does not press them together. */
export function envelopeReach(lines: readonly { frequency: number }[], rate: number): number {
  const highest = Math.max(0, ...lines.map(line => line.frequency))
  return Math.min(rate / 2, highest > 0 ? 4.5 * highest : 1000)
}

/** Both spectra. `named` is the part of the bearing that an anomaly names. */
export function BurstView({
  burst,
  window,
  named,
  unit,
}: {
  burst: Waveform
  window: Window | undefined
  named: Part | undefined
  unit: string
}) {
  const [all, setAll] = useState(false)
  const features = window?.features
  const shaft = feature(features, 'shaft_hz')
  const band = useMemo(() => impulsiveBand(features, burst.rate), [features, burst.rate])
  const plain = useMemo(() => spectrum(burst.samples, burst.rate), [burst])
  const enveloped = useMemo(() => envelopeSpectrum(burst.samples, burst.rate, band), [burst, band])
  const known = faultLines(features)
  const shown = known.filter(line => all || !named || line.part === named)
  const reach = envelopeReach(shown.length ? shown : known, burst.rate)
  const lines: Line[] = shown.map(line => ({
    label: line.label,
    frequency: line.frequency,
    orders: line.part === named ? ORDERS : 1,
    strong: line.part === named,
    sideband: line.sideband,
  }))
  const turns: Line[] = shaft ? [{ label: 'shaft', frequency: shaft, orders: 1, strong: false, sideband: 0 }] : []
  const line = known.find(({ part }) => part === named)
  return (
    <div class="burst">
      <SpectrumChart name="Spectrum" of={plain} upTo={burst.rate / 2} unit={unit} lines={turns} />
      <SpectrumChart name="Envelope spectrum" of={enveloped} upTo={reach} unit={unit} lines={lines} />
      <p class="faint burst-note">
        {burst.samples.length.toLocaleString()} samples at {number(burst.rate)} Hz, lines {number(plain.step)} Hz apart
        {band.low > 0
          ? `; envelope of ${number(band.low)} to ${number(band.high)} Hz, where the burst is most impulsive`
          : '; envelope of the whole band'}
        {shaft ? `; shaft at ${number(shaft)} Hz` : ''}.{unit ? ` Amplitudes are in ${unitName(unit)}.` : ''}
      </p>
      {line && shaft ? (
        <p>
          The <b>{line.label}</b> is at <b>{number(line.frequency)} Hz</b>, {number(line.frequency / shaft)} times the shaft’s
          speed
          {line.sideband > 0 ? `, with sidebands ${number(line.sideband)} Hz apart` : ''}: no whole multiple, as a bearing’s lines
          are none.
        </p>
      ) : null}
      {named && known.length > 1 ? (
        <label class="check">
          <input type="checkbox" checked={all} onChange={event => setAll(event.currentTarget.checked)} /> Mark the bearing’s other
          lines too
        </label>
      ) : null}
      {known.length === 0 ? (
        <p class="faint">
          No lines are marked: they need the machine’s bearing and speed in the configuration (<code>bearing</code>,{' '}
          <code>rated_rpm</code> or a speed sensor).
        </p>
      ) : null}
    </div>
  )
}
