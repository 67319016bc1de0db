// Arrow keys go through a list: up and down by one (left and right in a grid), Home and End to its ends.

import type { TargetedKeyboardEvent } from 'preact'

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }

/** The place to go to from `at` among `count`; undefined when the key is not one of ours. */
export function target(key: string, at: number, count: number): number | undefined {
  if (count === 0) return undefined
  if (key === 'Home') return 0
  if (key === 'End') return count - 1
  const step = STEPS[key]
  if (step === undefined) return undefined
  return Math.min(count - 1, Math.max(0, at + step))
}

/** For `onKeyDown` of the list; what can be gone to carries `data-item`. */
export function onArrows(event: TargetedKeyboardEvent<HTMLElement | SVGElement>): void {
  if (event.altKey || event.ctrlKey || event.metaKey) return
  const items = [...event.currentTarget.querySelectorAll<HTMLElement | SVGElement>('[data-item]')]
  const at = items.findIndex(item => item === document.activeElement)
  // Inside an item (a text field, a button of it) arrows are its own.
  if (at < 0) return
  const to = target(event.key, at, items.length)
  if (to === undefined) return
  event.preventDefault()
  items[to]?.focus()
}
