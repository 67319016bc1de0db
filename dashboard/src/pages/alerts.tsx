// All alerts, with filters. The filters are in the URL, so that a list can be shared.

import { useEffect, useState } from 'preact/hooks'
import { type Alert, alerts, machines, moreAlerts, type Page, type Prognosis } from '../api'
import { SEVERITIES } from '../api/types'
import { plural, parentPath, nameOf, siteOf } from '../format'
import { type AlertFilters, parseFilters, matchesFilters } from '../model/alert-filters'
import { onNavigationKey } from '../components/keyboard-nav'
import { RemainingLife } from '../components/health'
import { Empty, DataView } from '../components/load-state'
import { Severity, severityName } from '../components/severity'
import { Ago, Time } from '../components/time'
import { usePoll } from '../use-poll'
import { link, setQuery } from '../router'
import { faultName } from '../messages'

/** Open alerts first, worst first; then the latest. */
const compareAlerts = (one: Alert, other: Alert): number =>
  Number(one.state === 'resolved') - Number(other.state === 'resolved') ||
  (one.state === 'open' ? SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity) : 0) ||
  other.updated - one.updated

function Row({ alert, prognoses }: { alert: Alert; prognoses: ReadonlyMap<string, Prognosis | undefined> }) {
  const prognosis = prognoses.get(alert.asset)
  return (
    <li class={`card alert-card ${alert.state === 'open' ? alert.severity : 'resolved'}`}>
      <div class="card-head">
        <h2 class="row-title">
          <Severity severity={alert.severity} />
          <a href={link('anomaly', alert.anomaly)} data-item>
            {nameOf(alert.asset)}: {faultName(alert.fault)}
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
          <b>Recommended:</b> {alert.recommendation}
        </p>
      ) : null}
      <p class="meta faint">
        <span>{parentPath(alert.asset)}</span>
        <a href={link('machine', alert.asset)}>Machine {nameOf(alert.asset)}</a>
        <span>{plural(alert.anomalies, 'anomalous window')}</span>
        {alert.state === 'open' && prognosis ? (
          <span>
            time left <RemainingLife prognosis={prognosis} />
          </span>
        ) : null}
      </p>
    </li>
  )
}

/** Alerts page. */
export function AlertsPage({ query }: { query: URLSearchParams }) {
  const filters = parseFilters(query)
  // The API filters by severity or state, not both; the other filters are applied here.
  const params = { limit: 100, ...(filters.state === 'all' ? {} : { state: filters.state }) }
  const first = usePoll(signal => alerts(params, signal), 3_000, [filters.state], ['alert'])
  // The worst machines come first: those with open alerts.
  const machinePoll = usePoll(signal => machines({ limit: 100 }, signal), 15_000, [])
  const [older, setOlder] = useState<Page<Alert>[]>([])
  const [searchText, setSearchText] = useState(filters.search)
  useEffect(() => setOlder([]), [filters.state])
  const setFilters = (change: Partial<AlertFilters>) => {
    const next = { ...filters, ...change }
    setQuery({ ...next, state: next.state === 'open' ? '' : next.state })
  }
  const sitesInAlerts = [...(first.data?.items ?? []), ...older.flatMap(more => more.items)].map(alert =>
    siteOf(alert.asset),
  )
  const sites = [...new Set([...sitesInAlerts, filters.site])].filter(Boolean).sort()
  return (
    <>
      <h1>Alerts</h1>
      <form class="filters" onSubmit={event => event.preventDefault()} aria-label="Filters">
        <label>
          State
          <select value={filters.state} onChange={event => setFilters({ state: event.currentTarget.value })}>
            <option value="open">Open</option>
            <option value="resolved">Resolved</option>
            <option value="all">All</option>
          </select>
        </label>
        <label>
          Severity
          <select value={filters.severity} onChange={event => setFilters({ severity: event.currentTarget.value })}>
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
          <select value={filters.site} onChange={event => setFilters({ site: event.currentTarget.value })}>
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
            value={searchText}
            onInput={event => {
              setSearchText(event.currentTarget.value)
              setFilters({ search: event.currentTarget.value })
            }}
          />
        </label>
      </form>
      <DataView of={first} what="Alerts" lines={6}>
        {page => {
          const all = [
            ...new Map([...older.flatMap(more => more.items), ...page.items].map(alert => [alert.id, alert])).values(),
          ]
          const matching = all.filter(alert => matchesFilters(alert, filters)).sort(compareAlerts)
          const last = older.at(-1) ?? page
          const isFiltered = Boolean(filters.severity || filters.site || filters.search)
          const prognoses = new Map((machinePoll.data?.items ?? []).map(machine => [machine.asset, machine.prognosis]))
          return (
            <>
              <p class="faint" role="status">
                {plural(matching.length, filters.state === 'all' ? 'alert' : `${filters.state} alert`)}
                {isFiltered ? ` of ${all.length}` : ''}
                {last.next ? ' loaded so far' : ''}
              </p>
              {matching.length === 0 ? (
                isFiltered ? (
                  <Empty title="No alert matches these filters">
                    <p>
                      <button
                        type="button"
                        class="quiet"
                        onClick={() => {
                          setSearchText('')
                          setFilters({ severity: '', site: '', search: '' })
                        }}
                      >
                        Clear the filters
                      </button>
                    </p>
                  </Empty>
                ) : (
                  <Empty title={filters.state === 'open' ? 'No open alerts' : 'No alerts'}>
                    <p>
                      An alert opens when a machine deviates from its baseline in two of three windows. It shows the
                      reason and the recommended action.
                    </p>
                  </Empty>
                )
              ) : (
                <ul class="cards" onKeyDown={onNavigationKey}>
                  {matching.map(alert => (
                    <Row key={alert.id} alert={alert} prognoses={prognoses} />
                  ))}
                </ul>
              )}
              {last.next ? (
                <p>
                  <button
                    type="button"
                    onClick={() =>
                      void moreAlerts(params, last.next!).then(
                        more => setOlder([...older, more]),
                        () => undefined,
                      )
                    }
                  >
                    Load older
                  </button>
                </p>
              ) : null}
            </>
          )
        }}
      </DataView>
    </>
  )
}
