// The machines, made of what the lists tell: their sensors, open alerts, how long they have, and the next repair.

import { type Alert, type Prognosis, type Sensor, type Severity, type WorkOrder } from '../api/types'
import { lastPart, siteOf } from '../format'

/** How a machine is: the worst open alert's severity, or well. */
export type Standing = Severity | 'well'

/** Worst first. */
export const STANDINGS: readonly Standing[] = ['critical', 'high', 'medium', 'low', 'well']

/** A machine. */
export interface Machine {
  id: string
  site: string
  /** What the machine itself is called. */
  name: string
  sensors: Sensor[]
  standing: Standing
  /** Open alerts, worst first. */
  alerts: Alert[]
  prognosis: Prognosis | undefined
  /** The repair that comes next. */
  order: WorkOrder | undefined
}

/** A site and its machines, worst first. */
export interface Site {
  name: string
  machines: Machine[]
}

/** Without an open alert a prognosis is believed for so long. */
const STALE = 24 * 3600_000

const rank = (standing: Standing): number => STANDINGS.indexOf(standing)

/** Groups by what `key` says. */
export function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = key(item)
    const group = groups.get(name)
    if (group) group.push(item)
    else groups.set(name, [item])
  }
  return groups
}

/** The newest prognosis of each machine. */
export function newest(prognoses: readonly Prognosis[]): Map<string, Prognosis> {
  const found = new Map<string, Prognosis>()
  for (const prognosis of prognoses) {
    const before = found.get(prognosis.asset)
    if (!before || before.time < prognosis.time) found.set(prognosis.asset, prognosis)
  }
  return found
}

/** The machines, worst first. Machines that only an alert names are there too. */
export function machines(
  sensors: readonly Sensor[],
  alerts: readonly Alert[],
  prognoses: readonly Prognosis[],
  orders: readonly WorkOrder[],
  now: number,
): Machine[] {
  const bySensors = grouped(sensors, sensor => sensor.asset)
  const byAlerts = grouped(
    alerts.filter(alert => alert.state === 'open'),
    alert => alert.asset,
  )
  const byOrders = grouped(
    orders.filter(order => order.status === 'planned' && order.scheduled !== null),
    order => order.asset,
  )
  const latest = newest(prognoses)
  const ids = new Set([...bySensors.keys(), ...byAlerts.keys()])
  const made = [...ids].filter(Boolean).map((id): Machine => {
    const open = (byAlerts.get(id) ?? []).toSorted((a, b) => rank(a.severity) - rank(b.severity) || b.updated - a.updated)
    const told = latest.get(id)
    const orders = (byOrders.get(id) ?? []).toSorted((a, b) => a.scheduled! - b.scheduled!)
    return {
      id,
      site: siteOf(id),
      name: lastPart(id),
      sensors: bySensors.get(id) ?? [],
      standing: open[0]?.severity ?? 'well',
      alerts: open,
      prognosis: told && (open.length > 0 || now - told.time < STALE) ? told : undefined,
      order: orders[0],
    }
  })
  return made.sort(worse)
}

/** Order of worst first: severity, then the time that is left, then the name. */
export function worse(one: Machine, other: Machine): number {
  const left = (machine: Machine) => machine.prognosis?.p50 ?? Infinity
  const [mine, theirs] = [left(one), left(other)]
  return (
    rank(one.standing) - rank(other.standing) ||
    (mine === theirs ? 0 : mine - theirs) ||
    one.id.localeCompare(other.id, undefined, { numeric: true })
  )
}

/** The machines by site; the site with the worst machine first. */
export function sites(all: readonly Machine[]): Site[] {
  return [...grouped(all, machine => machine.site)].map(([name, machines]) => ({ name, machines }))
}

/** How many machines stand how. */
export function tally(all: readonly Machine[]): Record<Standing, number> {
  const counts: Record<Standing, number> = { critical: 0, high: 0, medium: 0, low: 0, well: 0 }
  for (const machine of all) counts[machine.standing]++
  return counts
}

/** Whether a sensor may send bursts. */
export const mayVibrate = ({ kind, name }: Sensor): boolean => /vibr|accel|acoust|velocity/i.test(kind || lastPart(name))
