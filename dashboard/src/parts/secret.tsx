// A password or a key that is shown once.

import { useEffect, useRef, useState } from 'preact/hooks'

/** The secret, with a button that copies it. */
export function Secret({ name, value, children, onDone }: { name: string; value: string; children: string; onDone: () => void }) {
  const [said, setSaid] = useState('')
  const place = useRef<HTMLElement>(null)
  useEffect(() => place.current?.focus(), [value])
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value)
      setSaid('Copied.')
    } catch {
      // Not on https or localhost, or forbidden: it is marked, for the reader's own keys.
      const range = document.createRange()
      const text = place.current?.querySelector('code')
      if (text) range.selectNodeContents(text)
      getSelection()?.removeAllRanges()
      getSelection()?.addRange(range)
      setSaid('It is marked: copy it by your keys.')
    }
  }
  return (
    <section class="card secret" ref={place} tabIndex={-1} aria-label={name}>
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
          I have it
        </button>
        <span role="status">{said}</span>
      </div>
    </section>
  )
}
