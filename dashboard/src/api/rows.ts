// Converts rows of the API into the types of the pages. The API's times are RFC 3339; inside an anomaly's metadata,
// which the store keeps as text, they are nanoseconds since 1970. Both are accepted everywhere, and a missing field
// does not break a page.

import { withDisplayUnits } from '../format'
import type {
  Action,
  Alert,
  Anomaly,
  AuditEntry,
  AuditVerification,
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
  WhatIfTask,
  Trend,
  User,
  Waveform,
  Window,
  WorkOrder,
} from './types'

/** A JSON object of unknown shape. */
export type Row = Record<string, unknown>

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)

const row = (value: unknown): Row => (isRow(value) ? value : {})

const text = (value: unknown, fallback = ''): string => (typeof value === 'string' ? value : fallback)

const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

const numberOrNull = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null

const numberOrZero = (value: unknown): number => numberOrNull(value) ?? 0

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** Decodes a list or object that the store keeps as text: JSON is parsed, comma-separated text is split. */
function decoded(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return value === '' ? [] : value.split(',')
  }
}

const stringList = (value: unknown): string[] => list(decoded(value)).filter(item => typeof item === 'string')

/** Milliseconds since 1970, from RFC 3339 text or nanoseconds. */
export function time(value: unknown): number | null {
  if (typeof value === 'number' && Number.isFinite(value)) return value / 1e6
  if (typeof value !== 'string') return null
  const parsed = Date.parse(value)
  return Number.isNaN(parsed) ? null : parsed
}

const timeOrZero = (value: unknown): number => time(value) ?? 0

const isTrue = (value: unknown): boolean => value === true || value === 1

const severity = (value: unknown): Severity =>
  value === 'critical' || value === 'high' || value === 'medium' ? value : 'low'

/** The message of a row. The fault's identifier at its end is removed where the page shows the fault's name. */
function messageOf(from: Row): string {
  const message = withDisplayUnits(text(from.message))
  return textOrNull(from.fault_mode) ? message.replace(/ \(points to [\w-]+\)$/, '') : message
}

/** A page of the shape `{items, next}`, or a bare list. */
export function page<T>(response: unknown, each: (row: Row) => T): Page<T> {
  const items = Array.isArray(response) ? response : list(row(response).items)
  return { items: items.map(item => each(row(item))), next: textOrNull(row(response).next) }
}

export const sensor = (from: Row): Sensor => ({
  name: text(from.name, text(from.id)),
  asset: text(from.asset),
  unit: text(from.unit),
  kind: text(from.kind),
})

/** Readings as one row each, as chunks with columns, or as columns. Sorted by time. */
export function readings(response: unknown): Readings {
  const body = row(response)
  const chunks = Array.isArray(response) ? response : Array.isArray(body.items) ? body.items : [body]
  const pairs: [number, number][] = []
  const add = (when: unknown, value: unknown) => {
    const [t, v] = [time(when), numberOrNull(value)]
    if (t !== null && v !== null) pairs.push([t, v])
  }
  for (const item of chunks) {
    const part = row(item)
    const times = list(part.times)
    const values = list(part.values ?? part.vals)
    if (times.length) times.forEach((when, n) => add(when, values[n]))
    else add(part.time ?? part.timestamp, part.value ?? part.avg ?? part.mean)
  }
  pairs.sort(([one], [other]) => one - other)
  return { times: pairs.map(([when]) => when), values: pairs.map(([, value]) => value) }
}

const contribution = (value: unknown): Contribution => {
  const from = row(value)
  return {
    sensor: text(from.sensor),
    feature: text(from.feature),
    share: numberOrZero(from.share),
    expected: numberOrZero(from.expected),
    actual: numberOrZero(from.actual),
    unit: text(from.unit),
  }
}

function trend(value: unknown): Trend | null {
  if (!isRow(value)) return null
  const times = list(value.times).map(timeOrZero)
  const values = list(value.values).map(numberOrNull)
  if (times.length === 0) return null
  return { sensor: text(value.sensor), feature: text(value.feature), unit: text(value.unit), times, values }
}

export function anomaly(from: Row): Anomaly {
  const metadata = row(decoded(from.metadata))
  return {
    id: text(from.id),
    asset: text(from.asset),
    sensor: text(from.sensor),
    detected: timeOrZero(from.detection_time),
    start: timeOrZero(from.start_time),
    end: timeOrZero(from.end_time),
    score: numberOrZero(from.score),
    threshold: numberOrZero(from.threshold),
    confidence: numberOrZero(from.confidence),
    model: text(from.model),
    severity: severity(from.severity),
    handled: isTrue(from.handled),
    fault: textOrNull(from.fault_mode),
    message: messageOf(from),
    contributions: list(metadata.contributions ?? from.contributions).map(contribution),
    trend: trend(metadata.trend ?? from.trend),
    actions: list(from.actions)
      .map(item => action(row(item)))
      .sort((one, other) => one.time - other.time),
  }
}

export const action = (from: Row): Action => ({
  id: text(from.id, String(from.id ?? '')),
  time: timeOrZero(from.time),
  kind: text(from.action),
  target: text(from.target),
  asset: text(from.asset),
  actor: text(from.actor),
  text: text(from.text),
})

export function machine(from: Row): Machine {
  const prognosisRow =
    numberOrNull(from.health) === null ? undefined : prognosis({ ...from, time: from.prognosis_time })
  return {
    asset: text(from.asset),
    sensors: numberOrZero(from.sensors),
    openAlerts: numberOrZero(from.open_alerts),
    severity: textOrNull(from.severity) === null ? null : severity(from.severity),
    title: text(from.title),
    fault: textOrNull(from.fault_mode),
    lastAnomaly: time(from.last_anomaly),
    prognosis: prognosisRow,
    nextOrder: time(from.next_order),
  }
}

export const alert = (from: Row): Alert => ({
  id: text(from.id),
  asset: text(from.asset),
  sensor: text(from.sensor),
  severity: severity(from.severity),
  state: from.state === 'resolved' ? 'resolved' : 'open',
  opened: timeOrZero(from.opened),
  updated: timeOrZero(from.updated),
  resolved: time(from.resolved),
  anomalies: numberOrZero(from.anomalies),
  peakScore: numberOrZero(from.peak_score),
  anomaly: text(from.anomaly),
  fault: textOrNull(from.fault_mode),
  title: text(from.title),
  message: messageOf(from),
  recommendation: text(from.recommendation),
})

export const prognosis = (from: Row): Prognosis => ({
  asset: text(from.asset),
  time: timeOrZero(from.time),
  health: Math.min(1, Math.max(0, numberOrZero(from.health))),
  p10: numberOrNull(from.p10_hours),
  p50: numberOrNull(from.p50_hours),
  p90: numberOrNull(from.p90_hours),
  model: text(from.model),
})

export const drift = (from: Row): Drift => ({
  id: text(from.id),
  asset: text(from.asset),
  time: timeOrZero(from.time),
  kind: text(from.kind),
  sensors: stringList(from.sensors),
  message: withDisplayUnits(text(from.message)),
})

export const workOrder = (from: Row): WorkOrder => ({
  id: text(from.id),
  alert: text(from.alert),
  asset: text(from.asset),
  kind: text(from.type, text(from.kind)),
  priority: numberOrZero(from.priority) || 5,
  status: text(from.status),
  pinned: isTrue(from.pinned),
  scheduled: time(from.scheduled_time ?? from.scheduled),
  minutes: numberOrZero(from.estimated_duration_minutes ?? from.duration_minutes),
  technician: textOrNull(from.technician),
  skills: stringList(from.skills),
  after: stringList(from.after),
  cost: numberOrZero(from.cost),
  notes: text(from.notes),
})

export const deadLetter = (from: Row): DeadLetter => ({
  id: text(from.id),
  time: timeOrZero(from.time),
  source: text(from.source),
  reason: text(from.reason),
  message: withDisplayUnits(text(from.message)),
  payload: text(from.payload),
  readings: numberOrZero(from.readings),
  sensor: textOrNull(from.sensor),
  format: textOrNull(from.format),
})

export const window = (from: Row): Window => ({
  sensor: text(from.sensor),
  asset: text(from.asset),
  start: timeOrZero(from.start_time),
  end: timeOrZero(from.end_time),
  count: numberOrZero(from.count),
  features: Object.fromEntries(Object.entries(row(from.features)).map(([name, value]) => [name, numberOrNull(value)])),
})

export const waveform = (from: Row): Waveform => ({
  sensor: text(from.sensor),
  start: timeOrZero(from.start_time),
  rate: numberOrZero(from.rate),
  samples: list(from.samples).map(numberOrZero),
})

export function overview(response: unknown): Overview {
  const from = row(response)
  const counts = row(from.counts)
  return {
    readingsPerSecond: numberOrNull(from.readings_per_second),
    readings: numberOrNull(from.readings) ?? numberOrNull(counts.readings),
    sensors: numberOrNull(from.sensors) ?? numberOrNull(counts.sensors),
    windows: numberOrNull(from.windows) ?? numberOrNull(counts.windows),
    uptimeSeconds: numberOrNull(from.uptime_seconds),
    backlogBytes: numberOrNull(from.behind_bytes),
    rejectedReadings: numberOrNull(counts.rejected_readings) ?? numberOrNull(from.rejected_readings),
    atLeast: stringList(from.at_least),
  }
}

export function whatIfTask(response: unknown): WhatIfTask {
  const from = row(response)
  const plan = isRow(from.plan) ? from.plan : null
  const orders = list(plan?.work_orders).map(item => workOrder(row(item)))
  const status = from.status === 'done' || from.status === 'failed' ? from.status : 'queued'
  return {
    id: text(from.task_id),
    status,
    progress: status === 'queued' ? Math.min(1, Math.max(0, numberOrZero(from.progress))) : 1,
    plan: plan && {
      orders,
      // Either a number or the orders themselves.
      unscheduled: Array.isArray(plan.unscheduled) ? plan.unscheduled.length : numberOrZero(plan.unscheduled),
      makespanHours: numberOrNull(plan.makespan_hours),
      cost: numberOrNull(plan.cost),
    },
  }
}

const sites = (value: unknown): string[] | null => (Array.isArray(value) ? stringList(value) : null)

export const user = (from: Row): User => ({
  user: text(from.user),
  roles: stringList(from.roles),
  sites: sites(from.sites),
  disabled: isTrue(from.disabled),
  created: time(from.created),
  lastLogin: time(from.last_login),
  mustChangePassword: isTrue(from.must_change_password),
})

export const key = (from: Row): Key => ({
  id: text(from.id),
  name: text(from.name),
  scopes: stringList(from.scopes),
  sites: sites(from.sites),
  created: time(from.created),
  expires: time(from.expires),
  lastUsed: time(from.last_used),
})

export const auditEntry = (from: Row): AuditEntry => ({
  seq: numberOrZero(from.seq),
  time: timeOrZero(from.time),
  actor: text(from.actor),
  action: text(from.action),
  target: text(from.target),
  outcome: text(from.outcome),
  address: text(from.address),
})

export function auditVerification(response: unknown): AuditVerification {
  const from = row(response)
  const bad = isRow(from.first_bad) ? from.first_bad : null
  return {
    ok: isTrue(from.ok),
    entries: numberOrZero(from.entries),
    firstBad: bad && { seq: numberOrZero(bad.seq), why: text(bad.why) },
  }
}

/** Readings of one event of a sensor's stream. */
export function streamReadings(data: string): Readings {
  try {
    return readings(JSON.parse(data))
  } catch {
    return { times: [], values: [] }
  }
}
