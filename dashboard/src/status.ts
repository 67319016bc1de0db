// Whether the host answers, for the line at the top of every page.

import { useEffect, useState } from 'preact/hooks'

/** What is known of the host. `failing`: it answers, but with its own errors. */
export type State = 'connecting' | 'live' | 'failing' | 'silent'

let state: State = 'connecting'
/** The latest good answer, milliseconds since 1970. */
let since: number | undefined
const listeners = new Set<(state: State) => void>()

/** Takes the status of an answer; 0 for none. */
export function heard(status: number): void {
  const next: State = status === 0 ? 'silent' : status >= 500 ? 'failing' : 'live'
  if (next === 'live') since = Date.now()
  if (next === state) return
  state = next
  for (const listener of listeners) listener(state)
}

/** When the host last answered well. */
export const lastAnswer = (): number | undefined => since

/** The state; drawn anew when it changes. */
export function useStatus(): State {
  const [shown, setShown] = useState(state)
  useEffect(() => {
    setShown(state)
    listeners.add(setShown)
    return () => void listeners.delete(setShown)
  }, [])
  return shown
}
