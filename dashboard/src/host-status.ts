// Whether the host answers, for the status at the top of every page.

import { useEffect, useState } from 'preact/hooks'

/** State of the host. `failing`: it answers with server errors. `silent`: it does not answer. */
export type HostState = 'connecting' | 'live' | 'failing' | 'silent'

let state: HostState = 'connecting'
/** Time of the last successful response, milliseconds since 1970. */
let lastSuccess: number | undefined
const listeners = new Set<(state: HostState) => void>()

/** Records the status of a response; 0 if there was none. */
export function recordStatus(status: number): void {
  const next: HostState = status === 0 ? 'silent' : status >= 500 ? 'failing' : 'live'
  if (next === 'live') lastSuccess = Date.now()
  if (next === state) return
  state = next
  for (const listener of listeners) listener(state)
}

/** Time of the last successful response. */
export const lastResponseTime = (): number | undefined => lastSuccess

/** The state; the component renders again when it changes. */
export function useHostStatus(): HostState {
  const [current, setCurrent] = useState(state)
  useEffect(() => {
    setCurrent(state)
    listeners.add(setCurrent)
    return () => void listeners.delete(setCurrent)
  }, [])
  return current
}
