// How a machine vibrates: its newest burst, and the last ones.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Alert, type Anomaly, type Sensor, type Waveform, waveforms, windows } from '../api'
import { Waterfall } from '../charts/waterfall'
import { lastPart, number } from '../format'
import { mayVibrate } from '../model/fleet'
import { BurstView } from '../parts/burst'
import { Command, Empty, Shown, Skeleton } from '../parts/notes'
import { useSeen } from '../parts/seen'
import { Time } from '../parts/time'
import { usePoll } from '../poll'
import { namedPart, partOf } from '../signal/bearing'

/** Sensors that are asked for a burst, at most. */
const ASKED = 24
/** Bursts in the waterfall. */
const BURSTS = 24

/** The section; nothing where no sensor could send bursts. */
export function Vibration({
  sensors,
  found,
  open,
}: {
  sensors: readonly Sensor[]
  found: readonly Anomaly[]
  open: Alert | undefined
}) {
  const candidates = useMemo(() => sensors.filter(mayVibrate).slice(0, ASKED), [sensors])
  const names = candidates.map(sensor => sensor.name).join('\n')
  const [chosen, choose] = useState<string>()
  const [sending, setSending] = useState<Sensor[]>()
  useEffect(() => {
    const ended = new AbortController()
    void Promise.all(
      candidates.map(async sensor =>
        (await waveforms({ sensor: sensor.name, limit: 1 }, ended.signal).catch(() => undefined))?.items.length ? sensor : null,
      ),
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
            {sending.map(({ name }) => (
              <button key={name} type="button" aria-pressed={name === sensor?.name} onClick={() => choose(name)}>
                {lastPart(name)}
              </button>
            ))}
          </div>
        ) : null}
      </div>
      {!sending ? (
        <Skeleton label="Bursts" />
      ) : !sensor ? (
        <Empty title="No bursts yet">
          <p>
            Spectra need bursts: stretches of samples at an even rate, such as 2,048 at 25,600 Hz, sent as{' '}
            <code>application/vnd.wheeltapper.waveform</code> (described in <code>components/ingest/README.md</code>). A simulated
            fleet sends them:
          </p>
          <Command>{`wheeltapper simulate --to ${location.origin}`}</Command>
        </Empty>
      ) : (
        <Bursts key={sensor.name} sensor={sensor} found={found} open={open} />
      )}
    </section>
  )
}

/** The last bursts, once somebody looks: they are the heaviest part of the page. What came since then is at hand. */
function Past({ sensor, newest }: { sensor: Sensor; newest: Waveform }) {
  const [place, seen] = useSeen<HTMLDivElement>(true)
  const asked = usePoll(
    async signal => (seen ? await waveforms({ sensor: sensor.name, limit: BURSTS }, signal) : undefined),
    120_000,
    [sensor.name, seen],
  )
  const since = useRef<Waveform[]>([])
  if (since.current[0]?.start !== newest.start) since.current = [newest, ...since.current].slice(0, BURSTS)
  const all = [...new Map([...since.current, ...(asked.data?.items ?? [])].map(burst => [burst.start, burst])).values()]
  const bursts = useMemo(() => all.toSorted((a, b) => b.start - a.start).slice(0, BURSTS), [all.map(burst => burst.start).join()])
  return <div ref={place}>{asked.data && bursts.length > 1 ? <Waterfall bursts={bursts} upTo={newest.rate / 2} /> : null}</div>
}

function Bursts({ sensor, found, open }: { sensor: Sensor; found: readonly Anomaly[]; open: Alert | undefined }) {
  const asked = usePoll(signal => waveforms({ sensor: sensor.name, limit: 1 }, signal), 5_000, [sensor.name])
  const told = usePoll(signal => windows({ sensor: sensor.name, limit: 3 }, signal), 5_000, [sensor.name])
  return (
    <Shown of={asked} what="The bursts" lines={5}>
      {({ items }) => {
        const burst = items[0]
        if (!burst) return <Empty title="No bursts yet" />
        const window = told.data?.items.find(({ start }) => Math.abs(start - burst.start) < 2)
        const own = found.filter(anomaly => anomaly.sensor === sensor.name)
        const named =
          namedPart(window?.features) ?? partOf(open?.fault) ?? partOf(own.find(anomaly => partOf(anomaly.fault))?.fault)
        const rms = window?.features.rms
        return (
          <>
            <p class="faint">
              Newest burst <Time at={burst.start} />
              {rms == null ? '' : `, RMS ${number(rms)} ${sensor.unit.replace('s2', 's²')}`}.
            </p>
            <BurstView burst={burst} window={window} named={named} unit={sensor.unit} />
            <Past sensor={sensor} newest={burst} />
          </>
        )
      }}
    </Shown>
  )
}
