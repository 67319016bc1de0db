import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as rows from '../../src/api/rows'

const fixture = (name: string): rows.Row[] => JSON.parse(readFileSync(`tests/fixtures/${name}.json`, 'utf8')) as rows.Row[]

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

test('the recorded rows are read whole', () => {
  for (const from of fixture('anomalies')) {
    const anomaly = rows.anomaly(from)
    assert.ok(anomaly.id.length === 32 && anomaly.start < anomaly.end && anomaly.asset)
    const shares = anomaly.contributions.reduce((sum, part) => sum + part.share, 0)
    assert.ok(shares <= 1.001)
  }
  for (const from of fixture('alerts')) assert.ok(rows.alert(from).recommendation)
  for (const from of fixture('work-orders')) assert.ok(rows.workOrder(from).minutes > 0 && rows.workOrder(from).skills.length > 0)
  for (const from of fixture('prognoses')) assert.ok(rows.prognosis(from).health <= 1)
  for (const from of fixture('waveforms')) assert.equal(rows.waveform(from).samples.length, 2_048)
  for (const from of fixture('windows')) assert.ok(Object.keys(rows.window(from).features).includes('rms'))
})

test('lists of words are lists, JSON, or words between commas', () => {
  assert.deepEqual(rows.workOrder({ skills: ['a', 'b'] }).skills, ['a', 'b'])
  assert.deepEqual(rows.workOrder({ skills: '["a","b"]' }).skills, ['a', 'b'])
  assert.deepEqual(rows.workOrder({ skills: 'a,b' }).skills, ['a', 'b'])
  assert.deepEqual(rows.workOrder({ skills: '' }).skills, [])
})

test('an answer that is nothing like one breaks nothing', () => {
  for (const answer of [null, 3, 'x', [], {}, { items: 'x' }, { items: [null, 3] }]) {
    const page = rows.page(answer, rows.alert)
    assert.ok(Array.isArray(page.items))
    assert.equal(page.next, null)
    assert.equal(rows.overview(answer).readings, null)
  }
})
