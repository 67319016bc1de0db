// The API's routes, as functions.

import { address, file, following, get, openStream, send } from './client'
import * as rows from './rows'
import type {
  Alert,
  Amendment,
  Anomaly,
  Audited,
  AuditEntry,
  DeadLetter,
  Deed,
  Drift,
  Key,
  Machine,
  Overview,
  Page,
  Prognosis,
  Readings,
  Sensor,
  Task,
  User,
  Waveform,
  Window,
  WorkOrder,
} from './types'

export { ApiError } from './client'
export type * from './types'

/** What narrows a list. */
export type Query = Record<string, string | number | undefined>

/** Each answer's rows are made once: what the client gives again is the same object. */
const made = new WeakMap<object, unknown>()

async function read<T>(url: string, make: (answer: unknown) => T, signal?: AbortSignal): Promise<T> {
  const answer = await get(url, signal)
  if (typeof answer !== 'object' || answer === null) return make(answer)
  if (!made.has(answer)) made.set(answer, make(answer))
  return made.get(answer) as T
}

/** A list's rows; its second function gives the rows after those of `query`. */
function list<T>(path: string, each: (row: rows.Row) => T) {
  const make = (answer: unknown) => rows.page(answer, each)
  return {
    first: (query: Query = {}, signal?: AbortSignal): Promise<Page<T>> => read(address(path, query), make, signal),
    more: (query: Query, next: string): Promise<Page<T>> => read(following(address(path, query), next), make),
  }
}

export const overview = (signal?: AbortSignal): Promise<Overview> => read(address('/overview'), rows.overview, signal)
export const { first: machines, more: moreMachines } = list<Machine>('/machines', rows.machine)
export const { first: alerts, more: moreAlerts } = list<Alert>('/alerts', rows.alert)
export const { first: deadLetters, more: moreDeadLetters } = list<DeadLetter>('/dead-letters', rows.deadLetter)
export const { first: anomalies } = list<Anomaly>('/anomalies', rows.anomaly)
export const { first: drifts } = list<Drift>('/drifts', rows.drift)
export const { first: prognoses } = list<Prognosis>('/prognoses', rows.prognosis)
export const { first: windows } = list<Window>('/windows', rows.window)
export const { first: waveforms } = list<Waveform>('/waveforms', rows.waveform)
export const { first: sensors } = list<Sensor>('/sensors', rows.sensor)
export const { first: workOrders } = list<WorkOrder>('/work-orders', rows.workOrder)
export const { first: users } = list<User>('/users', rows.user)
export const { first: keys } = list<Key>('/keys', rows.key)
export const { first: audit, more: moreAudit } = list<AuditEntry>('/audit', rows.auditEntry)

/** One machine's sensors. */
export const machineSensors = async (asset: string, signal?: AbortSignal): Promise<Sensor[]> =>
  (await sensors({ asset, limit: 1000 }, signal)).items

/** One machine's work orders. */
export const machineOrders = async (asset: string, signal?: AbortSignal): Promise<WorkOrder[]> =>
  (await workOrders({ asset, limit: 50 }, signal)).items

const item = (path: string, id: string, tail = ''): string => address(`${path}/${encodeURIComponent(id)}${tail}`)

export const anomaly = (id: string, signal?: AbortSignal): Promise<Anomaly> =>
  read(item('/anomalies', id), answer => rows.anomaly(answer as rows.Row), signal)

export const workOrder = (id: string, signal?: AbortSignal): Promise<WorkOrder> =>
  read(item('/work-orders', id), answer => rows.workOrder(answer as rows.Row), signal)

/** Readings of a stretch of time, thinned by the host to about `points`. */
export const readings = (
  sensor: string,
  from: number,
  to: number | undefined,
  points: number,
  signal?: AbortSignal,
): Promise<Readings> =>
  read(
    address(`/sensors/${encodeURIComponent(sensor)}/readings`, {
      from: new Date(from).toISOString(),
      to: to === undefined ? undefined : new Date(to).toISOString(),
      points,
    }),
    rows.readings,
    signal,
  )

/** What a sensor measures from now on, as it comes. */
export const sensorStream = (sensor: string, lastId: string, signal: AbortSignal): Promise<Response> =>
  openStream(item('/sensors', sensor, '/stream'), lastId, signal)

/** Anomalies, alerts and work orders, as they come. */
export const eventStream = (lastId: string, signal: AbortSignal): Promise<Response> =>
  openStream(address('/anomalies/stream'), lastId, signal)

/** Does something about an anomaly; gives it with what was done. */
export const act = async (id: string, deed: Deed, comment = ''): Promise<Anomaly> =>
  rows.anomaly((await send('POST', item('/anomalies', id, `/${deed}`), comment ? { comment } : {})) as rows.Row)

/** Changes a work order; gives it as it is then. */
export const amend = async (id: string, change: Amendment): Promise<WorkOrder> =>
  rows.workOrder((await send('PATCH', item('/work-orders', id), change)) as rows.Row)

/** What a plan is asked with. */
export interface Wish {
  hours: number
  technicians: string[]
  notBefore: number | null
}

/** Asks what a plan would look like; gives its task's id. */
export async function askPlan({ hours, technicians, notBefore }: Wish): Promise<string> {
  const constraints = {
    ...(technicians.length ? { technicians } : {}),
    ...(notBefore === null ? {} : { not_before: new Date(notBefore).toISOString() }),
  }
  // No sensor stands for all of them.
  const wish = { sensor_ids: [], time_horizon_hours: hours, constraints }
  return rows.task(await send('POST', address('/maintenance/schedule'), wish)).id
}

export const plan = (task: string, signal?: AbortSignal): Promise<Task> =>
  read(item('/maintenance/status', task), rows.task, signal)

/** The plan for a calendar. */
export const calendar = (technician?: string): Promise<Blob> => file(address('/maintenance/plan.ics', { technician }))

/** What is told once: a password or a key. */
const secret = (answer: unknown, name: string): string => String((answer as Record<string, unknown> | undefined)?.[name] ?? '')

export const addUser = async (user: string, roles: string[], sites: string[] | null): Promise<string> =>
  secret(await send('POST', address('/users'), { user, roles, ...(sites ? { sites } : {}) }), 'one_time_password')

/** What of a user can be changed. */
export interface UserChange {
  roles?: string[]
  sites?: string[] | null
  disabled?: boolean
  reset_password?: true
}

/** Changes a user; gives the new password where one was asked for. */
export const changeUser = async (user: string, change: UserChange): Promise<string> =>
  secret(await send('PATCH', item('/users', user), change), 'one_time_password')

export const removeUser = (user: string): Promise<unknown> => send('DELETE', item('/users', user))

export const addKey = async (name: string, scopes: string[], sites: string[] | null, expires: number | null): Promise<string> => {
  const more = { ...(sites ? { sites } : {}), ...(expires === null ? {} : { expires: new Date(expires).toISOString() }) }
  return secret(await send('POST', address('/keys'), { name, scopes, ...more }), 'key')
}

export const removeKey = (id: string): Promise<unknown> => send('DELETE', item('/keys', id))

export const verifyAudit = async (): Promise<Audited> => rows.audited(await get(address('/audit/verify')))
