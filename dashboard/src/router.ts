// The page's own addresses: what stands after `#`. `#/machine/rotterdam%2Fhall-1%2Fpump-01?range=60` has the path
// `machine`, the id, and a query.

/** An address taken apart. */
export interface Route {
  page: string
  id: string
  query: URLSearchParams
}

/** Takes `location.hash` apart. */
export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const slash = path.indexOf('/')
  const page = slash < 0 ? path : path.slice(0, slash)
  return { page: page || 'fleet', id: slash < 0 ? '' : decoded(path.slice(slash + 1)), query: new URLSearchParams(query) }
}

// A hand-typed address may hold a lone per cent sign.
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The address of a page. Parameters that are empty are left out. */
export function link(page: string, id = '', query: Record<string, string> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== '')
  const tail = given.length ? `?${new URLSearchParams(given)}` : ''
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ''}${tail}`
}

/** Replaces the query of the present address without a new entry in the history. */
export function setQuery(query: Record<string, string>): void {
  const { page, id } = parse(location.hash)
  history.replaceState(history.state, '', link(page, id, query))
  window.dispatchEvent(new HashChangeEvent('hashchange'))
}
