// The course of each of a machine's sensors.

import { useMemo, useState } from 'preact/hooks'
import { type Sensor, windows } from '../api'
import { Trend } from '../charts/trend'
import { count, counted, lastPart } from '../format'
import type { Mark } from '../model/marks'
import { mayVibrate } from '../model/fleet'
import { extent, gapped } from '../model/series'
import { Skeleton } from '../parts/notes'
import { useReadings } from '../parts/readings'
import { useSeen } from '../parts/seen'
import { usePoll } from '../poll'
import { setQuery } from '../router'

/** Times that can be shown. */
export const RANGES = [
  { minutes: 15, name: '15 min' },
  { minutes: 60, name: '1 h' },
  { minutes: 360, name: '6 h' },
  { minutes: 1440, name: '24 h' },
] as const

/** Live while the range is short; a day's course does not move in two seconds. */
const LIVE = 60

const every = (minutes: number): number => (minutes <= LIVE ? 2_000 : 15_000)

/** Bursts whose RMS is shown at most: each comes with all its features. */
const BURSTS = 120

/** A mark on the course of one sensor. */
export type SensorMark = Mark & { sensor: string }

/** Its place; what is in view is told by a stream. */
function SensorTrend(props: { sensor: Sensor; minutes: number; marks: readonly Mark[] }) {
  const [place, seen] = useSeen<HTMLDivElement>()
  return (
    <div ref={place} class="trend-place">
      <Course {...props} seen={seen} />
    </div>
  )
}

function Course({ sensor, minutes, marks, seen }: { sensor: Sensor; minutes: number; marks: readonly Mark[]; seen: boolean }) {
  const course = useReadings(sensor.name, minutes, every(minutes), seen, minutes <= LIVE)
  const data = useMemo(() => gapped(course.data ?? { times: [], values: [] }), [course.data])
  const name = lastPart(sensor.name)
  if (!course.data)
    return course.error ? (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">Its readings cannot be had ({course.error.message}).</p>
      </div>
    ) : (
      <div class="trend-note">
        <Skeleton label={name} lines={2} />
      </div>
    )
  if (!extent(data)) {
    if (mayVibrate(sensor)) return <BurstTrend sensor={sensor} minutes={minutes} marks={marks} seen={seen} />
    return (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">No reading in this time. Check the device and its connection, or choose a longer time.</p>
      </div>
    )
  }
  return (
    <Trend
      name={name}
      times={data.times}
      values={data.values}
      unit={sensor.unit}
      marks={marks}
      from={course.from}
      to={course.to}
      sync="machine"
    />
  )
}

/** The course of a sensor that sends bursts: their RMS. */
function BurstTrend({
  sensor,
  minutes,
  marks,
  seen,
}: {
  sensor: Sensor
  minutes: number
  marks: readonly Mark[]
  seen: boolean
}) {
  const since = Math.floor((Date.now() - minutes * 60_000) / 60_000) * 60_000
  const asked = usePoll(
    signal => windows({ sensor: sensor.name, from: new Date(since).toISOString(), limit: BURSTS }, signal),
    seen ? 10_000 : 60_000,
    [sensor.name, minutes],
  )
  const course = useMemo(() => {
    const rows = (asked.data?.items ?? []).filter(window => window.features.rms != null).toSorted((a, b) => a.start - b.start)
    return { times: rows.map(window => window.start), values: rows.map(window => window.features.rms!) }
  }, [asked.data])
  const name = lastPart(sensor.name)
  if (course.times.length === 0) {
    return (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">
          {asked.data || asked.error
            ? 'No reading and no burst in this time. Check the device and its connection, or choose a longer time.'
            : 'Asking for its bursts.'}
        </p>
      </div>
    )
  }
  const to = Date.now()
  return (
    <Trend
      name={`${name}, RMS of bursts`}
      times={course.times}
      values={course.values}
      unit={sensor.unit}
      marks={marks}
      from={to - minutes * 60_000}
      to={to}
      sync="machine"
    />
  )
}

/** Sensors that are shown at first, and that each press of the button adds. */
const SHOWN = 24

/** All of them, beneath a choice of the time. Of very many the first, and those that lead an anomaly. */
export function Trends({
  sensors,
  marks,
  minutes,
}: {
  sensors: readonly Sensor[]
  marks: readonly SensorMark[]
  minutes: number
}) {
  const [most, setMost] = useState(SHOWN)
  const shown = sensors.filter((sensor, n) => n < most || marks.some(mark => mark.sensor === sensor.name))
  return (
    <section>
      <div class="section-head">
        <h2>Trends</h2>
        <div class="choices" role="group" aria-label="Time shown">
          {RANGES.map(range => (
            <button
              key={range.minutes}
              type="button"
              aria-pressed={range.minutes === minutes}
              onClick={() => setQuery({ range: String(range.minutes) })}
            >
              {range.name}
            </button>
          ))}
        </div>
      </div>
      <div class="trends">
        {shown.map(sensor => (
          <SensorTrend
            key={sensor.name}
            sensor={sensor}
            minutes={minutes}
            marks={marks.filter(mark => mark.sensor === sensor.name)}
          />
        ))}
      </div>
      {shown.length < sensors.length ? (
        <p>
          <button type="button" onClick={() => setMost(most + SHOWN)}>
            Show {Math.min(SHOWN, sensors.length - shown.length)} more
          </button>{' '}
          <span class="faint">
            {count(shown.length)} of {counted(sensors.length, 'sensor')}, and each that leads an anomaly.
          </span>
        </p>
      ) : null}
      <p class="faint">
        Anomalies are tinted on the sensor that leads them. Drag over a chart to look closer, double-click to see all.
      </p>
    </section>
  )
}
