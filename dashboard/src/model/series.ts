// Readings that grow while one looks.

import type { Readings } from '../api/types'

/** An empty course. */
export const NONE: Readings = { times: [], values: [] }

/** `more` behind `known`; what overlaps is taken from `more`. Older than `from` is dropped. */
export function joined(known: Readings, more: Readings, from: number): Readings {
  const first = more.times[0]
  let keep = known.times.length
  if (first !== undefined) while (keep > 0 && known.times[keep - 1]! >= first) keep--
  let start = 0
  while (start < keep && known.times[start]! < from) start++
  let begin = 0
  while (begin < more.times.length && more.times[begin]! < from) begin++
  if (start === 0 && keep === known.times.length && begin === more.times.length) return known
  return {
    times: [...known.times.slice(start, keep), ...more.times.slice(begin)],
    values: [...known.values.slice(start, keep), ...more.values.slice(begin)],
  }
}

/** How far apart times usually are: the median, 0 for less than two. */
function distance(times: readonly number[]): number {
  const distances = times
    .slice(1)
    .map((time, n) => time - times[n]!)
    .sort((a, b) => a - b)
  return distances[Math.floor(distances.length / 2)] ?? 0
}

/** A value this old is not how it is now. */
const OLD = 2 * 60_000

/** When the last value was taken, if that is long before `now` for what comes as often as this; null if it is not. */
export function stopped(times: readonly number[], now: number): number | null {
  const last = times.at(-1)
  return last !== undefined && now - last > Math.max(OLD, 3 * distance(times)) ? last : null
}

/**
 * The same course with a gap (null) wherever readings are further apart than `times` their usual distance, so that a line is
 * not drawn through a silence.
 */
export function gapped(course: Readings, times = 5): { times: number[]; values: (number | null)[] } {
  const usual = distance(course.times)
  const out: { times: number[]; values: (number | null)[] } = { times: [], values: [] }
  course.times.forEach((time, n) => {
    const before = course.times[n - 1]
    if (before !== undefined && usual > 0 && time - before > times * usual) {
      out.times.push(before + 1)
      out.values.push(null)
    }
    out.times.push(time)
    out.values.push(course.values[n]!)
  })
  return out
}

/** Lowest, highest and latest of a course; none when it is empty. */
export function extent(course: { values: readonly (number | null)[] }): { low: number; high: number; last: number } | undefined {
  let [low, high, last] = [Infinity, -Infinity, NaN]
  for (const value of course.values) {
    if (value === null) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
    last = value
  }
  return low <= high ? { low, high, last } : undefined
}

/** Limits of an axis that hold all and are never of no height. */
export function limits(low: number, high: number): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1]
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1
  return [low - room, high + room]
}

/** The id that a sensor's stream gives its newest reading: nanoseconds since 1970. */
export function eventId(course: Readings | undefined): string {
  const last = course?.times.at(-1)
  return last === undefined ? '' : String(BigInt(Math.floor(last)) * 1_000_000n)
}
