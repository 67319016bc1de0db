// A list whose newest rows are asked for again and again, and whose older ones a reader loads.

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { Page } from '../api'

/** What is known of such a list. */
export interface Loaded<T> {
  /** Every row once, also where one has moved from the newest page to an older one meanwhile. */
  all: T[]
  /** Whether there are rows that were not loaded. */
  more: boolean
  /** Loads them; nothing where there are none. */
  button: ComponentChildren
}

/** Keeps what `ask` gave for the rows behind a page, and adds it to the newest page. `id` tells rows apart. */
export function useOlder<T>(id: (row: T) => string | number, ask: (next: string) => Promise<Page<T>>): (newest: Page<T>) => Loaded<T> {
  const [older, setOlder] = useState<Page<T>[]>([])
  return newest => {
    const { next } = older.at(-1) ?? newest
    const load = (next: string) =>
      void ask(next).then(
        page => setOlder([...older, page]),
        () => undefined,
      )
    return {
      all: [...new Map([newest, ...older].flatMap(page => page.items).map(row => [id(row), row])).values()],
      more: next !== null,
      button: next ? (
        <p>
          <button type="button" onClick={() => load(next)}>
            Load older ones
          </button>
        </p>
      ) : null,
    }
  }
}
