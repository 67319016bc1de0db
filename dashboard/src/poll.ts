// Asks again and again while the page is seen.

import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api'
import { heard } from './status'

/** What is known of something that is asked for. `error` may stand beside old data: that is still better than none. */
export interface Asked<T> {
  data: T | undefined
  error: ApiError | undefined
}

/** After a failure what is asked for once a minute is asked for sooner, then later and later, up to half a minute. */
const SOON = 1_000
const LONGEST = 30_000

/**
 * Calls `ask` now and every `every` milliseconds, one call at a time and not while the tab is hidden. Begins anew when a
 * value in `on` changes.
 */
export function usePoll<T>(ask: (signal: AbortSignal) => Promise<T>, every: number, on: readonly unknown[]): Asked<T> {
  const [asked, setAsked] = useState<Asked<T>>({ data: undefined, error: undefined })
  const latest = useRef(ask)
  latest.current = ask
  useEffect(() => {
    const ended = new AbortController()
    let timer = 0
    let failures = 0
    let running = false
    setAsked({ data: undefined, error: undefined })
    const next = () => {
      clearTimeout(timer)
      if (!ended.signal.aborted && !document.hidden)
        timer = window.setTimeout(run, failures ? Math.min(LONGEST, SOON * 2 ** failures) : every)
    }
    const run = async () => {
      if (running) return
      running = true
      try {
        const data = await latest.current(ended.signal)
        if (ended.signal.aborted) return
        failures = 0
        heard(200)
        setAsked(before => (before.data === data && !before.error ? before : { data, error: undefined }))
      } catch (failure) {
        if (ended.signal.aborted) return
        const error = failure instanceof ApiError ? failure : new ApiError(-1, String(failure))
        failures = Math.min(failures + 1, 5)
        if (error.status >= 0) heard(error.status)
        setAsked(before => ({ data: before.data, error }))
      } finally {
        running = false
      }
      next()
    }
    const seen = () => {
      if (document.hidden) clearTimeout(timer)
      else void run()
    }
    document.addEventListener('visibilitychange', seen)
    void run()
    return () => {
      ended.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
    }
  }, [every, ...on])
  return asked
}
