// Server-Sent Events client. The browser's EventSource cannot send an Authorization header.

/** One event. */
export interface StreamEvent {
  /** `message` if the host sent no event name. */
  kind: string
  data: string
  /** The last id received on the stream, as in EventSource. */
  id: string
}

/** Parses text in chunks of any size and returns the complete events. */
export class EventParser {
  /** Value for `Last-Event-ID`. */
  lastId: string
  /** Reconnection delay requested by the host, in milliseconds. */
  retry: number | undefined
  /** Becomes `lastId` once its event is complete: an event that is cut off is requested again. */
  private pendingId: string
  private buffer = ''
  private data: string[] = []
  private kind = ''
  private atStart = true
  /** The last chunk ended with CR; an LF at the start of the next chunk belongs to it. */
  private skipLineFeed = false

  constructor(lastId = '') {
    this.lastId = lastId
    this.pendingId = lastId
  }

  push(chunk: string): StreamEvent[] {
    let text = chunk
    if (this.atStart && text) {
      this.atStart = false
      if (text.startsWith('\uFEFF')) text = text.slice(1)
    }
    if (this.skipLineFeed && text) {
      if (text.startsWith('\n')) text = text.slice(1)
      this.skipLineFeed = false
    }
    this.buffer += text
    const events: StreamEvent[] = []
    for (;;) {
      const lineEnd = /\r\n|\r|\n/.exec(this.buffer)
      if (!lineEnd) return events
      if (lineEnd[0] === '\r' && lineEnd.index === this.buffer.length - 1) this.skipLineFeed = true
      const line = this.buffer.slice(0, lineEnd.index)
      this.buffer = this.buffer.slice(lineEnd.index + lineEnd[0].length)
      const event = this.parseLine(line)
      if (event) events.push(event)
    }
  }

  private parseLine(line: string): StreamEvent | undefined {
    if (line === '') return this.dispatch()
    const colon = line.indexOf(':')
    // A comment keeps the connection alive.
    if (colon === 0) return undefined
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
    if (name === 'data') this.data.push(value)
    else if (name === 'event') this.kind = value
    else if (name === 'id' && !value.includes('\0')) this.pendingId = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value)
    return undefined
  }

  private dispatch(): StreamEvent | undefined {
    this.lastId = this.pendingId
    const event = this.data.length
      ? { kind: this.kind || 'message', data: this.data.join('\n'), id: this.lastId }
      : undefined
    this.data = []
    this.kind = ''
    return event
  }
}

/**
 * State of a stream. `short`: the host answers and closes at once, as platforms without a long-lived host do; its
 * events are used, but the data must be polled as well. `none`: the host has no such stream.
 */
export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'short' | 'none'

export interface FollowOptions {
  /** Opens the stream after the event with this id (empty: from now on). */
  open: (lastId: string, signal: AbortSignal) => Promise<Response>
  signal: AbortSignal
  onEvent: (event: StreamEvent) => void
  /** Called with the id to resume from when the stream is followed again later. */
  onId?: (id: string) => void
  onState: (state: StreamState) => void
  /** Id to resume from at first; read again until the stream has sent an id. */
  lastId?: () => string
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>
  now?: () => number
}

/** Reconnection delay until the host sends another one. */
const DEFAULT_RETRY = 2_000
const MAX_BACKOFF = 30_000
/** A stream that was open for less than this is `short`. */
const MIN_STREAM_TIME = 1_500
/** The host sends a comment every 15 s. Without data for this long the connection is dead. */
const SILENCE_TIMEOUT = 50_000

const sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done)
  })

/** Follows a stream until `signal` aborts or the host has no such stream. Reconnects after a delay and resumes. */
export async function follow(options: FollowOptions): Promise<void> {
  const { open, signal, onEvent, onState, wait = sleep, now = Date.now } = options
  let id: string | undefined
  let retry = DEFAULT_RETRY
  let failures = 0
  let shortStreams = 0
  let lastState: StreamState | undefined
  const state = (next: StreamState) => {
    if (next !== lastState && !signal.aborted) onState((lastState = next))
  }
  state('connecting')
  while (!signal.aborted) {
    let delay = retry
    try {
      const response = await open(id ?? options.lastId?.() ?? '', signal)
      const isStream =
        response.ok && (response.headers.get('Content-Type') ?? '').startsWith('text/event-stream') && response.body
      if (!isStream) {
        void response.body?.cancel()
        // Server errors are temporary; any other status means that there is no stream.
        if (response.status !== 429 && response.status < 500) return state('none')
        throw new RetryLater(Number(response.headers.get('Retry-After') ?? 0) * 1000)
      }
      const openedAt = now()
      // A short stream is recognised when it ends; until then it counts as live, unless the last ones were short.
      if (shortStreams < 2) state('live')
      const parser = new EventParser(id)
      await readBody(response.body!, signal, text => {
        for (const event of parser.push(text)) {
          failures = 0
          onEvent(event)
        }
        if (parser.lastId !== (id ?? '')) {
          id = parser.lastId
          options.onId?.(id)
        }
        if (parser.retry !== undefined) retry = parser.retry
        if (shortStreams >= 2 && now() - openedAt >= MIN_STREAM_TIME) state('live')
      })
      failures = 0
      shortStreams = now() - openedAt < MIN_STREAM_TIME ? shortStreams + 1 : 0
      // The data is polled in the meantime, so reconnect less often: the platform must not serve both.
      delay = shortStreams >= 2 ? Math.max(retry * 5, 10_000) : retry
      state(shortStreams >= 2 ? 'short' : 'reconnecting')
    } catch (error) {
      if (signal.aborted) return
      delay = Math.max(Math.min(MAX_BACKOFF, retry * 2 ** failures), error instanceof RetryLater ? error.delay : 0)
      failures = Math.min(failures + 1, 10)
      state('reconnecting')
    }
    await wait(delay, signal)
  }
}

/** The host is busy or failing, and may have sent a Retry-After. */
class RetryLater extends Error {
  constructor(readonly delay: number) {
    super('later')
  }
}

/** Reads a body to its end. Cancels it when it is silent for too long. */
async function readBody(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let timer: ReturnType<typeof setTimeout> | undefined
  const cancel = () => void reader.cancel().catch(() => undefined)
  signal.addEventListener('abort', cancel)
  try {
    for (;;) {
      clearTimeout(timer)
      timer = setTimeout(cancel, SILENCE_TIMEOUT)
      const { done, value } = await reader.read()
      if (done || signal.aborted) return
      onText(decoder.decode(value, { stream: true }))
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', cancel)
  }
}
