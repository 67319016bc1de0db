// Readings of one sensor over the last minutes, updated by its stream, or by polling without a stream.

import { useEffect, useRef, useState } from 'preact/hooks'
import { readings, type Readings, sensorStream } from '../api'
import type { ApiError } from '../api'
import { follow } from '../api/event-stream'
import { streamReadings } from '../api/rows'
import { acquireSlot } from '../api/stream-slots'
import { lastEventId, appendReadings, EMPTY } from '../model/series'
import { usePoll } from '../use-poll'

/** Points requested for a chart; more than its pixels show no further detail. */
const CHART_POINTS = 400
/** From this number of points on, the whole range is requested again, downsampled. */
const MAX_POINTS = 3 * CHART_POINTS
/** Poll interval while a stream is live or the chart is out of view: a machine may have hundreds of sensors. */
const IDLE_INTERVAL = 60_000
/** Delay before the next attempt to get a slot for a stream, in milliseconds. */
const SLOT_RETRY_DELAY = 5_000
/** Delay before a stream is opened, so that scrolling past opens none. */
const STREAM_DELAY = 400

/** The readings and the time range they cover. */
export interface ReadingSeries {
  data: Readings | undefined
  error: ApiError | undefined
  from: number
  to: number
}

/**
 * Loads the whole range once. Then follows the sensor's stream if the chart is in view (`inView`) and `live` is set;
 * otherwise polls every `interval` milliseconds while in view.
 */
export function useReadings(
  sensor: string,
  minutes: number,
  interval: number,
  inView: boolean,
  live: boolean,
): ReadingSeries {
  const stream = inView && live
  const loadedReadings = useRef<Readings | undefined>(undefined)
  const [series, setSeries] = useState<Readings>()
  const [isStreaming, setStreaming] = useState(false)
  useEffect(() => {
    loadedReadings.current = undefined
    setSeries(undefined)
  }, [sensor, minutes])
  const rangeStart = () => Date.now() - minutes * 60_000
  const poll = usePoll(
    async signal => {
      const from = rangeStart()
      const last = loadedReadings.current?.times.at(-1)
      // The URL stays the same until a new reading arrives, so that the host can answer "not modified".
      const fullRange = last === undefined || (loadedReadings.current?.times.length ?? 0) > MAX_POINTS
      const more = await readings(
        sensor,
        fullRange ? Math.floor(from / 1000) * 1000 : last + 1,
        undefined,
        CHART_POINTS,
        signal,
      )
      loadedReadings.current = fullRange ? more : appendReadings(loadedReadings.current ?? EMPTY, more, from)
      return loadedReadings.current
    },
    isStreaming || !inView ? IDLE_INTERVAL : interval,
    [sensor, minutes],
  )
  useEffect(() => {
    if (poll.data) setSeries(poll.data)
  }, [poll.data])
  const isLoaded = series !== undefined
  useEffect(() => {
    if (!stream || !isLoaded) return
    const add = (data: string) => {
      loadedReadings.current = appendReadings(loadedReadings.current ?? EMPTY, streamReadings(data), rangeStart())
      setSeries(loadedReadings.current)
    }
    const stop = followSensor(sensor, () => lastEventId(loadedReadings.current), add, setStreaming)
    return () => {
      stop()
      setStreaming(false)
    }
  }, [sensor, minutes, stream, isLoaded])
  // When the stream ends or the chart comes into view, poll at once instead of after the long interval.
  useEffect(() => {
    if (!isStreaming && inView && isLoaded) poll.refresh()
  }, [isStreaming, inView])
  const to = Date.now()
  return { data: series, error: poll.error, from: to - minutes * 60_000, to }
}

/** Follows a sensor's stream while the tab is visible and a slot is free. Returns the function that stops it. */
function followSensor(
  sensor: string,
  lastId: () => string,
  onData: (data: string) => void,
  onLive: (live: boolean) => void,
): () => void {
  let current: AbortController | undefined
  let timer = 0
  const run = async (controller: AbortController) => {
    const release = await acquireSlot()
    if (controller.signal.aborted) return release?.()
    if (!release) {
      timer = window.setTimeout(() => void run(controller), SLOT_RETRY_DELAY)
      return
    }
    await follow({
      signal: controller.signal,
      open: (id, signal) => sensorStream(sensor, id, signal),
      lastId,
      onEvent: ({ data }) => onData(data),
      onState: state => onLive(state === 'live'),
    }).finally(release)
  }
  const stop = () => {
    clearTimeout(timer)
    current?.abort()
    current = undefined
    onLive(false)
  }
  const update = () => {
    if (document.hidden) return stop()
    if (current) return
    const controller = (current = new AbortController())
    timer = window.setTimeout(() => void run(controller), STREAM_DELAY)
  }
  document.addEventListener('visibilitychange', update)
  update()
  return () => {
    document.removeEventListener('visibilitychange', update)
    stop()
  }
}
