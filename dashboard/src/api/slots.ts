// How many streams may be open. Over HTTP/1.1 a browser opens six connections to a host, for all its tabs together: were all
// of them streams, nothing else could be asked. So there are four places, which tabs share by the browser's locks.

const PLACES = 4
/** HTTP/2 and 3 carry many streams over one connection. */
const MANY = 32

const places = (): number => {
  const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[]
  return /^h[23]/.test(navigation?.nextHopProtocol ?? '') ? MANY : PLACES
}

const taken = new Set<number>()

/** Holds the browser's lock of this name until it is given back; undefined when another tab has it. */
function locked(name: string): Promise<(() => void) | undefined> {
  // Locks are there on https and localhost only; elsewhere each tab counts for itself.
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

/** Takes a place; undefined when there is none. The function gives it back. */
export async function place(): Promise<(() => void) | undefined> {
  for (let n = 0; n < places(); n++) {
    if (taken.has(n)) continue
    taken.add(n)
    const release = await locked(`wheeltapper-stream-${n}`)
    if (release)
      return () => {
        taken.delete(n)
        release()
      }
    taken.delete(n)
  }
  return undefined
}
