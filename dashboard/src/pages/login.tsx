// Shown when the API requires a sign-in or a new password.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useAccess } from '../access'
import { changePassword, lastCredentials, signIn, signOut, signInWithToken } from '../api/session'

/** A form that shows its error message. */
function Form({
  submit,
  name,
  busyLabel,
  children,
}: {
  submit: (fields: FormData) => Promise<void>
  name: string
  busyLabel: string
  children: ComponentChildren
}) {
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const form = useRef<HTMLFormElement>(null)
  const send = async (event: SubmitEvent) => {
    event.preventDefault()
    if (busy) return
    setBusy(true)
    setError('')
    try {
      await submit(new FormData(event.currentTarget as HTMLFormElement))
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure))
      form.current?.querySelector<HTMLInputElement>('input:not([readonly])')?.focus()
    } finally {
      setBusy(false)
    }
  }
  return (
    <form ref={form} onSubmit={event => void send(event)} aria-describedby={error ? 'form-error' : undefined}>
      {children}
      {error ? (
        <p class="failure-text" id="form-error" role="alert">
          {error}
        </p>
      ) : null}
      <button type="submit" class="primary" aria-disabled={busy}>
        {busy ? busyLabel : name}
      </button>
    </form>
  )
}

/** Form for user and password, or for a token if the host has no users. */
export function LoginPage() {
  const { notice } = useAccess()
  const [method, setMethod] = useState<'password' | 'token'>('password')
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => field.current?.focus(), [method])
  const submit = (fields: FormData) =>
    method === 'token'
      ? signInWithToken(String(fields.get('token')).trim())
      : signIn(String(fields.get('user')).trim(), String(fields.get('password')))
  return (
    <div class="login">
      <h1>Sign in</h1>
      <p class={notice ? 'note' : 'faint'} role={notice ? 'status' : undefined}>
        {notice || 'Please sign in.'}
      </p>
      <Form submit={submit} name="Sign in" busyLabel="Signing in">
        {method === 'password' ? (
          <>
            <label>
              User
              <input
                ref={field}
                name="user"
                autocomplete="username"
                autocapitalize="none"
                spellcheck={false}
                required
              />
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
        <button type="button" class="quiet" onClick={() => setMethod(method === 'token' ? 'password' : 'token')}>
          {method === 'token' ? 'Use user and password' : 'Use a token instead'}
        </button>
      </p>
      <p class="faint">
        The first start of the host printed a one-time password for <code>admin</code>. Forgot it? On the host, run:{' '}
        <code>wheeltapper user --help</code>
      </p>
    </div>
  )
}

/** Fields and checks of a new password. `onDone` is called when the host has accepted it. */
export function PasswordForm({ onDone }: { onDone?: () => void }) {
  const credentials = lastCredentials()
  const { me } = useAccess()
  const firstField = useRef<HTMLInputElement>(null)
  useEffect(() => firstField.current?.focus(), [])
  const submit = async (fields: FormData) => {
    const [oldPassword, newPassword, repeated] = ['before', 'next', 'again'].map(name => String(fields.get(name) ?? ''))
    if (newPassword !== repeated) throw new Error('The two new passwords differ. Type both again.')
    const currentPassword = credentials?.password ?? oldPassword!
    if (newPassword === currentPassword)
      throw new Error('The new password is the same as the current one. Choose another one.')
    await changePassword(currentPassword, newPassword!)
    onDone?.()
  }
  return (
    <Form submit={submit} name="Set password" busyLabel="Setting password">
      {/* Password managers need to know the user of the password. */}
      <input
        class="hidden"
        name="user"
        autocomplete="username"
        value={credentials?.user ?? me?.user ?? ''}
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      {credentials ? null : (
        <label>
          Current password
          <input ref={firstField} name="before" type="password" autocomplete="current-password" required />
        </label>
      )}
      <label>
        New password
        <input
          ref={credentials ? firstField : null}
          name="next"
          type="password"
          autocomplete="new-password"
          required
          aria-describedby="password-hint"
        />
      </label>
      <label>
        Repeat new password
        <input name="again" type="password" autocomplete="new-password" required />
      </label>
      <p class="faint" id="password-hint">
        Use several random words, at least 12 characters.
      </p>
    </Form>
  )
}

/** Shown after a sign-in with a one-time password. */
export function PasswordPage() {
  const { me } = useAccess()
  return (
    <div class="login">
      <h1>Choose a password</h1>
      <p class="faint">
        {me?.user ? `You are signed in as ${me.user}. ` : ''}Your one-time password is used up; set a new one.
      </p>
      <PasswordForm />
      <p>
        <button type="button" class="quiet" onClick={signOut}>
          Sign in as another user
        </button>
      </p>
    </div>
  )
}
