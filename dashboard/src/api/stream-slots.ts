// Limits the number of open streams. Over HTTP/1.1 a browser opens six connections to a host for all its tabs. If all
// of them were streams, no other request could be sent. Tabs therefore share four slots through the browser's locks.

const HTTP1_SLOTS = 4
/** HTTP/2 and HTTP/3 carry many streams over one connection. */
const HTTP2_SLOTS = 32

const slotCount = (): number => {
  const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[]
  return /^h[23]/.test(navigation?.nextHopProtocol ?? '') ? HTTP2_SLOTS : HTTP1_SLOTS
}

const usedSlots = new Set<number>()

/**
 * Holds the browser's lock of this name. Returns the function that releases it, or undefined if another tab holds it.
 */
function tryLock(name: string): Promise<(() => void) | undefined> {
  // Locks exist on https and localhost only; elsewhere each tab counts its own slots.
  if (!navigator.locks) return Promise.resolve(() => undefined)
  return new Promise(resolve => {
    navigator.locks
      .request(name, { ifAvailable: true }, lock => {
        if (!lock) return resolve(undefined)
        return new Promise<void>(release => resolve(release))
      })
      .catch(() => resolve(undefined))
  })
}

/** Acquires a slot. Returns the function that releases it, or undefined if all slots are in use. */
export async function acquireSlot(): Promise<(() => void) | undefined> {
  for (let n = 0; n < slotCount(); n++) {
    if (usedSlots.has(n)) continue
    usedSlots.add(n)
    const release = await tryLock(`wheeltapper-stream-${n}`)
    if (release)
      return () => {
        usedSlots.delete(n)
        release()
      }
    usedSlots.delete(n)
  }
  return undefined
}
