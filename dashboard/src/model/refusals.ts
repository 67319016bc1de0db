// What was refused, counted.

import type { DeadLetter } from '../api/types'
import { grouped } from './fleet'

/** How many readings were refused for which reason, the most first. */
export function byReason(letters: readonly DeadLetter[]): { reason: string; events: number; readings: number }[] {
  return [...grouped(letters, letter => letter.reason)]
    .map(([reason, own]) => ({ reason, events: own.length, readings: own.reduce((sum, letter) => sum + letter.readings, 0) }))
    .sort((a, b) => b.readings - a.readings || a.reason.localeCompare(b.reason))
}
