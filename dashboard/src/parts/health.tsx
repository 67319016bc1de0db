// Health as a bar, and what is left of a machine's life in words.

import type { Prognosis } from '../api'
import { life, percent } from '../format'
import { old } from '../model/fleet'
import { Ago } from './time'

/** The health index as a bar with its number. */
export function Health({ of }: { of: Prognosis | undefined }) {
  if (!of) return null
  const level = of.health < 0.25 ? 'critical' : of.health < 0.5 ? 'high' : of.health < 0.75 ? 'medium' : 'well'
  return (
    <span class="health" role="img" aria-label={`Health ${percent(of.health)}`}>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" class={level} aria-hidden="true">
        <rect class="track" width="100" height="6" rx="3" />
        <rect class="fill" width={Math.max(3, of.health * 100)} height="6" rx="3" />
      </svg>
      <span class="health-number">{percent(of.health)}</span>
    </span>
  )
}

/** Remaining life in words, and when it was told where that is long ago: what was left then is not what is left now. */
export function Life({ of }: { of: Prognosis | undefined }) {
  if (!of) return <span class="faint">not told yet</span>
  return (
    <>
      <Left of={of} />
      {old(of, Date.now()) ? (
        <span class="told faint">
          {' '}
          told <Ago at={of.time} />
        </span>
      ) : null}
    </>
  )
}

function Left({ of }: { of: Prognosis }) {
  // At its limit the index tells nothing of the time beyond; the hours would be a guess of a guess.
  if (of.health === 0)
    return (
      <span class="at-limit" title={`The wear index has reached the limit. Told beyond it: ${life(of.p10, of.p50, of.p90)}`}>
        limit reached
      </span>
    )
  return <span title="What half of such machines outlive (90 to 10 of 100)">{life(of.p10, of.p50, of.p90)}</span>
}
