// Who repairs what when.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useMay } from '../access'
import { amend, type Amendment, calendar, workOrder, type WorkOrder, workOrders } from '../api'
import { Gantt } from '../charts/gantt'
import { counted, lastPart, minutes, placeOf, whenOn } from '../format'
import { dayStart, layout, NOBODY, overdue, replanned } from '../model/gantt'
import { onArrows } from '../parts/arrows'
import { why } from '../parts/failed'
import { Empty, Shown } from '../parts/notes'
import { usePoll } from '../poll'
import { link, setQuery } from '../router'
import { orderStatus, work } from '../words'
import { OrderCard } from './schedule-order'
import { WhatIf } from './schedule-plan'

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
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Orders as a table; scrolls sideways">
      <table>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What</th>
            <th scope="col">Machine</th>
            <th scope="col">Technician</th>
            <th scope="col">Takes</th>
            <th scope="col">Priority</th>
            <th scope="col">Status</th>
          </tr>
        </thead>
        <tbody onKeyDown={onArrows}>
          {orders.map(order => (
            <tr key={order.id} class={chosen === order.id ? 'chosen' : ''}>
              <td class="nowrap">{order.scheduled === null ? '–' : whenOn(order.scheduled)}</td>
              <td>
                <button type="button" class="as-link" data-item onClick={() => choose(order)}>
                  {work(order.kind)}
                </button>
              </td>
              <td class="breaks">
                <a href={link('machine', order.asset)}>{lastPart(order.asset)}</a>{' '}
                <span class="faint place">{placeOf(order.asset)}</span>
              </td>
              <td class="breaks">{order.technician ?? '–'}</td>
              <td class="nowrap">{minutes(order.minutes)}</td>
              <td>
                <span class={`priority p${order.priority}`}>{order.priority}</span>
              </td>
              <td>
                {orderStatus(order.status)}
                {order.pinned ? ', pinned' : ''}
                {overdue(order, Date.now()) ? (
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

/** Says what changing an order did, here and to the others: those that the new plan moved are marked. */
function useAmend(orders: readonly WorkOrder[], again: () => void) {
  const [said, setSaid] = useState<{ text: string; bad: boolean }>({ text: '', bad: false })
  /** Where the host has not confirmed it yet. */
  const [pending, setPending] = useState<WorkOrder>()
  const before = useRef<{ id: string; orders: readonly WorkOrder[] } | undefined>(undefined)
  const [moved, setMoved] = useState<readonly WorkOrder[]>([])
  useEffect(() => {
    if (before.current) setMoved(replanned(before.current.orders, orders, before.current.id))
  }, [orders])
  const change = async (order: WorkOrder, change: Amendment, success: (now: WorkOrder) => string): Promise<boolean> => {
    const { scheduled_time: time, technician = order.technician } = change
    setPending({ ...order, scheduled: time === undefined ? order.scheduled : Date.parse(time), technician })
    setSaid({ text: `Sending the change of ${work(order.kind).toLowerCase()} on ${lastPart(order.asset)}.`, bad: false })
    setMoved([])
    try {
      const now = await amend(order.id, change)
      before.current = { id: order.id, orders }
      setPending(now)
      setSaid({ text: success(now), bad: false })
      // The planner works after it has answered.
      for (const later of [0, 1_500, 4_000]) setTimeout(again, later)
      return true
    } catch (failure) {
      setSaid({ text: why(failure), bad: true })
      return false
    } finally {
      setTimeout(() => setPending(undefined), 300)
    }
  }
  const say = (text: string) => setSaid({ text, bad: false })
  return { said, say, pending, moved, change }
}

/** The plan as a file that calendars read. It is fetched here, as a plain link could not say who asks. */
function Calendar({ technicians }: { technicians: readonly string[] }) {
  const [whose, setWhose] = useState('')
  const [error, setError] = useState('')
  const fetchIt = async () => {
    setError('')
    try {
      const url = URL.createObjectURL(await calendar(whose || undefined))
      const link = document.createElement('a')
      link.href = url
      link.download = 'plan.ics'
      link.click()
      setTimeout(() => URL.revokeObjectURL(url), 10_000)
    } catch (failure) {
      setError(why(failure))
    }
  }
  return (
    <span class="calendar">
      <label>
        <span class="hidden">Whose plan</span>
        <select value={whose} onChange={event => setWhose(event.currentTarget.value)}>
          <option value="">Everybody</option>
          {technicians.map(name => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button type="button" onClick={() => void fetchIt()}>
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
        <span>arrows: what must be done first</span>
      ) : null}
      {orders.some(order => order.pinned) ? <span>pin: stays where it is when the rest is planned anew</span> : null}
      {changed ? <span>dashed: moved by the new plan</span> : null}
    </p>
  )
}

function Board({ orders, query, again }: { orders: readonly WorkOrder[]; query: URLSearchParams; again: () => void }) {
  const now = Date.now()
  const write = useMay('write')
  const { said, say, pending, moved, change } = useAmend(orders, again)
  const shown = useMemo(
    () => (pending ? orders.map(order => (order.id === pending.id ? pending : order)) : orders),
    [orders, pending],
  )
  const chart = useMemo(() => layout(shown, now), [shown])
  const [days, setDays] = useState<number>(innerWidth < 700 ? 1 : 3)
  const wanted = query.get('order') ?? ''
  const known = orders.find(order => order.id === wanted)
  // An order that is done or cancelled is in no list here.
  const other = usePoll(async signal => (wanted && !known ? await workOrder(wanted, signal) : undefined), 60_000, [
    wanted,
    !known,
  ])
  const asset = query.get('asset')
  const chosen = known ?? other.data ?? (asset ? chart.bars.find(bar => bar.order.asset === asset)?.order : undefined)
  const [edit, setEdit] = useState(false)
  const details = useRef<HTMLDivElement>(null)
  const board = useRef<HTMLDivElement>(null)
  const late = orders.filter(order => overdue(order, now)).length
  const technicians = chart.rows.map(row => row.technician).filter(name => name !== NOBODY)
  // Who came by a link to one order sees it.
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
    // Who opened it by keyboard is back at the bar.
    board.current?.querySelector<SVGElement>(`[data-order="${CSS.escape(id ?? '')}"]`)?.focus()
  }
  const moveTo = (order: WorkOrder, scheduled: number, technician: string) =>
    void change(
      order,
      { scheduled_time: new Date(scheduled).toISOString(), technician },
      now =>
        `${work(now.kind)} on ${lastPart(now.asset)} is now with ${now.technician ?? 'nobody'}, ${now.scheduled === null ? 'no time' : whenOn(now.scheduled)}, and pinned there.`,
    )
  const changed = new Set(moved.map(order => order.id))
  return (
    <>
      <div class="section-head">
        <p class="faint">
          {counted(chart.bars.length, 'order')} placed{chart.waiting.length ? `, ${chart.waiting.length} without a place` : ''}
          {late ? (
            <>
              , <b class="at-limit">{late} overdue</b>
            </>
          ) : null}.{' '}
          {write && chart.bars.length ? <span class="hint">Drag a bar to pin it, or move it by the arrow keys and Enter.</span> : null}
        </p>
        {chart.bars.length ? (
          <div class="choices" role="group" aria-label="Time shown">
            {ZOOMS.map(zoom => (
              <button key={zoom.days} type="button" aria-pressed={zoom.days === days} onClick={() => setDays(zoom.days)}>
                {zoom.name}
              </button>
            ))}
          </div>
        ) : null}
      </div>
      <p role="status" class={said.text ? `said${said.bad ? ' failure-text' : ''}` : 'hidden'}>
        {said.text}
        {changed.size ? ` The rest is planned anew: ${counted(changed.size, 'other order')} moved.` : ''}
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
              move={write ? moveTo : undefined}
              say={say}
            />
          </div>
          <Legend orders={shown} changed={changed.size > 0} />
        </>
      ) : (
        <Empty title="No order has a place">
          <p>Each order below says why. The planner looks again by itself, such as when a technician is configured or freed.</p>
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
            write={write}
            change={change}
            close={close}
          />
        ) : null}
      </div>
      {chart.waiting.length ? (
        <section>
          <h2>Without a place</h2>
          <ul class="lines">
            {chart.waiting.map(order => (
              <li key={order.id}>
                <span class="tag">priority {order.priority}</span>
                <button type="button" class="as-link" onClick={() => choose(order)}>
                  {work(order.kind)}, {lastPart(order.asset)}
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
      {write ? <WhatIf orders={orders} technicians={technicians} /> : null}
    </>
  )
}

/** What is planned, what has no place, and what was done today. */
async function orders(signal: AbortSignal): Promise<readonly WorkOrder[]> {
  const from = new Date(dayStart(Date.now())).toISOString()
  const pages = await Promise.all([
    workOrders({ status: 'planned', limit: 500 }, signal),
    workOrders({ status: 'unscheduled', limit: 100 }, signal),
    workOrders({ status: 'done', from, limit: 100 }, signal),
  ])
  // The same list as before where no answer has changed, so that nothing is drawn anew.
  if (!last || pages.some((page, n) => page !== last!.pages[n]))
    last = { pages, items: pages.flatMap(page => page.items).sort(sooner) }
  return last.items
}

/** By their time; those without one at the end. */
const sooner = (one: WorkOrder, other: WorkOrder): number =>
  (one.scheduled ?? Infinity) === (other.scheduled ?? Infinity)
    ? one.priority - other.priority
    : (one.scheduled ?? Infinity) - (other.scheduled ?? Infinity)

let last: { pages: readonly object[]; items: readonly WorkOrder[] } | undefined

/** The page. */
export function SchedulePage({ query }: { query: URLSearchParams }) {
  const asked = usePoll(orders, 5_000, [], ['work-order'])
  return (
    <>
      <h1>Schedule</h1>
      <Shown of={asked} what="The schedule" lines={6}>
        {orders =>
          orders.length === 0 ? (
            <Empty title="No work is planned">
              <p>
                Every alert gets its work orders, placed on a technician who has the skills and the time. Technicians and their
                shifts stand in the configuration as <code>[[technician]]</code>:
              </p>
              <pre class="sample" tabIndex={0}>
                {
                  '[[technician]]\nname = "Ada"\nskills = ["mechanic", "vibration-analyst"]\nshifts = [{ days = ["mon", "tue"], start = "06:00", end = "14:00" }]'
                }
              </pre>
            </Empty>
          ) : (
            <Board orders={orders} query={query} again={asked.again} />
          )
        }
      </Shown>
    </>
  )
}
