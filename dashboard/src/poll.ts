// Asks again and again while the page is seen; less often where a stream of events tells when it is worth it.

import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api'
import { isLive, type Kind, listen } from './live'
import { heard } from './status'

/** What is known of something that is asked for. `error` may stand beside old data: that is still better than none. */
export interface Asked<T> {
  data: T | undefined
  error: ApiError | undefined
  /** When `data` was last told, or told to be as it was. */
  at: number | undefined
  /** Asks now. */
  again: () => void
}

/** After a failure what is asked for once a minute is asked for sooner, then later and later, up to half a minute. */
const SOON = 1_000
const LONGEST = 30_000
/** While events come by themselves, this often is enough: should one be lost, it is made up for. */
const CALM = 30_000
/** Many events at once are worth one question. */
const GATHER = 250
/** And no more than one in so many milliseconds. */
const APART = 2_000

/**
 * Calls `ask` now and every `every` milliseconds, one call at a time and not while the tab is hidden. Begins anew when a
 * value in `on` changes. `wake` names the events that make it worth asking.
 */
export function usePoll<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  every: number,
  on: readonly unknown[],
  wake: readonly Kind[] = [],
): Asked<T> {
  const [asked, setAsked] = useState<Omit<Asked<T>, 'again' | 'at'>>({ data: undefined, error: undefined })
  const answered = useRef<number | undefined>(undefined)
  const latest = useRef({ ask, every, wake })
  latest.current = { ask, every, wake }
  const again = useRef<() => void>(() => undefined)
  useEffect(() => {
    const ended = new AbortController()
    let timer = 0
    let failures = 0
    let running = false
    let missed = false
    let began = 0
    setAsked({ data: undefined, error: undefined })
    answered.current = undefined
    const pause = () => {
      if (failures) return Math.min(LONGEST, SOON * 2 ** failures)
      const { every, wake } = latest.current
      return wake.length && isLive() ? Math.max(every, CALM) : every
    }
    const soon = (milliseconds: number) => {
      clearTimeout(timer)
      if (!ended.signal.aborted && !document.hidden) timer = window.setTimeout(run, milliseconds)
    }
    const run = async () => {
      if (running) return void (missed = true)
      running = true
      missed = false
      began = performance.now()
      try {
        const data = await latest.current.ask(ended.signal)
        if (ended.signal.aborted) return
        failures = 0
        answered.current = Date.now()
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
      soon(missed ? GATHER : pause())
    }
    again.current = () => void run()
    const seen = () => {
      if (document.hidden) clearTimeout(timer)
      else void run()
    }
    // An event comes while we wait: the wait is cut short. Between two events of a storm there is still some.
    const deaf = listen(what => {
      if (what !== 'state' && !latest.current.wake.includes(what)) return
      if (running) return void (missed = true)
      if (what !== 'state') soon(Math.max(GATHER, APART - (performance.now() - began)))
      else if (latest.current.wake.length && !failures) soon(pause())
    })
    document.addEventListener('visibilitychange', seen)
    void run()
    return () => {
      ended.abort()
      clearTimeout(timer)
      deaf()
      document.removeEventListener('visibilitychange', seen)
    }
  }, [...on])
  return { ...asked, at: answered.current, again: () => again.current() }
}
