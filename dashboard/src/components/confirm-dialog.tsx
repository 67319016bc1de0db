// Confirmation dialog for actions that cannot be undone, or that have a choice.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Asks for confirmation. The browser keeps the focus inside; Escape cancels. */
export function ConfirmDialog({
  title,
  confirmLabel,
  cancelLabel = 'Cancel',
  confirmClass = 'danger',
  children,
  onConfirm,
  onCancel,
}: {
  title: string
  confirmLabel: string
  cancelLabel?: string
  /** `danger` if something is lost. */
  confirmClass?: 'danger' | 'primary'
  children?: ComponentChildren
  onConfirm: () => void
  onCancel: () => void
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const focused = document.activeElement
    dialog.current?.showModal()
    return () => {
      if (focused instanceof HTMLElement && focused.isConnected) focused.focus()
    }
  }, [])
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={onCancel}>
      <h2 id="confirm-title">{title}</h2>
      {children}
      <div class="actions">
        <button type="button" autofocus onClick={onCancel}>
          {cancelLabel}
        </button>
        <button type="button" class={confirmClass} onClick={onConfirm}>
          {confirmLabel}
        </button>
      </div>
    </dialog>
  )
}
