// One anomaly: what was seen, why it counts, what it points to, and what to do about it.

import { useEffect, useState } from 'preact/hooks'
import { alerts, type Anomaly, anomaly, sensors, waveforms, windows } from '../api'
import { Contributions } from '../charts/contributions'
import { Trend } from '../charts/trend'
import { inFull, lastPart, number, percent, placeOf, stretch } from '../format'
import { ratio } from '../model/reason'
import { BurstView } from '../parts/burst'
import { Empty, Shown } from '../parts/notes'
import { Severity } from '../parts/severity'
import { Time } from '../parts/time'
import { usePoll } from '../poll'
import { link } from '../router'
import { namedPart, partOf } from '../signal/bearing'
import { fault, featureName, modelName } from '../words'
import { Actions } from './anomaly-actions'

function Verdict({ of }: { of: Anomaly }) {
  const beyond = ratio(of)
  const place = (value: number) => `${Math.min(100, (value / Math.max(2, beyond * 1.1)) * 100)}%`
  return (
    <div class="verdict">
      <svg class="gauge" height="34" role="img" aria-label={`${number(beyond)} times as far from normal as the threshold`}>
        <rect class="track" x="0" y="8" width="100%" height="12" rx="3" />
        <rect class={`fill ${of.severity}`} x="0" y="8" width={place(beyond)} height="12" rx="3" />
        <line class="edge" x1={place(1)} x2={place(1)} y1="2" y2="26" />
      </svg>
      <p class="faint">
        {beyond >= 2.3 ? 'More than 2.3' : number(beyond)} times as far from normal as the threshold (the mark).
      </p>
      <dl class="facts">
        <div>
          <dt>Confidence</dt>
          <dd>{percent(of.confidence)}</dd>
        </div>
        <div>
          <dt>Found by</dt>
          <dd>{modelName(of.model)}</dd>
        </div>
        <div>
          <dt>Window</dt>
          <dd>
            <span title={inFull(of.start)}>{stretch(of.start, of.end)}</span>
          </dd>
        </div>
        <div>
          <dt>Sensor</dt>
          <dd>{lastPart(of.sensor)}</dd>
        </div>
      </dl>
    </div>
  )
}

/** What to do first, from the alert that gathers the anomaly. */
function Advice({ of }: { of: Anomaly }) {
  const asked = usePoll(signal => alerts({ asset: of.asset, limit: 20 }, signal), 10_000, [of.asset], ['alert'])
  const alert = asked.data?.items.find(alert => alert.opened <= of.end + 60_000 && (alert.resolved ?? Infinity) >= of.start)
  if (!alert) return null
  return (
    <section class={`card alert-card ${alert.state === 'open' ? alert.severity : 'resolved'}`} aria-label="What to do">
      <p class="fault">{alert.title}</p>
      <p class="todo">
        <b>Do:</b> {alert.recommendation}
      </p>
      <p class="meta faint">
        <span>
          {alert.state === 'open' ? (
            <>
              open since <Time at={alert.opened} />
            </>
          ) : (
            <>
              resolved <Time at={alert.resolved ?? alert.updated} />
            </>
          )}
        </span>
        <a href={link('schedule')}>Schedule</a>
      </p>
    </section>
  )
}

/** The burst that the anomaly was found in, when the store still has it. */
function Burst({ of }: { of: Anomaly }) {
  const about = {
    sensor: of.sensor,
    from: new Date(of.start - 1).toISOString(),
    to: new Date(of.start + 1).toISOString(),
    limit: 1,
  }
  const burst = usePoll(signal => waveforms(about, signal), 60_000, [of.id])
  const window = usePoll(signal => windows(about, signal), 60_000, [of.id])
  const known = usePoll(signal => sensors({ sensor: of.sensor, limit: 1 }, signal), 600_000, [of.sensor])
  const found = burst.data?.items.find(item => Math.abs(item.start - of.start) < 2)
  if (burst.data && !found)
    return (
      <Empty title="The burst is not in the store any more">
        <p>
          It was deleted by the store’s retention (<code>[store] retention</code>). The machine’s page shows the newest bursts.
        </p>
      </Empty>
    )
  if (!found)
    return (
      <Shown of={burst} what="The burst">
        {() => null}
      </Shown>
    )
  const features = window.data?.items.find(item => Math.abs(item.start - of.start) < 2)
  return (
    <BurstView
      burst={found}
      window={features}
      named={partOf(of.fault) ?? namedPart(features?.features)}
      unit={known.data?.items.find(({ name }) => name === of.sensor)?.unit ?? ''}
    />
  )
}

function Body({ of, changed }: { of: Anomaly; changed: (anomaly: Anomaly) => void }) {
  const name = of.fault ? fault(of.fault) : 'Unusual behaviour'
  useEffect(() => {
    document.title = `${name} on ${lastPart(of.asset)} · Wheeltapper`
  }, [name, of.asset])
  const isBurst = of.model === 'envelope' || of.model === 'octaves'
  const leading = of.contributions[0]
  const expected =
    of.trend &&
    leading &&
    leading.sensor === of.trend.sensor &&
    (leading.feature === of.trend.feature || (of.trend.feature === 'mean' && leading.feature === 'q50'))
      ? leading.expected
      : undefined
  return (
    <>
      <p class="crumbs">
        <a href={link('fleet')}>Fleet</a> › <a href={link('machine', of.asset)}>{lastPart(of.asset)}</a> › anomaly
      </p>
      <h1>
        {name} on <a href={link('machine', of.asset)}>{lastPart(of.asset)}</a>
      </h1>
      <p class="lead">
        <Severity of={of.severity} />{' '}
        <span class="faint">
          {placeOf(of.asset)}, <Time at={of.detected} />
        </span>
      </p>
      <p class="message">{of.message}</p>
      <Advice of={of} />
      <Actions of={of} changed={changed} />
      <div class="columns">
        <section>
          <h2>Why</h2>
          {of.contributions.length ? (
            <Contributions of={of.contributions} />
          ) : (
            <p class="faint">The model told no parts of its reason.</p>
          )}
        </section>
        <section>
          <h2>How far from normal</h2>
          <Verdict of={of} />
        </section>
      </div>
      {of.trend ? (
        <section>
          <h2>How it came to this</h2>
          <Trend
            name={`${lastPart(of.trend.sensor)}, ${featureName(of.trend.feature)}`}
            times={of.trend.times}
            values={of.trend.values}
            unit={of.trend.unit}
            marks={[{ start: of.start, end: Math.max(of.end, of.start + 1000), severity: of.severity }]}
            expected={expected}
            height={220}
          />
          <p class="faint">
            {of.trend.times.length} windows up to the anomaly, which is tinted
            {expected === undefined ? '' : '; the dashed line is what is normal'}.
          </p>
        </section>
      ) : null}
      {isBurst ? (
        <section>
          <h2>The burst</h2>
          <Burst of={of} />
        </section>
      ) : null}
    </>
  )
}

/** The page. */
export function AnomalyPage({ id }: { id: string }) {
  const asked = usePoll(signal => anomaly(id, signal), 15_000, [id])
  // What a change was answered with is newer than what was asked for before it.
  const [answered, setAnswered] = useState<Anomaly>()
  const shown = answered && asked.data && answered.actions.length >= asked.data.actions.length ? answered : asked.data
  const changed = (anomaly: Anomaly) => {
    setAnswered(anomaly)
    asked.again()
  }
  return (
    <>
      {asked.data ? null : <h1>Anomaly</h1>}
      <Shown of={{ ...asked, data: shown }} what="The anomaly" lines={6}>
        {of => <Body of={of} changed={changed} />}
      </Shown>
    </>
  )
}
