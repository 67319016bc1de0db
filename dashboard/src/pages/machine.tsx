// One machine: its health, its remaining life, its trends and its vibration, and what users did about it.

import { useMemo, useState } from 'preact/hooks'
import {
  actions,
  type Alert,
  alerts,
  type Anomaly,
  anomalies,
  drifts,
  machineOrders,
  machineSensors,
  prognoses,
  windows,
} from '../api'
import { RemainingLifeChart } from '../charts/remaining-life'
import { formatCount, plural, nameOf, parentPath, formatTime } from '../format'
import { newestPrognoses, isSilent, MACHINE_STATES } from '../model/fleet'
import { isOverdue } from '../model/gantt'
import { onNavigationKey } from '../components/keyboard-nav'
import { Health, RemainingLife } from '../components/health'
import { Command, Empty, DataView } from '../components/load-state'
import { Severity } from '../components/severity'
import { Ago, Time } from '../components/time'
import { usePoll } from '../use-poll'
import { link } from '../router'
import { partOfFault } from '../signal/bearing'
import { driftName, faultName, workName } from '../messages'
import { ActionHistory, BaselineReset } from './machine-actions'
import { RANGES, Trends } from './machine-trends'
import { Vibration } from './machine-vibration'

/**
 * Shown when no data arrives: neither the absence of an alert nor an open alert then says anything about the current
 * state.
 */
function SilenceNote({ lastMeasured }: { lastMeasured: number | null }) {
  return (
    <div class="note silence" role="status">
      <p class="note-title">
        {lastMeasured === null ? (
          'This machine has not been scored yet'
        ) : (
          <>
            No data from this machine since <Time at={lastMeasured} /> (<Ago at={lastMeasured} />)
          </>
        )}
      </p>
      <p>
        {lastMeasured === null ? 'Its first window is not complete, or no data arrives.' : 'Not monitored: no data.'}{' '}
        Check that its devices and the network are up, and whether their data is <a href={link('quality')}>rejected</a>.
      </p>
    </div>
  )
}

function OpenAlerts({ open, silent }: { open: readonly Alert[]; silent: boolean }) {
  if (open.length === 0)
    return silent ? null : (
      <Empty title="This machine is healthy">
        <p>No open alerts.</p>
      </Empty>
    )
  return (
    <ul class="cards">
      {open.map(alert => (
        <li key={alert.id} class={`card alert-card ${alert.severity}`}>
          <div class="card-head">
            <h2 class="row-title">
              <Severity severity={alert.severity} /> {faultName(alert.fault)}
            </h2>
            <span class="faint">
              open since <Time at={alert.opened} />, updated <Ago at={alert.updated} />
            </span>
          </div>
          <p>{alert.message}</p>
          <p class="todo">
            <b>Recommended:</b> {alert.recommendation}
          </p>
          <p class="meta faint">
            <span>{plural(alert.anomalies, 'anomalous window')}</span>
            <a href={link('anomaly', alert.anomaly)}>See the reason</a>
          </p>
        </li>
      ))}
    </ul>
  )
}

function History({ id, found }: { id: string; found: readonly Anomaly[] }) {
  const driftPoll = usePoll(signal => drifts({ asset: id, limit: 10 }, signal), 30_000, [id])
  const [all, setAll] = useState(false)
  const shown = all ? found : found.slice(0, 8)
  return (
    <section>
      <h2>Latest anomalies</h2>
      {found.length === 0 ? (
        <p class="faint">None.</p>
      ) : (
        <ul class="lines" onKeyDown={onNavigationKey}>
          {shown.map(anomaly => (
            <li key={anomaly.id}>
              <Severity severity={anomaly.severity} />
              <Time at={anomaly.end} />
              <a href={link('anomaly', anomaly.id)} data-item>
                {anomaly.fault ? faultName(anomaly.fault) : 'Unusual behaviour'}
              </a>
              <span class="line-text">{anomaly.message}</span>
            </li>
          ))}
        </ul>
      )}
      {found.length > shown.length ? (
        <p>
          <button type="button" class="quiet" onClick={() => setAll(true)}>
            Show all {formatCount(found.length)}
          </button>
        </p>
      ) : null}
      {driftPoll.data?.items.length ? (
        <>
          <h2>Baseline changes</h2>
          <ul class="lines">
            {driftPoll.data.items.map(drift => (
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

/** Machine page. */
export function MachinePage({ id, query }: { id: string; query: URLSearchParams }) {
  const sensorPoll = usePoll(signal => machineSensors(id, signal), 60_000, [id])
  const alertPoll = usePoll(signal => alerts({ asset: id, limit: 20 }, signal), 3_000, [id], ['alert'])
  const anomalyPoll = usePoll(signal => anomalies({ asset: id, limit: 60 }, signal), 5_000, [id], ['anomaly'])
  const prognosisPoll = usePoll(signal => prognoses({ asset: id, limit: 200 }, signal), 10_000, [id])
  const orderPoll = usePoll(signal => machineOrders(id, signal), 10_000, [id], ['work-order'])
  const actionPoll = usePoll(signal => actions({ asset: id, limit: 20 }, signal), 30_000, [id])
  // The newest window of any sensor: without an alert, the user must see whether anything is measured at all.
  const windowPoll = usePoll(signal => windows({ asset: id, limit: 1 }, signal), 15_000, [id])
  const lastMeasured = windowPoll.data ? (windowPoll.data.items[0]?.end ?? null) : undefined
  const silent = lastMeasured !== undefined && isSilent(lastMeasured, Date.now())
  const requestedRange = Number(query.get('range'))
  const minutes = RANGES.find(range => range.minutes === requestedRange)?.minutes ?? 15
  const open = (alertPoll.data?.items ?? [])
    .filter(alert => alert.state === 'open')
    .sort((a, b) => MACHINE_STATES.indexOf(a.severity) - MACHINE_STATES.indexOf(b.severity))
  const prognosis = prognosisPoll.data?.items.length ? newestPrognoses(prognosisPoll.data.items).get(id) : undefined
  const marks = useMemo(
    () =>
      (anomalyPoll.data?.items ?? []).map(anomaly => ({
        sensor: anomaly.sensor,
        start: anomaly.start,
        end: anomaly.end,
        severity: anomaly.severity,
      })),
    [anomalyPoll.data],
  )
  const orders = (orderPoll.data ?? []).filter(order => order.status === 'planned' || order.status === 'unscheduled')
  return (
    <>
      <p class="crumbs">
        <a href={link('fleet')}>Fleet</a> › {parentPath(id)}
      </p>
      <h1>{nameOf(id)}</h1>
      <p class="lead">
        {alertPoll.data && (open[0] || (lastMeasured !== undefined && !silent)) ? (
          <Severity severity={open[0]?.severity ?? 'well'} />
        ) : null}
        {prognosis ? <Health prognosis={prognosis} /> : null}
        {prognosis ? (
          <span>
            time left{' '}
            <b>
              <RemainingLife prognosis={prognosis} />
            </b>
          </span>
        ) : null}
      </p>
      <DataView of={sensorPoll} what="The machine" lines={6}>
        {sensors =>
          sensors.length === 0 ? (
            <Empty title={`No sensors found for ${id}`}>
              <p>The id may be misspelled, or its sensors have not sent any data yet. To list the known sensors:</p>
              <Command>wheeltapper query sensors</Command>
              <p>
                <a href={link('fleet')}>All machines</a>
              </p>
            </Empty>
          ) : (
            <>
              {silent ? <SilenceNote lastMeasured={lastMeasured ?? null} /> : null}
              <DataView of={alertPoll} what="Its alerts">
                {() => <OpenAlerts open={open} silent={silent} />}
              </DataView>
              <BaselineReset
                key={id}
                id={id}
                onReset={() => {
                  actionPoll.refresh()
                  alertPoll.refresh()
                }}
              />
              {orders.length ? (
                <section>
                  <h2>Repairs</h2>
                  <ul class="lines">
                    {orders.map(order => (
                      <li key={order.id}>
                        <span class="tag">priority {order.priority}</span>
                        <span>
                          {order.scheduled === null ? 'not scheduled' : formatTime(order.scheduled)}
                          {isOverdue(order, Date.now()) ? <b class="at-limit"> overdue</b> : null}
                        </span>
                        <a href={link('schedule', '', { order: order.id })}>{workName(order.kind)}</a>
                        <span class="line-text">{order.technician ?? order.notes}</span>
                      </li>
                    ))}
                  </ul>
                </section>
              ) : null}
              {prognosis ? (
                <section>
                  <h2>Health and time left</h2>
                  <RemainingLifeChart prognoses={prognosisPoll.data!.items} />
                </section>
              ) : null}
              <Trends sensors={sensors} marks={marks} minutes={minutes} />
              <Vibration
                sensors={sensors}
                anomalies={anomalyPoll.data?.items ?? []}
                open={open.find(alert => partOfFault(alert.fault))}
              />
              <History id={id} found={anomalyPoll.data?.items ?? []} />
              <ActionHistory actions={actionPoll.data?.items ?? []} />
            </>
          )
        }
      </DataView>
    </>
  )
}
