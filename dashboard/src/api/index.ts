// The routes of the API, as functions.

import { apiUrl, download, nextPageUrl, get, openStream, send } from './client'
import * as rows from './rows'
import type {
  Action,
  Alert,
  WorkOrderChange,
  Anomaly,
  AuditVerification,
  AuditEntry,
  DeadLetter,
  ActionKind,
  Drift,
  Key,
  Machine,
  Overview,
  Page,
  Prognosis,
  Readings,
  ResetReason,
  Sensor,
  WhatIfTask,
  User,
  Waveform,
  Window,
  WorkOrder,
} from './types'

export { ApiError } from './client'
export type * from './types'

/** The reasons to reset a baseline, the most frequent first. */
export const RESET_REASONS: readonly ResetReason[] = [
  'repaired',
  'replaced',
  'cleaned',
  'new-operating-mode',
  'new-normal',
]

/** Query parameters of a list. */
export type Query = Record<string, string | number | undefined>

/** Parsed responses: the client returns the same object for an unchanged response, and so do these functions. */
const parsed = new WeakMap<object, unknown>()

async function getParsed<T>(url: string, parse: (response: unknown) => T, signal?: AbortSignal): Promise<T> {
  const response = await get(url, signal)
  if (typeof response !== 'object' || response === null) return parse(response)
  if (!parsed.has(response)) parsed.set(response, parse(response))
  return parsed.get(response) as T
}

/** The functions of a list route: `first` returns the first page, `more` the page after it. */
function list<T>(path: string, parseRow: (row: rows.Row) => T) {
  const parse = (response: unknown) => rows.page(response, parseRow)
  return {
    first: (query: Query = {}, signal?: AbortSignal): Promise<Page<T>> => getParsed(apiUrl(path, query), parse, signal),
    more: (query: Query, next: string): Promise<Page<T>> => getParsed(nextPageUrl(apiUrl(path, query), next), parse),
  }
}

export const overview = (signal?: AbortSignal): Promise<Overview> =>
  getParsed(apiUrl('/overview'), rows.overview, signal)
export const { first: machines, more: moreMachines } = list<Machine>('/machines', rows.machine)
export const { first: alerts, more: moreAlerts } = list<Alert>('/alerts', rows.alert)
export const { first: deadLetters, more: moreDeadLetters } = list<DeadLetter>('/dead-letters', rows.deadLetter)
export const { first: anomalies } = list<Anomaly>('/anomalies', rows.anomaly)
export const { first: actions } = list<Action>('/actions', rows.action)
export const { first: drifts } = list<Drift>('/drifts', rows.drift)
export const { first: prognoses } = list<Prognosis>('/prognoses', rows.prognosis)
export const { first: windows } = list<Window>('/windows', rows.window)
export const { first: waveforms } = list<Waveform>('/waveforms', rows.waveform)
export const { first: sensors } = list<Sensor>('/sensors', rows.sensor)
export const { first: workOrders } = list<WorkOrder>('/work-orders', rows.workOrder)
export const { first: users } = list<User>('/users', rows.user)
export const { first: keys } = list<Key>('/keys', rows.key)
export const { first: audit, more: moreAudit } = list<AuditEntry>('/audit', rows.auditEntry)

/** All sensors of a machine. */
export const machineSensors = async (asset: string, signal?: AbortSignal): Promise<Sensor[]> =>
  (await sensors({ asset, limit: 1000 }, signal)).items

/** The work orders of a machine. */
export const machineOrders = async (asset: string, signal?: AbortSignal): Promise<WorkOrder[]> =>
  (await workOrders({ asset, limit: 50 }, signal)).items

const item = (path: string, id: string, tail = ''): string => apiUrl(`${path}/${encodeURIComponent(id)}${tail}`)

export const anomaly = (id: string, signal?: AbortSignal): Promise<Anomaly> =>
  getParsed(item('/anomalies', id), response => rows.anomaly(response as rows.Row), signal)

export const workOrder = (id: string, signal?: AbortSignal): Promise<WorkOrder> =>
  getParsed(item('/work-orders', id), response => rows.workOrder(response as rows.Row), signal)

/** Readings of a time range, downsampled by the host to about `points`. */
export const readings = (
  sensor: string,
  from: number,
  to: number | undefined,
  points: number,
  signal?: AbortSignal,
): Promise<Readings> =>
  getParsed(
    apiUrl(`/sensors/${encodeURIComponent(sensor)}/readings`, {
      from: new Date(from).toISOString(),
      to: to === undefined ? undefined : new Date(to).toISOString(),
      points,
    }),
    rows.readings,
    signal,
  )

/** Stream of a sensor's new readings. */
export const sensorStream = (sensor: string, lastId: string, signal: AbortSignal): Promise<Response> =>
  openStream(item('/sensors', sensor, '/stream'), lastId, signal)

/** Stream of anomalies, alerts and work orders. */
export const eventStream = (lastId: string, signal: AbortSignal): Promise<Response> =>
  openStream(apiUrl('/anomalies/stream'), lastId, signal)

/** Performs an action on an anomaly. Returns the anomaly with its actions. */
export const performAction = async (id: string, kind: ActionKind, comment = ''): Promise<Anomaly> =>
  rows.anomaly((await send('POST', item('/anomalies', id, `/${kind}`), comment ? { comment } : {})) as rows.Row)

/** Resets the baseline of a machine. Returns the recorded action. */
export const resetBaseline = async (asset: string, reason: ResetReason, comment = ''): Promise<Action> =>
  rows.action(
    (await send('POST', item('/machines', asset, '/reset-baseline'), {
      reason,
      ...(comment ? { comment } : {}),
    })) as rows.Row,
  )

/** Changes a work order. Returns the changed order. */
export const updateWorkOrder = async (id: string, change: WorkOrderChange): Promise<WorkOrder> =>
  rows.workOrder((await send('PATCH', item('/work-orders', id), change)) as rows.Row)

/** Parameters of a what-if plan. */
export interface WhatIfParams {
  hours: number
  technicians: string[]
  notBefore: number | null
}

/** Requests a what-if plan. Returns the id of the planning task. */
export async function requestWhatIf({ hours, technicians, notBefore }: WhatIfParams): Promise<string> {
  const constraints = {
    ...(technicians.length ? { technicians } : {}),
    ...(notBefore === null ? {} : { not_before: new Date(notBefore).toISOString() }),
  }
  // An empty list means all sensors.
  const body = { sensor_ids: [], time_horizon_hours: hours, constraints }
  return rows.whatIfTask(await send('POST', apiUrl('/maintenance/schedule'), body)).id
}

export const whatIfTask = (task: string, signal?: AbortSignal): Promise<WhatIfTask> =>
  getParsed(item('/maintenance/status', task), rows.whatIfTask, signal)

/** The plan as an iCalendar file. */
export const calendar = (technician?: string): Promise<Blob> =>
  download(apiUrl('/maintenance/plan.ics', { technician }))

/** A secret that the API returns once: a password or a key. */
const secretOf = (response: unknown, name: string): string =>
  String((response as Record<string, unknown> | undefined)?.[name] ?? '')

export const createUser = async (user: string, roles: string[], sites: string[] | null): Promise<string> =>
  secretOf(await send('POST', apiUrl('/users'), { user, roles, ...(sites ? { sites } : {}) }), 'one_time_password')

/** The fields of a user that can be changed. */
export interface UserChange {
  roles?: string[]
  sites?: string[] | null
  disabled?: boolean
  reset_password?: true
}

/** Changes a user. Returns the new one-time password if a reset was requested. */
export const changeUser = async (user: string, change: UserChange): Promise<string> =>
  secretOf(await send('PATCH', item('/users', user), change), 'one_time_password')

export const removeUser = (user: string): Promise<unknown> => send('DELETE', item('/users', user))

export const createKey = async (
  name: string,
  scopes: string[],
  sites: string[] | null,
  expires: number | null,
): Promise<string> => {
  const more = {
    ...(sites ? { sites } : {}),
    ...(expires === null ? {} : { expires: new Date(expires).toISOString() }),
  }
  return secretOf(await send('POST', apiUrl('/keys'), { name, scopes, ...more }), 'key')
}

export const removeKey = (id: string): Promise<unknown> => send('DELETE', item('/keys', id))

export const verifyAudit = async (): Promise<AuditVerification> =>
  rows.auditVerification(await get(apiUrl('/audit/verify')))
