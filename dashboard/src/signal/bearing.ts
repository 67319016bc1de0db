// Lines of a bearing's faults, as featurize found them in a burst.

import type { Band } from './spectrum'

/** A part of a bearing. */
export type Part = 'outer' | 'inner' | 'ball' | 'cage'

/** One part's lines. */
export interface FaultLine {
  part: Part
  /** What people call it. */
  label: string
  /** Fundamental, Hz. */
  frequency: number
  /** Distance of its sidebands, Hz; 0 where it has none. */
  sideband: number
}

const PARTS: readonly { part: Part; label: string; mode: string }[] = [
  { part: 'outer', label: 'outer race (BPFO)', mode: 'bearing-outer-race' },
  { part: 'inner', label: 'inner race (BPFI)', mode: 'bearing-inner-race' },
  { part: 'ball', label: 'rolling element (2 × BSF)', mode: 'bearing-ball' },
  { part: 'cage', label: 'cage (FTF)', mode: 'bearing-cage' },
]

/** Features of a window, by name; what is not defined is null. */
export type Features = Readonly<Record<string, number | null | undefined>>

/** The number of that name, when there is one. */
export function feature(features: Features | undefined, name: string): number | undefined {
  const value = features?.[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** The lines of every part that featurize could compute. */
export function faultLines(features: Features | undefined): FaultLine[] {
  const shaft = feature(features, 'shaft_hz') ?? 0
  const cage = feature(features, 'cage_frequency') ?? 0
  return PARTS.flatMap(({ part, label }) => {
    const frequency = feature(features, `${part}_frequency`)
    if (!frequency || frequency <= 0) return []
    // A fault on what turns is heard louder when it passes the load: once a turn of the shaft, or for a ball of the cage.
    const sideband = part === 'inner' ? shaft : part === 'ball' ? cage : 0
    return [{ part, label, frequency, sideband }]
  })
}

/** The part that a fault mode names. */
export function partOf(mode: string | null | undefined): Part | undefined {
  return PARTS.find(known => known.mode === mode)?.part
}

/** The part that featurize named in a burst. */
export function namedPart(features: Features | undefined): Part | undefined {
  return PARTS[(feature(features, 'bearing_named') ?? 0) - 1]?.part
}

/** The band in which the burst is most impulsive, where featurize told one that fits; else all from `low` on. */
export function impulsiveBand(features: Features | undefined, rate: number): Band {
  const low = feature(features, 'impulsive_low')
  const high = feature(features, 'impulsive_high')
  if (low !== undefined && high !== undefined && low >= 0 && high > low && high <= rate / 2 + 1) return { low, high }
  return { low: 0, high: rate / 2 }
}

/** The frequencies to mark: harmonics from the first on, up to a limit. */
export function harmonics(fundamental: number, upTo: number, most = 6): number[] {
  const out: number[] = []
  for (let order = 1; order <= most && order * fundamental <= upTo; order++) out.push(order * fundamental)
  return out
}
