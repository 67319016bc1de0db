// The session. Tokens are kept in this tab only (sessionStorage), so closing the tab signs out.

const KEY = 'wheeltapper-session'
const BASE = '/api/v1/auth'

/** A permission of a user. */
export type Permission = 'read' | 'write' | 'delete' | 'configure'

/** The signed-in user, as reported by the host. */
export interface Me {
  user: string
  roles: string[]
  permissions: Permission[]
  /** Null: all sites. */
  sites: string[] | null
  mustChangePassword: boolean
  /** `open`: no sign-in is needed. `none`: the host has no users. */
  method: 'password' | 'oidc' | 'key' | 'open' | 'none'
}

/** What the page shows: `login` the sign-in form, `change` the form for a new password, `in` the pages. */
export type Stage = 'loading' | 'in' | 'login' | 'change'

export interface Access {
  stage: Stage
  /** Undefined until the host has answered. */
  me: Me | undefined
  /** Why the user has to sign in again. */
  notice: string
}

interface Session {
  token: string
  /** Milliseconds since 1970 by the browser's clock; null if the host did not send it. */
  expires: number | null
  refresh: string | null
}

const listeners = new Set<() => void>()
let accessState: Access = { stage: 'loading', me: undefined, notice: '' }
/** The password of the last sign-in, kept while it has to be changed, so that the user does not type it twice. */
let typedCredentials: { user: string; password: string } | undefined

function update(change: Partial<Access>): void {
  accessState = { ...accessState, ...change }
  for (const listener of listeners) listener()
}

/** The current access state. */
export const access = (): Access => accessState

/** Whether the user has this permission. */
export const hasPermission = (permission: Permission): boolean =>
  accessState.me?.permissions.includes(permission) ?? false

/** Calls the listener when [`access`] changes. Returns the function that removes it. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function readSession(): Session | null {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null
    return stored && typeof stored.token === 'string' ? stored : null
  } catch {
    return null
  }
}

/** The bearer token, if any. */
export const token = (): string | null => readSession()?.token ?? null

const headers = (): Record<string, string> => {
  const bearer = token()
  return bearer ? { Authorization: `Bearer ${bearer}` } : {}
}

const stringList = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
const METHODS = ['password', 'oidc', 'key', 'open', 'none'] as const

/** Parses the user in a response. */
export function parseUser(response: unknown): Me {
  const record = (typeof response === 'object' && response !== null ? response : {}) as Record<string, unknown>
  return {
    user: typeof record.user === 'string' ? record.user : '',
    roles: stringList(record.roles),
    permissions: stringList(record.permissions) as Permission[],
    sites: Array.isArray(record.sites) ? record.sites.map(String) : null,
    mustChangePassword: record.must_change_password === true,
    method: METHODS.find(method => method === record.method) ?? 'password',
  }
}

/** A host without users, such as the component on another platform: it accepts every request that reaches it. */
const NO_USERS: Me = {
  user: '',
  roles: [],
  permissions: ['read', 'write'],
  sites: null,
  mustChangePassword: false,
  method: 'none',
}

/** Remaining lifetime of a token, in milliseconds. Uses the host's clock, as the browser's may be hours off. */
export function remainingLifetime(expires: unknown, date: string | null, now: number): number | null {
  const expiresAt = typeof expires === 'number' ? expires * 1000 : Date.parse(String(expires))
  if (Number.isNaN(expiresAt)) return null
  const hostTime = date ? Date.parse(date) : Number.NaN
  return expiresAt - (Number.isNaN(hostTime) ? now : hostTime)
}

/**
 * When to renew a token with this remaining lifetime: one minute before it expires, or after four fifths of a shorter
 * lifetime.
 */
export const renewAfter = (remaining: number): number => Math.max(0, remaining - Math.min(60_000, remaining / 5))

/**
 * A duplicated tab has the same tokens, and a refresh token works only once. The tab that renews tells the others, and
 * jitter keeps two tabs from renewing at the same moment.
 */
const otherTabs = typeof document === 'undefined' ? undefined : new BroadcastChannel(KEY)
const jitter = Math.random()

otherTabs?.addEventListener('message', ({ data }: MessageEvent<{ used: string; session: Session }>) => {
  if (readSession()?.refresh !== data.used) return
  sessionStorage.setItem(KEY, JSON.stringify(data.session))
  scheduleRenewal()
})

let timer: ReturnType<typeof setTimeout> | undefined
/** Timers cannot wait longer than 24 days, and stop while the computer sleeps. */
const MAX_TIMER = 3600_000

function scheduleRenewal(): void {
  clearTimeout(timer)
  const session = readSession()
  if (!session?.refresh || session.expires === null) return
  // At least one second: a token without any lifetime must not cause a request storm.
  const pause = Math.max(1_000, renewAfter(session.expires - Date.now()) * (1 - jitter / 20))
  timer = setTimeout(() => (pause > MAX_TIMER ? scheduleRenewal() : void renew()), Math.min(pause, MAX_TIMER))
}

/** Stores the tokens of a sign-in, a renewal or a password change. */
async function storeTokens(response: Response): Promise<void> {
  const body = (await response.json()) as Record<string, unknown>
  if (typeof body.token !== 'string')
    throw new Error('The host returned no token. The page and the host have different versions.')
  const remaining = remainingLifetime(body.expires, response.headers.get('Date'), Date.now())
  const session: Session = {
    token: body.token,
    expires: remaining === null ? null : Date.now() + remaining,
    refresh: typeof body.refresh_token === 'string' ? body.refresh_token : null,
  }
  sessionStorage.setItem(KEY, JSON.stringify(session))
  scheduleRenewal()
  const user = typeof body.user === 'object' && body.user !== null ? body.user : undefined
  const me = user && parseUser({ ...user, must_change_password: body.must_change_password })
  if (!me) return loadUser()
  update({ me, stage: me.mustChangePassword ? 'change' : 'in', notice: '' })
}

function endSession(notice: string): void {
  sessionStorage.removeItem(KEY)
  clearTimeout(timer)
  typedCredentials = undefined
  update({ stage: 'login', me: undefined, notice })
}

/** The API answered 401 and the token cannot be renewed: the session is over. */
export function onUnauthorized(): void {
  if (accessState.stage === 'login') return
  endSession(readSession() ? 'Your session has expired. Sign in again to continue.' : '')
}

/** The API requires a new password first. */
export function requirePasswordChange(): void {
  if (accessState.stage !== 'change') update({ stage: 'change' })
}

let renewing: Promise<boolean> | undefined

/** Gets a new token with the refresh token. Concurrent callers share one request. */
export function renew(): Promise<boolean> {
  renewing ??= requestRenewal().finally(() => (renewing = undefined))
  return renewing
}

async function requestRenewal(): Promise<boolean> {
  const refresh = readSession()?.refresh
  if (!refresh) return false
  try {
    const response = await post('/refresh', { refresh_token: refresh })
    if (response.ok) {
      await storeTokens(response)
      otherTabs?.postMessage({ used: refresh, session: readSession() })
      return true
    }
    if (response.status < 500 && response.status !== 429) {
      // Another tab may have renewed first, and its message may be on its way.
      await new Promise(resolve => setTimeout(resolve, 300))
      if (readSession() && readSession()?.refresh !== refresh) return true
      onUnauthorized()
      return false
    }
  } catch {
    // No response: the current token may still be valid when the host is back.
  }
  clearTimeout(timer)
  timer = setTimeout(() => void renew(), 10_000)
  return false
}

function post(path: string, body: unknown, extraHeaders: Record<string, string> = {}): Promise<Response> {
  const init = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...extraHeaders },
    body: JSON.stringify(body),
  }
  return fetch(`${BASE}${path}`, { ...init, cache: 'no-store' })
}

/** Asks the host for the signed-in user. Called once at start. */
export async function loadUser(): Promise<void> {
  let response: Response
  const ask = () => fetch(`${BASE}/me`, { headers: { ...headers(), Accept: 'application/json' }, cache: 'no-store' })
  try {
    response = await ask()
    if (response.status === 401 && (await renew())) response = await ask()
  } catch {
    return retryLater()
  }
  if (response.ok) {
    const me = parseUser(await response.json())
    scheduleRenewal()
    return update({ me, stage: me.mustChangePassword ? 'change' : 'in', notice: '' })
  }
  if (response.status === 401)
    return accessState.stage === 'login' ? undefined : endSession(readSession() ? 'Your session has expired.' : '')
  if (response.status === 404 || response.status === 405) return update({ me: NO_USERS, stage: 'in' })
  retryLater()
}

/** The host is silent or failing: the pages report it, and the user is requested again later. */
function retryLater(): void {
  update({ stage: 'in' })
  setTimeout(() => void loadUser(), 3_000)
}

/** The error message of a response, as a sentence. */
async function errorText(response: Response): Promise<string> {
  try {
    const { detail, title } = (await response.json()) as { detail?: unknown; title?: unknown }
    const text = String(detail ?? title ?? '')
    return text && text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.')
  } catch {
    return ''
  }
}

const NO_RESPONSE = 'The host does not answer. Is it running?'

/** Errors that every form can get. */
function commonError(response: Response): string | undefined {
  if (response.status === 429)
    return `Too many attempts. Wait ${response.headers.get('Retry-After') ?? '60'} s, then try again.`
  if (response.status >= 500) return `The host reported an error (${response.status}). Check its log.`
  return undefined
}

/** Signs in. Throws an Error with a message for the user. */
export async function signIn(user: string, password: string): Promise<void> {
  let response: Response
  try {
    response = await post('/login', { user, password })
  } catch {
    throw new Error(NO_RESPONSE)
  }
  if (response.status === 401 || response.status === 403) throw new Error('User or password is wrong.')
  if (response.status === 404 || response.status === 405)
    throw new Error('This host has no users. Sign in with a token.')
  if (!response.ok)
    throw new Error(commonError(response) ?? ((await errorText(response)) || `The host answered ${response.status}.`))
  typedCredentials = { user, password }
  await storeTokens(response)
  if (accessState.stage === 'in') typedCredentials = undefined
}

/** The password typed at the sign-in just before, if it is still known. */
export const lastCredentials = (): { user: string; password: string } | undefined => typedCredentials

/** Sets a new password. Throws an Error with a message for the user. */
export async function changePassword(before: string, next: string): Promise<void> {
  let response: Response
  try {
    response = await post('/password', { old_password: before, new_password: next }, headers())
  } catch {
    throw new Error(NO_RESPONSE)
  }
  if (response.status === 401 || response.status === 403) throw new Error('The current password is wrong.')
  if (!response.ok)
    throw new Error(commonError(response) ?? ((await errorText(response)) || `The host answered ${response.status}.`))
  await storeTokens(response)
  typedCredentials = undefined
}

/** Signs out, here and on the host. */
export function signOut(): void {
  void fetch(`${BASE}/logout`, { method: 'POST', headers: headers() }).catch(() => undefined)
  endSession('')
}

/** Signs in with a token; the host decides whether it is valid. */
export async function signInWithToken(bearer: string): Promise<void> {
  sessionStorage.setItem(KEY, JSON.stringify({ token: bearer, expires: null, refresh: null }))
  await loadUser()
  if (accessState.stage !== 'login') return
  sessionStorage.removeItem(KEY)
  throw new Error('The host rejected this token. It may have expired or been removed.')
}

/** Restarts the renewal timer: a computer that slept has missed it. */
export function onVisibilityChange(): void {
  if (!document.hidden) scheduleRenewal()
}
