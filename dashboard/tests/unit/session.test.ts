import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remainingLifetime, parseUser, renewAfter } from '../../src/api/session'

const NOW = Date.parse('2026-11-25T08:00:00Z')

test('the lifetime of a token uses the host’s clock, not the browser’s', () => {
  const there = 'Wed, 25 Nov 2026 08:00:00 GMT'
  assert.equal(remainingLifetime('2026-11-26T08:00:00Z', there, NOW + 5 * 3600_000), 86_400_000)
  assert.equal(remainingLifetime('2026-11-25T09:00:00Z', null, NOW), 3600_000)
  assert.equal(remainingLifetime(NOW / 1000 + 60, null, NOW), 60_000)
  assert.equal(remainingLifetime(undefined, there, NOW), null)
})

test('a token is renewed before it expires', () => {
  assert.equal(renewAfter(86_400_000), 86_340_000)
  assert.equal(renewAfter(10_000), 8_000)
  assert.equal(renewAfter(-1), 0)
})

test('parsing of the signed-in user', () => {
  const me = parseUser({
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
    mustChangePassword: true,
    method: 'password',
  })
  assert.deepEqual(parseUser(null).permissions, [])
  assert.equal(parseUser({ method: 'open' }).method, 'open')
})
