// The schedule by technician: a bar an order, arrows from what must be done first. Who may change it drags a bar, or moves it
// by the arrow keys.

import { useEffect, useRef, useState } from 'preact/hooks'
import type { WorkOrder } from '../api'
import { atClock, lastPart, minutes, onDay } from '../format'
import { type Bar, type Chart, days, dropped, NOBODY, type Place, type Row, stepped } from '../model/gantt'
import { onArrows } from '../parts/arrows'
import { useKeptFocus } from '../parts/kept-focus'
import { useWidth } from '../parts/width'
import { work } from '../words'

const HEAD = 44
const LANE = 34
const PAD = 7
/** Width of a letter in a bar, roughly. */
const LETTER = 6.6

const NONE: ReadonlySet<string> = new Set()

/** Where a drop goes. */
export type Move = (order: WorkOrder, scheduled: number, technician: string) => void

/** Tops and heights of the rows. */
function heights(rows: readonly Row[]): { top: number; height: number }[] {
  let top = HEAD
  return rows.map(row => {
    const own = { top, height: row.lanes * LANE + 2 * PAD }
    top += own.height
    return own
  })
}

/** The picture. `move` is there when orders may be moved. */
export function Gantt({
  chart,
  shownDays,
  now,
  chosen,
  changed = NONE,
  choose,
  move,
  say,
}: {
  chart: Chart
  /** Days that the width of the page holds. */
  shownDays: number
  now: number
  chosen: string | undefined
  /** Ids of orders that a new plan has moved. */
  changed?: ReadonlySet<string>
  /** `edit`: by a key that opens things. */
  choose: (order: WorkOrder, edit: boolean) => void
  move: Move | undefined
  /** For who does not see where a bar goes. */
  say: (text: string) => void
}) {
  const [place, width] = useWidth<HTMLDivElement>()
  const [drag, setDrag] = useState<{ id: string; x: number; y: number } | null>(null)
  const [held, setHeld] = useState<({ id: string } & Place) | null>(null)
  const focusing = useKeptFocus(place, () => setHeld(null))
  const began = useRef({ x: 0, y: 0 })
  const dragged = useRef(false)
  const rows = heights(chart.rows)
  const bottom = rows.length ? rows.at(-1)!.top + rows.at(-1)!.height : HEAD + LANE
  const perMillisecond = Math.max(120, width) / (shownDays * 24 * 3600_000)
  const whole = Math.max(width, Math.ceil((chart.to - chart.from) * perMillisecond))
  const x = (time: number) => (time - chart.from) * perMillisecond
  const top = (bar: Bar) => rows[bar.row]!.top + PAD + bar.lane * LANE
  const rowAt = (y: number) => rows.findIndex(row => y >= row.top && y < row.top + row.height)
  // The picture begins where work is now, or at the chosen order.
  const focus = chart.bars.find(bar => bar.order.id === chosen)?.start ?? now
  useEffect(() => {
    const scroll = place.current
    if (!scroll || width === 0) return
    const left = x(focus)
    if (left < scroll.scrollLeft || left > scroll.scrollLeft + width - 60) scroll.scrollLeft = left - 60
  }, [width > 0, shownDays, chosen])
  const byId = new Map(chart.bars.map(bar => [bar.order.id, bar]))

  const grab = (bar: Bar) => (event: PointerEvent) => {
    if (!move || event.button !== 0 || bar.order.status !== 'planned') return
    if (event.pointerType === 'touch' && chosen !== bar.order.id) return
    began.current = { x: event.clientX, y: event.clientY }
    dragged.current = false
    setHeld(null)
    ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
    setDrag({ id: bar.order.id, x: 0, y: 0 })
  }
  const pull = (event: PointerEvent) => {
    if (!drag) return
    const [byX, byY] = [event.clientX - began.current.x, event.clientY - began.current.y]
    // A hand is never quite still.
    if (Math.hypot(byX, byY) > 3) dragged.current = true
    setDrag({ ...drag, x: byX, y: byY })
  }
  const drop = (bar: Bar) => () => {
    if (!drag) return
    const row = rowAt(top(bar) + drag.y + LANE / 2)
    const to = dropped(bar, drag.x, row < 0 ? bar.row : row, chart, 1 / perMillisecond)
    setDrag(null)
    if (to && dragged.current) move?.(bar.order, to.scheduled, to.technician)
  }

  const press = (bar: Bar) => (event: KeyboardEvent) => {
    const { order } = bar
    const own = held?.id === order.id ? held : undefined
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault()
      event.stopPropagation()
      setHeld(null)
      if (own) move?.(order, own.scheduled, own.technician)
      else choose(order, true)
      return
    }
    if (event.key === 'Escape' && own) {
      setHeld(null)
      say('Left where it was.')
      return
    }
    // With Shift, arrows go from bar to bar, as everywhere where bars cannot be moved.
    if (!move || order.status !== 'planned' || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return
    const from = own ?? { scheduled: bar.start, technician: order.technician ?? NOBODY }
    if (!event.key.startsWith('Arrow')) return
    event.preventDefault()
    event.stopPropagation()
    const to = stepped(from, event.key, chart.rows)
    if (!to) return say('There is no technician further on; the form takes any name.')
    setHeld({ id: order.id, ...to })
    say(
      `${work(order.kind)} on ${lastPart(order.asset)}: ${onDay(to.scheduled)} ${atClock(to.scheduled)} with ${to.technician}. Enter pins it there, Escape leaves it.`,
    )
    place.current?.scrollTo({ left: Math.max(0, x(to.scheduled) - width / 3) })
  }
  /** How far a bar is drawn from its place: by the hand, or by keys that are not confirmed yet. */
  const offset = (bar: Bar) => {
    if (drag?.id === bar.order.id) return { x: drag.x, y: drag.y }
    if (held?.id !== bar.order.id) return { x: 0, y: 0 }
    const row = chart.rows.findIndex(row => row.technician === held.technician)
    const y = row < 0 || row === bar.row ? 0 : rows[row]!.top + PAD - top(bar)
    return { x: x(held.scheduled) - x(bar.start), y }
  }

  return (
    <div class="gantt">
      <div class="gantt-names" aria-hidden="true">
        <svg width="96" height={bottom}>
          {chart.rows.map((row, n) => (
            <text key={row.technician} x="0" y={rows[n]!.top + rows[n]!.height / 2 + 5}>
              {row.technician}
            </text>
          ))}
        </svg>
      </div>
      <div class="gantt-scroll" ref={place} tabIndex={0} role="region" aria-label="Schedule by technician; scrolls sideways">
        {width > 0 ? (
          <svg width={whole} height={bottom} role="group" aria-label={`${chart.bars.length} work orders`} onKeyDown={onArrows}>
            {days(chart.from, chart.to).map(day => (
              <g key={day}>
                {[0, 6].includes(new Date(day).getDay()) ? (
                  <rect class="weekend" x={x(day)} y={HEAD} width={24 * 3600_000 * perMillisecond} height={bottom - HEAD} />
                ) : null}
                <line class="grid" x1={x(day)} x2={x(day)} y1={8} y2={bottom} />
                <text class="tick" x={x(day) + 6} y={20}>
                  {onDay(day)}
                </text>
                {perMillisecond * 24 * 3600_000 > 150
                  ? [6, 12, 18].map(hour => (
                      <g key={hour}>
                        <line
                          class="grid fine"
                          x1={x(day + hour * 3600_000)}
                          x2={x(day + hour * 3600_000)}
                          y1={HEAD - 4}
                          y2={bottom}
                        />
                        <text class="tick" x={x(day + hour * 3600_000)} y={36} text-anchor="middle">
                          {atClock(day + hour * 3600_000)}
                        </text>
                      </g>
                    ))
                  : null}
              </g>
            ))}
            {rows.map((row, n) => (
              <line key={n} class="grid" x1="0" x2={whole} y1={row.top} y2={row.top} />
            ))}
            {chart.bars.flatMap(bar =>
              bar.order.after.flatMap(id => {
                const first = byId.get(id)
                if (!first) return []
                const [x1, y1, x2, y2] = [x(first.end), top(first) + LANE / 2 - 3, x(bar.start), top(bar) + LANE / 2 - 3]
                const bend = Math.max(10, (x2 - x1) / 2)
                return [
                  <path
                    key={`${id} ${bar.order.id}`}
                    class="after"
                    d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}
                  />,
                ]
              }),
            )}
            <line class="now" x1={x(now)} x2={x(now)} y1={HEAD - 8} y2={bottom} />
            {chart.bars.map(bar => {
              const { order } = bar
              const long = Math.max(8, (bar.end - bar.start) * perMillisecond)
              const moved = offset(bar)
              const text = `${work(order.kind)}, ${lastPart(order.asset)}`
              return (
                <g
                  key={order.id}
                  class={[
                    `bar p${order.priority} ${order.status}`,
                    chosen === order.id ? 'chosen' : '',
                    move ? 'movable' : '',
                    order.pinned ? 'pinned' : '',
                    changed.has(order.id) ? 'changed' : '',
                    held?.id === order.id ? 'held' : '',
                  ].join(' ')}
                  transform={`translate(${x(bar.start) + moved.x} ${top(bar) + moved.y})`}
                  tabindex={0}
                  role="button"
                  data-item
                  data-order={order.id}
                  aria-pressed={chosen === order.id}
                  aria-label={`${text}, priority ${order.priority}, ${order.technician ?? 'nobody'}, ${onDay(bar.start)} ${atClock(bar.start)}, ${minutes(order.minutes)}${order.pinned ? ', pinned' : ''}`}
                  onClick={() => {
                    // The end of a drag is no click.
                    if (!dragged.current) choose(order, false)
                    dragged.current = false
                  }}
                  onKeyDown={press(bar)}
                  {...focusing}
                  onPointerDown={grab(bar)}
                  onPointerMove={pull}
                  onPointerUp={drop(bar)}
                  onPointerCancel={() => setDrag(null)}
                >
                  <title>{text}</title>
                  <rect width={long} height={LANE - 6} rx="4" />
                  {order.pinned ? (
                    <path class="pin" transform={`translate(${long - 5} 1)`} d="M0 0a4 4 0 1 1 .01 0M0 0v5" />
                  ) : null}
                  <text x="5" y={LANE / 2 + 1}>
                    {fitted([text, lastPart(order.asset)], long - (order.pinned ? 10 : 0))}
                  </text>
                </g>
              )
            })}
          </svg>
        ) : null}
      </div>
    </div>
  )
}

/** The first text that fits whole: a name that is cut (`pump-1` of `pump-15`) would be another machine's. */
function fitted(texts: readonly string[], pixels: number): string {
  return texts.find(text => text.length * LETTER + 8 <= pixels) ?? ''
}
