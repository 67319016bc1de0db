// The page and an API that answers from the fixtures: node tests/server.mjs [PORT]. Its routes, shapes and strictness are
// those of components/api. Started by hand, the recorded hour is moved to now.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = join(here, '../dist')

/** The moment that the fixtures were recorded at, milliseconds since 1970. */
export const RECORDED = Date.parse('2026-11-25T05:38:00Z')

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain',
}
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"

const LISTS = ['sensors', 'anomalies', 'alerts', 'work-orders', 'dead-letters', 'drifts', 'prognoses', 'windows', 'waveforms']
/** What each list takes beside `limit` and `cursor`. Another name is refused, as the API does. */
const FILTERS = {
  sensors: ['asset', 'sensor', 'kind'],
  anomalies: ['asset', 'sensor', 'from', 'to', 'severity'],
  alerts: ['asset', 'sensor', 'from', 'to', 'severity', 'state'],
  'work-orders': ['asset', 'from', 'to', 'status'],
  'dead-letters': ['sensor', 'from', 'to', 'reason'],
  drifts: ['asset', 'from', 'to', 'kind'],
  prognoses: ['asset', 'from', 'to'],
  windows: ['asset', 'sensor', 'from', 'to'],
  waveforms: ['sensor', 'from', 'to'],
}

/** Moves every time in a value by so many milliseconds. */
function moved(value, by) {
  if (typeof value === 'string') {
    return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) ? new Date(Date.parse(value) + by).toISOString() : value
  }
  if (Array.isArray(value)) return value.map(item => moved(item, by))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      // Nanoseconds since 1970, in the trend of an anomaly.
      if (name === 'times') return [name, item.map(time => (time > 1e15 ? time + by * 1e6 : time))]
      return [name, name === 'payload' ? item : moved(item, by)]
    }),
  )
}

async function fixtures(by) {
  const read = async name => JSON.parse(await readFile(join(here, 'fixtures', `${name}.json`), 'utf8'))
  const tables = Object.fromEntries(await Promise.all(LISTS.map(async name => [name, moved(await read(name), by)])))
  const readings = new Map(
    (await read('readings')).map(({ sensor, times, values }) => [
      sensor,
      times.map((time, n) => ({ time: time + by, value: values[n] })),
    ]),
  )
  return { tables, readings }
}

const problem = (status, detail, headers = {}) => ({
  status,
  body: { type: 'about:blank', title: 'Error', status, detail },
  headers,
})

/** Starts the server; `options`: `port`, `now` (the recorded hour ends then), `empty` (no rows), `offers` (changes are taken), `login` (a token is wanted). */
export async function serve({ port = 0, now = RECORDED, empty = false, offers = false, login = false } = {}) {
  const { tables, readings } = await fixtures(now - RECORDED)
  if (empty) {
    for (const name of LISTS) tables[name] = []
    readings.clear()
  }
  /** What was asked, changed and missed, for tests to look at. */
  const seen = { notModified: 0, changes: [], refused: [] }
  const state = { fail: 0 }

  function list(name, url) {
    const query = url.searchParams
    for (const key of query.keys()) {
      if (!FILTERS[name].includes(key) && key !== 'limit' && key !== 'cursor')
        return problem(400, `the query names "${key}"; this route takes ${FILTERS[name].join(', ')}`)
    }
    const time = row => [
      Date.parse(row.start_time ?? row.opened ?? row.time ?? row.scheduled_time),
      Date.parse(row.end_time ?? row.updated ?? row.time ?? row.start_time ?? row.scheduled_time),
    ]
    let rows = tables[name]
    for (const key of ['asset', 'kind', 'severity', 'state', 'status', 'reason']) {
      if (query.get(key)) rows = rows.filter(row => row[key] === query.get(key))
    }
    if (query.get('sensor')) rows = rows.filter(row => (row.sensor ?? row.name) === query.get('sensor'))
    if (query.get('from')) rows = rows.filter(row => time(row)[1] >= Date.parse(query.get('from')))
    if (query.get('to')) rows = rows.filter(row => time(row)[0] < Date.parse(query.get('to')))
    const limit = Number(query.get('limit') ?? 100)
    const offset = Number(query.get('cursor') ?? 0)
    if (!(limit >= 1 && limit <= 1000)) return problem(400, 'limit is no whole number from 1 to 1000')
    let next = null
    if (offset + limit < rows.length) {
      const following = new URLSearchParams(query)
      following.set('cursor', String(offset + limit))
      next = `${url.pathname}?${following}`
    }
    return { status: 200, body: { items: rows.slice(offset, offset + limit), next } }
  }

  function course(sensor, query) {
    if (!tables.sensors.some(row => row.name === sensor)) return problem(404, `there is no sensor "${sensor}"`)
    const from = Date.parse(query.get('from') ?? '1970-01-01T00:00:00Z')
    const all = (readings.get(sensor) ?? []).filter(({ time }) => time >= from)
    const each = Math.max(1, Math.ceil(all.length / Number(query.get('points') ?? 1000)))
    const items = all.filter((_, n) => n % each === 0).map(({ time, value }) => ({ time: new Date(time).toISOString(), value }))
    return { status: 200, body: { sensor, count: all.length, items, next: null } }
  }

  const overview = () => {
    const total = [...readings.values()].reduce((sum, own) => sum + own.length, 0)
    const refused = tables['dead-letters'].reduce((sum, letter) => sum + letter.readings, 0)
    return {
      readings_per_second: empty ? 0 : 197.4,
      readings: total * 400,
      sensors: tables.sensors.length,
      windows: empty ? 0 : 129_565,
      uptime_seconds: 4_210,
      behind_bytes: 0,
      counts: { readings: total * 400, rejected_readings: refused, anomalies: tables.anomalies.length },
      at_least: [],
      anomalies: tables.anomalies.slice(0, 20),
      alerts: tables.alerts.slice(0, 20),
      work_orders: [],
    }
  }

  function api(method, url, body, headers) {
    const path = url.pathname.slice('/api/v1/'.length)
    if (path === 'auth/login' && login) {
      const { user, password } = JSON.parse(body || '{}')
      if (user !== 'ada' || password !== 'secret') return problem(401, 'user or password is wrong')
      return { status: 200, body: { token: 'good', expires: new Date(Date.now() + 86_400_000).toISOString() } }
    }
    if (path === 'auth/logout' && login) return { status: 204 }
    if (login && headers.authorization !== 'Bearer good') return problem(401, 'this route takes a token')
    if (state.fail) return problem(state.fail, 'the store does not answer')
    const [name, ...rest] = path.split('/')
    const changes = offers && ((name === 'anomalies' && rest.length === 2) || (name === 'work-orders' && rest.length === 1))
    const allow = changes ? (name === 'anomalies' ? 'POST, OPTIONS' : 'GET, PATCH, OPTIONS') : 'GET, HEAD, OPTIONS'
    if (method === 'OPTIONS')
      return rest.length === 2 && !changes && name !== 'sensors'
        ? problem(404, `there is nothing at ${url.pathname}`)
        : { status: 204, headers: { Allow: allow } }
    if (method === 'POST' || method === 'PATCH') {
      if (!allow.includes(method)) return problem(405, `takes ${allow}`, { Allow: allow })
      const change = body ? JSON.parse(body) : {}
      seen.changes.push([method, path, change])
      if (method === 'PATCH') Object.assign(tables['work-orders'].find(order => order.id === rest[0]) ?? {}, change)
      return { status: 204 }
    }
    if (path === 'overview') return { status: 200, body: overview() }
    if (LISTS.includes(name) && rest.length === 0) return list(name, url)
    if (name === 'sensors' && rest.length === 2 && rest[1] === 'readings')
      return course(decodeURIComponent(rest[0]), url.searchParams)
    if (LISTS.includes(name) && rest.length === 1) {
      const id = decodeURIComponent(rest[0])
      const row = tables[name].find(row => (row.id ?? row.name) === id)
      return row ? { status: 200, body: row } : problem(404, `there is no such item "${id}"`)
    }
    return problem(404, `there is nothing at ${url.pathname}`)
  }

  async function file(path, response) {
    const name = normalize(path === '/' ? '/index.html' : path)
    try {
      const content = await readFile(join(dist, name))
      response.writeHead(200, {
        'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
        'Content-Security-Policy': POLICY,
      })
      response.end(content)
    } catch {
      response.writeHead(404).end()
    }
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://host')
    if (!url.pathname.startsWith('/api/v1/')) return void file(url.pathname, response)
    let body = ''
    request.on('data', part => (body += part))
    request.on('end', () => {
      const answer = api(request.method, url, body, request.headers)
      if (answer.status === 400) seen.refused.push(`${url.pathname}${url.search}: ${answer.body.detail}`)
      const text = answer.body === undefined ? '' : JSON.stringify(answer.body)
      const tag = `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`
      if (request.method === 'GET' && answer.status === 200 && request.headers['if-none-match'] === tag) {
        seen.notModified++
        return response.writeHead(304, { ETag: tag }).end()
      }
      const kind = answer.status < 400 ? 'application/json' : 'application/problem+json'
      response.writeHead(answer.status, {
        ...(text ? { 'Content-Type': kind } : {}),
        ...(answer.status === 200 ? { ETag: tag, 'Cache-Control': 'private, no-cache' } : {}),
        ...answer.headers,
      })
      response.end(text)
    })
  })
  await new Promise(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    state,
    tables,
    readings,
    close: () =>
      new Promise(resolve => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { url } = await serve({ port: Number(process.argv[2] ?? 8090), now: Date.now(), offers: true })
  console.log(`${url} shows the fixtures; Ctrl-C stops`)
}
