// Who is signed in, what they may do, and their password.

import { useState } from 'preact/hooks'
import { useAccess } from '../access'
import { logout } from '../api/session'
import { Empty } from '../parts/notes'
import { PasswordForm } from './login'

const PERMISSIONS: Record<string, string> = {
  read: 'see everything',
  write: 'acknowledge, remark, order repairs and move them',
  delete: 'delete',
  configure: 'manage users, keys and the audit log',
}

/** The page. */
export function AccountPage() {
  const { me } = useAccess()
  const [said, setSaid] = useState('')
  if (!me || me.method === 'open' || me.method === 'none')
    return (
      <>
        <h1>Your account</h1>
        <Empty title="Nobody has to sign in here">
          <p>
            Access is off: whoever reaches this host may do everything. Before it listens on a network, set{' '}
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
          <dt>You may</dt>
          <dd>{me.permissions.map(permission => PERMISSIONS[permission] ?? permission).join('; ') || 'nothing'}</dd>
        </div>
      </dl>
      <p>
        <button type="button" onClick={logout}>
          Sign out
        </button>
      </p>
      {me.method === 'password' ? (
        <>
          <h2>Change your password</h2>
          <p role="status" class={said ? '' : 'hidden'}>
            {said}
          </p>
          {said ? null : (
            <div class="login at-left">
              <PasswordForm
                onDone={() => setSaid('Your password is changed. Other sign-ins of yours may have to sign in again.')}
              />
            </div>
          )}
        </>
      ) : (
        <p class="faint">Your password is kept where you signed in, not here.</p>
      )}
    </>
  )
}
