// One machine: how it is, how long it has, what its sensors say now, and how it vibrates.

import { useMemo, useState } from 'preact/hooks'
import { type Alert, alerts, type Anomaly, anomalies, drifts, machineOrders, machineSensors, prognoses, windows } from '../api'
import { LifeFan } from '../charts/fan'
import { count, counted, lastPart, placeOf, when } from '../format'
import { newest, silent, STANDINGS } from '../model/fleet'
import { overdue } from '../model/gantt'
import { onArrows } from '../parts/arrows'
import { Health, Life } from '../parts/health'
import { Command, Empty, Shown } from '../parts/notes'
import { Severity } from '../parts/severity'
import { Ago, Time } from '../parts/time'
import { usePoll } from '../poll'
import { link } from '../router'
import { partOf } from '../signal/bearing'
import { driftName, fault, work } from '../words'
import { RANGES, Trends } from './machine-trends'
import { Vibration } from './machine-vibration'

/** Nothing is measured: then no alert says nothing of the machine, and one that is open nothing of how it is now. */
function Silence({ measured }: { measured: number | null }) {
  return (
    <div class="note silence" role="status">
      <p class="note-title">
        {measured === null ? (
          'Nothing of this machine has been judged yet'
        ) : (
          <>
            Nothing has come from this machine since <Time at={measured} /> (<Ago at={measured} />)
          </>
        )}
      </p>
      <p>
        {measured === null ? 'Its first window is not full yet, or nothing comes.' : 'It is not watched while nothing comes.'} Look
        whether its devices and the network run, and whether what they send is{' '}
        <a href={link('quality')}>refused</a>.
      </p>
    </div>
  )
}

function Now({ open, quiet }: { open: readonly Alert[]; quiet: boolean }) {
  if (open.length === 0)
    return quiet ? null : (
      <Empty title="This machine is well">
        <p>No alert is open.</p>
      </Empty>
    )
  return (
    <ul class="cards">
      {open.map(alert => (
        <li key={alert.id} class={`card alert-card ${alert.severity}`}>
          <div class="card-head">
            <h2 class="row-title">
              <Severity of={alert.severity} /> {fault(alert.fault)}
            </h2>
            <span class="faint">
              open since <Time at={alert.opened} />, updated <Ago at={alert.updated} />
            </span>
          </div>
          <p>{alert.message}</p>
          <p class="todo">
            <b>Do:</b> {alert.recommendation}
          </p>
          <p class="meta faint">
            <span>{counted(alert.anomalies, 'anomalous window')}</span>
            <a href={link('anomaly', alert.anomaly)}>See the reason</a>
          </p>
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
      {found.length === 0 ? (
        <p class="faint">None.</p>
      ) : (
        <ul class="lines" onKeyDown={onArrows}>
          {shown.map(anomaly => (
            <li key={anomaly.id}>
              <Severity of={anomaly.severity} />
              <Time at={anomaly.end} />
              <a href={link('anomaly', anomaly.id)} data-item>
                {anomaly.fault ? fault(anomaly.fault) : 'Unusual behaviour'}
              </a>
              <span class="line-text">{anomaly.message}</span>
            </li>
          ))}
        </ul>
      )}
      {found.length > shown.length ? (
        <p>
          <button type="button" class="quiet" onClick={() => setAll(true)}>
            Show all {count(found.length)} of the latest
          </button>
        </p>
      ) : null}
      {moved.data?.items.length ? (
        <>
          <h2>Changes that are no faults</h2>
          <ul class="lines">
            {moved.data.items.map(drift => (
              <li key={drift.id}>
                <span class="tag">{driftName(drift.kind)}</span>
                <Time at={drift.time} />
                <span class="line-text">{drift.message}</span>
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </section>
  )
}

/** The page. */
export function MachinePage({ id, query }: { id: string; query: URLSearchParams }) {
  const known = usePoll(signal => machineSensors(id, signal), 60_000, [id])
  const raised = usePoll(signal => alerts({ asset: id, limit: 20 }, signal), 3_000, [id], ['alert'])
  const found = usePoll(signal => anomalies({ asset: id, limit: 60 }, signal), 5_000, [id], ['anomaly'])
  const told = usePoll(signal => prognoses({ asset: id, limit: 200 }, signal), 10_000, [id])
  const planned = usePoll(signal => machineOrders(id, signal), 10_000, [id], ['work-order'])
  // The newest window of any of its sensors: who sees no alert must see whether anything is measured at all.
  const scored = usePoll(signal => windows({ asset: id, limit: 1 }, signal), 15_000, [id])
  const measured = scored.data ? (scored.data.items[0]?.end ?? null) : undefined
  const quiet = measured !== undefined && silent(measured, Date.now())
  const wanted = Number(query.get('range'))
  const minutes = RANGES.find(range => range.minutes === wanted)?.minutes ?? 15
  const open = (raised.data?.items ?? [])
    .filter(alert => alert.state === 'open')
    .sort((a, b) => STANDINGS.indexOf(a.severity) - STANDINGS.indexOf(b.severity))
  const prognosis = told.data?.items.length ? newest(told.data.items).get(id) : undefined
  const marks = useMemo(
    () =>
      (found.data?.items ?? []).map(anomaly => ({
        sensor: anomaly.sensor,
        start: anomaly.start,
        end: anomaly.end,
        severity: anomaly.severity,
      })),
    [found.data],
  )
  const orders = (planned.data ?? []).filter(order => order.status === 'planned' || order.status === 'unscheduled')
  return (
    <>
      <p class="crumbs">
        <a href={link('fleet')}>Fleet</a> › {placeOf(id)}
      </p>
      <h1>{lastPart(id)}</h1>
      <p class="lead">
        {raised.data && (open[0] || (measured !== undefined && !quiet)) ? <Severity of={open[0]?.severity ?? 'well'} /> : null}
        {prognosis ? <Health of={prognosis} /> : null}
        {prognosis ? (
          <span>
            time left{' '}
            <b>
              <Life of={prognosis} />
            </b>
          </span>
        ) : null}
      </p>
      <Shown of={known} what="The machine" lines={6}>
        {sensors =>
          sensors.length === 0 ? (
            <Empty title={`No sensor belongs to ${id}`}>
              <p>Its name may be written differently, or its sensors have sent nothing yet. These are known:</p>
              <Command>wheeltapper query sensors</Command>
              <p>
                <a href={link('fleet')}>All machines</a>
              </p>
            </Empty>
          ) : (
            <>
              {quiet ? <Silence measured={measured ?? null} /> : null}
              <Shown of={raised} what="Its alerts">
                {() => <Now open={open} quiet={quiet} />}
              </Shown>
              {orders.length ? (
                <section>
                  <h2>Repairs</h2>
                  <ul class="lines">
                    {orders.map(order => (
                      <li key={order.id}>
                        <span class="tag">priority {order.priority}</span>
                        <span>
                          {order.scheduled === null ? 'no time yet' : when(order.scheduled)}
                          {overdue(order, Date.now()) ? <b class="at-limit"> overdue</b> : null}
                        </span>
                        <a href={link('schedule', '', { order: order.id })}>{work(order.kind)}</a>
                        <span class="line-text">{order.technician ?? order.notes}</span>
                      </li>
                    ))}
                  </ul>
                </section>
              ) : null}
              {prognosis ? (
                <section>
                  <h2>Health and time left</h2>
                  <LifeFan prognoses={told.data!.items} />
                </section>
              ) : null}
              <Trends sensors={sensors} marks={marks} minutes={minutes} />
              <Vibration sensors={sensors} found={found.data?.items ?? []} open={open.find(alert => partOf(alert.fault))} />
              <Events id={id} found={found.data?.items ?? []} />
            </>
          )
        }
      </Shown>
    </>
  )
}
