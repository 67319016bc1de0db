// Data of the remaining-life chart: the health so far, and three lines from the latest prognosis to the limit. The end
// is between the outer lines in 80 of 100 cases.

import type { Prognosis } from '../api/types'

/** A point of the chart. */
export interface LifePoint {
  time: number
  /** 1 for a new machine, 0 at the wear limit. */
  health: number
}

/** The chart; ends beyond `to` are clipped there. */
export interface LifeChart {
  history: LifePoint[]
  /** Ends of the lines from the latest prognosis; undefined if the wear trend does not reach the limit. */
  p10: LifePoint | undefined
  p50: LifePoint | undefined
  p90: LifePoint | undefined
  from: number
  to: number
}

const HOUR = 3600_000

/** Computes the chart; undefined without a prognosis. */
export function lifeChart(prognoses: readonly Prognosis[]): LifeChart | undefined {
  const sorted = prognoses.toSorted((a, b) => a.time - b.time)
  const last = sorted.at(-1)
  if (!last) return undefined
  const first = sorted[0]!
  const historySpan = Math.max(last.time - first.time, HOUR / 4)
  // p90 may be ten times p10: the axis shows the likely end with some room, at most three times as far. A long history
  // does not squeeze the forecast into a corner.
  const forecastSpan = last.p50 === null ? historySpan : Math.min(last.p90 ?? Infinity, 3 * last.p50) * HOUR
  const shownHistory = Math.min(historySpan, Math.max(2 * forecastSpan, HOUR / 4))
  const to = last.time + Math.max(forecastSpan * 1.05, shownHistory / 4)
  const end = (hours: number | null): LifePoint | undefined => {
    if (hours === null) return undefined
    const time = last.time + hours * HOUR
    if (time <= to) return { time, health: 0 }
    const share = (to - last.time) / (hours * HOUR)
    return { time: to, health: last.health * (1 - share) }
  }
  return {
    history: sorted
      .filter(({ time }) => time >= last.time - shownHistory)
      .map(({ time, health }) => ({ time, health })),
    p10: end(last.p10),
    p50: end(last.p50),
    p90: end(last.p90),
    from: last.time - shownHistory,
    to,
  }
}
