// The schedule by technician: one bar per order, with arrows from prerequisite orders. Users with write permission
// drag a bar or move it with the arrow keys.

import { useEffect, useRef, useState } from 'preact/hooks'
import type { WorkOrder } from '../api'
import { formatClock, nameOf, formatMinutes, formatDay } from '../format'
import {
  type Bar,
  type GanttChart,
  midnights,
  dropTarget,
  UNASSIGNED,
  isOverdue,
  type OrderPosition,
  type TechnicianRow,
  keyTarget,
} from '../model/gantt'
import { onNavigationKey } from '../components/keyboard-nav'
import { usePersistentFocus } from '../components/use-persistent-focus'
import { useWidth } from '../components/use-width'
import { workName } from '../messages'

const HEAD_HEIGHT = 44
const LANE_HEIGHT = 34
const ROW_PADDING = 7
/** Approximate width of a letter in a bar, in pixels. */
const LETTER_WIDTH = 6.6
/** Width of a letter in a technician's name, which is larger and bold. */
const NAME_LETTER_WIDTH = 8.8

const NO_IDS: ReadonlySet<string> = new Set()

/** Called with the position that an order was moved to. */
export type Move = (order: WorkOrder, scheduled: number, technician: string) => void

/** Top and height of each row. */
function rowBounds(rows: readonly TechnicianRow[]): { top: number; height: number }[] {
  let top = HEAD_HEIGHT
  return rows.map(row => {
    const bounds = { top, height: row.lanes * LANE_HEIGHT + 2 * ROW_PADDING }
    top += bounds.height
    return bounds
  })
}

/** The chart. `move` is undefined if orders cannot be moved. */
export function Gantt({
  chart,
  shownDays,
  now,
  chosen,
  changed = NO_IDS,
  choose,
  move,
  announce,
}: {
  chart: GanttChart
  /** Days that fit in the width of the page. */
  shownDays: number
  now: number
  chosen: string | undefined
  /** Ids of orders that a new plan has moved. */
  changed?: ReadonlySet<string>
  /** `edit`: the order was chosen with a key that opens it. */
  choose: (order: WorkOrder, edit: boolean) => void
  move: Move | undefined
  /** Announces a move to screen readers. */
  announce: (text: string) => void
}) {
  const [scrollArea, width] = useWidth<HTMLDivElement>()
  const [drag, setDrag] = useState<{ id: string; x: number; y: number } | null>(null)
  const [pendingMove, setPendingMove] = useState<({ id: string } & OrderPosition) | null>(null)
  const focusHandlers = usePersistentFocus(scrollArea, () => setPendingMove(null))
  const dragStart = useRef({ x: 0, y: 0 })
  const dragged = useRef(false)
  const rows = rowBounds(chart.rows)
  const narrow = innerWidth <= 640
  const bottom = rows.length ? rows.at(-1)!.top + rows.at(-1)!.height : HEAD_HEIGHT + LANE_HEIGHT
  const perMillisecond = Math.max(120, width) / (shownDays * 24 * 3600_000)
  const fullWidth = Math.max(width, Math.ceil((chart.to - chart.from) * perMillisecond))
  const x = (time: number) => (time - chart.from) * perMillisecond
  const top = (bar: Bar) => rows[bar.row]!.top + ROW_PADDING + bar.lane * LANE_HEIGHT
  const rowAt = (y: number) => rows.findIndex(row => y >= row.top && y < row.top + row.height)
  // The chart is scrolled to the present, or to the chosen order.
  const focus = chart.bars.find(bar => bar.order.id === chosen)?.start ?? now
  useEffect(() => {
    const scroll = scrollArea.current
    if (!scroll || width === 0) return
    const left = x(focus)
    if (left < scroll.scrollLeft || left > scroll.scrollLeft + width - 60) scroll.scrollLeft = left - 60
  }, [width > 0, shownDays, chosen])
  const byId = new Map(chart.bars.map(bar => [bar.order.id, bar]))

  const onGrab = (bar: Bar) => (event: PointerEvent) => {
    if (!move || event.button !== 0 || bar.order.status !== 'planned') return
    if (event.pointerType === 'touch' && chosen !== bar.order.id) return
    dragStart.current = { x: event.clientX, y: event.clientY }
    dragged.current = false
    setPendingMove(null)
    ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
    setDrag({ id: bar.order.id, x: 0, y: 0 })
  }
  const onDrag = (event: PointerEvent) => {
    if (!drag) return
    const [offsetX, offsetY] = [event.clientX - dragStart.current.x, event.clientY - dragStart.current.y]
    // A hand is never quite still: ignore movements of up to 3 pixels.
    if (Math.hypot(offsetX, offsetY) > 3) dragged.current = true
    setDrag({ ...drag, x: offsetX, y: offsetY })
  }
  const onDrop = (bar: Bar) => () => {
    if (!drag) return
    const row = rowAt(top(bar) + drag.y + LANE_HEIGHT / 2)
    const to = dropTarget(bar, drag.x, row < 0 ? bar.row : row, chart, 1 / perMillisecond)
    setDrag(null)
    if (to && dragged.current) move?.(bar.order, to.scheduled, to.technician)
  }

  const onKey = (bar: Bar) => (event: KeyboardEvent) => {
    const { order } = bar
    const pending = pendingMove?.id === order.id ? pendingMove : undefined
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault()
      event.stopPropagation()
      setPendingMove(null)
      if (pending) move?.(order, pending.scheduled, pending.technician)
      else choose(order, true)
      return
    }
    if (event.key === 'Escape' && pending) {
      setPendingMove(null)
      announce('Not moved.')
      return
    }
    // With Shift, arrows move the focus between bars, as they do everywhere bars cannot be moved.
    if (!move || order.status !== 'planned' || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return
    const from = pending ?? { scheduled: bar.start, technician: order.technician ?? UNASSIGNED }
    if (!event.key.startsWith('Arrow')) return
    event.preventDefault()
    event.stopPropagation()
    const to = keyTarget(from, event.key, chart.rows)
    if (!to) return announce('There is no further technician; use the form to enter any name.')
    setPendingMove({ id: order.id, ...to })
    announce(
      `${workName(order.kind)} on ${nameOf(order.asset)}: ${formatDay(to.scheduled)} ${formatClock(to.scheduled)} with ${to.technician}. Press Enter to pin it there, Escape to cancel.`,
    )
    scrollArea.current?.scrollTo({ left: Math.max(0, x(to.scheduled) - width / 3) })
  }
  /** Offset of a bar from its planned position while it is dragged, or moved by keys and not yet confirmed. */
  const offset = (bar: Bar) => {
    if (drag?.id === bar.order.id) return { x: drag.x, y: drag.y }
    if (pendingMove?.id !== bar.order.id) return { x: 0, y: 0 }
    const row = chart.rows.findIndex(row => row.technician === pendingMove.technician)
    const y = row < 0 || row === bar.row ? 0 : rows[row]!.top + ROW_PADDING - top(bar)
    return { x: x(pendingMove.scheduled) - x(bar.start), y }
  }

  return (
    <div class="gantt">
      <div class="gantt-names" aria-hidden="true">
        <svg width="96" height={bottom}>
          {chart.rows.map((row, n) => (
            <text key={row.technician} x="0" y={rows[n]!.top + rows[n]!.height / 2 + 5}>
              {truncated(row.technician, narrow ? 58 : 94)}
              <title>{row.technician}</title>
            </text>
          ))}
        </svg>
      </div>
      <div
        class="gantt-scroll"
        ref={scrollArea}
        tabIndex={0}
        role="region"
        aria-label="Schedule by technician; scrolls horizontally"
      >
        {width > 0 ? (
          <svg
            width={fullWidth}
            height={bottom}
            role="group"
            aria-label={`${chart.bars.length} work orders`}
            onKeyDown={onNavigationKey}
          >
            {midnights(chart.from, chart.to).map(day => (
              <g key={day}>
                {[0, 6].includes(new Date(day).getDay()) ? (
                  <rect
                    class="weekend"
                    x={x(day)}
                    y={HEAD_HEIGHT}
                    width={24 * 3600_000 * perMillisecond}
                    height={bottom - HEAD_HEIGHT}
                  />
                ) : null}
                <line class="grid" x1={x(day)} x2={x(day)} y1={8} y2={bottom} />
                <text class="tick" x={x(day) + 6} y={20}>
                  {formatDay(day)}
                </text>
                {perMillisecond * 24 * 3600_000 > 150
                  ? [6, 12, 18].map(hour => (
                      <g key={hour}>
                        <line
                          class="grid fine"
                          x1={x(day + hour * 3600_000)}
                          x2={x(day + hour * 3600_000)}
                          y1={HEAD_HEIGHT - 4}
                          y2={bottom}
                        />
                        <text class="tick" x={x(day + hour * 3600_000)} y={36} text-anchor="middle">
                          {formatClock(day + hour * 3600_000)}
                        </text>
                      </g>
                    ))
                  : null}
              </g>
            ))}
            {rows.map((row, n) => (
              <line key={n} class="grid" x1="0" x2={fullWidth} y1={row.top} y2={row.top} />
            ))}
            {chart.bars.flatMap(bar =>
              bar.order.after.flatMap(id => {
                const first = byId.get(id)
                if (!first) return []
                const [x1, y1, x2, y2] = [
                  x(first.end),
                  top(first) + LANE_HEIGHT / 2 - 3,
                  x(bar.start),
                  top(bar) + LANE_HEIGHT / 2 - 3,
                ]
                const bend = Math.max(10, (x2 - x1) / 2)
                return [
                  <path
                    key={`${id} ${bar.order.id}`}
                    class="after"
                    d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - 5} ${y2}`}
                  />,
                  <path key={`${id} ${bar.order.id} head`} class="after-head" d={`M${x2} ${y2}l-7 -4v8z`} />,
                ]
              }),
            )}
            <line class="now" x1={x(now)} x2={x(now)} y1={HEAD_HEIGHT - 8} y2={bottom} />
            {chart.bars.map(bar => {
              const { order } = bar
              const barWidth = Math.max(8, (bar.end - bar.start) * perMillisecond)
              const barOffset = offset(bar)
              const text = `${workName(order.kind)}, ${nameOf(order.asset)}`
              return (
                <g
                  key={order.id}
                  class={[
                    `bar p${order.priority} ${order.status}`,
                    chosen === order.id ? 'chosen' : '',
                    move ? 'movable' : '',
                    order.pinned ? 'pinned' : '',
                    changed.has(order.id) ? 'changed' : '',
                    pendingMove?.id === order.id ? 'pending-move' : '',
                  ].join(' ')}
                  transform={`translate(${x(bar.start) + barOffset.x} ${top(bar) + barOffset.y})`}
                  tabindex={0}
                  role="button"
                  data-item
                  data-order={order.id}
                  aria-pressed={chosen === order.id}
                  aria-label={`${text}, priority ${order.priority}, ${order.technician ?? 'not assigned'}, ${formatDay(bar.start)} ${formatClock(bar.start)}, ${formatMinutes(order.minutes)}${order.pinned ? ', pinned' : ''}${isOverdue(order, now) ? ', overdue' : ''}`}
                  onClick={() => {
                    // The end of a drag is not a click.
                    if (!dragged.current) choose(order, false)
                    dragged.current = false
                  }}
                  onKeyDown={onKey(bar)}
                  {...focusHandlers}
                  onPointerDown={onGrab(bar)}
                  onPointerMove={onDrag}
                  onPointerUp={onDrop(bar)}
                  onPointerCancel={() => setDrag(null)}
                >
                  <title>{isOverdue(order, now) ? `${text}, overdue` : text}</title>
                  <rect width={barWidth} height={LANE_HEIGHT - 6} rx="4" />
                  {order.pinned ? (
                    <path class="pin" transform={`translate(${barWidth - 5} 1)`} d="M0 0a4 4 0 1 1 .01 0M0 0v5" />
                  ) : null}
                  <text x="5" y={LANE_HEIGHT / 2 + 1}>
                    {fittingText([text, nameOf(order.asset)], barWidth - (order.pinned ? 10 : 0))}
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

/** Truncates a name that is too long for its column. The full name is in its title and in the table. */
function truncated(name: string, pixels: number): string {
  const maxLetters = Math.floor(pixels / NAME_LETTER_WIDTH)
  return name.length <= maxLetters ? name : `${name.slice(0, maxLetters - 1).trimEnd()}…`
}

/** The first text that fits completely: a truncated name (`pump-1` of `pump-15`) would be that of another machine. */
function fittingText(candidates: readonly string[], pixels: number): string {
  return candidates.find(text => text.length * LETTER_WIDTH + 8 <= pixels) ?? ''
}
