// Changes at the mock server: actions on anomalies, machines and work orders, and what-if plans. Instead of a planner,
// it moves conflicting orders after a short delay, as the real one does.
import { randomBytes } from 'node:crypto'
import { rejectUnknown, problem } from './mock-auth.mjs'

const RESET_REASONS = ['repaired', 'replaced', 'cleaned', 'new-operating-mode', 'new-normal']
const ACTIONS = ['acknowledge', 'handle', 'false-alarm', 'comment', 'order-repair']
const PLANNER_DELAY = 600

export function mockActions({ tables, clock, emit, audit }) {
  const actions = new Map()
  const tasks = new Map()
  const id = () => randomBytes(16).toString('hex')
  const orders = tables['work-orders']
  const end = order => Date.parse(order.scheduled_time) + order.estimated_duration_minutes * 60_000

  /** Moves orders that overlap pinned ones behind them. */
  function replan() {
    for (const name of new Set(orders.map(order => order.technician))) {
      const own = orders
        .filter(order => order.technician === name && order.status === 'planned' && order.scheduled_time)
        .sort(
          (a, b) =>
            Number(b.pinned ?? false) - Number(a.pinned ?? false) ||
            Date.parse(a.scheduled_time) - Date.parse(b.scheduled_time),
        )
      const placed = []
      for (const order of own) {
        for (;;) {
          const [from, to] = [Date.parse(order.scheduled_time), end(order)]
          const other = placed.find(other => from < end(other) && Date.parse(other.scheduled_time) < to)
          if (!other || order.pinned) break
          order.scheduled_time = new Date(end(other)).toISOString()
        }
        placed.push(order)
      }
    }
    for (const order of orders.filter(order => order.status === 'planned')) emit('work-order', order)
  }

  function record(action, target, asset, text, me) {
    const row = { id: id(), time: new Date(clock()).toISOString(), action, target, asset, actor: me.user, text }
    actions.set(target, [...(actions.get(target) ?? []), row])
    return row
  }

  const withActions = anomaly => ({ ...anomaly, actions: actions.get(anomaly.id) ?? [] })

  function performAction(anomaly, name, body, me) {
    if (!ACTIONS.includes(name)) return problem(404, `there is no route at ${name}`)
    const wrong = rejectUnknown(body, ['comment'])
    if (wrong) return wrong
    if (name === 'comment' && !body.comment) return problem(422, 'a comment requires a text')
    record(name, anomaly.id, anomaly.asset, body.comment ?? '', me)
    audit(me.user, `anomaly.${name}`, anomaly.id, 'ok')
    if (name === 'handle' || name === 'false-alarm') anomaly.handled = true
    emit('anomaly', anomaly)
    if (name === 'order-repair') setTimeout(() => order(anomaly), PLANNER_DELAY * 2).unref()
    return { status: 200, body: withActions(anomaly) }
  }

  function order(anomaly) {
    const open = orders.some(order => order.asset === anomaly.asset && order.status === 'planned')
    if (open) return replan()
    const start = Math.ceil(clock() / 3600_000) * 3600_000 + 2 * 3600_000
    orders.push({
      id: id(),
      alert: anomaly.id,
      asset: anomaly.asset,
      type: 'bearing-replacement',
      priority: 2,
      status: 'planned',
      scheduled_time: new Date(start).toISOString(),
      estimated_duration_minutes: 90,
      technician: orders.find(order => order.technician)?.technician ?? 'Ada',
      skills: '["mechanic"]',
      after: '[]',
      cost: 180,
      notes: `${anomaly.asset}: ordered by hand.`,
      pinned: false,
    })
    replan()
  }

  /** Resolves the alerts of the machine at once, as the line does soon after the response. */
  function closeAlerts(asset) {
    for (const alert of tables.alerts.filter(alert => alert.asset === asset && alert.state === 'open')) {
      const now = new Date(clock()).toISOString()
      Object.assign(alert, { state: 'resolved', resolved: now, updated: now })
      emit('alert', alert)
    }
  }

  function resetBaseline(asset, body, me) {
    const wrong = rejectUnknown(body, ['reason', 'comment'])
    if (wrong) return wrong
    if (!RESET_REASONS.includes(body.reason)) return problem(422, `reason must be one of ${RESET_REASONS.join(', ')}`)
    closeAlerts(asset)
    audit(me.user, 'machine.reset-baseline', asset, 'ok')
    return { status: 200, body: record('reset-baseline', asset, asset, JSON.stringify(body), me) }
  }

  function patch(order, body, me) {
    const wrong = rejectUnknown(body, ['scheduled_time', 'technician', 'pinned', 'status', 'reset_baseline'])
    if (wrong) return wrong
    if (body.reset_baseline && body.status !== 'done')
      return problem(409, 'reset_baseline is true, but the change does not finish the work order')
    if (Object.keys(body).length === 0)
      return problem(422, 'no change is given; set scheduled_time, technician, pinned or status')
    if (body.status && !['planned', 'done', 'cancelled'].includes(body.status))
      return problem(422, 'status must be one of planned, done, cancelled')
    if (body.scheduled_time && Number.isNaN(Date.parse(body.scheduled_time)))
      return problem(422, 'scheduled_time is not a time')
    const moved = body.scheduled_time !== undefined || body.technician !== undefined
    const { reset_baseline: resets, ...change } = body
    Object.assign(order, change, moved && body.pinned === undefined ? { pinned: true } : {})
    record('amend', order.id, order.asset, JSON.stringify(body), me)
    if (resets) closeAlerts(order.asset)
    audit(me.user, 'work-order.amend', order.id, 'ok')
    setTimeout(replan, PLANNER_DELAY).unref()
    return { status: 200, body: order }
  }

  function schedule(body) {
    const wrong =
      rejectUnknown(body, ['sensor_ids', 'time_horizon_hours', 'constraints']) ??
      rejectUnknown(body.constraints ?? {}, ['technicians', 'not_before'])
    if (wrong) return wrong
    if (!Array.isArray(body.sensor_ids)) return problem(422, 'sensor_ids must be a list')
    const task = id()
    tasks.set(task, { createdAt: Date.now(), body })
    const url = `/api/v1/maintenance/status/${task}`
    return { status: 202, body: { task_id: task, status: 'queued', check_status_url: url }, headers: { Location: url } }
  }

  function status(task) {
    const found = tasks.get(task)
    if (!found) return problem(404, `there is no task "${task}"`)
    const progress = Math.min(1, (Date.now() - found.createdAt) / 1500)
    const done = progress === 1
    const { technicians, not_before: after } = found.body.constraints ?? {}
    const earliest = after ? Date.parse(after) : clock()
    const planned = orders
      .filter(order => order.status === 'planned')
      .map(order => ({
        ...order,
        scheduled_time: new Date(Math.max(earliest, Date.parse(order.scheduled_time))).toISOString(),
        technician: technicians && !technicians.includes(order.technician) ? technicians[0] : order.technician,
      }))
      .sort((a, b) => Date.parse(a.scheduled_time) - Date.parse(b.scheduled_time))
    const plan = {
      work_orders: planned,
      unscheduled: 1,
      makespan_hours: Math.max(0, ...planned.map(order => (end(order) - clock()) / 3600_000)),
      cost: planned.reduce((sum, order) => sum + order.cost, 0),
    }
    return {
      status: 200,
      body: {
        task_id: task,
        status: done ? 'done' : 'queued',
        progress,
        created: new Date(clock()).toISOString(),
        finished: done ? new Date(clock()).toISOString() : null,
        plan: done ? plan : null,
      },
    }
  }

  const ics = technician => {
    const stamp = time => new Date(time).toISOString().replace(/[-:]|\.\d+/g, '')
    const events = orders
      .filter(order => order.status === 'planned' && (!technician || order.technician === technician))
      .flatMap(order => [
        'BEGIN:VEVENT',
        `UID:${order.id}@wheeltapper`,
        `DTSTAMP:${stamp(clock())}`,
        `DTSTART:${stamp(order.scheduled_time)}`,
        `DTEND:${stamp(end(order))}`,
        `SUMMARY:${order.type} ${order.asset}`,
        'END:VEVENT',
      ])
    const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//wheeltapper//EN', ...events, 'END:VCALENDAR', '']
    return { status: 200, text: lines.join('\r\n'), headers: { 'Content-Type': 'text/calendar; charset=utf-8' } }
  }

  return { performAction, resetBaseline, patch, schedule, status, ics, withActions, actions }
}
