// How bad, by shape and word as well as by colour.

import type { Standing } from '../model/fleet'

// A filled diamond with a mark, a triangle, a square, a ring, a tick: told apart without colour.
const SHAPES: Record<Standing, string> = {
  critical: 'M8 .8 15.2 8 8 15.2 .8 8Z',
  high: 'M8 1.5 15.3 14.5H.7Z',
  medium: 'M2 2h12v12H2Z',
  low: 'M8 1.5a6.5 6.5 0 1 0 .01 0Z',
  well: 'M8 1.5a6.5 6.5 0 1 0 .01 0Z',
}

const NAMES: Record<Standing, string> = { critical: 'Critical', high: 'High', medium: 'Medium', low: 'Low', well: 'No alert' }

/** The name of a severity. */
export const severityName = (of: Standing): string => NAMES[of]

/** The shape alone. Give a word beside it, or `label`. */
export function Shape({ of, label }: { of: Standing; label?: string }) {
  const described = label ? { role: 'img' as const, 'aria-label': label } : { 'aria-hidden': true as const }
  return (
    <svg class={`shape ${of}`} viewBox="0 0 16 16" width="14" height="14" {...described}>
      <path d={SHAPES[of]} class={of === 'low' ? 'hollow' : ''} />
      {of === 'critical' || of === 'high' ? (
        <path class="mark" d={of === 'critical' ? 'M8 4.3v4.6M8 10.6v1.4' : 'M8 5.8v4M8 11.4v1.3'} />
      ) : null}
      {of === 'well' ? <path class="mark" d="m4.9 8.3 2.2 2.2 4.1-4.6" /> : null}
    </svg>
  )
}

/** Shape and word. */
export function Severity({ of }: { of: Standing }) {
  return (
    <span class={`severity ${of}`}>
      <Shape of={of} /> {NAMES[of]}
    </span>
  )
}
