// The machines of the fleet, sorted and grouped by site.

import { type Machine, type Prognosis, type Sensor, type Severity } from '../api/types'
import { nameOf, siteOf } from '../format'
import { faultName } from '../messages'

/** State of a machine: the severity of its worst open alert, or `well`. */
export type MachineState = Severity | 'well'

/** Worst first. */
export const MACHINE_STATES: readonly MachineState[] = ['critical', 'high', 'medium', 'low', 'well']

/** A site and its machines, worst first. */
export interface Site {
  name: string
  machines: Machine[]
}

/** Without an open alert, a prognosis is shown for this long. */
const MAX_PROGNOSIS_AGE = 24 * 3600_000

/** A prognosis is updated every few minutes while a machine is measured; after this long it is outdated. */
const OUTDATED_AFTER = 30 * 60_000

/** Whether a prognosis is so old that its age must be shown. */
export const isOutdated = (prognosis: Prognosis, now: number): boolean => now - prognosis.time > OUTDATED_AFTER

/**
 * Windows arrive every few seconds, waveforms every few minutes. A machine without data for longer is not monitored.
 */
const SILENCE_TIMEOUT = 15 * 60_000

/** Whether a machine is silent, given the end of its latest window; null if it has never been measured. */
export const isSilent = (lastMeasured: number | null, now: number): boolean =>
  lastMeasured === null || now - lastMeasured > SILENCE_TIMEOUT

/** State of a machine. */
export const machineState = (machine: Machine): MachineState => machine.severity ?? 'well'

const rank = (machine: Machine): number => MACHINE_STATES.indexOf(machineState(machine))

/** The prognosis of a machine, if it is recent enough to be shown. */
export const currentPrognosis = (machine: Machine, now: number): Prognosis | undefined =>
  machine.prognosis && (machine.severity || now - machine.prognosis.time < MAX_PROGNOSIS_AGE)
    ? machine.prognosis
    : undefined

/** Groups items by `key`. */
export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
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
export function newestPrognoses(prognoses: readonly Prognosis[]): Map<string, Prognosis> {
  const newest = new Map<string, Prognosis>()
  for (const prognosis of prognoses) {
    const known = newest.get(prognosis.asset)
    if (!known || known.time < prognosis.time) newest.set(prognosis.asset, prognosis)
  }
  return newest
}

/**
 * Merges pages of machines into one list without duplicates, worst first: by severity, then remaining life, then name.
 */
export function mergePages(pages: readonly (readonly Machine[])[]): Machine[] {
  const all = new Map<string, Machine>()
  // A machine that moved between two requests is on both pages: the first page is the newest.
  for (const machine of pages.flat()) if (machine.asset && !all.has(machine.asset)) all.set(machine.asset, machine)
  return [...all.values()].sort(compareMachines)
}

function compareMachines(one: Machine, other: Machine): number {
  const remaining = (machine: Machine) => machine.prognosis?.p50 ?? Infinity
  const [leftHours, rightHours] = [remaining(one), remaining(other)]
  return (
    rank(one) - rank(other) ||
    (leftHours === rightHours ? 0 : leftHours - rightHours) ||
    one.asset.localeCompare(other.asset, undefined, { numeric: true })
  )
}

/** The machines whose id, state or fault contains all words of the search. */
export function searchMachines(all: readonly Machine[], search: string): readonly Machine[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return all
  return all.filter(machine => {
    const text = `${machine.asset} ${machineState(machine)} ${machine.severity ? `${faultName(machine.fault)} ${machine.title}` : ''}`
    return words.every(word => text.toLowerCase().includes(word))
  })
}

/** The machines by site; the site with the worst machine first. */
export function groupBySite(all: readonly Machine[]): Site[] {
  return [...groupBy(all, machine => siteOf(machine.asset))].map(([name, machines]) => ({ name, machines }))
}

/** Number of machines by state. */
export function countByState(all: readonly Machine[]): Record<MachineState, number> {
  const counts: Record<MachineState, number> = { critical: 0, high: 0, medium: 0, low: 0, well: 0 }
  for (const machine of all) counts[machineState(machine)]++
  return counts
}

/** Whether a sensor may send waveforms. */
export const canSendWaveforms = ({ kind, name }: Sensor): boolean =>
  /vibr|accel|acoust|velocity/i.test(kind || nameOf(name))
