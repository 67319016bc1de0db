// The maintenance schedule.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { usePermission } from '../access'
import { updateWorkOrder, type WorkOrderChange, calendar, workOrder, type WorkOrder, workOrders } from '../api'
import { Gantt } from '../charts/gantt'
import { plural, nameOf, formatMinutes, parentPath, formatDayTime } from '../format'
import { startOfDay, layoutOrders, UNASSIGNED, isOverdue, movedOrders } from '../model/gantt'
import { onNavigationKey } from '../components/keyboard-nav'
import { errorMessage } from '../components/error-message'
import { Empty, DataView } from '../components/load-state'
import { usePoll } from '../use-poll'
import { link, setQuery } from '../router'
import { orderStatus, workName } from '../messages'
import { OrderCard } from './schedule-order'
import { WhatIf } from './schedule-what-if'

const ZOOMS = [
  { days: 1, name: 'Day' },
  { days: 3, name: '3 days' },
  { days: 7, name: 'Week' },
] as const

function Orders({
  orders,
  chosen,
  choose,
}: {
  orders: readonly WorkOrder[]
  chosen: string | undefined
  choose: (order: WorkOrder) => void
}) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Orders as a table; scrolls horizontally">
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th> <th scope="col">Work</th>
            <th scope="col">Machine</th>
            <th scope="col">Technician</th>
            <th scope="col">Duration</th>
            <th scope="col">Priority</th>
            <th scope="col">Status</th>
          </tr>
        </thead>
        <tbody onKeyDown={onNavigationKey}>
          {orders.map(order => (
            <tr key={order.id} class={chosen === order.id ? 'chosen' : ''}>
              <td class="nowrap">{order.scheduled === null ? '–' : formatDayTime(order.scheduled)}</td>
              <td>
                <button type="button" class="as-link" data-item onClick={() => choose(order)}>
                  {workName(order.kind)}
                </button>
              </td>
              <td class="breaks">
                <a href={link('machine', order.asset)}>{nameOf(order.asset)}</a>{' '}
                <span class="faint place">{parentPath(order.asset)}</span>
              </td>
              <td class="breaks">{order.technician ?? '–'}</td>
              <td class="nowrap">{formatMinutes(order.minutes)}</td>
              <td>
                <span class={`priority p${order.priority}`}>{order.priority}</span>
              </td>
              <td>
                {orderStatus(order.status)}
                {order.pinned ? ', pinned' : ''}
                {isOverdue(order, Date.now()) ? (
                  <>
                    , <b class="at-limit">overdue</b>
                  </>
                ) : null}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Changes an order, and reports the result and the other orders that the new plan moved. */
function useOrderChange(orders: readonly WorkOrder[], refresh: () => void) {
  const [message, setMessage] = useState<{ text: string; isError: boolean }>({ text: '', isError: false })
  /** The changed order until the host has confirmed it. */
  const [pending, setPending] = useState<WorkOrder>()
  const previous = useRef<{ id: string; orders: readonly WorkOrder[] } | undefined>(undefined)
  const [moved, setMoved] = useState<readonly WorkOrder[]>([])
  useEffect(() => {
    if (previous.current) setMoved(movedOrders(previous.current.orders, orders, previous.current.id))
  }, [orders])
  const change = async (
    order: WorkOrder,
    change: WorkOrderChange,
    success: (now: WorkOrder) => string,
  ): Promise<boolean> => {
    const { scheduled_time: time, technician = order.technician } = change
    setPending({ ...order, scheduled: time === undefined ? order.scheduled : Date.parse(time), technician })
    setMessage({
      text: `Saving the change to ${workName(order.kind).toLowerCase()} on ${nameOf(order.asset)}.`,
      isError: false,
    })
    setMoved([])
    try {
      const now = await updateWorkOrder(order.id, change)
      previous.current = { id: order.id, orders }
      setPending(now)
      setMessage({ text: success(now), isError: false })
      // The planner works after the API has answered.
      for (const later of [0, 1_500, 4_000]) setTimeout(refresh, later)
      return true
    } catch (failure) {
      setMessage({ text: errorMessage(failure), isError: true })
      return false
    } finally {
      setTimeout(() => setPending(undefined), 300)
    }
  }
  const announce = (text: string) => setMessage({ text, isError: false })
  return { message, announce, pending, moved, change }
}

/** Downloads the plan as an iCalendar file. It is fetched by script because a plain link cannot send the token. */
function Calendar({ technicians }: { technicians: readonly string[] }) {
  const [technician, setTechnician] = useState('')
  const [error, setError] = useState('')
  const downloadPlan = async () => {
    setError('')
    try {
      const url = URL.createObjectURL(await calendar(technician || undefined))
      const link = document.createElement('a')
      link.href = url
      link.download = 'plan.ics'
      link.click()
      setTimeout(() => URL.revokeObjectURL(url), 10_000)
    } catch (failure) {
      setError(errorMessage(failure))
    }
  }
  return (
    <span class="calendar">
      <label>
        <span class="hidden">Plan of</span>
        <select value={technician} onChange={event => setTechnician(event.currentTarget.value)}>
          <option value="">All technicians</option>
          {technicians.map(name => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button type="button" onClick={() => void downloadPlan()}>
        Calendar file (plan.ics)
      </button>
      {error ? (
        <span class="failure-text" role="alert">
          {error}
        </span>
      ) : null}
    </span>
  )
}

function Legend({ orders, changed }: { orders: readonly WorkOrder[]; changed: boolean }) {
  return (
    <p class="legend faint">
      {[1, 2, 3, 4, 5]
        .filter(priority => orders.some(order => order.priority === priority))
        .map(priority => (
          <span key={priority}>
            <span class={`priority p${priority}`}>{priority}</span>{' '}
            {['most urgent', 'urgent', 'soon', 'can wait', 'least urgent'][priority - 1]}
          </span>
        ))}
      {orders.some(order => order.after.some(id => orders.some(other => other.id === id))) ? (
        <span>arrows: prerequisites</span>
      ) : null}
      {orders.some(order => order.pinned) ? <span>pin: not moved when the plan changes</span> : null}
      {changed ? <span>dashed: moved by the new plan</span> : null}
    </p>
  )
}

function ScheduleBoard({
  orders,
  query,
  refresh,
}: {
  orders: readonly WorkOrder[]
  query: URLSearchParams
  refresh: () => void
}) {
  const now = Date.now()
  const canWrite = usePermission('write')
  const { message, announce, pending, moved, change } = useOrderChange(orders, refresh)
  const shown = useMemo(
    () => (pending ? orders.map(order => (order.id === pending.id ? pending : order)) : orders),
    [orders, pending],
  )
  const chart = useMemo(() => layoutOrders(shown, now), [shown])
  const [days, setDays] = useState<number>(innerWidth < 700 ? 1 : 3)
  const requestedId = query.get('order') ?? ''
  const listed = orders.find(order => order.id === requestedId)
  // A completed or cancelled order is not in the lists of this page.
  const other = usePoll(
    async signal => (requestedId && !listed ? await workOrder(requestedId, signal) : undefined),
    60_000,
    [requestedId, !listed],
  )
  const asset = query.get('asset')
  const chosen = listed ?? other.data ?? (asset ? chart.bars.find(bar => bar.order.asset === asset)?.order : undefined)
  const [edit, setEdit] = useState(false)
  const details = useRef<HTMLDivElement>(null)
  const board = useRef<HTMLDivElement>(null)
  const overdueCount = orders.filter(order => isOverdue(order, now)).length
  const technicians = chart.rows.map(row => row.technician).filter(name => name !== UNASSIGNED)
  // Show the order that a link points to.
  useEffect(() => {
    if (chosen) details.current?.firstElementChild?.scrollIntoView({ block: 'nearest' })
  }, [chosen?.id])
  const choose = (order: WorkOrder | undefined, edit = false) => {
    setEdit(edit)
    setQuery({ order: order?.id ?? '' })
  }
  const close = () => {
    const id = chosen?.id
    choose(undefined)
    // Return the focus to the bar for keyboard users.
    board.current?.querySelector<SVGElement>(`[data-order="${CSS.escape(id ?? '')}"]`)?.focus()
  }
  const moveTo = (order: WorkOrder, scheduled: number, technician: string) =>
    void change(
      order,
      { scheduled_time: new Date(scheduled).toISOString(), technician },
      now =>
        `${workName(now.kind)} on ${nameOf(now.asset)} is assigned to ${now.technician ?? 'nobody'}, ${now.scheduled === null ? 'not scheduled' : formatDayTime(now.scheduled)}, and pinned.`,
    )
  const changed = new Set(moved.map(order => order.id))
  return (
    <>
      <div class="section-head">
        <p class="faint">
          {plural(chart.bars.length, 'order')} scheduled
          {chart.unscheduled.length ? `, ${chart.unscheduled.length} not scheduled` : ''}
          {overdueCount ? (
            <>
              , <b class="at-limit">{overdueCount} overdue</b>
            </>
          ) : null}
          .{' '}
          {canWrite && chart.bars.length ? (
            <span class="hint">Drag a bar to pin it, or move it with the arrow keys and Enter.</span>
          ) : null}
        </p>
        {chart.bars.length ? (
          <div class="choices" role="group" aria-label="Time range">
            {ZOOMS.map(zoom => (
              <button
                key={zoom.days}
                type="button"
                aria-pressed={zoom.days === days}
                onClick={() => setDays(zoom.days)}
              >
                {zoom.name}
              </button>
            ))}
          </div>
        ) : null}
      </div>
      <p role="status" class={message.text ? `status-message${message.isError ? ' failure-text' : ''}` : 'hidden'}>
        {message.text}
        {changed.size ? ` The rest was replanned: ${plural(changed.size, 'other order')} moved.` : ''}
      </p>
      {chart.bars.length ? (
        <>
          <div ref={board}>
            <Gantt
              chart={chart}
              shownDays={days}
              now={now}
              chosen={chosen?.id}
              changed={changed}
              choose={choose}
              move={canWrite ? moveTo : undefined}
              announce={announce}
            />
          </div>
          <Legend orders={shown} changed={changed.size > 0} />
        </>
      ) : (
        <Empty title="No order is scheduled">
          <p>
            Each order below states the reason. The planner tries again automatically, for example when a technician
            becomes available.
          </p>
        </Empty>
      )}
      <div ref={details}>
        {chosen ? (
          <OrderCard
            key={chosen.id}
            order={chosen}
            all={orders}
            technicians={technicians}
            edit={edit}
            canWrite={canWrite}
            changeOrder={change}
            close={close}
          />
        ) : null}
      </div>
      {chart.unscheduled.length ? (
        <section>
          <h2>Not scheduled</h2>
          <ul class="lines">
            {chart.unscheduled.map(order => (
              <li key={order.id}>
                <span class="tag">priority {order.priority}</span>
                <button type="button" class="as-link" onClick={() => choose(order)}>
                  {workName(order.kind)}, {nameOf(order.asset)}
                </button>
                <span class="line-text">{order.notes}</span>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      <div class="section-head">
        <h2>Orders</h2>
        <Calendar technicians={technicians} />
      </div>
      <Orders orders={orders} chosen={chosen?.id} choose={order => choose(order, true)} />
      {canWrite ? <WhatIf orders={orders} technicians={technicians} /> : null}
    </>
  )
}

/** Planned and unscheduled orders, and those completed today. */
async function orders(signal: AbortSignal): Promise<readonly WorkOrder[]> {
  const from = new Date(startOfDay(Date.now())).toISOString()
  const pages = await Promise.all([
    workOrders({ status: 'planned', limit: 500 }, signal),
    workOrders({ status: 'unscheduled', limit: 100 }, signal),
    workOrders({ status: 'done', from, limit: 100 }, signal),
  ])
  // The same list as before if no response has changed, so that nothing is rendered again.
  if (!lastList || pages.some((page, n) => page !== lastList!.pages[n]))
    lastList = { pages, items: pages.flatMap(page => page.items).sort(compareOrders) }
  return lastList.items
}

/** By time; unscheduled orders last. */
const compareOrders = (one: WorkOrder, other: WorkOrder): number =>
  (one.scheduled ?? Infinity) === (other.scheduled ?? Infinity)
    ? one.priority - other.priority
    : (one.scheduled ?? Infinity) - (other.scheduled ?? Infinity)

let lastList: { pages: readonly object[]; items: readonly WorkOrder[] } | undefined

/** Schedule page. */
export function SchedulePage({ query }: { query: URLSearchParams }) {
  const poll = usePoll(orders, 5_000, [], ['work-order'])
  return (
    <>
      <h1>Schedule</h1>
      <DataView of={poll} what="The schedule" lines={6}>
        {orders =>
          orders.length === 0 ? (
            <Empty title="No work is planned">
              <p>
                Each alert creates work orders, assigned to a technician with the skills and the time. Technicians and
                their shifts are configured as <code>[[technician]]</code>:
              </p>
              <pre class="sample" tabIndex={0}>
                {
                  '[[technician]]\nname = "Ada"\nskills = ["mechanic", "vibration-analyst"]\nshifts = [{ days = ["mon", "tue"], start = "06:00", end = "14:00" }]'
                }
              </pre>
            </Empty>
          ) : (
            <ScheduleBoard orders={orders} query={query} refresh={poll.refresh} />
          )
        }
      </DataView>
    </>
  )
}
