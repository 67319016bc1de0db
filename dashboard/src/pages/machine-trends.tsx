// Trends of a machine's sensors.

import { useMemo, useState } from 'preact/hooks'
import { type Sensor, windows } from '../api'
import { Trend } from '../charts/trend'
import { formatCount, plural, nameOf } from '../format'
import type { Mark } from '../model/marks'
import { canSendWaveforms } from '../model/fleet'
import { extent, withGaps } from '../model/series'
import { Skeleton } from '../components/load-state'
import { useReadings } from '../components/use-readings'
import { useInView } from '../components/use-in-view'
import { usePoll } from '../use-poll'
import { setQuery } from '../router'

/** Time ranges that can be shown. */
export const RANGES = [
  { minutes: 15, name: '15 min' },
  { minutes: 60, name: '1 h' },
  { minutes: 360, name: '6 h' },
  { minutes: 1440, name: '24 h' },
] as const

/** Longest range in minutes that is updated live; a day's trend does not change visibly in two seconds. */
const MAX_LIVE_MINUTES = 60

const pollInterval = (minutes: number): number => (minutes <= MAX_LIVE_MINUTES ? 2_000 : 15_000)

/** Maximum number of waveforms in an RMS trend: each comes with all its features. */
const MAX_WAVEFORMS = 120

/** A shaded range in the trend of one sensor. */
export type SensorMark = Mark & { sensor: string }

/** A trend that is updated by a stream while it is in view. */
function SensorTrend(props: { sensor: Sensor; minutes: number; marks: readonly Mark[] }) {
  const [element, inView] = useInView<HTMLDivElement>()
  return (
    <div ref={element} class="trend-slot">
      <TrendOrNote {...props} inView={inView} />
    </div>
  )
}

function TrendOrNote({
  sensor,
  minutes,
  marks,
  inView,
}: {
  sensor: Sensor
  minutes: number
  marks: readonly Mark[]
  inView: boolean
}) {
  const series = useReadings(sensor.name, minutes, pollInterval(minutes), inView, minutes <= MAX_LIVE_MINUTES)
  const data = useMemo(() => withGaps(series.data ?? { times: [], values: [] }), [series.data])
  const name = nameOf(sensor.name)
  if (!series.data)
    return series.error ? (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">Its readings could not be loaded ({series.error.message}).</p>
      </div>
    ) : (
      <div class="trend-note">
        <Skeleton label={name} lines={2} />
      </div>
    )
  if (!extent(data)) {
    if (canSendWaveforms(sensor))
      return <WaveformTrend sensor={sensor} minutes={minutes} marks={marks} inView={inView} />
    return (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">
          No readings in this time range. Check the device and its connection, or choose a longer range.
        </p>
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
      from={series.from}
      to={series.to}
      sync="machine"
    />
  )
}

/** RMS trend of a sensor that sends waveforms. */
function WaveformTrend({
  sensor,
  minutes,
  marks,
  inView,
}: {
  sensor: Sensor
  minutes: number
  marks: readonly Mark[]
  inView: boolean
}) {
  const since = Math.floor((Date.now() - minutes * 60_000) / 60_000) * 60_000
  const poll = usePoll(
    signal => windows({ sensor: sensor.name, from: new Date(since).toISOString(), limit: MAX_WAVEFORMS }, signal),
    inView ? 10_000 : 60_000,
    [sensor.name, minutes],
  )
  const series = useMemo(() => {
    const rows = (poll.data?.items ?? [])
      .filter(window => window.features.rms != null)
      .toSorted((a, b) => a.start - b.start)
    return { times: rows.map(window => window.start), values: rows.map(window => window.features.rms!) }
  }, [poll.data])
  const name = nameOf(sensor.name)
  if (series.times.length === 0) {
    return (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">
          {poll.data || poll.error
            ? 'No readings and no waveforms in this time range. Check the device and its connection, or choose a longer range.'
            : 'Loading its waveforms.'}
        </p>
      </div>
    )
  }
  const to = Date.now()
  return (
    <Trend
      name={`${name}, RMS of waveforms`}
      times={series.times}
      values={series.values}
      unit={sensor.unit}
      marks={marks}
      from={to - minutes * 60_000}
      to={to}
      sync="machine"
    />
  )
}

/** Sensors shown at first, and added by each press of the button. */
const SENSORS_PER_STEP = 24

/**
 * All trends, below a choice of the time range. With very many sensors, the first ones and the main sensors of
 * anomalies.
 */
export function Trends({
  sensors,
  marks,
  minutes,
}: {
  sensors: readonly Sensor[]
  marks: readonly SensorMark[]
  minutes: number
}) {
  const [sensorLimit, setSensorLimit] = useState(SENSORS_PER_STEP)
  const shown = sensors.filter((sensor, n) => n < sensorLimit || marks.some(mark => mark.sensor === sensor.name))
  return (
    <section>
      <div class="section-head">
        <h2>Trends</h2>
        <div class="choices" role="group" aria-label="Time range">
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
          <button type="button" onClick={() => setSensorLimit(sensorLimit + SENSORS_PER_STEP)}>
            Show {Math.min(SENSORS_PER_STEP, sensors.length - shown.length)} more
          </button>{' '}
          <span class="faint">
            {formatCount(shown.length)} of {plural(sensors.length, 'sensor')}, including the main sensors of anomalies.
          </span>
        </p>
      ) : null}
      <p class="faint">Shaded: main sensor during the anomaly. Drag over a chart to zoom, double-click to reset.</p>
    </section>
  )
}
