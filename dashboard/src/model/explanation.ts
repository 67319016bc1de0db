// Figures that explain an anomaly: its distance from normal, and the actual next to the normal value of each feature.

import type { Contribution } from '../api/types'
import { formatValue, formatPercent } from '../format'

/**
 * Distance from normal relative to the threshold: 1 at the threshold. It inverts the score (score = 1 − 10^(−3 r²)).
 */
export function distanceRatio({ score, threshold }: { score: number; threshold: number }): number {
  const distance = (score: number) => Math.sqrt(Math.log10(Math.max(1 - score, 1e-16)) / -3)
  const thresholdDistance = distance(threshold)
  return thresholdDistance > 0 ? distance(score) / thresholdDistance : 0
}

/**
 * Positions of the normal and the actual value on a scale from 0 to 1. Values of the same sign are measured from zero,
 * so that "twice" looks like twice.
 */
export function scalePositions(
  expected: number,
  actual: number,
  unit = '',
): { expected: number; actual: number; zero: number } {
  const low = Math.min(0, expected, actual)
  const high = Math.max(0, expected, actual)
  const span = high - low || 1
  // Values that are far from zero and close together (27.9 and 28.6 A): their difference is what matters. For levels
  // in dB, zero has no meaning.
  const isClose = unit === 'dB' || Math.abs(actual - expected) < 0.1 * Math.max(Math.abs(expected), Math.abs(actual))
  if (isClose && expected !== actual) {
    const middle = (expected + actual) / 2
    // At least this many dB, so that a small change looks small.
    const halfRange = Math.max(Math.abs(actual - expected) * 1.5, unit === 'dB' ? 6 : 0)
    const position = (value: number) => 0.5 + (value - middle) / (2 * halfRange)
    return { expected: position(expected), actual: position(actual), zero: 0 }
  }
  const position = (value: number) => (value - low) / span
  return { expected: position(expected), actual: position(actual), zero: position(0) }
}

/** The change from the normal value, such as "4.4 times what is normal" or "+0.7 A". */
export function describeChange({ expected, actual, unit }: Contribution): string {
  const decibels = unit === 'dB'
  if (!decibels && expected > 0 && actual > 0) {
    const ratio = actual / expected
    if (ratio >= 1.5) return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)} × normal`
    if (ratio <= 0.67) return `${formatPercent(ratio)} of normal`
  }
  const difference = actual - expected
  return `${difference >= 0 ? '+' : '−'}${formatValue(Math.abs(difference), unit)}`
}
