// The fleet: which machines go bad, worst first, and all machines by site.

import { useMemo, useState } from 'preact/hooks'
import { type Alert, openAlerts, overview, prognoses, sensors, workOrders } from '../api'
import { count, counted, placeOf, when } from '../format'
import { type Machine, machines, type Site, sites, STANDINGS, tally } from '../model/fleet'
import { onArrows } from '../parts/arrows'
import { Health, Life } from '../parts/health'
import { Command, Empty, Failure, Skeleton } from '../parts/notes'
import { Severity, severityName, Shape } from '../parts/severity'
import { Ago } from '../parts/time'
import { usePoll } from '../poll'
import { link } from '../router'
import { fault, work } from '../words'

/** Alerts in full beneath the heading; the rest is on the page of alerts. */
const SHOWN = 6

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

function AlertCard({ machine, alert }: { machine: Machine; alert: Alert }) {
  return (
    <li class={`card alert-card ${alert.severity}`}>
      <div class="card-head">
        <h3>
          <Severity of={alert.severity} />
          <a href={link('machine', machine.id)} data-item>
            {machine.name}
          </a>
          <span class="faint">{placeOf(machine.id)}</span>
        </h3>
        <span class="faint">
          updated <Ago at={alert.updated} />
        </span>
      </div>
      <p class="fault">{fault(alert.fault)}</p>
      <p>{alert.message}</p>
      <p class="todo">
        <b>Do:</b> {alert.recommendation}
      </p>
      <dl class="facts">
        <div>
          <dt>Time left</dt>
          <dd>
            <Life of={machine.prognosis} />
          </dd>
        </div>
        {machine.prognosis ? (
          <div>
            <dt>Health</dt>
            <dd>
              <Health of={machine.prognosis} />
            </dd>
          </div>
        ) : null}
        <div>
          <dt>Repair</dt>
          <dd>
            {machine.order ? (
              <a href={link('schedule', '', { order: machine.order.id })}>
                {work(machine.order.kind)}, {machine.order.technician ?? 'nobody yet'}, {when(machine.order.scheduled)}
              </a>
            ) : (
              <span class="faint">not planned</span>
            )}
          </dd>
        </div>
        <div>
          <dt>Why</dt>
          <dd>
            <a href={link('anomaly', alert.anomaly)}>
              See the reason<span class="hidden"> for the alert on {machine.name}</span>
            </a>
          </dd>
        </div>
      </dl>
    </li>
  )
}

function Tile({ machine }: { machine: Machine }) {
  const place = placeOf(machine.id).split(' › ').slice(1).join(' › ')
  const worst = machine.alerts[0]
  return (
    <li>
      <a class={`tile ${machine.standing}`} href={link('machine', machine.id)} data-item>
        <span class="tile-name">
          <Shape of={machine.standing} label={severityName(machine.standing)} /> {machine.name}
        </span>
        <span class="faint tile-place">{place}</span>
        {worst ? <span class="tile-fault">{fault(worst.fault)}</span> : null}
        {machine.prognosis ? <Health of={machine.prognosis} /> : null}
      </a>
    </li>
  )
}

function SiteSection({ site }: { site: Site }) {
  const counts = tally(site.machines)
  const bad = STANDINGS.filter(standing => standing !== 'well' && counts[standing] > 0)
  return (
    <section class="site" aria-label={site.name || 'Machines without a site'}>
      <h3>
        {site.name || 'No site'} <span class="faint">{counted(site.machines.length, 'machine')}</span>
        <span class="site-counts">
          {bad.map(standing => (
            <span key={standing} class={`severity ${standing}`}>
              <Shape of={standing} /> {counts[standing]} {severityName(standing).toLowerCase()}
            </span>
          ))}
          {bad.length === 0 ? (
            <span class="severity well">
              <Shape of="well" /> all well
            </span>
          ) : null}
        </span>
      </h3>
      <ul class="tiles" onKeyDown={onArrows}>
        {site.machines.map(machine => (
          <Tile key={machine.id} machine={machine} />
        ))}
      </ul>
    </section>
  )
}

function NoSensors() {
  return (
    <Empty title="No sensor has sent anything yet">
      <p>Send a reading, and its machine is shown here. A machine is the part of a sensor’s id before the last slash:</p>
      <Command>{`curl ${location.origin}/api/v1/ingest -H 'Content-Type: application/json' -d '{"sensor_id": "site/hall/pump-01/vibration", "values": 2.4}'`}</Command>
      <p>Or look at a simulated fleet:</p>
      <Command>{`wheeltapper simulate --to ${location.origin}`}</Command>
    </Empty>
  )
}

/** The page. */
export function FleetPage({ query }: { query: URLSearchParams }) {
  const known = usePoll(signal => sensors({ limit: 1000 }, signal), 60_000, [])
  const open = usePoll(signal => openAlerts({ state: 'open', limit: 1000 }, signal), 3_000, [])
  const told = usePoll(signal => prognoses({ limit: 1000 }, signal), 10_000, [])
  const orders = usePoll(signal => workOrders({ status: 'planned', limit: 1000 }, signal), 10_000, [])
  const figures = usePoll(overview, 2_000, [])
  const [search, setSearch] = useState(query.get('search') ?? '')
  const all = useMemo(
    () => machines(known.data ?? [], open.data ?? [], told.data?.items ?? [], orders.data ?? [], Date.now()),
    [known.data, open.data, told.data, orders.data],
  )
  const failure = known.error ?? open.error
  if (!known.data || !open.data) {
    return (
      <>
        <h1>Fleet</h1>
        {failure ? <Failure error={failure} what="the machines" /> : <Skeleton label="Machines" lines={8} />}
      </>
    )
  }
  if (all.length === 0)
    return (
      <>
        <h1>Fleet</h1>
        <NoSensors />
      </>
    )
  const bad = all.filter(machine => machine.standing !== 'well')
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const found = words.length
    ? all.filter(machine =>
        words.every(word =>
          `${machine.id} ${machine.standing} ${machine.alerts.map(alert => fault(alert.fault)).join(' ')}`
            .toLowerCase()
            .includes(word),
        ),
      )
    : all
  const refused = figures.data?.refusedReadings
  return (
    <>
      <h1>Fleet</h1>
      <div class="figures">
        <Figure
          value={`${count(bad.length)} of ${count(all.length)}`}
          name="machines need attention"
          tone={bad[0]?.standing ?? 'well'}
        />
        <Figure value={count(open.data.length)} name="open alerts" href={link('alerts')} />
        <Figure
          value={orders.data ? count(orders.data.filter(order => order.status === 'planned').length) : '–'}
          name="repairs planned"
          href={link('schedule')}
        />
        <Figure value={count(known.data.length)} name="sensors" />
        <Figure
          value={figures.data?.readingsPerSecond == null ? '–' : count(figures.data.readingsPerSecond)}
          name="readings a second"
        />
        <Figure
          value={refused == null ? '–' : `${count(refused)}${figures.data?.refusedAtLeast ? ' or more' : ''}`}
          name="readings refused"
          href={link('quality')}
          tone={refused ? 'medium' : ''}
        />
      </div>

      <h2>Needs attention</h2>
      {bad.length === 0 ? (
        <Empty title="Every machine is well">
          <p>
            When one leaves its normal course, it is named here with the reason and what to do. New machines are learnt from their
            first windows, then watched.
          </p>
        </Empty>
      ) : (
        <ul class="cards attention" onKeyDown={onArrows}>
          {bad.slice(0, SHOWN).map(machine => (
            <AlertCard key={machine.id} machine={machine} alert={machine.alerts[0]!} />
          ))}
        </ul>
      )}
      {bad.length > SHOWN ? (
        <p>
          <a href={link('alerts')}>All {counted(open.data.length, 'open alert')}</a>
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
      <p class="hidden" role="status">
        {words.length ? `${counted(found.length, 'machine')} found` : ''}
      </p>
      {found.length === 0 ? (
        <Empty title={`No machine matches “${search}”`}>
          <p>
            <button type="button" class="quiet" onClick={() => setSearch('')}>
              Show all {counted(all.length, 'machine')}
            </button>
          </p>
        </Empty>
      ) : null}
      {sites(found).map(site => (
        <SiteSection key={site.name} site={site} />
      ))}
    </>
  )
}
