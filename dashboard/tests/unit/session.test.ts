import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lifetime, meOf, renewAfter } from '../../src/api/session'

const NOW = Date.parse('2026-11-25T08:00:00Z')

test('a token’s life is told by the host’s clock, however wrong ours is', () => {
  const there = 'Wed, 25 Nov 2026 08:00:00 GMT'
  assert.equal(lifetime('2026-11-26T08:00:00Z', there, NOW + 5 * 3600_000), 86_400_000)
  assert.equal(lifetime('2026-11-25T09:00:00Z', null, NOW), 3600_000)
  assert.equal(lifetime(NOW / 1000 + 60, null, NOW), 60_000)
  assert.equal(lifetime(undefined, there, NOW), null)
})

test('a token is renewed before its end', () => {
  assert.equal(renewAfter(86_400_000), 86_340_000)
  assert.equal(renewAfter(10_000), 8_000)
  assert.equal(renewAfter(-1), 0)
})

test('who the host says we are', () => {
  const me = meOf({
    user: 'vic',
    roles: ['viewer'],
    permissions: ['read'],
    sites: ['a'],
    must_change_password: true,
    method: 'password',
  })
  assert.deepEqual(me, {
    user: 'vic',
    roles: ['viewer'],
    permissions: ['read'],
    sites: ['a'],
    mustChange: true,
    method: 'password',
  })
  assert.deepEqual(meOf(null).permissions, [])
  assert.equal(meOf({ method: 'open' }).method, 'open')
})
