// The fleet: the machines that need attention, worst first, and all machines by site. The API returns machines worst
// first and in pages, so that the first page of a large plant loads as fast as that of a small one.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { useAccess } from '../access'
import { type Alert, alerts, type Machine, machines, moreMachines, overview, type Page } from '../api'
import { formatCount, plural, nameOf, formatNumber, parentPath, formatTime } from '../format'
import {
  currentPrognosis,
  mergePages,
  searchMachines,
  type Site,
  groupBySite,
  machineState,
  MACHINE_STATES,
  countByState,
} from '../model/fleet'
import { onNavigationKey } from '../components/keyboard-nav'
import { Health, RemainingLife } from '../components/health'
import { Command, Empty, Failure, Skeleton, Stale } from '../components/load-state'
import { Severity, severityName, Shape } from '../components/severity'
import { Ago } from '../components/time'
import { usePoll } from '../use-poll'
import { link } from '../router'
import { faultName } from '../messages'

/** Number of machine cards below the heading; the rest is on the alerts page. */
const MAX_CARDS = 6
/** Machines per request. */
const PAGE_SIZE = 100

function FigureCard({ value, name, href, tone = '' }: { value: string; name: string; href?: string; tone?: string }) {
  const content = (
    <>
      <b class={tone}>{value}</b>
      <span>{name}</span>
    </>
  )
  return href ? (
    <a class="figure" href={href}>
      {content}
    </a>
  ) : (
    <div class="figure">{content}</div>
  )
}

function MachineCard({ machine, alert }: { machine: Machine; alert: Alert | undefined }) {
  const name = nameOf(machine.asset)
  const updated = alert?.updated ?? machine.lastAnomaly
  const prognosis = currentPrognosis(machine, Date.now())
  return (
    <li class={`card alert-card ${machineState(machine)}`}>
      <div class="card-head">
        <h3>
          <Severity severity={machineState(machine)} />
          <a href={link('machine', machine.asset)} data-item>
            {name}
          </a>
          <span class="faint">{parentPath(machine.asset)}</span>
        </h3>
        {updated ? (
          <span class="faint">
            updated <Ago at={updated} />
          </span>
        ) : null}
      </div>
      <p class="fault">{faultName(machine.fault)}</p>
      <p>{alert?.message ?? machine.title}</p>
      {alert ? (
        <p class="todo">
          <b>Recommended:</b> {alert.recommendation}
        </p>
      ) : null}
      <dl class="facts">
        <div>
          <dt>Time left</dt>
          <dd>
            <RemainingLife prognosis={prognosis} />
          </dd>
        </div>
        {prognosis ? (
          <div>
            <dt>Health</dt>
            <dd>
              <Health prognosis={prognosis} />
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
                {machine.nextOrder < Date.now() ? 'was due' : 'planned'} {formatTime(machine.nextOrder)}
                <span class="hidden"> for {name}</span>
              </a>
            )}
          </dd>
        </div>
        <div>
          <dt>Why</dt>
          <dd>
            <a href={alert ? link('anomaly', alert.anomaly) : link('machine', machine.asset)}>
              {alert ? 'See the reason' : 'Open'}
              <span class="hidden"> for the alert on {name}</span>
            </a>
          </dd>
        </div>
      </dl>
    </li>
  )
}

function Tile({ machine }: { machine: Machine }) {
  const location = parentPath(machine.asset).split(' › ').slice(1).join(' › ')
  return (
    <li>
      <a class={`tile ${machineState(machine)}`} href={link('machine', machine.asset)} data-item>
        <span class="tile-name">
          <Shape severity={machineState(machine)} label={severityName(machineState(machine))} /> {nameOf(machine.asset)}
        </span>
        <span class="faint tile-path">{location}</span>
        {machine.severity ? <span class="tile-fault">{faultName(machine.fault)}</span> : null}
        <Health prognosis={currentPrognosis(machine, Date.now())} />
      </a>
    </li>
  )
}

function SiteSection({ site, allLoaded }: { site: Site; allLoaded: boolean }) {
  const counts = countByState(site.machines)
  const withAlerts = MACHINE_STATES.filter(state => state !== 'well' && counts[state] > 0)
  return (
    <section class="site" aria-label={site.name || 'Machines without a site'}>
      <h3>
        {site.name || 'No site'}{' '}
        <span class="faint">
          {allLoaded ? plural(site.machines.length, 'machine') : plural(site.machines.length, 'worst machine')}
        </span>
        <span class="site-counts">
          {withAlerts.map(state => (
            <span key={state} class={`severity ${state}`}>
              <Shape severity={state} /> {counts[state]} {severityName(state).toLowerCase()}
            </span>
          ))}
          {withAlerts.length === 0 ? (
            <span class="severity well">
              <Shape severity="well" /> no alert
            </span>
          ) : null}
        </span>
      </h3>
      <ul class="tiles" onKeyDown={onNavigationKey}>
        {site.machines.map(machine => (
          <Tile key={machine.asset} machine={machine} />
        ))}
      </ul>
    </section>
  )
}

function NoSensors() {
  const { me } = useAccess()
  const needsKey = me !== undefined && me.method !== 'open' && me.method !== 'none'
  return (
    <Empty title="No readings received yet">
      <p>Send a reading to add its machine. The machine is the part of the sensor’s id before the last slash:</p>
      <Command>{`curl ${location.origin}/api/v1/ingest -H 'Content-Type: application/json'${needsKey ? " -H 'X-API-Key: KEY'" : ''} -d '{"sensor_id": "site/hall/pump-01/vibration", "values": 2.4}'`}</Command>
      <p>Or simulate a fleet:</p>
      <Command>{`wheeltapper simulate --to ${location.origin}${needsKey ? ' --key KEY' : ''}`}</Command>
      {needsKey ? (
        <p>
          KEY is an API key with the scope ingest; an administrator creates it under <a href={link('keys')}>Keys</a>.
        </p>
      ) : null}
    </Empty>
  )
}

/** The pages after the first one. They are loaded on demand, or for a search. */
function useMorePages(firstPage: Page<Machine> | undefined) {
  const [older, setOlder] = useState<Page<Machine>[]>([])
  const [busy, setBusy] = useState(false)
  const next = (older.at(-1) ?? firstPage)?.next ?? null
  const loadMore = async (all: boolean) => {
    if (busy) return
    setBusy(true)
    const pages = [...older]
    try {
      for (let cursor = next; cursor;) {
        const page = await moreMachines({ limit: PAGE_SIZE }, cursor)
        pages.push(page)
        setOlder([...pages])
        cursor = all && page.items.length ? page.next : null
      }
    } catch {
      // The host status reports the failure; the button stays.
    }
    setBusy(false)
  }
  return { older, busy, next, loadMore }
}

function Figures({ all, allLoaded }: { all: readonly Machine[]; allLoaded: boolean }) {
  const { data } = usePoll(overview, 2_000, [])
  const withAlerts = all.filter(machine => machine.severity)
  // The list is sorted worst first: if it contains a machine without alert, all machines with alerts are loaded.
  const allAlertsLoaded = allLoaded || withAlerts.length < all.length
  const plus = allAlertsLoaded ? '' : '+'
  const planned = all.filter(machine => machine.nextOrder !== null).length
  const rejected = data?.rejectedReadings
  const rate = data?.readingsPerSecond
  const more = (name: string) => (data?.atLeast.includes(name) ? '+' : '')
  return (
    <div class="figures">
      <FigureCard
        value={`${formatCount(withAlerts.length)}${plus}${allLoaded ? ` of ${formatCount(all.length)}` : ''}`}
        name={allLoaded || withAlerts.length !== 1 ? 'machines need attention' : 'machine needs attention'}
        tone={withAlerts[0] ? machineState(withAlerts[0]) : 'well'}
      />
      <FigureCard
        value={`${formatCount(withAlerts.reduce((sum, machine) => sum + machine.openAlerts, 0))}${plus}`}
        name="open alerts"
        href={link('alerts')}
      />
      <FigureCard
        value={`${formatCount(planned)}${allLoaded ? '' : '+'}`}
        name="machines with a planned repair"
        href={link('schedule')}
      />
      <FigureCard
        value={data?.sensors == null ? '–' : `${formatCount(data.sensors)}${more('sensors')}`}
        name="sensors"
      />
      <FigureCard
        value={rate == null ? '–' : rate < 10 ? formatNumber(rate) : formatCount(rate)}
        name={rate === 0 ? 'readings per second: no data' : 'readings per second'}
        tone={rate === 0 ? 'high' : ''}
      />
      <FigureCard
        value={rejected == null ? '–' : `${formatCount(rejected)}${more('rejected_readings')}`}
        name="readings rejected"
        href={link('quality')}
        tone={rejected ? 'medium' : ''}
      />
    </div>
  )
}

/** Fleet page. */
export function FleetPage({ query }: { query: URLSearchParams }) {
  const firstPage = usePoll(signal => machines({ limit: PAGE_SIZE }, signal), 5_000, [], ['alert', 'work-order'])
  const openAlerts = usePoll(signal => alerts({ state: 'open', limit: 50 }, signal), 5_000, [], ['alert'])
  const { older, busy, next, loadMore } = useMorePages(firstPage.data)
  const [search, setSearch] = useState(query.get('search') ?? '')
  const all = useMemo(
    () => mergePages([firstPage.data?.items ?? [], ...older.map(page => page.items)]),
    [firstPage.data, older],
  )
  const searching = search.trim() !== ''
  useEffect(() => {
    if (searching && next && !busy) void loadMore(true)
  }, [searching, next])
  if (!firstPage.data)
    return (
      <>
        <h1>Fleet</h1>
        {firstPage.error ? (
          <Failure error={firstPage.error} what="the machines" />
        ) : (
          <Skeleton label="Machines" lines={8} />
        )}
      </>
    )
  if (all.length === 0)
    return (
      <>
        <h1>Fleet</h1>
        <NoSensors />
      </>
    )
  const withAlerts = all.filter(machine => machine.severity)
  const matching = searchMachines(all, search)
  const alertOf = (machine: Machine) =>
    openAlerts.data?.items
      .filter(alert => alert.asset === machine.asset)
      .sort((a, b) => MACHINE_STATES.indexOf(a.severity) - MACHINE_STATES.indexOf(b.severity))[0]
  return (
    <>
      <h1>Fleet</h1>
      <Stale of={firstPage} what="The machines" />
      <Figures all={all} allLoaded={!next} />

      <h2>Needs attention</h2>
      {withAlerts.length === 0 ? (
        <Empty title="No machine has an open alert">
          <p>
            A machine that deviates from its baseline is shown here with the reason and the recommended action. The
            baseline of a new machine is learned from its first windows.
          </p>
        </Empty>
      ) : (
        <ul class="cards attention" onKeyDown={onNavigationKey}>
          {withAlerts.slice(0, MAX_CARDS).map(machine => (
            <MachineCard key={machine.asset} machine={machine} alert={alertOf(machine)} />
          ))}
        </ul>
      )}
      {withAlerts.length > MAX_CARDS ? (
        <p>
          <a href={link('alerts')}>All open alerts</a>{' '}
          <span class="faint">
            {MAX_CARDS} of {plural(withAlerts.length, 'machine')} shown
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
        {!searching ? '' : busy ? 'Searching all machines' : `${plural(matching.length, 'machine')} found`}
      </p>
      {matching.length === 0 && !busy ? (
        <Empty title={`No machine matches “${search}”`}>
          <p>
            <button type="button" class="quiet" onClick={() => setSearch('')}>
              Show all {plural(all.length, 'machine')}
            </button>
          </p>
        </Empty>
      ) : null}
      {groupBySite(matching).map(site => (
        <SiteSection key={site.name} site={site} allLoaded={!next} />
      ))}
      {next && !searching ? (
        <p>
          <button type="button" disabled={busy} onClick={() => void loadMore(false)}>
            {busy ? 'Loading' : `Show ${PAGE_SIZE} more`}
          </button>{' '}
          <span class="faint">
            {plural(all.length, 'machine')} loaded, worst first. The search covers all machines.
          </span>
        </p>
      ) : null}
    </>
  )
}
