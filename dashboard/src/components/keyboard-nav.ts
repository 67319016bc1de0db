// Keyboard navigation of lists: arrow keys move by one item (left and right in a grid), Home and End to the first and
// last one.

import type { TargetedKeyboardEvent } from 'preact'

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }

/** The index to move to from `at` among `count` items; undefined if the key is not a navigation key. */
export function targetIndex(key: string, index: number, count: number): number | undefined {
  if (count === 0) return undefined
  if (key === 'Home') return 0
  if (key === 'End') return count - 1
  const step = STEPS[key]
  if (step === undefined) return undefined
  return Math.min(count - 1, Math.max(0, index + step))
}

/** `onKeyDown` handler of a list whose items have the attribute `data-item`. */
export function onNavigationKey(event: TargetedKeyboardEvent<HTMLElement | SVGElement>): void {
  if (event.altKey || event.ctrlKey || event.metaKey) return
  const items = [...event.currentTarget.querySelectorAll<HTMLElement | SVGElement>('[data-item]')]
  const index = items.findIndex(item => item === document.activeElement)
  // Inside an item, such as a text field or a button, the arrow keys keep their own function.
  if (index < 0) return
  const next = targetIndex(event.key, index, items.length)
  if (next === undefined) return
  event.preventDefault()
  items[next]?.focus()
}
