// Polls the API while the page is visible; less often if an event stream reports changes.

import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api'
import { isLive, type EventKind, subscribe } from './live-events'
import { recordStatus } from './host-status'

/** State of a polled resource. `error` may be set together with older data, which is better than none. */
export interface PollResult<T> {
  data: T | undefined
  error: ApiError | undefined
  /** When the host last confirmed `data`, in milliseconds since 1970. */
  updatedAt: number | undefined
  /** Polls now. */
  refresh: () => void
}

/** After a failure, even a slow poll is repeated soon, then with exponential backoff up to half a minute. */
const FIRST_BACKOFF = 1_000
const MAX_BACKOFF = 30_000
/** Minimum interval while events arrive on the stream; it makes up for a lost event. */
const LIVE_INTERVAL = 30_000
/** Several events within this time cause one request. */
const EVENT_DEBOUNCE = 250
/** Minimum interval between requests caused by events. */
const MIN_EVENT_INTERVAL = 2_000

/**
 * Calls `fetchData` now and every `interval` milliseconds, one call at a time, and not while the tab is hidden. Starts
 * again when a value in `deps` changes. `events` lists the events that trigger a request.
 */
export function usePoll<T>(
  fetchData: (signal: AbortSignal) => Promise<T>,
  interval: number,
  deps: readonly unknown[],
  events: readonly EventKind[] = [],
): PollResult<T> {
  const [state, setState] = useState<Omit<PollResult<T>, 'refresh' | 'updatedAt'>>({
    data: undefined,
    error: undefined,
  })
  const lastUpdate = useRef<number | undefined>(undefined)
  const latest = useRef({ fetchData, interval, events })
  latest.current = { fetchData, interval, events }
  const refresh = useRef<() => void>(() => undefined)
  useEffect(() => {
    const controller = new AbortController()
    let timer = 0
    let failures = 0
    let running = false
    let rerun = false
    let startedAt = 0
    setState({ data: undefined, error: undefined })
    lastUpdate.current = undefined
    const nextDelay = () => {
      if (failures) return Math.min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** failures)
      const { interval, events } = latest.current
      return events.length && isLive() ? Math.max(interval, LIVE_INTERVAL) : interval
    }
    const schedule = (milliseconds: number) => {
      clearTimeout(timer)
      if (!controller.signal.aborted && !document.hidden) timer = window.setTimeout(run, milliseconds)
    }
    const run = async () => {
      if (running) return void (rerun = true)
      running = true
      rerun = false
      startedAt = performance.now()
      try {
        const data = await latest.current.fetchData(controller.signal)
        if (controller.signal.aborted) return
        failures = 0
        lastUpdate.current = Date.now()
        recordStatus(200)
        setState(before => (before.data === data && !before.error ? before : { data, error: undefined }))
      } catch (failure) {
        if (controller.signal.aborted) return
        const error = failure instanceof ApiError ? failure : new ApiError(-1, String(failure))
        failures = Math.min(failures + 1, 5)
        if (error.status >= 0) recordStatus(error.status)
        setState(before => ({ data: before.data, error }))
      } finally {
        running = false
      }
      schedule(rerun ? EVENT_DEBOUNCE : nextDelay())
    }
    refresh.current = () => void run()
    const onVisibilityChange = () => {
      if (document.hidden) clearTimeout(timer)
      else void run()
    }
    // An event shortens the wait. During many events there is still a minimum interval.
    const unsubscribe = subscribe(change => {
      if (change !== 'state' && !latest.current.events.includes(change)) return
      if (running) return void (rerun = true)
      if (change !== 'state') schedule(Math.max(EVENT_DEBOUNCE, MIN_EVENT_INTERVAL - (performance.now() - startedAt)))
      else if (latest.current.events.length && !failures) schedule(nextDelay())
    })
    document.addEventListener('visibilitychange', onVisibilityChange)
    void run()
    return () => {
      controller.abort()
      clearTimeout(timer)
      unsubscribe()
      document.removeEventListener('visibilitychange', onVisibilityChange)
    }
  }, [...deps])
  return { ...state, updatedAt: lastUpdate.current, refresh: () => refresh.current() }
}
