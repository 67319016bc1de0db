// The API's routes, as functions.

import { address, following, get, offered, send } from './client'
import * as rows from './rows'
import type {
  Alert,
  Anomaly,
  DeadLetter,
  Drift,
  Overview,
  Page,
  Prognosis,
  Readings,
  Sensor,
  Waveform,
  Window,
  WorkOrder,
} from './types'

export { ApiError } from './client'
export type * from './types'

/** What narrows a list. */
export type Query = Record<string, string | number | undefined>

/** Of one list more than so many rows are not fetched: a page that shows them would help nobody. */
const MOST_ROWS = 20_000

/** Each answer's rows are made once: what the client gives again is the same object. */
const made = new WeakMap<object, unknown>()

async function read<T>(url: string, make: (answer: unknown) => T, signal?: AbortSignal): Promise<T> {
  const answer = await get(url, signal)
  if (typeof answer !== 'object' || answer === null) return make(answer)
  if (!made.has(answer)) made.set(answer, make(answer))
  return made.get(answer) as T
}

function list<T>(path: string, each: (row: rows.Row) => T) {
  return (query: Query = {}, signal?: AbortSignal): Promise<Page<T>> =>
    read(address(path, query), answer => rows.page(answer, each), signal)
}

/** Pages of a list one after the other, whole. */
function whole<T>(path: string, each: (row: rows.Row) => T) {
  let last: { pages: readonly Page<T>[]; items: T[] } | undefined
  return async (query: Query = {}, signal?: AbortSignal): Promise<T[]> => {
    const pages: Page<T>[] = []
    let fetched = 0
    for (let url: string | null = address(path, query); url && fetched < MOST_ROWS; ) {
      const page: Page<T> = await read(url, answer => rows.page(answer, each), signal)
      pages.push(page)
      fetched += page.items.length
      url = page.next && page.items.length ? following(url, page.next) : null
    }
    // The same list as before where no page has changed, so that nothing is drawn anew.
    if (last?.pages.length === pages.length && pages.every((page, n) => page === last!.pages[n])) return last.items
    last = { pages, items: pages.flatMap(page => page.items) }
    return last.items
  }
}

export const overview = (signal?: AbortSignal): Promise<Overview> => read(address('/overview'), rows.overview, signal)
export const sensors = whole<Sensor>('/sensors', rows.sensor)
export const openAlerts = whole<Alert>('/alerts', rows.alert)
export const workOrders = whole<WorkOrder>('/work-orders', rows.workOrder)
export const alerts = list<Alert>('/alerts', rows.alert)
export const anomalies = list<Anomaly>('/anomalies', rows.anomaly)
export const drifts = list<Drift>('/drifts', rows.drift)
export const prognoses = list<Prognosis>('/prognoses', rows.prognosis)
export const deadLetters = list<DeadLetter>('/dead-letters', rows.deadLetter)
export const windows = list<Window>('/windows', rows.window)
export const waveforms = list<Waveform>('/waveforms', rows.waveform)

const sensorsOf = list<Sensor>('/sensors', rows.sensor)
const ordersOf = list<WorkOrder>('/work-orders', rows.workOrder)

/** One machine's sensors. */
export const machineSensors = async (asset: string, signal?: AbortSignal): Promise<Sensor[]> =>
  (await sensorsOf({ asset, limit: 1000 }, signal)).items

/** One machine's work orders. */
export const machineOrders = async (asset: string, signal?: AbortSignal): Promise<WorkOrder[]> =>
  (await ordersOf({ asset, limit: 200 }, signal)).items

/** The rows after those of `query`. */
const after =
  <T>(path: string, each: (row: rows.Row) => T) =>
  (query: Query, next: string): Promise<Page<T>> =>
    read(following(address(path, query), next), answer => rows.page(answer, each))

export const moreAlerts = after<Alert>('/alerts', rows.alert)
export const moreDeadLetters = after<DeadLetter>('/dead-letters', rows.deadLetter)

export const anomaly = (id: string, signal?: AbortSignal): Promise<Anomaly> =>
  read(address(`/anomalies/${encodeURIComponent(id)}`), answer => rows.anomaly(answer as rows.Row), signal)

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

/** What can be done about an anomaly. */
export type Action = 'acknowledge' | 'false-alarm' | 'order-repair'

const actionPath = (id: string, action: Action): string => address(`/anomalies/${encodeURIComponent(id)}/${action}`)

export const canAct = (id: string, action: Action): Promise<boolean> => offered(action, 'POST', actionPath(id, action))

export const act = (id: string, action: Action): Promise<void> => send('POST', actionPath(id, action))

const orderPath = (id: string): string => address(`/work-orders/${encodeURIComponent(id)}`)

export const canMove = (id: string): Promise<boolean> => offered('move', 'PATCH', orderPath(id))

/** Moves a work order to another time or technician. */
export const move = (id: string, scheduled: number, technician: string): Promise<void> =>
  send('PATCH', orderPath(id), { scheduled_time: new Date(scheduled).toISOString(), technician })
