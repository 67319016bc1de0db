// One anomaly: what was measured, why it counts, the likely fault, and what to do about it.

import { useEffect, useState } from 'preact/hooks'
import { alerts, type Anomaly, anomaly, sensors, waveforms, windows } from '../api'
import { Contributions } from '../charts/contributions'
import { Trend } from '../charts/trend'
import { formatFull, nameOf, formatNumber, formatPercent, parentPath, formatRange } from '../format'
import { distanceRatio } from '../model/explanation'
import { WaveformView } from '../components/waveform-view'
import { Empty, DataView } from '../components/load-state'
import { Severity } from '../components/severity'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'
import { link } from '../router'
import { namedPart, partOfFault } from '../signal/bearing'
import { faultName, featureName, modelName } from '../messages'
import { Actions } from './anomaly-actions'

function Score({ of }: { of: Anomaly }) {
  const distance = distanceRatio(of)
  const position = (value: number) => `${Math.min(100, (value / Math.max(2, distance * 1.1)) * 100)}%`
  return (
    <div class="verdict">
      <svg
        class="gauge"
        height="34"
        role="img"
        aria-label={`Distance from normal: ${formatNumber(distance)} × the threshold`}
      >
        <rect class="track" x="0" y="8" width="100%" height="12" rx="3" />
        <rect class={`fill ${of.severity}`} x="0" y="8" width={position(distance)} height="12" rx="3" />
        <line class="edge" x1={position(1)} x2={position(1)} y1="2" y2="26" />
      </svg>
      <p class="faint">
        {distance >= 2.3 ? 'More than 2.3' : formatNumber(distance)} × the threshold (the mark).
      </p>
      <dl class="facts">
        <div>
          <dt>Confidence</dt>
          <dd>{formatPercent(of.confidence)}</dd>
        </div>
        <div>
          <dt>Detected by</dt>
          <dd>{modelName(of.model)}</dd>
        </div>
        <div>
          <dt>Window</dt>
          <dd>
            <span title={formatFull(of.start)}>{formatRange(of.start, of.end)}</span>
          </dd>
        </div>
        <div>
          <dt>Sensor</dt>
          <dd>{nameOf(of.sensor)}</dd>
        </div>
      </dl>
    </div>
  )
}

/** What to do first, from the alert that contains the anomaly. */
function Advice({ of }: { of: Anomaly }) {
  const poll = usePoll(signal => alerts({ asset: of.asset, limit: 20 }, signal), 10_000, [of.asset], ['alert'])
  const alert = poll.data?.items.find(
    alert => alert.opened <= of.end + 60_000 && (alert.resolved ?? Infinity) >= of.start,
  )
  if (!alert) return null
  return (
    <section class={`card alert-card ${alert.state === 'open' ? alert.severity : 'resolved'}`} aria-label="What to do">
      <p class="fault">{alert.title}</p>
      <p class="todo">
        <b>Recommended:</b> {alert.recommendation}
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

/** The waveform in which the anomaly was found, if the store still has it. */
function AnomalyWaveform({ of }: { of: Anomaly }) {
  const params = {
    sensor: of.sensor,
    from: new Date(of.start - 1).toISOString(),
    to: new Date(of.start + 1).toISOString(),
    limit: 1,
  }
  const waveformPoll = usePoll(signal => waveforms(params, signal), 60_000, [of.id])
  const windowPoll = usePoll(signal => windows(params, signal), 60_000, [of.id])
  const sensorPoll = usePoll(signal => sensors({ sensor: of.sensor, limit: 1 }, signal), 600_000, [of.sensor])
  const waveform = waveformPoll.data?.items.find(item => Math.abs(item.start - of.start) < 2)
  if (waveformPoll.data && !waveform)
    return (
      <Empty title="The waveform is no longer stored">
        <p>
          It was deleted by the store’s retention (<code>[store] retention</code>). The machine’s page shows the newest
          waveforms.
        </p>
      </Empty>
    )
  if (!waveform)
    return (
      <DataView of={waveformPoll} what="The waveform">
        {() => null}
      </DataView>
    )
  const features = windowPoll.data?.items.find(item => Math.abs(item.start - of.start) < 2)
  return (
    <WaveformView
      waveform={waveform}
      window={features}
      named={partOfFault(of.fault) ?? namedPart(features?.features)}
      unit={sensorPoll.data?.items.find(({ name }) => name === of.sensor)?.unit ?? ''}
    />
  )
}

function AnomalyView({ of, onChange }: { of: Anomaly; onChange: (anomaly: Anomaly) => void }) {
  const name = of.fault ? faultName(of.fault) : 'Unusual behaviour'
  useEffect(() => {
    document.title = `${name} on ${nameOf(of.asset)} · Wheeltapper`
  }, [name, of.asset])
  const hasWaveform = of.model === 'envelope' || of.model === 'octaves'
  const mainContribution = of.contributions[0]
  const expected =
    of.trend &&
    mainContribution &&
    mainContribution.sensor === of.trend.sensor &&
    (mainContribution.feature === of.trend.feature ||
      (of.trend.feature === 'mean' && mainContribution.feature === 'q50'))
      ? mainContribution.expected
      : undefined
  return (
    <>
      <p class="crumbs">
        <a href={link('fleet')}>Fleet</a> › <a href={link('machine', of.asset)}>{nameOf(of.asset)}</a> › anomaly
      </p>
      <h1>
        {name} on <a href={link('machine', of.asset)}>{nameOf(of.asset)}</a>
      </h1>
      <p class="lead">
        <Severity severity={of.severity} />{' '}
        <span class="faint">
          {parentPath(of.asset)}, <Time at={of.detected} />
        </span>
      </p>
      <p class="message">{of.message}</p>
      <Advice of={of} />
      <Actions of={of} changed={onChange} />
      <div class="columns">
        <section>
          <h2>Why</h2>
          {of.contributions.length ? (
            <Contributions contributions={of.contributions} />
          ) : (
            <p class="faint">The model reported no contributions.</p>
          )}
        </section>
        <section>
          <h2>Distance from normal</h2>
          <Score of={of} />
        </section>
      </div>
      {of.trend ? (
        <section>
          <h2>Trend before the anomaly</h2>
          <Trend
            name={`${nameOf(of.trend.sensor)}, ${featureName(of.trend.feature)}`}
            times={of.trend.times}
            values={of.trend.values}
            unit={of.trend.unit}
            marks={[{ start: of.start, end: Math.max(of.end, of.start + 1000), severity: of.severity }]}
            expected={expected}
            height={220}
          />
          <p class="faint">
            {of.trend.times.length} windows up to the anomaly (shaded)
            {expected === undefined ? '' : '; dashed line: normal value'}.
          </p>
        </section>
      ) : null}
      {hasWaveform ? (
        <section>
          <h2>Waveform</h2>
          <AnomalyWaveform of={of} />
        </section>
      ) : null}
    </>
  )
}

/** Anomaly page. */
export function AnomalyPage({ id }: { id: string }) {
  const poll = usePoll(signal => anomaly(id, signal), 15_000, [id])
  // The response to a change is newer than data requested before it.
  const [changedAnomaly, setChangedAnomaly] = useState<Anomaly>()
  const shown =
    changedAnomaly && poll.data && changedAnomaly.actions.length >= poll.data.actions.length
      ? changedAnomaly
      : poll.data
  const changed = (anomaly: Anomaly) => {
    setChangedAnomaly(anomaly)
    poll.refresh()
  }
  return (
    <>
      {poll.data ? null : <h1>Anomaly</h1>}
      <DataView of={{ ...poll, data: shown }} what="The anomaly" lines={6}>
        {of => <AnomalyView of={of} onChange={changed} />}
      </DataView>
    </>
  )
}
