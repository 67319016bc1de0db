// Access control of the mock server: users, tokens, keys and the audit log, with the behaviour of the edge host.
import { createHash, randomBytes } from 'node:crypto'

const ALL = ['read', 'write', 'delete', 'configure']
const PERMISSIONS = { admin: ALL, engineer: ALL.slice(0, 3), operator: ALL.slice(0, 2), viewer: ['read'] }
const ROLES = Object.keys(PERMISSIONS)
const SCOPES = ['ingest', 'read', 'write']
const LOCAL = {
  user: 'local',
  roles: ['admin'],
  permissions: ALL,
  sites: null,
  must_change_password: false,
  method: 'open',
}
/** Names and passwords of the users that exist at start, in addition to admin. */
export const USERS = {
  ada: { password: 'a secret of ada', roles: ['engineer'], sites: null },
  vic: { password: 'a secret of vic', roles: ['viewer'], sites: ['rotterdam'] },
}

export const problem = (status, detail, headers = {}, type = 'about:blank') => ({
  status,
  body: { type, title: 'Error', status, detail },
  headers,
})

/** Rejects a body with members other than the known ones. */
export function rejectUnknown(body, known) {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return problem(400, 'the body is not a JSON object')
  const other = Object.keys(body).find(key => !known.includes(key))
  return other === undefined
    ? undefined
    : problem(400, `unknown member "${other}" in the body; this route accepts ${known.join(', ')}`)
}

/**
 * `mode`: `open`, `on`, or `none` for a platform without users. `password`: admin's one-time password. `seconds`:
 * lifetime of a token.
 */
export function mockAuth({ mode, password, seconds = 86_400, clock }) {
  const users = new Map()
  const keys = new Map()
  const tokens = new Map()
  const refreshes = new Map()
  const log = []
  const at = (ms = clock()) => new Date(ms).toISOString()
  const secret = () => randomBytes(12).toString('base64url')
  const hashOf = entry => createHash('sha256').update(JSON.stringify(entry)).digest('hex')
  const audit = (actor, action, target, outcome) => {
    const entry = { seq: log.length + 1, time: at(), actor, action, target, outcome, address: '127.0.0.1' }
    log.push({ ...entry, hash: hashOf([entry, log.at(-1)?.hash ?? '']) })
  }
  const addUser = (user, more) =>
    users.set(user, {
      user,
      sites: null,
      disabled: false,
      created: at(),
      last_login: null,
      must_change_password: false,
      ...more,
    })
  addUser('admin', { password, roles: ['admin'], must_change_password: true })
  for (const [name, more] of Object.entries(USERS)) addUser(name, more)
  audit('wheeltapper', 'user.create', 'admin', 'ok')

  const withoutPassword = ({ password: _, ...user }) => user
  const permissions = user => ALL.filter(each => user.roles.some(role => PERMISSIONS[role].includes(each)))
  const toMe = user => ({
    user: user.user,
    roles: user.roles,
    permissions: permissions(user),
    sites: user.sites,
    must_change_password: user.must_change_password,
    method: 'password',
  })
  function issueTokens(user) {
    const [token, refresh] = [secret(), secret()]
    tokens.set(token, { user: user.user, until: Date.now() + seconds * 1000 })
    refreshes.set(refresh, user.user)
    return {
      status: 200,
      body: {
        token,
        // By the clock of the Date header, which differs from the fixtures' clock.
        expires: new Date(Date.now() + seconds * 1000).toISOString(),
        refresh_token: refresh,
        refresh_expires: new Date(Date.now() + 30 * 86_400_000).toISOString(),
        must_change_password: user.must_change_password,
        user: toMe(user),
      },
    }
  }
  const revokeTokens = name => {
    for (const [token, { user }] of tokens) if (user === name) tokens.delete(token)
    for (const [refresh, user] of refreshes) if (user === name) refreshes.delete(refresh)
  }

  /** The user of a request as `me`, or a problem. */
  function authenticate(headers) {
    if (mode !== 'on') return { me: LOCAL }
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
    const token = tokens.get(bearer)
    const user = users.get(token?.user)
    if (!user || user.disabled || token.until < Date.now())
      return { problem: problem(401, 'this route requires a token', { 'WWW-Authenticate': 'Bearer' }) }
    return { me: toMe(user), token: bearer, user }
  }

  function auth(method, what, body, headers) {
    if (mode === 'none') return problem(404, 'this platform has no users')
    if (what === 'me') {
      const { me, problem } = authenticate(headers)
      return problem ?? { status: 200, body: me }
    }
    if (mode === 'open') return problem(404, 'access control is off: no sign-in is needed')
    if (method !== 'POST') return problem(405, 'this route accepts POST', { Allow: 'POST' })
    if (what === 'login') {
      const rejection = rejectUnknown(body, ['user', 'password'])
      if (rejection) return rejection
      const user = users.get(body.user)
      if (!user || user.disabled || user.password !== body.password) {
        audit(String(body.user), 'login', '', 'denied')
        return problem(401, 'the name or the password is wrong')
      }
      user.last_login = at()
      audit(user.user, 'login', '', 'ok')
      return issueTokens(user)
    }
    if (what === 'refresh') {
      const rejection = rejectUnknown(body, ['refresh_token'])
      if (rejection) return rejection
      const user = users.get(refreshes.get(body.refresh_token))
      refreshes.delete(body.refresh_token)
      return user && !user.disabled ? issueTokens(user) : problem(401, 'the refresh token is not valid')
    }
    const { problem: unauthorized, user, token } = authenticate(headers)
    if (unauthorized) return unauthorized
    if (what === 'logout') {
      tokens.delete(token)
      audit(user.user, 'logout', '', 'ok')
      return { status: 204 }
    }
    if (what !== 'password') return problem(404, 'not found')
    const rejection = rejectUnknown(body, ['old_password', 'new_password'])
    if (rejection) return rejection
    if (body.old_password !== user.password) return problem(401, 'the current password is wrong')
    if (body.new_password.length < 12)
      return problem(422, 'the password has fewer than 12 characters; choose a longer one')
    if (body.new_password.includes(user.user))
      return problem(422, 'the password contains the user name; choose another one')
    Object.assign(user, { password: body.new_password, must_change_password: false })
    audit(user.user, 'password.change', user.user, 'ok')
    revokeTokens(user.user)
    return issueTokens(user)
  }

  const roles = value => Array.isArray(value) && value.length > 0 && value.every(role => ROLES.includes(role))
  const admins = () => [...users.values()].filter(user => user.roles.includes('admin') && !user.disabled)

  function usersRoute(method, name, body, me) {
    if (method === 'GET' && name === undefined)
      return { status: 200, body: { items: [...users.values()].map(withoutPassword), next: null } }
    if (method === 'POST' && name === undefined) {
      const rejection = rejectUnknown(body, ['user', 'roles', 'sites'])
      if (rejection) return rejection
      if (!/^[\w.@-]+$/.test(body.user ?? ''))
        return problem(422, 'the name may contain only letters, digits and . _ @ -')
      if (users.has(body.user)) return problem(409, `there is a user "${body.user}" already`)
      if (!roles(body.roles)) return problem(422, `roles must be a list of ${ROLES.join(', ')}`)
      const password = secret()
      addUser(body.user, { password, roles: body.roles, sites: body.sites ?? null, must_change_password: true })
      audit(me.user, 'user.create', body.user, 'ok')
      return { status: 201, body: { ...withoutPassword(users.get(body.user)), one_time_password: password } }
    }
    const user = users.get(name)
    if (!user) return problem(404, `there is no user "${name}"`)
    const last = admins().length === 1 && admins()[0] === user
    if (method === 'DELETE') {
      if (last) return problem(409, 'the last admin cannot be removed; create another one first')
      users.delete(name)
      revokeTokens(name)
      audit(me.user, 'user.remove', name, 'ok')
      return { status: 204 }
    }
    if (method !== 'PATCH') return problem(405, 'this route accepts PATCH and DELETE', { Allow: 'PATCH, DELETE' })
    const rejection = rejectUnknown(body, ['roles', 'sites', 'disabled', 'reset_password'])
    if (rejection) return rejection
    if (body.roles && !roles(body.roles)) return problem(422, `roles must be a list of ${ROLES.join(', ')}`)
    if (last && (body.disabled || (body.roles && !body.roles.includes('admin'))))
      return problem(409, 'the last admin cannot be disabled; create another one first')
    const { reset_password: reset, ...change } = body
    Object.assign(user, change)
    audit(me.user, 'user.change', name, 'ok')
    if (body.disabled || reset) revokeTokens(name)
    if (!reset) return { status: 200, body: withoutPassword(user) }
    Object.assign(user, { password: secret(), must_change_password: true })
    return { status: 200, body: { ...withoutPassword(user), one_time_password: user.password } }
  }

  function keysRoute(method, id, body, me) {
    if (method === 'GET' && id === undefined) return { status: 200, body: { items: [...keys.values()], next: null } }
    if (method === 'POST' && id === undefined) {
      const rejection = rejectUnknown(body, ['name', 'scopes', 'sites', 'expires'])
      if (rejection) return rejection
      if (!body.scopes?.every(scope => SCOPES.includes(scope)))
        return problem(422, `scopes must be a list of ${SCOPES.join(', ')}`)
      const key = {
        id: randomBytes(4).toString('hex'),
        name: body.name,
        scopes: body.scopes,
        sites: body.sites ?? null,
        created: at(),
        expires: body.expires ?? null,
        last_used: null,
      }
      keys.set(key.id, key)
      audit(me.user, 'key.create', body.name, 'ok')
      return { status: 201, body: { ...key, key: `wt_${key.id}_${secret()}${secret()}` } }
    }
    if (method !== 'DELETE') return problem(405, 'this route accepts DELETE', { Allow: 'DELETE' })
    if (!keys.delete(id)) return problem(404, `there is no key "${id}"`)
    audit(me.user, 'key.remove', id, 'ok')
    return { status: 204 }
  }

  function verify() {
    let before = ''
    for (const { hash, ...entry } of log) {
      if (hash !== hashOf([entry, before]))
        return { ok: false, entries: log.length, first_bad: { seq: entry.seq, why: 'its hash does not match' } }
      before = hash
    }
    return { ok: true, entries: log.length, first_bad: null }
  }

  /** The routes that need the permission `configure`; undefined if the path is not one of them. */
  function admin(method, [name, id], url, body, me) {
    if (!['users', 'keys', 'audit'].includes(name) || mode === 'none') return undefined
    if (!me.permissions.includes('configure')) return problem(403, 'this route requires the permission configure')
    if (name === 'users') return usersRoute(method, id, body, me)
    if (name === 'keys') return keysRoute(method, id, body, me)
    if (id === 'verify') return { status: 200, body: verify() }
    const limit = Number(url.searchParams.get('limit') ?? 100)
    const offset = Number(url.searchParams.get('cursor') ?? 0)
    const all = log.toReversed()
    const next = offset + limit < all.length ? `/api/v1/audit?limit=${limit}&cursor=${offset + limit}` : null
    return { status: 200, body: { items: all.slice(offset, offset + limit), next } }
  }

  return { authenticate, auth, admin, audit, log, expire: () => tokens.clear(), users }
}
