// Where a page was scrolled to, for who comes back to it. The browser's own way fails here: when one goes back, the rows are
// not there yet that made the page so long.

/** How long rows may take to come. */
const PATIENCE = 4_000

/** Of a scroll only its end is kept. */
const PAUSE = 400

interface Kept {
  y: number
}

const kept = (state: unknown): Kept | null =>
  typeof state === 'object' && state !== null && typeof (state as Kept).y === 'number' ? (state as Kept) : null

let timer = 0

/** Keeps with each entry of the history how far it is scrolled. To be called once. */
export function start(): void {
  history.scrollRestoration = 'manual'
  addEventListener('scroll', () => {
    clearTimeout(timer)
    timer = window.setTimeout(keep, PAUSE)
  })
  // Who follows a link at once is not too soon.
  addEventListener('click', keep, { capture: true })
}

function keep(): void {
  try {
    history.replaceState({ ...history.state, y: scrollY }, '')
  } catch {
    // Browsers count how often: then one comes back a little off.
  }
}

let ended = (): void => undefined

/** Goes to where the present entry of the history was left, as soon as the page is long enough; to its top if it is new. */
export function restore(): void {
  // What was scrolled on the page before is none of this one's.
  clearTimeout(timer)
  ended()
  const to = kept(history.state)?.y ?? 0
  const reach = () => document.documentElement.scrollHeight - innerHeight
  if (to === 0 || reach() >= to) return scrollTo(0, to)
  scrollTo(0, 0)
  const watch = new ResizeObserver(() => {
    if (reach() < to) return
    end()
    scrollTo(0, to)
  })
  const late = setTimeout(() => end(), PATIENCE)
  // Who scrolls or presses something meanwhile knows better.
  const own = ['wheel', 'touchstart', 'keydown', 'pointerdown']
  const end = () => {
    watch.disconnect()
    clearTimeout(late)
    for (const name of own) removeEventListener(name, end)
    ended = () => undefined
  }
  ended = end
  for (const name of own) addEventListener(name, end, { passive: true })
  watch.observe(document.body)
}
