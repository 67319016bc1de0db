// Time series of readings that grow while they are shown.

import type { Readings } from '../api/types'

/** An empty series. */
export const EMPTY: Readings = { times: [], values: [] }

/** Appends `more` to `known`; where they overlap, `more` wins. Readings before `from` are dropped. */
export function appendReadings(known: Readings, more: Readings, from: number): Readings {
  const first = more.times[0]
  let keptCount = known.times.length
  if (first !== undefined) while (keptCount > 0 && known.times[keptCount - 1]! >= first) keptCount--
  let start = 0
  while (start < keptCount && known.times[start]! < from) start++
  let moreStart = 0
  while (moreStart < more.times.length && more.times[moreStart]! < from) moreStart++
  if (start === 0 && keptCount === known.times.length && moreStart === more.times.length) return known
  return {
    times: [...known.times.slice(start, keptCount), ...more.times.slice(moreStart)],
    values: [...known.values.slice(start, keptCount), ...more.values.slice(moreStart)],
  }
}

/** Usual interval between readings: the median; 0 for fewer than two readings. */
function usualInterval(times: readonly number[]): number {
  const intervals = times
    .slice(1)
    .map((time, n) => time - times[n]!)
    .sort((a, b) => a - b)
  return intervals[Math.floor(intervals.length / 2)] ?? 0
}

/** A value of this age is not current. */
const MIN_STOPPED_AGE = 2 * 60_000

/** Time of the last value if it is much older than the usual interval before `now`; otherwise null. */
export function stoppedSince(times: readonly number[], now: number): number | null {
  const last = times.at(-1)
  return last !== undefined && now - last > Math.max(MIN_STOPPED_AGE, 3 * usualInterval(times)) ? last : null
}

/**
 * The same series with a gap (null) wherever readings are further apart than `times` their usual interval, so that no
 * line is drawn through a silence.
 */
export function withGaps(series: Readings, times = 5): { times: number[]; values: (number | null)[] } {
  const interval = usualInterval(series.times)
  const result: { times: number[]; values: (number | null)[] } = { times: [], values: [] }
  series.times.forEach((time, n) => {
    const before = series.times[n - 1]
    if (before !== undefined && interval > 0 && time - before > times * interval) {
      result.times.push(before + 1)
      result.values.push(null)
    }
    result.times.push(time)
    result.values.push(series.values[n]!)
  })
  return result
}

/** Lowest, highest and latest value of a series; undefined if it is empty. */
export function extent(series: {
  values: readonly (number | null)[]
}): { low: number; high: number; last: number } | undefined {
  let [low, high, last] = [Infinity, -Infinity, NaN]
  for (const value of series.values) {
    if (value === null) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
    last = value
  }
  return low <= high ? { low, high, last } : undefined
}

/** Axis limits that include all values and are never equal. */
export function axisLimits(low: number, high: number): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1]
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1
  return [low - margin, high + margin]
}

/** The event id of the newest reading in a sensor's stream: nanoseconds since 1970. */
export function lastEventId(series: Readings | undefined): string {
  const last = series?.times.at(-1)
  return last === undefined ? '' : String(BigInt(Math.floor(last)) * 1_000_000n)
}
