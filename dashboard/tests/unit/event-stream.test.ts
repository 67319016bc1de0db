import assert from 'node:assert/strict'
import { test } from 'node:test'
import { follow, EventParser, type StreamEvent, type StreamState } from '../../src/api/event-stream'

const STREAM =
  '\uFEFFretry: 1500\r\n: hello\r\rid: 7\nevent: alert\ndata: {"a":\ndata: 1}\n\ndata\n\nid: 8\r\ndata:  two\r\n\r\nevent: lost\n\ndata: cut'

test('the parser returns the same events for every chunking', () => {
  const expected: StreamEvent[] = [
    { kind: 'alert', data: '{"a":\n1}', id: '7' },
    { kind: 'message', data: '', id: '7' },
    { kind: 'message', data: ' two', id: '8' },
  ]
  const whole = new EventParser()
  assert.deepEqual(whole.push(STREAM), expected)
  assert.equal(whole.retry, 1500)
  assert.equal(whole.lastId, '8')
  for (let at = 0; at <= STREAM.length; at++) {
    const parser = new EventParser()
    assert.deepEqual([...parser.push(STREAM.slice(0, at)), ...parser.push(STREAM.slice(at))], expected, `cut at ${at}`)
  }
  const parser = new EventParser()
  assert.deepEqual(
    [...STREAM].flatMap(letter => parser.push(letter)),
    expected,
  )
})

test('an incomplete event is ignored', () => {
  const parser = new EventParser('3')
  assert.deepEqual(parser.push('id: 4\ndata: cut'), [])
  assert.equal(parser.lastId, '3')
  parser.push('\n\nid: 5\n\n')
  assert.equal(parser.lastId, '5', 'an id without data is recorded too')
})

test('ids with NUL and non-numeric retry values are ignored', () => {
  const parser = new EventParser('3')
  const [event] = parser.push('id: a\0b\nretry: soon\nunknown: x\ndata: y\n\n')
  assert.deepEqual(event, { kind: 'message', data: 'y', id: '3' })
  assert.equal(parser.retry, undefined)
})

/**
 * Follows a stream with these responses in order, then with failures. Time advances by the waits, and by `holds` for
 * each event.
 */
async function followResponses(responses: (() => Response)[], { eventDuration = 60_000, first = '' } = {}) {
  const ended = new AbortController()
  const [ids, states, waits, events]: [string[], StreamState[], number[], StreamEvent[]] = [[], [], [], []]
  let time = 0
  await follow({
    signal: ended.signal,
    lastId: () => first,
    now: () => time,
    open: id => {
      ids.push(id)
      const answer = responses.shift()
      if (answer) return Promise.resolve(answer())
      ended.abort()
      return Promise.reject(new Error('over'))
    },
    onEvent: event => {
      events.push(event)
      time += eventDuration
    },
    onState: state => states.push(state),
    wait: milliseconds => {
      waits.push(milliseconds)
      time += milliseconds
      return Promise.resolve()
    },
  })
  return { ids, states, waits, events }
}

const stream = (text: string) => () =>
  new Response(text, { headers: { 'Content-Type': 'text/event-stream; charset=utf-8' } })
const status =
  (code: number, headers: Record<string, string> = {}) =>
  () =>
    new Response('{}', { status: code, headers })

test('after an interruption the stream resumes from the last id, after the requested delay', async () => {
  const { ids, states, waits, events } = await followResponses([
    stream('retry: 700\n\nid: 5\ndata: a\n\n'),
    stream('id: 6\ndata: b\n\n'),
  ])
  assert.deepEqual(ids, ['', '5', '6'])
  assert.deepEqual(waits, [700, 700])
  assert.deepEqual(
    events.map(({ data }) => data),
    ['a', 'b'],
  )
  assert.deepEqual(states, ['connecting', 'live', 'reconnecting', 'live', 'reconnecting'])
})

test('an id that follows its events, as platforms send it, is used to resume', async () => {
  const { ids } = await followResponses([stream('data: a\n\ndata: b\n\nid: 9\n\n'), stream('retry: 5\n\ndata: c\n\n')])
  assert.deepEqual(ids, ['', '9', '9'])
})

test('the initial id is sent until the stream has sent one', async () => {
  assert.deepEqual((await followResponses([stream('data: a\n\n')], { first: '42' })).ids, ['42', '42'])
})

test('failures back off exponentially, and Retry-After of a busy host is respected', async () => {
  const down = () => {
    throw new Error('no network')
  }
  const { waits, states } = await followResponses([
    down,
    status(503),
    down,
    status(429, { 'Retry-After': '60' }),
    down,
    down,
  ])
  assert.deepEqual(waits.slice(0, 6), [2_000, 4_000, 8_000, 60_000, 30_000, 30_000])
  assert.deepEqual(states, ['connecting', 'reconnecting'])
})

test('without a stream there is no reconnection', async () => {
  for (const answer of [status(404), status(405), status(401), status(200, { 'Content-Type': 'application/json' })]) {
    const { ids, states } = await followResponses([answer])
    assert.deepEqual(states, ['connecting', 'none'])
    assert.equal(ids.length, 1)
  }
})

test('streams that end at once are short: their events are used, and reconnections are rarer', async () => {
  const short = stream('retry: 2000\n\nid: 1\ndata: a\n\n')
  const { states, waits, events } = await followResponses([short, short, short, stream('id: 2\ndata: b\n\n')], {
    eventDuration: 0,
  })
  assert.deepEqual(states.slice(0, 5), ['connecting', 'live', 'reconnecting', 'live', 'short'])
  assert.deepEqual(waits.slice(0, 3), [2_000, 10_000, 10_000])
  assert.equal(events.length, 4)
})
