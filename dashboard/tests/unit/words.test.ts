import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ago,
  hours,
  lastPart,
  life,
  measured,
  minutes,
  money,
  number,
  percent,
  placeOf,
  siteOf,
  spoken,
  stretch,
  when,
} from '../../src/format'
import { target } from '../../src/parts/arrows'
import { link, parse } from '../../src/router'
import { fault, featureName, refusal } from '../../src/words'

test('numbers have the digits that count', () => {
  assert.equal(number(0), '0')
  assert.equal(number(0.5408), '0.541')
  assert.equal(number(12.345), '12.3')
  assert.equal(number(1480.4), '1,480')
  assert.equal(number(1.25e-5), '1.25e-5')
  assert.equal(number(3.2e7), '3.20e7')
  assert.equal(number(null), '–')
  assert.equal(number(NaN), '–')
  assert.equal(measured(2.4, 'm/s2'), '2.4 m/s²')
  assert.equal(measured(54.7, 'degC'), '54.7 °C')
  assert.equal(measured(11.3, ''), '11.3')
})

test('what the host says has units as they are written', () => {
  assert.equal(spoken('temperature mean is 54.25 degC, normally 49.31 degC'), 'temperature mean is 54.25 °C, normally 49.31 °C')
  assert.equal(spoken('rms is 0.5 m/s2; flow is 3 m3/h'), 'rms is 0.5 m/s²; flow is 3 m³/h')
  assert.equal(spoken('75.3 Hz = 3.05 x shaft, 11 x the background'), '75.3 Hz = 3.05 × shaft, 11 × the background')
  // Names stay as they are.
  assert.equal(spoken('sensor degC of line x at 2 m/s2x'), 'sensor degC of line x at 2 m/s2x')
  assert.equal(money(55.5), '55.50')
  assert.equal(money(3467), '3,467.00')
})

test('a stretch of time is told to the second, with its day where that is not today', () => {
  const now = Date.parse('2026-11-25T05:38:00Z')
  const at = (text: string) => Date.parse(text)
  assert.equal(stretch(at('2026-11-25T05:37:00Z'), at('2026-11-25T05:37:30Z'), now), '06:37:00 to 06:37:30')
  assert.equal(stretch(at('2026-11-25T05:37:10Z'), at('2026-11-25T05:37:10.160Z'), now), '06:37:10')
  assert.equal(stretch(at('2026-11-24T05:00:00Z'), at('2026-11-24T05:00:30Z'), now), 'Tue 24 Nov, 06:00:00 to 06:00:30')
  assert.equal(
    stretch(at('2026-11-23T22:59:50Z'), at('2026-11-23T23:00:20Z'), now),
    'Mon 23 Nov, 23:59:50 to Tue 24 Nov, 00:00:20',
  )
})

test('what is nearly all is not all', () => {
  assert.equal(percent(0.9999), '> 99 %')
  assert.equal(percent(1), '100 %')
  assert.equal(percent(0.001), '< 1 %')
  assert.equal(percent(0), '0 %')
  assert.equal(percent(0.256), '26 %')
})

test('lengths of time are told roughly', () => {
  assert.equal(hours(0.005), 'under 1 min')
  assert.equal(hours(0.5), '30 min')
  assert.equal(hours(3.55), '3.5 h')
  assert.equal(hours(36), '36 h')
  assert.equal(hours(79), '3.3 days')
  assert.equal(hours(24 * 90), '3 months')
  assert.equal(hours(24 * 365 * 3), '3 years')
  assert.equal(minutes(45), '45 min')
  assert.equal(minutes(240), '4 h')
  assert.equal(minutes(90), '1 h 30 min')
  assert.equal(life(20, 54, 110), '54 h'.replace('54 h', '2.3 days') + ' (20 h to 4.6 days)')
  assert.equal(life(null, null, null), 'no end in sight')
  assert.equal(life(null, 5, null), 'about 5 h')
})

test('times stand in the reader’s zone', () => {
  const now = Date.parse('2026-11-25T05:38:00Z')
  assert.equal(when(Date.parse('2026-11-25T05:30:00Z'), now), '06:30')
  assert.match(when(Date.parse('2026-11-26T13:00:00Z'), now), /Thu.*26.*14:00/)
  assert.equal(when(null), '–')
  assert.equal(ago(now - 2_000, now), 'just now')
  assert.equal(ago(now - 30_000, now), '30 s ago')
  assert.equal(ago(now - 600_000, now), '10 min ago')
  // A device's clock may be ahead of the reader's.
  assert.equal(ago(now + 60_000, now), 'just now')
})

test('ids are paths', () => {
  assert.equal(lastPart('rotterdam/hall-1/pump-07'), 'pump-07')
  assert.equal(placeOf('rotterdam/hall-1/pump-07'), 'rotterdam › hall-1')
  assert.equal(siteOf('rotterdam/hall-1/pump-07'), 'rotterdam')
  assert.equal(lastPart('pump'), 'pump')
  assert.equal(siteOf('pump'), '')
})

test('addresses are taken apart as they were put together', () => {
  for (const id of ['rotterdam/hall-1/pump-07', 'Größe 100 %', 'a?b#c&d']) {
    const route = parse(link('machine', id, { range: '60', empty: '' }))
    assert.equal(route.page, 'machine')
    assert.equal(route.id, id)
    assert.equal(route.query.get('range'), '60')
    assert.equal(route.query.has('empty'), false)
  }
  assert.equal(parse('').page, 'fleet')
  assert.equal(parse('#/').page, 'fleet')
  assert.equal(parse('#/machine/%zz').id, '%zz')
})

test('arrow keys stay in the list', () => {
  assert.equal(target('ArrowDown', 0, 3), 1)
  assert.equal(target('ArrowDown', 2, 3), 2)
  assert.equal(target('ArrowUp', 0, 3), 0)
  assert.equal(target('Home', 2, 3), 0)
  assert.equal(target('End', 0, 3), 2)
  assert.equal(target('Enter', 0, 3), undefined)
  assert.equal(target('End', 0, 0), undefined)
})

test('short names are words, also those that nobody foresaw', () => {
  assert.equal(fault('bearing-outer-race'), 'Bearing: outer race')
  assert.equal(fault('loose-belt'), 'Loose belt')
  assert.equal(fault(null), 'Cause not named')
  assert.equal(featureName('q50'), 'median')
  assert.equal(featureName('octave_31'), 'level around 31.5 Hz')
  assert.equal(featureName('outer_ratio'), 'outer race line over background')
  assert.equal(featureName('some_thing'), 'some thing')
  assert.equal(refusal('late').title, 'Too late')
  assert.equal(refusal('new-reason').title, 'New reason')
})
