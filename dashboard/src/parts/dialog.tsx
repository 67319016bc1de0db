// A question that has to be answered before something is done that cannot be undone.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Asks; the browser keeps the focus inside, and Escape says no. */
export function Confirm({
  title,
  yes,
  no = 'Leave it',
  children,
  onYes,
  onNo,
}: {
  title: string
  yes: string
  no?: string
  children?: ComponentChildren
  onYes: () => void
  onNo: () => void
}) {
  const place = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const before = document.activeElement
    place.current?.showModal()
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  return (
    <dialog ref={place} aria-labelledby="confirm-title" onClose={onNo}>
      <h2 id="confirm-title">{title}</h2>
      {children}
      <div class="actions">
        <button type="button" autofocus onClick={onNo}>
          {no}
        </button>
        <button type="button" class="danger" onClick={onYes}>
          {yes}
        </button>
      </div>
    </dialog>
  )
}
