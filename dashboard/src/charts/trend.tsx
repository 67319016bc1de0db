// A value over time; time ranges with an anomaly are shaded.

import { useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { formatAgo, formatClock, formatValue, formatNumber } from '../format'
import { type Mark, mergeMarks } from '../model/marks'
import { extent, axisLimits, stoppedSince } from '../model/series'
import { type Colors, withOpacity } from '../theme'
import { baseOptions, type Options, Plot, timeAxis, valueAxis } from './plot'

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
      ctx.fillStyle = withOpacity(color, 0.14)
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height)
      // A line at the top as well, because a tint alone is hard to see on some screens.
      ctx.fillStyle = color
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), 3 * devicePixelRatio)
    }
    ctx.restore()
  }
}

function drawNormalValue(level: number, colors: Colors) {
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
  /** Normal value, drawn as a dashed line. */
  expected?: number | undefined
  from?: number
  to?: number
  height?: number
  /** Charts with the same name share the cursor. */
  sync?: string
}) {
  const [cursor, setCursor] = useState<number | null>(null)
  const valueRange = extent({ values })
  const shadedRanges = useMemo(() => mergeMarks(marks), [marks])
  const data = useMemo(() => [times, values] as unknown as uPlot.AlignedData, [times, values])
  // Values that change with every response are read when the chart is drawn, so that it need not be created again.
  const latest = useRef({ shadedRanges, from, to })
  latest.current = { shadedRanges, from, to }
  const createOptions = (colors: Colors): Options => ({
    ...baseOptions(),
    cursor: { ...baseOptions().cursor, ...(sync ? { sync: { key: sync } } : {}) },
    scales: {
      x: {
        time: true,
        range: (plot, low, high) => xRange(low, high, plot.data[0], latest.current.from, latest.current.to),
      },
      y: { range: (_, low, high) => axisLimits(Math.min(low, expected ?? low), Math.max(high, expected ?? high)) },
    },
    series: [{}, { stroke: colors.line, width: 2, points: { show: times.length < 3 } }],
    axes: [timeAxis(colors), valueAxis(colors)],
    hooks: {
      drawClear: [drawMarks(() => latest.current.shadedRanges, colors)],
      draw: expected === undefined ? [] : [drawNormalValue(expected, colors)],
      setCursor: [plot => setCursor(plot.cursor.idx ?? null)],
    },
  })
  const stoppedAt = to === undefined ? null : stoppedSince(times, to)
  const cursorIndex = cursor !== null && times[cursor] !== undefined ? cursor : null
  const label = valueRange
    ? `${name}: latest ${formatValue(valueRange.last, unit)}${stoppedAt === null ? '' : ` ${formatAgo(stoppedAt, to)}`}, between ${formatNumber(valueRange.low)} and ${formatValue(valueRange.high, unit)}` +
      (marks.length ? `, ${marks.length} anomalies marked` : '')
    : `${name}: no values`
  return (
    <figure class="trend">
      <figcaption>
        <span class="trend-name">{name}</span>
        <span class="trend-value">
          {cursorIndex !== null ? (
            <span class="faint">{formatClock(times[cursorIndex]!, true)} </span>
          ) : stoppedAt !== null ? (
            <span class="stopped">{formatAgo(stoppedAt, to)} </span>
          ) : null}
          {formatValue(cursorIndex === null ? valueRange?.last : values[cursorIndex], unit)}
        </span>
      </figcaption>
      <Plot
        createOptions={createOptions}
        deps={[expected, sync]}
        redraw={shadedRanges}
        data={data}
        height={height}
        label={label}
      />
    </figure>
  )
}

/** uPlot calls this with the range of the data or with that of a zoom; only the first is replaced. */
function xRange(low: number, high: number, times: ArrayLike<number>, from?: number, to?: number): [number, number] {
  const isFullRange = low === times[0] && high === times[times.length - 1]
  if (from !== undefined && to !== undefined && (isFullRange || low == null || high == null)) return [from, to]
  return low === high ? [low - 1000, high + 1000] : [low, high]
}
