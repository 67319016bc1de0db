// Readings of one sensor over the last minutes, which grow while one looks.

import { useEffect, useRef, useState } from 'preact/hooks'
import { readings, type Readings } from '../api'
import type { ApiError } from '../api'
import { joined, NONE } from '../model/series'
import { usePoll } from '../poll'

/** Values that a chart gets at first; more than its pixels show nothing more. */
const POINTS = 600
/** From so many on the host is asked for the whole again, thinned. */
const MOST = 3 * POINTS

/** What is known of the course, and the stretch it covers. */
export interface Course {
  data: Readings | undefined
  error: ApiError | undefined
  from: number
  to: number
}

/** Asks for the whole stretch once, then every `every` milliseconds for what came since. */
export function useReadings(sensor: string, minutes: number, every: number): Course {
  const known = useRef<Readings | undefined>(undefined)
  const [course, setCourse] = useState<Readings>()
  useEffect(() => {
    known.current = undefined
    setCourse(undefined)
  }, [sensor, minutes])
  const asked = usePoll(
    async signal => {
      const from = Date.now() - minutes * 60_000
      const last = known.current?.times.at(-1)
      // The address stays the same until something new comes, so that the host can answer "not modified".
      const whole = last === undefined || (known.current?.times.length ?? 0) > MOST
      const more = await readings(sensor, whole ? Math.floor(from / 1000) * 1000 : last + 1, undefined, POINTS, signal)
      known.current = whole ? more : joined(known.current ?? NONE, more, from)
      return known.current
    },
    every,
    [sensor, minutes],
  )
  useEffect(() => {
    if (asked.data) setCourse(asked.data)
  }, [asked.data])
  const to = Date.now()
  return { data: course, error: asked.error, from: to - minutes * 60_000, to }
}
