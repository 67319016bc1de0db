// Server-Sent Events, read by ourselves: the browser's own EventSource cannot send an Authorization header.

/** One event. */
export interface StreamEvent {
  /** `message` where the host named none. */
  kind: string
  data: string
  /** The latest id that the stream gave, as the browser's own EventSource has it. */
  id: string
}

/** Takes text as it arrives, cut anywhere, and gives the events that are whole. */
export class Parser {
  /** What `Last-Event-ID` is to say. */
  lastId: string
  /** Milliseconds that the host wants us to wait before we come again. */
  retry: number | undefined
  /** It counts once its event is whole: one that is cut off is asked for again. */
  private nextId: string
  private rest = ''
  private data: string[] = []
  private kind = ''
  private first = true
  /** A line that ended with CR at the end of a chunk: an LF that follows belongs to it. */
  private afterReturn = false

  constructor(lastId = '') {
    this.lastId = lastId
    this.nextId = lastId
  }

  push(chunk: string): StreamEvent[] {
    let text = chunk
    if (this.first && text) {
      this.first = false
      if (text.startsWith('\uFEFF')) text = text.slice(1)
    }
    if (this.afterReturn && text) {
      if (text.startsWith('\n')) text = text.slice(1)
      this.afterReturn = false
    }
    this.rest += text
    const out: StreamEvent[] = []
    for (;;) {
      const end = /\r\n|\r|\n/.exec(this.rest)
      if (!end) return out
      if (end[0] === '\r' && end.index === this.rest.length - 1) this.afterReturn = true
      const line = this.rest.slice(0, end.index)
      this.rest = this.rest.slice(end.index + end[0].length)
      const event = this.line(line)
      if (event) out.push(event)
    }
  }

  private line(line: string): StreamEvent | undefined {
    if (line === '') return this.whole()
    const colon = line.indexOf(':')
    // A comment keeps the connection alive.
    if (colon === 0) return undefined
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
    if (name === 'data') this.data.push(value)
    else if (name === 'event') this.kind = value
    else if (name === 'id' && !value.includes('\0')) this.nextId = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value)
    return undefined
  }

  private whole(): StreamEvent | undefined {
    this.lastId = this.nextId
    const event = this.data.length ? { kind: this.kind || 'message', data: this.data.join('\n'), id: this.lastId } : undefined
    this.data = []
    this.kind = ''
    return event
  }
}

/**
 * How a stream is. `short`: the host answers and hangs up at once, as platforms without a long-lived host do; what it told is
 * taken, but somebody has to ask as well. `none`: there is no such stream.
 */
export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'short' | 'none'

export interface Following {
  /** Asks for the stream from after the event of this id on (empty: from now on). */
  open: (lastId: string, signal: AbortSignal) => Promise<Response>
  signal: AbortSignal
  onEvent: (event: StreamEvent) => void
  /** From which event on to go on, should somebody follow the stream again later. */
  onId?: (id: string) => void
  onState: (state: StreamState) => void
  /** From which event on, at first; asked anew as long as the stream has told no id. */
  lastId?: () => string
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>
  now?: () => number
}

/** Before the host says otherwise. */
const RETRY = 2_000
const LONGEST = 30_000
/** A stream that held for less is a short one. */
const SHORT = 1_500
/** The host sends a comment every 15 s: after so long without one the connection is dead. */
const SILENCE = 50_000

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

/** Follows a stream until `signal` ends it or the host has none. It comes again after a break, where it was. */
export async function follow(options: Following): Promise<void> {
  const { open, signal, onEvent, onState, wait = sleep, now = Date.now } = options
  let id: string | undefined
  let retry = RETRY
  let failures = 0
  let shorts = 0
  let was: StreamState | undefined
  const state = (next: StreamState) => {
    if (next !== was && !signal.aborted) onState((was = next))
  }
  state('connecting')
  while (!signal.aborted) {
    let pause = retry
    try {
      const answer = await open(id ?? options.lastId?.() ?? '', signal)
      const there = answer.ok && (answer.headers.get('Content-Type') ?? '').startsWith('text/event-stream') && answer.body
      if (!there) {
        void answer.body?.cancel()
        // Trouble of the host passes; anything else says that there is no stream for us.
        if (answer.status !== 429 && answer.status < 500) return state('none')
        throw new Later(Number(answer.headers.get('Retry-After') ?? 0) * 1000)
      }
      const began = now()
      // A short stream shows itself by ending; until then it is a live one, unless the last ones were short.
      if (shorts < 2) state('live')
      const parser = new Parser(id)
      await drain(answer.body!, signal, text => {
        for (const event of parser.push(text)) {
          failures = 0
          onEvent(event)
        }
        if (parser.lastId !== (id ?? '')) {
          id = parser.lastId
          options.onId?.(id)
        }
        if (parser.retry !== undefined) retry = parser.retry
        if (shorts >= 2 && now() - began >= SHORT) state('live')
      })
      failures = 0
      shorts = now() - began < SHORT ? shorts + 1 : 0
      // What asks in our stead asks often enough: a platform is not to be troubled twice.
      pause = shorts >= 2 ? Math.max(retry * 5, 10_000) : retry
      state(shorts >= 2 ? 'short' : 'reconnecting')
    } catch (error) {
      if (signal.aborted) return
      pause = Math.max(Math.min(LONGEST, retry * 2 ** failures), error instanceof Later ? error.after : 0)
      failures = Math.min(failures + 1, 10)
      state('reconnecting')
    }
    await wait(pause, signal)
  }
}

/** The host is busy or failing, and may have said for how long. */
class Later extends Error {
  constructor(readonly after: number) {
    super('later')
  }
}

/** Reads a body to its end; one that falls silent is cut off. */
async function drain(body: ReadableStream<Uint8Array>, signal: AbortSignal, take: (text: string) => void): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let timer: ReturnType<typeof setTimeout> | undefined
  const cut = () => void reader.cancel().catch(() => undefined)
  signal.addEventListener('abort', cut)
  try {
    for (;;) {
      clearTimeout(timer)
      timer = setTimeout(cut, SILENCE)
      const { done, value } = await reader.read()
      if (done || signal.aborted) return
      take(decoder.decode(value, { stream: true }))
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', cut)
  }
}
