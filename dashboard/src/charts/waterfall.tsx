// Spectra of the last bursts one below the other: what grows, and what comes and goes.

import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { Waveform } from '../api'
import { number, when } from '../format'
import { decibel, spectrum } from '../signal/spectrum'
import { useDark } from '../theme'

/** Colours of quiet to loud. Loud stands out from the card: dark on light, light on dark. */
const LIGHT = [
  [247, 250, 252],
  [186, 214, 232],
  [92, 160, 205],
  [24, 96, 150],
  [8, 36, 74],
] as const
const DARK = [
  [22, 29, 36],
  [24, 62, 92],
  [34, 118, 158],
  [94, 190, 214],
  [240, 250, 235],
] as const

/** Columns of the picture. */
const COLUMNS = 400
/** Quieter than the loudest line by more is drawn as nothing, dB. */
const DEEPEST = 60

/** The colour of a level of 0 to 1. */
export function ramp(level: number, dark: boolean): [number, number, number] {
  const stops = dark ? DARK : LIGHT
  const at = Math.min(1, Math.max(0, level)) * (stops.length - 1)
  const low = Math.min(stops.length - 2, Math.floor(at))
  const share = at - low
  const mix = (channel: 0 | 1 | 2) => Math.round(stops[low]![channel] * (1 - share) + stops[low + 1]![channel] * share)
  return [mix(0), mix(1), mix(2)]
}

/** Levels in dB below the loudest line, one row a burst, newest first; each column is the loudest of its lines. */
export function rows(bursts: readonly Waveform[], upTo: number, columns: number): number[][] {
  const spectra = bursts.map(burst => spectrum(burst.samples, burst.rate))
  let loudest = 0
  for (const { amplitudes } of spectra) for (let k = 1; k < amplitudes.length; k++) loudest = Math.max(loudest, amplitudes[k]!)
  return spectra.map(({ step, amplitudes }) => {
    const row = new Array<number>(columns).fill(-DEEPEST)
    for (let column = 0; column < columns; column++) {
      const from = Math.max(1, Math.floor((column * upTo) / columns / step))
      const to = Math.max(from, Math.ceil(((column + 1) * upTo) / columns / step) - 1)
      for (let k = from; k <= to && k < amplitudes.length; k++) {
        row[column] = Math.max(row[column]!, decibel(amplitudes[k]!, loudest, -DEEPEST))
      }
    }
    return row
  })
}

/** The range that is drawn: from the background, which is the median, to the loudest; so that what is no line stays quiet. */
export function range(levels: readonly (readonly number[])[]): number {
  const all = levels.flat().sort((a, b) => a - b)
  return Math.max(6, Math.min(DEEPEST, -(all[Math.floor(all.length / 2)] ?? -DEEPEST)))
}

/** The picture. Bursts come newest first. */
export function Waterfall({ bursts, upTo }: { bursts: readonly Waveform[]; upTo: number }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const dark = useDark()
  const levels = useMemo(() => rows(bursts, upTo, COLUMNS), [bursts, upTo])
  const span = useMemo(() => range(levels), [levels])
  useEffect(() => {
    const place = canvas.current
    const context = place?.getContext('2d')
    if (!place || !context || levels.length === 0) return
    place.width = COLUMNS
    place.height = levels.length
    const image = context.createImageData(COLUMNS, levels.length)
    levels.forEach((row, y) =>
      row.forEach((level, x) => {
        const [red, green, blue] = ramp(1 + level / span, dark)
        image.data.set([red, green, blue, 255], 4 * (y * COLUMNS + x))
      }),
    )
    context.putImageData(image, 0, 0)
  }, [levels, span, dark])
  const [first, last] = [bursts[0], bursts.at(-1)]
  if (!first || !last) return null
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  return (
    <figure class="waterfall">
      <figcaption>
        <span class="trend-name">Waterfall</span>
        <span class="faint">
          last {bursts.length} bursts, newest on top; {Math.round(span)} dB from faint to loud
        </span>
      </figcaption>
      <div class="waterfall-body">
        <div class="waterfall-times faint" aria-hidden="true">
          <span>{when(first.start)}</span>
          <span>{when(last.start)}</span>
        </div>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Spectra of ${bursts.length} bursts from ${when(last.start)} to ${when(first.start)}, 0 to ${number(upTo)} Hz`}
        />
        <div class="waterfall-ticks faint" aria-hidden="true">
          {ticks.map(share => (
            <span key={share}>{number(share * upTo)} Hz</span>
          ))}
        </div>
      </div>
    </figure>
  )
}
