// Whether an element is in view, or nearly: what nobody sees needs no stream.

import { type RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

/** A reference to put on the element, and whether it is in view. `once`: what was seen stays seen. */
export function useSeen<T extends HTMLElement>(once = false): [RefObject<T | null>, boolean] {
  const place = useRef<T>(null)
  const [seen, setSeen] = useState(false)
  useEffect(() => {
    if (!place.current) return
    const watch = new IntersectionObserver(
      entries => {
        const now = entries.at(-1)?.isIntersecting ?? false
        setSeen(before => now || (once && before))
      },
      { rootMargin: '80px' },
    )
    watch.observe(place.current)
    return () => watch.disconnect()
  }, [])
  return [place, seen]
}
