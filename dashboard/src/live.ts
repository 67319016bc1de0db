// What happens, as it happens: one stream of events for all that a tab shows. Who shows a list is told that something of it
// has changed and asks anew: rows are read in one way only, and an event that gets lost does no harm.

import { useEffect, useState } from 'preact/hooks'
import { eventStream } from './api'
import { follow, type StreamState } from './api/events'
import { place } from './api/slots'

/** What the stream tells of. */
export type Kind = 'anomaly' | 'alert' | 'work-order'

type Listener = (kind: Kind | 'state') => void

const listeners = new Set<Listener>()
let state: StreamState = 'connecting'
let lastId = ''
let running: AbortController | undefined
let wanted = false

function tell(what: Kind | 'state'): void {
  for (const listener of listeners) listener(what)
}

/** Whether events come by themselves, so that one need not ask. */
export const isLive = (): boolean => state === 'live'

/** Calls with each event's kind, and when the stream comes or goes; gives what ends it. */
export function listen(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

async function run(ended: AbortController): Promise<void> {
  const release = await place()
  // Other tabs have all places: what is shown here is asked for.
  if (!release) return enter('none', ended)
  await follow({
    signal: ended.signal,
    open: eventStream,
    lastId: () => lastId,
    onId: id => (lastId = id),
    onEvent: ({ kind }) => {
      if (kind === 'anomaly' || kind === 'alert' || kind === 'work-order') tell(kind)
    },
    onState: next => enter(next, ended),
  }).finally(release)
}

function enter(next: StreamState, by: AbortController): void {
  if (by.signal.aborted || next === state) return
  state = next
  tell('state')
}

function adjust(): void {
  const shown = wanted && !document.hidden
  if (shown && !running) void run((running = new AbortController()))
  if (!shown && running) {
    running.abort()
    running = undefined
    state = 'connecting'
  }
}

/** Follows the events while the tab is seen; gives what ends it. */
export function start(): () => void {
  wanted = true
  adjust()
  document.addEventListener('visibilitychange', adjust)
  return () => {
    wanted = false
    document.removeEventListener('visibilitychange', adjust)
    adjust()
  }
}

/** How the stream is; drawn anew when that changes. */
export function useLive(): StreamState {
  const [shown, setShown] = useState(state)
  useEffect(() => {
    setShown(state)
    return listen(what => what === 'state' && setShown(state))
  }, [])
  return shown
}
