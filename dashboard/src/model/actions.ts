// Describes the actions of users.

import { time } from '../api/rows'
import type { Action } from '../api/types'
import { formatDayTime } from '../format'
import { orderStatus, resetReasonName } from '../messages'

/** The members of a JSON object; none if the text is anything else. */
function members(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The changes of a work order. */
function describeAmendment(text: string): string {
  const { scheduled_time, technician, pinned, status, reset_baseline } = members(text)
  const start = time(scheduled_time)
  const changes = [
    textOf(status) ? orderStatus(textOf(status)) : '',
    start === null ? '' : formatDayTime(start),
    textOf(technician),
    pinned === true ? 'pinned' : pinned === false ? 'unpinned' : '',
    reset_baseline === true ? 'baseline reset' : '',
  ]
  return changes.filter(change => change !== '').join(', ')
}

/** What a user wrote or changed with an action. The text of some actions is JSON. */
export function describeAction({ kind, text }: Pick<Action, 'kind' | 'text'>): string {
  if (kind === 'amend') return describeAmendment(text)
  if (kind !== 'reset-baseline') return text
  const { reason, comment } = members(text)
  return [resetReasonName(textOf(reason)), textOf(comment)].filter(part => part !== '').join(': ')
}
