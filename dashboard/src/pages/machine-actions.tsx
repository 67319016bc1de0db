// The reset of a machine's baseline, and the actions of users on the machine.

import { useState } from 'preact/hooks'
import { usePermission } from '../access'
import { type Action, RESET_REASONS, type ResetReason, resetBaseline } from '../api'
import { ConfirmDialog } from '../components/confirm-dialog'
import { errorMessage } from '../components/error-message'
import { Time } from '../components/time'
import { nameOf } from '../format'
import { actionName, resetReasonName } from '../messages'
import { describeAction } from '../model/actions'

/** Dialog that asks for the reason. It stays open until the host has accepted the reset, or the user cancels. */
function ResetDialog({ id, onReset, onCancel }: { id: string; onReset: () => void; onCancel: () => void }) {
  const [reason, setReason] = useState<ResetReason>('repaired')
  const [comment, setComment] = useState('')
  const [isSending, setSending] = useState(false)
  const [error, setError] = useState('')
  const reset = async () => {
    if (isSending) return
    setSending(true)
    setError('')
    try {
      await resetBaseline(id, reason, comment.trim())
      onReset()
    } catch (failure) {
      setError(errorMessage(failure))
      setSending(false)
    }
  }
  return (
    <ConfirmDialog
      title={`Reset the baseline of ${nameOf(id)}?`}
      confirmLabel={isSending ? 'Reset baseline …' : 'Reset baseline'}
      onCancel={onCancel}
      onConfirm={() => void reset()}
    >
      <p>
        Forgets what was learnt about this machine and closes its alerts. It is learnt again before it is judged.
      </p>
      <div class="fields">
        <label>
          Reason
          <select value={reason} onChange={event => setReason(event.currentTarget.value as ResetReason)}>
            {RESET_REASONS.map(known => (
              <option key={known} value={known}>
                {resetReasonName(known)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="comment-form">
        <label>
          Comment (optional)
          <textarea
            rows={2}
            value={comment}
            maxLength={2000}
            onInput={event => setComment(event.currentTarget.value)}
          />
        </label>
      </div>
      {error ? (
        <p class="failure-text" role="alert">
          {error}
        </p>
      ) : null}
    </ConfirmDialog>
  )
}

/** Button for users with write permission. `onReset` is called when the host has accepted a reset. */
export function BaselineReset({ id, onReset }: { id: string; onReset: () => void }) {
  const canWrite = usePermission('write')
  const [isOpen, setOpen] = useState(false)
  const [result, setResult] = useState('')
  if (!canWrite) return null
  return (
    <div class="actions">
      <button
        type="button"
        onClick={() => {
          setResult('')
          setOpen(true)
        }}
      >
        Reset baseline
      </button>
      <span role="status">{result}</span>
      {isOpen ? (
        <ResetDialog
          id={id}
          onCancel={() => setOpen(false)}
          onReset={() => {
            setOpen(false)
            setResult('The baseline is reset. The machine is learnt again before it is judged.')
            onReset()
          }}
        />
      ) : null}
    </div>
  )
}

/** The actions of users on the machine, its anomalies and its work orders, newest first. */
export function ActionHistory({ actions }: { actions: readonly Action[] }) {
  if (actions.length === 0) return null
  return (
    <section>
      <h2>Actions</h2>
      <ul class="lines">
        {actions.map(action => (
          <li key={action.id}>
            <Time at={action.time} />
            <b>{action.actor || 'Unknown user'}</b>
            <span class="tag">{actionName(action.kind)}</span>
            <span class="line-text">{describeAction(action)}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}
