// The width of an element, as it changes. SVG that is drawn in pixels keeps its text legible, where a scaled one does not.

import { type RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

/** A reference to put on the element, and its width in pixels; 0 at first. */
export function useWidth<T extends HTMLElement>(): [RefObject<T | null>, number] {
  const place = useRef<T>(null)
  const [width, setWidth] = useState(0)
  useEffect(() => {
    if (!place.current) return
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    watch.observe(place.current)
    return () => watch.disconnect()
  }, [])
  return [place, width]
}
