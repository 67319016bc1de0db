// Spectra of the last waveforms, one below the other: shows what grows and what comes and goes.

import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { Waveform } from '../api'
import { formatNumber, formatTime } from '../format'
import { decibel, spectrum } from '../signal/spectrum'
import { useDark } from '../theme'

/** Colours from quiet to loud. Loud stands out from the card: dark on light, light on dark. */
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

/** Columns of the image. */
const COLUMNS = 400
/** Dynamic range in dB: lines that are quieter than the loudest one by more than this are not drawn. */
const MAX_RANGE = 60

/** The colour of a level from 0 to 1. */
export function levelColor(level: number, dark: boolean): [number, number, number] {
  const stops = dark ? DARK : LIGHT
  const at = Math.min(1, Math.max(0, level)) * (stops.length - 1)
  const low = Math.min(stops.length - 2, Math.floor(at))
  const share = at - low
  const mix = (channel: 0 | 1 | 2) => Math.round(stops[low]![channel] * (1 - share) + stops[low + 1]![channel] * share)
  return [mix(0), mix(1), mix(2)]
}

/**
 * Levels in dB below the loudest line, one row per waveform, newest first. Each column is the loudest of its lines.
 */
export function levelRows(waveforms: readonly Waveform[], maxFrequency: number, columns: number): number[][] {
  const spectra = waveforms.map(waveform => spectrum(waveform.samples, waveform.rate))
  let loudest = 0
  for (const { amplitudes } of spectra)
    for (let k = 1; k < amplitudes.length; k++) loudest = Math.max(loudest, amplitudes[k]!)
  return spectra.map(({ step, amplitudes }) => {
    const row = new Array<number>(columns).fill(-MAX_RANGE)
    for (let column = 0; column < columns; column++) {
      const from = Math.max(1, Math.floor((column * maxFrequency) / columns / step))
      const to = Math.max(from, Math.ceil(((column + 1) * maxFrequency) / columns / step) - 1)
      for (let k = from; k <= to && k < amplitudes.length; k++) {
        row[column] = Math.max(row[column]!, decibel(amplitudes[k]!, loudest, -MAX_RANGE))
      }
    }
    return row
  })
}

/**
 * The range to draw in dB: from the background, which is the median, to the loudest line, so that the background stays
 * faint.
 */
export function dynamicRange(levels: readonly (readonly number[])[]): number {
  const all = levels.flat().sort((a, b) => a - b)
  return Math.max(6, Math.min(MAX_RANGE, -(all[Math.floor(all.length / 2)] ?? -MAX_RANGE)))
}

/** The chart. Waveforms are sorted newest first. */
export function Waterfall({ waveforms, maxFrequency }: { waveforms: readonly Waveform[]; maxFrequency: number }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const dark = useDark()
  const levels = useMemo(() => levelRows(waveforms, maxFrequency, COLUMNS), [waveforms, maxFrequency])
  const rangeInDb = useMemo(() => dynamicRange(levels), [levels])
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context || levels.length === 0) return
    element.width = COLUMNS
    element.height = levels.length
    const image = context.createImageData(COLUMNS, levels.length)
    levels.forEach((row, y) =>
      row.forEach((level, x) => {
        const [red, green, blue] = levelColor(1 + level / rangeInDb, dark)
        image.data.set([red, green, blue, 255], 4 * (y * COLUMNS + x))
      }),
    )
    context.putImageData(image, 0, 0)
  }, [levels, rangeInDb, dark])
  const [first, last] = [waveforms[0], waveforms.at(-1)]
  if (!first || !last) return null
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  return (
    <figure class="waterfall">
      <figcaption>
        <span class="trend-name">Waterfall</span>
        <span class="faint">
          last {waveforms.length} waveforms, newest on top; range {Math.round(rangeInDb)} dB
        </span>
      </figcaption>
      <div class="waterfall-body">
        <div class="waterfall-times faint" aria-hidden="true">
          <span>{formatTime(first.start)}</span>
          <span>{formatTime(last.start)}</span>
        </div>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Spectra of ${waveforms.length} waveforms from ${formatTime(last.start)} to ${formatTime(first.start)}, 0 to ${formatNumber(maxFrequency)} Hz`}
        />
        <div class="waterfall-ticks faint" aria-hidden="true">
          {ticks.map(share => (
            <span key={share}>{formatNumber(share * maxFrequency)} Hz</span>
          ))}
        </div>
      </div>
    </figure>
  )
}
