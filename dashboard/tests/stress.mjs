// Stress tests of the pages: long names, silent machines, overdue work, a slow or unavailable host, back navigation,
// printing, and the API's documentation page. Called by crawl.mjs.
import assert from 'node:assert/strict'
import { USERS } from './mock-auth.mjs'
import { RECORDED, serve } from './mock-server.mjs'

const HOUR = 3600_000
const machine = id => `#/machine/${encodeURIComponent(id)}`

/** Replaces a name everywhere in the data, such as that of a machine or a technician. */
function rename(plant, from, to) {
  const text = value => JSON.parse(JSON.stringify(value).replaceAll(from, to))
  for (const name of Object.keys(plant.tables)) plant.tables[name].splice(0, Infinity, ...text(plant.tables[name]))
  for (const [sensor, course] of [...plant.readings]) {
    plant.readings.delete(sensor)
    plant.readings.set(sensor.replaceAll(from, to), course)
  }
}

/** Names of 60 characters without a line break, and names in other scripts. */
async function longNames({ open, check }) {
  const plant = await serve()
  const own = 'M'.repeat(60)
  rename(plant, 'rotterdam/hall-2/pump-12', `${'W'.repeat(60)}/${'hall'.repeat(15)}/${own}`)
  rename(plant, 'rotterdam/hall-1/fan-03', 'werk-köln/東京第二棟/مضخة')
  rename(plant, '"Ada"', `"${'Ada-of-the-long-name-'.repeat(3)}"`)
  const anomaly = plant.tables.anomalies.find(({ asset }) => asset.endsWith(own))
  const order = plant.tables['work-orders'].find(({ asset }) => asset.endsWith(own))
  for (const [width, dark] of [
    [360, false],
    [1440, true],
  ]) {
    const page = await open(plant, { width, dark })
    for (const [name, hash, text] of [
      ['fleet', '#/', 'All machines'],
      ['machine', machine(anomaly.asset), 'Trends'],
      ['anomaly', `#/anomaly/${anomaly.id}`, 'History'],
      ['alerts', '#/alerts', 'open alerts'],
      ['schedule', `#/schedule?order=${order.id}`, 'Orders'],
      ['quality', '#/quality', 'Rejected events'],
    ]) {
      await page.at(hash, text)
      await check(page, `long-${name}-${width}-${dark ? 'dark' : 'light'}`)
    }
    await page.context().close()
  }
  await plant.close()
}

/** Hours after the last reading, nothing may look as if it were measured now. */
async function silentMachine({ open, check }) {
  const plant = await serve()
  const page = await open(plant, { now: RECORDED + 3 * HOUR })
  await page.at(`${machine('antwerp/hall-1/motor-13')}?range=360`, 'No data from this machine since')
  assert.equal(await page.getByText('This machine is healthy').count(), 0, 'the state of a silent machine is unknown')
  assert.equal(await page.locator('.lead .severity').count(), 0)
  assert.ok((await page.locator('.stopped', { hasText: '3 h ago' }).count()) > 0, 'an old value shows its age')
  await check(page, 'silent-machine-1280-light')
  // The remaining life of three hours ago is not the current one.
  await page.at(machine('rotterdam/hall-2/pump-12'), 'Trends')
  assert.match(await page.locator('.lead').innerText(), /forecast from 3(\.\d)? h ago/)
  await page.at('#/', 'All machines')
  assert.match(await page.locator('.attention .forecast-age').first().innerText(), /forecast from .* ago/)
  plant.state.rate = 0
  await page.getByText('no data').waitFor({ timeout: 6_000 })
  plant.state.rate = 0.25
  await page.locator('.figure', { hasText: 'readings per second' }).getByText('0.25').waitFor({ timeout: 6_000 })
  await page.context().close()
  // Within the hour, no age is shown.
  const fresh = await open(plant)
  await fresh.at(machine('antwerp/hall-1/motor-13'), 'This machine is healthy')
  assert.equal(await fresh.locator('.silence, .stopped, .forecast-age').count(), 0)
  await fresh.context().close()
  await plant.close()
}

/** Overdue work, and work that is not scheduled. */
async function overdueWork({ open, check }) {
  const plant = await serve()
  const page = await open(plant, { now: RECORDED + 20 * 24 * HOUR })
  const orders = plant.tables['work-orders']
  const planned = orders.filter(({ status, scheduled_time: time }) => status === 'planned' && time)
  await page.at('#/schedule', 'Orders')
  await page.getByText(`${planned.length} overdue`).waitFor()
  assert.equal(await page.locator('td', { hasText: 'overdue' }).count(), planned.length)
  await check(page, 'schedule-late-1280-light')
  // In print: the schedule, without controls.
  await page.emulateMedia({ media: 'print' })
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  assert.match(await page.locator('footer').innerText(), /Times are in Europe\/Amsterdam\..*Printed .*2026/s)
  assert.ok(await page.locator('tbody tr').first().isVisible())
  assert.ok(await page.locator('tbody .as-link').first().isVisible())
  for (const screen of ['.frame nav', '.gantt', '.calendar', '.what-if'])
    assert.ok(await page.locator(screen).first().isHidden(), screen)
  await page.context().close()

  for (const order of orders) Object.assign(order, { scheduled_time: null, technician: null, status: 'unscheduled' })
  const none = await open(plant, { width: 360 })
  await none.at('#/schedule', 'No order is scheduled')
  assert.equal(await none.locator('.gantt').count(), 0)
  await check(none, 'schedule-unplaced-360-light')
  await none.context().close()
  await plant.close()
}

/** A host that is slow, partly failing, or unavailable. */
async function unreliableHost({ open, check }) {
  const plant = await serve()
  const page = await open(plant, { allowedMessages: [500, 'ERR_', 'Failed to fetch'] })
  plant.state.slow = 6_000
  await page.goto(`${plant.url}/#/`)
  await page.getByText('Still waiting for the host').waitFor({ timeout: 5_800 })
  plant.state.slow = 0
  await page.getByText('All machines').waitFor({ timeout: 10_000 })
  await page.at('#/alerts', 'open alerts')
  plant.state.fail = 500
  plant.disconnect()
  await page.locator('.stale', { hasText: 'as of' }).first().waitFor({ timeout: 40_000 })
  assert.ok((await page.locator('.alert-card').count()) > 1, 'the last data stays visible')
  await check(page, 'stale-1280-light')
  plant.state.fail = 0
  await page.waitForFunction(() => document.querySelectorAll('.stale').length === 0, null, { timeout: 40_000 })
  await plant.close()
  await page.locator('.outage', { hasText: 'has not answered since' }).waitFor({ timeout: 40_000 })
  await page.goto('about:blank')
  await page.context().close()
}

/** Titles, back navigation, and buttons that report what they did. */
async function navigation({ open }) {
  const plant = await serve()
  const page = await open(plant, { permissions: ['clipboard-read', 'clipboard-write'] })
  await page.at('#/', 'All machines')
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
  const left = await page.evaluate(() => scrollY)
  assert.ok(left > 500, 'the fleet page is long')
  await page.locator('.tile').last().click()
  await page.getByText('Trends').first().waitFor()
  assert.equal(await page.evaluate(() => scrollY), 0, 'a new page starts at its top')
  const name = await page.locator('h1').innerText()
  assert.equal(await page.title(), `${name} · Wheeltapper`)
  await page.goBack()
  await page.getByText('All machines').waitFor()
  await page.waitForFunction(left => Math.abs(scrollY - left) < 60, left, { timeout: 5_000 })
  const anomaly = plant.tables.anomalies.find(
    ({ model, fault_mode: fault, asset }) =>
      model === 'envelope' && fault === 'bearing-outer-race' && asset === 'rotterdam/hall-2/pump-12',
  )
  await page.at(`#/anomaly/${anomaly.id}`, 'Envelope spectrum')
  assert.equal(await page.title(), 'Bearing: outer race on pump-12 · Wheeltapper')
  // A chart states the unit of its amplitudes; a waveform of less than a second has a single time, to the second.
  await page.getByRole('img', { name: /^Envelope spectrum .* m\/s²/ }).waitFor()
  assert.match(await page.locator('.facts').last().innerText(), /Window\s+(\w{3} [\w ]+, )?\d\d:\d\d:\d\d\s/)
  await page.at(machine('no/such/machine'), 'No sensors found for')
  assert.equal(await page.locator('.lead .severity').count(), 0, 'an unknown machine is not healthy')
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByText('Copied').waitFor()
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'wheeltapper query sensors')
  await page.context().close()
  await plant.close()
}

/** The API's documentation page: its layout, and its requests use the session. */
async function apiDocs({ open, check }) {
  const plant = await serve({ mode: 'on' })
  for (const [width, dark] of [
    [1440, false],
    [360, true],
  ]) {
    const page = await open(plant, { width, dark, allowedMessages: [401] })
    await page.goto(`${plant.url}/#/`)
    await page.getByLabel('User').waitFor()
    await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'user', null, { timeout: 2_000 })
    await page.getByLabel('User').fill('ada')
    await page.getByLabel('Password').fill(USERS.ada.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('link', { name: 'API' }).click()
    await page.locator('details').first().waitFor()
    assert.match(await page.title(), /API/)
    assert.match(await page.locator('link[rel=icon]').getAttribute('href'), /^data:image\/svg/)
    await page.locator('#listSensors summary, details summary', { hasText: '/api/v1/sensors' }).first().click()
    await page.getByRole('button', { name: 'Ask' }).first().click()
    await page.getByLabel('Answer').filter({ hasText: '200' }).waitFor()
    await check(page, `docs-${width}-${dark ? 'dark' : 'light'}`)
    await page.context().close()
  }
  await plant.close()
}

/**
 * A machine with hundreds of sensors requests only those in view; otherwise the host would reject so many requests.
 */
async function manySensors({ open, check }) {
  const plant = await serve({ stream: 'none' })
  const asset = 'rotterdam/line/big'
  for (let n = 0; n < 120; n++) {
    const name = `${asset}/tag-${100 + n}`
    plant.tables.sensors.push({ name, asset, unit: 'bar', kind: 'pressure' })
    plant.readings.set(
      name,
      [30, 20, 10].map(seconds => ({ time: RECORDED - seconds * 1000, value: n + seconds })),
    )
  }
  const page = await open(plant, { allowedMessages: [404] })
  await page.at(machine(asset), '24 of 120 sensors')
  await check(page, 'machine-many-1280-light')
  const requestCount = () => plant.recorded.requests.filter(url => url.includes('/readings?')).length
  const before = requestCount()
  await page.waitForTimeout(6_000)
  assert.ok(requestCount() > before, 'trends in view are polled')
  assert.ok(requestCount() - before < 60, `${requestCount() - before} requests in six seconds`)
  await page.getByRole('button', { name: 'Show 24 more' }).click()
  await page.getByText('48 of 120 sensors').waitFor()
  await page.context().close()
  await plant.close()
}

/** If a sign-in is required, the shown commands need a key. */
async function commandsWithKey({ open }) {
  const plant = await serve({ mode: 'on', empty: true })
  const page = await open(plant, { allowedMessages: [401] })
  await page.goto(`${plant.url}/#/`)
  await page.getByLabel('User').fill('vic')
  await page.getByLabel('Password').fill(USERS.vic.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('No readings received yet').waitFor()
  assert.deepEqual(
    (await page.locator('.command code').allInnerTexts()).map(text => /KEY/.test(text)),
    [true, true],
  )
  await page.context().close()
  await plant.close()
}

/** Runs all of them. `look` is the browser of crawl.mjs, at the time of the recording. */
export async function runStressTests(browser) {
  for (const part of [
    longNames,
    silentMachine,
    overdueWork,
    unreliableHost,
    navigation,
    apiDocs,
    commandsWithKey,
    manySensors,
  ])
    await part(browser)
}
