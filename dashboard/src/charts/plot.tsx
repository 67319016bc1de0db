// uPlot as a component: created once, updated with data, and created again when the theme or its options change.

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { formatClock, formatNumber, formatDay } from '../format'
import { type Colors, colors, useDark } from '../theme'

/** Options of a chart; size and data are passed separately. */
export type Options = Omit<uPlot.Options, 'width' | 'height'>

/**
 * A chart. `label` describes it in words. When `deps` changes the chart is created again, which resets the zoom; when
 * `redraw` changes it is only redrawn.
 */
export function Plot({
  createOptions,
  deps = [],
  redraw,
  data,
  height,
  label,
}: {
  createOptions: (colors: Colors) => Options
  deps?: readonly unknown[]
  redraw?: unknown
  data: uPlot.AlignedData
  height: number
  label: string
}) {
  const container = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const dark = useDark()
  const latest = useRef(data)
  latest.current = data
  const zoomed = useRef(false)
  useEffect(() => {
    const parent = container.current!
    const chart = new uPlot(
      { ...createOptions(colors()), width: Math.max(120, parent.clientWidth), height },
      latest.current,
      parent,
    )
    plot.current = chart
    zoomed.current = false
    ;(chart.hooks.setSelect ??= []).push(() => (zoomed.current = chart.select.width > 0))
    chart.over.addEventListener('dblclick', () => (zoomed.current = false))
    const observer = new ResizeObserver(() => {
      const width = Math.max(120, parent.clientWidth)
      if (width !== chart.width) chart.setSize({ width, height })
    })
    observer.observe(parent)
    return () => {
      observer.disconnect()
      chart.destroy()
      plot.current = undefined
    }
  }, [dark, height, ...deps])
  useEffect(() => {
    // New readings do not reset the zoom.
    if (plot.current && plot.current.data !== data) plot.current.setData(data, !zoomed.current)
  }, [data])
  useEffect(() => plot.current?.redraw(false), [redraw])
  return <div class="plot" ref={container} role="img" aria-label={label} />
}

const FONT = '12px system-ui, sans-serif'

/** An axis in the page's colours. */
export function axis(colors: Colors, more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: colors.faint,
    font: FONT,
    labelFont: FONT,
    grid: { stroke: colors.grid, width: 1 },
    ticks: { stroke: colors.grid, width: 1, size: 4 },
    ...more,
  }
}

/** A value axis. */
export const valueAxis = (colors: Colors, more: Partial<uPlot.Axis> = {}): uPlot.Axis =>
  axis(colors, {
    size: 52,
    gap: 4,
    space: 20,
    values: (_, values) => values.map(value => formatNumber(value)),
    ...more,
  })

/** A time axis in the user's time zone. uPlot's own labels are always English. */
export const timeAxis = (colors: Colors, more: Partial<uPlot.Axis> = {}): uPlot.Axis =>
  axis(colors, {
    space: 70,
    size: 30,
    values: (_, values, __, ___, distance) =>
      values.map(value => (distance >= 24 * 3600_000 ? formatDay(value) : formatClock(value, distance < 60_000))),
    ...more,
  })

/** Options shared by all charts. */
export const baseOptions = (): Partial<Options> => ({
  ms: 1,
  legend: { show: false },
  cursor: { drag: { x: true, y: false, setScale: true }, points: { size: 7 } },
})
