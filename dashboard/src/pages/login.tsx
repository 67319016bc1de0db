// Shown when the API wants to know who is there, or wants a new password first.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useAccess } from '../access'
import { changePassword, justTyped, login, logout, useToken } from '../api/session'

/** A form that says in words what went wrong. */
function Form({
  submit,
  name,
  busyName,
  children,
}: {
  submit: (given: FormData) => Promise<void>
  name: string
  busyName: string
  children: ComponentChildren
}) {
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const place = useRef<HTMLFormElement>(null)
  const send = async (event: SubmitEvent) => {
    event.preventDefault()
    if (busy) return
    setBusy(true)
    setError('')
    try {
      await submit(new FormData(event.currentTarget as HTMLFormElement))
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure))
      place.current?.querySelector<HTMLInputElement>('input:not([readonly])')?.focus()
    } finally {
      setBusy(false)
    }
  }
  return (
    <form ref={place} onSubmit={event => void send(event)} aria-describedby={error ? 'form-error' : undefined}>
      {children}
      {error ? (
        <p class="failure-text" id="form-error" role="alert">
          {error}
        </p>
      ) : null}
      <button type="submit" class="primary" aria-disabled={busy}>
        {busy ? busyName : name}
      </button>
    </form>
  )
}

/** User and password; or a token, where the host knows no users. */
export function LoginPage() {
  const { notice } = useAccess()
  const [by, setBy] = useState<'password' | 'token'>('password')
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => field.current?.focus(), [by])
  const submit = (given: FormData) =>
    by === 'token'
      ? useToken(String(given.get('token')).trim())
      : login(String(given.get('user')).trim(), String(given.get('password')))
  return (
    <div class="login">
      <h1>Sign in</h1>
      <p class={notice ? 'note' : 'faint'} role={notice ? 'status' : undefined}>
        {notice || 'This host wants to know who is there.'}
      </p>
      <Form submit={submit} name="Sign in" busyName="Signing in">
        {by === 'password' ? (
          <>
            <label>
              User
              <input ref={field} name="user" autocomplete="username" autocapitalize="none" spellcheck={false} required />
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
      </Form>
      <p>
        <button type="button" class="quiet" onClick={() => setBy(by === 'token' ? 'password' : 'token')}>
          {by === 'token' ? 'Use user and password' : 'Use a token instead'}
        </button>
      </p>
      <p class="faint">
        The first start of the host printed a password for <code>admin</code>, once. Forgotten? On the host:{' '}
        <code>wheeltapper user --help</code>
      </p>
    </div>
  )
}

/** The fields and the checks of a new password. `onDone` comes when the host has taken it. */
export function PasswordForm({ onDone }: { onDone?: () => void }) {
  const known = justTyped()
  const { me } = useAccess()
  const first = useRef<HTMLInputElement>(null)
  useEffect(() => first.current?.focus(), [])
  const submit = async (given: FormData) => {
    const [before, next, again] = ['before', 'next', 'again'].map(name => String(given.get(name) ?? ''))
    if (next !== again) throw new Error('The two new passwords differ. Type both again.')
    const present = known?.password ?? before!
    if (next === present) throw new Error('The new password is the present one. Choose another.')
    await changePassword(present, next!)
    onDone?.()
  }
  return (
    <Form submit={submit} name="Set the password" busyName="Setting it">
      {/* Password managers want to know whose password it is. */}
      <input
        class="hidden"
        name="user"
        autocomplete="username"
        value={known?.user ?? me?.user ?? ''}
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      {known ? null : (
        <label>
          Present password
          <input ref={first} name="before" type="password" autocomplete="current-password" required />
        </label>
      )}
      <label>
        New password
        <input
          ref={known ? first : null}
          name="next"
          type="password"
          autocomplete="new-password"
          required
          aria-describedby="password-hint"
        />
      </label>
      <label>
        New password, once more
        <input name="again" type="password" autocomplete="new-password" required />
      </label>
      <p class="faint" id="password-hint">
        A few words that only you would put together are better than a short one with odd signs; at least 12 characters.
      </p>
    </Form>
  )
}

/** Shown after a sign-in with a one-time password. */
export function ChangePage() {
  const { me } = useAccess()
  return (
    <div class="login">
      <h1>Choose a password</h1>
      <p class="faint">
        {me?.user ? `You are signed in as ${me.user}. ` : ''}The password you came with holds once. Choose your own to go on.
      </p>
      <PasswordForm />
      <p>
        <button type="button" class="quiet" onClick={logout}>
          Sign in as somebody else
        </button>
      </p>
    </div>
  )
}
