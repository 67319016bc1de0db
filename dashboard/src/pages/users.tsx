// Who may sign in, and what they may do.

import { useState } from 'preact/hooks'
import { useAccess } from '../access'
import { addUser, changeUser, removeUser, type User, type UserChange, users } from '../api'
import { Accounts, useAttempts } from '../parts/accounts'
import { Checks, sitesOf, sitesText } from '../parts/admin'
import { Confirm } from '../parts/dialog'
import { Empty } from '../parts/notes'
import { Secret } from '../parts/secret'
import { Time } from '../parts/time'
import { usePoll } from '../poll'

const ROLES = [
  { value: 'viewer', text: 'sees' },
  { value: 'operator', text: 'sees, acknowledges, orders repairs' },
  { value: 'engineer', text: 'as operator, and may delete' },
  { value: 'admin', text: 'everything, users too' },
]

/** A user's password that the host told once. */
interface Told {
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
      <Checks name="role" legend="Roles" of={ROLES} chosen={of?.roles ?? ['viewer']} />
      <label>
        Sites
        <input
          name="sites"
          defaultValue={of?.sites?.join(', ') ?? ''}
          size={34}
          placeholder="all; or names with commas between"
          autocomplete="off"
        />
      </label>
    </>
  )
}

const rolesOf = (given: FormData): string[] => given.getAll('role').map(String)

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
  const [sure, setSure] = useState<'remove' | 'reset' | 'disable'>()
  const save = async (event: SubmitEvent) => {
    event.preventDefault()
    const given = new FormData(event.currentTarget as HTMLFormElement)
    const next = { roles: rolesOf(given), sites: sitesOf(String(given.get('sites'))) }
    if (await change(next, `${user.user} is changed.`)) setEdit(false)
  }
  const yes = () => {
    setSure(undefined)
    if (sure === 'remove') void remove()
    else if (sure === 'reset') void change({ reset_password: true }, `${user.user} has a new password.`)
    else void change({ disabled: true }, `${user.user} cannot sign in any more.`)
  }
  return (
    <li class="account">
      <p class="account-head">
        <b>{user.user}</b>
        {me ? <span class="tag">you</span> : null}
        {user.disabled ? <span class="tag">disabled</span> : null}
        {user.mustChange ? <span class="tag">has to choose a password</span> : null}
      </p>
      <p class="meta faint">
        <span>{user.roles.join(', ') || 'no role'}</span>
        <span>sites: {sitesText(user.sites)}</span>
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
        <button type="button" onClick={() => setSure('reset')}>
          Reset password<span class="hidden"> of {user.user}</span>
        </button>
        <button
          type="button"
          onClick={() =>
            user.disabled ? void change({ disabled: false }, `${user.user} may sign in again.`) : setSure('disable')
          }
        >
          {user.disabled ? 'Enable' : 'Disable'}
          <span class="hidden"> {user.user}</span>
        </button>
        <button type="button" class="danger-text" onClick={() => setSure('remove')}>
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
      {sure ? (
        <Confirm
          title={
            sure === 'remove'
              ? `Remove ${user.user}?`
              : sure === 'reset'
                ? `Reset the password of ${user.user}?`
                : `Disable ${user.user}?`
          }
          yes={sure === 'remove' ? 'Remove' : sure === 'reset' ? 'Reset' : 'Disable'}
          onYes={yes}
          onNo={() => setSure(undefined)}
        >
          <p>
            {sure === 'remove'
              ? 'They are signed out and cannot sign in again. What they did stays in the audit log.'
              : sure === 'reset'
                ? 'They are signed out, and get a new password that holds once. It is shown here, once.'
                : 'They are signed out and cannot sign in until they are enabled again.'}
          </p>
        </Confirm>
      ) : null}
    </li>
  )
}

/** The page. */
export function UsersPage() {
  const { me } = useAccess()
  const asked = usePoll(signal => users({ limit: 200 }, signal), 30_000, [])
  const { said, attempt } = useAttempts(asked.again)
  const [told, setTold] = useState<Told>()
  const add = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const given = new FormData(form)
    const user = String(given.get('user')).trim()
    const ok = await attempt(
      async () => setTold({ user, password: await addUser(user, rolesOf(given), sitesOf(String(given.get('sites')))) }),
      `${user} is added.`,
    )
    if (ok) form.reset()
  }
  return (
    <Accounts
      title="Users"
      page="users"
      said={said}
      secret={
        told ? (
          <Secret name={`One-time password of ${told.user}`} value={told.password} onDone={() => setTold(undefined)}>
            It is shown once, and holds for one sign-in: give it to them, and they choose their own.
          </Secret>
        ) : null
      }
      asked={asked}
      none={
        <Empty title="No users yet">
          <p>Add one below.</p>
        </Empty>
      }
      row={user => (
        <Row
          key={user.user}
          user={user}
          me={user.user === me?.user}
          change={(change, success) =>
            attempt(async () => {
              const password = await changeUser(user.user, change)
              if (password) setTold({ user: user.user, password })
            }, success)
          }
          remove={() => attempt(() => removeUser(user.user), `${user.user} is removed.`)}
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
    </Accounts>
  )
}
