// A password or a key that is shown once.

import { useEffect, useRef, useState } from 'preact/hooks'

/** The secret, with a button that copies it. */
export function OneTimeSecret({
  name,
  value,
  children,
  onDone,
}: {
  name: string
  value: string
  children: string
  onDone: () => void
}) {
  const [copyResult, setCopyResult] = useState('')
  const section = useRef<HTMLElement>(null)
  useEffect(() => section.current?.focus(), [value])
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value)
      setCopyResult('Copied.')
    } catch {
      // The clipboard is not available without https or localhost, or is forbidden: select the text for manual
      // copying.
      const range = document.createRange()
      const text = section.current?.querySelector('code')
      if (text) range.selectNodeContents(text)
      getSelection()?.removeAllRanges()
      getSelection()?.addRange(range)
      setCopyResult('Copying failed. The text is selected; copy it with the keyboard.')
    }
  }
  return (
    <section class="card secret" ref={section} tabIndex={-1} aria-label={name}>
      <p class="note-title">{name}</p>
      <p>{children}</p>
      <p>
        <code class="secret-value">{value}</code>
      </p>
      <div class="actions">
        <button type="button" class="primary" onClick={() => void copy()}>
          Copy
        </button>
        <button type="button" onClick={onDone}>
          Done
        </button>
        <span role="status">{copyResult}</span>
      </div>
    </section>
  )
}
