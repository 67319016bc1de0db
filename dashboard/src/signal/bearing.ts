// Fault frequencies of a bearing, as computed by the featurize stage for a waveform.

import type { Band } from './spectrum'

/** A part of a bearing. */
export type BearingPart = 'outer' | 'inner' | 'ball' | 'cage'

/** The fault frequency of one part. */
export interface FaultFrequency {
  part: BearingPart
  /** Name for display. */
  label: string
  /** Fundamental frequency, Hz. */
  frequency: number
  /** Distance of its sidebands, Hz; 0 for none. */
  sideband: number
}

const BEARING_PARTS: readonly { part: BearingPart; label: string; mode: string }[] = [
  { part: 'outer', label: 'outer race (BPFO)', mode: 'bearing-outer-race' },
  { part: 'inner', label: 'inner race (BPFI)', mode: 'bearing-inner-race' },
  { part: 'ball', label: 'rolling element (2 × BSF)', mode: 'bearing-ball' },
  { part: 'cage', label: 'cage (FTF)', mode: 'bearing-cage' },
]

/** Features of a window by name; undefined features are null. */
export type Features = Readonly<Record<string, number | null | undefined>>

/** The value of a feature, if it is a finite number. */
export function featureValue(features: Features | undefined, name: string): number | undefined {
  const value = features?.[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** The fault frequencies of all parts that featurize could compute. */
export function faultFrequencies(features: Features | undefined): FaultFrequency[] {
  const shaft = featureValue(features, 'shaft_hz') ?? 0
  const cage = featureValue(features, 'cage_frequency') ?? 0
  return BEARING_PARTS.flatMap(({ part, label }) => {
    const frequency = featureValue(features, `${part}_frequency`)
    if (!frequency || frequency <= 0) return []
    // A fault on a rotating part is strongest when it passes the load: once per shaft revolution, or for a ball once
    // per cage revolution.
    const sideband = part === 'inner' ? shaft : part === 'ball' ? cage : 0
    return [{ part, label, frequency, sideband }]
  })
}

/** The bearing part that a fault mode names. */
export function partOfFault(mode: string | null | undefined): BearingPart | undefined {
  return BEARING_PARTS.find(known => known.mode === mode)?.part
}

/** The bearing part that featurize named for a waveform. */
export function namedPart(features: Features | undefined): BearingPart | undefined {
  return BEARING_PARTS[(featureValue(features, 'bearing_named') ?? 0) - 1]?.part
}

/** The most impulsive band, if featurize found a valid one; otherwise the whole band. */
export function impulsiveBand(features: Features | undefined, rate: number): Band {
  const low = featureValue(features, 'impulsive_low')
  const high = featureValue(features, 'impulsive_high')
  if (low !== undefined && high !== undefined && low >= 0 && high > low && high <= rate / 2 + 1) return { low, high }
  return { low: 0, high: rate / 2 }
}

/** Harmonics of a frequency from the first on, up to a limit. */
export function harmonics(fundamental: number, maxFrequency: number, count = 6): number[] {
  const result: number[] = []
  for (let order = 1; order <= count && order * fundamental <= maxFrequency; order++) result.push(order * fundamental)
  return result
}
