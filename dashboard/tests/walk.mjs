// Walks every page in a real browser, wide and narrow, light and dark; looks for script errors, for what hangs over the edge,
// and for what axe finds wrong; and puts screenshots into a folder: node tests/walk.mjs [FOLDER].
// WHEELTAPPER_CHROMIUM is the browser, else chromium from the path.
import assert from 'node:assert/strict'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { RECORDED, serve } from './server.mjs'

const shots = process.argv[2] ?? fileURLToPath(new URL('../shots', import.meta.url))
const found = () => {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) if (existsSync(join(folder, name))) return join(folder, name)
  }
  throw new Error('there is no browser; install Debian’s package chromium, or name one by WHEELTAPPER_CHROMIUM')
}
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
await rm(shots, { recursive: true, force: true })
await mkdir(shots, { recursive: true })
const browser = await chromium.launch({
  executablePath: process.env.WHEELTAPPER_CHROMIUM ?? found(),
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
})
const problems = []
let checks = 0

/** A page at the moment of the recording. */
async function open(server, { width = 1280, dark = false, quiet = [] } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 740 : 860 },
    colorScheme: dark ? 'dark' : 'light',
    timezoneId: 'Europe/Amsterdam',
    locale: 'en-GB',
  })
  const page = await context.newPage()
  await page.clock.setFixedTime(RECORDED)
  page.on('pageerror', error => problems.push(`script error: ${error.message}`))
  page.on('console', message => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    const where = message.location().url
    // A route that is asked for by OPTIONS may be none.
    if (
      /\/anomalies\/[0-9a-f]+\/|\/work-orders\/[0-9a-f]+$/.test(where) ||
      quiet.some(status => message.text().includes(String(status)))
    )
      return
    problems.push(`console: ${message.text()} (${where})`)
  })
  page.at = async (hash, text) => {
    await page.goto(`${server.url}/${hash}`)
    await page.getByText(text).first().waitFor({ timeout: 10_000 })
    // Charts are drawn when their width is known; bursts come after their features.
    await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0, null, { timeout: 10_000 })
    await page.waitForTimeout(350)
  }
  return page
}

/** What is the same for every page. */
async function check(page, name) {
  checks++
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (over > 0) problems.push(`${name}: hangs ${over} px over the edge`)
  const headings = await page.evaluate(() => document.querySelectorAll('h1').length)
  if (headings !== 1) problems.push(`${name}: ${headings} first headings`)
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }),
  )
  for (const { id, impact, nodes } of violations) {
    if (impact === 'serious' || impact === 'critical')
      problems.push(
        `${name}: ${id} (${impact}) at ${nodes
          .slice(0, 3)
          .map(node => node.target.join(' '))
          .join(', ')}: ${nodes[0].failureSummary}`,
      )
    else console.log(`  ${name}: ${id} (${impact}), ${nodes.length} places, such as ${nodes[0].target.join(' ')}`)
  }
  // The bar at the top would stand where the page was scrolled to.
  await page.evaluate(() => scrollTo(0, 0))
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
}

const machine = id => `#/machine/${encodeURIComponent(id)}`
const server = await serve()
const { anomalies, alerts } = server.tables
const byBurst = anomalies.find(
  ({ model, fault_mode, sensor }) =>
    model === 'envelope' && fault_mode === 'bearing-outer-race' && sensor.startsWith('rotterdam/hall-2/pump-12'),
)
const byAll = anomalies.find(({ asset, metadata }) => asset === 'rotterdam/hall-1/fan-03' && metadata.trend)
const PAGES = [
  ['fleet', '#/', 'All machines'],
  ['machine-bearing', machine('rotterdam/hall-2/pump-12'), 'Waterfall'],
  ['machine-heat', machine('duisburg/hall-1/motor-30'), 'Trends'],
  ['machine-well', machine('antwerp/hall-1/motor-13'), 'This machine is well'],
  ['anomaly-burst', `#/anomaly/${byBurst.id}`, 'Envelope spectrum'],
  ['anomaly', `#/anomaly/${byAll.id}`, 'How it came to this'],
  ['alerts', '#/alerts', 'open alerts'],
  [
    'schedule',
    `#/schedule?order=${server.tables['work-orders'].find(({ after, status }) => status === 'planned' && after.length > 2).id}`,
    'Orders',
  ],
  ['quality', '#/quality', 'Refused events'],
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
assert.ok(server.seen.notModified > 0, 'nothing was answered by "not modified"')
assert.deepEqual(server.seen.refused, [], 'the API refused a question')

// What people do.
{
  const page = await open(server)
  await page.at('#/', 'All machines')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content')
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
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark', 'the choice is kept')

  // The newest reading is shown without anybody asking for it.
  const sensor = 'duisburg/hall-1/motor-30/bearing-temperature'
  await page.at(machine('duisburg/hall-1/motor-30'), 'Trends')
  server.readings.get(sensor).push({ time: RECORDED + 500, value: 123.4 })
  await page.locator('.trend-value', { hasText: '123 °C' }).waitFor({ timeout: 6_000 })
  await page.getByRole('button', { name: '1 h' }).click()
  assert.match(page.url(), /range=60/)

  await page.at('#/alerts', 'open alerts')
  await page.getByLabel('Severity').selectOption('critical')
  await page.getByText('1 open alert of 10').waitFor()
  assert.match(page.url(), /severity=critical/)
  await page.getByLabel('Severity').selectOption('')
  await page.getByLabel('Site').selectOption('antwerp')
  await page.getByText(`${alerts.filter(({ asset }) => asset.startsWith('antwerp/')).length} open alerts of 10`).waitFor()

  await page.at('#/schedule', 'Orders')
  const bar = page.locator('.bar').nth(1)
  await bar.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('region', { name: 'The chosen order' }).waitFor()
  await page.at('#/quality', 'Refused events')
  await page.getByRole('button', { name: /^Out of range/ }).click()
  await page.getByText('--reason out-of-range').waitFor()
  await page.locator('.letter summary').first().click()
  await page.getByText('"values": 99').first().waitFor()
  // Not offered, so not shown.
  await page.at(`#/anomaly/${byAll.id}`, 'How it came to this')
  assert.equal(await page.getByRole('button', { name: 'Acknowledge' }).count(), 0)
  await page.context().close()
}

// When the host fails, and when it is silent.
{
  const page = await open(server, { quiet: [503, 'ERR_CONNECTION_REFUSED', 'Failed to fetch'] })
  server.state.fail = 503
  await page.goto(`${server.url}/#/`)
  await page.getByText('The host is busy').waitFor()
  await check(page, 'busy-1280-light')
  server.state.fail = 0
  await page.getByText('All machines').waitFor({ timeout: 15_000 })
  await server.close()
  await page.getByText('no answer').waitFor({ timeout: 10_000 })
  assert.equal(await page.locator('.tile').count(), 36, 'what was known stays')
  await page.goto('about:blank')
  await page.context().close()
}

// Nothing there yet.
{
  const empty = await serve({ empty: true })
  for (const [width, dark] of [
    [1280, false],
    [360, true],
  ]) {
    const page = await open(empty, { width, dark, quiet: [404] })
    for (const [name, hash, text] of [
      ['fleet', '#/', 'No sensor has sent'],
      ['alerts', '#/alerts', 'No alert is open'],
      ['schedule', '#/schedule', 'No work is planned'],
      ['quality', '#/quality', 'Nothing was refused'],
      ['machine', machine('no/such/machine'), 'No sensor belongs to'],
      ['anomaly', '#/anomaly/00', 'no such thing'],
    ]) {
      await page.at(hash, text)
      await check(page, `empty-${name}-${width}-${dark ? 'dark' : 'light'}`)
    }
    await page.context().close()
  }
  await empty.close()
}

// Where changes are taken.
{
  const offering = await serve({ offers: true })
  const page = await open(offering)
  await page.at(`#/anomaly/${byBurst.id}`, 'Envelope spectrum')
  await page.getByRole('button', { name: 'Acknowledge' }).click()
  await page.getByText('Acknowledged').waitFor()
  await check(page, 'anomaly-offers-1280-light')
  await page.at('#/schedule', 'Drag a bar to move it')
  const bar = page.locator('.bar.planned').first()
  const box = await bar.boundingBox()
  await page.mouse.move(box.x + 6, box.y + 10)
  await page.mouse.down()
  await page.mouse.move(box.x + 106, box.y + 10, { steps: 5 })
  await page.mouse.up()
  await page.getByText(/is now with/).waitFor()
  const [first, second] = offering.seen.changes
  assert.deepEqual(first.slice(0, 2), ['POST', `anomalies/${byBurst.id}/acknowledge`])
  assert.equal(second[0], 'PATCH')
  assert.match(second[2].scheduled_time, /:[0-5][05]:00\.000Z$/)
  // The page first: it must not ask a server that has gone.
  await page.context().close()
  await offering.close()
}

// Where one has to sign in.
{
  const closed = await serve({ login: true })
  for (const [width, dark] of [
    [1280, false],
    [360, true],
  ]) {
    const page = await open(closed, { width, dark, quiet: [401] })
    await page.goto(`${closed.url}/#/`)
    await page.getByLabel('User').waitFor()
    await check(page, `login-${width}-${dark ? 'dark' : 'light'}`)
    await page.getByLabel('User').fill('ada')
    await page.getByLabel('Password').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('User or password is wrong.').waitFor()
    await page.getByLabel('Password').fill('secret')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('All machines').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('User').waitFor()
    await page.context().close()
  }
  await closed.close()
}

await browser.close()
for (const problem of problems) console.error(problem)
console.log(`${checks} pages looked at, ${problems.length} problems; screenshots in ${shots}`)
process.exit(problems.length ? 1 : 0)
