import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as rows from '../../src/api/rows'

const fixture = (name: string): rows.Row[] =>
  JSON.parse(readFileSync(`tests/fixtures/${name}.json`, 'utf8')) as rows.Row[]

test('times are RFC 3339, or nanoseconds since 1970', () => {
  assert.equal(rows.time('2026-11-25T05:38:00Z'), Date.parse('2026-11-25T05:38:00Z'))
  assert.equal(rows.time(1_795_585_080_000_000_000), 1_795_585_080_000)
  assert.equal(rows.time(null), null)
  assert.equal(rows.time('yesterday'), null)
})

test('readings come as rows, as chunks and as columns', () => {
  const expected = { times: [1_000, 2_000], values: [1.5, 2.5] }
  const [one, two] = ['1970-01-01T00:00:01Z', '1970-01-01T00:00:02Z']
  assert.deepEqual(
    rows.readings({
      items: [
        { time: two, value: 2.5 },
        { time: one, value: 1.5 },
      ],
      next: null,
    }),
    expected,
  )
  assert.deepEqual(
    rows.readings({
      items: [
        { times: [2e9], vals: [2.5] },
        { times: [1e9], vals: [1.5] },
      ],
    }),
    expected,
  )
  assert.deepEqual(rows.readings({ times: [one, two], values: [1.5, 2.5] }), expected)
  assert.deepEqual(rows.readings({ items: [{ time: one, value: null }] }), { times: [], values: [] })
  assert.deepEqual(rows.readings(null), { times: [], values: [] })
})

test('an anomaly’s metadata is an object, or its text', () => {
  const from = fixture('anomalies')[0]!
  const one = rows.anomaly(from)
  const other = rows.anomaly({ ...from, metadata: JSON.stringify(from.metadata) })
  assert.deepEqual(one, other)
  assert.ok(one.contributions.length > 0)
  assert.ok(one.detected > Date.parse('2026-11-25T05:00:00Z'))
})

test('the recorded rows are parsed completely', () => {
  for (const from of fixture('anomalies')) {
    const anomaly = rows.anomaly(from)
    assert.ok(anomaly.id.length === 32 && anomaly.start < anomaly.end && anomaly.asset)
    const shares = anomaly.contributions.reduce((sum, part) => sum + part.share, 0)
    assert.ok(shares <= 1.001)
  }
  for (const from of fixture('alerts')) assert.ok(rows.alert(from).recommendation)
  for (const from of fixture('work-orders'))
    assert.ok(rows.workOrder(from).minutes > 0 && rows.workOrder(from).skills.length > 0)
  for (const from of fixture('prognoses')) assert.ok(rows.prognosis(from).health <= 1)
  for (const from of fixture('waveforms')) assert.equal(rows.waveform(from).samples.length, 2_048)
  for (const from of fixture('windows')) assert.ok(Object.keys(rows.window(from).features).includes('rms'))
})

test('lists of words are arrays, JSON text or comma-separated text', () => {
  assert.deepEqual(rows.workOrder({ skills: ['a', 'b'] }).skills, ['a', 'b'])
  assert.deepEqual(rows.workOrder({ skills: '["a","b"]' }).skills, ['a', 'b'])
  assert.deepEqual(rows.workOrder({ skills: 'a,b' }).skills, ['a', 'b'])
  assert.deepEqual(rows.workOrder({ skills: '' }).skills, [])
})

test('an unexpected response does not throw', () => {
  for (const answer of [null, 3, 'x', [], {}, { items: 'x' }, { items: [null, 3] }]) {
    const page = rows.page(answer, rows.alert)
    assert.ok(Array.isArray(page.items))
    assert.equal(page.next, null)
    assert.equal(rows.overview(answer).readings, null)
  }
})

test('a machine without an alert has no severity, and one without health has no prognosis', () => {
  const bare = { asset: 'a/b', sensors: 3, open_alerts: 0, severity: null, title: null, health: null, next_order: null }
  const well = rows.machine(bare)
  assert.equal(well.severity, null)
  assert.equal(well.prognosis, undefined)
  assert.equal(well.nextOrder, null)
  const bad = rows.machine({
    ...bare,
    severity: 'high',
    health: 0.4,
    p50_hours: 7,
    prognosis_time: '2026-11-25T05:38:00Z',
  })
  assert.equal(bad.severity, 'high')
  assert.deepEqual(
    [bad.prognosis?.asset, bad.prognosis?.health, bad.prognosis?.p50, bad.prognosis?.p10],
    ['a/b', 0.4, 7, null],
  )
})

test('actions are sorted by time', () => {
  const action = (id: string, time: string) => ({
    id,
    time,
    action: 'comment',
    target: 'x',
    asset: 'a',
    actor: 'ada',
    text: 't',
  })
  const { actions } = rows.anomaly({
    id: 'x',
    actions: [action('2', '2026-11-25T06:00:00Z'), action('1', '2026-11-25T05:00:00Z')],
  })
  assert.deepEqual(
    actions.map(({ id }) => id),
    ['1', '2'],
  )
})

test('a recorded reset of a baseline', () => {
  const reset = rows.action({
    id: 'x',
    time: '2026-11-25T06:00:00Z',
    action: 'reset-baseline',
    target: 'a/b/m',
    asset: 'a/b/m',
    actor: null,
    text: '{"reason":"cleaned"}',
  })
  assert.deepEqual([reset.kind, reset.target, reset.actor], ['reset-baseline', 'a/b/m', ''])
})

test('a what-if planning task', () => {
  assert.deepEqual(rows.whatIfTask({ task_id: 't', status: 'queued', progress: 0.25, plan: null }), {
    id: 't',
    status: 'queued',
    progress: 0.25,
    plan: null,
  })
  const done = rows.whatIfTask({
    task_id: 't',
    status: 'done',
    plan: { work_orders: [{ id: 'o', pinned: 1 }], unscheduled: ['a', 'b'], cost: 9 },
  })
  assert.equal(done.plan?.unscheduled, 2)
  assert.equal(done.plan?.makespanHours, null)
  assert.equal(done.plan?.orders[0]?.pinned, true)
})

test('users, keys and the audit log', () => {
  const user = rows.user({
    user: 'ada',
    roles: ['admin'],
    sites: null,
    disabled: false,
    last_login: null,
    must_change_password: true,
  })
  assert.deepEqual([user.sites, user.lastLogin, user.mustChangePassword], [null, null, true])
  assert.deepEqual(rows.key({ id: 'k', name: 'n', scopes: ['ingest'], sites: ['a'], expires: null }).sites, ['a'])
  assert.deepEqual(rows.auditVerification({ ok: false, entries: 3, first_bad: { seq: 2, why: 'w' } }), {
    ok: false,
    entries: 3,
    firstBad: { seq: 2, why: 'w' },
  })
})

test('events of a sensor’s stream', () => {
  assert.deepEqual(rows.streamReadings('{"sensor": "s", "items": [{"time": "1970-01-01T00:00:01Z", "value": 2}]}'), {
    times: [1000],
    values: [2],
  })
  assert.deepEqual(rows.streamReadings('no JSON'), { times: [], values: [] })
})

test('the fault identifier is removed from the message if the fault mode is set', () => {
  const message = 'bearing-temperature median is 54.25 degC (points to overheating)'
  assert.equal(rows.alert({ message, fault_mode: 'overheating' }).message, 'bearing-temperature median is 54.25 °C')
  assert.equal(
    rows.alert({ message, fault_mode: null }).message,
    'bearing-temperature median is 54.25 °C (points to overheating)',
  )
})
