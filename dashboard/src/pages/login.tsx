// Shown when the API answers 401.

import { useEffect, useRef, useState } from 'preact/hooks'
import { login, useToken } from '../api/session'

/** User and password; or a token, where the host knows no users. */
export function LoginPage() {
  const [by, setBy] = useState<'password' | 'token'>('password')
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => field.current?.focus(), [by])
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const given = new FormData(event.currentTarget as HTMLFormElement)
    setBusy(true)
    setError('')
    try {
      if (by === 'token') useToken(String(given.get('token')).trim())
      else await login(String(given.get('user')), String(given.get('password')))
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure))
      field.current?.focus()
    } finally {
      setBusy(false)
    }
  }
  return (
    <div class="login">
      <h1>Sign in</h1>
      <p class="faint">This host wants to know who is there.</p>
      <form onSubmit={event => void submit(event)} aria-describedby={error ? 'login-error' : undefined}>
        {by === 'password' ? (
          <>
            <label>
              User
              <input ref={field} name="user" autocomplete="username" required />
            </label>
            <label>
              Password
              <input name="password" type="password" autocomplete="current-password" required />
            </label>
          </>
        ) : (
          <label>
            Token
            <input ref={field} name="token" type="password" autocomplete="off" required />
          </label>
        )}
        {error ? (
          <p class="failure-text" id="login-error" role="alert">
            {error}
          </p>
        ) : null}
        <button type="submit" disabled={busy}>
          {busy ? 'Signing in' : 'Sign in'}
        </button>
      </form>
      <p>
        <button type="button" class="quiet" onClick={() => setBy(by === 'token' ? 'password' : 'token')}>
          {by === 'token' ? 'Use user and password' : 'Use a token instead'}
        </button>
      </p>
      <p class="faint">
        No user yet? On the host: <code>wheeltapper user add NAME</code>
      </p>
    </div>
  )
}
