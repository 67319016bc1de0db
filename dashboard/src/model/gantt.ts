// Where the bars of the schedule lie.

import type { WorkOrder } from '../api/types'

/** An order with a time, on its row. */
export interface Bar {
  order: WorkOrder
  row: number
  start: number
  end: number
  /** Of bars that lie over each other in one row. */
  lane: number
}

/** A technician's row. */
export interface Row {
  technician: string
  lanes: number
}

/** The whole picture. */
export interface Chart {
  rows: Row[]
  bars: Bar[]
  /** Orders without a time. */
  waiting: WorkOrder[]
  from: number
  to: number
}

const HOUR = 3600_000
/** Row of orders that have a time but nobody. */
export const NOBODY = 'Nobody yet'

/** Whether an order should be done by now and nobody has said that it is. */
export const overdue = (order: WorkOrder, now: number): boolean =>
  order.status === 'planned' && order.scheduled !== null && order.scheduled + order.minutes * 60_000 < now

/** Lays the orders out. What is cancelled is left out; the picture reaches from the day of `now`, or of the earliest, to the latest. */
export function layout(orders: readonly WorkOrder[], now: number): Chart {
  const alive = orders.filter(order => order.status !== 'cancelled')
  const placed = alive
    .filter(order => order.scheduled !== null && order.status !== 'unscheduled')
    .toSorted((a, b) => a.scheduled! - b.scheduled! || a.priority - b.priority)
  const names = [...new Set(placed.map(order => order.technician ?? NOBODY))].sort((a, b) => a.localeCompare(b))
  const rows = names.map((technician): Row => ({ technician, lanes: 1 }))
  // When each lane of each row is free again.
  const free: number[][] = names.map(() => [])
  const bars = placed.map((order): Bar => {
    const row = names.indexOf(order.technician ?? NOBODY)
    const start = order.scheduled!
    const end = start + Math.max(order.minutes, 1) * 60_000
    const lanes = free[row]!
    let lane = lanes.findIndex(until => until <= start)
    if (lane < 0) lane = lanes.length
    lanes[lane] = end
    rows[row]!.lanes = Math.max(rows[row]!.lanes, lanes.length)
    return { order, row, start, end, lane }
  })
  const earliest = Math.min(now, ...bars.map(bar => bar.start))
  const latest = Math.max(now + 24 * HOUR, ...bars.map(bar => bar.end))
  return {
    rows,
    bars,
    waiting: alive.filter(order => !placed.includes(order)),
    from: dayStart(earliest),
    to: dayStart(latest + 24 * HOUR),
  }
}

/** Midnight before, in the reader's zone. */
export function dayStart(time: number): number {
  const day = new Date(time)
  day.setHours(0, 0, 0, 0)
  return day.getTime()
}

/** Midnights from `from` to `to`; a day that summer time makes longer or shorter counts as one. */
export function days(from: number, to: number): number[] {
  const out: number[] = []
  const day = new Date(dayStart(from))
  while (day.getTime() < to) {
    out.push(day.getTime())
    day.setDate(day.getDate() + 1)
  }
  return out
}

/** Moves snap to so many minutes, as the planner's do. */
const STEP = 5 * 60_000

/** Where a bar lies that was dragged by so many pixels and rows; null when it did not move. */
export function dropped(
  bar: Bar,
  byPixels: number,
  toRow: number,
  chart: Chart,
  millisecondsPerPixel: number,
): { scheduled: number; technician: string } | null {
  const scheduled = Math.round((bar.start + byPixels * millisecondsPerPixel) / STEP) * STEP
  const row = Math.min(chart.rows.length - 1, Math.max(0, toRow))
  const technician = chart.rows[row]?.technician
  if (!technician || technician === NOBODY) return null
  const moved = Math.abs(scheduled - bar.start) >= STEP || row !== bar.row
  return moved ? { scheduled, technician } : null
}

/** A place that an order is about to get. */
export interface Place {
  scheduled: number
  technician: string
}

/** Where arrow keys bring an order: by the hour, or to the next technician; null when the key or the way is none. */
export function stepped(from: Place, key: string, rows: readonly Row[]): Place | null {
  const hour = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0
  if (hour) return { ...from, scheduled: from.scheduled + hour * HOUR }
  const by = key === 'ArrowDown' ? 1 : key === 'ArrowUp' ? -1 : 0
  const names = rows.map(row => row.technician).filter(name => name !== NOBODY)
  const technician = names[names.indexOf(from.technician) + by]
  return by && technician !== undefined ? { ...from, technician } : null
}

/** What a new plan made otherwise of the orders that were there before, but for the one that somebody moved. */
export function replanned(before: readonly WorkOrder[], after: readonly WorkOrder[], but: string): WorkOrder[] {
  const known = new Map(before.map(order => [order.id, order]))
  return after.filter(order => {
    const old = known.get(order.id)
    return order.id !== but && old && (old.scheduled !== order.scheduled || old.technician !== order.technician)
  })
}
