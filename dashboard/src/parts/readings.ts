// Readings of one sensor over the last minutes, which grow while one looks: by its stream, or by asking where there is none.

import { useEffect, useRef, useState } from 'preact/hooks'
import { readings, type Readings, sensorStream } from '../api'
import type { ApiError } from '../api'
import { follow } from '../api/events'
import { streamed } from '../api/rows'
import { place } from '../api/slots'
import { eventId, joined, NONE } from '../model/series'
import { usePoll } from '../poll'

/** Values that a chart gets at first; more than its pixels show nothing more. */
const POINTS = 400
/** From so many on the host is asked for the whole again, thinned. */
const MOST = 3 * POINTS
/** How often is asked while a stream tells, or while nobody looks: a machine may have hundreds of sensors. */
const CALM = 60_000
/** After so many milliseconds another try for a place for a stream. */
const AGAIN = 5_000
/** Who scrolls past needs no stream. */
const STAYS = 400

/** What is known of the course, and the stretch it covers. */
export interface Course {
  data: Readings | undefined
  error: ApiError | undefined
  from: number
  to: number
}

/**
 * Asks for the whole stretch once, then is told what comes by a stream if `stream` wants one, or asks for it every `every`
 * milliseconds, while it is in view (`seen`).
 */
export function useReadings(sensor: string, minutes: number, every: number, seen: boolean, live: boolean): Course {
  const stream = seen && live
  const known = useRef<Readings | undefined>(undefined)
  const [course, setCourse] = useState<Readings>()
  const [told, setTold] = useState(false)
  useEffect(() => {
    known.current = undefined
    setCourse(undefined)
  }, [sensor, minutes])
  const begin = () => Date.now() - minutes * 60_000
  const asked = usePoll(
    async signal => {
      const from = begin()
      const last = known.current?.times.at(-1)
      // The address stays the same until something new comes, so that the host can answer "not modified".
      const whole = last === undefined || (known.current?.times.length ?? 0) > MOST
      const more = await readings(sensor, whole ? Math.floor(from / 1000) * 1000 : last + 1, undefined, POINTS, signal)
      known.current = whole ? more : joined(known.current ?? NONE, more, from)
      return known.current
    },
    told || !seen ? CALM : every,
    [sensor, minutes],
  )
  useEffect(() => {
    if (asked.data) setCourse(asked.data)
  }, [asked.data])
  const loaded = course !== undefined
  useEffect(() => {
    if (!stream || !loaded) return
    const add = (data: string) => {
      known.current = joined(known.current ?? NONE, streamed(data), begin())
      setCourse(known.current)
    }
    const end = streaming(sensor, () => eventId(known.current), add, setTold)
    return () => {
      end()
      setTold(false)
    }
  }, [sensor, minutes, stream, loaded])
  // Without its stream it is asked for at once, not when the long wait is over; so is what comes into view.
  useEffect(() => {
    if (!told && seen && loaded) asked.again()
  }, [told, seen])
  const to = Date.now()
  return { data: course, error: asked.error, from: to - minutes * 60_000, to }
}

/** Follows a sensor's stream while the tab is seen, if there is a place for it; gives what ends it. */
function streaming(
  sensor: string,
  lastId: () => string,
  onData: (data: string) => void,
  onLive: (live: boolean) => void,
): () => void {
  let ended: AbortController | undefined
  let timer = 0
  const run = async (by: AbortController) => {
    const release = await place()
    if (by.signal.aborted) return release?.()
    if (!release) {
      timer = window.setTimeout(() => void run(by), AGAIN)
      return
    }
    await follow({
      signal: by.signal,
      open: (id, signal) => sensorStream(sensor, id, signal),
      lastId,
      onEvent: ({ data }) => onData(data),
      onState: state => onLive(state === 'live'),
    }).finally(release)
  }
  const stop = () => {
    clearTimeout(timer)
    ended?.abort()
    ended = undefined
    onLive(false)
  }
  const adjust = () => {
    if (document.hidden) return stop()
    if (ended) return
    const by = (ended = new AbortController())
    timer = window.setTimeout(() => void run(by), STAYS)
  }
  document.addEventListener('visibilitychange', adjust)
  adjust()
  return () => {
    document.removeEventListener('visibilitychange', adjust)
    stop()
  }
}
