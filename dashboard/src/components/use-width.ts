// The width of an element, as it changes. SVG drawn in pixels keeps its text legible; a scaled one does not.

import { type RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

/** A ref for the element, and its width in pixels; 0 at first. */
export function useWidth<T extends HTMLElement>(): [RefObject<T | null>, number] {
  const element = useRef<T>(null)
  const [width, setWidth] = useState(0)
  useEffect(() => {
    if (!element.current) return
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    observer.observe(element.current)
    return () => observer.disconnect()
  }, [])
  return [element, width]
}
