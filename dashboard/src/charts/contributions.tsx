// Why: the parts of an anomaly's score as bars, and for each what was normal and what was seen, on one scale.

import type { Contribution } from '../api'
import { lastPart, measured, percent } from '../format'
import { featureName } from '../words'

/** Places of expected and seen on a scale of 0 to 1. Values of one sign are measured from zero, so that "twice" looks it. */
export function places(expected: number, seen: number, unit = ''): { expected: number; seen: number; zero: number } {
  const low = Math.min(0, expected, seen)
  const high = Math.max(0, expected, seen)
  const span = high - low || 1
  // Far from zero and close together (27.9 and 28.6 A): the stretch between them is what counts.
  // Of levels in dB zero means nothing.
  const near = unit === 'dB' || Math.abs(seen - expected) < 0.1 * Math.max(Math.abs(expected), Math.abs(seen))
  if (near && expected !== seen) {
    const middle = (expected + seen) / 2
    const reach = Math.abs(seen - expected) * 1.5
    const place = (value: number) => 0.5 + (value - middle) / (2 * reach)
    return { expected: place(expected), seen: place(seen), zero: 0 }
  }
  const place = (value: number) => (value - low) / span
  return { expected: place(expected), seen: place(seen), zero: place(0) }
}

/** "4.4 times", "+0.7 A": how far seen is from expected. */
export function change({ expected, seen, unit }: Contribution): string {
  const decibels = unit === 'dB'
  if (!decibels && expected > 0 && seen > 0) {
    const ratio = seen / expected
    if (ratio >= 1.5) return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)} times what is normal`
    if (ratio <= 0.67) return `${percent(ratio)} of what is normal`
  }
  const difference = seen - expected
  return `${difference >= 0 ? '+' : '−'}${measured(Math.abs(difference), unit)}`
}

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
              <span><b>{lastPart(part.sensor)}</b> {featureName(part.feature)}</span>
              <span class="contribution-share"><b>{percent(part.share)}</b> <span class="faint">of the reason</span></span>
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
              <span><span class="key expected" aria-hidden="true" /> normal {show(part.expected)}</span>
              <span><span class="key seen" aria-hidden="true" /> seen <b>{show(part.seen)}</b></span>
              <span class="faint">{missing ? '' : change(part)}</span>
            </div>
          </li>
        )
      })}
    </ol>
  )
}
