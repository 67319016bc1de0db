// Stretches of time in which an anomaly was found.

import type { Severity } from '../api/types'

/** A stretch of time to mark. */
export interface Mark {
  start: number
  end: number
  severity: Severity
}

/** Stretches of one severity that touch are one; the worst is drawn last, on top. */
export function merged(marks: readonly Mark[]): Mark[] {
  const out: Mark[] = []
  for (const severity of ['low', 'medium', 'high', 'critical'] as const) {
    const own = marks.filter(mark => mark.severity === severity).toSorted((a, b) => a.start - b.start)
    let last: Mark | undefined
    for (const mark of own) {
      if (last && mark.start <= last.end) last.end = Math.max(last.end, mark.end)
      else out.push((last = { ...mark }))
    }
  }
  return out
}
