// A spectrum, with the lines of a bearing's faults on it.

import { useMemo, useState } from 'preact/hooks'
import type uPlot from 'uplot'
import { measured, number } from '../format'
import { harmonics } from '../signal/bearing'
import { type Spectrum, thinned } from '../signal/spectrum'
import type { Colors } from '../theme'
import { axis, base, type Options, Plot, valueAxis } from './plot'

/** A frequency to mark, with its multiples. */
export interface Line {
  label: string
  frequency: number
  /** Multiples that are marked, from the first on. */
  orders: number
  /** Drawn strongly: what the anomaly names. */
  strong: boolean
  /** Distance of sidebands to mark; 0 for none. */
  sideband: number
}

/** Lines of a spectrum that are drawn at most; more than pixels show nothing more. */
const MOST = 2_000

function drawLines(lines: readonly Line[], upTo: number, colors: Colors) {
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
      const color = line.strong ? colors.critical : colors.faint
      for (const frequency of harmonics(line.frequency, upTo, line.orders)) {
        const x = stroke(frequency, color, line.strong ? 1.5 : 1, line.strong ? [5, 3] : [2, 4])
        const order = Math.round(frequency / line.frequency)
        const text = order === 1 ? line.label : `${order}×`
        if (order === 1 || line.strong) {
          ctx.fillStyle = color
          // Near the right edge the words stand to the left of their line.
          const width = ctx.measureText(text).width
          const left = x + 4 * scale + width > bbox.left + bbox.width ? x - width - 4 * scale : x + 4 * scale
          ctx.fillText(text, left, bbox.top + (3 + 14 * (order === 1 ? row : lines.length)) * scale)
        }
        if (line.sideband > 0 && line.strong) {
          for (const side of [-1, 1]) stroke(frequency + side * line.sideband, color, 1, [1, 4])
        }
      }
    })
    ctx.restore()
  }
}

/** Amplitudes over frequency. */
export function SpectrumChart({
  name,
  of,
  upTo,
  unit,
  lines = [],
  height = 220,
}: {
  name: string
  of: Spectrum
  upTo: number
  unit: string
  lines?: readonly Line[]
  height?: number
}) {
  const [at, setAt] = useState<number | null>(null)
  const { frequencies, amplitudes } = useMemo(() => thinned(of, upTo, MOST), [of, upTo])
  const data = useMemo(() => [frequencies, amplitudes] as uPlot.AlignedData, [frequencies, amplitudes])
  const key = lines.map(line => `${line.label} ${line.frequency} ${line.strong} ${line.sideband}`).join()
  let highest = 0
  // 0 Hz is no vibration.
  for (let n = 1; n < amplitudes.length; n++) if (amplitudes[n]! > (amplitudes[highest] ?? 0) || highest === 0) highest = n
  const make = (colors: Colors): Options => ({
    ...base(),
    scales: { x: { time: false }, y: { range: (_, __, high) => [0, (high || 1) * 1.12] } },
    series: [
      {},
      { stroke: colors.line, width: 1.5, fill: `color-mix(in srgb, ${colors.line} 12%, transparent)`, points: { show: false } },
    ],
    axes: [
      axis(colors, { space: 60, size: 30, values: (_, values) => values.map(value => `${number(value)} Hz`) }),
      valueAxis(colors),
    ],
    hooks: { draw: [drawLines(lines, upTo, colors)], setCursor: [plot => setAt(plot.cursor.idx ?? null)] },
  })
  const shown = at !== null && frequencies[at] !== undefined ? at : null
  const strong = lines.find(line => line.strong)
  const label =
    `${name} up to ${number(upTo)} Hz: highest line at ${number(frequencies[highest])} Hz with ${measured(amplitudes[highest], unit)}` +
    (strong ? `; marked: ${strong.label} at ${number(strong.frequency)} Hz` : '')
  return (
    <figure class="trend">
      <figcaption>
        <span class="trend-name">{name}</span>
        <span class="trend-value">
          {shown === null ? <span class="faint">highest </span> : null}
          {number(frequencies[shown ?? highest])} Hz <span class="faint">·</span> {measured(amplitudes[shown ?? highest], unit)}
        </span>
      </figcaption>
      <Plot make={make} on={[key, upTo]} data={data} height={height} label={label} />
    </figure>
  )
}
