// Data of the REST API as the pages use it. Times are milliseconds since 1970.

/** Severity of an anomaly or alert. */
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

/** The share of one feature in an anomaly's score. */
export interface Contribution {
  sensor: string
  feature: string
  /** 0 to 1. */
  share: number
  expected: number
  actual: number
  unit: string
}

/** The trend of one feature. */
export interface Trend {
  sensor: string
  feature: string
  unit: string
  times: number[]
  values: (number | null)[]
}

/** A window in which a machine deviated from its baseline. */
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
  /** Actions of users, oldest first; present only if the anomaly was requested by its id. */
  actions: Action[]
}

/** An action that a user can perform on an anomaly. */
export type ActionKind = 'acknowledge' | 'handle' | 'false-alarm' | 'comment' | 'order-repair'

/** The reason to reset the baseline of a machine. */
export type ResetReason = 'repaired' | 'replaced' | 'cleaned' | 'new-operating-mode' | 'new-normal'

/** An action that a user performed. */
export interface Action {
  id: string
  time: number
  kind: string
  target: string
  asset: string
  actor: string
  text: string
}

/** A machine in the fleet list. */
export interface Machine {
  asset: string
  sensors: number
  openAlerts: number
  /** Severity of the worst open alert; null if no alert is open. */
  severity: Severity | null
  title: string
  fault: string | null
  lastAnomaly: number | null
  /** Undefined if the machine has no prognosis yet. */
  prognosis: Prognosis | undefined
  /** Start of the next planned repair. */
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

/** Remaining useful life of a machine. */
export interface Prognosis {
  asset: string
  time: number
  /** 1 for a new machine, 0 at the wear limit. */
  health: number
  /** Hours that 90, 50 and 10 of 100 such machines exceed; null if no wear trend leads to the limit. */
  p10: number | null
  p50: number | null
  p90: number | null
  model: string
}

/** A baseline change. */
export interface Drift {
  id: string
  asset: string
  time: number
  kind: string
  sensors: string[]
  message: string
}

/** A repair, assigned to a technician. */
export interface WorkOrder {
  id: string
  alert: string
  asset: string
  kind: string
  /** 1 is the most urgent, 5 the least. */
  priority: number
  status: string
  /** Placed by a user; the planner does not move it. */
  pinned: boolean
  scheduled: number | null
  minutes: number
  technician: string | null
  skills: string[]
  after: string[]
  cost: number
  notes: string
}

/** A rejected event, kept with its reason. */
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

/** A waveform: samples at a constant rate. */
export interface Waveform {
  sensor: string
  start: number
  /** Sampling rate in Hz. */
  rate: number
  samples: number[]
}

/** Figures of the platform; null if the host does not report one. */
export interface Overview {
  readingsPerSecond: number | null
  readings: number | null
  sensors: number | null
  windows: number | null
  uptimeSeconds: number | null
  backlogBytes: number | null
  rejectedReadings: number | null
  /** Names of the figures that are lower bounds. */
  atLeast: string[]
}

/** Changes to a work order. */
export interface WorkOrderChange {
  scheduled_time?: string
  technician?: string
  pinned?: boolean
  status?: 'planned' | 'done' | 'cancelled'
  /** Resets the baseline of the machine; only with the status `done`. */
  reset_baseline?: boolean
}

/** A what-if planning task. */
export interface WhatIfTask {
  id: string
  status: 'queued' | 'done' | 'failed'
  /** 0 to 1. */
  progress: number
  plan: { orders: WorkOrder[]; unscheduled: number; makespanHours: number | null; cost: number | null } | null
}

/** A user account. */
export interface User {
  user: string
  roles: string[]
  sites: string[] | null
  disabled: boolean
  created: number | null
  lastLogin: number | null
  mustChangePassword: boolean
}

/** An API key of a device or program. */
export interface Key {
  id: string
  name: string
  scopes: string[]
  sites: string[] | null
  created: number | null
  expires: number | null
  lastUsed: number | null
}

/** An entry of the audit log. */
export interface AuditEntry {
  seq: number
  time: number
  actor: string
  action: string
  target: string
  outcome: string
  address: string
}

/** Result of verifying the audit log's hash chain. */
export interface AuditVerification {
  ok: boolean
  entries: number
  firstBad: { seq: number; why: string } | null
}

/** Rows, and the URL or cursor of the next page. */
export interface Page<T> {
  items: T[]
  next: string | null
}
