// API keys of devices and programs.

import { useState } from 'preact/hooks'
import { createKey, type Key, keys, removeKey } from '../api'
import { AccountList, useChange } from '../components/account-list'
import { CheckboxGroup, parseSites, formatSites } from '../components/admin'
import { ConfirmDialog } from '../components/confirm-dialog'
import { Command, Empty } from '../components/load-state'
import { OneTimeSecret } from '../components/one-time-secret'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'

const SCOPES = [
  { value: 'ingest', text: 'send readings' },
  { value: 'read', text: 'view' },
  { value: 'write', text: 'acknowledge, order repairs' },
]

function Row({ of, remove }: { of: Key; remove: () => Promise<unknown> }) {
  const [confirming, setConfirming] = useState(false)
  const isExpired = of.expires !== null && of.expires < Date.now()
  return (
    <li class="account">
      <p class="account-head">
        <b>{of.name}</b> <code class="faint">{of.id}</code>
        {isExpired ? <span class="tag">expired</span> : null}
      </p>
      <p class="meta faint">
        <span>{of.scopes.join(', ')}</span>
        <span>sites: {formatSites(of.sites)}</span>
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
            'does not expire'
          ) : (
            <>
              {isExpired ? 'expired' : 'expires'} <Time at={of.expires} />
            </>
          )}
        </span>
      </p>
      <div class="actions">
        <button type="button" class="danger-text" onClick={() => setConfirming(true)}>
          Remove<span class="hidden"> {of.name}</span>
        </button>
      </div>
      {confirming ? (
        <ConfirmDialog
          title={`Remove the key ${of.name}?`}
          confirmLabel="Remove"
          onCancel={() => setConfirming(false)}
          onConfirm={() => {
            setConfirming(false)
            void remove()
          }}
        >
          <p>Requests with this key are rejected from now on. This cannot be undone.</p>
        </ConfirmDialog>
      ) : null}
    </li>
  )
}

/** Keys page. */
export function KeysPage() {
  const poll = usePoll(signal => keys({ limit: 200 }, signal), 30_000, [])
  const { result, setResult, runChange } = useChange(poll.refresh)
  const [createdKey, setCreatedKey] = useState<{ name: string; key: string }>()
  const add = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const fields = new FormData(form)
    const name = String(fields.get('name')).trim()
    const scopes = fields.getAll('scope').map(String)
    if (scopes.length === 0) return setResult({ text: 'Choose at least one scope.', isError: true })
    const until = String(fields.get('expires'))
    const expires = until ? new Date(`${until}T23:59:59`).getTime() : null
    const ok = await runChange(
      async () =>
        setCreatedKey({ name, key: await createKey(name, scopes, parseSites(String(fields.get('sites'))), expires) }),
      `Key ${name} created.`,
    )
    if (ok) form.reset()
  }
  return (
    <AccountList
      title="Keys"
      page="keys"
      result={result}
      secret={
        createdKey ? (
          <OneTimeSecret name={`Key ${createdKey.name}`} value={createdKey.key} onDone={() => setCreatedKey(undefined)}>
            It is shown only once; the host keeps only its hash. Copy it into the configuration of the device or
            program.
          </OneTimeSecret>
        ) : null
      }
      poll={poll}
      empty={
        <Empty title="No keys yet">
          <p>Devices and webhooks that send readings, and programs that read them, authenticate with a key:</p>
          <Command>{`curl ${location.origin}/api/v1/ingest -H 'Authorization: Bearer wt_…' -H 'Content-Type: application/json' -d '{"sensor_id": "site/hall/pump-01/vibration", "values": 2.4}'`}</Command>
        </Empty>
      }
      renderRow={key => (
        <Row key={key.id} of={key} remove={() => runChange(() => removeKey(key.id), `Key ${key.name} removed.`)} />
      )}
    >
      <h2>Create a key</h2>
      <form class="fields card" onSubmit={event => void add(event)}>
        <label>
          Name
          <input name="name" required autocomplete="off" placeholder="gateway hall 2" />
        </label>
        <CheckboxGroup name="scope" legend="Scopes" options={SCOPES} checked={['ingest']} />
        <label>
          Sites
          <input name="sites" size={34} placeholder="all, or comma-separated names" autocomplete="off" />
        </label>
        <label>
          Expires
          <input name="expires" type="date" />
        </label>
        <button type="submit" class="primary">
          Create
        </button>
      </form>
    </AccountList>
  )
}
