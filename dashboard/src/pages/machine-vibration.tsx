// Vibration of a machine: its newest waveform, and a waterfall of the last ones.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Alert, type Anomaly, type Sensor, type Waveform, waveforms, windows } from '../api'
import { Waterfall } from '../charts/waterfall'
import { nameOf, formatNumber } from '../format'
import { canSendWaveforms } from '../model/fleet'
import { WaveformView } from '../components/waveform-view'
import { Command, Empty, DataView, Skeleton } from '../components/load-state'
import { useInView } from '../components/use-in-view'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'
import { namedPart, partOfFault } from '../signal/bearing'

/** Maximum number of sensors whose waveforms are requested. */
const MAX_SENSORS = 24
/** Waveforms in the waterfall. */
const WATERFALL_SIZE = 24

/** The section; null if no sensor could send waveforms. */
export function Vibration({
  sensors,
  anomalies,
  open,
}: {
  sensors: readonly Sensor[]
  anomalies: readonly Anomaly[]
  open: Alert | undefined
}) {
  const candidates = useMemo(() => sensors.filter(canSendWaveforms).slice(0, MAX_SENSORS), [sensors])
  const names = candidates.map(sensor => sensor.name).join('\n')
  const [chosenName, setChosenName] = useState<string>()
  const [sensorsWithWaveforms, setSensorsWithWaveforms] = useState<Sensor[]>()
  useEffect(() => {
    const controller = new AbortController()
    void Promise.all(
      candidates.map(async sensor =>
        (await waveforms({ sensor: sensor.name, limit: 1 }, controller.signal).catch(() => undefined))?.items.length
          ? sensor
          : null,
      ),
    ).then(found => {
      if (!controller.signal.aborted) setSensorsWithWaveforms(found.filter(sensor => sensor !== null))
    })
    return () => controller.abort()
  }, [names])
  const sensor = sensorsWithWaveforms?.find(({ name }) => name === chosenName) ?? sensorsWithWaveforms?.[0]
  if (candidates.length === 0) return null
  return (
    <section>
      <div class="section-head">
        <h2>Vibration</h2>
        {sensorsWithWaveforms && sensorsWithWaveforms.length > 1 ? (
          <div class="choices" role="group" aria-label="Sensor">
            {sensorsWithWaveforms.map(({ name }) => (
              <button key={name} type="button" aria-pressed={name === sensor?.name} onClick={() => setChosenName(name)}>
                {nameOf(name)}
              </button>
            ))}
          </div>
        ) : null}
      </div>
      {!sensorsWithWaveforms ? (
        <Skeleton label="Waveforms" />
      ) : !sensor ? (
        <Empty title="No waveforms yet">
          <p>
            Spectra need waveforms: samples at a constant rate, such as 2,048 samples at 25,600 Hz, sent as{' '}
            <code>application/vnd.wheeltapper.waveform</code> (described in <code>components/ingest/README.md</code>). A
            simulated fleet sends them:
          </p>
          <Command>{`wheeltapper simulate --to ${location.origin}`}</Command>
        </Empty>
      ) : (
        <SensorWaveforms key={sensor.name} sensor={sensor} anomalies={anomalies} open={open} />
      )}
    </section>
  )
}

/**
 * The last waveforms, loaded when they are in view because they are the largest part of the page. Waveforms that
 * arrive later are added.
 */
function RecentWaveforms({ sensor, newest }: { sensor: Sensor; newest: Waveform }) {
  const [element, inView] = useInView<HTMLDivElement>(true)
  const poll = usePoll(
    async signal => (inView ? await waveforms({ sensor: sensor.name, limit: WATERFALL_SIZE }, signal) : undefined),
    120_000,
    [sensor.name, inView],
  )
  const received = useRef<Waveform[]>([])
  if (received.current[0]?.start !== newest.start)
    received.current = [newest, ...received.current].slice(0, WATERFALL_SIZE)
  const all = [
    ...new Map([...received.current, ...(poll.data?.items ?? [])].map(waveform => [waveform.start, waveform])).values(),
  ]
  const recent = useMemo(
    () => all.toSorted((a, b) => b.start - a.start).slice(0, WATERFALL_SIZE),
    [all.map(waveform => waveform.start).join()],
  )
  return (
    <div ref={element}>
      {poll.data && recent.length > 1 ? <Waterfall waveforms={recent} maxFrequency={newest.rate / 2} /> : null}
    </div>
  )
}

function SensorWaveforms({
  sensor,
  anomalies,
  open,
}: {
  sensor: Sensor
  anomalies: readonly Anomaly[]
  open: Alert | undefined
}) {
  const poll = usePoll(signal => waveforms({ sensor: sensor.name, limit: 1 }, signal), 5_000, [sensor.name])
  const windowPoll = usePoll(signal => windows({ sensor: sensor.name, limit: 3 }, signal), 5_000, [sensor.name])
  return (
    <DataView of={poll} what="The waveforms" lines={5}>
      {({ items }) => {
        const waveform = items[0]
        if (!waveform) return <Empty title="No waveforms yet" />
        const window = windowPoll.data?.items.find(({ start }) => Math.abs(start - waveform.start) < 2)
        const ofSensor = anomalies.filter(anomaly => anomaly.sensor === sensor.name)
        const named =
          namedPart(window?.features) ??
          partOfFault(open?.fault) ??
          partOfFault(ofSensor.find(anomaly => partOfFault(anomaly.fault))?.fault)
        const rms = window?.features.rms
        return (
          <>
            <p class="faint">
              Newest waveform <Time at={waveform.start} />
              {rms == null ? '' : `, RMS ${formatNumber(rms)} ${sensor.unit.replace('s2', 's²')}`}.
            </p>
            <WaveformView waveform={waveform} window={window} named={named} unit={sensor.unit} />
            <RecentWaveforms sensor={sensor} newest={waveform} />
          </>
        )
      }}
    </DataView>
  )
}
