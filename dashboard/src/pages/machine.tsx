// One machine: how it is, how long it has, what its sensors say now, and how it vibrates.

import { useEffect, useMemo, useState } from 'preact/hooks'
import {
  type Alert, alerts, type Anomaly, anomalies, drifts, machineOrders, machineSensors, prognoses, type Sensor, waveforms, windows,
} from '../api'
import { LifeFan } from '../charts/fan'
import { Trend } from '../charts/trend'
import { Waterfall } from '../charts/waterfall'
import { count, counted, lastPart, number, placeOf, when } from '../format'
import { STANDINGS, newest } from '../model/fleet'
import type { Mark } from '../model/marks'
import { extent, gapped } from '../model/series'
import { onArrows } from '../parts/arrows'
import { BurstView } from '../parts/burst'
import { Health, Life } from '../parts/health'
import { Command, Empty, Shown, Skeleton } from '../parts/notes'
import { useReadings } from '../parts/readings'
import { Severity } from '../parts/severity'
import { Ago, Time } from '../parts/time'
import { usePoll } from '../poll'
import { link, setQuery } from '../router'
import { namedPart, partOf } from '../signal/bearing'
import { driftName, fault, work } from '../words'

const RANGES = [
  { minutes: 15, name: '15 min' },
  { minutes: 60, name: '1 h' },
  { minutes: 360, name: '6 h' },
  { minutes: 1440, name: '24 h' },
] as const

/** Live while the range is short; a day's course does not move in two seconds. */
const every = (minutes: number): number => (minutes <= 60 ? 2_000 : 15_000)

/** Bursts in the waterfall. */
const BURSTS = 24

/** A mark on the course of one sensor. */
type SensorMark = Mark & { sensor: string }

/** Whether a sensor may send bursts. */
export const mayVibrate = ({ kind, name }: Sensor): boolean =>
  /vibr|accel|acoust|velocity/i.test(kind || lastPart(name))

function SensorTrend({ sensor, minutes, marks }: { sensor: Sensor; minutes: number; marks: readonly Mark[] }) {
  const course = useReadings(sensor.name, minutes, every(minutes))
  const data = useMemo(() => gapped(course.data ?? { times: [], values: [] }), [course.data])
  const name = lastPart(sensor.name)
  if (!course.data) return course.error ? <div class="trend-note"><b>{name}</b><p class="faint">Its readings cannot be had ({course.error.message}).</p></div> : <div class="trend-note"><Skeleton label={name} lines={2} /></div>
  if (!extent(data)) {
    if (mayVibrate(sensor)) return <BurstTrend sensor={sensor} minutes={minutes} marks={marks} />
    return (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">No reading in this time. Check the device and its connection, or choose a longer time.</p>
      </div>
    )
  }
  return <Trend name={name} times={data.times} values={data.values} unit={sensor.unit} marks={marks} from={course.from} to={course.to} sync="machine" />
}

/** The course of a sensor that sends bursts: their RMS. */
function BurstTrend({ sensor, minutes, marks }: { sensor: Sensor; minutes: number; marks: readonly Mark[] }) {
  const since = Math.floor((Date.now() - minutes * 60_000) / 60_000) * 60_000
  const asked = usePoll(signal => windows({ sensor: sensor.name, from: new Date(since).toISOString(), limit: 1000 }, signal), 10_000, [sensor.name, minutes])
  const course = useMemo(() => {
    const rows = (asked.data?.items ?? []).filter(window => window.features.rms != null).toSorted((a, b) => a.start - b.start)
    return { times: rows.map(window => window.start), values: rows.map(window => window.features.rms!) }
  }, [asked.data])
  const name = lastPart(sensor.name)
  if (course.times.length === 0) {
    return (
      <div class="trend-note">
        <b>{name}</b>
        <p class="faint">{asked.data || asked.error ? 'No reading and no burst in this time. Check the device and its connection, or choose a longer time.' : 'Asking for its bursts.'}</p>
      </div>
    )
  }
  const to = Date.now()
  return <Trend name={`${name}, RMS of bursts`} times={course.times} values={course.values} unit={sensor.unit} marks={marks} from={to - minutes * 60_000} to={to} sync="machine" />
}

function Trends({ sensors, marks, minutes }: { sensors: readonly Sensor[]; marks: readonly SensorMark[]; minutes: number }) {
  return (
    <section>
      <div class="section-head">
        <h2>Trends</h2>
        <div class="choices" role="group" aria-label="Time shown">
          {RANGES.map(range => (
            <button key={range.minutes} type="button" aria-pressed={range.minutes === minutes} onClick={() => setQuery({ range: String(range.minutes) })}>{range.name}</button>
          ))}
        </div>
      </div>
      <div class="trends">{sensors.map(sensor => <SensorTrend key={sensor.name} sensor={sensor} minutes={minutes} marks={marks.filter(mark => mark.sensor === sensor.name)} />)}</div>
      <p class="faint">Anomalies are tinted on the sensor that leads them. Drag over a chart to look closer, double-click to see all.</p>
    </section>
  )
}

function Vibration({ sensors, found, open }: { sensors: readonly Sensor[]; found: readonly Anomaly[]; open: Alert | undefined }) {
  const candidates = useMemo(() => sensors.filter(mayVibrate), [sensors])
  const names = candidates.map(sensor => sensor.name).join('\n')
  const [chosen, choose] = useState<string>()
  const [sending, setSending] = useState<Sensor[]>()
  useEffect(() => {
    const ended = new AbortController()
    void Promise.all(
      candidates.map(async sensor => ((await waveforms({ sensor: sensor.name, limit: 1 }, ended.signal).catch(() => undefined))?.items.length ? sensor : null)),
    ).then(found => {
      if (!ended.signal.aborted) setSending(found.filter(sensor => sensor !== null))
    })
    return () => ended.abort()
  }, [names])
  const sensor = sending?.find(({ name }) => name === chosen) ?? sending?.[0]
  if (candidates.length === 0) return null
  return (
    <section>
      <div class="section-head">
        <h2>Vibration</h2>
        {sending && sending.length > 1 ? (
          <div class="choices" role="group" aria-label="Sensor">
            {sending.map(({ name }) => <button key={name} type="button" aria-pressed={name === sensor?.name} onClick={() => choose(name)}>{lastPart(name)}</button>)}
          </div>
        ) : null}
      </div>
      {!sending ? <Skeleton label="Bursts" /> : !sensor ? (
        <Empty title="No bursts yet">
          <p>Spectra need bursts: stretches of samples at an even rate, such as 2,048 at 25,600 Hz, sent as <code>application/vnd.wheeltapper.waveform</code> (described in <code>components/ingest/README.md</code>). A simulated fleet sends them:</p>
          <Command>{`wheeltapper simulate --to ${location.origin}`}</Command>
        </Empty>
      ) : <Bursts key={sensor.name} sensor={sensor} found={found} open={open} />}
    </section>
  )
}

function Bursts({ sensor, found, open }: { sensor: Sensor; found: readonly Anomaly[]; open: Alert | undefined }) {
  const asked = usePoll(signal => waveforms({ sensor: sensor.name, limit: BURSTS }, signal), 10_000, [sensor.name])
  const told = usePoll(signal => windows({ sensor: sensor.name, limit: BURSTS }, signal), 10_000, [sensor.name])
  return (
    <Shown of={asked} what="The bursts" lines={5}>{({ items }) => {
      const burst = items[0]
      if (!burst) return <Empty title="No bursts yet" />
      const window = told.data?.items.find(({ start }) => Math.abs(start - burst.start) < 2)
      const own = found.filter(anomaly => anomaly.sensor === sensor.name)
      const named = namedPart(window?.features) ?? partOf(open?.fault) ?? partOf(own.find(anomaly => partOf(anomaly.fault))?.fault)
      const rms = window?.features.rms
      return (
        <>
          <p class="faint">Newest burst <Time at={burst.start} />{rms == null ? '' : `, RMS ${number(rms)} ${sensor.unit.replace('s2', 's²')}`}.</p>
          <BurstView burst={burst} window={window} named={named} unit={sensor.unit} />
          {items.length > 1 ? <Waterfall bursts={items} upTo={burst.rate / 2} /> : null}
        </>
      )
    }}</Shown>
  )
}

function Now({ open }: { open: readonly Alert[] }) {
  if (open.length === 0) return <Empty title="This machine is well"><p>No alert is open.</p></Empty>
  return (
    <ul class="cards">
      {open.map(alert => (
        <li key={alert.id} class={`card alert-card ${alert.severity}`}>
          <div class="card-head"><h2 class="row-title"><Severity of={alert.severity} /> {fault(alert.fault)}</h2><span class="faint">open since <Time at={alert.opened} />, updated <Ago at={alert.updated} /></span></div>
          <p>{alert.message}</p>
          <p class="todo"><b>Do:</b> {alert.recommendation}</p>
          <p class="meta faint"><span>{counted(alert.anomalies, 'anomalous window')}</span><a href={link('anomaly', alert.anomaly)}>See the reason</a></p>
        </li>
      ))}
    </ul>
  )
}

function Events({ id, found }: { id: string; found: readonly Anomaly[] }) {
  const moved = usePoll(signal => drifts({ asset: id, limit: 10 }, signal), 30_000, [id])
  const [all, setAll] = useState(false)
  const shown = all ? found : found.slice(0, 8)
  return (
    <section>
      <h2>Latest anomalies</h2>
      {found.length === 0 ? <p class="faint">None.</p> : (
        <ul class="lines" onKeyDown={onArrows}>
          {shown.map(anomaly => (
            <li key={anomaly.id}>
              <Severity of={anomaly.severity} />
              <Time at={anomaly.end} />
              <a href={link('anomaly', anomaly.id)} data-item>{anomaly.fault ? fault(anomaly.fault) : 'Unusual behaviour'}</a>
              <span class="line-text">{anomaly.message}</span>
            </li>
          ))}
        </ul>
      )}
      {found.length > shown.length ? <p><button type="button" class="quiet" onClick={() => setAll(true)}>Show all {count(found.length)} of the latest</button></p> : null}
      {moved.data?.items.length ? (
        <>
          <h2>Changes that are no faults</h2>
          <ul class="lines">{moved.data.items.map(drift => <li key={drift.id}><span class="tag">{driftName(drift.kind)}</span><Time at={drift.time} /><span class="line-text">{drift.message}</span></li>)}</ul>
        </>
      ) : null}
    </section>
  )
}

/** The page. */
export function MachinePage({ id, query }: { id: string; query: URLSearchParams }) {
  const known = usePoll(signal => machineSensors(id, signal), 60_000, [id])
  const raised = usePoll(signal => alerts({ asset: id, limit: 50 }, signal), 3_000, [id])
  const found = usePoll(signal => anomalies({ asset: id, limit: 200 }, signal), 5_000, [id])
  const told = usePoll(signal => prognoses({ asset: id, limit: 500 }, signal), 10_000, [id])
  const planned = usePoll(signal => machineOrders(id, signal), 10_000, [id])
  const wanted = Number(query.get('range'))
  const minutes = RANGES.find(range => range.minutes === wanted)?.minutes ?? 15
  const open = (raised.data?.items ?? []).filter(alert => alert.state === 'open').sort((a, b) => STANDINGS.indexOf(a.severity) - STANDINGS.indexOf(b.severity))
  const prognosis = told.data?.items.length ? newest(told.data.items).get(id) : undefined
  const marks = useMemo(
    () => (found.data?.items ?? []).map(anomaly => ({ sensor: anomaly.sensor, start: anomaly.start, end: anomaly.end, severity: anomaly.severity })),
    [found.data],
  )
  const orders = (planned.data ?? []).filter(order => order.status === 'planned' || order.status === 'unscheduled')
  return (
    <>
      <p class="crumbs"><a href={link('fleet')}>Fleet</a> › {placeOf(id)}</p>
      <h1>{lastPart(id)}</h1>
      <p class="lead">
        {raised.data ? <Severity of={open[0]?.severity ?? 'well'} /> : null}
        {prognosis ? <Health of={prognosis} /> : null}
        {prognosis ? <span>time left <b><Life of={prognosis} /></b></span> : null}
      </p>
      <Shown of={known} what="The machine" lines={6}>{sensors =>
        sensors.length === 0 ? (
          <Empty title={`No sensor belongs to ${id}`}>
            <p>Its name may be written differently, or its sensors have sent nothing yet. These are known:</p>
            <Command>wheeltapper query sensors</Command>
            <p><a href={link('fleet')}>All machines</a></p>
          </Empty>
        ) : (
          <>
            <Shown of={raised} what="Its alerts">{() => <Now open={open} />}</Shown>
            {orders.length ? (
              <section>
                <h2>Repairs</h2>
                <ul class="lines">
                  {orders.map(order => (
                    <li key={order.id}><span class="tag">priority {order.priority}</span><span>{order.scheduled === null ? 'no time yet' : when(order.scheduled)}</span><a href={link('schedule', '', { order: order.id })}>{work(order.kind)}</a><span class="line-text">{order.technician ?? order.notes}</span></li>
                  ))}
                </ul>
              </section>
            ) : null}
            {prognosis ? <section><h2>Health and time left</h2><LifeFan prognoses={told.data!.items} /></section> : null}
            <Trends sensors={sensors} marks={marks} minutes={minutes} />
            <Vibration sensors={sensors} found={found.data?.items ?? []} open={open.find(alert => partOf(alert.fault))} />
            <Events id={id} found={found.data?.items ?? []} />
          </>
        )
      }</Shown>
    </>
  )
}
