// What stands where data should be: still loading, nothing there, or an error; each says what to do.

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { ApiError } from '../api'
import { atClock } from '../format'

/** Who waits longer is told that it is still waited for. */
const LONG = 4_000
/** How long a button says that it has copied. */
const COPIED = 2_000

/** Grey shapes in the place of what is coming. */
export function Skeleton({ lines = 3, label }: { lines?: number; label: string }) {
  const [long, setLong] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), LONG)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div class="skeleton" role="status" aria-label={`Loading: ${label}`}>
      {long ? <p class="faint">Still waiting for the host to answer.</p> : null}
      {Array.from({ length: lines }, (_, n) => (
        <div key={n} class={`bone bone-${n % 3}`} />
      ))}
    </div>
  )
}

/** Nothing is there, and that may be well. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="note">
      <p class="note-title">{title}</p>
      {children}
    </div>
  )
}

/** A command to be copied. */
export function Command({ children }: { children: string }) {
  const [said, setSaid] = useState('')
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(children)
      setSaid('Copied')
    } catch {
      setSaid('Not copied: select it by hand')
    }
    setTimeout(() => setSaid(''), COPIED)
  }
  return (
    <div class="command">
      <pre tabIndex={0} aria-label="Command">
        <code>{children}</code>
      </pre>
      {typeof navigator !== 'undefined' && navigator.clipboard ? (
        <button type="button" class="quiet copy" onClick={() => void copy()}>
          <span role="status">{said}</span>
          {said ? '' : 'Copy'}
        </button>
      ) : null}
    </div>
  )
}

/** `The machine` in the middle of a sentence. */
const within = (what: string): string => what.charAt(0).toLowerCase() + what.slice(1)
/** And at its beginning. */
const leading = (what: string): string => what.charAt(0).toUpperCase() + what.slice(1)

/** What to do about an error, by what it is. */
function advice(error: ApiError, what: string): { title: string; body: ComponentChildren } {
  switch (true) {
    case error.status === 0:
      return {
        title: 'The host does not answer',
        body: (
          <>
            <p>It may have been stopped, or the network between may be down. On its machine, start it or look whether it runs:</p>
            <Command>{`curl -i ${location.origin}/health`}</Command>
            <p>This page asks again by itself.</p>
          </>
        ),
      }
    case error.status === 403:
      return {
        title: `You may not see ${within(what)}`,
        body: <p>Ask an administrator for a role that may read this site. ({error.message})</p>,
      }
    case error.status === 404:
      return {
        title: `There is no such thing`,
        body: (
          <p>
            It may have been deleted by the store’s retention, or this host is too old to tell {within(what)}. ({error.message})
          </p>
        ),
      }
    case error.status === 429 || error.status === 503:
      return {
        title: 'The host is busy',
        body: <p>It asked to wait a moment; this page asks again by itself. ({error.message})</p>,
      }
    case error.status >= 500:
      return {
        title: `The host failed to tell ${within(what)}`,
        body: (
          <>
            <p>It said: {error.message || error.status}. Look at its log, and whether the store can be read:</p>
            <Command>wheeltapper query counts</Command>
          </>
        ),
      }
    default:
      return {
        title: `${leading(what)} cannot be shown`,
        body: (
          <p>
            The host answered {error.status > 0 ? error.status : ''} {error.message}. Page and host may be of different versions:
            reload the page.
          </p>
        ),
      }
  }
}

/** An error where nothing is known. */
export function Failure({ error, what }: { error: ApiError; what: string }) {
  const { title, body } = advice(error, what)
  return (
    <div class="note failure" role="alert">
      <p class="note-title">{title}</p>
      {body}
    </div>
  )
}

/**
 * Says that what is shown is old, as the host refuses or fails to tell it anew. Where it does not answer at all, the line at the
 * top of the page says so for everything.
 */
export function Stale({ of, what }: { of: { data: unknown; error: ApiError | undefined; at?: number | undefined }; what: string }) {
  if (of.data === undefined || !of.error || of.error.status === 0) return null
  return (
    <p class="stale" role="status">
      {leading(what)} as of {of.at === undefined ? 'before' : atClock(of.at, true)}: the host does not tell it anew (
      {of.error.message || of.error.status}). This page asks again by itself.
    </p>
  )
}

/** Data, or what stands in its place. Old data stays, and says that it is old. */
export function Shown<T>({
  of,
  what,
  lines,
  children,
}: {
  of: { data: T | undefined; error: ApiError | undefined; at?: number | undefined }
  what: string
  lines?: number
  children: (data: T) => ComponentChildren
}) {
  if (of.data !== undefined)
    return (
      <>
        <Stale of={of} what={what} />
        {children(of.data)}
      </>
    )
  if (of.error) return <Failure error={of.error} what={what} />
  return <Skeleton label={what} {...(lines === undefined ? {} : { lines })} />
}
