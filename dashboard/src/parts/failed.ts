// Why a change was not made, as a sentence.

import { ApiError } from '../api'

/** For people: what happened, and what they can do. */
export function why(failure: unknown): string {
  if (!(failure instanceof ApiError)) return `It did not work: ${String(failure)}`
  const { status, message } = failure
  if (status === 0) return 'The host does not answer; whether it was done is not known. Try again.'
  if (status === 401) return 'Your sign-in has ended; nothing was changed.'
  if (status === 403) return `You may not do this; nothing was changed. Ask an administrator. (${message})`
  if (status === 404) return `It is not there any more, or this host cannot do it. (${message})`
  if (status === 405) return 'This host cannot do it: page and host are of different versions.'
  if (status === 409) return `It goes against how things stand: ${message}`
  if (status === 429) return `Too many at once; wait a moment and try again. (${message})`
  if (status >= 500) return `The host failed; nothing was changed as far as is known. (${message})`
  return `It was refused: ${message}`
}
