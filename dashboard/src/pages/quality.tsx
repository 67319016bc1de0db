// The data itself: what was refused and why, and sensors that cannot be trusted.

import { alerts, type DeadLetter, deadLetters, drifts, moreDeadLetters, overview } from '../api'
import { count, counted, hours, lastPart, percent } from '../format'
import { byReason } from '../model/refusals'
import { onArrows } from '../parts/arrows'
import { Command, Empty, Shown } from '../parts/notes'
import { useOlder } from '../parts/older'
import { Severity } from '../parts/severity'
import { Time } from '../parts/time'
import { usePoll } from '../poll'
import { link, setQuery } from '../router'
import { driftName, fault, refusal } from '../words'

/** Letters that one question asks for. */
const LIMIT = 100

function Reasons({ letters, chosen }: { letters: readonly DeadLetter[]; chosen: string }) {
  const rows = byReason(letters)
  const most = Math.max(1, ...rows.map(row => row.readings))
  return (
    <ul class="reasons" onKeyDown={onArrows}>
      {rows.map(({ reason, events, readings }) => {
        const { title, todo } = refusal(reason)
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
                  {counted(readings, 'reading')}
                  {events === readings ? '' : ` in ${counted(events, 'event')}`}
                </span>
              </span>
              <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <rect class="track" width="100" height="8" />
                <rect class="fill" width={Math.max(1, (100 * readings) / most)} height="8" />
              </svg>
              <span class="faint">{todo}</span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}

function Letter({ of }: { of: DeadLetter }) {
  return (
    <li>
      <details class="letter">
        <summary data-item>
          <span class="tag">{refusal(of.reason).title}</span>
          <Time at={of.time} />
          <span class="line-text">
            {of.sensor ? <b>{of.sensor}: </b> : null}
            {of.message}
          </span>
        </summary>
        <dl class="facts">
          <div>
            <dt>Came by</dt>
            <dd>{of.source}</dd>
          </div>
          <div>
            <dt>Format</dt>
            <dd>{of.format ?? 'told by its bytes'}</dd>
          </div>
          <div>
            <dt>Readings</dt>
            <dd>{count(of.readings)}</dd>
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

function Letters({ reason }: { reason: string }) {
  const asked = usePoll(signal => deadLetters({ limit: LIMIT }, signal), 5_000, [])
  const loaded = useOlder<DeadLetter>(
    letter => letter.id,
    next => moreDeadLetters({ limit: LIMIT }, next),
  )
  return (
    <Shown of={asked} what="What was refused" lines={6}>
      {page => {
        const { all, button } = loaded(page)
        const shown = reason ? all.filter(letter => letter.reason === reason) : all
        if (all.length === 0)
          return (
            <Empty title="Nothing was refused">
              <p>
                All that came could be read. What cannot be is kept here with its reason and its payload, so that it can be mended
                and sent again.
              </p>
            </Empty>
          )
        return (
          <>
            <Reasons letters={all} chosen={reason} />
            <div class="section-head">
              <h2>{reason ? refusal(reason).title : 'Refused events'}</h2>
              {reason ? (
                <button type="button" class="quiet" onClick={() => setQuery({ reason: '' })}>
                  Show all reasons
                </button>
              ) : null}
            </div>
            {shown.length === 0 ? (
              <Empty title="None for this reason">
                <p>It is not among the latest {count(all.length)}.</p>
              </Empty>
            ) : (
              <ul class="lines letters" onKeyDown={onArrows}>
                {shown.map(letter => (
                  <Letter key={letter.id} of={letter} />
                ))}
              </ul>
            )}
            {button}
            <h2>Send them again</h2>
            <p>Once the cause is mended, a running host takes them anew, and those it takes are deleted here:</p>
            <Command>{`wheeltapper dlq replay${reason ? ` --reason ${reason}` : ''} --to ${location.origin}`}</Command>
          </>
        )
      }}
    </Shown>
  )
}

function Sensors() {
  const asked = usePoll(signal => alerts({ state: 'open', limit: 200 }, signal), 5_000, [], ['alert'])
  return (
    <Shown of={asked} what="Sensors’ faults">
      {({ items }) => {
        const bad = items.filter(alert => alert.fault?.startsWith('sensor-'))
        if (bad.length === 0) return <p class="faint">No sensor is known to be stuck or to lose readings.</p>
        return (
          <ul class="lines">
            {bad.map(alert => (
              <li key={alert.id}>
                <Severity of={alert.severity} />
                <a href={link('anomaly', alert.anomaly)}>
                  {lastPart(alert.asset)}: {fault(alert.fault)}
                </a>
                <span class="line-text">{alert.message}</span>
              </li>
            ))}
          </ul>
        )
      }}
    </Shown>
  )
}

function Figures() {
  const asked = usePoll(overview, 2_000, [])
  const { data } = asked
  if (!data) return null
  const share =
    data.refusedReadings !== null && data.readings ? data.refusedReadings / (data.readings + data.refusedReadings) : null
  const shown = (value: number | null) => (value === null ? '–' : count(value))
  return (
    <div class="figures">
      <div class="figure">
        <b>{shown(data.readings)}</b>
        <span>readings taken in</span>
      </div>
      <div class="figure">
        <b class={data.refusedReadings ? 'medium' : ''}>
          {shown(data.refusedReadings)}
          {data.atLeast.includes('rejected_readings') ? '+' : ''}
        </b>
        <span>refused{share ? `, ${percent(share)}` : ''}</span>
      </div>
      <div class="figure">
        <b>{shown(data.windows)}</b>
        <span>windows scored</span>
      </div>
      {data.behindBytes === null ? null : (
        <div class="figure">
          <b>{data.behindBytes < 1e6 ? 'none' : `${count(data.behindBytes / 1e6)} MB`}</b>
          <span>waits to be scored</span>
        </div>
      )}
      {data.uptimeSeconds === null ? null : (
        <div class="figure">
          <b>{hours(data.uptimeSeconds / 3600)}</b>
          <span>since the host’s start</span>
        </div>
      )}
    </div>
  )
}

function Drifts() {
  const asked = usePoll(signal => drifts({ limit: 30 }, signal), 15_000, [])
  return (
    <Shown of={asked} what="Changes">
      {({ items }) =>
        items.length === 0 ? (
          <p class="faint">What is normal has moved for no machine.</p>
        ) : (
          <ul class="lines">
            {items.map(drift => (
              <li key={drift.id}>
                <span class="tag">{driftName(drift.kind)}</span>
                <Time at={drift.time} />
                <a href={link('machine', drift.asset)}>{lastPart(drift.asset)}</a>
                <span class="line-text">{drift.message}</span>
              </li>
            ))}
          </ul>
        )
      }
    </Shown>
  )
}

/** The page. */
export function QualityPage({ query }: { query: URLSearchParams }) {
  return (
    <>
      <h1>Data quality</h1>
      <Figures />
      <h2>Why events were refused</h2>
      <Letters reason={query.get('reason') ?? ''} />
      <h2>Sensors with a fault</h2>
      <Sensors />
      <h2>Where normal has moved</h2>
      <Drifts />
    </>
  )
}
