// Who is signed in. The token lives in this tab only (sessionStorage), so that closing the tab signs out.

const KEY = 'wheeltapper-session'

interface Session {
  token: string
  /** Milliseconds since 1970; null: the host did not say. */
  expires: number | null
}

const listeners = new Set<() => void>()
/** True once the API answered 401: the login form is shown. */
let wanted = false

function read(): Session | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null
    if (!kept || typeof kept.token !== 'string') return null
    return kept.expires !== null && kept.expires <= Date.now() ? null : kept
  } catch {
    return null
  }
}

function tell(): void {
  for (const listener of listeners) listener()
}

/** The token to send, if there is one. */
export const token = (): string | null => read()?.token ?? null

/** Whether the API asked who is there. */
export const loginWanted = (): boolean => wanted

/** The API answered 401: what was kept is worth nothing any more. */
export function refused(): void {
  sessionStorage.removeItem(KEY)
  if (!wanted) {
    wanted = true
    tell()
  }
}

/** Calls when somebody signs in or must; gives what ends it. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Signs in; the error says in words why not. */
export async function login(user: string, password: string): Promise<void> {
  let answer: Response
  try {
    answer = await fetch('/api/v1/auth/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ user, password }),
    })
  } catch {
    throw new Error('The host does not answer. Is it running?')
  }
  if (answer.status === 401 || answer.status === 403) throw new Error('User or password is wrong.')
  if (answer.status === 404 || answer.status === 405) throw new Error('This host knows no users, only a token: use that.')
  if (answer.status === 429) throw new Error(`Too many attempts. Wait ${answer.headers.get('Retry-After') ?? '60'} s.`)
  if (!answer.ok) throw new Error(`The host answered ${answer.status}. Look at its log.`)
  const given = (await answer.json()) as { token?: unknown; expires?: unknown }
  if (typeof given.token !== 'string') throw new Error('The host gave no token. Page and host are of different versions.')
  const expires = typeof given.expires === 'number' ? given.expires * 1000 : Date.parse(String(given.expires))
  sessionStorage.setItem(KEY, JSON.stringify({ token: given.token, expires: Number.isNaN(expires) ? null : expires }))
  wanted = false
  tell()
}

/** Signs out, here and at the host. */
export function logout(): void {
  const kept = token()
  sessionStorage.removeItem(KEY)
  if (kept) {
    void fetch('/api/v1/auth/logout', { method: 'POST', headers: { Authorization: `Bearer ${kept}` } }).catch(() => undefined)
  }
  wanted = true
  tell()
}

/** Takes a token that somebody was given. The next answer tells whether it is good. */
export function useToken(given: string): void {
  sessionStorage.setItem(KEY, JSON.stringify({ token: given, expires: null }))
  wanted = false
  tell()
}
