// What-if planning: requests a plan and shows it next to the current one. Preview only.

import { useRef, useState } from 'preact/hooks'
import { requestWhatIf, whatIfTask, type WhatIfTask, type WorkOrder } from '../api'
import { plural, formatHours, nameOf, formatMoney, formatDayTime } from '../format'
import { errorMessage } from '../components/error-message'
import { usePoll } from '../use-poll'
import { link } from '../router'
import { workName } from '../messages'

/** Maximum number of orders shown of a plan. */
const MAX_ROWS = 30

function Result({ task, orders }: { task: WhatIfTask; orders: readonly WorkOrder[] }) {
  if (task.status === 'failed' || !task.plan)
    return (
      <p class="failure-text" role="status">
        {task.status === 'failed'
          ? 'No plan found. Increase the hours, or use fewer constraints.'
          : 'The host did not return the plan.'}
      </p>
    )
  const { plan } = task
  const currentOrders = new Map(orders.map(order => [order.id, order]))
  return (
    <div role="status">
      <div class="figures">
        <div class="figure">
          <b>{plan.makespanHours === null ? '–' : formatHours(plan.makespanHours)}</b>
          <span>until the last order is done</span>
        </div>
        <div class="figure">
          <b>{plan.cost === null ? '–' : formatMoney(plan.cost)}</b>
          <span>cost (plant currency)</span>
        </div>
        <div class="figure">
          <b>{plan.orders.length}</b>
          <span>orders scheduled</span>
        </div>
        <div class="figure">
          <b class={plan.unscheduled ? 'medium' : 'well'}>{plan.unscheduled}</b>
          <span>not scheduled</span>
        </div>
      </div>
      {plan.orders.length ? (
        <ul class="lines plan">
          {plan.orders.slice(0, MAX_ROWS).map(order => {
            const now = currentOrders.get(order.id)
            const isUnchanged = now && now.scheduled === order.scheduled && now.technician === order.technician
            return (
              <li key={order.id}>
                <span class="nowrap">
                  {order.scheduled === null ? 'not scheduled' : formatDayTime(order.scheduled)}
                </span>
                <span>{order.technician ?? 'not assigned'}</span>
                <span class="line-text">
                  {workName(order.kind)}, <a href={link('machine', order.asset)}>{nameOf(order.asset)}</a>
                </span>
                <span class="faint">
                  {isUnchanged
                    ? 'unchanged'
                    : now?.scheduled
                      ? `currently ${formatDayTime(now.scheduled)}, ${now.technician ?? 'not assigned'}`
                      : 'new'}
                </span>
              </li>
            )
          })}
        </ul>
      ) : null}
      {plan.orders.length > MAX_ROWS ? (
        <p class="faint">And {plural(plan.orders.length - MAX_ROWS, 'more order')}.</p>
      ) : null}
    </div>
  )
}

/** Polls the task until it is done. */
function TaskResult({ id, orders }: { id: string; orders: readonly WorkOrder[] }) {
  const done = useRef(false)
  const poll = usePoll(signal => whatIfTask(id, signal), done.current ? 600_000 : 1_000, [id])
  done.current = poll.data !== undefined && poll.data.status !== 'queued'
  if (poll.error && !poll.data)
    return (
      <p class="failure-text" role="alert">
        {errorMessage(poll.error)}
      </p>
    )
  if (!poll.data || poll.data.status === 'queued')
    return (
      <p role="status">
        <progress value={poll.data?.progress || undefined} aria-label="Planning progress" /> The planner is working.
      </p>
    )
  return <Result task={poll.data} orders={orders} />
}

/** Form of a what-if plan. */
export function WhatIf({ orders, technicians }: { orders: readonly WorkOrder[]; technicians: readonly string[] }) {
  const [task, setTask] = useState('')
  const [error, setError] = useState('')
  const [excluded, setExcluded] = useState<readonly string[]>([])
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    const after = String(fields.get('after') ?? '')
    setError('')
    setTask('')
    try {
      const included = technicians.filter(name => !excluded.includes(name))
      const notBefore = after ? new Date(after).getTime() : null
      // All technicians: no constraint.
      setTask(
        await requestWhatIf({
          hours: Number(fields.get('hours')),
          technicians: excluded.length ? included : [],
          notBefore,
        }),
      )
    } catch (failure) {
      setError(errorMessage(failure))
    }
  }
  return (
    <section class="what-if">
      <h2>What if</h2>
      <p class="faint">
        See the plan with fewer technicians, a later start, or another planning horizon. Preview only.
      </p>
      <form class="fields" onSubmit={event => void submit(event)}>
        <label>
          Hours ahead
          <input type="number" name="hours" min={1} max={8760} step={1} defaultValue="168" required />
        </label>
        <label>
          Not before
          <input type="datetime-local" name="after" />
        </label>
        {technicians.length ? (
          <fieldset>
            <legend>Technicians</legend>
            {technicians.map(name => (
              <label key={name} class="check">
                <input
                  type="checkbox"
                  checked={!excluded.includes(name)}
                  onChange={event =>
                    setExcluded(
                      event.currentTarget.checked ? excluded.filter(other => other !== name) : [...excluded, name],
                    )
                  }
                />
                {name}
              </label>
            ))}
          </fieldset>
        ) : null}
        <button type="submit">Preview plan</button>
      </form>
      {error ? (
        <p class="failure-text" role="alert">
          {error}
        </p>
      ) : null}
      {task ? <TaskResult key={task} id={task} orders={orders} /> : null}
    </section>
  )
}
