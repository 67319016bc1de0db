// The signed-in user, their permissions and their password.

import { useState } from 'preact/hooks'
import { useAccess } from '../access'
import { signOut } from '../api/session'
import { Empty } from '../components/load-state'
import { PasswordForm } from './login'

const PERMISSIONS: Record<string, string> = {
  read: 'view all data',
  write: 'acknowledge anomalies, comment, order and reschedule repairs',
  delete: 'delete',
  configure: 'manage users, keys and the audit log',
}

/** Account page. */
export function AccountPage() {
  const { me } = useAccess()
  const [message, setMessage] = useState('')
  if (!me || me.method === 'open' || me.method === 'none')
    return (
      <>
        <h1>Your account</h1>
        <Empty title="Sign-in is off">
          <p>
            Access control is off: anyone who can reach this host has full access. Before it listens on a network, set{' '}
            <code>mode = "on"</code> in <code>[access]</code> of its configuration.
          </p>
        </Empty>
      </>
    )
  return (
    <>
      <h1>Your account</h1>
      <dl class="facts card">
        <div>
          <dt>User</dt>
          <dd>{me.user}</dd>
        </div>
        <div>
          <dt>Roles</dt>
          <dd>{me.roles.join(', ') || 'none'}</dd>
        </div>
        <div>
          <dt>Sites</dt>
          <dd>{me.sites === null ? 'all' : me.sites.join(', ') || 'none'}</dd>
        </div>
        <div>
          <dt>Permissions</dt>
          <dd>{me.permissions.map(permission => PERMISSIONS[permission] ?? permission).join('; ') || 'none'}</dd>
        </div>
      </dl>
      <p>
        <button type="button" onClick={signOut}>
          Sign out
        </button>
      </p>
      {me.method === 'password' ? (
        <>
          <h2>Change your password</h2>
          <p role="status" class={message ? '' : 'hidden'}>
            {message}
          </p>
          {message ? null : (
            <div class="login at-left">
              <PasswordForm
                onDone={() => setMessage('Password changed. Your other sessions may have to sign in again.')}
              />
            </div>
          )}
        </>
      ) : (
        <p class="faint">You did not sign in with a password, so there is none to change here.</p>
      )}
    </>
  )
}
