// Error messages of failed changes.

import { ApiError } from '../api'

/** The message for the user: what happened and what to do. */
export function errorMessage(failure: unknown): string {
  if (!(failure instanceof ApiError)) return `The request failed: ${String(failure)}`
  const { status, message } = failure
  if (status === 0) return 'The host does not answer, so the change may or may not have been made. Try again.'
  if (status === 401) return 'Your session has expired; nothing was changed.'
  if (status === 403) return `You do not have the permission; nothing was changed. Ask an administrator. (${message})`
  if (status === 404) return `It no longer exists, or this host does not support the action. (${message})`
  if (status === 405) return 'This host does not support the action: the page and the host have different versions.'
  if (status === 409) return `Conflict with the current state: ${message}`
  if (status === 429) return `Too many requests; wait a moment and try again. (${message})`
  if (status >= 500) return `The host reported an error; the change was probably not made. (${message})`
  return `The request was rejected: ${message}`
}
