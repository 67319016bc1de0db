// The frame around every page: name, ways to the pages, whether the host answers; and the page itself.

import { useEffect, useRef, useState } from 'preact/hooks'
import { useAccess } from './access'
import { forget } from './api/client'
import { awake, logout, start } from './api/session'
import * as live from './live'
import { AccountPage } from './pages/account'
import { AlertsPage } from './pages/alerts'
import { AnomalyPage } from './pages/anomaly'
import { FleetPage } from './pages/fleet'
import { AuditPage } from './pages/audit'
import { KeysPage } from './pages/keys'
import { ChangePage, LoginPage } from './pages/login'
import { MachinePage } from './pages/machine'
import { QualityPage } from './pages/quality'
import { SchedulePage } from './pages/schedule'
import { UsersPage } from './pages/users'
import { Empty, Skeleton } from './parts/notes'
import { Ago } from './parts/time'
import { atClock, lastPart } from './format'
import { link, parse, type Route } from './router'
import { lastAnswer, useStatus } from './status'
import * as scroll from './scroll'
import { toggle, useDark } from './theme'

const PAGES = [
  { page: 'fleet', title: 'Fleet' },
  { page: 'alerts', title: 'Alerts' },
  { page: 'schedule', title: 'Schedule' },
  { page: 'quality', title: 'Data' },
  { page: 'users', title: 'Access' },
] as const

/** Pages for who may configure. */
const CONFIGURE = ['users', 'keys', 'audit']

/** Which entry of the navigation a page belongs to. */
const HOME: Record<string, string> = { machine: 'fleet', anomaly: 'alerts', keys: 'users', audit: 'users' }

function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash))
  useEffect(() => {
    const listener = () => setRoute(parse(location.hash))
    addEventListener('hashchange', listener)
    return () => removeEventListener('hashchange', listener)
  }, [])
  return route
}

/** Asks who we are, and follows what happens once we are in. */
function useStart(): ReturnType<typeof useAccess> {
  const access = useAccess()
  useEffect(() => {
    void start()
    scroll.start()
    document.addEventListener('visibilitychange', awake)
    return () => document.removeEventListener('visibilitychange', awake)
  }, [])
  const user = access.stage === 'in' ? (access.me?.user ?? '') : undefined
  useEffect(() => {
    if (user === undefined) return forget()
    return live.start()
  }, [user])
  return access
}

function NotYours() {
  return (
    <>
      <h1>Not for you</h1>
      <Empty title="This page is for administrators">
        <p>It needs the permission to configure. Ask an administrator, or sign in as one.</p>
      </Empty>
    </>
  )
}

function Page({ route, configure }: { route: Route; configure: boolean }) {
  if (CONFIGURE.includes(route.page) && !configure) return <NotYours />
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
    case 'users':
      return <UsersPage />
    case 'keys':
      return <KeysPage />
    case 'audit':
      return <AuditPage />
    case 'account':
      return <AccountPage />
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
  const host = useStatus()
  const stream = live.useLive()
  const state = host === 'live' && stream === 'reconnecting' ? 'reconnecting' : host
  const texts = {
    connecting: 'connecting',
    live: 'live',
    reconnecting: 'reconnecting',
    failing: 'host fails',
    silent: 'no answer',
  }
  return (
    <span
      class={`host ${state}`}
      role="status"
      title={
        state !== 'live'
          ? undefined
          : stream === 'live'
            ? 'What happens is shown as it happens'
            : 'The host is asked every few seconds'
      }
    >
      {texts[state]}
    </span>
  )
}

/** Pages whose name is not that of the entry of the navigation. Machines and anomalies are told apart by tabs and in the history. */
const TITLES: Record<string, string> = {
  anomaly: 'Anomaly',
  users: 'Users',
  keys: 'Keys',
  audit: 'Audit log',
  account: 'Your account',
}

function titleOf(stage: string, { page, id }: Route): string {
  if (stage === 'login') return 'Sign in'
  if (stage === 'change') return 'Choose a password'
  if (page === 'machine') return lastPart(id)
  return TITLES[page] ?? PAGES.find(each => each.page === page)?.title ?? 'No such page'
}

/** Nothing of what is shown is new: said over the whole width, as it is easily missed in the corner. */
function Outage() {
  const host = useStatus()
  const since = lastAnswer()
  if (host !== 'silent' || since === undefined) return null
  return (
    <p class="outage" role="alert">
      The host has not answered since {atClock(since, true)} (<Ago at={since} />). What you see is from then.
    </p>
  )
}

/** The whole. */
export function App() {
  const route = useRoute()
  const { stage, me } = useStart()
  const inside = stage === 'in'
  const configure = me?.permissions.includes('configure') ?? false
  const dark = useDark()
  const main = useRef<HTMLElement>(null)
  const home = HOME[route.page] ?? route.page
  const first = useRef(true)
  useEffect(() => {
    document.title = `${titleOf(stage, route)} · Wheeltapper`
    // A new page begins at its top, for the eye and for a screen reader; the focus stays where it is on the first one,
    // and on forms, whose first field takes it.
    scroll.restore()
    if (first.current) first.current = false
    else if (stage !== 'login' && stage !== 'change') main.current?.focus({ preventScroll: true })
  }, [route.page, route.id, stage === 'login' || stage === 'change'])
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
        {inside ? (
          <nav aria-label="Pages">
            {PAGES.filter(({ page }) => configure || !CONFIGURE.includes(page)).map(({ page, title }) => (
              <a key={page} href={link(page)} aria-current={home === page ? 'page' : undefined}>
                {title}
              </a>
            ))}
          </nav>
        ) : null}
        <div class="frame-end">
          {inside ? <Live /> : null}
          {me && me.method !== 'open' && me.method !== 'none' ? (
            <>
              <a class="who" href={link('account')} aria-label={`${me.user}, your account`}>
                {me.user}
              </a>
              <button type="button" class="quiet sign-out" onClick={logout}>
                Sign out
              </button>
            </>
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
        {inside ? <Outage /> : null}
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {stage === 'login' ? (
          <LoginPage />
        ) : stage === 'change' ? (
          <ChangePage />
        ) : stage === 'asking' ? (
          <Skeleton label="The page" lines={6} />
        ) : (
          <Page route={route} configure={configure} />
        )}
      </main>
      <footer class="faint">
        Times are in {Intl.DateTimeFormat().resolvedOptions().timeZone}. <a href="/api/docs">API</a> <span id="printed" />
      </footer>
    </>
  )
}
