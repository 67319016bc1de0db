// Data quality: rejected events with their reasons, and faulty sensors.

import { alerts, type DeadLetter, deadLetters, drifts, moreDeadLetters, overview } from '../api'
import { formatCount, plural, formatHours, nameOf, formatPercent } from '../format'
import { countByReason } from '../model/rejections'
import { onNavigationKey } from '../components/keyboard-nav'
import { Command, Empty, DataView } from '../components/load-state'
import { useOlderPages } from '../components/use-older-pages'
import { Severity } from '../components/severity'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'
import { link, setQuery } from '../router'
import { driftName, faultName, rejectionInfo } from '../messages'

/** Dead letters per request. */
const PAGE_SIZE = 100

function Reasons({ deadLetters, chosen }: { deadLetters: readonly DeadLetter[]; chosen: string }) {
  const rows = countByReason(deadLetters)
  const maxReadings = Math.max(1, ...rows.map(row => row.readings))
  return (
    <ul class="reasons" onKeyDown={onNavigationKey}>
      {rows.map(({ reason, events, readings }) => {
        const { title, advice } = rejectionInfo(reason)
        return (
          <li key={reason}>
            <button
              type="button"
              data-item
              aria-pressed={chosen === reason}
              onClick={() => setQuery({ reason: chosen === reason ? '' : reason })}
            >
              <span class="reason-head">
                <b>{title}</b>
                <span>
                  {plural(readings, 'reading')}
                  {events === readings ? '' : ` in ${plural(events, 'event')}`}
                </span>
              </span>
              <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <rect class="track" width="100" height="8" />
                <rect class="fill" width={Math.max(1, (100 * readings) / maxReadings)} height="8" />
              </svg>
              <span class="faint">{advice}</span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}

function DeadLetterItem({ of }: { of: DeadLetter }) {
  return (
    <li>
      <details class="dead-letter">
        <summary data-item>
          <span class="tag">{rejectionInfo(of.reason).title}</span>
          <Time at={of.time} />
          <span class="line-text">
            {of.sensor ? <b>{of.sensor}: </b> : null}
            {of.message}
          </span>
        </summary>
        <dl class="facts">
          <div>
            <dt>Source</dt>
            <dd>{of.source}</dd>
          </div>
          <div>
            <dt>Format</dt>
            <dd>{of.format ?? 'detected from the content'}</dd>
          </div>
          <div>
            <dt>Readings</dt>
            <dd>{formatCount(of.readings)}</dd>
          </div>
          <div>
            <dt>Id</dt>
            <dd>
              <code>{of.id}</code>
            </dd>
          </div>
        </dl>
        <pre class="sample" tabIndex={0} aria-label="Payload">
          {of.payload || '(empty)'}
        </pre>
      </details>
    </li>
  )
}

function RejectedEvents({ reason }: { reason: string }) {
  const poll = usePoll(signal => deadLetters({ limit: PAGE_SIZE }, signal), 5_000, [])
  const loadedRows = useOlderPages<DeadLetter>(
    deadLetter => deadLetter.id,
    next => moreDeadLetters({ limit: PAGE_SIZE }, next),
  )
  return (
    <DataView of={poll} what="The rejected events" lines={6}>
      {page => {
        const { all, loadButton } = loadedRows(page)
        const visible = reason ? all.filter(deadLetter => deadLetter.reason === reason) : all
        if (all.length === 0)
          return (
            <Empty title="No rejected events">
              <p>
                All received events were accepted. A rejected event is kept here as a dead letter, with its reason and
                payload, so that it can be fixed and replayed.
              </p>
            </Empty>
          )
        return (
          <>
            <Reasons deadLetters={all} chosen={reason} />
            <div class="section-head">
              <h2>{reason ? rejectionInfo(reason).title : 'Rejected events'}</h2>
              {reason ? (
                <button type="button" class="quiet" onClick={() => setQuery({ reason: '' })}>
                  Show all reasons
                </button>
              ) : null}
            </div>
            {visible.length === 0 ? (
              <Empty title="No events with this reason">
                <p>There are none among the latest {formatCount(all.length)}.</p>
              </Empty>
            ) : (
              <ul class="lines dead-letters" onKeyDown={onNavigationKey}>
                {visible.map(deadLetter => (
                  <DeadLetterItem key={deadLetter.id} of={deadLetter} />
                ))}
              </ul>
            )}
            {loadButton}
            <h2>Replay</h2>
            <p>After fixing the cause, replay the events to a running host. Accepted events are deleted here:</p>
            <Command>{`wheeltapper dead-letters replay${reason ? ` --reason ${reason}` : ''} --to ${location.origin}`}</Command>
          </>
        )
      }}
    </DataView>
  )
}

function FaultySensors() {
  const poll = usePoll(signal => alerts({ state: 'open', limit: 200 }, signal), 5_000, [], ['alert'])
  return (
    <DataView of={poll} what="The sensor faults">
      {({ items }) => {
        const faulty = items.filter(alert => alert.fault?.startsWith('sensor-'))
        if (faulty.length === 0) return <p class="faint">No stuck sensors and no missing readings.</p>
        return (
          <ul class="lines">
            {faulty.map(alert => (
              <li key={alert.id}>
                <Severity severity={alert.severity} />
                <a href={link('anomaly', alert.anomaly)}>
                  {nameOf(alert.asset)}: {faultName(alert.fault)}
                </a>
                <span class="line-text">{alert.message}</span>
              </li>
            ))}
          </ul>
        )
      }}
    </DataView>
  )
}

function Figures() {
  const poll = usePoll(overview, 2_000, [])
  const { data } = poll
  if (!data) return null
  const rejectedShare =
    data.rejectedReadings !== null && data.readings
      ? data.rejectedReadings / (data.readings + data.rejectedReadings)
      : null
  const shown = (value: number | null) => (value === null ? '–' : formatCount(value))
  return (
    <div class="figures">
      <div class="figure">
        <b>{shown(data.readings)}</b>
        <span>readings accepted</span>
      </div>
      <div class="figure">
        <b class={data.rejectedReadings ? 'medium' : ''}>
          {shown(data.rejectedReadings)}
          {data.atLeast.includes('rejected_readings') ? '+' : ''}
        </b>
        <span>rejected{rejectedShare ? `, ${formatPercent(rejectedShare)}` : ''}</span>
      </div>
      <div class="figure">
        <b>{shown(data.windows)}</b>
        <span>windows scored</span>
      </div>
      {data.backlogBytes === null ? null : (
        <div class="figure">
          <b>{data.backlogBytes < 1e6 ? '0' : `${formatCount(data.backlogBytes / 1e6)} MB`}</b> <span>backlog</span>
        </div>
      )}
      {data.uptimeSeconds === null ? null : (
        <div class="figure">
          <b>{formatHours(data.uptimeSeconds / 3600)}</b>
          <span>uptime of the host</span>
        </div>
      )}
    </div>
  )
}

function Drifts() {
  const poll = usePoll(signal => drifts({ limit: 30 }, signal), 15_000, [])
  return (
    <DataView of={poll} what="The baseline changes">
      {({ items }) =>
        items.length === 0 ? (
          <p class="faint">No baseline has changed.</p>
        ) : (
          <ul class="lines">
            {items.map(drift => (
              <li key={drift.id}>
                <span class="tag">{driftName(drift.kind)}</span>
                <Time at={drift.time} />
                <a href={link('machine', drift.asset)}>{nameOf(drift.asset)}</a>
                <span class="line-text">{drift.message}</span>
              </li>
            ))}
          </ul>
        )
      }
    </DataView>
  )
}

/** Data quality page. */
export function QualityPage({ query }: { query: URLSearchParams }) {
  return (
    <>
      <h1>Data quality</h1>
      <Figures />
      <h2>Rejections by reason</h2>
      <RejectedEvents reason={query.get('reason') ?? ''} />
      <h2>Faulty sensors</h2>
      <FaultySensors />
      <h2>Baseline changes</h2>
      <Drifts />
    </>
  )
}
