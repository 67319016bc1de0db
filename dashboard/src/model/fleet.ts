// The machines as the API lists them, by site.

import { type Machine, type Prognosis, type Sensor, type Severity } from '../api/types'
import { lastPart, siteOf } from '../format'
import { fault } from '../words'

/** How a machine is: the worst open alert's severity, or well. */
export type Standing = Severity | 'well'

/** Worst first. */
export const STANDINGS: readonly Standing[] = ['critical', 'high', 'medium', 'low', 'well']

/** A site and its machines, worst first. */
export interface Site {
  name: string
  machines: Machine[]
}

/** Without an open alert a prognosis is believed for so long. */
const STALE = 24 * 3600_000

/** A prognosis is told anew every few minutes while a machine is measured. */
const TOLD = 30 * 60_000

/** Whether a prognosis was told so long ago that it must be said. */
export const old = (prognosis: Prognosis, now: number): boolean => now - prognosis.time > TOLD

/** Windows come every few seconds, bursts every few minutes. A machine that tells nothing for longer is not watched. */
const QUIET = 15 * 60_000

/** Whether a machine whose latest window ended then is silent; null where nothing of it was ever measured. */
export const silent = (measured: number | null, now: number): boolean => measured === null || now - measured > QUIET

/** How a machine is. */
export const standing = (machine: Machine): Standing => machine.severity ?? 'well'

const rank = (machine: Machine): number => STANDINGS.indexOf(standing(machine))

/** What is still worth telling of a machine's remaining life. */
export const believed = (machine: Machine, now: number): Prognosis | undefined =>
  machine.prognosis && (machine.severity || now - machine.prognosis.time < STALE) ? machine.prognosis : undefined

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

/** Pages of machines as one list, each machine once, worst first: by severity, then the time that is left, then the name. */
export function gathered(pages: readonly (readonly Machine[])[]): Machine[] {
  const all = new Map<string, Machine>()
  // A machine that moved between two questions is in both: the first page is the newest.
  for (const machine of pages.flat()) if (machine.asset && !all.has(machine.asset)) all.set(machine.asset, machine)
  return [...all.values()].sort(worse)
}

function worse(one: Machine, other: Machine): number {
  const left = (machine: Machine) => machine.prognosis?.p50 ?? Infinity
  const [mine, theirs] = [left(one), left(other)]
  return (
    rank(one) - rank(other) ||
    (mine === theirs ? 0 : mine - theirs) ||
    one.asset.localeCompare(other.asset, undefined, { numeric: true })
  )
}

/** The machines whose place, standing or fault has all these words. */
export function matching(all: readonly Machine[], search: string): readonly Machine[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return all
  return all.filter(machine => {
    const text = `${machine.asset} ${standing(machine)} ${machine.severity ? `${fault(machine.fault)} ${machine.title}` : ''}`
    return words.every(word => text.toLowerCase().includes(word))
  })
}

/** The machines by site; the site with the worst machine first. */
export function sites(all: readonly Machine[]): Site[] {
  return [...grouped(all, machine => siteOf(machine.asset))].map(([name, machines]) => ({ name, machines }))
}

/** How many machines stand how. */
export function tally(all: readonly Machine[]): Record<Standing, number> {
  const counts: Record<Standing, number> = { critical: 0, high: 0, medium: 0, low: 0, well: 0 }
  for (const machine of all) counts[standing(machine)]++
  return counts
}

/** Whether a sensor may send bursts. */
export const mayVibrate = ({ kind, name }: Sensor): boolean => /vibr|accel|acoust|velocity/i.test(kind || lastPart(name))
