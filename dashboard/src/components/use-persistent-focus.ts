// Keeps the keyboard focus on an item of a chart that is rendered again while it is in use.

import type { RefObject, TargetedFocusEvent } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

/**
 * Handlers for items with the attribute `data-order`. An item that a new plan removes from `container` and adds again
 * gets the focus back. `onLeave` is called when the user moves the focus elsewhere, not when the item is removed.
 */
export function usePersistentFocus(container: RefObject<HTMLElement | null>, onLeave: () => void) {
  const focusedOrder = useRef<string | undefined>(undefined)
  const rendering = useRef(false)
  rendering.current = true
  useLayoutEffect(() => {
    rendering.current = false
    if (focusedOrder.current === undefined || document.activeElement !== document.body) return
    container.current
      ?.querySelector<SVGElement>(`[data-order="${CSS.escape(focusedOrder.current)}"]`)
      ?.focus({ preventScroll: true })
  })
  return {
    onFocus: (event: TargetedFocusEvent<SVGElement>) => {
      focusedOrder.current = event.currentTarget.dataset.order
    },
    onBlur: () => {
      // A removed item loses the focus too.
      if (rendering.current) return
      focusedOrder.current = undefined
      onLeave()
    },
  }
}
