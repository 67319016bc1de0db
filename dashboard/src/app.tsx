// The frame around every page: name, ways to the pages, whether the host answers; and the page itself.

import { useEffect, useRef, useState } from 'preact/hooks'
import { loginWanted, logout, onChange, token } from './api/session'

import { AlertsPage } from './pages/alerts'
import { AnomalyPage } from './pages/anomaly'
import { FleetPage } from './pages/fleet'
import { LoginPage } from './pages/login'
import { MachinePage } from './pages/machine'
import { QualityPage } from './pages/quality'
import { SchedulePage } from './pages/schedule'
import { Empty } from './parts/notes'
import { Ago } from './parts/time'
import { link, parse, type Route } from './router'
import { lastAnswer, useStatus } from './status'
import { toggle, useDark } from './theme'

const PAGES = [
  { page: 'fleet', title: 'Fleet' },
  { page: 'alerts', title: 'Alerts' },
  { page: 'schedule', title: 'Schedule' },
  { page: 'quality', title: 'Data' },
] as const

/** Which entry of the navigation a page belongs to. */
const HOME: Record<string, string> = { machine: 'fleet', anomaly: 'alerts' }

function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash))
  useEffect(() => {
    const listener = () => setRoute(parse(location.hash))
    addEventListener('hashchange', listener)
    return () => removeEventListener('hashchange', listener)
  }, [])
  return route
}

function useLogin(): { wanted: boolean; signedIn: boolean } {
  const read = () => ({ wanted: loginWanted(), signedIn: token() !== null })
  const [state, setState] = useState(read)
  useEffect(() => onChange(() => setState(read())), [])
  return state
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'fleet':
      return <FleetPage query={route.query} />
    case 'machine':
      return <MachinePage key={route.id} id={route.id} query={route.query} />
    case 'anomaly':
      return <AnomalyPage key={route.id} id={route.id} />
    case 'alerts':
      return <AlertsPage query={route.query} />
    case 'schedule':
      return <SchedulePage query={route.query} />
    case 'quality':
      return <QualityPage query={route.query} />
    default:
      return (
        <>
          <h1>No such page</h1>
          <Empty title="This address leads nowhere">
            <p>
              <a href={link('fleet')}>Go to the fleet</a>
            </p>
          </Empty>
        </>
      )
  }
}

function Live() {
  const state = useStatus()
  const since = lastAnswer()
  const texts = {
    connecting: 'connecting',
    live: 'live',
    failing: 'host fails',
    silent: since ? (
      <>
        no answer, last <Ago at={since} />
      </>
    ) : (
      'no answer'
    ),
  }
  return (
    <span class={`host ${state}`} role="status">
      {texts[state]}
    </span>
  )
}

/** The whole. */
export function App() {
  const route = useRoute()
  const login = useLogin()
  const dark = useDark()
  const main = useRef<HTMLElement>(null)
  const home = HOME[route.page] ?? route.page
  const first = useRef(true)
  useEffect(() => {
    document.title = `${login.wanted ? 'Sign in' : (PAGES.find(({ page }) => page === home)?.title ?? 'No such page')} · Wheeltapper`
    // A new page begins at its top, for the eye and for a screen reader; not so the first one, which the browser placed.
    if (first.current) first.current = false
    else {
      scrollTo(0, 0)
      main.current?.focus({ preventScroll: true })
    }
  }, [route.page, route.id, login.wanted])
  const skip = (event: Event) => {
    // The address is the page's own; a real link to #main would change it.
    event.preventDefault()
    main.current?.focus()
  }
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="frame">
        <a class="brand" href={link('fleet')}>
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <circle cx="16" cy="16" r="13" />
            <path d="M3 16h8l2-6 3 13 3-10 1.5 3H29" />
          </svg>
          Wheeltapper
        </a>
        {login.wanted ? null : (
          <nav aria-label="Pages">
            {PAGES.map(({ page, title }) => (
              <a key={page} href={link(page)} aria-current={home === page ? 'page' : undefined}>
                {title}
              </a>
            ))}
          </nav>
        )}
        <div class="frame-end">
          <Live />
          {login.signedIn ? (
            <button type="button" class="quiet" onClick={logout}>
              Sign out
            </button>
          ) : null}
          <button
            type="button"
            class="quiet icon"
            onClick={toggle}
            aria-label={dark ? 'Use light colours' : 'Use dark colours'}
            title={dark ? 'Light' : 'Dark'}
          >
            <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
              {dark ? (
                <path d="M10 3v1.6m0 10.8V17M3 10h1.6m10.8 0H17M5 5l1.2 1.2m7.6 7.6L15 15M5 15l1.2-1.2m7.6-7.6L15 5M10 7a3 3 0 1 0 .01 0Z" />
              ) : (
                <path d="M16.5 12A7 7 0 0 1 8 3.5 7 7 0 1 0 16.5 12Z" />
              )}
            </svg>
          </button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {login.wanted ? <LoginPage /> : <Page route={route} />}
      </main>
      <footer class="faint">Times are in {Intl.DateTimeFormat().resolvedOptions().timeZone}.</footer>
    </>
  )
}
