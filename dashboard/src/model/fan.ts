// The picture of remaining life: health so far, and from the latest prognosis on three lines to the limit, between which the
// end lies in 80 of 100 cases.

import type { Prognosis } from '../api/types'

/** A point of the picture. */
export interface Point {
  time: number
  /** 1 as in the beginning, 0 at the limit. */
  health: number
}

/** The whole picture; ends that lie beyond `to` are cut there. */
export interface Fan {
  history: Point[]
  /** From the latest prognosis to the ends; none where no end is in sight. */
  p10: Point | undefined
  p50: Point | undefined
  p90: Point | undefined
  from: number
  to: number
}

const HOUR = 3600_000

/** Makes the picture; nothing without a prognosis. */
export function fan(prognoses: readonly Prognosis[]): Fan | undefined {
  const sorted = prognoses.toSorted((a, b) => a.time - b.time)
  const last = sorted.at(-1)
  if (!last) return undefined
  const first = sorted[0]!
  const known = Math.max(last.time - first.time, HOUR / 4)
  // p90 may lie ten times further than p10: the axis holds the likely end with room, at most three times it. A long past
  // does not press what is left into a corner.
  const ahead = last.p50 === null ? known : Math.min(last.p90 ?? Infinity, 3 * last.p50) * HOUR
  const past = Math.min(known, Math.max(2 * ahead, HOUR / 4))
  const to = last.time + Math.max(ahead * 1.05, past / 4)
  const end = (hours: number | null): Point | undefined => {
    if (hours === null) return undefined
    const time = last.time + hours * HOUR
    if (time <= to) return { time, health: 0 }
    const share = (to - last.time) / (hours * HOUR)
    return { time: to, health: last.health * (1 - share) }
  }
  return {
    history: sorted.filter(({ time }) => time >= last.time - past).map(({ time, health }) => ({ time, health })),
    p10: end(last.p10),
    p50: end(last.p50),
    p90: end(last.p90),
    from: last.time - past,
    to,
  }
}
