// What stands where data should be: still loading, nothing there, or an error; each says what to do.

import type { ComponentChildren } from 'preact'
import type { ApiError } from '../api'

/** Grey shapes in the place of what is coming. */
export function Skeleton({ lines = 3, label }: { lines?: number; label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={`${label} are loading`}>
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
  const copy = () => void navigator.clipboard?.writeText(children).catch(() => undefined)
  return (
    <div class="command">
      <pre tabIndex={0} aria-label="Command">
        <code>{children}</code>
      </pre>
      {typeof navigator !== 'undefined' && navigator.clipboard ? (
        <button type="button" class="quiet" onClick={copy}>
          Copy
        </button>
      ) : null}
    </div>
  )
}

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
        title: `You may not see ${what}`,
        body: <p>Ask an administrator for a role that may read this site. ({error.message})</p>,
      }
    case error.status === 404:
      return {
        title: `There is no such thing`,
        body: (
          <p>
            It may have been deleted by the store’s retention, or this host is too old to tell {what}. ({error.message})
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
        title: `The host failed to tell ${what}`,
        body: (
          <>
            <p>It said: {error.message || error.status}. Look at its log, and whether the store can be read:</p>
            <Command>wheeltapper query counts</Command>
          </>
        ),
      }
    default:
      return {
        title: `${what} cannot be shown`,
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

/** Data, or what stands in its place. Old data stays when the host is silent for a while: the line at the top says so. */
export function Shown<T>({
  of,
  what,
  lines,
  children,
}: {
  of: { data: T | undefined; error: ApiError | undefined }
  what: string
  lines?: number
  children: (data: T) => ComponentChildren
}) {
  if (of.data !== undefined) return <>{children(of.data)}</>
  if (of.error) return <Failure error={of.error} what={what} />
  return <Skeleton label={what} {...(lines === undefined ? {} : { lines })} />
}
