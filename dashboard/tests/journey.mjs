// Goes the way of a new administrator through a running host, in a real browser: first sign-in, live fleet, the failing machine,
// its fault line, acknowledge, order a repair, pin it on the Gantt chart and see the new plan; then the reading part in dark and
// at a phone's width, and once by keyboard alone. Asks axe on every page and leaves screenshots. node tests/journey.mjs
//
//   WHEELTAPPER_URL           of the host
//   WHEELTAPPER_PASSWORD      admin's one-time password, which the host's first start printed
//   WHEELTAPPER_MACHINE       the asset id of the machine with a failing bearing
//   WHEELTAPPER_SHOTS         the folder for screenshots; shots/ otherwise
//   WHEELTAPPER_NEW_PASSWORD  what admin's password becomes; one of ours otherwise
import { fileURLToPath } from 'node:url'
import { start } from './browser.mjs'

const given = name => {
  const value = process.env[name]
  if (value) return value
  console.error(`${name} is not set; tests/journey.mjs says what it needs at its top`)
  process.exit(2)
}
const [base, once, machine] = ['URL', 'PASSWORD', 'MACHINE'].map(name => given(`WHEELTAPPER_${name}`))
const url = base.replace(/\/$/, '')
const shots = process.env.WHEELTAPPER_SHOTS ?? fileURLToPath(new URL('../shots', import.meta.url))
const own = process.env.WHEELTAPPER_NEW_PASSWORD ?? 'lamp-ferry-Copper-47-meadow'
const { open, check, shoot, settled, end, problems } = await start(shots, { empty: false })

const machineLink = `#/machine/${encodeURIComponent(machine)}`
/** A phone by its width, a desk by its own. */
const PHONE = 390
let step = 'the beginning'

/** Says what is expected before it is waited for, so that a failure is understood. */
async function expect(page, what, run) {
  step = what
  try {
    return await run()
  } catch (error) {
    await shoot(page, 'failed').catch(() => undefined)
    const text = await page
      .locator('main')
      .innerText({ timeout: 1_000 })
      .catch(() => '(no page)')
    throw new Error(
      `expected ${what}, but it did not come at ${page.url()}.\n  The page says: ${text.replaceAll(/\s+/g, ' ').slice(0, 400)}\n  (${String(error.message).split('\n')[0]}; see failed.png)`,
    )
  }
}

const truth = (value, text) => {
  if (!value) throw new Error(text)
}

/** Goes to a page by its address, and waits for a heading. */
async function visit(page, hash, heading) {
  await expect(page, `the page ${hash} with the heading ${heading}`, async () => {
    await page.goto(`${url}/${hash}`)
    await page.getByRole('heading', { name: heading }).first().waitFor({ timeout: 15_000 })
    await settled(page)
  })
}

async function signIn(page, password) {
  await expect(page, 'the form to sign in', async () => {
    await page.goto(`${url}/#/`)
    await page.getByLabel('User').waitFor({ timeout: 15_000 })
  })
  await page.getByLabel('User').fill('admin')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

const fleet = page =>
  expect(page, 'the fleet, with its machines', async () => {
    await page.getByRole('heading', { name: 'All machines' }).waitFor({ timeout: 15_000 })
    await settled(page)
  })

/** A text that changes by itself. */
const changes = (page, selector, what, milliseconds) =>
  expect(page, `${what} to change by itself within ${milliseconds / 1000} s`, async () => {
    const before = await page.locator(selector).allInnerTexts()
    truth(before.length, `there is no ${selector}`)
    await page.waitForFunction(
      ([selector, before]) => [...document.querySelectorAll(selector)].map(each => each.innerText).join('|') !== before,
      [selector, before.join('|')],
      { timeout: milliseconds },
    )
  })

/** What `ask` gives, once it finds nothing wrong; what it found wrong at last, when half a minute has passed. */
async function until(page, ask) {
  for (const end = Date.now() + 30_000; ; await page.waitForTimeout(200)) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

/** The bearing's line in the envelope spectrum: named for who cannot see it, named in the text, and drawn. */
async function faultLine(page) {
  const plot = page.getByRole('img', { name: /^Envelope spectrum/ }).first()
  await expect(page, 'an envelope spectrum with a bearing’s line marked (BPFO, BPFI, BSF or FTF)', async () => {
    await plot.waitFor({ timeout: 30_000 })
    // A burst may be there a moment before what is said of it, and the next one soon after.
    const marked = await until(page, async () => {
      const label = await plot.getAttribute('aria-label')
      const found = /marked: (.+ \((?:BPFO|BPFI|2 × BSF|FTF)\)) at ([\d.,]+) Hz/.exec(label)
      truth(found, `its label is "${label}"; does the window of the newest burst name a part (bearing_named)?`)
      const said = page.locator('.burst p', { hasText: `The ${found[1]} is at ${found[2]} Hz` })
      truth((await said.count()) > 0, `no text says that the ${found[1]} is at ${found[2]} Hz`)
      return found
    })
    console.log(`  the spectrum marks the ${marked[1]} at ${marked[2]} Hz`)
  })
  await expect(page, 'the line to be drawn in the colour of what is named', async () => {
    await until(page, async () => {
      const drawn = await plot.evaluate(place => {
        const probe = document.createElement('span')
        probe.style.color = 'var(--critical)'
        place.append(probe)
        const canvas = document.createElement('canvas')
        const paint = canvas.getContext('2d')
        paint.fillStyle = getComputedStyle(probe).color
        probe.remove()
        paint.fillRect(0, 0, 1, 1)
        const wanted = paint.getImageData(0, 0, 1, 1).data
        const picture = place.querySelector('canvas')
        const { data } = picture.getContext('2d').getImageData(0, 0, picture.width, picture.height)
        let found = 0
        for (let n = 0; n < data.length; n += 4)
          if (data[n + 3] > 150 && [0, 1, 2].every(part => Math.abs(data[n + part] - wanted[part]) < 24)) found++
        return found
      })
      truth(drawn > 60, `only ${drawn} pixels have that colour`)
    })
  })
}

/** From the fleet to the machine, by its link; where it is not among the worst, by a search. */
async function openMachine(page) {
  await expect(page, `the machine ${machine} in the fleet, and its page`, async () => {
    const link = page.locator(`a[href="${machineLink}"]`).first()
    if ((await link.count()) === 0) await page.getByRole('searchbox').fill(machine)
    await link.click({ timeout: 15_000 })
    await page
      .getByRole('heading', { name: machine.slice(machine.lastIndexOf('/') + 1) })
      .first()
      .waitFor()
    await page.getByRole('heading', { name: 'Trends' }).waitFor({ timeout: 15_000 })
    await settled(page)
  })
}

const acknowledged = page =>
  expect(page, 'the acknowledgement in the history', async () => {
    await page.getByRole('button', { name: '✓ Acknowledged' }).waitFor({ timeout: 10_000 })
    await page
      .locator('.history li', { hasText: 'Acknowledged' })
      .filter({ hasText: 'admin' })
      .first()
      .waitFor({ timeout: 10_000 })
  })

/** Drags an order: onto the next one of the same technician, which then has to make room; else a little later. */
async function drag(page, bar) {
  const from = await bar.boundingBox()
  const other = await bar.evaluate(mine => {
    const box = mine.getBoundingClientRect()
    const scroll = mine.closest('.gantt-scroll').getBoundingClientRect()
    const asset = mine.getAttribute('aria-label').split(',')[1]
    const boxes = [...document.querySelectorAll('.bar.planned:not(.pinned)')]
      .filter(each => each !== mine && each.getAttribute('aria-label').split(',')[1] !== asset)
      .map(each => each.getBoundingClientRect())
      .filter(each => Math.abs(each.top - box.top) < 4 && each.left > box.left + 15 && each.left < scroll.right - 30)
      .sort((one, other) => one.left - other.left)
    return boxes[0] ? { x: boxes[0].left } : null
  })
  const by = other ? other.x - from.x : 100
  const [x, y] = [from.x + Math.min(6, from.width / 2), from.y + from.height / 2]
  await page.mouse.move(x, y)
  await page.mouse.down()
  await page.mouse.move(x + by / 2, y, { steps: 5 })
  await page.mouse.move(x + by, y, { steps: 5 })
  await page.mouse.up()
  return other !== null
}

async function desk() {
  const page = await open({ quiet: [401] })
  await signIn(page, once)
  await expect(page, 'to be asked for a new password after the one-time password (was this host used before?)', () =>
    page.getByRole('heading', { name: 'Choose a password' }).waitFor({ timeout: 15_000 }),
  )
  await check(page, 'journey-password')
  await page.getByLabel('New password', { exact: true }).fill(own)
  await page.getByLabel('New password, once more').fill(own)
  await page.getByRole('button', { name: 'Set the password' }).click()
  await fleet(page)
  await changes(page, '.figure b', 'a figure of the fleet', 20_000)
  await expect(page, 'the line at the top to say live', () => page.locator('.host.live').waitFor({ timeout: 10_000 }))
  await check(page, 'journey-fleet-light')

  await openMachine(page)
  await changes(page, '.trend-value', 'the newest value of a trend', 30_000)
  await faultLine(page)
  await settled(page)
  await check(page, 'journey-machine-light')

  await expect(page, 'an open alert of the machine, with a link to its reason', () =>
    page.getByRole('link', { name: 'See the reason' }).first().click({ timeout: 20_000 }),
  )
  await expect(page, 'the anomaly with its buttons', () =>
    page.getByRole('button', { name: 'Acknowledge' }).waitFor({ timeout: 15_000 }),
  )
  const anomaly = new URL(page.url()).hash
  await page.getByRole('button', { name: 'Acknowledge' }).click()
  await acknowledged(page)
  await page.getByRole('button', { name: 'Order repair' }).click()
  await expect(page, 'the repair to be ordered, and its order on the schedule within 90 s', async () => {
    await page.getByRole('button', { name: '✓ Repair ordered' }).waitFor({ timeout: 15_000 })
    await page.locator('.repair a').first().waitFor({ timeout: 90_000 })
  })
  await settled(page)
  await check(page, 'journey-anomaly-light')

  await page.locator('.repair a[href*="order="]').first().click()
  const order = await expect(page, 'the order in the address of the schedule', async () => {
    await page.getByRole('region', { name: 'The chosen order' }).waitFor({ timeout: 15_000 })
    const id = new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('order')
    truth(id, 'there is none')
    return id
  })
  const bar = page.locator(`.bar[data-order="${order}"]`)
  await expect(page, 'the order as a bar on the Gantt chart (has it a time and a technician?)', () =>
    bar.waitFor({ timeout: 15_000 }),
  )
  await settled(page)
  await bar.scrollIntoViewIfNeeded()
  await check(page, 'journey-schedule-light')
  const before = await bar.getAttribute('aria-label')
  const crowded = await expect(page, 'the bar to be dragged', async () => {
    await bar.scrollIntoViewIfNeeded()
    return await drag(page, bar)
  })
  await expect(page, 'the order to be pinned where it was dropped, in words and by a pin', async () => {
    await page.getByText(/is now with .* and pinned there/).waitFor({ timeout: 15_000 })
    await page.locator(`.bar.pinned[data-order="${order}"]`).waitFor({ timeout: 15_000 })
    truth((await bar.getAttribute('aria-label')) !== before, `it still is ${before}`)
  })
  if (crowded)
    await expect(page, 'the new plan to move what was in the way', () =>
      page.getByText(/The rest is planned anew: .* moved/).waitFor({ timeout: 45_000 }),
    )
  else console.log('  no other order of this technician lies behind it on the chart: nothing had to make room')
  await check(page, 'journey-schedule-pinned-light')
  await page.reload()
  await expect(page, 'the pin to be there after a reload, as the host has kept it', () =>
    page.locator(`.bar.pinned[data-order="${order}"]`).waitFor({ timeout: 15_000 }),
  )

  for (const [name, hash, heading] of REST) {
    await visit(page, hash, heading)
    await check(page, `journey-${name}-light`)
  }
  await visit(page, '#/audit', 'Audit log')
  await page.getByRole('button', { name: 'Verify the chain' }).click()
  await expect(page, 'the audit log’s chain to be whole', () => page.getByText('The chain is whole').waitFor({ timeout: 30_000 }))
  await page.context().close()
  return { anomaly, order }
}

/** Pages beside those that the way leads through. */
const REST = [
  ['alerts', '#/alerts', 'Alerts'],
  ['quality', '#/quality', 'Data quality'],
  ['users', '#/users', 'Users'],
  ['keys', '#/keys', 'Keys'],
  ['audit', '#/audit', 'Audit log'],
  ['account', '#/account', 'Your account'],
]

/** All pages once more: to be read, nothing is changed. */
async function reading(look, options, { anomaly, order }, pages) {
  const page = await open({ ...options, quiet: [401] })
  await signIn(page, own)
  await fleet(page)
  await check(page, `journey-fleet-${look}`)
  await openMachine(page)
  await faultLine(page)
  await settled(page)
  await check(page, `journey-machine-${look}`)
  await visit(page, anomaly, machine.slice(machine.lastIndexOf('/') + 1))
  await check(page, `journey-anomaly-${look}`)
  await visit(page, `#/schedule?order=${order}`, 'Schedule')
  await check(page, `journey-schedule-${look}`)
  for (const [name, hash, heading] of pages) {
    await visit(page, hash, heading)
    await check(page, `journey-${name}-${look}`)
  }
  await page.context().close()
}

/** Presses Tab until what has the focus fits. */
async function tabTo(page, selector, what, most = 600) {
  await expect(page, `${what} to be reached by Tab`, async () => {
    for (let n = 0; n < most; n++) {
      if (await page.evaluate(selector => document.activeElement?.matches(selector) ?? false, selector)) return
      await page.keyboard.press('Tab')
    }
    throw new Error(`${most} times Tab did not lead to ${selector}`)
  })
}

/** The same by keyboard alone: no click, no script that sets the focus. */
async function keyboard({ anomaly }) {
  const page = await open({ quiet: [401] })
  await page.goto(`${url}/#/`)
  await expect(page, 'the form to sign in', () => page.getByLabel('User').waitFor({ timeout: 15_000 }))
  await tabTo(page, 'input[name="user"]', 'the field User')
  await page.keyboard.type('admin')
  await page.keyboard.press('Tab')
  await page.keyboard.type(own)
  await page.keyboard.press('Enter')
  await fleet(page)
  await tabTo(page, `a[href="${machineLink}"]`, `the machine ${machine}`)
  await page.keyboard.press('Enter')
  await expect(page, 'the machine’s latest anomalies', async () => {
    await page.getByRole('heading', { name: 'Latest anomalies' }).waitFor({ timeout: 15_000 })
    await settled(page)
  })
  await tabTo(page, `a[href^="#/anomaly/"][data-item]:not([href="${anomaly}"])`, 'an anomaly that nobody has acknowledged')
  await page.keyboard.press('Enter')
  await expect(page, 'the anomaly with its buttons', () =>
    page.getByRole('button', { name: 'Acknowledge' }).waitFor({ timeout: 15_000 }),
  )
  await tabTo(page, '.doings .actions button:first-child', 'the button Acknowledge')
  await page.keyboard.press('Enter')
  await acknowledged(page)
  await shoot(page, 'journey-keyboard-anomaly')
  await expect(page, 'the repair’s order', () => page.locator('.repair a[href*="order="]').waitFor({ timeout: 30_000 }))
  await tabTo(page, '.repair a', 'the repair’s order')
  await page.keyboard.press('Enter')
  const id = await expect(page, 'the order on the schedule', async () => {
    await page.getByRole('region', { name: 'The chosen order' }).waitFor({ timeout: 15_000 })
    return new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('order')
  })
  const place = () => page.locator(`.bar[data-order="${id}"]`).getAttribute('aria-label')
  await expect(page, 'the order as a bar', () => page.locator(`.bar[data-order="${id}"]`).waitFor({ timeout: 15_000 }))
  await tabTo(page, `.bar[data-order="${id}"]`, 'the order’s bar')
  const before = await place()
  await page.keyboard.press('ArrowRight')
  await expect(page, 'to be told where the bar would go', () => page.getByText(/Enter pins it there/).waitFor({ timeout: 5_000 }))
  await shoot(page, 'journey-keyboard-held')
  await page.keyboard.press('Enter')
  await expect(page, 'the order to be pinned an hour later', async () => {
    await page.getByText(/is now with .* and pinned there/).waitFor({ timeout: 15_000 })
    await page.locator(`.bar.pinned[data-order="${id}"]`).waitFor({ timeout: 15_000 })
    truth((await place()) !== before, `it still is ${before}`)
  })
  await check(page, 'journey-keyboard-pinned')
  await page.context().close()
}

try {
  console.log('at the desk')
  const known = await desk()
  console.log('in dark')
  await reading('dark', { dark: true }, known, REST)
  console.log('on the phone')
  await reading('phone', { width: PHONE, height: 844, hasTouch: true, isMobile: true }, known, REST.slice(0, 2))
  console.log('by keyboard alone')
  await keyboard(known)
} catch (error) {
  problems.push(error.message.startsWith('expected') ? error.message : `at "${step}": ${error.stack}`)
}
process.exit(await end())
