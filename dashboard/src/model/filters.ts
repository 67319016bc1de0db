// What narrows the list of alerts.

import type { Alert } from '../api/types'
import { siteOf } from '../format'
import { fault } from '../words'

/** What narrows the list. */
export interface Filters {
  state: string
  severity: string
  site: string
  search: string
}

/** Reads the filters from the address. Open alerts are shown unless something else is asked for. */
export const filtersOf = (query: URLSearchParams): Filters => ({
  state: query.get('state') ?? 'open',
  severity: query.get('severity') ?? '',
  site: query.get('site') ?? '',
  search: query.get('search') ?? '',
})

/** Whether an alert passes. */
export function passes(alert: Alert, { state, severity, site, search }: Filters): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const text = `${alert.asset} ${alert.sensor} ${alert.title} ${fault(alert.fault)} ${alert.message}`.toLowerCase()
  return (
    (state === 'all' || alert.state === state) &&
    (!severity || alert.severity === severity) &&
    (!site || siteOf(alert.asset) === site) &&
    words.every(word => text.includes(word))
  )
}
