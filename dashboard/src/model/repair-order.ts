// Finds the work order that belongs to an anomaly.

import type { Anomaly, WorkOrder } from '../api/types'

/** The order that repairs an anomaly: the one created for it, otherwise the most urgent one of the machine. */
export function repairOrderOf(
  orders: readonly WorkOrder[],
  anomaly: Pick<Anomaly, 'id' | 'asset'>,
): WorkOrder | undefined {
  const open = orders.filter(
    order => order.asset === anomaly.asset && (order.status === 'planned' || order.status === 'unscheduled'),
  )
  const created = open.filter(order => order.alert === anomaly.id)
  return (created.length ? created : open).toSorted(
    (a, b) => a.priority - b.priority || (a.scheduled ?? Infinity) - (b.scheduled ?? Infinity),
  )[0]
}
