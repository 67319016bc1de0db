// Serves the page and a mock API with the fixtures: node tests/mock-server.mjs [PORT]. Its routes, shapes and
// strictness are those of components/api. When started from the command line, the recorded hour is moved to now.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { mockAuth, problem } from './mock-auth.mjs'
import { mockStreams } from './mock-streams.mjs'
import { mockActions } from './mock-actions.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = join(here, '../dist')

/** The time at which the fixtures were recorded, milliseconds since 1970. */
export const RECORDED = Date.parse('2026-11-25T05:38:00Z')

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.txt': 'text/plain',
}
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"

/** The API's documentation page, and the OpenAPI document that it reads. */
const DOC_FILES = {
  '/api/docs': 'src/docs/docs.html',
  '/api/docs.css': 'src/docs/docs.css',
  '/api/docs.js': 'src/docs/docs.js',
  '/api/openapi.json': 'tests/api/snapshots/api__document__the_document.snap',
}

const LISTS = [
  'sensors',
  'anomalies',
  'alerts',
  'work-orders',
  'dead-letters',
  'drifts',
  'prognoses',
  'windows',
  'waveforms',
]
/** Query parameters of each list besides `limit` and `cursor`. Others are rejected, as by the API. */
const LIST_PARAMS = {
  sensors: ['asset', 'sensor', 'kind'],
  anomalies: ['asset', 'sensor', 'from', 'to', 'severity'],
  alerts: ['asset', 'sensor', 'from', 'to', 'severity', 'state'],
  'work-orders': ['asset', 'from', 'to', 'status'],
  'dead-letters': ['sensor', 'from', 'to', 'reason'],
  drifts: ['asset', 'from', 'to', 'kind'],
  prognoses: ['asset', 'from', 'to'],
  windows: ['asset', 'sensor', 'from', 'to'],
  waveforms: ['sensor', 'from', 'to'],
  machines: ['asset'],
  actions: ['asset', 'from', 'to'],
  users: [],
  keys: [],
  audit: [],
}
/** Of these parameters, the API accepts only one per request. */
const EXCLUSIVE_FILTERS = ['severity', 'state']

/** Shifts every time in a value by this many milliseconds. */
function shiftTimes(value, by) {
  if (typeof value === 'string') {
    return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)
      ? new Date(Date.parse(value) + by).toISOString()
      : value
  }
  if (Array.isArray(value)) return value.map(item => shiftTimes(item, by))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      // Nanoseconds since 1970, in the trend of an anomaly.
      if (name === 'times') return [name, item.map(time => (time > 1e15 ? time + by * 1e6 : time))]
      return [name, name === 'payload' ? item : shiftTimes(item, by)]
    }),
  )
}

async function fixtures(by) {
  const read = async name => JSON.parse(await readFile(join(here, 'fixtures', `${name}.json`), 'utf8'))
  const tables = Object.fromEntries(
    await Promise.all(LISTS.map(async name => [name, shiftTimes(await read(name), by)])),
  )
  const readings = new Map(
    (await read('readings')).map(({ sensor, times, values }) => [
      sensor,
      times.map((time, n) => ({ time: time + by, value: values[n] })),
    ]),
  )
  return { tables, readings }
}

const SEVERITIES = ['critical', 'high', 'medium', 'low']

/** One row per machine, worst first. */
function machines(tables) {
  const rows = new Map()
  for (const { asset } of tables.sensors) {
    const row = rows.get(asset) ?? {
      asset,
      sensors: 0,
      open_alerts: 0,
      severity: null,
      title: null,
      fault_mode: null,
      last_anomaly: null,
      health: null,
      p10_hours: null,
      p50_hours: null,
      p90_hours: null,
      prognosis_time: null,
      next_order: null,
    }
    row.sensors++
    rows.set(asset, row)
  }
  const rank = severity => (severity === null ? 9 : SEVERITIES.indexOf(severity))
  for (const alert of tables.alerts.filter(({ state }) => state === 'open')) {
    const row = rows.get(alert.asset)
    row.open_alerts++
    if (rank(alert.severity) < rank(row.severity))
      Object.assign(row, { severity: alert.severity, title: alert.title, fault_mode: alert.fault_mode })
  }
  for (const { asset, detection_time: time } of tables.anomalies) {
    const row = rows.get(asset)
    if (row && (row.last_anomaly ?? '') < time) row.last_anomaly = time
  }
  for (const { asset, time, health, p10_hours, p50_hours, p90_hours } of tables.prognoses) {
    const row = rows.get(asset)
    if (row && (row.prognosis_time ?? '') < time)
      Object.assign(row, { prognosis_time: time, health, p10_hours, p50_hours, p90_hours })
  }
  for (const { asset, status, scheduled_time: time } of tables['work-orders']) {
    const row = rows.get(asset)
    if (row && status === 'planned' && time && (row.next_order ?? '9') > time) row.next_order = time
  }
  const left = row => row.p50_hours ?? Infinity
  return [...rows.values()].sort(
    (a, b) => rank(a.severity) - rank(b.severity) || left(a) - left(b) || a.asset.localeCompare(b.asset),
  )
}

/**
 * Starts the server. `options`: `port`; `now`: end of the recorded hour; `empty`: no rows; `mode`: `open`, `on` or
 * `none`, see mock-auth.mjs; `password`: admin's one-time password; `seconds`: lifetime of a token; `stream`: `live`,
 * `short` or `none`; `lively`: new readings arrive continuously; `many`: number of additional machines.
 */
export async function serve(options = {}) {
  const {
    port = 0,
    now = RECORDED,
    empty = false,
    mode = 'open',
    password = 'once upon a time',
    seconds,
    stream = 'live',
  } = options
  const { tables, readings } = await fixtures(now - RECORDED)
  if (empty) {
    for (const name of LISTS) tables[name] = []
    readings.clear()
  }
  for (let n = 0; n < (options.many ?? 0); n++) {
    const asset = `site-${n % 7}/hall-${n % 3}/pump-${1000 + n}`
    tables.sensors.push({ name: `${asset}/vibration-rms`, asset, unit: 'mm/s', kind: 'vibration' })
  }
  /** Requests, changes, rejections and 304 responses, for assertions. */
  const recorded = { notModified: 0, changes: [], rejected: [], requests: [] }
  const state = { fail: 0, rate: 197.4, slow: 0 }
  const started = Date.now()
  const clock = () => now + (Date.now() - started)
  const auth = mockAuth({ mode, password, seconds, clock })
  const streams = mockStreams(stream, readings)
  const actions = mockActions({ tables, clock, emit: streams.emit, audit: auth.audit })
  const readingTimer = options.lively ? setInterval(() => addReadings(), 1_000) : undefined

  /** Adds a reading to each sensor, once per second. */
  function addReadings() {
    for (const own of readings.values()) {
      const last = own.at(-1)
      if (last) own.push({ time: clock(), value: Number((last.value * (0.98 + 0.04 * Math.random())).toPrecision(4)) })
    }
  }

  function list(name, url) {
    const query = url.searchParams
    for (const key of query.keys()) {
      if (!LIST_PARAMS[name].includes(key) && key !== 'limit' && key !== 'cursor')
        return problem(400, `unknown query parameter "${key}"; this route accepts ${LIST_PARAMS[name].join(', ')}`)
    }
    const time = row => [
      Date.parse(row.start_time ?? row.opened ?? row.time ?? row.scheduled_time),
      Date.parse(row.end_time ?? row.updated ?? row.time ?? row.start_time ?? row.scheduled_time),
    ]
    if (EXCLUSIVE_FILTERS.filter(key => query.get(key)).length > 1)
      return problem(400, 'severity and state cannot be combined; set one of them')
    const newestActions = () => [...actions.actions.values()].flat().reverse()
    let rows = name === 'machines' ? machines(tables) : name === 'actions' ? newestActions() : tables[name]
    for (const key of ['asset', 'kind', 'severity', 'state', 'status', 'reason']) {
      if (query.get(key)) rows = rows.filter(row => row[key] === query.get(key))
    }
    if (query.get('sensor')) rows = rows.filter(row => (row.sensor ?? row.name) === query.get('sensor'))
    if (query.get('from')) rows = rows.filter(row => time(row)[1] >= Date.parse(query.get('from')))
    if (query.get('to')) rows = rows.filter(row => time(row)[0] < Date.parse(query.get('to')))
    const limit = Number(query.get('limit') ?? 100)
    const offset = Number(query.get('cursor') ?? 0)
    if (!(limit >= 1 && limit <= 1000)) return problem(400, 'limit must be an integer from 1 to 1000')
    let next = null
    if (offset + limit < rows.length) {
      const following = new URLSearchParams(query)
      following.set('cursor', String(offset + limit))
      next = `${url.pathname}?${following}`
    }
    return { status: 200, body: { items: rows.slice(offset, offset + limit), next } }
  }

  function sensorReadings(sensor, query) {
    const other = [...query.keys()].find(key => !['from', 'to', 'points'].includes(key))
    if (other) return problem(400, `unknown query parameter "${other}"; this route accepts from, to, points`)
    if (!tables.sensors.some(row => row.name === sensor)) return problem(404, `there is no sensor "${sensor}"`)
    const from = Date.parse(query.get('from') ?? '1970-01-01T00:00:00Z')
    const all = (readings.get(sensor) ?? []).filter(({ time }) => time >= from)
    const each = Math.max(1, Math.ceil(all.length / Number(query.get('points') ?? 1000)))
    const items = all
      .filter((_, n) => n % each === 0)
      .map(({ time, value }) => ({ time: new Date(time).toISOString(), value }))
    return { status: 200, body: { sensor, count: all.length, items, next: null } }
  }

  const overview = () => {
    const total = [...readings.values()].reduce((sum, own) => sum + own.length, 0)
    const rejectedReadings = tables['dead-letters'].reduce((sum, deadLetter) => sum + deadLetter.readings, 0)
    return {
      readings_per_second: empty ? 0 : options.lively ? 190 + Math.round(Math.random() * 200) / 10 : state.rate,
      readings: total * 400,
      sensors: tables.sensors.length,
      windows: empty ? 0 : 129_565,
      uptime_seconds: 4_210,
      behind_bytes: 0,
      counts: { readings: total * 400, rejected_readings: rejectedReadings, anomalies: tables.anomalies.length },
      at_least: [],
      anomalies: tables.anomalies.slice(0, 20),
      alerts: tables.alerts.slice(0, 20),
      work_orders: [],
    }
  }

  /** The routes below /api/v1; undefined if the response is a stream. */
  function api(request, response, url, text) {
    const { method, headers } = request
    const path = url.pathname.slice('/api/v1/'.length)
    const [name, ...rest] = path.split('/').map(decodeURIComponent)
    let body
    try {
      body = text ? JSON.parse(text) : {}
    } catch {
      return problem(400, 'the body is not JSON')
    }
    if (name === 'auth') return auth.auth(method, rest[0], body, headers)
    const { me, problem: rejection } = auth.authenticate(headers)
    if (rejection) return rejection
    if (me.must_change_password)
      return problem(403, 'a new password must be set first', {}, 'urn:wheeltapper:password-change-required')
    if (state.fail) return problem(state.fail, 'the store does not answer')
    if (!['GET', 'HEAD', 'OPTIONS'].includes(method)) {
      if (!me.permissions.includes('write')) return problem(403, 'this route requires the permission write')
      recorded.changes.push([method, path, body])
    }
    const unknown = (known = []) =>
      [...url.searchParams.keys()].find(key => ![...known, 'limit', 'cursor'].includes(key))
    if (LIST_PARAMS[name] === undefined && !LISTS.includes(name) && unknown(['technician', 'last_event_id']))
      return problem(400, `unknown query parameter "${unknown()}"; this route accepts none`)
    const admin = auth.admin(method, [name, ...rest], url, body, me)
    if (admin) return unknown() ? problem(400, `unknown query parameter "${unknown()}"`) : admin
    const row = table => tables[table].find(row => (row.id ?? row.name) === rest[0])
    if (rest.at(-1) === 'stream' && method === 'GET' && stream !== 'none') {
      if (name === 'anomalies' && rest.length === 1) return void streams.events(request, response, url)
      if (name === 'sensors' && rest.length === 2 && row('sensors'))
        return void streams.sensor(request, response, rest[0])
    }
    if (name === 'maintenance') return maintenance(method, rest, url, body)
    if (method === 'POST' && name === 'anomalies' && rest.length === 2)
      return row(name)
        ? actions.performAction(row(name), rest[1], body, me)
        : problem(404, `there is no anomaly "${rest[0]}"`)
    if (method === 'POST' && name === 'machines' && rest.length === 2 && rest[1] === 'reset-baseline')
      return machines(tables).some(({ asset }) => asset === rest[0])
        ? actions.resetBaseline(rest[0], body, me)
        : problem(404, `there is no machine "${rest[0]}"`)
    if (method === 'PATCH' && name === 'work-orders' && rest.length === 1)
      return row(name) ? actions.patch(row(name), body, me) : problem(404, `there is no work order "${rest[0]}"`)
    if (method !== 'GET') return problem(405, 'this route accepts GET, HEAD, OPTIONS', { Allow: 'GET, HEAD, OPTIONS' })
    if (path === 'overview') return { status: 200, body: overview() }
    if ((LISTS.includes(name) || name === 'machines' || name === 'actions') && rest.length === 0) return list(name, url)
    if (name === 'sensors' && rest.length === 2 && rest[1] === 'readings')
      return sensorReadings(rest[0], url.searchParams)
    if (LISTS.includes(name) && rest.length === 1) {
      const found = row(name)
      if (!found) return problem(404, `there is no item "${rest[0]}"`)
      return { status: 200, body: name === 'anomalies' ? actions.withActions(found) : found }
    }
    return problem(404, `there is no route at ${url.pathname}`)
  }

  function maintenance(method, [what, task], url, body) {
    if (what === 'schedule' && method === 'POST') return actions.schedule(body)
    if (what === 'status' && method === 'GET' && task) return actions.status(task)
    if (what === 'plan.ics' && method === 'GET') return actions.ics(url.searchParams.get('technician'))
    return problem(404, `there is no route at ${url.pathname}`)
  }

  async function serveFile(path, response) {
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

  async function serveDoc(path, response) {
    const text = await readFile(join(here, '../../components/api', DOC_FILES[path]), 'utf8')
    response.writeHead(200, {
      'Content-Type': TYPES[extname(path)] ?? 'text/html; charset=utf-8',
      'Content-Security-Policy': POLICY,
    })
    // A snapshot has a header before the document.
    response.end(path.endsWith('.json') ? text.slice(text.indexOf('\n{')) : text)
  }

  const responses = new Set()
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://host')
    if (DOC_FILES[url.pathname]) return void serveDoc(url.pathname, response)
    if (!url.pathname.startsWith('/api/v1/')) return void serveFile(url.pathname, response)
    let body = ''
    request.on('data', part => (body += part))
    request.on('end', () => {
      recorded.requests.push(`${request.method} ${url.pathname}${url.search}`)
      if (state.slow && !url.pathname.includes('/auth/')) return void setTimeout(() => reply(), state.slow)
      reply()
    })
    const reply = () => {
      const answer = api(request, response, url, body)
      if (!answer) return responses.add(response)
      if (answer.status === 400) recorded.rejected.push(`${url.pathname}${url.search}: ${answer.body.detail}`)
      const text = answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body))
      const tag = `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`
      if (request.method === 'GET' && answer.status === 200 && request.headers['if-none-match'] === tag) {
        recorded.notModified++
        return response.writeHead(304, { ETag: tag }).end()
      }
      const kind = answer.status < 400 ? 'application/json' : 'application/problem+json'
      response.writeHead(answer.status, {
        ...(text ? { 'Content-Type': kind } : {}),
        ...(answer.status === 200 ? { ETag: tag, 'Cache-Control': 'private, no-cache' } : {}),
        ...answer.headers,
      })
      response.end(text)
    }
  })
  await new Promise(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    recorded,
    state,
    tables,
    readings,
    auth,
    streams,
    emit: streams.emit,
    /** Closes all streams. */
    disconnect: () => streams.disconnect([...responses]),
    close: () =>
      new Promise(resolve => {
        clearInterval(readingTimer)
        streams.close()
        server.close(resolve)
        server.closeAllConnections()
      }),
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // WHEELTAPPER_PASSWORD: a sign-in is required, and this is admin's one-time password.
  const password = process.env.WHEELTAPPER_PASSWORD
  const { url } = await serve({
    port: Number(process.argv[2] ?? 8090),
    now: Date.now(),
    lively: true,
    ...(password ? { mode: 'on', password } : {}),
  })
  console.log(`${url} serves the fixtures; stop with Ctrl-C`)
}
