// HTTP client of the API. A resource that has not changed (ETag) is neither sent nor rendered again.

import { requirePasswordChange, onUnauthorized, renew, token } from './session'

/** A failed request; each kind of failure has its own advice for the user. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when there was no response. */
    readonly status: number,
    message: string,
    /** Problem type (RFC 9457) from the response. */
    readonly type = '',
  ) {
    super(message)
  }
}

interface CachedResponse {
  etag: string
  body: unknown
}

/** Cached responses by URL, least recently used first. */
const cache = new Map<string, CachedResponse>()
const MAX_CACHED = 60

const BASE = '/api/v1'

/** URL of an API route. Query parameters without a value are left out. */
export function apiUrl(path: string, query: Record<string, string | number | undefined> = {}): string {
  const params = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)]],
  )
  return `${BASE}${path}${params.length ? `?${new URLSearchParams(params)}` : ''}`
}

/** URL of the next page. The API returns either a complete URL or a cursor for the URL of the current page. */
export function nextPageUrl(currentUrl: string, next: string): string {
  if (next.startsWith('/')) return next
  const url = new URL(currentUrl, location.origin)
  url.searchParams.set('cursor', next)
  return url.pathname + url.search
}

function headers(): Record<string, string> {
  const bearer = token()
  return bearer ? { Authorization: `Bearer ${bearer}` } : {}
}

/** Sends a request. If the token has expired, renews it and sends the request once more. */
async function request(url: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
  // `no-store` because the browser's own cache would hide the response of the host.
  const attempt = () => fetch(url, { cache: 'no-store', ...init, headers: { ...init.headers, ...headers() } })
  try {
    const response = await attempt()
    if (response.status !== 401) return response
    if (token() !== null && (await renew())) return await attempt()
    onUnauthorized()
    return response
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'no answer')
  }
}

const PASSWORD_CHANGE_REQUIRED = 'urn:wheeltapper:password-change-required'

/** The error of a failed response: problem details (RFC 9457), or the status alone. */
async function toError(response: Response): Promise<ApiError> {
  let message = response.statusText
  let type = ''
  try {
    const body = (await response.json()) as { detail?: unknown; title?: unknown; type?: unknown }
    message = String(body.detail ?? body.title ?? message)
    type = String(body.type ?? '')
  } catch {
    // Not JSON: only the status is known.
  }
  if (response.status === 403 && type === PASSWORD_CHANGE_REQUIRED) requirePasswordChange()
  return new ApiError(response.status, message, type)
}

/** GETs JSON. Returns the same object as before if the resource has not changed. */
export async function get(url: string, signal?: AbortSignal): Promise<unknown> {
  const cached = cache.get(url)
  const response = await request(url, {
    headers: { Accept: 'application/json', ...(cached ? { 'If-None-Match': cached.etag } : {}) },
    ...(signal ? { signal } : {}),
  })
  if (response.status === 304 && cached) return cached.body
  if (!response.ok) throw await toError(response)
  const body: unknown = await response.json()
  cache.delete(url)
  const etag = response.headers.get('ETag')
  if (etag) {
    cache.set(url, { etag, body })
    for (const oldest of cache.keys()) {
      if (cache.size <= MAX_CACHED) break
      cache.delete(oldest)
    }
  }
  return body
}

/** Empties the cache. It belongs to one user; the next user to sign in must not see it. */
export const clearCache = (): void => cache.clear()

/** Sends a change. Returns the response body, if any. */
export async function send(method: 'POST' | 'PATCH' | 'DELETE', url: string, body?: unknown): Promise<unknown> {
  const response = await request(url, {
    method,
    headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw await toError(response)
  const text = await response.text()
  return text ? JSON.parse(text) : undefined
}

/** Opens an event stream that resumes after the event with this id. */
export const openStream = (url: string, lastId: string, signal: AbortSignal): Promise<Response> =>
  request(url, { signal, headers: { Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) } })

/** Downloads a file. */
export async function download(url: string): Promise<Blob> {
  const response = await request(url, { headers: {} })
  if (!response.ok) throw await toError(response)
  return await response.blob()
}
