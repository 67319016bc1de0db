// A time, short, with the whole of it on pointing at it.

import { useEffect, useState } from 'preact/hooks'
import { ago, inFull, when } from '../format'

/** A time of day, or of another day. */
export function Time({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={inFull(at)}>
      {when(at)}
    </time>
  )
}

/** How often "10 s ago" is told anew. */
const EVERY = 10_000

/** How long ago; it goes on by itself, as an answer that is not modified draws nothing. */
export function Ago({ at }: { at: number }) {
  const [, again] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => again(count => count + 1), EVERY)
    return () => clearInterval(timer)
  }, [])
  return (
    <time dateTime={new Date(at).toISOString()} title={inFull(at)}>
      {ago(at)}
    </time>
  )
}
