// uPlot in the tree of components: made once, fed with data, made anew when the theme or its options change.

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { atClock, number, onDay } from '../format'
import { type Colors, colors, useDark } from '../theme'

/** What a chart is made of; sizes and data are given apart. */
export type Options = Omit<uPlot.Options, 'width' | 'height'>

/**
 * A chart. `label` says in words what is seen. It is made anew, and a reader's zoom lost, when `on` changes; when `redraw`
 * changes it is only drawn anew.
 */
export function Plot({
  make,
  on = [],
  redraw,
  data,
  height,
  label,
}: {
  make: (colors: Colors) => Options
  on?: readonly unknown[]
  redraw?: unknown
  data: uPlot.AlignedData
  height: number
  label: string
}) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const dark = useDark()
  const latest = useRef(data)
  latest.current = data
  const zoomed = useRef(false)
  useEffect(() => {
    const parent = place.current!
    const made = new uPlot({ ...make(colors()), width: Math.max(120, parent.clientWidth), height }, latest.current, parent)
    plot.current = made
    zoomed.current = false
    ;(made.hooks.setSelect ??= []).push(() => (zoomed.current = made.select.width > 0))
    made.over.addEventListener('dblclick', () => (zoomed.current = false))
    const watch = new ResizeObserver(() => {
      const width = Math.max(120, parent.clientWidth)
      if (width !== made.width) made.setSize({ width, height })
    })
    watch.observe(parent)
    return () => {
      watch.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [dark, height, ...on])
  useEffect(() => {
    // New readings do not undo what somebody looks at more closely.
    if (plot.current && plot.current.data !== data) plot.current.setData(data, !zoomed.current)
  }, [data])
  useEffect(() => plot.current?.redraw(false), [redraw])
  return <div class="plot" ref={place} role="img" aria-label={label} />
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

/** An axis of values. */
export const valueAxis = (colors: Colors, more: Partial<uPlot.Axis> = {}): uPlot.Axis =>
  axis(colors, { size: 52, gap: 4, space: 20, values: (_, values) => values.map(value => number(value)), ...more })

/** An axis of time in the reader's zone; uPlot's own words are English ones. */
export const timeAxis = (colors: Colors, more: Partial<uPlot.Axis> = {}): uPlot.Axis =>
  axis(colors, {
    space: 70,
    size: 30,
    values: (_, values, __, ___, distance) =>
      values.map(value => (distance >= 24 * 3600_000 ? onDay(value) : atClock(value, distance < 60_000))),
    ...more,
  })

/** What all charts have in common. */
export const base = (): Partial<Options> => ({
  ms: 1,
  legend: { show: false },
  cursor: { drag: { x: true, y: false, setScale: true }, points: { size: 7 } },
})
