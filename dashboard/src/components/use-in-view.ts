// Whether an element is in view or almost in view: elements out of view need no stream.

import { type RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

/** A ref for the element, and whether it is in view. `once`: stays true once the element has been in view. */
export function useInView<T extends HTMLElement>(once = false): [RefObject<T | null>, boolean] {
  const element = useRef<T>(null)
  const [inView, setInView] = useState(false)
  useEffect(() => {
    if (!element.current) return
    const observer = new IntersectionObserver(
      entries => {
        const isIntersecting = entries.at(-1)?.isIntersecting ?? false
        setInView(previous => isIntersecting || (once && previous))
      },
      { rootMargin: '80px' },
    )
    observer.observe(element.current)
    return () => observer.disconnect()
  }, [])
  return [element, inView]
}
