// Rows of the API, made into what the pages use. The API's times are RFC 3339; inside an anomaly's metadata, which the store
// keeps as text, they are nanoseconds since 1970. Both are taken everywhere, and what is missing does not break a page.

import { spoken } from '../format'
import type {
  Action,
  Alert,
  Anomaly,
  AuditEntry,
  Audited,
  Contribution,
  DeadLetter,
  Drift,
  Key,
  Machine,
  Overview,
  Page,
  Prognosis,
  Readings,
  Sensor,
  Severity,
  Task,
  Trend,
  User,
  Waveform,
  Window,
  WorkOrder,
} from './types'

/** A JSON object of which nothing is known. */
export type Row = Record<string, unknown>

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)

const row = (value: unknown): Row => (isRow(value) ? value : {})

const text = (value: unknown, otherwise = ''): string => (typeof value === 'string' ? value : otherwise)

const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

const numeric = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

const amount = (value: unknown): number => numeric(value) ?? 0

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** What the store keeps as text: JSON, parsed; a list of words without brackets, split. */
function unpacked(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return value === '' ? [] : value.split(',')
  }
}

const texts = (value: unknown): string[] => list(unpacked(value)).filter(item => typeof item === 'string')

/** Milliseconds since 1970 of RFC 3339 text or nanoseconds. */
export function time(value: unknown): number | null {
  if (typeof value === 'number' && Number.isFinite(value)) return value / 1e6
  if (typeof value !== 'string') return null
  const parsed = Date.parse(value)
  return Number.isNaN(parsed) ? null : parsed
}

const at = (value: unknown): number => time(value) ?? 0

const yes = (value: unknown): boolean => value === true || value === 1

const severity = (value: unknown): Severity => (value === 'critical' || value === 'high' || value === 'medium' ? value : 'low')

/** What the host says of it. The fault's short name at its end is left out where the page has its full name. */
function said(from: Row): string {
  const message = spoken(text(from.message))
  return textOrNull(from.fault_mode) ? message.replace(/ \(points to [\w-]+\)$/, '') : message
}

/** An answer of the shape `{items, next}`, or a bare list. */
export function page<T>(answer: unknown, each: (row: Row) => T): Page<T> {
  const items = Array.isArray(answer) ? answer : list(row(answer).items)
  return { items: items.map(item => each(row(item))), next: textOrNull(row(answer).next) }
}

export const sensor = (from: Row): Sensor => ({
  name: text(from.name, text(from.id)),
  asset: text(from.asset),
  unit: text(from.unit),
  kind: text(from.kind),
})

/** Rows of one reading each, chunks with columns, or the columns themselves. Sorted by time. */
export function readings(answer: unknown): Readings {
  const whole = row(answer)
  const parts = Array.isArray(answer) ? answer : Array.isArray(whole.items) ? whole.items : [whole]
  const pairs: [number, number][] = []
  const take = (when: unknown, value: unknown) => {
    const [t, v] = [time(when), numeric(value)]
    if (t !== null && v !== null) pairs.push([t, v])
  }
  for (const item of parts) {
    const part = row(item)
    const times = list(part.times)
    const values = list(part.values ?? part.vals)
    if (times.length) times.forEach((when, n) => take(when, values[n]))
    else take(part.time ?? part.timestamp, part.value ?? part.avg ?? part.mean)
  }
  pairs.sort(([one], [other]) => one - other)
  return { times: pairs.map(([when]) => when), values: pairs.map(([, value]) => value) }
}

const contribution = (value: unknown): Contribution => {
  const from = row(value)
  return {
    sensor: text(from.sensor),
    feature: text(from.feature),
    share: amount(from.share),
    expected: amount(from.expected),
    seen: amount(from.seen),
    unit: text(from.unit),
  }
}

function trend(value: unknown): Trend | null {
  if (!isRow(value)) return null
  const times = list(value.times).map(at)
  const values = list(value.values).map(numeric)
  if (times.length === 0) return null
  return { sensor: text(value.sensor), feature: text(value.feature), unit: text(value.unit), times, values }
}

export function anomaly(from: Row): Anomaly {
  const metadata = row(unpacked(from.metadata))
  return {
    id: text(from.id),
    asset: text(from.asset),
    sensor: text(from.sensor),
    detected: at(from.detection_time),
    start: at(from.start_time),
    end: at(from.end_time),
    score: amount(from.score),
    threshold: amount(from.threshold),
    confidence: amount(from.confidence),
    model: text(from.model),
    severity: severity(from.severity),
    handled: yes(from.handled),
    fault: textOrNull(from.fault_mode),
    message: said(from),
    contributions: list(metadata.contributions ?? from.contributions).map(contribution),
    trend: trend(metadata.trend ?? from.trend),
    actions: list(from.actions)
      .map(item => action(row(item)))
      .sort((one, other) => one.time - other.time),
  }
}

export const action = (from: Row): Action => ({
  id: text(from.id, String(from.id ?? '')),
  time: at(from.time),
  deed: text(from.deed),
  target: text(from.target),
  asset: text(from.asset),
  actor: text(from.actor),
  text: text(from.text),
})

export function machine(from: Row): Machine {
  const told = numeric(from.health) === null ? undefined : prognosis({ ...from, time: from.prognosis_time })
  return {
    asset: text(from.asset),
    sensors: amount(from.sensors),
    openAlerts: amount(from.open_alerts),
    severity: textOrNull(from.severity) === null ? null : severity(from.severity),
    title: text(from.title),
    fault: textOrNull(from.fault_mode),
    lastAnomaly: time(from.last_anomaly),
    prognosis: told,
    nextOrder: time(from.next_order),
  }
}

export const alert = (from: Row): Alert => ({
  id: text(from.id),
  asset: text(from.asset),
  sensor: text(from.sensor),
  severity: severity(from.severity),
  state: from.state === 'resolved' ? 'resolved' : 'open',
  opened: at(from.opened),
  updated: at(from.updated),
  resolved: time(from.resolved),
  anomalies: amount(from.anomalies),
  peakScore: amount(from.peak_score),
  anomaly: text(from.anomaly),
  fault: textOrNull(from.fault_mode),
  title: text(from.title),
  message: said(from),
  recommendation: text(from.recommendation),
})

export const prognosis = (from: Row): Prognosis => ({
  asset: text(from.asset),
  time: at(from.time),
  health: Math.min(1, Math.max(0, amount(from.health))),
  p10: numeric(from.p10_hours),
  p50: numeric(from.p50_hours),
  p90: numeric(from.p90_hours),
  model: text(from.model),
})

export const drift = (from: Row): Drift => ({
  id: text(from.id),
  asset: text(from.asset),
  time: at(from.time),
  kind: text(from.kind),
  sensors: texts(from.sensors),
  message: spoken(text(from.message)),
})

export const workOrder = (from: Row): WorkOrder => ({
  id: text(from.id),
  alert: text(from.alert),
  asset: text(from.asset),
  kind: text(from.type, text(from.kind)),
  priority: amount(from.priority) || 5,
  status: text(from.status),
  pinned: yes(from.pinned),
  scheduled: time(from.scheduled_time ?? from.scheduled),
  minutes: amount(from.estimated_duration_minutes ?? from.duration_minutes),
  technician: textOrNull(from.technician),
  skills: texts(from.skills),
  after: texts(from.after),
  cost: amount(from.cost),
  notes: text(from.notes),
})

export const deadLetter = (from: Row): DeadLetter => ({
  id: text(from.id),
  time: at(from.time),
  source: text(from.source),
  reason: text(from.reason),
  message: spoken(text(from.message)),
  payload: text(from.payload),
  readings: amount(from.readings),
  sensor: textOrNull(from.sensor),
  format: textOrNull(from.format),
})

export const window = (from: Row): Window => ({
  sensor: text(from.sensor),
  asset: text(from.asset),
  start: at(from.start_time),
  end: at(from.end_time),
  count: amount(from.count),
  features: Object.fromEntries(Object.entries(row(from.features)).map(([name, value]) => [name, numeric(value)])),
})

export const waveform = (from: Row): Waveform => ({
  sensor: text(from.sensor),
  start: at(from.start_time),
  rate: amount(from.rate),
  samples: list(from.samples).map(amount),
})

export function overview(answer: unknown): Overview {
  const from = row(answer)
  const counts = row(from.counts)
  return {
    readingsPerSecond: numeric(from.readings_per_second),
    readings: numeric(from.readings) ?? numeric(counts.readings),
    sensors: numeric(from.sensors) ?? numeric(counts.sensors),
    windows: numeric(from.windows) ?? numeric(counts.windows),
    uptimeSeconds: numeric(from.uptime_seconds),
    behindBytes: numeric(from.behind_bytes),
    refusedReadings: numeric(counts.rejected_readings) ?? numeric(from.rejected_readings),
    atLeast: texts(from.at_least),
  }
}

export function task(answer: unknown): Task {
  const from = row(answer)
  const plan = isRow(from.plan) ? from.plan : null
  const orders = list(plan?.work_orders).map(item => workOrder(row(item)))
  const status = from.status === 'done' || from.status === 'failed' ? from.status : 'queued'
  return {
    id: text(from.task_id),
    status,
    progress: status === 'queued' ? Math.min(1, Math.max(0, amount(from.progress))) : 1,
    plan: plan && {
      orders,
      // A number, or the orders themselves.
      unscheduled: Array.isArray(plan.unscheduled) ? plan.unscheduled.length : amount(plan.unscheduled),
      makespanHours: numeric(plan.makespan_hours),
      cost: numeric(plan.cost),
    },
  }
}

const sites = (value: unknown): string[] | null => (Array.isArray(value) ? texts(value) : null)

export const user = (from: Row): User => ({
  user: text(from.user),
  roles: texts(from.roles),
  sites: sites(from.sites),
  disabled: yes(from.disabled),
  created: time(from.created),
  lastLogin: time(from.last_login),
  mustChange: yes(from.must_change_password),
})

export const key = (from: Row): Key => ({
  id: text(from.id),
  name: text(from.name),
  scopes: texts(from.scopes),
  sites: sites(from.sites),
  created: time(from.created),
  expires: time(from.expires),
  lastUsed: time(from.last_used),
})

export const auditEntry = (from: Row): AuditEntry => ({
  seq: amount(from.seq),
  time: at(from.time),
  actor: text(from.actor),
  action: text(from.action),
  target: text(from.target),
  outcome: text(from.outcome),
  address: text(from.address),
})

export function audited(answer: unknown): Audited {
  const from = row(answer)
  const bad = isRow(from.first_bad) ? from.first_bad : null
  return { ok: yes(from.ok), entries: amount(from.entries), firstBad: bad && { seq: amount(bad.seq), why: text(bad.why) } }
}

/** What a sensor's stream tells. */
export function streamed(data: string): Readings {
  try {
    return readings(JSON.parse(data))
  } catch {
    return { times: [], values: [] }
  }
}
