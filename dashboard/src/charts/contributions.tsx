// Why: the contributions to an anomaly's score as bars, each with its normal and its actual value on one scale.

import type { Contribution } from '../api'
import { nameOf, formatValue, formatPercent } from '../format'
import { describeChange, scalePositions } from '../model/explanation'
import { featureName } from '../messages'

/** The list of contributions. */
export function Contributions({ contributions }: { contributions: readonly Contribution[] }) {
  return (
    <ol class="contributions">
      {contributions.map((contribution, n) => {
        const position = scalePositions(contribution.expected, contribution.actual, contribution.unit)
        const [x1, x2] = [4 + 92 * position.expected, 4 + 92 * position.actual]
        const isFraction = contribution.feature === 'missing_ratio' || contribution.feature === 'stuck'
        const formatted = (value: number) => (isFraction ? formatPercent(value) : formatValue(value, contribution.unit))
        return (
          <li key={n}>
            <div class="contribution-head">
              <span>
                <b>{nameOf(contribution.sensor)}</b> {featureName(contribution.feature)}
              </span>
              <span class="contribution-share">
                <span class="faint">Contribution</span> <b>{formatPercent(contribution.share)}</b>
              </span>
            </div>
            <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" width="100" height="8" />
              <rect class="fill" width={Math.max(1, 100 * Math.min(1, contribution.share))} height="8" />
            </svg>
            <svg
              class="dumbbell"
              height="22"
              role="img"
              aria-label={`Normal ${formatted(contribution.expected)}, actual ${formatted(contribution.actual)}`}
            >
              <line class="scale" x1="4%" x2="96%" y1="11" y2="11" />
              <line class="change" x1={`${x1}%`} x2={`${x2}%`} y1="11" y2="11" />
              <circle class="expected" cx={`${x1}%`} cy="11" r="6" />
              <circle class="actual" cx={`${x2}%`} cy="11" r="7" />
            </svg>
            <div class="contribution-values">
              <span>
                <span class="key expected" aria-hidden="true" /> normal {formatted(contribution.expected)}
              </span>
              <span>
                <span class="key actual" aria-hidden="true" /> actual <b>{formatted(contribution.actual)}</b>
              </span>
              <span class="faint">{isFraction ? '' : describeChange(contribution)}</span>
            </div>
          </li>
        )
      })}
    </ol>
  )
}
