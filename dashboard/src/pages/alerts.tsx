// All alerts, with filters. What is filtered by stands in the address, so that a list can be sent to somebody.

import { useEffect, useState } from 'preact/hooks'
import { type Alert, alerts, machines, moreAlerts, type Page, type Prognosis } from '../api'
import { SEVERITIES } from '../api/types'
import { counted, placeOf, lastPart, siteOf } from '../format'
import { type Filters, filtersOf, passes } from '../model/filters'
import { onArrows } from '../parts/arrows'
import { Life } from '../parts/health'
import { Empty, Shown } from '../parts/notes'
import { Severity, severityName } from '../parts/severity'
import { Ago, Time } from '../parts/time'
import { usePoll } from '../poll'
import { link, setQuery } from '../router'
import { fault } from '../words'

/** Worst first among the open, then the latest. */
const order = (one: Alert, other: Alert): number =>
  Number(one.state === 'resolved') - Number(other.state === 'resolved') ||
  (one.state === 'open' ? SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity) : 0) ||
  other.updated - one.updated

function Row({ alert, left }: { alert: Alert; left: ReadonlyMap<string, Prognosis | undefined> }) {
  const prognosis = left.get(alert.asset)
  return (
    <li class={`card alert-card ${alert.state === 'open' ? alert.severity : 'resolved'}`}>
      <div class="card-head">
        <h2 class="row-title">
          <Severity of={alert.severity} />
          <a href={link('anomaly', alert.anomaly)} data-item>
            {lastPart(alert.asset)}: {fault(alert.fault)}
          </a>
        </h2>
        <span class="faint">
          {alert.resolved === null ? (
            <>
              open since <Time at={alert.opened} />, updated <Ago at={alert.updated} />
            </>
          ) : (
            <>
              resolved <Time at={alert.resolved} />
            </>
          )}
        </span>
      </div>
      <p>{alert.message}</p>
      {alert.state === 'open' ? (
        <p class="todo">
          <b>Do:</b> {alert.recommendation}
        </p>
      ) : null}
      <p class="meta faint">
        <span>{placeOf(alert.asset)}</span>
        <a href={link('machine', alert.asset)}>Machine {lastPart(alert.asset)}</a>
        <span>{counted(alert.anomalies, 'anomalous window')}</span>
        {alert.state === 'open' && prognosis ? (
          <span>
            time left <Life of={prognosis} />
          </span>
        ) : null}
      </p>
    </li>
  )
}

/** The page. */
export function AlertsPage({ query }: { query: URLSearchParams }) {
  const filters = filtersOf(query)
  // The API narrows by one word, severity or state; the rest is narrowed here.
  const asked = { limit: 100, ...(filters.state === 'all' ? {} : { state: filters.state }) }
  const first = usePoll(signal => alerts(asked, signal), 3_000, [filters.state], ['alert'])
  // The worst machines first: those with open alerts.
  const told = usePoll(signal => machines({ limit: 100 }, signal), 15_000, [])
  const [older, setOlder] = useState<Page<Alert>[]>([])
  const [typed, setTyped] = useState(filters.search)
  useEffect(() => setOlder([]), [filters.state])
  const set = (change: Partial<Filters>) => {
    const next = { ...filters, ...change }
    setQuery({ ...next, state: next.state === 'open' ? '' : next.state })
  }
  const known = [...(first.data?.items ?? []), ...older.flatMap(more => more.items)].map(alert => siteOf(alert.asset))
  const sites = [...new Set([...known, filters.site])].filter(Boolean).sort()
  return (
    <>
      <h1>Alerts</h1>
      <form class="filters" onSubmit={event => event.preventDefault()} aria-label="Filters">
        <label>
          State
          <select value={filters.state} onChange={event => set({ state: event.currentTarget.value })}>
            <option value="open">Open</option>
            <option value="resolved">Resolved</option>
            <option value="all">All</option>
          </select>
        </label>
        <label>
          Severity
          <select value={filters.severity} onChange={event => set({ severity: event.currentTarget.value })}>
            <option value="">Any</option>
            {SEVERITIES.map(severity => (
              <option key={severity} value={severity}>
                {severityName(severity)}
              </option>
            ))}
          </select>
        </label>
        <label>
          Site
          <select value={filters.site} onChange={event => set({ site: event.currentTarget.value })}>
            <option value="">All</option>
            {sites.map(site => (
              <option key={site} value={site}>
                {site}
              </option>
            ))}
          </select>
        </label>
        <label class="grow">
          Search
          <input
            type="search"
            placeholder="machine, sensor, fault"
            value={typed}
            onInput={event => {
              setTyped(event.currentTarget.value)
              set({ search: event.currentTarget.value })
            }}
          />
        </label>
      </form>
      <Shown of={first} what="Alerts" lines={6}>
        {page => {
          const all = [...new Map([...older.flatMap(more => more.items), ...page.items].map(alert => [alert.id, alert])).values()]
          const found = all.filter(alert => passes(alert, filters)).sort(order)
          const last = older.at(-1) ?? page
          const narrowed = Boolean(filters.severity || filters.site || filters.search)
          const left = new Map((told.data?.items ?? []).map(machine => [machine.asset, machine.prognosis]))
          return (
            <>
              <p class="faint" role="status">
                {counted(found.length, filters.state === 'all' ? 'alert' : `${filters.state} alert`)}
                {narrowed ? ` of ${all.length}` : ''}
                {last.next ? ' loaded so far' : ''}
              </p>
              {found.length === 0 ? (
                narrowed ? (
                  <Empty title="No alert passes these filters">
                    <p>
                      <button
                        type="button"
                        class="quiet"
                        onClick={() => {
                          setTyped('')
                          set({ severity: '', site: '', search: '' })
                        }}
                      >
                        Clear the filters
                      </button>
                    </p>
                  </Empty>
                ) : (
                  <Empty title={filters.state === 'open' ? 'No alert is open' : 'No alert'}>
                    <p>
                      When a machine leaves its normal course twice within three windows, it is named here with the reason and
                      what to do.
                    </p>
                  </Empty>
                )
              ) : (
                <ul class="cards" onKeyDown={onArrows}>
                  {found.map(alert => (
                    <Row key={alert.id} alert={alert} left={left} />
                  ))}
                </ul>
              )}
              {last.next ? (
                <p>
                  <button
                    type="button"
                    onClick={() =>
                      void moreAlerts(asked, last.next!).then(
                        more => setOlder([...older, more]),
                        () => undefined,
                      )
                    }
                  >
                    Load older ones
                  </button>
                </p>
              ) : null}
            </>
          )
        }}
      </Shown>
    </>
  )
}
