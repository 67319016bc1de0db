// Actions on an anomaly, and their history.

import { useEffect, useRef, useState } from 'preact/hooks'
import { usePermission } from '../access'
import { performAction, type Action, type Anomaly, type ActionKind, machineOrders, type WorkOrder } from '../api'
import { nameOf, formatDayTime } from '../format'
import { repairOrderOf } from '../model/repair-order'
import { ConfirmDialog } from '../components/confirm-dialog'
import { errorMessage } from '../components/error-message'
import { Time } from '../components/time'
import { usePoll } from '../use-poll'
import { link } from '../router'
import { actionName, workName } from '../messages'

const FALSE_ALARM = 'Marked as false alarm and as handled.'

const BUTTONS: readonly { kind: ActionKind; name: string; doneName: string; success: string }[] = [
  {
    kind: 'acknowledge',
    name: 'Acknowledge',
    doneName: 'Acknowledged',
    success: 'Acknowledged. Other users can see this.',
  },
  { kind: 'false-alarm', name: 'False alarm', doneName: 'False alarm', success: FALSE_ALARM },
  { kind: 'order-repair', name: 'Order repair', doneName: 'Repair ordered', success: 'Repair ordered.' },
]

/** Poll interval while waiting for a requested order, and how long to wait before advice is shown. */
const ORDER_POLL_INTERVAL = 1_500
const ORDER_TIMEOUT = 90_000

/** The work order of the repair, as soon as the planner has created it. */
function Repair({ of, requestedAt }: { of: Anomaly; requestedAt: number | undefined }) {
  const [isLate, setIsLate] = useState(false)
  const orderRef = useRef<WorkOrder | undefined>(undefined)
  const poll = usePoll(
    signal => machineOrders(of.asset, signal),
    requestedAt !== undefined && !orderRef.current ? ORDER_POLL_INTERVAL : 10_000,
    [of.asset, requestedAt],
    ['work-order'],
  )
  orderRef.current = repairOrderOf(poll.data ?? [], of)
  const order = orderRef.current
  useEffect(() => {
    setIsLate(false)
    if (requestedAt === undefined) return
    const timer = setTimeout(() => setIsLate(true), ORDER_TIMEOUT)
    return () => clearTimeout(timer)
  }, [requestedAt])
  if (order)
    return (
      <p class="repair">
        <b>Repair:</b>{' '}
        <a href={link('schedule', '', { order: order.id })}>
          {workName(order.kind)}
          {order.scheduled === null ? ', not scheduled yet' : `, ${formatDayTime(order.scheduled)}`}
          {order.technician ? `, ${order.technician}` : ''}
        </a>{' '}
        <span class="faint">on the schedule</span>
      </p>
    )
  if (requestedAt === undefined) return null
  return (
    <p class="repair faint" role="status">
      {isLate ? (
        <>
          The planner has not created a work order yet. It will appear on the <a href={link('schedule')}>schedule</a>;
          check that a technician is configured.
        </>
      ) : (
        'The planner is searching for a technician and a time.'
      )}
    </p>
  )
}

function History({
  actions,
  sending,
}: {
  actions: readonly Action[]
  sending: { kind: ActionKind; text: string } | undefined
}) {
  if (actions.length === 0 && !sending) return <p class="faint">No actions yet.</p>
  return (
    <ol class="lines history">
      {actions.map(action => (
        <li key={action.id}>
          <Time at={action.time} />
          <b>{action.actor || 'Unknown user'}</b>
          <span class="tag">{actionName(action.kind)}</span>
          {action.text ? <span class="line-text">{action.text}</span> : null}
        </li>
      ))}
      {sending ? (
        <li class="sending">
          <span class="faint">now</span>
          <b>You</b>
          <span class="tag">{actionName(sending.kind)}</span>
          <span class="line-text faint">{sending.text ? `${sending.text} (sending)` : 'sending'}</span>
        </li>
      ) : null}
    </ol>
  )
}

/**
 * Buttons for users with write permission, and the history for all. `changed` is called with the anomaly that the host
 * returns.
 */
export function Actions({ of, changed }: { of: Anomaly; changed: (anomaly: Anomaly) => void }) {
  const canWrite = usePermission('write')
  const [sending, setSending] = useState<{ kind: ActionKind; text: string }>()
  const [result, setResult] = useState<{ text: string; isError: boolean }>()
  const [comment, setComment] = useState('')
  const [requestedAt, setRequestedAt] = useState<number>()
  const [confirming, setConfirming] = useState(false)
  const done = (kind: ActionKind) => of.actions.some(action => action.kind === kind)
  const run = async (kind: ActionKind, text: string, success: string) => {
    if (sending) return false
    setSending({ kind, text })
    setResult(undefined)
    try {
      changed(await performAction(of.id, kind, text))
      setResult({ text: success, isError: false })
      if (kind === 'order-repair') setRequestedAt(Date.now())
      return true
    } catch (failure) {
      setResult({ text: errorMessage(failure), isError: true })
      return false
    } finally {
      setSending(undefined)
    }
  }
  const addComment = async (event: SubmitEvent) => {
    event.preventDefault()
    const text = comment.trim()
    if (text && (await run('comment', text, 'Comment added.'))) setComment('')
  }
  return (
    <section class="anomaly-actions" aria-label="Actions">
      {canWrite ? (
        <div class="actions">
          {BUTTONS.map(({ kind, name, doneName, success }) => (
            <button
              key={kind}
              type="button"
              class={kind === 'order-repair' && !done(kind) ? 'primary' : ''}
              // Not `disabled`, which would take the focus away from keyboard users.
              aria-disabled={done(kind) || sending !== undefined}
              onClick={() => {
                if (done(kind)) return
                // It cannot be undone and is next to a button that is pressed in haste.
                if (kind === 'false-alarm') setConfirming(true)
                else void run(kind, '', success)
              }}
            >
              {done(kind) ? `✓ ${doneName}` : sending?.kind === kind ? `${name} …` : name}
            </button>
          ))}
          <span role="status" class={result?.isError ? 'failure-text' : ''}>
            {result?.text}
          </span>
        </div>
      ) : null}
      {confirming ? (
        <ConfirmDialog
          title="Mark as false alarm?"
          confirmLabel="Mark as false alarm"
          cancelLabel="Cancel"
          onCancel={() => setConfirming(false)}
          onConfirm={() => {
            setConfirming(false)
            void run('false-alarm', '', FALSE_ALARM)
          }}
        >
          <p>The anomaly is then handled for all users. This cannot be undone.</p>
        </ConfirmDialog>
      ) : null}
      <Repair of={of} requestedAt={requestedAt} />
      <h2>History</h2>
      <History actions={of.actions} sending={sending} />
      {canWrite ? (
        <form class="comment-form" onSubmit={event => void addComment(event)}>
          <label>
            {' '}
            Comment{' '}
            <textarea
              rows={2}
              value={comment}
              maxLength={2000}
              placeholder={`What you observed or did at ${nameOf(of.asset)}`}
              onInput={event => setComment(event.currentTarget.value)}
            />
          </label>
          <button type="submit" aria-disabled={sending !== undefined || comment.trim() === ''}>
            Add comment
          </button>
        </form>
      ) : null}
    </section>
  )
}
