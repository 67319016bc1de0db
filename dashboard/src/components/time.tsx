// Short times, with the full time as tooltip.

import { useEffect, useState } from 'preact/hooks'
import { formatAgo, formatFull, formatTime } from '../format'

/** Time of day, with the day unless it is today. */
export function Time({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={formatFull(at)}>
      {formatTime(at)}
    </time>
  )
}

/** How often "10 s ago" is updated. */
const AGO_INTERVAL = 10_000

/** Time difference to now. It updates itself, because an unchanged response does not render again. */
export function Ago({ at }: { at: number }) {
  const [, rerender] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => rerender(count => count + 1), AGO_INTERVAL)
    return () => clearInterval(timer)
  }, [])
  return (
    <time dateTime={new Date(at).toISOString()} title={formatFull(at)}>
      {formatAgo(at)}
    </time>
  )
}
