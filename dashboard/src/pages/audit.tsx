// Who did what, and whether the log of it is whole.

import { useState } from 'preact/hooks'
import { audit, type Audited, type AuditEntry, moreAudit, verifyAudit } from '../api'
import { count, counted } from '../format'
import { type AuditFilters, isBad, passes } from '../model/audit'
import { AdminTabs } from '../parts/admin'
import { why } from '../parts/failed'
import { Command, Empty, Shown } from '../parts/notes'
import { useOlder } from '../parts/older'
import { Time } from '../parts/time'
import { usePoll } from '../poll'

const LIMIT = 100

/** Asks the host to go through the whole chain. */
function Verify() {
  const [result, setResult] = useState<Audited | { error: string }>()
  const [busy, setBusy] = useState(false)
  const run = async () => {
    setBusy(true)
    setResult(undefined)
    try {
      setResult(await verifyAudit())
    } catch (failure) {
      setResult({ error: why(failure) })
    }
    setBusy(false)
  }
  return (
    <div class="actions">
      <button type="button" aria-disabled={busy} onClick={() => (busy ? undefined : void run())}>
        {busy ? 'Going through it' : 'Verify the chain'}
      </button>
      <span role="status">
        {!result ? null : 'error' in result ? (
          <span class="failure-text">{result.error}</span>
        ) : result.ok ? (
          <span class="severity well">The chain is whole: {counted(result.entries, 'entry', 'entries')}.</span>
        ) : (
          <span class="failure-text">
            The chain is broken{result.firstBad ? ` at entry ${result.firstBad.seq}: ${result.firstBad.why}` : ''}. Somebody
            changed the log outside of this program: keep a copy of the store and compare it with the last export.
          </span>
        )}
      </span>
    </div>
  )
}

function Table({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Audit log as a table; scrolls sideways">
      <table>
        <thead>
          <tr>
            <th scope="col">No.</th>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">On what</th>
            <th scope="col">Outcome</th>
            <th scope="col">From</th>
          </tr>
        </thead>
        <tbody>
          {entries.map(entry => (
            <tr key={entry.seq}>
              <td class="faint">{entry.seq}</td>
              <td class="nowrap">
                <Time at={entry.time} />
              </td>
              <td>{entry.actor || '–'}</td>
              <td>{entry.action}</td>
              <td class="breaks">{entry.target || '–'}</td>
              <td class={isBad(entry.outcome) ? 'failure-text' : ''}>{entry.outcome}</td>
              <td class="faint">{entry.address || '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** The page. */
export function AuditPage() {
  const asked = usePoll(signal => audit({ limit: LIMIT }, signal), 10_000, [])
  const loaded = useOlder<AuditEntry>(
    entry => entry.seq,
    next => moreAudit({ limit: LIMIT }, next),
  )
  const [filters, setFilters] = useState<AuditFilters>({ actor: '', outcome: '', search: '' })
  const set = (change: Partial<AuditFilters>) => setFilters({ ...filters, ...change })
  return (
    <>
      <h1>Audit log</h1>
      <AdminTabs at="audit" />
      <p class="faint">
        Every sign-in and every change. Each entry carries a hash of the one before, so that none can be changed unseen.
      </p>
      <Verify />
      <Shown of={asked} what="The audit log" lines={6}>
        {page => {
          const { all, more, button } = loaded(page)
          all.sort((a, b) => b.seq - a.seq)
          const found = all.filter(entry => passes(entry, filters))
          const choice = (name: 'actor' | 'outcome', text: string) => (
            <label>
              {text}
              <select value={filters[name]} onChange={event => set({ [name]: event.currentTarget.value })}>
                <option value="">Any</option>
                {[...new Set(all.map(entry => entry[name]))].sort().map(value => (
                  <option key={value} value={value}>
                    {value || '–'}
                  </option>
                ))}
              </select>
            </label>
          )
          if (all.length === 0)
            return (
              <Empty title="Nothing is in the log yet">
                <p>Sign-ins and changes are written here as they happen.</p>
              </Empty>
            )
          return (
            <>
              <form class="filters" onSubmit={event => event.preventDefault()} aria-label="Filters">
                {choice('actor', 'Who')}
                {choice('outcome', 'Outcome')}
                <label class="grow">
                  Search
                  <input
                    type="search"
                    placeholder="action, target, address"
                    value={filters.search}
                    onInput={event => set({ search: event.currentTarget.value })}
                  />
                </label>
              </form>
              <p class="faint" role="status">
                {count(found.length)} of {counted(all.length, 'entry', 'entries')}
                {more ? ' loaded so far' : ''}
              </p>
              {found.length ? (
                <Table entries={found} />
              ) : (
                <Empty title="No entry passes these filters">
                  <p>
                    <button type="button" class="quiet" onClick={() => setFilters({ actor: '', outcome: '', search: '' })}>
                      Clear the filters
                    </button>
                  </p>
                </Empty>
              )}
              {button}
              <p>The same on the host, and the whole log as JSON lines for another system:</p>
              <Command>wheeltapper audit verify</Command>
              <Command>wheeltapper audit export</Command>
            </>
          )
        }}
      </Shown>
    </>
  )
}
