import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Alert, Machine, Prognosis, WorkOrder } from '../../src/api/types'
import { describeChange, scalePositions, distanceRatio } from '../../src/model/explanation'
import { mergeMarks } from '../../src/model/marks'
import { lifeChart } from '../../src/model/remaining-life'
import { isFailure, matchesFilters as allowed } from '../../src/model/audit-filters'
import { repairOrderOf } from '../../src/model/repair-order'
import { describeAction } from '../../src/model/actions'
import {
  currentPrognosis,
  mergePages,
  searchMachines,
  isOutdated,
  isSilent,
  groupBySite,
  countByState,
} from '../../src/model/fleet'
import {
  midnights,
  dropTarget,
  layoutOrders,
  UNASSIGNED,
  isOverdue,
  movedOrders,
  keyTarget,
} from '../../src/model/gantt'
import { lastEventId, extent, withGaps, appendReadings, axisLimits, stoppedSince } from '../../src/model/series'
import { parseFilters, matchesFilters } from '../../src/model/alert-filters'
import { countByReason } from '../../src/model/rejections'

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

test('machines are sorted worst first, then by remaining life, then by name, without duplicates', () => {
  const worst = machine('s/h/m-3', { severity: 'high', prognosis: prognosis({ p50: 5 }), fault: 'bearing-outer-race' })
  const all = mergePages([
    [machine('s/h/m-1', { severity: 'high' }), machine('n/h/m-10'), worst],
    [machine('n/h/m-2'), machine('s/h/m-3', { severity: 'low' })],
  ])
  assert.deepEqual(
    all.map(({ asset }) => asset),
    ['s/h/m-3', 's/h/m-1', 'n/h/m-2', 'n/h/m-10'],
  )
  assert.equal(all[0], worst, 'the first page is the newest')
  assert.deepEqual(
    groupBySite(all).map(({ name }) => name),
    ['s', 'n'],
  )
  assert.deepEqual(countByState(all), { critical: 0, high: 2, medium: 0, low: 0, well: 2 })
  assert.deepEqual(searchMachines(all, 'Outer  high'), [worst])
  assert.equal(searchMachines(all, ' '), all)
})

test('the prognosis of a healthy machine is shown for a day', () => {
  const oldPrognosis = prognosis({ time: NOW - 48 * HOUR })
  assert.equal(currentPrognosis(machine('a', { prognosis: oldPrognosis }), NOW), undefined)
  assert.equal(currentPrognosis(machine('a', { prognosis: oldPrognosis, severity: 'low' }), NOW), oldPrognosis)
  assert.equal(currentPrognosis(machine('a', { prognosis: oldPrognosis }), oldPrognosis.time + HOUR), oldPrognosis)
})

test('arrow keys move an order by the hour and to the next technician', () => {
  const rows = [
    { technician: 'Ada', lanes: 1 },
    { technician: 'Bo', lanes: 2 },
    { technician: UNASSIGNED, lanes: 1 },
  ]
  const from = { scheduled: NOW, technician: 'Ada' }
  assert.deepEqual(keyTarget(from, 'ArrowRight', rows), { scheduled: NOW + HOUR, technician: 'Ada' })
  assert.deepEqual(keyTarget(from, 'ArrowLeft', rows), { scheduled: NOW - HOUR, technician: 'Ada' })
  assert.deepEqual(keyTarget(from, 'ArrowDown', rows), { scheduled: NOW, technician: 'Bo' })
  assert.equal(keyTarget(from, 'ArrowUp', rows), null)
  assert.equal(
    keyTarget({ ...from, technician: 'Bo' }, 'ArrowDown', rows),
    null,
    'the row of unassigned orders is not a technician',
  )
  assert.deepEqual(keyTarget({ ...from, technician: UNASSIGNED }, 'ArrowDown', rows), {
    scheduled: NOW,
    technician: 'Ada',
  })
  assert.equal(keyTarget(from, 'Home', rows), null)
})

test('a new plan reports which other orders it moved', () => {
  const before = [order({ id: 'a' }), order({ id: 'b' }), order({ id: 'c' })]
  const after = [
    order({ id: 'a', scheduled: NOW + HOUR }),
    order({ id: 'b', technician: 'Bo' }),
    order({ id: 'c' }),
    order({ id: 'd' }),
  ]
  assert.deepEqual(
    movedOrders(before, after, 'a').map(({ id }) => id),
    ['b'],
  )
})

test('the repair of an anomaly is the order created for it, otherwise the most urgent one of its machine', () => {
  const anomaly = { id: 'y', asset: 'a/b/m' }
  const own = order({ id: 'own', alert: 'y', priority: 5 })
  const urgent = order({ id: 'urgent', priority: 1 })
  const other = order({ id: 'other', asset: 'a/b/n', priority: 1 })
  assert.equal(repairOrderOf([urgent, own, other], anomaly), own)
  assert.equal(repairOrderOf([order({}), urgent, other], anomaly), urgent)
  assert.equal(repairOrderOf([order({ status: 'done', alert: 'y' }), other], anomaly), undefined)
})

test('actions are described in words, whatever their text is', () => {
  const describe = (kind: string, change: unknown) => describeAction({ kind, text: JSON.stringify(change) })
  assert.equal(describeAction({ kind: 'comment', text: 'a hum' }), 'a hum')
  assert.equal(describe('reset-baseline', { reason: 'repaired', comment: 'new bearings' }), 'Repaired: new bearings')
  assert.equal(describe('reset-baseline', { reason: 'new-normal' }), 'The present behaviour is normal')
  assert.equal(describe('reset-baseline', { reason: 'new-owner' }), 'New owner')
  assert.equal(describe('amend', { status: 'done', reset_baseline: true }), 'Done, baseline reset')
  assert.equal(describe('amend', { status: 'done', reset_baseline: false }), 'Done')
  assert.equal(describe('amend', { technician: 'Ada', pinned: true }), 'Ada, pinned')
  assert.match(describe('amend', { scheduled_time: 1_795_585_080_000_000_000 }), /25/)
  for (const text of ['', '[', 'null', '3']) {
    assert.equal(describeAction({ kind: 'amend', text }), '')
    assert.equal(describeAction({ kind: 'reset-baseline', text }), '')
  }
})

test('the audit log is filtered by user, outcome and search words', () => {
  const entry = {
    seq: 7,
    time: NOW,
    actor: 'ada',
    action: 'user.remove',
    target: 'vic',
    outcome: 'ok',
    address: '10.0.0.1',
  }
  const all = { actor: '', outcome: '', search: '' }
  assert.ok(allowed(entry, all))
  assert.ok(allowed(entry, { ...all, search: 'REMOVE  vic' }))
  assert.ok(!allowed(entry, { ...all, actor: 'bo' }))
  assert.ok(!allowed(entry, { ...all, outcome: 'denied' }))
  assert.ok(isFailure('denied') && isFailure('failed') && !isFailure('ok'))
})

test('a stream resumes after the newest reading', () => {
  assert.equal(lastEventId(undefined), '')
  assert.equal(lastEventId({ times: [NOW, NOW + 1], values: [1, 2] }), `${NOW + 1}000000`)
})

test('new readings are appended to the known ones', () => {
  const known = { times: [1, 2, 3], values: [1, 2, 3] }
  assert.deepEqual(appendReadings(known, { times: [3, 4], values: [30, 40] }, 2), {
    times: [2, 3, 4],
    values: [2, 30, 40],
  })
  assert.equal(appendReadings(known, { times: [], values: [] }, 0), known, 'the same object without new readings')
  assert.deepEqual(appendReadings(known, { times: [], values: [] }, 3), { times: [3], values: [3] })
})

test('a silence is a gap, not a line', () => {
  const made = withGaps({ times: [0, 10, 20, 30, 200, 210], values: [1, 1, 1, 1, 1, 1] })
  assert.deepEqual(made.values, [1, 1, 1, 1, null, 1, 1])
  assert.deepEqual(withGaps({ times: [], values: [] }), { times: [], values: [] })
})

test('axis limits are never equal', () => {
  assert.deepEqual(extent({ values: [3, null, 1, 2] }), { low: 1, high: 3, last: 2 })
  assert.equal(extent({ values: [null] }), undefined)
  for (const [low, high] of [
    [0, 0],
    [5, 5],
    [1, 2],
    [NaN, NaN],
  ] as const) {
    const [from, to] = axisLimits(low, high)
    assert.ok(from < to)
  }
})

test('overlapping marks of the same severity are merged', () => {
  const mark = (start: number, end: number, severity: 'low' | 'high') => ({ start, end, severity })
  assert.deepEqual(mergeMarks([mark(10, 40, 'low'), mark(0, 30, 'low'), mark(50, 60, 'low'), mark(5, 6, 'high')]), [
    mark(0, 40, 'low'),
    mark(50, 60, 'low'),
    mark(5, 6, 'high'),
  ])
})

test('the fan starts at the latest prognosis and ends at the limit', () => {
  const made = lifeChart([prognosis({}), prognosis({ time: NOW - 10 * HOUR, health: 0.9 })])!
  assert.deepEqual(
    made.history.map(({ health }) => health),
    [0.9, 0.5],
  )
  assert.deepEqual(made.p50, { time: NOW + 20 * HOUR, health: 0 })
  assert.deepEqual(made.p10, { time: NOW + 10 * HOUR, health: 0 })
  assert.ok(made.to > NOW + 40 * HOUR)
  const far = lifeChart([prognosis({ p90: 4_000 })])!
  assert.equal(far.p90!.time, far.to, 'a distant end is clipped')
  assert.ok(far.p90!.health > 0)
  assert.equal(lifeChart([prognosis({ p10: null, p50: null, p90: null })])!.p50, undefined)
  assert.equal(lifeChart([]), undefined)
})

test('orders are in the rows of their technicians; overlapping ones are in separate lanes', () => {
  const chart = layoutOrders(
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
    { technician: UNASSIGNED, lanes: 1 },
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
    chart.unscheduled.map(({ id }) => id),
    ['5'],
  )
  assert.ok(chart.from <= NOW && chart.to >= NOW + 24 * HOUR)
})

test('a dropped bar snaps to five minutes and to a technician', () => {
  const chart = layoutOrders(
    [order({ id: '1' }), order({ id: '2', technician: 'Bram' }), order({ id: '3', technician: null })],
    NOW,
  )
  const bar = chart.bars.find(({ order }) => order.id === '1')!
  const perPixel = 60_000
  assert.deepEqual(dropTarget(bar, 62, 1, chart, perPixel), { scheduled: NOW + 60 * 60_000, technician: 'Bram' })
  assert.equal(dropTarget(bar, 1, 0, chart, perPixel), null)
  assert.equal(dropTarget(bar, 60, 2, chart, perPixel), null, 'the row of unassigned orders is not a technician')
  assert.deepEqual(dropTarget(bar, 60, -5, chart, perPixel), { scheduled: NOW + HOUR, technician: 'Ada' })
})

test('a day that daylight saving time makes longer counts as one', () => {
  // In Amsterdam, the time zone of these tests, the clock goes back on 25 October 2026.
  const made = midnights(Date.parse('2026-10-24T10:00:00Z'), Date.parse('2026-10-27T10:00:00Z'))
  assert.deepEqual(
    made.map(day => new Date(day).getHours()),
    [0, 0, 0, 0],
  )
  assert.equal(made[2]! - made[1]!, 25 * HOUR)
})

test('alerts must match all filters', () => {
  const one = alert({ asset: 'n/h/pump-1', severity: 'high', fault: 'bearing-outer-race' })
  const all = { state: 'all', severity: '', site: '', search: '' }
  assert.equal(matchesFilters(one, all), true)
  assert.equal(matchesFilters(one, { ...all, site: 's' }), false)
  assert.equal(matchesFilters(one, { ...all, severity: 'low' }), false)
  assert.equal(matchesFilters(one, { ...all, state: 'resolved' }), false)
  assert.equal(matchesFilters(one, { ...all, search: 'RACE pump' }), true)
  assert.equal(matchesFilters(one, { ...all, search: 'race fan' }), false)
  assert.equal(parseFilters(new URLSearchParams()).state, 'open')
})

test('the ratio inverts the score', () => {
  const score = (distance: number) => 1 - 10 ** (-3 * distance ** 2)
  for (const distance of [0.5, 1, 1.6, 2])
    assert.ok(Math.abs(distanceRatio({ score: score(distance), threshold: 0.999 }) - distance) < 1e-3)
  assert.ok(Number.isFinite(distanceRatio({ score: 1, threshold: 0.999 })))
})

test('the actual value is drawn next to the normal value', () => {
  assert.deepEqual(scalePositions(1, 2), { expected: 0.5, actual: 1, zero: 0 })
  assert.deepEqual(scalePositions(-1, 1), { expected: 0, actual: 1, zero: 0.5 })
  const near = scalePositions(27.9, 28.6)
  assert.ok(near.actual - near.expected > 0.3, 'a small change of a large value is visible')
  const levels = scalePositions(-15, -14, 'dB')
  assert.ok(levels.actual - levels.expected < 0.1, 'one dB is little')
  const part = { sensor: 's', feature: 'rms', share: 1, unit: 'mm/s' }
  assert.equal(describeChange({ ...part, expected: 1, actual: 4.4 }), '4.4 × normal')
  assert.equal(describeChange({ ...part, expected: 4, actual: 1 }), '25 % of normal')
  assert.equal(describeChange({ ...part, expected: 1, actual: 1.2 }), '+0.2 mm/s')
})

test('rejections are counted by reason, most readings first', () => {
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
  assert.deepEqual(countByReason([letter('late', 1), letter('malformed', 5), letter('late', 2)]), [
    { reason: 'malformed', events: 1, readings: 5 },
    { reason: 'late', events: 2, readings: 3 },
  ])
})

test('a machine without data for a quarter of an hour is silent, and so is one that was never measured', () => {
  assert.equal(isSilent(NOW - 5 * 60_000, NOW), false)
  assert.equal(isSilent(NOW - 16 * 60_000, NOW), true)
  assert.equal(isSilent(null, NOW), true)
})

test('a forecast from half an hour ago is outdated', () => {
  assert.equal(isOutdated(prognosis({ time: NOW - 20 * 60_000 }), NOW), false)
  assert.equal(isOutdated(prognosis({ time: NOW - 40 * 60_000 }), NOW), true)
})

test('an order is overdue if it should be finished and is not done', () => {
  const due = { status: 'planned', scheduled: NOW - HOUR, minutes: 90 }
  assert.equal(isOverdue(order(due), NOW), false, 'it is in progress')
  assert.equal(isOverdue(order({ ...due, minutes: 30 }), NOW), true)
  assert.equal(isOverdue(order({ ...due, minutes: 30, status: 'done' }), NOW), false)
  assert.equal(isOverdue(order({ ...due, scheduled: null }), NOW), false)
})

test('a series has stopped if its last value is much older than its usual interval', () => {
  const each = (seconds: number) => [10, 9, 8].map(n => NOW - n * seconds * 1000)
  assert.equal(stoppedSince([], NOW), null)
  assert.equal(stoppedSince(each(1), NOW), null, 'eight seconds are not enough')
  assert.equal(stoppedSince(each(60), NOW), NOW - 8 * 60_000)
  assert.equal(
    stoppedSince([NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR], NOW),
    null,
    'an hourly value may be an hour old',
  )
})
