// Whether the host answers, for the line at the top of every page.

import { useEffect, useState } from 'preact/hooks'

/** What is known of the host. */
export interface Status {
  /** undefined: nothing is known yet. */
  live: boolean | undefined
  /** The latest answer, milliseconds since 1970. */
  since: number | undefined
}

let now: Status = { live: undefined, since: undefined }
const listeners = new Set<(status: Status) => void>()

function set(status: Status): void {
  const changed = status.live !== now.live
  now = status
  if (changed) for (const listener of listeners) listener(now)
}

/** The host answered. */
export const answered = (): void => set({ live: true, since: Date.now() })

/** The host did not answer. */
export const silent = (): void => set({ live: false, since: now.since })

/** The status; drawn anew when it changes. */
export function useStatus(): Status {
  const [status, setStatus] = useState(now)
  useEffect(() => {
    setStatus(now)
    listeners.add(setStatus)
    return () => void listeners.delete(setStatus)
  }, [])
  return status
}
