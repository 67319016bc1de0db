// The fleet: which machines go bad, worst first, and all machines by site. The API gives the machines worst first and in
// pages, so that a large plant's first page comes as quickly as a small one's.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { useAccess } from '../access'
import { type Alert, alerts, type Machine, machines, moreMachines, overview, type Page } from '../api'
import { count, counted, lastPart, number, placeOf, when } from '../format'
import { believed, gathered, matching, type Site, sites, standing, STANDINGS, tally } from '../model/fleet'
import { onArrows } from '../parts/arrows'
import { Health, Life } from '../parts/health'
import { Command, Empty, Failure, Skeleton, Stale } from '../parts/notes'
import { Severity, severityName, Shape } from '../parts/severity'
import { Ago } from '../parts/time'
import { usePoll } from '../poll'
import { link } from '../router'
import { fault } from '../words'

/** Machines in full beneath the heading; the rest is on the page of alerts. */
const SHOWN = 6
/** Machines that one question asks for. */
const LIMIT = 100

function Figure({ value, name, href, tone = '' }: { value: string; name: string; href?: string; tone?: string }) {
  const inside = (
    <>
      <b class={tone}>{value}</b>
      <span>{name}</span>
    </>
  )
  return href ? (
    <a class="figure" href={href}>
      {inside}
    </a>
  ) : (
    <div class="figure">{inside}</div>
  )
}

function MachineCard({ machine, alert }: { machine: Machine; alert: Alert | undefined }) {
  const name = lastPart(machine.asset)
  const updated = alert?.updated ?? machine.lastAnomaly
  const prognosis = believed(machine, Date.now())
  return (
    <li class={`card alert-card ${standing(machine)}`}>
      <div class="card-head">
        <h3>
          <Severity of={standing(machine)} />
          <a href={link('machine', machine.asset)} data-item>
            {name}
          </a>
          <span class="faint">{placeOf(machine.asset)}</span>
        </h3>
        {updated ? (
          <span class="faint">
            updated <Ago at={updated} />
          </span>
        ) : null}
      </div>
      <p class="fault">{fault(machine.fault)}</p>
      <p>{alert?.message ?? machine.title}</p>
      {alert ? (
        <p class="todo">
          <b>Do:</b> {alert.recommendation}
        </p>
      ) : null}
      <dl class="facts">
        <div>
          <dt>Time left</dt>
          <dd>
            <Life of={prognosis} />
          </dd>
        </div>
        {prognosis ? (
          <div>
            <dt>Health</dt>
            <dd>
              <Health of={prognosis} />
            </dd>
          </div>
        ) : null}
        <div>
          <dt>Repair</dt>
          <dd>
            {machine.nextOrder === null ? (
              <span class="faint">not planned</span>
            ) : (
              <a href={link('schedule', '', { asset: machine.asset })}>
                {machine.nextOrder < Date.now() ? 'was to begin' : 'planned'} {when(machine.nextOrder)}
                <span class="hidden"> for {name}</span>
              </a>
            )}
          </dd>
        </div>
        <div>
          <dt>Why</dt>
          <dd>
            <a href={alert ? link('anomaly', alert.anomaly) : link('machine', machine.asset)}>
              {alert ? 'See the reason' : 'Look at it'}
              <span class="hidden"> for the alert on {name}</span>
            </a>
          </dd>
        </div>
      </dl>
    </li>
  )
}

function Tile({ machine }: { machine: Machine }) {
  const place = placeOf(machine.asset).split(' › ').slice(1).join(' › ')
  return (
    <li>
      <a class={`tile ${standing(machine)}`} href={link('machine', machine.asset)} data-item>
        <span class="tile-name">
          <Shape of={standing(machine)} label={severityName(standing(machine))} /> {lastPart(machine.asset)}
        </span>
        <span class="faint tile-place">{place}</span>
        {machine.severity ? <span class="tile-fault">{fault(machine.fault)}</span> : null}
        <Health of={believed(machine, Date.now())} />
      </a>
    </li>
  )
}

function SiteSection({ site, whole }: { site: Site; whole: boolean }) {
  const counts = tally(site.machines)
  const bad = STANDINGS.filter(standing => standing !== 'well' && counts[standing] > 0)
  return (
    <section class="site" aria-label={site.name || 'Machines without a site'}>
      <h3>
        {site.name || 'No site'}{' '}
        <span class="faint">
          {whole ? counted(site.machines.length, 'machine') : `the ${counted(site.machines.length, 'worst one', 'worst ones')}`}
        </span>
        <span class="site-counts">
          {bad.map(standing => (
            <span key={standing} class={`severity ${standing}`}>
              <Shape of={standing} /> {counts[standing]} {severityName(standing).toLowerCase()}
            </span>
          ))}
          {bad.length === 0 ? (
            <span class="severity well">
              <Shape of="well" /> no alert
            </span>
          ) : null}
        </span>
      </h3>
      <ul class="tiles" onKeyDown={onArrows}>
        {site.machines.map(machine => (
          <Tile key={machine.asset} machine={machine} />
        ))}
      </ul>
    </section>
  )
}

function NoSensors() {
  const { me } = useAccess()
  const closed = me !== undefined && me.method !== 'open' && me.method !== 'none'
  return (
    <Empty title="No sensor has sent anything yet">
      <p>Send a reading, and its machine is shown here. A machine is the part of a sensor’s id before the last slash:</p>
      <Command>{`curl ${location.origin}/api/v1/ingest -H 'Content-Type: application/json'${closed ? " -H 'X-API-Key: KEY'" : ''} -d '{"sensor_id": "site/hall/pump-01/vibration", "values": 2.4}'`}</Command>
      <p>Or look at a simulated fleet:</p>
      <Command>{`wheeltapper simulate --to ${location.origin}${closed ? ' --key KEY' : ''}`}</Command>
      {closed ? (
        <p>
          KEY is an API key with the scope ingest, which an administrator makes under <a href={link('keys')}>Keys</a>.
        </p>
      ) : null}
    </Empty>
  )
}

/** What follows the first page: it is asked for when somebody wants to see it, or searches. */
function useOlder(first: Page<Machine> | undefined) {
  const [older, setOlder] = useState<Page<Machine>[]>([])
  const [busy, setBusy] = useState(false)
  const next = (older.at(-1) ?? first)?.next ?? null
  const more = async (all: boolean) => {
    if (busy) return
    setBusy(true)
    const pages = [...older]
    try {
      for (let cursor = next; cursor;) {
        const page = await moreMachines({ limit: LIMIT }, cursor)
        pages.push(page)
        setOlder([...pages])
        cursor = all && page.items.length ? page.next : null
      }
    } catch {
      // The line at the top tells that the host is silent; the button is still there.
    }
    setBusy(false)
  }
  return { older, busy, next, more }
}

function Figures({ all, whole }: { all: readonly Machine[]; whole: boolean }) {
  const { data } = usePoll(overview, 2_000, [])
  const bad = all.filter(machine => machine.severity)
  // The list begins with the worst: where it reaches to one that is well, all bad ones are known.
  const known = whole || bad.length < all.length
  const plus = known ? '' : '+'
  const planned = all.filter(machine => machine.nextOrder !== null).length
  const refused = data?.refusedReadings
  const rate = data?.readingsPerSecond
  const more = (name: string) => (data?.atLeast.includes(name) ? '+' : '')
  return (
    <div class="figures">
      <Figure
        value={`${count(bad.length)}${plus}${whole ? ` of ${count(all.length)}` : ''}`}
        name={whole || bad.length !== 1 ? 'machines need attention' : 'machine needs attention'}
        tone={bad[0] ? standing(bad[0]) : 'well'}
      />
      <Figure
        value={`${count(bad.reduce((sum, machine) => sum + machine.openAlerts, 0))}${plus}`}
        name="open alerts"
        href={link('alerts')}
      />
      <Figure value={`${count(planned)}${whole ? '' : '+'}`} name="machines with a repair planned" href={link('schedule')} />
      <Figure value={data?.sensors == null ? '–' : `${count(data.sensors)}${more('sensors')}`} name="sensors" />
      <Figure
        value={rate == null ? '–' : rate < 10 ? number(rate) : count(rate)}
        name={rate === 0 ? 'readings a second: nothing comes in' : 'readings a second'}
        tone={rate === 0 ? 'high' : ''}
      />
      <Figure
        value={refused == null ? '–' : `${count(refused)}${more('rejected_readings')}`}
        name="readings refused"
        href={link('quality')}
        tone={refused ? 'medium' : ''}
      />
    </div>
  )
}

/** The page. */
export function FleetPage({ query }: { query: URLSearchParams }) {
  const first = usePoll(signal => machines({ limit: LIMIT }, signal), 5_000, [], ['alert', 'work-order'])
  const open = usePoll(signal => alerts({ state: 'open', limit: 50 }, signal), 5_000, [], ['alert'])
  const { older, busy, next, more } = useOlder(first.data)
  const [search, setSearch] = useState(query.get('search') ?? '')
  const all = useMemo(() => gathered([first.data?.items ?? [], ...older.map(page => page.items)]), [first.data, older])
  const searching = search.trim() !== ''
  useEffect(() => {
    if (searching && next && !busy) void more(true)
  }, [searching, next])
  if (!first.data)
    return (
      <>
        <h1>Fleet</h1>
        {first.error ? <Failure error={first.error} what="the machines" /> : <Skeleton label="Machines" lines={8} />}
      </>
    )
  if (all.length === 0)
    return (
      <>
        <h1>Fleet</h1>
        <NoSensors />
      </>
    )
  const bad = all.filter(machine => machine.severity)
  const found = matching(all, search)
  const alertOf = (machine: Machine) =>
    open.data?.items
      .filter(alert => alert.asset === machine.asset)
      .sort((a, b) => STANDINGS.indexOf(a.severity) - STANDINGS.indexOf(b.severity))[0]
  return (
    <>
      <h1>Fleet</h1>
      <Stale of={first} what="The machines" />
      <Figures all={all} whole={!next} />

      <h2>Needs attention</h2>
      {bad.length === 0 ? (
        <Empty title="No machine has an open alert">
          <p>
            When one leaves its normal course, it is named here with the reason and what to do. New machines are learnt from their
            first windows, then watched.
          </p>
        </Empty>
      ) : (
        <ul class="cards attention" onKeyDown={onArrows}>
          {bad.slice(0, SHOWN).map(machine => (
            <MachineCard key={machine.asset} machine={machine} alert={alertOf(machine)} />
          ))}
        </ul>
      )}
      {bad.length > SHOWN ? (
        <p>
          <a href={link('alerts')}>All open alerts</a>{' '}
          <span class="faint">
            {SHOWN} of {counted(bad.length, 'machine')} here
          </span>
        </p>
      ) : null}

      <div class="section-head">
        <h2>All machines</h2>
        <label class="search">
          <span class="hidden">Search machines</span>
          <input
            type="search"
            placeholder="Search: site, machine, fault"
            value={search}
            onInput={event => setSearch(event.currentTarget.value)}
          />
        </label>
      </div>
      <p class={searching && busy ? 'faint' : 'hidden'} role="status">
        {!searching ? '' : busy ? 'Looking through all machines' : `${counted(found.length, 'machine')} found`}
      </p>
      {found.length === 0 && !busy ? (
        <Empty title={`No machine matches “${search}”`}>
          <p>
            <button type="button" class="quiet" onClick={() => setSearch('')}>
              Show all {counted(all.length, 'machine')}
            </button>
          </p>
        </Empty>
      ) : null}
      {sites(found).map(site => (
        <SiteSection key={site.name} site={site} whole={!next} />
      ))}
      {next && !searching ? (
        <p>
          <button type="button" disabled={busy} onClick={() => void more(false)}>
            {busy ? 'Asking' : `Show ${LIMIT} more`}
          </button>{' '}
          <span class="faint">{counted(all.length, 'machine')} so far, the worst first; a search looks through all of them.</span>
        </p>
      ) : null}
    </>
  )
}
