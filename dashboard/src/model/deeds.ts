// Which work order belongs to an anomaly.

import type { Anomaly, WorkOrder } from '../api/types'

/** The order that repairs what an anomaly tells of: one that is named for it, else the machine's most urgent one. */
export function repairOf(orders: readonly WorkOrder[], anomaly: Pick<Anomaly, 'id' | 'asset'>): WorkOrder | undefined {
  const open = orders.filter(
    order => order.asset === anomaly.asset && (order.status === 'planned' || order.status === 'unscheduled'),
  )
  const own = open.filter(order => order.alert === anomaly.id)
  return (own.length ? own : open).toSorted(
    (a, b) => a.priority - b.priority || (a.scheduled ?? Infinity) - (b.scheduled ?? Infinity),
  )[0]
}
