// Layout of the schedule's bars.

import type { WorkOrder } from '../api/types'

/** A scheduled order, in its row. */
export interface Bar {
  order: WorkOrder
  row: number
  start: number
  end: number
  /** Lane within the row; overlapping bars are in different lanes. */
  lane: number
}

/** A technician's row. */
export interface TechnicianRow {
  technician: string
  lanes: number
}

/** The complete chart. */
export interface GanttChart {
  rows: TechnicianRow[]
  bars: Bar[]
  /** Orders that are not scheduled. */
  unscheduled: WorkOrder[]
  from: number
  to: number
}

const HOUR = 3600_000
/** Row of orders that are scheduled but not assigned. */
export const UNASSIGNED = 'Not assigned'

/** Whether an order should be finished by now and is not marked as done. */
export const isOverdue = (order: WorkOrder, now: number): boolean =>
  order.status === 'planned' && order.scheduled !== null && order.scheduled + order.minutes * 60_000 < now

/**
 * Lays out the orders, without cancelled ones. The chart starts on the day of `now` or of the earliest order, and ends
 * after the latest.
 */
export function layoutOrders(orders: readonly WorkOrder[], now: number): GanttChart {
  const active = orders.filter(order => order.status !== 'cancelled')
  const scheduled = active
    .filter(order => order.scheduled !== null && order.status !== 'unscheduled')
    .toSorted((a, b) => a.scheduled! - b.scheduled! || a.priority - b.priority)
  const names = [...new Set(scheduled.map(order => order.technician ?? UNASSIGNED))].sort((a, b) => a.localeCompare(b))
  const rows = names.map((technician): TechnicianRow => ({ technician, lanes: 1 }))
  // When each lane of each row is free again.
  const free: number[][] = names.map(() => [])
  const bars = scheduled.map((order): Bar => {
    const row = names.indexOf(order.technician ?? UNASSIGNED)
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
    unscheduled: active.filter(order => !scheduled.includes(order)),
    from: startOfDay(earliest),
    to: startOfDay(latest + 24 * HOUR),
  }
}

/** The midnight before, in the user's time zone. */
export function startOfDay(time: number): number {
  const day = new Date(time)
  day.setHours(0, 0, 0, 0)
  return day.getTime()
}

/** Midnights from `from` to `to`. A day that daylight saving time makes longer or shorter counts as one. */
export function midnights(from: number, to: number): number[] {
  const result: number[] = []
  const day = new Date(startOfDay(from))
  while (day.getTime() < to) {
    result.push(day.getTime())
    day.setDate(day.getDate() + 1)
  }
  return result
}

/** Moves snap to this step, like the planner's. */
const SNAP = 5 * 60_000

/** The new position of a bar dragged by this many pixels and rows; null if it did not move. */
export function dropTarget(
  bar: Bar,
  byPixels: number,
  toRow: number,
  chart: GanttChart,
  millisecondsPerPixel: number,
): { scheduled: number; technician: string } | null {
  const scheduled = Math.round((bar.start + byPixels * millisecondsPerPixel) / SNAP) * SNAP
  const row = Math.min(chart.rows.length - 1, Math.max(0, toRow))
  const technician = chart.rows[row]?.technician
  if (!technician || technician === UNASSIGNED) return null
  const moved = Math.abs(scheduled - bar.start) >= SNAP || row !== bar.row
  return moved ? { scheduled, technician } : null
}

/** A new position of an order. */
export interface OrderPosition {
  scheduled: number
  technician: string
}

/**
 * The position after an arrow key: one hour earlier or later, or the next technician. Null if the key is not an arrow
 * or there is no further technician.
 */
export function keyTarget(from: OrderPosition, key: string, rows: readonly TechnicianRow[]): OrderPosition | null {
  const hour = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0
  if (hour) return { ...from, scheduled: from.scheduled + hour * HOUR }
  const by = key === 'ArrowDown' ? 1 : key === 'ArrowUp' ? -1 : 0
  const names = rows.map(row => row.technician).filter(name => name !== UNASSIGNED)
  const technician = names[names.indexOf(from.technician) + by]
  return by && technician !== undefined ? { ...from, technician } : null
}

/** The orders that a new plan has moved, other than the order `movedId` that the user moved. */
export function movedOrders(before: readonly WorkOrder[], after: readonly WorkOrder[], movedId: string): WorkOrder[] {
  const known = new Map(before.map(order => [order.id, order]))
  return after.filter(order => {
    const previous = known.get(order.id)
    return (
      order.id !== movedId &&
      previous &&
      (previous.scheduled !== order.scheduled || previous.technician !== order.technician)
    )
  })
}
