// What would a plan look like? Asks, and shows the answer beside the plan as it is; nothing changes by it.

import { useRef, useState } from 'preact/hooks'
import { askPlan, plan, type Task, type WorkOrder } from '../api'
import { counted, hours, lastPart, money, whenOn } from '../format'
import { why } from '../parts/failed'
import { usePoll } from '../poll'
import { link } from '../router'
import { work } from '../words'

/** Rows that are shown of a plan. */
const SHOWN = 30

function Result({ task, orders }: { task: Task; orders: readonly WorkOrder[] }) {
  if (task.status === 'failed' || !task.plan)
    return (
      <p class="failure-text" role="status">
        {task.status === 'failed'
          ? 'No plan was found. Ask for more hours, or name fewer constraints.'
          : 'The host made a plan but does not tell it.'}
      </p>
    )
  const { plan } = task
  const present = new Map(orders.map(order => [order.id, order]))
  return (
    <div role="status">
      <div class="figures">
        <div class="figure">
          <b>{plan.makespanHours === null ? '–' : hours(plan.makespanHours)}</b>
          <span>until the last one is done</span>
        </div>
        <div class="figure">
          <b>{plan.cost === null ? '–' : money(plan.cost)}</b>
          <span>cost, in the plant’s currency</span>
        </div>
        <div class="figure">
          <b>{plan.orders.length}</b>
          <span>orders placed</span>
        </div>
        <div class="figure">
          <b class={plan.unscheduled ? 'medium' : 'well'}>{plan.unscheduled}</b>
          <span>without a place</span>
        </div>
      </div>
      {plan.orders.length ? (
        <ul class="lines plan">
          {plan.orders.slice(0, SHOWN).map(order => {
            const now = present.get(order.id)
            const same = now && now.scheduled === order.scheduled && now.technician === order.technician
            return (
              <li key={order.id}>
                <span class="nowrap">{order.scheduled === null ? 'no time' : whenOn(order.scheduled)}</span>
                <span>{order.technician ?? 'nobody'}</span>
                <span class="line-text">
                  {work(order.kind)}, <a href={link('machine', order.asset)}>{lastPart(order.asset)}</a>
                </span>
                <span class="faint">
                  {same ? 'as it is' : now?.scheduled ? `now ${whenOn(now.scheduled)}, ${now.technician ?? 'nobody'}` : 'new'}
                </span>
              </li>
            )
          })}
        </ul>
      ) : null}
      {plan.orders.length > SHOWN ? <p class="faint">And {counted(plan.orders.length - SHOWN, 'more order')}.</p> : null}
    </div>
  )
}

/** The task, asked for until it is done. */
function Answer({ id, orders }: { id: string; orders: readonly WorkOrder[] }) {
  const done = useRef(false)
  const asked = usePoll(signal => plan(id, signal), done.current ? 600_000 : 1_000, [id])
  done.current = asked.data !== undefined && asked.data.status !== 'queued'
  if (asked.error && !asked.data)
    return (
      <p class="failure-text" role="alert">
        {why(asked.error)}
      </p>
    )
  if (!asked.data || asked.data.status === 'queued')
    return (
      <p role="status">
        <progress value={asked.data?.progress || undefined} aria-label="How far the plan is" /> The planner is at work.
      </p>
    )
  return <Result task={asked.data} orders={orders} />
}

/** The form. */
export function WhatIf({ orders, technicians }: { orders: readonly WorkOrder[]; technicians: readonly string[] }) {
  const [task, setTask] = useState('')
  const [error, setError] = useState('')
  const [without, setWithout] = useState<readonly string[]>([])
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const given = new FormData(event.currentTarget as HTMLFormElement)
    const after = String(given.get('after') ?? '')
    setError('')
    setTask('')
    try {
      const names = technicians.filter(name => !without.includes(name))
      const notBefore = after ? new Date(after).getTime() : null
      // All of them is no constraint.
      setTask(await askPlan({ hours: Number(given.get('hours')), technicians: without.length ? names : [], notBefore }))
    } catch (failure) {
      setError(why(failure))
    }
  }
  return (
    <section class="what-if">
      <h2>What if</h2>
      <p class="faint">What would the plan look like with fewer people, later, or for another time? Nothing changes by asking.</p>
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
                  checked={!without.includes(name)}
                  onChange={event =>
                    setWithout(event.currentTarget.checked ? without.filter(other => other !== name) : [...without, name])
                  }
                />
                {name}
              </label>
            ))}
          </fieldset>
        ) : null}
        <button type="submit">Ask for a plan</button>
      </form>
      {error ? (
        <p class="failure-text" role="alert">
          {error}
        </p>
      ) : null}
      {task ? <Answer key={task} id={task} orders={orders} /> : null}
    </section>
  )
}
