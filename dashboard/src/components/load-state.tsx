// What is shown instead of data: loading, empty, or an error, each with advice.

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { ApiError } from '../api'
import { formatClock } from '../format'

/** After this long, the user is told that the host has not answered yet. */
const SLOW_AFTER = 4_000
/** How long a button shows "Copied". */
const COPIED_TIME = 2_000

/** Grey placeholders while data is loading. */
export function Skeleton({ lines = 3, label }: { lines?: number; label: string }) {
  const [isSlow, setSlow] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_AFTER)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div class="skeleton" role="status" aria-label={`Loading: ${label}`}>
      {isSlow ? <p class="faint">Still waiting for the host to answer.</p> : null}
      {Array.from({ length: lines }, (_, n) => (
        <div key={n} class={`bone bone-${n % 3}`} />
      ))}
    </div>
  )
}

/** Shown for an empty result, which need not be an error. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="note">
      <p class="note-title">{title}</p>
      {children}
    </div>
  )
}

/** A command with a button that copies it. */
export function Command({ children }: { children: string }) {
  const [copyResult, setCopyResult] = useState('')
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(children)
      setCopyResult('Copied')
    } catch {
      setCopyResult('Copying failed; select the text')
    }
    setTimeout(() => setCopyResult(''), COPIED_TIME)
  }
  return (
    <div class="command">
      <pre tabIndex={0} aria-label="Command">
        <code>{children}</code>
      </pre>
      {typeof navigator !== 'undefined' && navigator.clipboard ? (
        <button type="button" class="quiet copy" onClick={() => void copy()}>
          <span role="status">{copyResult}</span>
          {copyResult ? '' : 'Copy'}
        </button>
      ) : null}
    </div>
  )
}

/** `what` for use in the middle of a sentence. */
const inSentence = (what: string): string => what.charAt(0).toLowerCase() + what.slice(1)
/** `what` for use at the start of a sentence. */
const atSentenceStart = (what: string): string => what.charAt(0).toUpperCase() + what.slice(1)

/** Title and advice for an error. */
function advice(error: ApiError, what: string): { title: string; body: ComponentChildren } {
  switch (true) {
    case error.status === 0:
      return {
        title: 'The host does not answer',
        body: (
          <>
            <p>
              It may be stopped, or the network may be down. On the host’s machine, start it or check that it is
              running:
            </p>
            <Command>{`curl -i ${location.origin}/health`}</Command>
            <p>This page retries automatically.</p>
          </>
        ),
      }
    case error.status === 403:
      return {
        title: `No permission to view ${inSentence(what)}`,
        body: <p>Ask an administrator for read access to this site. ({error.message})</p>,
      }
    case error.status === 404:
      return {
        title: 'Not found',
        body: (
          <p>
            It may have been deleted by the store’s retention, or this version of the host does not provide{' '}
            {inSentence(what)}. ({error.message})
          </p>
        ),
      }
    case error.status === 429 || error.status === 503:
      return {
        title: 'The host is busy',
        body: <p>It asked to wait a moment; this page retries automatically. ({error.message})</p>,
      }
    case error.status >= 500:
      return {
        title: `The host could not return ${inSentence(what)}`,
        body: (
          <>
            <p>Error: {error.message || error.status}. Check its log, and that the store can be read:</p>
            <Command>wheeltapper query counts</Command>
          </>
        ),
      }
    default:
      return {
        title: `${atSentenceStart(what)} cannot be shown`,
        body: (
          <p>
            The host answered {error.status > 0 ? error.status : ''} {error.message}. The page and the host may have
            different versions: reload the page.
          </p>
        ),
      }
  }
}

/** An error without any older data to show. */
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
 * States that the data is old because the host rejects or fails the request. If the host does not answer at all, the
 * banner at the top of the page says so.
 */
export function Stale({
  of,
  what,
}: {
  of: { data: unknown; error: ApiError | undefined; updatedAt?: number | undefined }
  what: string
}) {
  if (of.data === undefined || !of.error || of.error.status === 0) return null
  return (
    <p class="stale" role="status">
      {atSentenceStart(what)} as of {of.updatedAt === undefined ? 'before' : formatClock(of.updatedAt, true)}: updating
      failed ({of.error.message || of.error.status}). This page retries automatically.
    </p>
  )
}

/** Data, or its placeholder. Old data stays visible and is marked as old. */
export function DataView<T>({
  of,
  what,
  lines,
  children,
}: {
  of: { data: T | undefined; error: ApiError | undefined; updatedAt?: number | undefined }
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
