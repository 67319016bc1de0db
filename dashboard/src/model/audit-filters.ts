// Filters of the audit log.

import type { AuditEntry } from '../api/types'

export interface AuditFilters {
  actor: string
  outcome: string
  search: string
}

/** Whether an entry matches the filters. */
export function matchesFilters(entry: AuditEntry, { actor, outcome, search }: AuditFilters): boolean {
  const text =
    `${entry.seq} ${entry.actor} ${entry.action} ${entry.target} ${entry.outcome} ${entry.address}`.toLowerCase()
  return (
    (!actor || entry.actor === actor) &&
    (!outcome || entry.outcome === outcome) &&
    search
      .toLowerCase()
      .split(/\s+/)
      .every(word => text.includes(word))
  )
}

/** Whether an outcome is a failure. */
export const isFailure = (outcome: string): boolean => /den|fail|refus|wrong|err|reject|lock|^[45]\d\d/i.test(outcome)
