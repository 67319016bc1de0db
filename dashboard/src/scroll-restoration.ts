// Restores the scroll position when the user goes back. The browser's own restoration fails here, because the rows
// that make the page long are not loaded yet at that time.

/** How long to wait for rows to load. */
const RESTORE_TIMEOUT = 4_000

/** A position is saved when scrolling has paused for this long. */
const SAVE_DELAY = 400

interface SavedPosition {
  y: number
}

const savedPosition = (state: unknown): SavedPosition | null =>
  typeof state === 'object' && state !== null && typeof (state as SavedPosition).y === 'number'
    ? (state as SavedPosition)
    : null

let timer = 0

/** Saves the scroll position with each history entry. Called once. */
export function start(): void {
  history.scrollRestoration = 'manual'
  addEventListener('scroll', () => {
    clearTimeout(timer)
    timer = window.setTimeout(savePosition, SAVE_DELAY)
  })
  // A click on a link right after scrolling must save the position too.
  addEventListener('click', savePosition, { capture: true })
}

function savePosition(): void {
  try {
    history.replaceState({ ...history.state, y: scrollY }, '')
  } catch {
    // Browsers limit the number of calls; the saved position is then slightly off.
  }
}

let cancelRestore = (): void => undefined

/**
 * Scrolls to the position saved with the current history entry as soon as the page is long enough; to the top for a
 * new entry.
 */
export function restore(): void {
  // A pending save belongs to the previous page.
  clearTimeout(timer)
  cancelRestore()
  const target = savedPosition(history.state)?.y ?? 0
  const maxScroll = () => document.documentElement.scrollHeight - innerHeight
  if (target === 0 || maxScroll() >= target) return scrollTo(0, target)
  scrollTo(0, 0)
  const observer = new ResizeObserver(() => {
    if (maxScroll() < target) return
    finish()
    scrollTo(0, target)
  })
  const timeout = setTimeout(() => finish(), RESTORE_TIMEOUT)
  // Input of the user cancels the restoration.
  const inputEvents = ['wheel', 'touchstart', 'keydown', 'pointerdown']
  const finish = () => {
    observer.disconnect()
    clearTimeout(timeout)
    for (const name of inputEvents) removeEventListener(name, finish)
    cancelRestore = () => undefined
  }
  cancelRestore = finish
  for (const name of inputEvents) addEventListener(name, finish, { passive: true })
  observer.observe(document.body)
}
