// Routes are in the URL's hash: `#/machine/rotterdam%2Fhall-1%2Fpump-01?range=60` has the page `machine`, an id and a
// query.

/** A parsed route. */
export interface Route {
  page: string
  id: string
  query: URLSearchParams
}

/** Parses `location.hash`. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const slash = path.indexOf('/')
  const page = slash < 0 ? path : path.slice(0, slash)
  return {
    page: page || 'fleet',
    id: slash < 0 ? '' : decodeOrKeep(path.slice(slash + 1)),
    query: new URLSearchParams(query),
  }
}

// A URL typed by hand may contain a lone percent sign.
function decodeOrKeep(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The hash of a page. Empty query parameters are left out. */
export function link(page: string, id = '', query: Record<string, string> = {}): string {
  const params = Object.entries(query).filter(([, value]) => value !== '')
  const search = params.length ? `?${new URLSearchParams(params)}` : ''
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ''}${search}`
}

/** Replaces the query of the current URL without a new history entry. */
export function setQuery(query: Record<string, string>): void {
  const { page, id } = parseRoute(location.hash)
  history.replaceState(history.state, '', link(page, id, query))
  window.dispatchEvent(new HashChangeEvent('hashchange'))
}
