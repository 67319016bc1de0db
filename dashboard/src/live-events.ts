// One event stream for everything a tab shows. An event tells the lists that something has changed, and they request
// their data again: rows are parsed in one place only, and a lost event does no harm.

import { useEffect, useState } from 'preact/hooks'
import { eventStream } from './api'
import { follow, type StreamState } from './api/event-stream'
import { acquireSlot } from './api/stream-slots'

/** Kinds of events on the stream. */
export type EventKind = 'anomaly' | 'alert' | 'work-order'

type Listener = (kind: EventKind | 'state') => void

const listeners = new Set<Listener>()
let state: StreamState = 'connecting'
let lastId = ''
let running: AbortController | undefined
let started = false

function notify(change: EventKind | 'state'): void {
  for (const listener of listeners) listener(change)
}

/** Whether events arrive on the stream, so that polling can be slowed down. */
export const isLive = (): boolean => state === 'live'

/**
 * Calls the listener with each event's kind, and when the stream's state changes. Returns the function that removes
 * it.
 */
export function subscribe(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

async function followEvents(controller: AbortController): Promise<void> {
  const release = await acquireSlot()
  // Other tabs hold all slots: this tab polls.
  if (!release) return setState('none', controller)
  await follow({
    signal: controller.signal,
    open: eventStream,
    lastId: () => lastId,
    onId: id => (lastId = id),
    onEvent: ({ kind }) => {
      if (kind === 'anomaly' || kind === 'alert' || kind === 'work-order') notify(kind)
    },
    onState: next => setState(next, controller),
  }).finally(release)
}

function setState(next: StreamState, controller: AbortController): void {
  if (controller.signal.aborted || next === state) return
  state = next
  notify('state')
}

function update(): void {
  const visible = started && !document.hidden
  if (visible && !running) void followEvents((running = new AbortController()))
  if (!visible && running) {
    running.abort()
    running = undefined
    state = 'connecting'
  }
}

/** Follows the events while the tab is visible. Returns the function that stops it. */
export function start(): () => void {
  started = true
  update()
  document.addEventListener('visibilitychange', update)
  return () => {
    started = false
    document.removeEventListener('visibilitychange', update)
    update()
  }
}

/** State of the stream; the component renders again when it changes. */
export function useStreamState(): StreamState {
  const [current, setCurrent] = useState(state)
  useEffect(() => {
    setCurrent(state)
    return subscribe(change => change === 'state' && setCurrent(state))
  }, [])
  return current
}
