// The focus on an item of a picture that is drawn anew while somebody works in it by keyboard.

import type { RefObject, TargetedFocusEvent } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

/**
 * What an item needs, which is told from others by its `data-order`, to get the focus back when a new plan took it out of
 * `place` and brings it again. `left` is called when the reader goes elsewhere, not when the item goes.
 */
export function useKeptFocus(place: RefObject<HTMLElement | null>, left: () => void) {
  const own = useRef<string | undefined>(undefined)
  const drawing = useRef(false)
  drawing.current = true
  useLayoutEffect(() => {
    drawing.current = false
    if (own.current === undefined || document.activeElement !== document.body) return
    place.current?.querySelector<SVGElement>(`[data-order="${CSS.escape(own.current)}"]`)?.focus({ preventScroll: true })
  })
  return {
    onFocus: (event: TargetedFocusEvent<SVGElement>) => {
      own.current = event.currentTarget.dataset.order
    },
    onBlur: () => {
      // An item that is taken out loses the focus too.
      if (drawing.current) return
      own.current = undefined
      left()
    },
  }
}
