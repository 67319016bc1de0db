import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Alert, Machine, Prognosis, WorkOrder } from '../../src/api/types'
import { change, places, ratio } from '../../src/model/reason'
import { merged } from '../../src/model/marks'
import { fan } from '../../src/model/fan'
import { isBad, passes as allowed } from '../../src/model/audit'
import { repairOf } from '../../src/model/deeds'
import { believed, gathered, matching, old, silent, sites, tally } from '../../src/model/fleet'
import { days, dropped, layout, NOBODY, overdue, replanned, stepped } from '../../src/model/gantt'
import { eventId, extent, gapped, joined, limits, stopped } from '../../src/model/series'
import { filtersOf, passes } from '../../src/model/filters'
import { byReason } from '../../src/model/refusals'

const HOUR = 3600_000
const NOW = Date.parse('2026-11-25T08:00:00Z')

const alert = (more: Partial<Alert>): Alert => ({
  id: 'x',
  asset: 'a/b/m',
  sensor: 'a/b/m/s',
  severity: 'low',
  state: 'open',
  opened: NOW,
  updated: NOW,
  resolved: null,
  anomalies: 1,
  peakScore: 1,
  anomaly: 'y',
  fault: null,
  title: 't',
  message: 'm',
  recommendation: 'r',
  ...more,
})
const prognosis = (more: Partial<Prognosis>): Prognosis => ({
  asset: 'a/b/m',
  time: NOW,
  health: 0.5,
  p10: 10,
  p50: 20,
  p90: 40,
  model: 'degradation',
  ...more,
})
const order = (more: Partial<WorkOrder>): WorkOrder => ({
  id: 'o',
  alert: 'x',
  asset: 'a/b/m',
  kind: 'inspection',
  priority: 2,
  status: 'planned',
  pinned: false,
  scheduled: NOW,
  minutes: 60,
  technician: 'Ada',
  skills: [],
  after: [],
  cost: 1,
  notes: '',
  ...more,
})
const machine = (asset: string, more: Partial<Machine> = {}): Machine => ({
  asset,
  sensors: 1,
  openAlerts: 0,
  severity: null,
  title: '',
  fault: null,
  lastAnomaly: null,
  prognosis: undefined,
  nextOrder: null,
  ...more,
})

test('machines stand worst first, then by the time that is left, then by number; each of them once', () => {
  const worst = machine('s/h/m-3', { severity: 'high', prognosis: prognosis({ p50: 5 }), fault: 'bearing-outer-race' })
  const all = gathered([
    [machine('s/h/m-1', { severity: 'high' }), machine('n/h/m-10'), worst],
    [machine('n/h/m-2'), machine('s/h/m-3', { severity: 'low' })],
  ])
  assert.deepEqual(
    all.map(({ asset }) => asset),
    ['s/h/m-3', 's/h/m-1', 'n/h/m-2', 'n/h/m-10'],
  )
  assert.equal(all[0], worst, 'the first page is the newest')
  assert.deepEqual(
    sites(all).map(({ name }) => name),
    ['s', 'n'],
  )
  assert.deepEqual(tally(all), { critical: 0, high: 2, medium: 0, low: 0, well: 2 })
  assert.deepEqual(matching(all, 'Outer  high'), [worst])
  assert.equal(matching(all, ' '), all)
})

test('what was told of a machine that is well holds for a day', () => {
  const told = prognosis({ time: NOW - 48 * HOUR })
  assert.equal(believed(machine('a', { prognosis: told }), NOW), undefined)
  assert.equal(believed(machine('a', { prognosis: told, severity: 'low' }), NOW), told)
  assert.equal(believed(machine('a', { prognosis: told }), told.time + HOUR), told)
})

test('arrow keys move an order by the hour and to the next technician', () => {
  const rows = [
    { technician: 'Ada', lanes: 1 },
    { technician: 'Bo', lanes: 2 },
    { technician: NOBODY, lanes: 1 },
  ]
  const from = { scheduled: NOW, technician: 'Ada' }
  assert.deepEqual(stepped(from, 'ArrowRight', rows), { scheduled: NOW + HOUR, technician: 'Ada' })
  assert.deepEqual(stepped(from, 'ArrowLeft', rows), { scheduled: NOW - HOUR, technician: 'Ada' })
  assert.deepEqual(stepped(from, 'ArrowDown', rows), { scheduled: NOW, technician: 'Bo' })
  assert.equal(stepped(from, 'ArrowUp', rows), null)
  assert.equal(stepped({ ...from, technician: 'Bo' }, 'ArrowDown', rows), null, 'nobody is no technician')
  assert.deepEqual(stepped({ ...from, technician: NOBODY }, 'ArrowDown', rows), { scheduled: NOW, technician: 'Ada' })
  assert.equal(stepped(from, 'Home', rows), null)
})

test('a new plan tells which other orders it moved', () => {
  const before = [order({ id: 'a' }), order({ id: 'b' }), order({ id: 'c' })]
  const after = [
    order({ id: 'a', scheduled: NOW + HOUR }),
    order({ id: 'b', technician: 'Bo' }),
    order({ id: 'c' }),
    order({ id: 'd' }),
  ]
  assert.deepEqual(
    replanned(before, after, 'a').map(({ id }) => id),
    ['b'],
  )
})

test('the repair of an anomaly is the order that names it, else the most urgent one of its machine', () => {
  const anomaly = { id: 'y', asset: 'a/b/m' }
  const own = order({ id: 'own', alert: 'y', priority: 5 })
  const urgent = order({ id: 'urgent', priority: 1 })
  const other = order({ id: 'other', asset: 'a/b/n', priority: 1 })
  assert.equal(repairOf([urgent, own, other], anomaly), own)
  assert.equal(repairOf([order({}), urgent, other], anomaly), urgent)
  assert.equal(repairOf([order({ status: 'done', alert: 'y' }), other], anomaly), undefined)
})

test('the audit log is narrowed by who, how it ended, and words', () => {
  const entry = { seq: 7, time: NOW, actor: 'ada', action: 'user.remove', target: 'vic', outcome: 'ok', address: '10.0.0.1' }
  const all = { actor: '', outcome: '', search: '' }
  assert.ok(allowed(entry, all))
  assert.ok(allowed(entry, { ...all, search: 'REMOVE  vic' }))
  assert.ok(!allowed(entry, { ...all, actor: 'bo' }))
  assert.ok(!allowed(entry, { ...all, outcome: 'denied' }))
  assert.ok(isBad('denied') && isBad('failed') && !isBad('ok'))
})

test('a stream goes on after the newest reading', () => {
  assert.equal(eventId(undefined), '')
  assert.equal(eventId({ times: [NOW, NOW + 1], values: [1, 2] }), `${NOW + 1}000000`)
})

test('readings that come are joined to those that are known', () => {
  const known = { times: [1, 2, 3], values: [1, 2, 3] }
  assert.deepEqual(joined(known, { times: [3, 4], values: [30, 40] }, 2), { times: [2, 3, 4], values: [2, 30, 40] })
  assert.equal(joined(known, { times: [], values: [] }, 0), known, 'the same object when nothing came')
  assert.deepEqual(joined(known, { times: [], values: [] }, 3), { times: [3], values: [3] })
})

test('a silence is a gap, not a line', () => {
  const made = gapped({ times: [0, 10, 20, 30, 200, 210], values: [1, 1, 1, 1, 1, 1] })
  assert.deepEqual(made.values, [1, 1, 1, 1, null, 1, 1])
  assert.deepEqual(gapped({ times: [], values: [] }), { times: [], values: [] })
})

test('axes are never of no height', () => {
  assert.deepEqual(extent({ values: [3, null, 1, 2] }), { low: 1, high: 3, last: 2 })
  assert.equal(extent({ values: [null] }), undefined)
  for (const [low, high] of [
    [0, 0],
    [5, 5],
    [1, 2],
    [NaN, NaN],
  ] as const) {
    const [from, to] = limits(low, high)
    assert.ok(from < to)
  }
})

test('marks of one severity that touch are one', () => {
  const mark = (start: number, end: number, severity: 'low' | 'high') => ({ start, end, severity })
  assert.deepEqual(merged([mark(10, 40, 'low'), mark(0, 30, 'low'), mark(50, 60, 'low'), mark(5, 6, 'high')]), [
    mark(0, 40, 'low'),
    mark(50, 60, 'low'),
    mark(5, 6, 'high'),
  ])
})

test('the fan begins at the latest prognosis and ends at the limit', () => {
  const made = fan([prognosis({}), prognosis({ time: NOW - 10 * HOUR, health: 0.9 })])!
  assert.deepEqual(
    made.history.map(({ health }) => health),
    [0.9, 0.5],
  )
  assert.deepEqual(made.p50, { time: NOW + 20 * HOUR, health: 0 })
  assert.deepEqual(made.p10, { time: NOW + 10 * HOUR, health: 0 })
  assert.ok(made.to > NOW + 40 * HOUR)
  const far = fan([prognosis({ p90: 4_000 })])!
  assert.equal(far.p90!.time, far.to, 'an end far away is cut')
  assert.ok(far.p90!.health > 0)
  assert.equal(fan([prognosis({ p10: null, p50: null, p90: null })])!.p50, undefined)
  assert.equal(fan([]), undefined)
})

test('orders lie on their technicians’ rows, over each other in lanes', () => {
  const chart = layout(
    [
      order({ id: '1' }),
      order({ id: '2', scheduled: NOW + HOUR / 2 }),
      order({ id: '3', scheduled: NOW + HOUR }),
      order({ id: '4', technician: null }),
      order({ id: '5', status: 'unscheduled', scheduled: null }),
      order({ id: '6', status: 'cancelled' }),
    ],
    NOW,
  )
  assert.deepEqual(chart.rows, [
    { technician: 'Ada', lanes: 2 },
    { technician: NOBODY, lanes: 1 },
  ])
  assert.deepEqual(
    chart.bars.map(({ order, row, lane }) => [order.id, row, lane]),
    [
      ['1', 0, 0],
      ['4', 1, 0],
      ['2', 0, 1],
      ['3', 0, 0],
    ],
  )
  assert.deepEqual(
    chart.waiting.map(({ id }) => id),
    ['5'],
  )
  assert.ok(chart.from <= NOW && chart.to >= NOW + 24 * HOUR)
})

test('a bar is dropped on five minutes, and on somebody', () => {
  const chart = layout([order({ id: '1' }), order({ id: '2', technician: 'Bram' }), order({ id: '3', technician: null })], NOW)
  const bar = chart.bars.find(({ order }) => order.id === '1')!
  const perPixel = 60_000
  assert.deepEqual(dropped(bar, 62, 1, chart, perPixel), { scheduled: NOW + 60 * 60_000, technician: 'Bram' })
  assert.equal(dropped(bar, 1, 0, chart, perPixel), null)
  assert.equal(dropped(bar, 60, 2, chart, perPixel), null, 'nobody is no technician')
  assert.deepEqual(dropped(bar, 60, -5, chart, perPixel), { scheduled: NOW + HOUR, technician: 'Ada' })
})

test('a day that summer time makes longer counts as one', () => {
  // In Amsterdam, where these tests are, the clock goes back on 25 October 2026.
  const made = days(Date.parse('2026-10-24T10:00:00Z'), Date.parse('2026-10-27T10:00:00Z'))
  assert.deepEqual(
    made.map(day => new Date(day).getHours()),
    [0, 0, 0, 0],
  )
  assert.equal(made[2]! - made[1]!, 25 * HOUR)
})

test('alerts are narrowed by every filter together', () => {
  const one = alert({ asset: 'n/h/pump-1', severity: 'high', fault: 'bearing-outer-race' })
  const all = { state: 'all', severity: '', site: '', search: '' }
  assert.equal(passes(one, all), true)
  assert.equal(passes(one, { ...all, site: 's' }), false)
  assert.equal(passes(one, { ...all, severity: 'low' }), false)
  assert.equal(passes(one, { ...all, state: 'resolved' }), false)
  assert.equal(passes(one, { ...all, search: 'RACE pump' }), true)
  assert.equal(passes(one, { ...all, search: 'race fan' }), false)
  assert.equal(filtersOf(new URLSearchParams()).state, 'open')
})

test('the ratio undoes the score', () => {
  const score = (distance: number) => 1 - 10 ** (-3 * distance ** 2)
  for (const distance of [0.5, 1, 1.6, 2])
    assert.ok(Math.abs(ratio({ score: score(distance), threshold: 0.999 }) - distance) < 1e-3)
  assert.ok(Number.isFinite(ratio({ score: 1, threshold: 0.999 })))
})

test('what was seen is drawn beside what is normal', () => {
  assert.deepEqual(places(1, 2), { expected: 0.5, seen: 1, zero: 0 })
  assert.deepEqual(places(-1, 1), { expected: 0, seen: 1, zero: 0.5 })
  const near = places(27.9, 28.6)
  assert.ok(near.seen - near.expected > 0.3, 'a small change of a large value can be seen')
  const quiet = places(-15, -14, 'dB')
  assert.ok(quiet.seen - quiet.expected < 0.1, 'one dB is little')
  const part = { sensor: 's', feature: 'rms', share: 1, unit: 'mm/s' }
  assert.equal(change({ ...part, expected: 1, seen: 4.4 }), '4.4 times what is normal')
  assert.equal(change({ ...part, expected: 4, seen: 1 }), '25 % of what is normal')
  assert.equal(change({ ...part, expected: 1, seen: 1.2 }), '+0.2 mm/s')
})

test('refusals are counted by reason, the most first', () => {
  const letter = (reason: string, readings: number) => ({
    id: '',
    time: 0,
    source: '',
    reason,
    message: '',
    payload: '',
    readings,
    sensor: null,
    format: null,
  })
  assert.deepEqual(byReason([letter('late', 1), letter('malformed', 5), letter('late', 2)]), [
    { reason: 'malformed', events: 1, readings: 5 },
    { reason: 'late', events: 2, readings: 3 },
  ])
})

test('a machine that tells nothing for a quarter of an hour is silent, and so is one that was never measured', () => {
  assert.equal(silent(NOW - 5 * 60_000, NOW), false)
  assert.equal(silent(NOW - 16 * 60_000, NOW), true)
  assert.equal(silent(null, NOW), true)
})

test('what was told of the time left half an hour ago is old', () => {
  assert.equal(old(prognosis({ time: NOW - 20 * 60_000 }), NOW), false)
  assert.equal(old(prognosis({ time: NOW - 40 * 60_000 }), NOW), true)
})

test('an order is overdue once it should be done and is not', () => {
  const due = { status: 'planned', scheduled: NOW - HOUR, minutes: 90 }
  assert.equal(overdue(order(due), NOW), false, 'it is being done')
  assert.equal(overdue(order({ ...due, minutes: 30 }), NOW), true)
  assert.equal(overdue(order({ ...due, minutes: 30, status: 'done' }), NOW), false)
  assert.equal(overdue(order({ ...due, scheduled: null }), NOW), false)
})

test('a course has stopped when its last value is far older than its pace', () => {
  const each = (seconds: number) => [10, 9, 8].map(n => NOW - n * seconds * 1000)
  assert.equal(stopped([], NOW), null)
  assert.equal(stopped(each(1), NOW), null, 'eight seconds are nothing')
  assert.equal(stopped(each(60), NOW), NOW - 8 * 60_000)
  assert.equal(stopped([NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR], NOW), null, 'what comes by the hour may be an hour old')
})
