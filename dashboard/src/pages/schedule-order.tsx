// One work order, and a form to move, pin, close or cancel it.

import { useEffect, useRef, useState } from 'preact/hooks'
import type { WorkOrderChange, WorkOrder } from '../api'
import { formatFull, nameOf, toLocalInput, formatMinutes, formatMoney, parentPath, formatDayTime } from '../format'
import { isOverdue } from '../model/gantt'
import { ConfirmDialog } from '../components/confirm-dialog'
import { link } from '../router'
import { orderStatus, workName } from '../messages'

/** Changes an order; resolves to true if the host accepted it. */
export type ChangeOrder = (
  order: WorkOrder,
  change: WorkOrderChange,
  success: (now: WorkOrder) => string,
) => Promise<boolean>

function Facts({ order, all }: { order: WorkOrder; all: readonly WorkOrder[] }) {
  const prerequisites = all.filter(other => order.after.includes(other.id))
  const dependents = all.filter(other => other.after.includes(order.id))
  return (
    <dl class="facts">
      <div>
        <dt>Status</dt>
        <dd>
          {orderStatus(order.status)}
          {order.pinned ? ', pinned' : ''}
          {isOverdue(order, Date.now()) ? (
            <>
              , <b class="at-limit">overdue</b>
            </>
          ) : null}
        </dd>
      </div>
      <div>
        <dt>Priority</dt>
        <dd>{order.priority} of 5</dd>
      </div>
      <div>
        <dt>Time</dt>
        <dd>
          {order.scheduled === null ? (
            'not scheduled'
          ) : (
            <time title={formatFull(order.scheduled)} dateTime={new Date(order.scheduled).toISOString()}>
              {formatDayTime(order.scheduled)}
            </time>
          )}
          , {formatMinutes(order.minutes)}
        </dd>
      </div>
      <div>
        <dt>Technician</dt>
        <dd>{order.technician ?? 'not assigned'}</dd>
      </div>
      <div>
        <dt>Skills</dt>
        <dd>{order.skills.join(', ') || 'any'}</dd>
      </div>
      <div>
        <dt>Cost (plant currency)</dt>
        <dd>{formatMoney(order.cost)}</dd>
      </div>
      {prerequisites.length ? (
        <div>
          <dt>After</dt>
          <dd>{prerequisites.map(other => workName(other.kind)).join(', ')}</dd>
        </div>
      ) : null}
      {dependents.length ? (
        <div>
          <dt>Before</dt>
          <dd>{dependents.map(other => workName(other.kind)).join(', ')}</dd>
        </div>
      ) : null}
    </dl>
  )
}

/** Form for time and technician; the order is pinned there. */
function MoveForm({
  order,
  technicians,
  changeOrder,
}: {
  order: WorkOrder
  technicians: readonly string[]
  changeOrder: ChangeOrder
}) {
  const [error, setError] = useState('')
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    const scheduled = new Date(String(fields.get('time'))).getTime()
    const technician = String(fields.get('technician')).trim()
    if (Number.isNaN(scheduled)) return setError('Enter a date and a time.')
    if (!technician) return setError('Enter a technician.')
    setError('')
    await changeOrder(
      order,
      { scheduled_time: new Date(scheduled).toISOString(), technician, pinned: true },
      now => `${workName(now.kind)} on ${nameOf(now.asset)} is pinned: ${formatDayTime(scheduled)}, ${technician}.`,
    )
  }
  return (
    <form class="fields" onSubmit={event => void submit(event)}>
      <label>
        Start
        <input
          type="datetime-local"
          name="time"
          step={300}
          required
          defaultValue={toLocalInput(order.scheduled ?? Date.now())}
        />
      </label>
      <label>
        Technician
        <input name="technician" list="technicians" required defaultValue={order.technician ?? ''} autocomplete="off" />
      </label>
      <datalist id="technicians">
        {technicians.map(name => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <button type="submit" class="primary">
        Pin to this time
      </button>
      {error ? (
        <span class="failure-text" role="alert">
          {error}
        </span>
      ) : null}
    </form>
  )
}

/** Dialog that marks an order as done. */
function DoneDialog({
  name,
  onDone,
  onCancel,
}: {
  name: string
  onDone: (resetsBaseline: boolean) => void
  onCancel: () => void
}) {
  const [resetsBaseline, setResetsBaseline] = useState(false)
  return (
    <ConfirmDialog
      title={`Mark ${name} as done?`}
      confirmLabel="Mark as done"
      confirmClass="primary"
      onCancel={onCancel}
      onConfirm={() => onDone(resetsBaseline)}
    >
      <label class="check">
        <input
          type="checkbox"
          checked={resetsBaseline}
          onChange={event => setResetsBaseline(event.currentTarget.checked)}
        />
        The repair changed the machine: learn its normal state again
      </label>
    </ConfirmDialog>
  )
}

/** Card of the order. `edit`: the form gets the focus. */
export function OrderCard({
  order,
  all,
  technicians,
  edit,
  canWrite,
  changeOrder,
  close,
}: {
  order: WorkOrder
  all: readonly WorkOrder[]
  technicians: readonly string[]
  edit: boolean
  canWrite: boolean
  changeOrder: ChangeOrder
  close: () => void
}) {
  const [confirming, setConfirming] = useState<'done' | 'cancelled'>()
  const card = useRef<HTMLElement>(null)
  const isOpen = order.status === 'planned' || order.status === 'unscheduled'
  useEffect(() => {
    if (edit) (card.current?.querySelector<HTMLElement>('form input') ?? card.current)?.focus()
  }, [edit])
  const name = `${workName(order.kind)} on ${nameOf(order.asset)}`
  return (
    <section
      class={`card order p${order.priority}`}
      aria-label="Selected order"
      ref={card}
      tabIndex={-1}
      onKeyDown={event => {
        // Escape in the dialog closes the dialog only.
        if (event.key === 'Escape' && confirming === undefined) close()
      }}
    >
      <div class="card-head">
        <h2 class="row-title">
          {workName(order.kind)} on <a href={link('machine', order.asset)}>{nameOf(order.asset)}</a>{' '}
          <span class="faint">{parentPath(order.asset)}</span>
        </h2>
        <button type="button" class="quiet" onClick={close}>
          Close
        </button>
      </div>
      <Facts order={order} all={all} />
      <p>{order.notes}</p>
      {canWrite && isOpen ? (
        <>
          {/* The key resets the fields when the order is moved. */}
          <MoveForm
            key={`${order.scheduled} ${order.technician}`}
            order={order}
            technicians={technicians}
            changeOrder={changeOrder}
          />
          <div class="actions">
            {order.pinned ? (
              <button
                type="button"
                onClick={() =>
                  void changeOrder(order, { pinned: false }, () => `${name} is unpinned; the planner may move it.`)
                }
              >
                Unpin
              </button>
            ) : null}
            <button type="button" onClick={() => setConfirming('done')}>
              Mark as done
            </button>
            <button type="button" onClick={() => setConfirming('cancelled')}>
              Cancel order
            </button>
          </div>
        </>
      ) : null}
      {canWrite && !isOpen ? (
        <div class="actions">
          <button
            type="button"
            onClick={() => void changeOrder(order, { status: 'planned' }, () => `${name} is planned again.`)}
          >
            Plan again
          </button>
        </div>
      ) : null}
      {confirming === 'done' ? (
        <DoneDialog
          name={name}
          onCancel={() => setConfirming(undefined)}
          onDone={resetsBaseline => {
            setConfirming(undefined)
            void changeOrder(order, { status: 'done', ...(resetsBaseline ? { reset_baseline: true } : {}) }, () =>
              resetsBaseline ? `${name} is done. The machine is learnt again before it is judged.` : `${name} is done.`,
            )
          }}
        />
      ) : null}
      {confirming === 'cancelled' ? (
        <ConfirmDialog
          title={`Cancel ${name}?`}
          confirmLabel="Cancel order"
          cancelLabel="Keep order"
          onCancel={() => setConfirming(undefined)}
          onConfirm={() => {
            setConfirming(undefined)
            void changeOrder(order, { status: 'cancelled' }, () => `${name} is cancelled.`)
          }}
        >
          <p>The repair will not take place. Orders that depend on it are planned without it.</p>
        </ConfirmDialog>
      ) : null}
    </section>
  )
}
