// A spectrum, with the fault frequencies of a bearing marked.

import { useMemo, useState } from 'preact/hooks'
import type uPlot from 'uplot'
import { formatValue, formatNumber } from '../format'
import { harmonics } from '../signal/bearing'
import { type Spectrum, downsample } from '../signal/spectrum'
import type { Colors } from '../theme'
import { axis, baseOptions, type Options, Plot, valueAxis } from './plot'

/** A frequency to mark, with its harmonics. */
export interface MarkedFrequency {
  label: string
  frequency: number
  /** Number of harmonics to mark, including the fundamental. */
  harmonics: number
  /** Drawn emphasised: the frequency that the anomaly names. */
  emphasised: boolean
  /** Distance of the sidebands to mark, in Hz; 0 for none. */
  sideband: number
}

/** Maximum number of spectral lines to draw; more than the pixels show no further detail. */
const MAX_LINES = 2_000

function drawMarkedFrequencies(lines: readonly MarkedFrequency[], maxFrequency: number, colors: Colors) {
  return (plot: uPlot) => {
    const { ctx, bbox } = plot
    const scale = devicePixelRatio
    ctx.save()
    ctx.beginPath()
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
    ctx.clip()
    ctx.font = `${11 * scale}px system-ui, sans-serif`
    ctx.textBaseline = 'top'
    ctx.textAlign = 'left'
    const stroke = (frequency: number, color: string, width: number, dash: number[]) => {
      const x = plot.valToPos(frequency, 'x', true)
      ctx.strokeStyle = color
      ctx.lineWidth = width * scale
      ctx.setLineDash(dash.map(part => part * scale))
      ctx.beginPath()
      ctx.moveTo(x, bbox.top)
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      return x
    }
    lines.forEach((line, row) => {
      const color = line.emphasised ? colors.critical : colors.faint
      for (const frequency of harmonics(line.frequency, maxFrequency, line.harmonics)) {
        const x = stroke(frequency, color, line.emphasised ? 1.5 : 1, line.emphasised ? [5, 3] : [2, 4])
        const order = Math.round(frequency / line.frequency)
        const text = order === 1 ? line.label : `${order}×`
        if (order === 1 || line.emphasised) {
          ctx.fillStyle = color
          // Near the right edge the label is left of its line.
          const width = ctx.measureText(text).width
          const left = x + 4 * scale + width > bbox.left + bbox.width ? x - width - 4 * scale : x + 4 * scale
          ctx.fillText(text, left, bbox.top + (3 + 14 * (order === 1 ? row : lines.length)) * scale)
        }
        if (line.sideband > 0 && line.emphasised) {
          for (const side of [-1, 1]) stroke(frequency + side * line.sideband, color, 1, [1, 4])
        }
      }
    })
    ctx.restore()
  }
}

/** Amplitude over frequency. */
export function SpectrumChart({
  name,
  spectrum,
  maxFrequency,
  unit,
  lines = [],
  height = 220,
}: {
  name: string
  spectrum: Spectrum
  maxFrequency: number
  unit: string
  lines?: readonly MarkedFrequency[]
  height?: number
}) {
  const [cursor, setCursor] = useState<number | null>(null)
  const { frequencies, amplitudes } = useMemo(
    () => downsample(spectrum, maxFrequency, MAX_LINES),
    [spectrum, maxFrequency],
  )
  const data = useMemo(() => [frequencies, amplitudes] as uPlot.AlignedData, [frequencies, amplitudes])
  const key = lines.map(line => `${line.label} ${line.frequency} ${line.emphasised} ${line.sideband}`).join()
  let peak = 0
  // 0 Hz is not a vibration.
  for (let n = 1; n < amplitudes.length; n++) if (amplitudes[n]! > (amplitudes[peak] ?? 0) || peak === 0) peak = n
  const createOptions = (colors: Colors): Options => ({
    ...baseOptions(),
    scales: { x: { time: false }, y: { range: (_, __, high) => [0, (high || 1) * 1.12] } },
    series: [
      {},
      {
        stroke: colors.line,
        width: 1.5,
        fill: `color-mix(in srgb, ${colors.line} 12%, transparent)`,
        points: { show: false },
      },
    ],
    axes: [
      axis(colors, { space: 60, size: 30, values: (_, values) => values.map(value => `${formatNumber(value)} Hz`) }),
      valueAxis(colors),
    ],
    hooks: {
      draw: [drawMarkedFrequencies(lines, maxFrequency, colors)],
      setCursor: [plot => setCursor(plot.cursor.idx ?? null)],
    },
  })
  const cursorLine = cursor !== null && frequencies[cursor] !== undefined ? cursor : null
  const emphasised = lines.find(line => line.emphasised)
  const label =
    `${name} up to ${formatNumber(maxFrequency)} Hz: highest line at ${formatNumber(frequencies[peak])} Hz with ${formatValue(amplitudes[peak], unit)}` +
    (emphasised ? `; marked: ${emphasised.label} at ${formatNumber(emphasised.frequency)} Hz` : '')
  return (
    <figure class="trend">
      <figcaption>
        <span class="trend-name">{name}</span>
        <span class="trend-value">
          {cursorLine === null ? <span class="faint">highest </span> : null}
          {formatNumber(frequencies[cursorLine ?? peak])} Hz <span class="faint">·</span>{' '}
          {formatValue(amplitudes[cursorLine ?? peak], unit)}
        </span>
      </figcaption>
      <Plot createOptions={createOptions} deps={[key, maxFrequency]} data={data} height={height} label={label} />
    </figure>
  )
}
