// Filters of the alert list.

import type { Alert } from '../api/types'
import { siteOf } from '../format'
import { faultName } from '../messages'

/** Filters of the alert list; empty text matches everything. */
export interface AlertFilters {
  state: string
  severity: string
  site: string
  search: string
}

/** Reads the filters from the URL. The default state is open. */
export const parseFilters = (query: URLSearchParams): AlertFilters => ({
  state: query.get('state') ?? 'open',
  severity: query.get('severity') ?? '',
  site: query.get('site') ?? '',
  search: query.get('search') ?? '',
})

/** Whether an alert matches the filters. */
export function matchesFilters(alert: Alert, { state, severity, site, search }: AlertFilters): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const text = `${alert.asset} ${alert.sensor} ${alert.title} ${faultName(alert.fault)} ${alert.message}`.toLowerCase()
  return (
    (state === 'all' || alert.state === state) &&
    (!severity || alert.severity === severity) &&
    (!site || siteOf(alert.asset) === site) &&
    words.every(word => text.includes(word))
  )
}
