// What is hard to show: long names, machines that say nothing, work that is overdue, a host that is slow or gone, the way back,
// paper; and the API's own page of documentation. Called by walk.mjs.
import assert from 'node:assert/strict'
import { KNOWN } from './access.mjs'
import { RECORDED, serve } from './server.mjs'

const HOUR = 3600_000
const machine = id => `#/machine/${encodeURIComponent(id)}`

/** Gives a machine, a technician and their like other names, everywhere. */
function rename(plant, from, to) {
  const text = value => JSON.parse(JSON.stringify(value).replaceAll(from, to))
  for (const name of Object.keys(plant.tables)) plant.tables[name].splice(0, Infinity, ...text(plant.tables[name]))
  for (const [sensor, course] of [...plant.readings]) {
    plant.readings.delete(sensor)
    plant.readings.set(sensor.replaceAll(from, to), course)
  }
}

/** Names of 60 signs that break nowhere, and of other scripts. */
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
      ['anomaly', `#/anomaly/${anomaly.id}`, 'What people did'],
      ['alerts', '#/alerts', 'open alerts'],
      ['schedule', `#/schedule?order=${order.id}`, 'Orders'],
      ['quality', '#/quality', 'Refused events'],
    ]) {
      await page.at(hash, text)
      await check(page, `long-${name}-${width}-${dark ? 'dark' : 'light'}`)
    }
    await page.context().close()
  }
  await plant.close()
}

/** Hours after the last reading nothing may look as if it were measured now. */
async function silence({ open, check }) {
  const plant = await serve()
  const page = await open(plant, { now: RECORDED + 3 * HOUR })
  await page.at(`${machine('antwerp/hall-1/motor-13')}?range=360`, 'Nothing has come from this machine since')
  assert.equal(await page.getByText('This machine is well').count(), 0, 'nobody knows whether it is well')
  assert.equal(await page.locator('.lead .severity').count(), 0)
  assert.ok((await page.locator('.stopped', { hasText: '3 h ago' }).count()) > 0, 'an old value says how old it is')
  await check(page, 'silent-machine-1280-light')
  // What was left three hours ago is not what is left.
  await page.at(machine('rotterdam/hall-2/pump-12'), 'Trends')
  assert.match(await page.locator('.lead').innerText(), /told 3(\.\d)? h ago/)
  await page.at('#/', 'All machines')
  assert.match(await page.locator('.attention .told').first().innerText(), /told .* ago/)
  plant.state.rate = 0
  await page.getByText('nothing comes in').waitFor({ timeout: 6_000 })
  plant.state.rate = 0.25
  await page.locator('.figure', { hasText: 'readings a second' }).getByText('0.25').waitFor({ timeout: 6_000 })
  await page.context().close()
  // Within the hour there is no such word.
  const fresh = await open(plant)
  await fresh.at(machine('antwerp/hall-1/motor-13'), 'This machine is well')
  assert.equal(await fresh.locator('.silence, .stopped, .told').count(), 0)
  await fresh.context().close()
  await plant.close()
}

/** Work whose time has passed, and work that has no place. */
async function late({ open, check }) {
  const plant = await serve()
  const page = await open(plant, { now: RECORDED + 20 * 24 * HOUR })
  const orders = plant.tables['work-orders']
  const planned = orders.filter(({ status, scheduled_time: time }) => status === 'planned' && time)
  await page.at('#/schedule', 'Orders')
  await page.getByText(`${planned.length} overdue`).waitFor()
  assert.equal(await page.locator('td', { hasText: 'overdue' }).count(), planned.length)
  await check(page, 'schedule-late-1280-light')
  // On paper: who does what when, and nothing that can only be pressed.
  await page.emulateMedia({ media: 'print' })
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  assert.match(await page.locator('footer').innerText(), /Times are in Europe\/Amsterdam\..*Printed .*2026/s)
  assert.ok(await page.locator('tbody tr').first().isVisible())
  assert.ok(await page.locator('tbody .as-link').first().isVisible())
  for (const screen of ['.frame nav', '.gantt', '.calendar', '.what-if']) assert.ok(await page.locator(screen).first().isHidden(), screen)
  await page.context().close()

  for (const order of orders) Object.assign(order, { scheduled_time: null, technician: null, status: 'unscheduled' })
  const none = await open(plant, { width: 360 })
  await none.at('#/schedule', 'No order has a place')
  assert.equal(await none.locator('.gantt').count(), 0)
  await check(none, 'schedule-unplaced-360-light')
  await none.context().close()
  await plant.close()
}

/** Slow, failing in parts, gone. */
async function trouble({ open, check }) {
  const plant = await serve()
  const page = await open(plant, { quiet: [500, 'ERR_', 'Failed to fetch'] })
  plant.state.slow = 6_000
  await page.goto(`${plant.url}/#/`)
  await page.getByText('Still waiting for the host').waitFor({ timeout: 5_800 })
  plant.state.slow = 0
  await page.getByText('All machines').waitFor({ timeout: 10_000 })
  await page.at('#/alerts', 'open alerts')
  plant.state.fail = 500
  plant.cut()
  await page.locator('.stale', { hasText: 'as of' }).first().waitFor({ timeout: 40_000 })
  assert.ok((await page.locator('.alert-card').count()) > 1, 'what was known stays')
  await check(page, 'stale-1280-light')
  plant.state.fail = 0
  await page.waitForFunction(() => document.querySelectorAll('.stale').length === 0, null, { timeout: 40_000 })
  await plant.close()
  await page.locator('.outage', { hasText: 'has not answered since' }).waitFor({ timeout: 40_000 })
  await page.goto('about:blank')
  await page.context().close()
}

/** Titles, the way back, and buttons that say what they did. */
async function ways({ open }) {
  const plant = await serve()
  const page = await open(plant, { permissions: ['clipboard-read', 'clipboard-write'] })
  await page.at('#/', 'All machines')
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
  const left = await page.evaluate(() => scrollY)
  assert.ok(left > 500, 'the fleet is long')
  await page.locator('.tile').last().click()
  await page.getByText('Trends').first().waitFor()
  assert.equal(await page.evaluate(() => scrollY), 0, 'a new page begins at its top')
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
  // A picture says what its amplitudes are in; a burst of less than a second has one time, to the second.
  await page.getByRole('img', { name: /^Envelope spectrum .* m\/s²/ }).waitFor()
  assert.match(await page.locator('.facts').last().innerText(), /Window\s+(\w{3} [\w ]+, )?\d\d:\d\d:\d\d\s/)
  await page.at(machine('no/such/machine'), 'No sensor belongs to')
  assert.equal(await page.locator('.lead .severity').count(), 0, 'what is not known is not well')
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByText('Copied').waitFor()
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'wheeltapper query sensors')
  await page.context().close()
  await plant.close()
}

/** The API's documentation: its look, and that it asks as who is signed in. */
async function docs({ open, check }) {
  const plant = await serve({ mode: 'on' })
  for (const [width, dark] of [
    [1440, false],
    [360, true],
  ]) {
    const page = await open(plant, { width, dark, quiet: [401] })
    await page.goto(`${plant.url}/#/`)
    await page.getByLabel('User').waitFor()
    await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'user', null, { timeout: 2_000 })
    await page.getByLabel('User').fill('ada')
    await page.getByLabel('Password').fill(KNOWN.ada.password)
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

/** A machine with hundreds of sensors asks for what is in view; else the host would refuse so many questions. */
async function manySensors({ open, check }) {
  const plant = await serve({ stream: 'none' })
  const asset = 'rotterdam/line/big'
  for (let n = 0; n < 120; n++) {
    const name = `${asset}/tag-${100 + n}`
    plant.tables.sensors.push({ name, asset, unit: 'bar', kind: 'pressure' })
    plant.readings.set(name, [30, 20, 10].map(seconds => ({ time: RECORDED - seconds * 1000, value: n + seconds })))
  }
  const page = await open(plant, { quiet: [404] })
  await page.at(machine(asset), '24 of 120 sensors')
  await check(page, 'machine-many-1280-light')
  const asked = () => plant.seen.asked.filter(url => url.includes('/readings?')).length
  const before = asked()
  await page.waitForTimeout(6_000)
  assert.ok(asked() > before, 'what is in view is asked for')
  assert.ok(asked() - before < 60, `${asked() - before} questions in six seconds`)
  await page.getByRole('button', { name: 'Show 24 more' }).click()
  await page.getByText('48 of 120 sensors').waitFor()
  await page.context().close()
  await plant.close()
}

/** Where one has to sign in, a command without a key would be refused. */
async function firstReading({ open }) {
  const plant = await serve({ mode: 'on', empty: true })
  const page = await open(plant, { quiet: [401] })
  await page.goto(`${plant.url}/#/`)
  await page.getByLabel('User').fill('vic')
  await page.getByLabel('Password').fill(KNOWN.vic.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('No sensor has sent').waitFor()
  assert.deepEqual((await page.locator('.command code').allInnerTexts()).map(text => /KEY/.test(text)), [true, true])
  await page.context().close()
  await plant.close()
}

/** All of them. `look` is what walk.mjs has: a browser at the moment of the recording. */
export async function hard(look) {
  for (const part of [longNames, silence, late, trouble, ways, docs, firstReading, manySensors]) await part(look)
}
