// The audit log, and the verification of its hash chain.

import { useState } from 'preact/hooks'
import { audit, type AuditVerification, type AuditEntry, moreAudit, verifyAudit } from '../api'
import { formatCount, plural } from '../format'
import { type AuditFilters, isFailure, matchesFilters } from '../model/audit-filters'
import { AdminTabs } from '../components/admin'
import { errorMessage } from '../components/error-message'
import { Command, Empty, DataView } from '../components/load-state'
import { useOlderPages } from '../components/use-older-pages'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'

const LIMIT = 100

/** Asks the host to verify the whole chain. */
function Verify() {
  const [result, setResult] = useState<AuditVerification | { error: string }>()
  const [busy, setBusy] = useState(false)
  const run = async () => {
    setBusy(true)
    setResult(undefined)
    try {
      setResult(await verifyAudit())
    } catch (failure) {
      setResult({ error: errorMessage(failure) })
    }
    setBusy(false)
  }
  return (
    <div class="actions">
      <button type="button" aria-disabled={busy} onClick={() => (busy ? undefined : void run())}>
        {busy ? 'Verifying' : 'Verify the chain'}
      </button>
      <span role="status">
        {!result ? null : 'error' in result ? (
          <span class="failure-text">{result.error}</span>
        ) : result.ok ? (
          <span class="severity well">The chain is intact: {plural(result.entries, 'entry', 'entries')}.</span>
        ) : (
          <span class="failure-text">
            The chain is broken{result.firstBad ? ` at entry ${result.firstBad.seq}: ${result.firstBad.why}` : ''}. The
            log was changed outside this program: keep a copy of the store and compare it with the last export.
          </span>
        )}
      </span>
    </div>
  )
}

function Table({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Audit log as a table; scrolls horizontally">
      <table>
        <thead>
          <tr>
            <th scope="col">No.</th>
            <th scope="col">Time</th>
            <th scope="col">User</th>
            <th scope="col">Action</th>
            <th scope="col">Target</th>
            <th scope="col">Outcome</th>
            <th scope="col">Address</th>
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
              <td class={isFailure(entry.outcome) ? 'failure-text' : ''}>{entry.outcome}</td>
              <td class="faint">{entry.address || '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Audit log page. */
export function AuditPage() {
  const poll = usePoll(signal => audit({ limit: LIMIT }, signal), 10_000, [])
  const loadedRows = useOlderPages<AuditEntry>(
    entry => entry.seq,
    next => moreAudit({ limit: LIMIT }, next),
  )
  const [filters, setFilters] = useState<AuditFilters>({ actor: '', outcome: '', search: '' })
  const updateFilters = (change: Partial<AuditFilters>) => setFilters({ ...filters, ...change })
  return (
    <>
      <h1>Audit log</h1>
      <AdminTabs current="audit" />
      <p class="faint">
        All sign-ins and changes. Each entry contains a hash of the previous one, so that tampering is detected.
      </p>
      <Verify />
      <DataView of={poll} what="The audit log" lines={6}>
        {page => {
          const { all, hasMore, loadButton } = loadedRows(page)
          all.sort((a, b) => b.seq - a.seq)
          const matching = all.filter(entry => matchesFilters(entry, filters))
          const filterSelect = (name: 'actor' | 'outcome', text: string) => (
            <label>
              {text}
              <select value={filters[name]} onChange={event => updateFilters({ [name]: event.currentTarget.value })}>
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
              <Empty title="The log is empty">
                <p>Sign-ins and changes are recorded here.</p>
              </Empty>
            )
          return (
            <>
              <form class="filters" onSubmit={event => event.preventDefault()} aria-label="Filters">
                {filterSelect('actor', 'User')}
                {filterSelect('outcome', 'Outcome')}
                <label class="grow">
                  Search
                  <input
                    type="search"
                    placeholder="action, target, address"
                    value={filters.search}
                    onInput={event => updateFilters({ search: event.currentTarget.value })}
                  />
                </label>
              </form>
              <p class="faint" role="status">
                {formatCount(matching.length)} of {plural(all.length, 'entry', 'entries')}
                {hasMore ? ' loaded so far' : ''}
              </p>
              {matching.length ? (
                <Table entries={matching} />
              ) : (
                <Empty title="No entry matches these filters">
                  <p>
                    <button
                      type="button"
                      class="quiet"
                      onClick={() => setFilters({ actor: '', outcome: '', search: '' })}
                    >
                      Clear the filters
                    </button>
                  </p>
                </Empty>
              )}
              {loadButton}
              <p>The same check on the host, and an export of the whole log as JSON lines:</p>
              <Command>wheeltapper audit verify</Command>
              <Command>wheeltapper audit export</Command>
            </>
          )
        }}
      </DataView>
    </>
  )
}
