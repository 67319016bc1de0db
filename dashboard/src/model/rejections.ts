// Counts of rejected readings.

import type { DeadLetter } from '../api/types'
import { groupBy } from './fleet'

/** Number of rejected events and readings by reason, most readings first. */
export function countByReason(
  deadLetters: readonly DeadLetter[],
): { reason: string; events: number; readings: number }[] {
  return [...groupBy(deadLetters, deadLetter => deadLetter.reason)]
    .map(([reason, ofReason]) => ({
      reason,
      events: ofReason.length,
      readings: ofReason.reduce((sum, deadLetter) => sum + deadLetter.readings, 0),
    }))
    .sort((a, b) => b.readings - a.readings || a.reason.localeCompare(b.reason))
}
