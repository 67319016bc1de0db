// Server-Sent Events of the mock server. `how`: `live`; `short`, which sends the events since the last id and closes,
// as platforms without a long-lived host do; or `none`.
export function mockStreams(how, readings) {
  const open = new Set()
  const sentEvents = []
  const stats = { opened: 0, resumed: 0 }
  const timers = new Set()

  function emit(kind, row) {
    const event = { id: sentEvents.length + 1, kind, row }
    sentEvents.push(event)
    for (const send of open) send(event)
  }

  function begin(response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    response.write('retry: 2000\n\n')
    stats.opened++
  }

  function events(request, response, url) {
    const last = request.headers['last-event-id'] ?? url.searchParams.get('last_event_id')
    begin(response)
    const send = ({ id, kind, row }) =>
      response.write(`event: ${kind}\n${how === 'short' ? '' : `id: ${id}\n`}data: ${JSON.stringify(row)}\n\n`)
    if (last !== undefined && last !== null) {
      stats.resumed++
      sentEvents.filter(({ id }) => id > Number(last)).forEach(send)
    }
    // The id is at the end: a client that is cut off before it receives all events again.
    if (how === 'short') return response.end(`id: ${sentEvents.length}\n\n`)
    open.add(send)
    response.on('close', () => open.delete(send))
  }

  function sensor(request, response, name) {
    begin(response)
    let last = Number(BigInt(request.headers['last-event-id'] ?? Date.now() * 1e6) / 1_000_000n)
    const send = () => {
      const items = (readings.get(name) ?? []).filter(({ time }) => time > last)
      if (items.length === 0) return
      last = items.at(-1).time
      const data = {
        sensor: name,
        items: items.map(({ time, value }) => ({ time: new Date(time).toISOString(), value })),
      }
      response.write(`event: readings\nid: ${BigInt(last) * 1_000_000n}\ndata: ${JSON.stringify(data)}\n\n`)
    }
    send()
    if (how === 'short') return response.end()
    const timer = setInterval(send, 200)
    timers.add(timer)
    response.on('close', () => {
      clearInterval(timer)
      timers.delete(timer)
    })
  }

  /** Closes all streams, like a host that restarts. */
  const disconnect = responses => responses.forEach(response => response.destroy())
  const close = () => timers.forEach(timer => clearInterval(timer))
  return { events, sensor, emit, stats, disconnect, close, open }
}
