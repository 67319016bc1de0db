// Health bar and remaining life.

import type { Prognosis } from '../api'
import { formatRemainingLife, formatPercent } from '../format'
import { isOutdated } from '../model/fleet'
import { Ago } from './time'

/** The health index as a bar with its percentage. */
export function Health({ prognosis }: { prognosis: Prognosis | undefined }) {
  if (!prognosis) return null
  const level =
    prognosis.health < 0.25 ? 'critical' : prognosis.health < 0.5 ? 'high' : prognosis.health < 0.75 ? 'medium' : 'well'
  return (
    <span class="health" role="img" aria-label={`Health ${formatPercent(prognosis.health)}`}>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" class={level} aria-hidden="true">
        <rect class="track" width="100" height="6" rx="3" />
        <rect class="fill" width={Math.max(3, prognosis.health * 100)} height="6" rx="3" />
      </svg>
      <span class="health-number">{formatPercent(prognosis.health)}</span>
    </span>
  )
}

/** Remaining life as text. An old forecast shows its age, because the remaining life has changed since then. */
export function RemainingLife({ prognosis }: { prognosis: Prognosis | undefined }) {
  if (!prognosis) return <span class="faint">no forecast yet</span>
  return (
    <>
      <RemainingTime prognosis={prognosis} />
      {isOutdated(prognosis, Date.now()) ? (
        <span class="forecast-age faint">
          {' '}
          forecast from <Ago at={prognosis.time} />
        </span>
      ) : null}
    </>
  )
}

function RemainingTime({ prognosis }: { prognosis: Prognosis }) {
  // At the limit, the index says nothing about the time beyond it; the hours would be unreliable.
  if (prognosis.health === 0)
    return (
      <span
        class="at-limit"
        title={`The wear index has reached the limit. Forecast beyond it: ${formatRemainingLife(prognosis.p10, prognosis.p50, prognosis.p90)}`}
      >
        limit reached
      </span>
    )
  return (
    <span title="Median remaining life (80 % range)">
      {formatRemainingLife(prognosis.p10, prognosis.p50, prognosis.p90)}
    </span>
  )
}
