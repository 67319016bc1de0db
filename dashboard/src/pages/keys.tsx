// Keys of devices and programs.

import { useState } from 'preact/hooks'
import { addKey, type Key, keys, removeKey } from '../api'
import { Accounts, useAttempts } from '../parts/accounts'
import { Checks, sitesOf, sitesText } from '../parts/admin'
import { Confirm } from '../parts/dialog'
import { Command, Empty } from '../parts/notes'
import { Secret } from '../parts/secret'
import { Time } from '../parts/time'
import { usePoll } from '../poll'

const SCOPES = [
  { value: 'ingest', text: 'sends readings' },
  { value: 'read', text: 'sees' },
  { value: 'write', text: 'acknowledges, orders repairs' },
]

function Row({ of, remove }: { of: Key; remove: () => Promise<unknown> }) {
  const [sure, setSure] = useState(false)
  const over = of.expires !== null && of.expires < Date.now()
  return (
    <li class="account">
      <p class="account-head">
        <b>{of.name}</b> <code class="faint">{of.id}</code>
        {over ? <span class="tag">expired</span> : null}
      </p>
      <p class="meta faint">
        <span>{of.scopes.join(', ')}</span>
        <span>sites: {sitesText(of.sites)}</span>
        <span>
          {of.lastUsed === null ? (
            'never used'
          ) : (
            <>
              last used <Time at={of.lastUsed} />
            </>
          )}
        </span>
        <span>
          {of.expires === null ? (
            'holds for ever'
          ) : (
            <>
              {over ? 'held' : 'holds'} until <Time at={of.expires} />
            </>
          )}
        </span>
      </p>
      <div class="actions">
        <button type="button" class="danger-text" onClick={() => setSure(true)}>
          Remove<span class="hidden"> {of.name}</span>
        </button>
      </div>
      {sure ? (
        <Confirm
          title={`Remove the key ${of.name}?`}
          yes="Remove"
          onNo={() => setSure(false)}
          onYes={() => {
            setSure(false)
            void remove()
          }}
        >
          <p>What uses it is refused from now on. It cannot be brought back.</p>
        </Confirm>
      ) : null}
    </li>
  )
}

/** The page. */
export function KeysPage() {
  const asked = usePoll(signal => keys({ limit: 200 }, signal), 30_000, [])
  const { said, setSaid, attempt } = useAttempts(asked.again)
  const [told, setTold] = useState<{ name: string; key: string }>()
  const add = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const given = new FormData(form)
    const name = String(given.get('name')).trim()
    const scopes = given.getAll('scope').map(String)
    if (scopes.length === 0) return setSaid({ text: 'Choose what the key is for.', bad: true })
    const until = String(given.get('expires'))
    const expires = until ? new Date(`${until}T23:59:59`).getTime() : null
    const ok = await attempt(
      async () => setTold({ name, key: await addKey(name, scopes, sitesOf(String(given.get('sites'))), expires) }),
      `The key ${name} is made.`,
    )
    if (ok) form.reset()
  }
  return (
    <Accounts
      title="Keys"
      page="keys"
      said={said}
      secret={
        told ? (
          <Secret name={`The key ${told.name}`} value={told.key} onDone={() => setTold(undefined)}>
            It is shown once; only a hash of it is kept. Put it where the device or the program reads it.
          </Secret>
        ) : null
      }
      asked={asked}
      none={
        <Empty title="No keys yet">
          <p>A device or a webhook that sends readings, or a program that reads them, signs in with a key:</p>
          <Command>{`curl ${location.origin}/api/v1/ingest -H 'Authorization: Bearer wt_…' -H 'Content-Type: application/json' -d '{"sensor_id": "site/hall/pump-01/vibration", "values": 2.4}'`}</Command>
        </Empty>
      }
      row={key => <Row key={key.id} of={key} remove={() => attempt(() => removeKey(key.id), `The key ${key.name} is removed.`)} />}
    >
      <h2>Make a key</h2>
      <form class="fields card" onSubmit={event => void add(event)}>
        <label>
          Name
          <input name="name" required autocomplete="off" placeholder="gateway hall 2" />
        </label>
        <Checks name="scope" legend="For" of={SCOPES} chosen={['ingest']} />
        <label>
          Sites
          <input name="sites" size={34} placeholder="all; or names with commas between" autocomplete="off" />
        </label>
        <label>
          Holds until
          <input name="expires" type="date" />
        </label>
        <button type="submit" class="primary">
          Make it
        </button>
      </form>
    </Accounts>
  )
}
