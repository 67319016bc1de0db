import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatAgo,
  formatHours,
  nameOf,
  formatRemainingLife,
  formatValue,
  formatMinutes,
  formatMoney,
  formatNumber,
  formatPercent,
  parentPath,
  siteOf,
  withDisplayUnits,
  formatRange,
  formatTime,
} from '../../src/format'
import { targetIndex } from '../../src/components/keyboard-nav'
import { link, parseRoute } from '../../src/router'
import { actionName, faultName, featureName, rejectionInfo, resetReasonName } from '../../src/messages'

test('numbers have significant digits', () => {
  assert.equal(formatNumber(0), '0')
  assert.equal(formatNumber(0.5408), '0.541')
  assert.equal(formatNumber(12.345), '12.3')
  assert.equal(formatNumber(1480.4), '1,480')
  assert.equal(formatNumber(1.25e-5), '1.25e-5')
  assert.equal(formatNumber(3.2e7), '3.20e7')
  assert.equal(formatNumber(null), '–')
  assert.equal(formatNumber(NaN), '–')
  assert.equal(formatValue(2.4, 'm/s2'), '2.4 m/s²')
  assert.equal(formatValue(54.7, 'degC'), '54.7 °C')
  assert.equal(formatValue(11.3, ''), '11.3')
})

test('messages of the host get display units', () => {
  assert.equal(
    withDisplayUnits('temperature mean is 54.25 degC, normally 49.31 degC'),
    'temperature mean is 54.25 °C, normally 49.31 °C',
  )
  assert.equal(withDisplayUnits('rms is 0.5 m/s2; flow is 3 m3/h'), 'rms is 0.5 m/s²; flow is 3 m³/h')
  assert.equal(
    withDisplayUnits('75.3 Hz = 3.05 x shaft, 11 x the background'),
    '75.3 Hz = 3.05 × shaft, 11 × the background',
  )
  // Names are not changed.
  assert.equal(withDisplayUnits('sensor degC of line x at 2 m/s2x'), 'sensor degC of line x at 2 m/s2x')
  assert.equal(formatMoney(55.5), '55.50')
  assert.equal(formatMoney(3467), '3,467.00')
})

test('a time range is shown to the second, with its day unless it is today', () => {
  const now = Date.parse('2026-11-25T05:38:00Z')
  const at = (text: string) => Date.parse(text)
  assert.equal(formatRange(at('2026-11-25T05:37:00Z'), at('2026-11-25T05:37:30Z'), now), '06:37:00 to 06:37:30')
  assert.equal(formatRange(at('2026-11-25T05:37:10Z'), at('2026-11-25T05:37:10.160Z'), now), '06:37:10')
  assert.equal(
    formatRange(at('2026-11-24T05:00:00Z'), at('2026-11-24T05:00:30Z'), now),
    'Tue 24 Nov, 06:00:00 to 06:00:30',
  )
  assert.equal(
    formatRange(at('2026-11-23T22:59:50Z'), at('2026-11-23T23:00:20Z'), now),
    'Mon 23 Nov, 23:59:50 to Tue 24 Nov, 00:00:20',
  )
})

test('a fraction close to 1 is not 100 %', () => {
  assert.equal(formatPercent(0.9999), '> 99 %')
  assert.equal(formatPercent(1), '100 %')
  assert.equal(formatPercent(0.001), '< 1 %')
  assert.equal(formatPercent(0), '0 %')
  assert.equal(formatPercent(0.256), '26 %')
})

test('durations are rounded', () => {
  assert.equal(formatHours(0.005), 'under 1 min')
  assert.equal(formatHours(0.5), '30 min')
  assert.equal(formatHours(3.55), '3.5 h')
  assert.equal(formatHours(36), '36 h')
  assert.equal(formatHours(79), '3.3 days')
  assert.equal(formatHours(24 * 90), '3 months')
  assert.equal(formatHours(24 * 365 * 3), '3 years')
  assert.equal(formatMinutes(45), '45 min')
  assert.equal(formatMinutes(240), '4 h')
  assert.equal(formatMinutes(90), '1 h 30 min')
  assert.equal(formatRemainingLife(20, 54, 110), '54 h'.replace('54 h', '2.3 days') + ' (20 h to 4.6 days)')
  assert.equal(formatRemainingLife(null, null, null), 'no wear trend')
  assert.equal(formatRemainingLife(null, 5, null), 'about 5 h')
})

test('times are in the user’s time zone', () => {
  const now = Date.parse('2026-11-25T05:38:00Z')
  assert.equal(formatTime(Date.parse('2026-11-25T05:30:00Z'), now), '06:30')
  assert.match(formatTime(Date.parse('2026-11-26T13:00:00Z'), now), /Thu.*26.*14:00/)
  assert.equal(formatTime(null), '–')
  assert.equal(formatAgo(now - 2_000, now), 'just now')
  assert.equal(formatAgo(now - 30_000, now), '30 s ago')
  assert.equal(formatAgo(now - 600_000, now), '10 min ago')
  // A device's clock may be ahead of the user's.
  assert.equal(formatAgo(now + 60_000, now), 'just now')
})

test('ids are paths', () => {
  assert.equal(nameOf('rotterdam/hall-1/pump-07'), 'pump-07')
  assert.equal(parentPath('rotterdam/hall-1/pump-07'), 'rotterdam › hall-1')
  assert.equal(siteOf('rotterdam/hall-1/pump-07'), 'rotterdam')
  assert.equal(nameOf('pump'), 'pump')
  assert.equal(siteOf('pump'), '')
})

test('parsing a link returns its parts', () => {
  for (const id of ['rotterdam/hall-1/pump-07', 'Größe 100 %', 'a?b#c&d']) {
    const route = parseRoute(link('machine', id, { range: '60', empty: '' }))
    assert.equal(route.page, 'machine')
    assert.equal(route.id, id)
    assert.equal(route.query.get('range'), '60')
    assert.equal(route.query.has('empty'), false)
  }
  assert.equal(parseRoute('').page, 'fleet')
  assert.equal(parseRoute('#/').page, 'fleet')
  assert.equal(parseRoute('#/machine/%zz').id, '%zz')
})

test('arrow keys stay in the list', () => {
  assert.equal(targetIndex('ArrowDown', 0, 3), 1)
  assert.equal(targetIndex('ArrowDown', 2, 3), 2)
  assert.equal(targetIndex('ArrowUp', 0, 3), 0)
  assert.equal(targetIndex('Home', 2, 3), 0)
  assert.equal(targetIndex('End', 0, 3), 2)
  assert.equal(targetIndex('Enter', 0, 3), undefined)
  assert.equal(targetIndex('End', 0, 0), undefined)
})

test('identifiers have display names, including unknown ones', () => {
  assert.equal(faultName('bearing-outer-race'), 'Bearing: outer race')
  assert.equal(faultName('loose-belt'), 'Loose belt')
  assert.equal(faultName(null), 'Unknown fault')
  assert.equal(featureName('q50'), 'median')
  assert.equal(featureName('octave_31'), 'level around 31.5 Hz')
  assert.equal(featureName('outer_ratio'), 'outer race line over background')
  assert.equal(featureName('some_thing'), 'some thing')
  assert.equal(rejectionInfo('oversize').title, 'Too large')
  assert.equal(rejectionInfo('new-reason').title, 'New reason')
  assert.equal(actionName('reset-baseline'), 'Reset the baseline')
  assert.equal(resetReasonName('new-operating-mode'), 'New operating mode')
})
