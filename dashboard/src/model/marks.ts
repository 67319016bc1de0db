// Time ranges with an anomaly.

import type { Severity } from '../api/types'

/** A time range to shade. */
export interface Mark {
  start: number
  end: number
  severity: Severity
}

/** Merges overlapping ranges of the same severity. The worst severity is drawn last, on top. */
export function mergeMarks(marks: readonly Mark[]): Mark[] {
  const result: Mark[] = []
  for (const severity of ['low', 'medium', 'high', 'critical'] as const) {
    const sameSeverity = marks.filter(mark => mark.severity === severity).toSorted((a, b) => a.start - b.start)
    let last: Mark | undefined
    for (const mark of sameSeverity) {
      if (last && mark.start <= last.end) last.end = Math.max(last.end, mark.end)
      else result.push((last = { ...mark }))
    }
  }
  return result
}
