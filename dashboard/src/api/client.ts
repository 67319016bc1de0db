// Asks the API. What has not changed since (ETag) is not sent again and not drawn again.

import { changeWanted, refused, renew, token } from './session'

/** Why there is no answer; each kind has its own advice for people. */
export class ApiError extends Error {
  constructor(
    /** 0: no answer at all. */
    readonly status: number,
    message: string,
    /** What kind of problem the host calls it. */
    readonly type = '',
  ) {
    super(message)
  }
}

interface Kept {
  etag: string
  body: unknown
}

/** Answers by address, the latest used last. */
const kept = new Map<string, Kept>()
const MOST_KEPT = 60

const BASE = '/api/v1'

/** An address of the API. Parameters without value are left out. */
export function address(path: string, query: Record<string, string | number | undefined> = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)]],
  )
  return `${BASE}${path}${given.length ? `?${new URLSearchParams(given)}` : ''}`
}

/** The address of the rows that follow: the API gives it whole, or a cursor for the address it was asked at. */
export function following(of: string, next: string): string {
  if (next.startsWith('/')) return next
  const url = new URL(of, location.origin)
  url.searchParams.set('cursor', next)
  return url.pathname + url.search
}

function headers(): Record<string, string> {
  const known = token()
  return known ? { Authorization: `Bearer ${known}` } : {}
}

/** The first part of it all: sends, and where the token has ended gets a new one and sends again. */
async function ask(url: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
  // A new request by ourselves, as the browser's own cache would hide what the host says.
  const once = () => fetch(url, { cache: 'no-store', ...init, headers: { ...init.headers, ...headers() } })
  try {
    const answer = await once()
    if (answer.status !== 401) return answer
    if (token() !== null && (await renew())) return await once()
    refused()
    return answer
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'no answer')
  }
}

const PASSWORD_FIRST = 'urn:wheeltapper:password-change-required'

/** What the host says went wrong: problem details (RFC 9457), or the status alone. */
async function problem(answer: Response): Promise<ApiError> {
  let said = answer.statusText
  let type = ''
  try {
    const body = (await answer.json()) as { detail?: unknown; title?: unknown; type?: unknown }
    said = String(body.detail ?? body.title ?? said)
    type = String(body.type ?? '')
  } catch {
    // No JSON: the status must do.
  }
  if (answer.status === 403 && type === PASSWORD_FIRST) changeWanted()
  return new ApiError(answer.status, said, type)
}

/** GETs JSON. The same object as before when it has not changed. */
export async function get(url: string, signal?: AbortSignal): Promise<unknown> {
  const before = kept.get(url)
  const answer = await ask(url, {
    headers: { Accept: 'application/json', ...(before ? { 'If-None-Match': before.etag } : {}) },
    ...(signal ? { signal } : {}),
  })
  if (answer.status === 304 && before) return before.body
  if (!answer.ok) throw await problem(answer)
  const body: unknown = await answer.json()
  kept.delete(url)
  const etag = answer.headers.get('ETag')
  if (etag) {
    kept.set(url, { etag, body })
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST_KEPT) break
      kept.delete(oldest)
    }
  }
  return body
}

/** What was kept is somebody's: another one who signs in does not get it. */
export const forget = (): void => kept.clear()

/** Sends a change; gives what the host answers, if anything. */
export async function send(method: 'POST' | 'PATCH' | 'DELETE', url: string, body?: unknown): Promise<unknown> {
  const answer = await ask(url, {
    method,
    headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw await problem(answer)
  const text = await answer.text()
  return text ? JSON.parse(text) : undefined
}

/** Opens a stream of events from after the one of this id on. */
export const openStream = (url: string, lastId: string, signal: AbortSignal): Promise<Response> =>
  ask(url, { signal, headers: { Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) } })

/** A file, for the reader to keep. */
export async function file(url: string): Promise<Blob> {
  const answer = await ask(url, { headers: {} })
  if (!answer.ok) throw await problem(answer)
  return await answer.blob()
}
