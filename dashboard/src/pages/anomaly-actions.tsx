// What people do about an anomaly, and what they did.

import { useEffect, useRef, useState } from 'preact/hooks'
import { useMay } from '../access'
import { act, type Action, type Anomaly, type Deed, machineOrders, type WorkOrder } from '../api'
import { lastPart, whenOn } from '../format'
import { repairOf } from '../model/deeds'
import { Confirm } from '../parts/dialog'
import { why } from '../parts/failed'
import { Time } from '../parts/time'
import { usePoll } from '../poll'
import { link } from '../router'
import { deedName, work } from '../words'

const FALSE_ALARM = 'Called a false alarm; it counts as dealt with.'

const BUTTONS: readonly { deed: Deed; name: string; done: string; said: string }[] = [
  { deed: 'acknowledge', name: 'Acknowledge', done: 'Acknowledged', said: 'Acknowledged: others see that you have seen it.' },
  { deed: 'false-alarm', name: 'False alarm', done: 'False alarm', said: FALSE_ALARM },
  { deed: 'order-repair', name: 'Order repair', done: 'Repair ordered', said: 'The repair is ordered.' },
]

/** How often is asked for an order that was just wanted, and how long. */
const SOON = 1_500
const PATIENCE = 90_000

/** The order for the repair, as soon as the planner has made one. */
function Repair({ of, wanted }: { of: Anomaly; wanted: number | undefined }) {
  const [late, setLate] = useState(false)
  const found = useRef<WorkOrder | undefined>(undefined)
  const asked = usePoll(
    signal => machineOrders(of.asset, signal),
    wanted !== undefined && !found.current ? SOON : 10_000,
    [of.asset, wanted],
    ['work-order'],
  )
  found.current = repairOf(asked.data ?? [], of)
  const order = found.current
  useEffect(() => {
    setLate(false)
    if (wanted === undefined) return
    const timer = setTimeout(() => setLate(true), PATIENCE)
    return () => clearTimeout(timer)
  }, [wanted])
  if (order)
    return (
      <p class="repair">
        <b>Repair:</b>{' '}
        <a href={link('schedule', '', { order: order.id })}>
          {work(order.kind)}
          {order.scheduled === null ? ', no time yet' : `, ${whenOn(order.scheduled)}`}
          {order.technician ? `, ${order.technician}` : ''}
        </a>{' '}
        <span class="faint">on the schedule</span>
      </p>
    )
  if (wanted === undefined) return null
  return (
    <p class="repair faint" role="status">
      {late ? (
        <>
          The planner has made no order yet. It will stand on the <a href={link('schedule')}>schedule</a>; look whether any
          technician is configured.
        </>
      ) : (
        'The planner is looking for a technician and a time.'
      )}
    </p>
  )
}

function History({ actions, sending }: { actions: readonly Action[]; sending: { deed: Deed; text: string } | undefined }) {
  if (actions.length === 0 && !sending) return <p class="faint">Nobody has done anything about it yet.</p>
  return (
    <ol class="lines history">
      {actions.map(action => (
        <li key={action.id}>
          <Time at={action.time} />
          <b>{action.actor || 'Somebody'}</b>
          <span class="tag">{deedName(action.deed)}</span>
          {action.text ? <span class="line-text">{action.text}</span> : null}
        </li>
      ))}
      {sending ? (
        <li class="sending">
          <span class="faint">now</span>
          <b>You</b>
          <span class="tag">{deedName(sending.deed)}</span>
          <span class="line-text faint">{sending.text ? `${sending.text} (being sent)` : 'being sent'}</span>
        </li>
      ) : null}
    </ol>
  )
}

/** Buttons for who may write, and the history for all. `changed` takes the anomaly as the host answers it. */
export function Actions({ of, changed }: { of: Anomaly; changed: (anomaly: Anomaly) => void }) {
  const write = useMay('write')
  const [sending, setSending] = useState<{ deed: Deed; text: string }>()
  const [said, setSaid] = useState<{ text: string; bad: boolean }>()
  const [comment, setComment] = useState('')
  const [wanted, setWanted] = useState<number>()
  const [sure, setSure] = useState(false)
  const done = (deed: Deed) => of.actions.some(action => action.deed === deed)
  const run = async (deed: Deed, text: string, success: string) => {
    if (sending) return false
    setSending({ deed, text })
    setSaid(undefined)
    try {
      changed(await act(of.id, deed, text))
      setSaid({ text: success, bad: false })
      if (deed === 'order-repair') setWanted(Date.now())
      return true
    } catch (failure) {
      setSaid({ text: why(failure), bad: true })
      return false
    } finally {
      setSending(undefined)
    }
  }
  const remark = async (event: SubmitEvent) => {
    event.preventDefault()
    const text = comment.trim()
    if (text && (await run('comment', text, 'Your remark is kept.'))) setComment('')
  }
  return (
    <section class="doings" aria-label="What is done about it">
      {write ? (
        <div class="actions">
          {BUTTONS.map(({ deed, name, done: past, said }) => (
            <button
              key={deed}
              type="button"
              class={deed === 'order-repair' && !done(deed) ? 'primary' : ''}
              // Not `disabled`, which would lose the focus of who came by keyboard.
              aria-disabled={done(deed) || sending !== undefined}
              onClick={() => {
                if (done(deed)) return
                // It cannot be taken back, and lies beside what one presses in haste.
                if (deed === 'false-alarm') setSure(true)
                else void run(deed, '', said)
              }}
            >
              {done(deed) ? `✓ ${past}` : sending?.deed === deed ? `${name} …` : name}
            </button>
          ))}
          <span role="status" class={said?.bad ? 'failure-text' : ''}>
            {said?.text}
          </span>
        </div>
      ) : null}
      {sure ? (
        <Confirm
          title="Call it a false alarm?"
          yes="It is a false alarm"
          no="Leave it"
          onNo={() => setSure(false)}
          onYes={() => {
            setSure(false)
            void run('false-alarm', '', FALSE_ALARM)
          }}
        >
          <p>It then counts as dealt with, for everybody. This cannot be taken back.</p>
        </Confirm>
      ) : null}
      <Repair of={of} wanted={wanted} />
      <h2>What people did</h2>
      <History actions={of.actions} sending={sending} />
      {write ? (
        <form class="remark" onSubmit={event => void remark(event)}>
          <label>
            Remark
            <textarea
              rows={2}
              value={comment}
              maxLength={2000}
              placeholder={`What you saw or did at ${lastPart(of.asset)}`}
              onInput={event => setComment(event.currentTarget.value)}
            />
          </label>
          <button type="submit" aria-disabled={sending !== undefined || comment.trim() === ''}>
            Add remark
          </button>
        </form>
      ) : null}
    </section>
  )
}
