// A time, short, with the whole of it on pointing at it.

import { ago, inFull, when } from '../format'

/** A time of day, or of another day. */
export function Time({ at }: { at: number }) {
  return <time dateTime={new Date(at).toISOString()} title={inFull(at)}>{when(at)}</time>
}

/** How long ago. */
export function Ago({ at }: { at: number }) {
  return <time dateTime={new Date(at).toISOString()} title={inFull(at)}>{ago(at)}</time>
}
