// Who repairs what when.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type ApiError, canMove, move, type WorkOrder, workOrders } from '../api'
import { Gantt } from '../charts/gantt'
import { counted, inFull, lastPart, minutes, number, placeOf, whenOn } from '../format'
import { layout } from '../model/gantt'
import { onArrows } from '../parts/arrows'
import { Empty, Shown } from '../parts/notes'
import { usePoll } from '../poll'
import { link, setQuery } from '../router'
import { orderStatus, work } from '../words'

const ZOOMS = [
  { days: 1, name: 'Day' },
  { days: 3, name: '3 days' },
  { days: 7, name: 'Week' },
] as const

function Details({ order, all, close }: { order: WorkOrder; all: readonly WorkOrder[]; close: () => void }) {
  const before = all.filter(other => order.after.includes(other.id))
  const next = all.filter(other => other.after.includes(order.id))
  return (
    <section class={`card order p${order.priority}`} aria-label="The chosen order">
      <div class="card-head">
        <h2 class="row-title">
          {work(order.kind)} on <a href={link('machine', order.asset)}>{lastPart(order.asset)}</a>{' '}
          <span class="faint">{placeOf(order.asset)}</span>
        </h2>
        <button type="button" class="quiet" onClick={close}>
          Close
        </button>
      </div>
      <dl class="facts">
        <div>
          <dt>Status</dt>
          <dd>{orderStatus(order.status)}</dd>
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
          <dt>Cost</dt>
          <dd>{number(order.cost)}</dd>
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
      <p>{order.notes}</p>
    </section>
  )
}

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
              <td>
                <a href={link('machine', order.asset)}>{lastPart(order.asset)}</a>
              </td>
              <td>{order.technician ?? '–'}</td>
              <td class="nowrap">{minutes(order.minutes)}</td>
              <td>
                <span class={`priority p${order.priority}`}>{order.priority}</span>
              </td>
              <td>{orderStatus(order.status)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Board({ orders, query }: { orders: readonly WorkOrder[]; query: URLSearchParams }) {
  const now = Date.now()
  const chart = useMemo(() => layout(orders, now), [orders])
  const narrow = innerWidth < 700
  const [days, setDays] = useState<number>(narrow ? 1 : 3)
  const [movable, setMovable] = useState(false)
  const [said, setSaid] = useState('')
  const chosen = orders.find(order => order.id === query.get('order'))
  const first = chart.bars[0]?.order.id
  const details = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (first) void canMove(first).then(setMovable)
  }, [first])
  // Who came by a link to one order sees it.
  useEffect(() => {
    if (chosen) details.current?.firstElementChild?.scrollIntoView({ block: 'nearest' })
  }, [chosen?.id])
  const choose = (order: WorkOrder | undefined) => setQuery({ order: order?.id ?? '' })
  const moveTo = async (order: WorkOrder, scheduled: number, technician: string) => {
    setSaid('Moving')
    try {
      await move(order.id, scheduled, technician)
      setSaid(`${work(order.kind)} on ${lastPart(order.asset)} is now with ${technician}, ${whenOn(scheduled)}.`)
    } catch (failure) {
      setSaid(`It was not moved: ${(failure as ApiError).message}`)
    }
  }
  return (
    <>
      <div class="section-head">
        <p class="faint">
          {counted(chart.bars.length, 'order')} placed{chart.waiting.length ? `, ${chart.waiting.length} without a place` : ''}.{' '}
          {movable ? 'Drag a bar to move it.' : ''}
        </p>
        <div class="choices" role="group" aria-label="Time shown">
          {ZOOMS.map(zoom => (
            <button key={zoom.days} type="button" aria-pressed={zoom.days === days} onClick={() => setDays(zoom.days)}>
              {zoom.name}
            </button>
          ))}
        </div>
      </div>
      <p role="status" class={said ? '' : 'hidden'}>
        {said}
      </p>
      <Gantt
        chart={chart}
        shownDays={days}
        now={now}
        chosen={chosen?.id}
        choose={choose}
        move={movable ? (...to) => void moveTo(...to) : undefined}
      />
      <p class="legend faint">
        {[1, 2, 3, 4, 5]
          .filter(priority => chart.bars.some(bar => bar.order.priority === priority))
          .map(priority => (
            <span key={priority}>
              <span class={`priority p${priority}`}>{priority}</span>{' '}
              {['most urgent', 'urgent', 'soon', 'can wait', 'least urgent'][priority - 1]}
            </span>
          ))}
        <span>arrows: what must be done first</span>
      </p>
      <div ref={details}>{chosen ? <Details order={chosen} all={orders} close={() => choose(undefined)} /> : null}</div>
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
      <h2>Orders</h2>
      <Orders orders={orders} chosen={chosen?.id} choose={choose} />
    </>
  )
}

/** The page. */
export function SchedulePage({ query }: { query: URLSearchParams }) {
  const asked = usePoll(signal => workOrders({ limit: 1000 }, signal), 5_000, [])
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
            <Board orders={orders} query={query} />
          )
        }
      </Shown>
    </>
  )
}
