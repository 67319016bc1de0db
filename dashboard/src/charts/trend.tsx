// The course of a value over time; stretches in which an anomaly was found are marked.

import { useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { ago, atClock, measured, number } from '../format'
import { type Mark, merged } from '../model/marks'
import { extent, limits, stopped } from '../model/series'
import { type Colors, faded } from '../theme'
import { base, type Options, Plot, timeAxis, valueAxis } from './plot'

function drawMarks(marks: () => readonly Mark[], colors: Colors) {
  return (plot: uPlot) => {
    const { ctx, bbox } = plot
    ctx.save()
    ctx.beginPath()
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
    ctx.clip()
    for (const mark of marks()) {
      const left = plot.valToPos(mark.start, 'x', true)
      const right = plot.valToPos(mark.end, 'x', true)
      const color = colors[mark.severity]
      ctx.fillStyle = faded(color, 0.14)
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height)
      // A line at the top too, as a tint alone is hard to see on some screens.
      ctx.fillStyle = color
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), 3 * devicePixelRatio)
    }
    ctx.restore()
  }
}

function drawLevel(level: number, colors: Colors) {
  return (plot: uPlot) => {
    const { ctx, bbox } = plot
    const y = plot.valToPos(level, 'y', true)
    ctx.save()
    ctx.strokeStyle = colors.second
    ctx.lineWidth = 1.5 * devicePixelRatio
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio])
    ctx.beginPath()
    ctx.moveTo(bbox.left, y)
    ctx.lineTo(bbox.left + bbox.width, y)
    ctx.stroke()
    ctx.restore()
  }
}

/** Values over time. `times` in milliseconds; null values are gaps. */
export function Trend({
  name,
  times,
  values,
  unit,
  marks = [],
  expected,
  from,
  to,
  height = 120,
  sync,
}: {
  name: string
  times: readonly number[]
  values: readonly (number | null)[]
  unit: string
  marks?: readonly Mark[]
  /** A level to draw as a dashed line: what is normal. */
  expected?: number | undefined
  from?: number
  to?: number
  height?: number
  /** Charts of one name share the pointer. */
  sync?: string
}) {
  const [at, setAt] = useState<number | null>(null)
  const reach = extent({ values })
  const stretches = useMemo(() => merged(marks), [marks])
  const data = useMemo(() => [times, values] as unknown as uPlot.AlignedData, [times, values])
  // What changes with every answer is looked up when the chart is drawn, so that it need not be made anew.
  const now = useRef({ stretches, from, to })
  now.current = { stretches, from, to }
  const make = (colors: Colors): Options => ({
    ...base(),
    cursor: { ...base().cursor, ...(sync ? { sync: { key: sync } } : {}) },
    scales: {
      x: { time: true, range: (plot, low, high) => reached(low, high, plot.data[0], now.current.from, now.current.to) },
      y: { range: (_, low, high) => limits(Math.min(low, expected ?? low), Math.max(high, expected ?? high)) },
    },
    series: [{}, { stroke: colors.line, width: 2, points: { show: times.length < 3 } }],
    axes: [timeAxis(colors), valueAxis(colors)],
    hooks: {
      drawClear: [drawMarks(() => now.current.stretches, colors)],
      draw: expected === undefined ? [] : [drawLevel(expected, colors)],
      setCursor: [plot => setAt(plot.cursor.idx ?? null)],
    },
  })
  const since = to === undefined ? null : stopped(times, to)
  const shown = at !== null && times[at] !== undefined ? at : null
  const label = reach
    ? `${name}: latest ${measured(reach.last, unit)}${since === null ? '' : ` ${ago(since, to)}`}, between ${number(reach.low)} and ${measured(reach.high, unit)}` +
      (marks.length ? `, ${marks.length} anomalies marked` : '')
    : `${name}: no values`
  return (
    <figure class="trend">
      <figcaption>
        <span class="trend-name">{name}</span>
        <span class="trend-value">
          {shown !== null ? (
            <span class="faint">{atClock(times[shown]!, true)} </span>
          ) : since !== null ? (
            <span class="stopped">{ago(since, to)} </span>
          ) : null}
          {measured(shown === null ? reach?.last : values[shown], unit)}
        </span>
      </figcaption>
      <Plot make={make} on={[expected, sync]} redraw={stretches} data={data} height={height} label={label} />
    </figure>
  )
}

/** uPlot asks with the data's own limits, or with those of a zoom: only the first are replaced. */
function reached(low: number, high: number, times: ArrayLike<number>, from?: number, to?: number): [number, number] {
  const whole = low === times[0] && high === times[times.length - 1]
  if (from !== undefined && to !== undefined && (whole || low == null || high == null)) return [from, to]
  return low === high ? [low - 1000, high + 1000] : [low, high]
}
