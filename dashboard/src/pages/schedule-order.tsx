// One work order: what it is, and a form to move, pin, close or cancel it.

import { useEffect, useRef, useState } from 'preact/hooks'
import type { Amendment, WorkOrder } from '../api'
import { inFull, lastPart, localInput, minutes, money, placeOf, whenOn } from '../format'
import { overdue } from '../model/gantt'
import { Confirm } from '../parts/dialog'
import { link } from '../router'
import { orderStatus, work } from '../words'

/** Changes an order; true when the host took it. */
export type Change = (order: WorkOrder, change: Amendment, success: (now: WorkOrder) => string) => Promise<boolean>

function Facts({ order, all }: { order: WorkOrder; all: readonly WorkOrder[] }) {
  const before = all.filter(other => order.after.includes(other.id))
  const next = all.filter(other => other.after.includes(order.id))
  return (
    <dl class="facts">
      <div>
        <dt>Status</dt>
        <dd>
          {orderStatus(order.status)}
          {order.pinned ? ', pinned' : ''}
          {overdue(order, Date.now()) ? (
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
        <dt>When</dt>
        <dd>
          {order.scheduled === null ? (
            'no time yet'
          ) : (
            <time title={inFull(order.scheduled)} dateTime={new Date(order.scheduled).toISOString()}>
              {whenOn(order.scheduled)}
            </time>
          )}
          , {minutes(order.minutes)}
        </dd>
      </div>
      <div>
        <dt>Technician</dt>
        <dd>{order.technician ?? 'nobody yet'}</dd>
      </div>
      <div>
        <dt>Skills</dt>
        <dd>{order.skills.join(', ') || 'any'}</dd>
      </div>
      <div>
        <dt>Cost, in the plant’s currency</dt>
        <dd>{money(order.cost)}</dd>
      </div>
      {before.length ? (
        <div>
          <dt>After</dt>
          <dd>{before.map(other => work(other.kind)).join(', ')}</dd>
        </div>
      ) : null}
      {next.length ? (
        <div>
          <dt>Before</dt>
          <dd>{next.map(other => work(other.kind)).join(', ')}</dd>
        </div>
      ) : null}
    </dl>
  )
}

/** Time and technician; what is given here is pinned. */
function MoveForm({ order, technicians, change }: { order: WorkOrder; technicians: readonly string[]; change: Change }) {
  const [error, setError] = useState('')
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const given = new FormData(event.currentTarget as HTMLFormElement)
    const scheduled = new Date(String(given.get('time'))).getTime()
    const technician = String(given.get('technician')).trim()
    if (Number.isNaN(scheduled)) return setError('Give a day and a time.')
    if (!technician) return setError('Name a technician.')
    setError('')
    await change(
      order,
      { scheduled_time: new Date(scheduled).toISOString(), technician, pinned: true },
      now => `${work(now.kind)} on ${lastPart(now.asset)} is pinned: ${whenOn(scheduled)}, ${technician}.`,
    )
  }
  return (
    <form class="fields" onSubmit={event => void submit(event)}>
      <label>
        Start
        <input type="datetime-local" name="time" step={300} required defaultValue={localInput(order.scheduled ?? Date.now())} />
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
        Pin it there
      </button>
      {error ? (
        <span class="failure-text" role="alert">
          {error}
        </span>
      ) : null}
    </form>
  )
}

/** The card. `edit`: the form has the focus. */
export function OrderCard({
  order,
  all,
  technicians,
  edit,
  write,
  change,
  close,
}: {
  order: WorkOrder
  all: readonly WorkOrder[]
  technicians: readonly string[]
  edit: boolean
  write: boolean
  change: Change
  close: () => void
}) {
  const [sure, setSure] = useState(false)
  const place = useRef<HTMLElement>(null)
  const alive = order.status === 'planned' || order.status === 'unscheduled'
  useEffect(() => {
    if (edit) (place.current?.querySelector<HTMLElement>('form input') ?? place.current)?.focus()
  }, [edit])
  const name = `${work(order.kind)} on ${lastPart(order.asset)}`
  return (
    <section
      class={`card order p${order.priority}`}
      aria-label="The chosen order"
      ref={place}
      tabIndex={-1}
      onKeyDown={event => {
        // Escape in the question means the question.
        if (event.key === 'Escape' && !sure) close()
      }}
    >
      <div class="card-head">
        <h2 class="row-title">
          {work(order.kind)} on <a href={link('machine', order.asset)}>{lastPart(order.asset)}</a>{' '}
          <span class="faint">{placeOf(order.asset)}</span>
        </h2>
        <button type="button" class="quiet" onClick={close}>
          Close
        </button>
      </div>
      <Facts order={order} all={all} />
      <p>{order.notes}</p>
      {write && alive ? (
        <>
          {/* Its fields begin anew when the order lies elsewhere. */}
          <MoveForm key={`${order.scheduled} ${order.technician}`} order={order} technicians={technicians} change={change} />
          <div class="actions">
            {order.pinned ? (
              <button
                type="button"
                onClick={() =>
                  void change(order, { pinned: false }, () => `${name} is not pinned any more; the planner may move it.`)
                }
              >
                Unpin
              </button>
            ) : null}
            <button type="button" onClick={() => void change(order, { status: 'done' }, () => `${name} is done.`)}>
              Mark as done
            </button>
            <button type="button" onClick={() => setSure(true)}>
              Cancel the order
            </button>
          </div>
        </>
      ) : null}
      {write && !alive ? (
        <div class="actions">
          <button type="button" onClick={() => void change(order, { status: 'planned' }, () => `${name} is to be done again.`)}>
            Plan it again
          </button>
        </div>
      ) : null}
      {sure ? (
        <Confirm
          title={`Cancel ${name}?`}
          yes="Cancel the order"
          no="Keep it"
          onNo={() => setSure(false)}
          onYes={() => {
            setSure(false)
            void change(order, { status: 'cancelled' }, () => `${name} is cancelled.`)
          }}
        >
          <p>Nobody will be sent. What waits for it is planned without it.</p>
        </Confirm>
      ) : null}
    </section>
  )
}
