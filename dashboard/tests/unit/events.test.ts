import assert from 'node:assert/strict'
import { test } from 'node:test'
import { follow, Parser, type StreamEvent, type StreamState } from '../../src/api/events'

const STREAM =
  '\uFEFFretry: 1500\r\n: hello\r\rid: 7\nevent: alert\ndata: {"a":\ndata: 1}\n\ndata\n\nid: 8\r\ndata:  two\r\n\r\nevent: lost\n\ndata: cut'

test('a stream is read the same wherever it is cut', () => {
  const expected: StreamEvent[] = [
    { kind: 'alert', data: '{"a":\n1}', id: '7' },
    { kind: 'message', data: '', id: '7' },
    { kind: 'message', data: ' two', id: '8' },
  ]
  const whole = new Parser()
  assert.deepEqual(whole.push(STREAM), expected)
  assert.equal(whole.retry, 1500)
  assert.equal(whole.lastId, '8')
  for (let at = 0; at <= STREAM.length; at++) {
    const parser = new Parser()
    assert.deepEqual([...parser.push(STREAM.slice(0, at)), ...parser.push(STREAM.slice(at))], expected, `cut at ${at}`)
  }
  const parser = new Parser()
  assert.deepEqual(
    [...STREAM].flatMap(letter => parser.push(letter)),
    expected,
  )
})

test('an event that is cut off does not count', () => {
  const parser = new Parser('3')
  assert.deepEqual(parser.push('id: 4\ndata: cut'), [])
  assert.equal(parser.lastId, '3')
  parser.push('\n\nid: 5\n\n')
  assert.equal(parser.lastId, '5', 'an id alone counts too')
})

test('ids with NUL and waits that are no numbers are passed over', () => {
  const parser = new Parser('3')
  const [event] = parser.push('id: a\0b\nretry: soon\nunknown: x\ndata: y\n\n')
  assert.deepEqual(event, { kind: 'message', data: 'y', id: '3' })
  assert.equal(parser.retry, undefined)
})

/** Answers one after the other; then nothing more is there. Time passes by waiting, and by `holds` while a stream is read. */
async function walk(answers: (() => Response)[], { holds = 60_000, first = '' } = {}) {
  const ended = new AbortController()
  const [ids, states, waits, events]: [string[], StreamState[], number[], StreamEvent[]] = [[], [], [], []]
  let time = 0
  await follow({
    signal: ended.signal,
    lastId: () => first,
    now: () => time,
    open: id => {
      ids.push(id)
      const answer = answers.shift()
      if (answer) return Promise.resolve(answer())
      ended.abort()
      return Promise.reject(new Error('over'))
    },
    onEvent: event => {
      events.push(event)
      time += holds
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

const stream = (text: string) => () => new Response(text, { headers: { 'Content-Type': 'text/event-stream; charset=utf-8' } })
const status =
  (code: number, headers: Record<string, string> = {}) =>
  () =>
    new Response('{}', { status: code, headers })

test('after a break the stream is asked for from where it was, after the time that it wants', async () => {
  const { ids, states, waits, events } = await walk([stream('retry: 700\n\nid: 5\ndata: a\n\n'), stream('id: 6\ndata: b\n\n')])
  assert.deepEqual(ids, ['', '5', '6'])
  assert.deepEqual(waits, [700, 700])
  assert.deepEqual(
    events.map(({ data }) => data),
    ['a', 'b'],
  )
  assert.deepEqual(states, ['connecting', 'live', 'reconnecting', 'live', 'reconnecting'])
})

test('an id after its events, as platforms send it, is where one goes on', async () => {
  const { ids } = await walk([stream('data: a\n\ndata: b\n\nid: 9\n\n'), stream('retry: 5\n\ndata: c\n\n')])
  assert.deepEqual(ids, ['', '9', '9'])
})

test('where the stream has told no id yet, ours is sent', async () => {
  assert.deepEqual((await walk([stream('data: a\n\n')], { first: '42' })).ids, ['42', '42'])
})

test('failures are asked about later and later, and a busy host is given the time that it wants', async () => {
  const down = () => {
    throw new Error('no network')
  }
  const { waits, states } = await walk([down, status(503), down, status(429, { 'Retry-After': '60' }), down, down])
  assert.deepEqual(waits.slice(0, 6), [2_000, 4_000, 8_000, 60_000, 30_000, 30_000])
  assert.deepEqual(states, ['connecting', 'reconnecting'])
})

test('where there is no stream, nobody asks again', async () => {
  for (const answer of [status(404), status(405), status(401), status(200, { 'Content-Type': 'application/json' })]) {
    const { ids, states } = await walk([answer])
    assert.deepEqual(states, ['connecting', 'none'])
    assert.equal(ids.length, 1)
  }
})

test('streams that end at once are short ones: they are taken, but others ask as well', async () => {
  const short = stream('retry: 2000\n\nid: 1\ndata: a\n\n')
  const { states, waits, events } = await walk([short, short, short, stream('id: 2\ndata: b\n\n')], { holds: 0 })
  assert.deepEqual(states.slice(0, 5), ['connecting', 'live', 'reconnecting', 'live', 'short'])
  assert.deepEqual(waits.slice(0, 3), [2_000, 10_000, 10_000])
  assert.equal(events.length, 4)
})
