// The reason for an anomaly in figures: how far from normal it is, and where what was seen lies beside what is normal.

import type { Contribution } from '../api/types'
import { measured, percent } from '../format'

/** How far beyond the threshold, as a picture: the score's own distance, 1 at the edge (score = 1 − 10^(−3 r²)). */
export function ratio({ score, threshold }: { score: number; threshold: number }): number {
  const distance = (of: number) => Math.sqrt(Math.log10(Math.max(1 - of, 1e-16)) / -3)
  const edge = distance(threshold)
  return edge > 0 ? distance(score) / edge : 0
}

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
    // So many dB at least, that a small change looks small.
    const reach = Math.max(Math.abs(seen - expected) * 1.5, unit === 'dB' ? 6 : 0)
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
