// Opens every page with the fixtures in a real browser, wide and narrow, light and dark. Fails on script errors,
// horizontal overflow and axe violations, and saves screenshots: node tests/crawl.mjs [FOLDER].
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { USERS } from './mock-auth.mjs'
import { start } from './browser.mjs'
import { runStressTests } from './stress.mjs'
import { RECORDED, serve } from './mock-server.mjs'

const shots = process.argv[2] ?? fileURLToPath(new URL('../shots', import.meta.url))
const { open: openPage, check, waitUntilSettled, finish, problems } = await start(shots)

/** Opens a page at the time of the recording. */
async function open(server, options = {}) {
  const page = await openPage({ now: RECORDED, ...options })
  page.at = async (hash, text) => {
    await page.goto(`${server.url}/${hash}`)
    await page.getByText(text).first().waitFor({ timeout: 60_000 })
    await waitUntilSettled(page)
  }
  return page
}

const machine = id => `#/machine/${encodeURIComponent(id)}`
const server = await serve()
const { anomalies, alerts } = server.tables
const waveformAnomaly = anomalies.find(
  ({ model, fault_mode, sensor }) =>
    model === 'envelope' && fault_mode === 'bearing-outer-race' && sensor.startsWith('rotterdam/hall-2/pump-12'),
)
const trendAnomaly = anomalies.find(({ asset, metadata }) => asset === 'rotterdam/hall-1/fan-03' && metadata.trend)
const PAGES = [
  ['fleet', '#/', 'All machines'],
  ['machine-bearing', machine('rotterdam/hall-2/pump-12'), 'Envelope spectrum'],
  ['machine-heat', machine('duisburg/hall-1/motor-30'), 'Trends'],
  ['machine-well', machine('antwerp/hall-1/motor-13'), 'This machine is healthy'],
  ['anomaly-waveform', `#/anomaly/${waveformAnomaly.id}`, 'Envelope spectrum'],
  ['anomaly', `#/anomaly/${trendAnomaly.id}`, 'Trend before the anomaly'],
  ['alerts', '#/alerts', 'open alerts'],
  [
    'schedule',
    `#/schedule?order=${server.tables['work-orders'].find(({ after, status }) => status === 'planned' && after.length > 2).id}`,
    'Orders',
  ],
  ['quality', '#/quality', 'Rejected events'],
  ['users', '#/users', 'Add a user'],
  ['keys', '#/keys', 'Create a key'],
  ['audit', '#/audit', 'user.create'],
  ['account', '#/account', 'Sign-in is off'],
]

for (const dark of [false, true]) {
  for (const width of [1280, 360]) {
    const page = await open(server, { width, dark })
    for (const [name, hash, text] of PAGES) {
      await page.at(hash, text)
      await check(page, `${name}-${width}-${dark ? 'dark' : 'light'}`)
    }
    await page.context().close()
  }
}
assert.ok(server.recorded.notModified > 0, 'no response was "not modified"')
assert.deepEqual(server.recorded.rejected, [], 'the API rejected a request')

// Interactions that change nothing.
{
  const page = await open(server)
  await page.at('#/', 'All machines')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main')
  const tiles = page.locator('.tile')
  assert.equal(await tiles.count(), 36)
  await tiles.first().focus()
  await page.keyboard.press('ArrowRight')
  assert.equal(await page.evaluate(() => [...document.querySelectorAll('.tile')].indexOf(document.activeElement)), 1)
  await page.getByRole('searchbox').fill('outer race')
  assert.equal(await tiles.count(), 1)
  await page.getByRole('searchbox').fill('no such machine')
  await page.getByText('No machine matches').waitFor()
  await page.getByRole('button', { name: 'Use dark colours' }).click()
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark')
  await page.reload()
  await page.getByText('All machines').waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark', 'the choice is stored')

  // The newest reading is shown without any input.
  const sensor = 'duisburg/hall-1/motor-30/bearing-temperature'
  await page.at(machine('duisburg/hall-1/motor-30'), 'Trends')
  server.readings.get(sensor).push({ time: RECORDED + 500, value: 123.4 })
  await page.locator('.trend-value', { hasText: '123 °C' }).waitFor({ timeout: 60_000 })
  await page.getByRole('button', { name: '1 h' }).click()
  assert.match(page.url(), /range=60/)

  await page.at('#/alerts', 'open alerts')
  await page.getByLabel('Severity').selectOption('critical')
  await page.getByText('1 open alert of 10').waitFor()
  assert.match(page.url(), /severity=critical/)
  await page.getByLabel('Severity').selectOption('')
  await page.getByLabel('Site').selectOption('antwerp')
  await page
    .getByText(`${alerts.filter(({ asset }) => asset.startsWith('antwerp/')).length} open alerts of 10`)
    .waitFor()

  await page.at('#/schedule', 'Orders')
  const bar = page.locator('.bar').nth(1)
  await bar.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('region', { name: 'Selected order' }).waitFor()
  await page.at('#/quality', 'Rejected events')
  await page.getByRole('button', { name: /^Out of range/ }).click()
  await page.getByText('--reason out-of-range').waitFor()
  await page.locator('.dead-letter summary').first().click()
  await page.getByText('"values": 99').first().waitFor()
  // With access control off, there is no sign-out.
  assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0)
  await page.context().close()
}

// A failing host, and a host that does not answer.
{
  const page = await open(server, {
    allowedMessages: [503, 'ERR_CONNECTION_REFUSED', 'Failed to fetch', 'ERR_INCOMPLETE', 'ERR_EMPTY'],
  })
  server.state.fail = 503
  await page.goto(`${server.url}/#/`)
  await page.getByText('The host is busy').waitFor()
  await check(page, 'busy-1280-light')
  server.state.fail = 0
  await page.getByText('All machines').waitFor({ timeout: 60_000 })
  await server.close()
  await page.getByText('no answer').waitFor({ timeout: 60_000 })
  assert.equal(await page.locator('.tile').count(), 36, 'the last data stays visible')
  await page.goto('about:blank')
  await page.context().close()
}

// Empty data.
{
  const empty = await serve({ empty: true })
  for (const [width, dark] of [
    [1280, false],
    [360, true],
  ]) {
    const page = await open(empty, { width, dark, allowedMessages: [404] })
    for (const [name, hash, text] of [
      ['fleet', '#/', 'No readings received yet'],
      ['alerts', '#/alerts', 'No open alerts'],
      ['schedule', '#/schedule', 'No work is planned'],
      ['quality', '#/quality', 'No rejected events'],
      ['machine', machine('no/such/machine'), 'No sensors found for'],
      ['anomaly', '#/anomaly/00', 'Not found'],
      ['keys', '#/keys', 'No keys yet'],
    ]) {
      await page.at(hash, text)
      await check(page, `empty-${name}-${width}-${dark ? 'dark' : 'light'}`)
    }
    await page.context().close()
  }
  await empty.close()
}

// Changes by users.
{
  const plant = await serve()
  const page = await open(plant, { allowedMessages: [500, 409, 422] })
  await page.at(`#/anomaly/${waveformAnomaly.id}`, 'Envelope spectrum')
  await page.getByText('No actions yet.').waitFor()
  await page.getByRole('button', { name: 'Acknowledge' }).click()
  await page.getByRole('button', { name: '✓ Acknowledged' }).waitFor()
  await page.getByLabel('Comment').fill('Heard it too: a hum that comes and goes.')
  await page.getByRole('button', { name: 'Add comment' }).click()
  await page.locator('.history', { hasText: 'a hum that comes and goes' }).waitFor()
  assert.equal(await page.locator('.history li').count(), 2)
  // It cannot be undone: a confirmation is required.
  const sent = plant.recorded.requests.length
  await page.getByRole('button', { name: 'False alarm' }).click()
  await page.getByRole('dialog').waitFor()
  await check(page, 'anomaly-false-alarm-1280-light')
  assert.ok(
    !plant.recorded.requests.slice(sent).some(url => url.includes('false-alarm')),
    'nothing is sent before the confirmation',
  )
  await page.keyboard.press('Escape')
  // A failure is reported, and the action is not shown as done.
  plant.state.fail = 500
  await page.getByRole('button', { name: 'False alarm' }).click()
  await page.getByRole('button', { name: 'Mark as false alarm' }).click()
  await page.getByText('The host reported an error; the change was probably not made').waitFor()
  assert.equal(await page.locator('.history li').count(), 2)
  plant.state.fail = 0
  await page.getByRole('button', { name: 'Order repair' }).click()
  await page.getByRole('button', { name: '✓ Repair ordered' }).waitFor()
  await page.locator('.repair a').waitFor()
  await check(page, 'anomaly-acted-1280-light')
  const [first, second] = plant.recorded.changes
  assert.deepEqual(first.slice(0, 2), ['POST', `anomalies/${waveformAnomaly.id}/acknowledge`])
  assert.deepEqual(second.slice(1), [
    `anomalies/${waveformAnomaly.id}/comment`,
    { comment: 'Heard it too: a hum that comes and goes.' },
  ])
  await page.locator('.repair a').click()
  await page.getByRole('region', { name: 'Selected order' }).waitFor()

  // Moving an order by mouse.
  await page.at('#/schedule', 'Drag a bar to pin it')
  const bar = page.locator('.bar.planned').first()
  const box = await bar.boundingBox()
  await page.mouse.move(box.x + 6, box.y + 10)
  await page.mouse.down()
  await page.mouse.move(box.x + 106, box.y + 10, { steps: 5 })
  await page.mouse.up()
  await page.getByText(/is assigned to/).waitFor()
  await page.locator('.bar.pinned').first().waitFor()
  await page.getByText(/The rest was replanned: .* moved/).waitFor()
  const [method, , change] = plant.recorded.changes.at(-1)
  assert.equal(method, 'PATCH')
  assert.match(change.scheduled_time, /:[0-5][05]:00\.000Z$/)
  await check(page, 'schedule-pinned-1280-light')

  // Moving an order by keyboard: one move is cancelled, another one is confirmed.
  const before = plant.recorded.changes.length
  const other = page.locator('.bar.planned:not(.pinned)').last()
  await other.focus()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Escape')
  await page.getByText('Not moved.').waitFor()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await page.getByText(/Enter to pin it there/).waitFor()
  await check(page, 'schedule-held-1280-light')
  await other.focus()
  await page.keyboard.press('ArrowRight')
  // A plan that omits the order for a moment takes away neither the focus nor the unconfirmed position.
  const id = await other.getAttribute('data-order')
  const order = plant.tables['work-orders'].find(order => order.id === id)
  for (const status of ['cancelled', 'planned']) {
    order.status = status
    plant.emit('work-order', order)
    await page.locator(`.bar[data-order="${id}"]`).waitFor({ state: status === 'planned' ? 'visible' : 'detached' })
  }
  await page.locator(`.bar.pending-move[data-order="${id}"]:focus`).waitFor()
  await page.keyboard.press('Enter')
  await page.getByText(/is assigned to/).waitFor()
  assert.equal(plant.recorded.changes.length, before + 1)
  // Enter opens the form and focuses its first field; Escape closes it.
  await page.locator('.bar.pinned').first().focus()
  await page.keyboard.press('Enter')
  await page.getByRole('region', { name: 'Selected order' }).waitFor()
  assert.equal(await page.evaluate(() => document.activeElement.name), 'time')
  await check(page, 'schedule-order-1280-light')
  await page.getByRole('button', { name: 'Unpin' }).click()
  await page.getByText(/is unpinned/).waitFor()
  await page.getByRole('button', { name: 'Cancel order' }).click()
  await page.getByRole('dialog').waitFor()
  await check(page, 'schedule-cancel-1280-light')
  await page.keyboard.press('Escape')
  assert.equal(await page.getByRole('dialog').count(), 0)
  await page.getByRole('button', { name: 'Mark as done' }).click()
  await page.getByRole('dialog').waitFor()
  assert.equal(await page.getByLabel('The repair changed the machine').isChecked(), false)
  await check(page, 'schedule-done-1280-light')
  await page.getByLabel('The repair changed the machine').check()
  await page.getByRole('dialog').getByRole('button', { name: 'Mark as done' }).click()
  await page.getByText(/ is done\./).waitFor()
  assert.deepEqual(plant.recorded.changes.at(-1)[2], { status: 'done', reset_baseline: true })
  // What-if plan.
  await page.getByLabel('Hours ahead').fill('72')
  await page.getByRole('button', { name: 'Preview plan' }).click()
  await page.getByText('until the last order is done').waitFor({ timeout: 60_000 })
  await check(page, 'schedule-what-if-1280-light')
  assert.deepEqual(plant.recorded.changes.at(-1)[2], { sensor_ids: [], time_horizon_hours: 72, constraints: {} })
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: /plan.ics/ }).click(),
  ])
  assert.equal(file.suggestedFilename(), 'plan.ics')
  // The baseline of a machine: the dialog stays open after a failure, and the action is listed after a success.
  const reset = alerts.find(({ state }) => state === 'open').asset
  await page.at(machine(reset), 'Trends')
  await page.getByRole('button', { name: 'Reset baseline' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Forgets what was learnt about this machine').waitFor()
  await dialog.getByLabel('Reason').selectOption('replaced')
  await dialog.getByLabel('Comment').fill('New pump.')
  await check(page, 'machine-reset-1280-light')
  plant.state.fail = 500
  await dialog.getByRole('button', { name: 'Reset baseline' }).click()
  await dialog.getByText('The host reported an error').waitFor()
  plant.state.fail = 0
  await dialog.getByRole('button', { name: 'Reset baseline' }).click()
  await page.getByText('The baseline is reset.').waitFor()
  await page.getByText('Replaced: New pump.').waitFor()
  assert.deepEqual(plant.recorded.changes.at(-1), [
    'POST',
    `machines/${encodeURIComponent(reset)}/reset-baseline`,
    { reason: 'replaced', comment: 'New pump.' },
  ])
  assert.deepEqual(plant.recorded.rejected, [], 'the API rejected a request')
  await page.context().close()

  for (const [width, dark] of [[360, true]]) {
    const narrow = await open(plant, { width, dark })
    await narrow.at(`#/anomaly/${waveformAnomaly.id}`, 'History')
    await check(narrow, `anomaly-acted-${width}-dark`)
    await narrow.at('#/schedule', 'Drag a bar to pin it')
    await narrow.locator('tbody button').first().click()
    await narrow.getByRole('region', { name: 'Selected order' }).waitFor()
    await check(narrow, `schedule-order-${width}-dark`)
    await narrow.context().close()
  }
  await plant.close()
}

// Live updates: an event shows an alert without polling; an interrupted stream is reported and resumed.
{
  const plant = await serve()
  const page = await open(plant, {
    allowedMessages: ['ERR_INCOMPLETE', 'ERR_EMPTY', 'ERR_CONNECTION', 'Failed to fetch'],
  })
  await page.at('#/alerts', 'open alerts')
  const requestCount = () => plant.recorded.requests.filter(url => url.includes('/alerts?')).length
  const before = requestCount()
  await page.waitForTimeout(4_000)
  assert.equal(requestCount(), before, 'no polling while the stream is live')
  const alert = { ...plant.tables.alerts[0], id: 'f'.repeat(32), message: 'this alert came by the stream' }
  plant.tables.alerts.unshift(alert)
  plant.emit('alert', alert)
  await page.getByText('this alert came by the stream').waitFor({ timeout: 20_000 })
  plant.disconnect()
  await page.locator('.host.reconnecting').waitFor({ timeout: 20_000 })
  await page.locator('.host.live').waitFor({ timeout: 20_000 })
  assert.ok(plant.streams.stats.resumed > 0, 'it resumes after the last event')
  // A hidden tab has no open stream.
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await page.waitForTimeout(500)
  assert.equal(plant.streams.open.size, 0, 'a hidden tab has no open stream')
  await page.context().close()
  await plant.close()
}

// Without streams, or with short ones, the page polls.
for (const stream of ['none', 'short']) {
  const plant = await serve({ stream, mode: 'none' })
  const page = await open(plant, { allowedMessages: [404] })
  await page.at('#/alerts', 'open alerts')
  const alert = { ...plant.tables.alerts[0], id: 'f'.repeat(32), message: `found by polling` }
  plant.tables.alerts.unshift(alert)
  await page.getByText('found by polling').waitFor({ timeout: 60_000 })
  const sensor = 'duisburg/hall-1/motor-30/bearing-temperature'
  await page.at(machine('duisburg/hall-1/motor-30'), 'Trends')
  plant.readings.get(sensor).push({ time: RECORDED + 500, value: 123.4 })
  await page.locator('.trend-value', { hasText: '123 °C' }).waitFor({ timeout: 60_000 })
  // A platform without users has no pages for them, but has the buttons.
  assert.equal(await page.getByRole('link', { name: 'Access' }).count(), 0)
  await page.at(`#/anomaly/${trendAnomaly.id}`, 'Trend before the anomaly')
  await page.getByRole('button', { name: 'Acknowledge' }).waitFor()
  await page.context().close()
  await plant.close()
}

// A large plant: one page of machines, the rest for a search.
{
  const plant = await serve({ many: 2_000 })
  const page = await open(plant)
  await page.at('#/', 'All machines')
  assert.equal(await page.locator('.tile').count(), 100)
  assert.ok(!plant.recorded.requests.some(url => url.includes('/sensors')), 'the fleet page requests no sensors')
  await check(page, 'fleet-large-1280-light')
  await page.getByRole('button', { name: 'Show 100 more' }).click()
  await page.waitForFunction(() => document.querySelectorAll('.tile').length === 200)
  await page.getByRole('searchbox').fill('pump-2999')
  await page.waitForFunction(() => document.querySelectorAll('.tile').length === 1, null, { timeout: 60_000 })
  await page.context().close()
  await plant.close()
}

// With access control on.
for (const [width, dark] of [
  [1280, false],
  [360, true],
]) {
  const look = `${width}-${dark ? 'dark' : 'light'}`
  const closed = await serve({ mode: 'on' })
  const page = await open(closed, { width, dark, allowedMessages: [401, 403, 409, 422] })
  const fill = async (user, password) => {
    await page.getByLabel('User').fill(user)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  const signOut = async () => {
    await page.at('#/account', 'Change your password')
    await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
  }
  await page.goto(`${closed.url}/#/`)
  await page.getByLabel('User').waitFor()
  await check(page, `login-${look}`)
  await fill('admin', 'wrong')
  await page.getByText('User or password is wrong.').waitFor()
  await check(page, `login-wrong-${look}`)
  await fill('admin', 'once upon a time')
  await page.getByRole('heading', { name: 'Choose a password' }).waitFor()
  const choose = async (next, again = next) => {
    await page.getByLabel('New password', { exact: true }).fill(next)
    await page.getByLabel('Repeat new password').fill(again)
    await page.getByRole('button', { name: 'Set password' }).click()
  }
  await choose('too short')
  await page.getByText('fewer than 12 characters').waitFor()
  await choose('long enough, I think', 'long enough, I thought')
  await page.getByText('The two new passwords differ').waitFor()
  await check(page, `password-${look}`)
  // After a reload, the one-time password is required again, because it is not stored.
  await page.reload()
  await page.getByLabel('Current password').fill('once upon a time')
  await choose('long enough, I think')
  await page.getByText('All machines').waitFor()
  assert.match(await page.title(), /Fleet/)

  // Users.
  await page.at('#/users', 'Add a user')
  await page.getByLabel('Name').fill('mia')
  await page.locator('form.card input[value=operator]').check()
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText('One-time password of mia').waitFor()
  await page.getByText('mia is added.').waitFor()
  await check(page, `users-added-${look}`)
  const password = await page.locator('.secret-value').textContent()
  await page.getByRole('button', { name: 'Done' }).click()
  await page.getByRole('button', { name: 'Disable vic' }).click()
  await check(page, `users-sure-${look}`)
  await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
  await page.getByText('vic is disabled.').waitFor()
  await page.getByRole('button', { name: 'Enable vic' }).click()
  await page.getByText('vic is enabled.').waitFor()
  await page.getByRole('button', { name: 'Remove admin' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.getByText('the last admin cannot be removed').waitFor()
  await page.getByRole('button', { name: 'Change ada' }).click()
  await page.locator('.account form').getByLabel('Sites').fill('rotterdam, antwerp')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('ada is updated.').waitFor()
  assert.deepEqual(closed.auth.users.get('ada').sites, ['rotterdam', 'antwerp'])
  await page.getByRole('button', { name: 'Reset password of ada' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Reset' }).click()
  await page.getByText('One-time password of ada').waitFor()
  // Keys.
  await page.at('#/keys', 'Create a key')
  await page.getByLabel('Name').fill('gateway hall 2')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByText('Key gateway hall 2').first().waitFor()
  await check(page, `keys-made-${look}`)
  await page.getByRole('button', { name: 'Remove gateway hall 2' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.getByText('No keys yet').waitFor()
  // Audit log.
  await page.at('#/audit', 'user.create')
  await page.getByRole('button', { name: 'Verify the chain' }).click()
  await page.getByText('The chain is intact').waitFor()
  await page.getByLabel('Outcome').selectOption('denied')
  await page.getByText(/^1 of/).waitFor()
  await page.getByLabel('Outcome').selectOption('')
  closed.auth.log[2].actor = 'mallory'
  await page.getByRole('button', { name: 'Verify the chain' }).click()
  await page.getByText('The chain is broken at entry 3').waitFor()
  await check(page, `audit-broken-${look}`)
  await page.at('#/account', 'Change your password')
  await check(page, `account-in-${look}`)

  // An expired token is renewed silently.
  closed.auth.expire()
  await page.at('#/alerts', 'open alerts')
  // If it cannot be renewed, the user signs in again and stays on the same page.
  closed.auth.users.get('admin').disabled = true
  closed.auth.expire()
  await page.getByText('Your session has expired.').waitFor({ timeout: 60_000 })
  await check(page, `login-ended-${look}`)
  await fill('mia', password)
  await page.getByRole('heading', { name: 'Choose a password' }).waitFor()
  await choose('another one for mia')
  await page.getByText('the password contains the user name', { exact: false }).waitFor()
  await choose('another one for me')
  await page.getByText('open alerts').first().waitFor()
  assert.equal(await page.getByRole('link', { name: 'Access' }).count(), 0)
  await page.at('#/users', 'This page is for administrators')
  await check(page, `not-yours-${look}`)
  await signOut()

  // A user without write permission has no buttons that change anything.
  await fill('vic', USERS.vic.password)
  await page.at(`#/anomaly/${waveformAnomaly.id}`, 'History')
  for (const name of ['Acknowledge', 'False alarm', 'Order repair', 'Add comment'])
    assert.equal(await page.getByRole('button', { name }).count(), 0, name)
  await check(page, `anomaly-viewer-${look}`)
  await page.at(machine(waveformAnomaly.asset), 'Trends')
  assert.equal(await page.getByRole('button', { name: 'Reset baseline' }).count(), 0)
  await page.at('#/schedule', 'Orders')
  assert.equal(await page.getByText('Drag a bar').count(), 0)
  await page.locator('.bar').first().focus()
  await page.keyboard.press('Enter')
  await page.getByRole('region', { name: 'Selected order' }).waitFor()
  assert.equal(await page.getByRole('button', { name: /Pin to|Mark as done|Cancel/ }).count(), 0)
  await signOut()
  await page.getByLabel('User').waitFor()
  assert.deepEqual(closed.recorded.rejected, [], 'the API rejected a request')
  await page.context().close()
  await closed.close()
}

// A short-lived token is renewed in time, before any request is rejected.
{
  const closed = await serve({ mode: 'on', seconds: 4 })
  const page = await open(closed)
  await page.context().clearCookies()
  await page.goto(`${closed.url}/#/`).catch(() => undefined)
  page.removeAllListeners('console')
  await page.getByLabel('User').fill('ada')
  await page.getByLabel('Password').fill(USERS.ada.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('All machines').waitFor()
  const unauthorized = []
  page.on('response', answer => answer.status() === 401 && unauthorized.push(answer.url()))
  await page.waitForTimeout(9_000)
  assert.deepEqual(unauthorized, [])
  assert.ok(closed.recorded.requests.filter(url => url.includes('auth/refresh')).length >= 2)
  await page.context().close()
  await closed.close()
}

await runStressTests({ open, check })

process.exit(await finish())
