// Why: the parts of an anomaly's score as bars, and for each what was normal and what was seen, on one scale.

import type { Contribution } from '../api'
import { lastPart, measured, percent } from '../format'
import { change, places } from '../model/reason'
import { featureName } from '../words'

/** The list. */
export function Contributions({ of }: { of: readonly Contribution[] }) {
  return (
    <ol class="contributions">
      {of.map((part, n) => {
        const place = places(part.expected, part.seen, part.unit)
        const [x1, x2] = [4 + 92 * place.expected, 4 + 92 * place.seen]
        const missing = part.feature === 'missing_ratio' || part.feature === 'stuck'
        const show = (value: number) => (missing ? percent(value) : measured(value, part.unit))
        return (
          <li key={n}>
            <div class="contribution-head">
              <span>
                <b>{lastPart(part.sensor)}</b> {featureName(part.feature)}
              </span>
              <span class="contribution-share">
                <b>{percent(part.share)}</b> <span class="faint">of the reason</span>
              </span>
            </div>
            <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" width="100" height="8" />
              <rect class="fill" width={Math.max(1, 100 * Math.min(1, part.share))} height="8" />
            </svg>
            <svg class="dumbbell" height="22" role="img" aria-label={`Normal ${show(part.expected)}, seen ${show(part.seen)}`}>
              <line class="scale" x1="4%" x2="96%" y1="11" y2="11" />
              <line class="way" x1={`${x1}%`} x2={`${x2}%`} y1="11" y2="11" />
              <circle class="expected" cx={`${x1}%`} cy="11" r="6" />
              <circle class="seen" cx={`${x2}%`} cy="11" r="7" />
            </svg>
            <div class="contribution-values">
              <span>
                <span class="key expected" aria-hidden="true" /> normal {show(part.expected)}
              </span>
              <span>
                <span class="key seen" aria-hidden="true" /> seen <b>{show(part.seen)}</b>
              </span>
              <span class="faint">{missing ? '' : change(part)}</span>
            </div>
          </li>
        )
      })}
    </ol>
  )
}
