// Severity as shape and text as well as colour.

import type { MachineState } from '../model/fleet'

// A filled diamond with a mark, a triangle, a square, a ring, a tick: distinguishable without colour.
const SHAPES: Record<MachineState, string> = {
  critical: 'M8 .8 15.2 8 8 15.2 .8 8Z',
  high: 'M8 1.5 15.3 14.5H.7Z',
  medium: 'M2 2h12v12H2Z',
  low: 'M8 1.5a6.5 6.5 0 1 0 .01 0Z',
  well: 'M8 1.5a6.5 6.5 0 1 0 .01 0Z',
}

const NAMES: Record<MachineState, string> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
  well: 'No alert',
}

/** The name of a severity. */
export const severityName = (severity: MachineState): string => NAMES[severity]

/** The shape alone. Put text next to it, or set `label`. */
export function Shape({ severity, label }: { severity: MachineState; label?: string }) {
  const described = label ? { role: 'img' as const, 'aria-label': label } : { 'aria-hidden': true as const }
  return (
    <svg class={`shape ${severity}`} viewBox="0 0 16 16" width="14" height="14" {...described}>
      <path d={SHAPES[severity]} class={severity === 'low' ? 'hollow' : ''} />
      {severity === 'critical' || severity === 'high' ? (
        <path class="mark" d={severity === 'critical' ? 'M8 4.3v4.6M8 10.6v1.4' : 'M8 5.8v4M8 11.4v1.3'} />
      ) : null}
      {severity === 'well' ? <path class="mark" d="m4.9 8.3 2.2 2.2 4.1-4.6" /> : null}
    </svg>
  )
}

/** Shape and name. */
export function Severity({ severity }: { severity: MachineState }) {
  return (
    <span class={`severity ${severity}`}>
      <Shape severity={severity} /> {NAMES[severity]}
    </span>
  )
}
