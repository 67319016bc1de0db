// What the REST API tells, as the pages use it: times in milliseconds since 1970.

/** How bad. */
export type Severity = 'low' | 'medium' | 'high' | 'critical'

/** Worst first. */
export const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low']

/** A sensor. */
export interface Sensor {
  name: string
  asset: string
  unit: string
  kind: string
}

/** Readings of one sensor as columns, oldest first. */
export interface Readings {
  times: number[]
  values: number[]
}

/** One part of the reason for an anomaly. */
export interface Contribution {
  sensor: string
  feature: string
  /** 0 to 1. */
  share: number
  expected: number
  seen: number
  unit: string
}

/** The course of one feature. */
export interface Trend {
  sensor: string
  feature: string
  unit: string
  times: number[]
  values: (number | null)[]
}

/** A window in which a machine was not as it is when it is well. */
export interface Anomaly {
  id: string
  asset: string
  sensor: string
  detected: number
  start: number
  end: number
  score: number
  threshold: number
  confidence: number
  model: string
  severity: Severity
  handled: boolean
  fault: string | null
  message: string
  contributions: Contribution[]
  trend: Trend | null
  /** What people did about it, oldest first; only of an anomaly that was asked for by itself. */
  actions: Action[]
}

/** What can be done about an anomaly. */
export type Deed = 'acknowledge' | 'handle' | 'false-alarm' | 'comment' | 'order-repair'

/** What somebody did. */
export interface Action {
  id: string
  time: number
  deed: string
  target: string
  asset: string
  actor: string
  text: string
}

/** A machine as the fleet sees it. */
export interface Machine {
  asset: string
  sensors: number
  openAlerts: number
  /** Of the worst open alert; null: it is well. */
  severity: Severity | null
  title: string
  fault: string | null
  lastAnomaly: number | null
  /** None without a prognosis. */
  prognosis: Prognosis | undefined
  /** When the next repair is planned. */
  nextOrder: number | null
}

/** Anomalies of one machine that belong together. */
export interface Alert {
  id: string
  asset: string
  sensor: string
  severity: Severity
  state: 'open' | 'resolved'
  opened: number
  updated: number
  resolved: number | null
  anomalies: number
  peakScore: number
  anomaly: string
  fault: string | null
  title: string
  message: string
  recommendation: string
}

/** How long a machine has left. */
export interface Prognosis {
  asset: string
  time: number
  /** 1 as in the beginning, 0 at the limit. */
  health: number
  /** Hours that 90, 50 and 10 of 100 such machines outlive; null: no end in sight. */
  p10: number | null
  p50: number | null
  p90: number | null
  model: string
}

/** What is normal moved. */
export interface Drift {
  id: string
  asset: string
  time: number
  kind: string
  sensors: string[]
  message: string
}

/** A repair, placed on a technician. */
export interface WorkOrder {
  id: string
  alert: string
  asset: string
  kind: string
  /** 1 is the most urgent, 5 the least. */
  priority: number
  status: string
  /** Somebody put it there; the planner leaves it. */
  pinned: boolean
  scheduled: number | null
  minutes: number
  technician: string | null
  skills: string[]
  after: string[]
  cost: number
  notes: string
}

/** Something that was refused. */
export interface DeadLetter {
  id: string
  time: number
  source: string
  reason: string
  message: string
  payload: string
  readings: number
  sensor: string | null
  format: string | null
}

/** Features of a window. */
export interface Window {
  sensor: string
  asset: string
  start: number
  end: number
  count: number
  features: Record<string, number | null>
}

/** A burst. */
export interface Waveform {
  sensor: string
  start: number
  /** Hz. */
  rate: number
  samples: number[]
}

/** The platform in figures; what the host does not tell is null. */
export interface Overview {
  readingsPerSecond: number | null
  readings: number | null
  sensors: number | null
  windows: number | null
  uptimeSeconds: number | null
  behindBytes: number | null
  refusedReadings: number | null
  /** Names of the figures that may be higher. */
  atLeast: string[]
}

/** What of a work order somebody wants otherwise. */
export interface Amendment {
  scheduled_time?: string
  technician?: string
  pinned?: boolean
  status?: 'planned' | 'done' | 'cancelled'
}

/** A plan that was asked for. */
export interface Task {
  id: string
  status: 'queued' | 'done' | 'failed'
  /** 0 to 1. */
  progress: number
  plan: { orders: WorkOrder[]; unscheduled: number; makespanHours: number | null; cost: number | null } | null
}

/** Somebody who may sign in. */
export interface User {
  user: string
  roles: string[]
  sites: string[] | null
  disabled: boolean
  created: number | null
  lastLogin: number | null
  mustChange: boolean
}

/** What a device signs in with. */
export interface Key {
  id: string
  name: string
  scopes: string[]
  sites: string[] | null
  created: number | null
  expires: number | null
  lastUsed: number | null
}

/** A line of the audit log. */
export interface AuditEntry {
  seq: number
  time: number
  actor: string
  action: string
  target: string
  outcome: string
  address: string
}

/** Whether the audit log is whole. */
export interface Audited {
  ok: boolean
  entries: number
  firstBad: { seq: number; why: string } | null
}

/** Rows, and where the next ones are. */
export interface Page<T> {
  items: T[]
  next: string | null
}
