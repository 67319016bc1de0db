// Who is signed in. The tokens live in this tab only (sessionStorage), so that closing the tab signs out.

const KEY = 'wheeltapper-session'
const BASE = '/api/v1/auth'

/** What somebody may do. */
export type Permission = 'read' | 'write' | 'delete' | 'configure'

/** Who asks, as the host knows them. */
export interface Me {
  user: string
  roles: string[]
  permissions: Permission[]
  /** Null: all of them. */
  sites: string[] | null
  mustChange: boolean
  /** `open`: nobody has to sign in. `none`: the host knows no users at all. */
  method: 'password' | 'oidc' | 'key' | 'open' | 'none'
}

/** What the page shows: `login` a form to sign in, `change` one for a new password, else its pages. */
export type Stage = 'asking' | 'in' | 'login' | 'change'

export interface Access {
  stage: Stage
  /** Undefined: the host has not told yet. */
  me: Me | undefined
  /** Why somebody has to sign in again. */
  notice: string
}

interface Session {
  token: string
  /** Milliseconds since 1970 by our clock; null: the host did not say. */
  expires: number | null
  refresh: string | null
}

const listeners = new Set<() => void>()
let state: Access = { stage: 'asking', me: undefined, notice: '' }
/** A password that was typed a moment ago and has to be changed now; it is not asked for twice. */
let typed: { user: string; password: string } | undefined

function set(change: Partial<Access>): void {
  state = { ...state, ...change }
  for (const listener of listeners) listener()
}

/** What is known now. */
export const access = (): Access => state

/** Whether the host lets us do this. */
export const may = (permission: Permission): boolean => state.me?.permissions.includes(permission) ?? false

/** Calls when something of [`access`] changes; gives what ends it. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function read(): Session | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null
    return kept && typeof kept.token === 'string' ? kept : null
  } catch {
    return null
  }
}

/** The token to send, if there is one. */
export const token = (): string | null => read()?.token ?? null

const headers = (): Record<string, string> => {
  const known = token()
  return known ? { Authorization: `Bearer ${known}` } : {}
}

const LIST = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
const METHODS = ['password', 'oidc', 'key', 'open', 'none'] as const

/** Reads who the host says we are. */
export function meOf(answer: unknown): Me {
  const from = (typeof answer === 'object' && answer !== null ? answer : {}) as Record<string, unknown>
  return {
    user: typeof from.user === 'string' ? from.user : '',
    roles: LIST(from.roles),
    permissions: LIST(from.permissions) as Permission[],
    sites: Array.isArray(from.sites) ? from.sites.map(String) : null,
    mustChange: from.must_change_password === true,
    method: METHODS.find(method => method === from.method) ?? 'password',
  }
}

/** A host without users, such as the component on another platform: it takes what anybody sends who gets that far. */
const NOBODY: Me = { user: '', roles: [], permissions: ['read', 'write'], sites: null, mustChange: false, method: 'none' }

/** How long a token still holds. By the host's own clock, as ours may be hours off. */
export function lifetime(expires: unknown, date: string | null, now: number): number | null {
  const end = typeof expires === 'number' ? expires * 1000 : Date.parse(String(expires))
  if (Number.isNaN(end)) return null
  const there = date ? Date.parse(date) : Number.NaN
  return end - (Number.isNaN(there) ? now : there)
}

/** When a token that holds for so long is renewed: a minute before its end, or at four fifths of a short life. */
export const renewAfter = (left: number): number => Math.max(0, left - Math.min(60_000, left / 5))

/**
 * A tab that was duplicated has its twin's tokens, and a token for renewing holds once: who renews tells the others, and no two
 * renew at the same moment.
 */
const twins = typeof document === 'undefined' ? undefined : new BroadcastChannel(KEY)
const jitter = Math.random()

twins?.addEventListener('message', ({ data }: MessageEvent<{ used: string; session: Session }>) => {
  if (read()?.refresh !== data.used) return
  sessionStorage.setItem(KEY, JSON.stringify(data.session))
  plan()
})

let timer: ReturnType<typeof setTimeout> | undefined
/** Timers cannot wait longer than 24 days, and sleep with the machine. */
const LONGEST = 3600_000

function plan(): void {
  clearTimeout(timer)
  const kept = read()
  if (!kept?.refresh || kept.expires === null) return
  // At least a second: a token that holds for no time must not make a storm.
  const pause = Math.max(1_000, renewAfter(kept.expires - Date.now()) * (1 - jitter / 20))
  timer = setTimeout(() => (pause > LONGEST ? plan() : void renew()), Math.min(pause, LONGEST))
}

/** Takes what a login, a renewal or a new password was answered with. */
async function take(answer: Response): Promise<void> {
  const given = (await answer.json()) as Record<string, unknown>
  if (typeof given.token !== 'string') throw new Error('The host gave no token. Page and host are of different versions.')
  const left = lifetime(given.expires, answer.headers.get('Date'), Date.now())
  const session: Session = {
    token: given.token,
    expires: left === null ? null : Date.now() + left,
    refresh: typeof given.refresh_token === 'string' ? given.refresh_token : null,
  }
  sessionStorage.setItem(KEY, JSON.stringify(session))
  plan()
  const user = typeof given.user === 'object' && given.user !== null ? given.user : undefined
  const me = user && meOf({ ...user, must_change_password: given.must_change_password })
  if (!me) return start()
  set({ me, stage: me.mustChange ? 'change' : 'in', notice: '' })
}

function end(notice: string): void {
  sessionStorage.removeItem(KEY)
  clearTimeout(timer)
  typed = undefined
  set({ stage: 'login', me: undefined, notice })
}

/** The API answered 401 and the token cannot be renewed: what was kept is worth nothing any more. */
export function refused(): void {
  if (state.stage === 'login') return
  end(read() ? 'Your sign-in has ended. Sign in again to go on where you were.' : '')
}

/** The API wants a new password first. */
export function changeWanted(): void {
  if (state.stage !== 'change') set({ stage: 'change' })
}

let renewing: Promise<boolean> | undefined

/** Gets a new token by the one for that. Whoever asks meanwhile waits for the same answer. */
export function renew(): Promise<boolean> {
  renewing ??= renewed().finally(() => (renewing = undefined))
  return renewing
}

async function renewed(): Promise<boolean> {
  const refresh = read()?.refresh
  if (!refresh) return false
  try {
    const answer = await post('/refresh', { refresh_token: refresh })
    if (answer.ok) {
      await take(answer)
      twins?.postMessage({ used: refresh, session: read() })
      return true
    }
    if (answer.status < 500 && answer.status !== 429) {
      // A twin may have been first, and its word be on its way.
      await new Promise(resolve => setTimeout(resolve, 300))
      if (read() && read()?.refresh !== refresh) return true
      refused()
      return false
    }
  } catch {
    // No answer: the present token may hold until there is one.
  }
  clearTimeout(timer)
  timer = setTimeout(() => void renew(), 10_000)
  return false
}

function post(path: string, body: unknown, more: Record<string, string> = {}): Promise<Response> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json', ...more }, body: JSON.stringify(body) }
  return fetch(`${BASE}${path}`, { ...init, cache: 'no-store' })
}

/** Asks the host who we are; to be called once at first. */
export async function start(): Promise<void> {
  let answer: Response
  const ask = () => fetch(`${BASE}/me`, { headers: { ...headers(), Accept: 'application/json' }, cache: 'no-store' })
  try {
    answer = await ask()
    if (answer.status === 401 && (await renew())) answer = await ask()
  } catch {
    return later()
  }
  if (answer.ok) {
    const me = meOf(await answer.json())
    plan()
    return set({ me, stage: me.mustChange ? 'change' : 'in', notice: '' })
  }
  if (answer.status === 401) return state.stage === 'login' ? undefined : end(read() ? 'Your sign-in has ended.' : '')
  if (answer.status === 404 || answer.status === 405) return set({ me: NOBODY, stage: 'in' })
  later()
}

/** The host is silent or fails: the pages say so; who we are is asked again. */
function later(): void {
  set({ stage: 'in' })
  setTimeout(() => void start(), 3_000)
}

/** What the host says went wrong, as a sentence. */
async function said(answer: Response): Promise<string> {
  try {
    const { detail, title } = (await answer.json()) as { detail?: unknown; title?: unknown }
    const text = String(detail ?? title ?? '')
    return text && text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.')
  } catch {
    return ''
  }
}

const SILENT = 'The host does not answer. Is it running?'

/** Errors that every form of this kind may meet. */
function common(answer: Response): string | undefined {
  if (answer.status === 429) return `Too many attempts. Wait ${answer.headers.get('Retry-After') ?? '60'} s, then try again.`
  if (answer.status >= 500) return `The host failed (${answer.status}). Look at its log.`
  return undefined
}

/** Signs in; the error says in words why not. */
export async function login(user: string, password: string): Promise<void> {
  let answer: Response
  try {
    answer = await post('/login', { user, password })
  } catch {
    throw new Error(SILENT)
  }
  if (answer.status === 401 || answer.status === 403) throw new Error('User or password is wrong.')
  if (answer.status === 404 || answer.status === 405) throw new Error('This host knows no users, only a token: use that.')
  if (!answer.ok) throw new Error(common(answer) ?? ((await said(answer)) || `The host answered ${answer.status}.`))
  typed = { user, password }
  await take(answer)
  if (state.stage === 'in') typed = undefined
}

/** The password that was typed at the sign-in just before, if it is still known. */
export const justTyped = (): { user: string; password: string } | undefined => typed

/** Sets a new password; the error says in words why not. */
export async function changePassword(before: string, next: string): Promise<void> {
  let answer: Response
  try {
    answer = await post('/password', { old_password: before, new_password: next }, headers())
  } catch {
    throw new Error(SILENT)
  }
  if (answer.status === 401 || answer.status === 403) throw new Error('The present password is wrong.')
  if (!answer.ok) throw new Error(common(answer) ?? ((await said(answer)) || `The host answered ${answer.status}.`))
  await take(answer)
  typed = undefined
}

/** Signs out, here and at the host. */
export function logout(): void {
  void fetch(`${BASE}/logout`, { method: 'POST', headers: headers() }).catch(() => undefined)
  end('')
}

/** Takes a token that somebody was given; the host tells whether it is good. */
export async function useToken(given: string): Promise<void> {
  sessionStorage.setItem(KEY, JSON.stringify({ token: given, expires: null, refresh: null }))
  await start()
  if (state.stage !== 'login') return
  sessionStorage.removeItem(KEY)
  throw new Error('The host does not take this token. It may have expired or been removed.')
}

/** A machine that slept has missed its timers. */
export function awake(): void {
  if (!document.hidden) plan()
}
