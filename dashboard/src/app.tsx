// The layout around every page (brand, navigation, host status), and the routing to the pages.

import { useEffect, useRef, useState } from 'preact/hooks'
import { useAccess } from './access'
import { clearCache } from './api/client'
import { onVisibilityChange, signOut, loadUser } from './api/session'
import * as live from './live-events'
import { AccountPage } from './pages/account'
import { AlertsPage } from './pages/alerts'
import { AnomalyPage } from './pages/anomaly'
import { FleetPage } from './pages/fleet'
import { AuditPage } from './pages/audit'
import { KeysPage } from './pages/keys'
import { PasswordPage, LoginPage } from './pages/login'
import { MachinePage } from './pages/machine'
import { QualityPage } from './pages/quality'
import { SchedulePage } from './pages/schedule'
import { UsersPage } from './pages/users'
import { Empty, Skeleton } from './components/load-state'
import { Ago } from './components/time'
import { formatClock, nameOf } from './format'
import { link, parseRoute, type Route } from './router'
import { lastResponseTime, useHostStatus } from './host-status'
import * as scroll from './scroll-restoration'
import { toggleTheme, useDark } from './theme'

const PAGES = [
  { page: 'fleet', title: 'Fleet' },
  { page: 'alerts', title: 'Alerts' },
  { page: 'schedule', title: 'Schedule' },
  { page: 'quality', title: 'Data' },
  { page: 'users', title: 'Access' },
] as const

/** Pages that need the permission `configure`. */
const ADMIN_PAGES = ['users', 'keys', 'audit']

/** The navigation entry that a page belongs to, where it is not its own. */
const PARENT_PAGES: Record<string, string> = { machine: 'fleet', anomaly: 'alerts', keys: 'users', audit: 'users' }

function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash))
  useEffect(() => {
    const listener = () => setRoute(parseRoute(location.hash))
    addEventListener('hashchange', listener)
    return () => removeEventListener('hashchange', listener)
  }, [])
  return route
}

/** Loads the signed-in user, then follows the events of the host. */
function useAppStart(): ReturnType<typeof useAccess> {
  const access = useAccess()
  useEffect(() => {
    void loadUser()
    scroll.start()
    document.addEventListener('visibilitychange', onVisibilityChange)
    return () => document.removeEventListener('visibilitychange', onVisibilityChange)
  }, [])
  const user = access.stage === 'in' ? (access.me?.user ?? '') : undefined
  useEffect(() => {
    if (user === undefined) return clearCache()
    return live.start()
  }, [user])
  return access
}

function NoAccess() {
  return (
    <>
      <h1>No access</h1>
      <Empty title="This page is for administrators">
        <p>It requires the permission configure. Ask an administrator, or sign in as one.</p>
      </Empty>
    </>
  )
}

function Page({ route, canConfigure }: { route: Route; canConfigure: boolean }) {
  if (ADMIN_PAGES.includes(route.page) && !canConfigure) return <NoAccess />
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
          <h1>Page not found</h1>
          <Empty title="There is no page at this address">
            <p>
              <a href={link('fleet')}>Go to the fleet</a>
            </p>
          </Empty>
        </>
      )
  }
}

function HostStatus() {
  const host = useHostStatus()
  const stream = live.useStreamState()
  const state = host === 'live' && stream === 'reconnecting' ? 'reconnecting' : host
  const labels = {
    connecting: 'connecting',
    live: 'live',
    reconnecting: 'reconnecting',
    failing: 'host error',
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
            ? 'Updates arrive live'
            : 'The host is polled every few seconds'
      }
    >
      {labels[state]}
    </span>
  )
}

/**
 * Titles of pages that differ from their navigation entry. Machines and anomalies have their own titles, so that tabs
 * and history entries can be told apart.
 */
const TITLES: Record<string, string> = {
  anomaly: 'Anomaly',
  users: 'Users',
  keys: 'Keys',
  audit: 'Audit log',
  account: 'Your account',
}

function pageTitle(stage: string, { page, id }: Route): string {
  if (stage === 'login') return 'Sign in'
  if (stage === 'change') return 'Choose a password'
  if (page === 'machine') return nameOf(id)
  return TITLES[page] ?? PAGES.find(each => each.page === page)?.title ?? 'Page not found'
}

/**
 * Banner shown while the host does not answer. It spans the full width because the status in the corner is easily
 * missed.
 */
function OutageBanner() {
  const host = useHostStatus()
  const since = lastResponseTime()
  if (host !== 'silent' || since === undefined) return null
  return (
    <p class="outage" role="alert">
      The host has not answered since {formatClock(since, true)} (<Ago at={since} />
      ). The data shown is from then.
    </p>
  )
}

/** The application. */
export function App() {
  const route = useRoute()
  const { stage, me } = useAppStart()
  const signedIn = stage === 'in'
  const canConfigure = me?.permissions.includes('configure') ?? false
  const dark = useDark()
  const main = useRef<HTMLElement>(null)
  const currentEntry = PARENT_PAGES[route.page] ?? route.page
  const isFirstPage = useRef(true)
  useEffect(() => {
    document.title = `${pageTitle(stage, route)} · Wheeltapper`
    // A new page starts at its top, for sighted users and for screen readers. Focus stays where it is on the first
    // page, and on forms, which focus their first field.
    scroll.restore()
    if (isFirstPage.current) isFirstPage.current = false
    else if (stage !== 'login' && stage !== 'change') main.current?.focus({ preventScroll: true })
  }, [route.page, route.id, stage === 'login' || stage === 'change'])
  const skipToContent = (event: Event) => {
    // The hash is used for routing; a real link to #main would change it.
    event.preventDefault()
    main.current?.focus()
  }
  return (
    <>
      <a class="skip" href="#main" onClick={skipToContent}>
        Skip to content
      </a>
      <header class="frame">
        <a class="brand" href={link('fleet')}>
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <circle cx="16" cy="16" r="13" />
            <path d="M3 16h8l2-6 3 13 3-10 1.5 3H29" />
          </svg>
          Wheeltapper
        </a>
        {signedIn ? (
          <nav aria-label="Pages">
            {PAGES.filter(({ page }) => canConfigure || !ADMIN_PAGES.includes(page)).map(({ page, title }) => (
              <a key={page} href={link(page)} aria-current={currentEntry === page ? 'page' : undefined}>
                {title}
              </a>
            ))}
          </nav>
        ) : null}
        <div class="frame-end">
          {signedIn ? <HostStatus /> : null}
          {me && me.method !== 'open' && me.method !== 'none' ? (
            <>
              <a class="account-link" href={link('account')} aria-label={`${me.user}, your account`}>
                {me.user}
              </a>
              <button type="button" class="quiet sign-out" onClick={signOut}>
                Sign out
              </button>
            </>
          ) : null}
          <button
            type="button"
            class="quiet icon"
            onClick={toggleTheme}
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
        {signedIn ? <OutageBanner /> : null}
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {stage === 'login' ? (
          <LoginPage />
        ) : stage === 'change' ? (
          <PasswordPage />
        ) : stage === 'loading' ? (
          <Skeleton label="The page" lines={6} />
        ) : (
          <Page route={route} canConfigure={canConfigure} />
        )}
      </main>
      <footer class="faint">
        Times are in {Intl.DateTimeFormat().resolvedOptions().timeZone}. <a href="/api/docs">API</a>{' '}
        <span id="printed" />
      </footer>
    </>
  )
}
