// User accounts and their roles.

import { useState } from 'preact/hooks'
import { useAccess } from '../access'
import { createUser, changeUser, removeUser, type User, type UserChange, users } from '../api'
import { AccountList, useChange } from '../components/account-list'
import { CheckboxGroup, parseSites, formatSites } from '../components/admin'
import { ConfirmDialog } from '../components/confirm-dialog'
import { Empty } from '../components/load-state'
import { OneTimeSecret } from '../components/one-time-secret'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'

const ROLES = [
  { value: 'viewer', text: 'view' },
  { value: 'operator', text: 'view, acknowledge, order repairs' },
  { value: 'engineer', text: 'as operator, and delete' },
  { value: 'admin', text: 'everything, including users' },
]

/** A one-time password that the host returned. */
interface OneTimePassword {
  user: string
  password: string
}

function Fields({ of }: { of?: User }) {
  return (
    <>
      {of ? null : (
        <label>
          Name
          <input name="user" required autocomplete="off" autocapitalize="none" spellcheck={false} />
        </label>
      )}
      <CheckboxGroup name="role" legend="Roles" options={ROLES} checked={of?.roles ?? ['viewer']} />
      <label>
        Sites
        <input
          name="sites"
          defaultValue={of?.sites?.join(', ') ?? ''}
          size={34}
          placeholder="all, or comma-separated names"
          autocomplete="off"
        />
      </label>
    </>
  )
}

const selectedRoles = (fields: FormData): string[] => fields.getAll('role').map(String)

function Row({
  user,
  me,
  change,
  remove,
}: {
  user: User
  me: boolean
  change: (change: UserChange, success: string) => Promise<boolean>
  remove: () => Promise<boolean>
}) {
  const [edit, setEdit] = useState(false)
  const [confirming, setConfirming] = useState<'remove' | 'reset' | 'disable'>()
  const save = async (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    const next = { roles: selectedRoles(fields), sites: parseSites(String(fields.get('sites'))) }
    if (await change(next, `${user.user} is updated.`)) setEdit(false)
  }
  const confirm = () => {
    setConfirming(undefined)
    if (confirming === 'remove') void remove()
    else if (confirming === 'reset') void change({ reset_password: true }, `${user.user} has a new password.`)
    else void change({ disabled: true }, `${user.user} is disabled.`)
  }
  return (
    <li class="account">
      <p class="account-head">
        <b>{user.user}</b>
        {me ? <span class="tag">you</span> : null}
        {user.disabled ? <span class="tag">disabled</span> : null}
        {user.mustChangePassword ? <span class="tag">must change password</span> : null}
      </p>
      <p class="meta faint">
        <span>{user.roles.join(', ') || 'no role'}</span>
        <span>sites: {formatSites(user.sites)}</span>
        <span>
          {user.lastLogin === null ? (
            'never signed in'
          ) : (
            <>
              last sign-in <Time at={user.lastLogin} />
            </>
          )}
        </span>
      </p>
      <div class="actions">
        <button type="button" aria-expanded={edit} onClick={() => setEdit(!edit)}>
          Change<span class="hidden"> {user.user}</span>
        </button>
        <button type="button" onClick={() => setConfirming('reset')}>
          Reset password<span class="hidden"> of {user.user}</span>
        </button>
        <button
          type="button"
          onClick={() =>
            user.disabled ? void change({ disabled: false }, `${user.user} is enabled.`) : setConfirming('disable')
          }
        >
          {user.disabled ? 'Enable' : 'Disable'}
          <span class="hidden"> {user.user}</span>
        </button>
        <button type="button" class="danger-text" onClick={() => setConfirming('remove')}>
          Remove<span class="hidden"> {user.user}</span>
        </button>
      </div>
      {edit ? (
        <form class="fields" onSubmit={event => void save(event)}>
          <Fields of={user} />
          <button type="submit" class="primary">
            Save
          </button>
        </form>
      ) : null}
      {confirming ? (
        <ConfirmDialog
          title={
            confirming === 'remove'
              ? `Remove ${user.user}?`
              : confirming === 'reset'
                ? `Reset the password of ${user.user}?`
                : `Disable ${user.user}?`
          }
          confirmLabel={confirming === 'remove' ? 'Remove' : confirming === 'reset' ? 'Reset' : 'Disable'}
          onConfirm={confirm}
          onCancel={() => setConfirming(undefined)}
        >
          <p>
            {confirming === 'remove'
              ? 'The user is signed out and cannot sign in again. Their actions stay in the audit log.'
              : confirming === 'reset'
                ? 'The user is signed out and gets a new one-time password, which is shown here once.'
                : 'The user is signed out and cannot sign in until enabled again.'}
          </p>
        </ConfirmDialog>
      ) : null}
    </li>
  )
}

/** Users page. */
export function UsersPage() {
  const { me } = useAccess()
  const poll = usePoll(signal => users({ limit: 200 }, signal), 30_000, [])
  const { result, runChange } = useChange(poll.refresh)
  const [newPassword, setNewPassword] = useState<OneTimePassword>()
  const add = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const fields = new FormData(form)
    const user = String(fields.get('user')).trim()
    const ok = await runChange(
      async () =>
        setNewPassword({
          user,
          password: await createUser(user, selectedRoles(fields), parseSites(String(fields.get('sites')))),
        }),
      `${user} is added.`,
    )
    if (ok) form.reset()
  }
  return (
    <AccountList
      title="Users"
      page="users"
      result={result}
      secret={
        newPassword ? (
          <OneTimeSecret
            name={`One-time password of ${newPassword.user}`}
            value={newPassword.password}
            onDone={() => setNewPassword(undefined)}
          >
            It is shown only once and is valid for one sign-in. Give it to the user, who then sets a new password.
          </OneTimeSecret>
        ) : null
      }
      poll={poll}
      empty={
        <Empty title="No users yet">
          <p>Add one below.</p>
        </Empty>
      }
      renderRow={user => (
        <Row
          key={user.user}
          user={user}
          me={user.user === me?.user}
          change={(change, success) =>
            runChange(async () => {
              const password = await changeUser(user.user, change)
              if (password) setNewPassword({ user: user.user, password })
            }, success)
          }
          remove={() => runChange(() => removeUser(user.user), `${user.user} is removed.`)}
        />
      )}
    >
      <h2>Add a user</h2>
      <form class="fields card" onSubmit={event => void add(event)}>
        <Fields />
        <button type="submit" class="primary">
          Add
        </button>
      </form>
    </AccountList>
  )
}
