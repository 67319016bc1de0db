// A list whose newest rows are polled and whose older rows are loaded on demand.

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { Page } from '../api'

/** The rows loaded so far. */
export interface LoadedRows<T> {
  /** Each row once, even if it has moved from the newest page to an older one. */
  all: T[]
  /** Whether there are rows that are not loaded. */
  hasMore: boolean
  /** Button that loads them; null if there are none. */
  loadButton: ComponentChildren
}

/** Keeps the pages that `loadPage` returned and adds them to the newest page. `id` identifies rows. */
export function useOlderPages<T>(
  id: (row: T) => string | number,
  loadPage: (next: string) => Promise<Page<T>>,
): (newest: Page<T>) => LoadedRows<T> {
  const [older, setOlder] = useState<Page<T>[]>([])
  return newest => {
    const { next } = older.at(-1) ?? newest
    const load = (next: string) =>
      void loadPage(next).then(
        page => setOlder([...older, page]),
        () => undefined,
      )
    return {
      all: [...new Map([newest, ...older].flatMap(page => page.items).map(row => [id(row), row])).values()],
      hasMore: next !== null,
      loadButton: next ? (
        <p>
          <button type="button" onClick={() => load(next)}>
            Load older
          </button>
        </p>
      ) : null,
    }
  }
}
