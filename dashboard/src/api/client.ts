// Asks the API. What has not changed since (ETag) is not sent again and not drawn again.

import { refused, token } from './session'

/** Why there is no answer; each kind has its own advice for people. */
export class ApiError extends Error {
  constructor(
    /** 0: no answer at all. */
    readonly status: number,
    message: string,
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

async function ask(url: string, init: RequestInit): Promise<Response> {
  try {
    // A new request by ourselves, as the browser's own cache would hide what the host says.
    return await fetch(url, { cache: 'no-store', ...init })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'no answer')
  }
}

/** What the host says went wrong: problem details (RFC 9457), or the status alone. */
async function problem(answer: Response): Promise<ApiError> {
  let said = answer.statusText
  try {
    const body = (await answer.json()) as { detail?: unknown; title?: unknown }
    said = String(body.detail ?? body.title ?? said)
  } catch {
    // No JSON: the status must do.
  }
  return new ApiError(answer.status, said)
}

/** GETs JSON. The same object as before when it has not changed. */
export async function get(url: string, signal?: AbortSignal): Promise<unknown> {
  const before = kept.get(url)
  const answer = await ask(url, {
    headers: { ...headers(), Accept: 'application/json', ...(before ? { 'If-None-Match': before.etag } : {}) },
    ...(signal ? { signal } : {}),
  })
  if (answer.status === 304 && before) return before.body
  if (answer.status === 401) refused()
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

/** Sends a change. */
export async function send(method: 'POST' | 'PATCH', url: string, body: unknown = {}): Promise<void> {
  const answer = await ask(url, {
    method,
    headers: { ...headers(), 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (answer.status === 401) refused()
  if (!answer.ok) throw await problem(answer)
}

const offers = new Map<string, Promise<boolean>>()

/**
 * Whether the API has a route for this method: OPTIONS answers with what is allowed, and a 405 names it too. `name` is what
 * the answer is kept under, as it is the same for all ids.
 */
export function offered(name: string, method: string, url: string): Promise<boolean> {
  let answer = offers.get(name)
  if (!answer) {
    answer = ask(url, { method: 'OPTIONS', headers: headers() }).then(
      ({ ok, status, headers }) => {
        const allowed = headers.get('Allow') ?? headers.get('Access-Control-Allow-Methods') ?? ''
        return (
          (ok || status === 405) &&
          allowed
            .toUpperCase()
            .split(/[\s,]+/)
            .includes(method)
        )
      },
      () => {
        // Without an answer nothing is known; the next page asks again.
        offers.delete(name)
        return false
      },
    )
    offers.set(name, answer)
  }
  return answer
}
