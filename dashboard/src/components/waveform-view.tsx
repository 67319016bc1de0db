// A vibration waveform: its spectrum, and its envelope spectrum with the bearing's fault frequencies.

import { useMemo, useState } from 'preact/hooks'
import type { Waveform, Window } from '../api'
import { type MarkedFrequency, SpectrumChart } from '../charts/spectrum'
import { formatNumber, displayUnit } from '../format'
import { faultFrequencies, featureValue, impulsiveBand, type BearingPart } from '../signal/bearing'
import { envelopeSpectrum, spectrum } from '../signal/spectrum'

/** Number of harmonics to mark of the named fault. */
const NAMED_HARMONICS = 4

/**
 * Highest frequency of the envelope spectrum to show: the harmonics are visible, and the rest does not squeeze them
 * together.
 */
export function envelopeLimit(lines: readonly { frequency: number }[], rate: number): number {
  const highest = Math.max(0, ...lines.map(line => line.frequency))
  return Math.min(rate / 2, highest > 0 ? 4.5 * highest : 1000)
}

/** Both spectra. `named` is the bearing part that an anomaly names. */
export function WaveformView({
  waveform,
  window,
  named,
  unit,
}: {
  waveform: Waveform
  window: Window | undefined
  named: BearingPart | undefined
  unit: string
}) {
  const [showAll, setShowAll] = useState(false)
  const features = window?.features
  const shaft = featureValue(features, 'shaft_hz')
  const band = useMemo(() => impulsiveBand(features, waveform.rate), [features, waveform.rate])
  const ofSamples = useMemo(() => spectrum(waveform.samples, waveform.rate), [waveform])
  const ofEnvelope = useMemo(() => envelopeSpectrum(waveform.samples, waveform.rate, band), [waveform, band])
  const faults = faultFrequencies(features)
  const shownFaults = faults.filter(fault => showAll || !named || fault.part === named)
  const limit = envelopeLimit(shownFaults.length ? shownFaults : faults, waveform.rate)
  const lines: MarkedFrequency[] = shownFaults.map(fault => ({
    label: fault.label,
    frequency: fault.frequency,
    harmonics: fault.part === named ? NAMED_HARMONICS : 1,
    emphasised: fault.part === named,
    sideband: fault.sideband,
  }))
  const shaftLines: MarkedFrequency[] = shaft
    ? [{ label: 'shaft', frequency: shaft, harmonics: 1, emphasised: false, sideband: 0 }]
    : []
  const namedFault = faults.find(({ part }) => part === named)
  return (
    <div class="waveform">
      <SpectrumChart
        name="Spectrum"
        spectrum={ofSamples}
        maxFrequency={waveform.rate / 2}
        unit={unit}
        lines={shaftLines}
      />
      <SpectrumChart name="Envelope spectrum" spectrum={ofEnvelope} maxFrequency={limit} unit={unit} lines={lines} />
      <p class="faint waveform-note">
        {waveform.samples.length.toLocaleString()} samples at {formatNumber(waveform.rate)} Hz, resolution{' '}
        {formatNumber(ofSamples.step)} Hz
        {band.low > 0
          ? `; envelope of the band ${formatNumber(band.low)} to ${formatNumber(band.high)} Hz, where the waveform is most impulsive`
          : '; envelope of the whole band'}
        {shaft ? `; shaft at ${formatNumber(shaft)} Hz` : ''}.{unit ? ` Amplitudes in ${displayUnit(unit)}.` : ''}
      </p>
      {namedFault && shaft ? (
        <p>
          The <b>{namedFault.label}</b> is at <b>{formatNumber(namedFault.frequency)} Hz</b>,{' '}
          {formatNumber(namedFault.frequency / shaft)} times the shaft’s speed
          {namedFault.sideband > 0 ? `, with sidebands ${formatNumber(namedFault.sideband)} Hz apart` : ''}: not a
          multiple of shaft speed, as expected for bearings.
        </p>
      ) : null}
      {named && faults.length > 1 ? (
        <label class="check">
          <input type="checkbox" checked={showAll} onChange={event => setShowAll(event.currentTarget.checked)} /> Show
          the bearing’s other fault frequencies
        </label>
      ) : null}
      {faults.length === 0 ? (
        <p class="faint">
          No fault frequencies are shown: they require the machine’s bearing and speed in the configuration (
          <code>bearing</code>, <code>rated_rpm</code> or a speed sensor).
        </p>
      ) : null}
    </div>
  )
}
