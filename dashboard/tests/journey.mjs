// End-to-end journey of a new administrator through a running host, in a real browser: first sign-in, live fleet, the
// failing machine, its fault frequency, acknowledge, order a repair, pin it on the Gantt chart and see the new plan.
// Then the read-only part in dark mode and at phone width, and once by keyboard only. Runs axe on every page and saves
// screenshots. Usage: node tests/journey.mjs
//
//   WHEELTAPPER_URL           URL of the host
//   WHEELTAPPER_PASSWORD      admin's one-time password, printed at the first start of the host
//   WHEELTAPPER_MACHINE       asset id of the machine with a failing bearing
//   WHEELTAPPER_SHOTS         folder for screenshots (default: shots/)
//   WHEELTAPPER_NEW_PASSWORD  new password of admin (has a default)
import { fileURLToPath } from 'node:url'
import { start } from './browser.mjs'

const requiredEnv = name => {
  const value = process.env[name]
  if (value) return value
  console.error(`${name} is not set; see the comment at the top of tests/journey.mjs`)
  process.exit(2)
}
const [base, oneTimePassword, machine] = ['URL', 'PASSWORD', 'MACHINE'].map(name => requiredEnv(`WHEELTAPPER_${name}`))
const url = base.replace(/\/$/, '')
const shots = process.env.WHEELTAPPER_SHOTS ?? fileURLToPath(new URL('../shots', import.meta.url))
const newPassword = process.env.WHEELTAPPER_NEW_PASSWORD ?? 'lamp-ferry-Copper-47-meadow'
const { open, check, screenshot, waitUntilSettled, finish, problems } = await start(shots, { empty: false })

const machineLink = `#/machine/${encodeURIComponent(machine)}`
/** Width of a phone, in pixels. */
const PHONE = 390
let step = 'start'

/** Runs a step. A failure is reported with what was expected. */
async function expect(page, what, run) {
  step = what
  try {
    return await run()
  } catch (error) {
    await screenshot(page, 'failed').catch(() => undefined)
    const text = await page
      .locator('main')
      .innerText({ timeout: 1_000 })
      .catch(() => '(no page)')
    throw new Error(
      `expected ${what}, but it did not happen at ${page.url()}.\n  The page shows: ${text.replaceAll(/\s+/g, ' ').slice(0, 400)}\n  (${String(error.message).split('\n')[0]}; see failed.png)`,
    )
  }
}

const assertTrue = (value, text) => {
  if (!value) throw new Error(text)
}

/** Opens a page by its URL and waits for a heading. */
async function visit(page, hash, heading) {
  await expect(page, `the page ${hash} with the heading ${heading}`, async () => {
    await page.goto(`${url}/${hash}`)
    await page.getByRole('heading', { name: heading }).first().waitFor({ timeout: 60_000 })
    await waitUntilSettled(page)
  })
}

async function signIn(page, password) {
  await expect(page, 'the form to sign in', async () => {
    await page.goto(`${url}/#/`)
    await page.getByLabel('User').waitFor({ timeout: 60_000 })
  })
  await page.getByLabel('User').fill('admin')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

const fleet = page =>
  expect(page, 'the fleet, with its machines', async () => {
    await page.getByRole('heading', { name: 'All machines' }).waitFor({ timeout: 60_000 })
    await waitUntilSettled(page)
  })

/** Waits until a text changes without any input. */
const waitForChange = (page, selector, what, milliseconds) =>
  expect(page, `${what} to change by itself within ${milliseconds / 1000} s`, async () => {
    const before = await page.locator(selector).allInnerTexts()
    assertTrue(before.length, `there is no ${selector}`)
    await page.waitForFunction(
      ([selector, before]) => [...document.querySelectorAll(selector)].map(each => each.innerText).join('|') !== before,
      [selector, before.join('|')],
      { timeout: milliseconds },
    )
  })

/** Repeats `ask` until it succeeds; after half a minute, throws its last error. */
async function until(page, ask) {
  for (const end = Date.now() + 30_000; ; await page.waitForTimeout(200)) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

/** The bearing's fault frequency in the envelope spectrum: in the accessible label, in the text, and drawn. */
async function faultLine(page) {
  const plot = page.getByRole('img', { name: /^Envelope spectrum/ }).first()
  await expect(
    page,
    'an envelope spectrum with a bearing fault frequency marked (BPFO, BPFI, BSF or FTF)',
    async () => {
      await plot.waitFor({ timeout: 60_000 })
      // A waveform may arrive a moment before its window, and the next one soon after.
      const marked = await until(page, async () => {
        const label = await plot.getAttribute('aria-label')
        const found = /marked: (.+ \((?:BPFO|BPFI|2 × BSF|FTF)\)) at ([\d.,]+) Hz/.exec(label)
        assertTrue(
          found,
          `its label is "${label}"; does the window of the newest waveform name a bearing part (bearing_named)?`,
        )
        const text = page.locator('.waveform p', { hasText: `The ${found[1]} is at ${found[2]} Hz` })
        assertTrue((await text.count()) > 0, `no text states that the ${found[1]} is at ${found[2]} Hz`)
        return found
      })
      console.log(`  the spectrum marks the ${marked[1]} at ${marked[2]} Hz`)
    },
  )
  await expect(page, 'the line to be drawn in the colour of the named fault', async () => {
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
      assertTrue(drawn > 60, `only ${drawn} pixels have this colour`)
    })
  })
}

/** Opens the machine from the fleet by its link; if it is not among the worst, by a search. */
async function openMachine(page) {
  await expect(page, `the machine ${machine} in the fleet, and its page`, async () => {
    const link = page.locator(`a[href="${machineLink}"]`).first()
    if ((await link.count()) === 0) await page.getByRole('searchbox').fill(machine)
    await link.click({ timeout: 60_000 })
    await page
      .getByRole('heading', { name: machine.slice(machine.lastIndexOf('/') + 1) })
      .first()
      .waitFor()
    await page.getByRole('heading', { name: 'Trends' }).waitFor({ timeout: 60_000 })
    await waitUntilSettled(page)
  })
}

const acknowledged = page =>
  expect(page, 'the acknowledgement in the history', async () => {
    await page.getByRole('button', { name: '✓ Acknowledged' }).waitFor({ timeout: 60_000 })
    await page
      .locator('.history li', { hasText: 'Acknowledged' })
      .filter({ hasText: 'admin' })
      .first()
      .waitFor({ timeout: 60_000 })
  })

/**
 * Drags an order onto the next one of the same technician, which the planner then has to move; if there is none, a
 * little later.
 */
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

async function desktopJourney() {
  const page = await open({ allowedMessages: [401] })
  await signIn(page, oneTimePassword)
  await expect(page, 'the form for a new password after the one-time password (was this host used before?)', () =>
    page.getByRole('heading', { name: 'Choose a password' }).waitFor({ timeout: 60_000 }),
  )
  await check(page, 'journey-password')
  await page.getByLabel('New password', { exact: true }).fill(newPassword)
  await page.getByLabel('Repeat new password').fill(newPassword)
  await page.getByRole('button', { name: 'Set password' }).click()
  await fleet(page)
  await waitForChange(page, '.figure b', 'a figure of the fleet', 20_000)
  await expect(page, 'the host status to be live', () => page.locator('.host.live').waitFor({ timeout: 20_000 }))
  await check(page, 'journey-fleet-light')

  await openMachine(page)
  await waitForChange(page, '.trend-value', 'the newest value of a trend', 30_000)
  await faultLine(page)
  await waitUntilSettled(page)
  await check(page, 'journey-machine-light')

  await expect(page, 'an open alert of the machine, with a link to its reason', () =>
    page.getByRole('link', { name: 'See the reason' }).first().click({ timeout: 60_000 }),
  )
  await expect(page, 'the anomaly with its buttons', () =>
    page.getByRole('button', { name: 'Acknowledge' }).waitFor({ timeout: 60_000 }),
  )
  const anomaly = new URL(page.url()).hash
  await page.getByRole('button', { name: 'Acknowledge' }).click()
  await acknowledged(page)
  await page.getByRole('button', { name: 'Order repair' }).click()
  await expect(page, 'the repair to be ordered, and its order on the schedule within 90 s', async () => {
    await page.getByRole('button', { name: '✓ Repair ordered' }).waitFor({ timeout: 60_000 })
    await page.locator('.repair a').first().waitFor({ timeout: 90_000 })
  })
  await waitUntilSettled(page)
  await check(page, 'journey-anomaly-light')

  await page.locator('.repair a[href*="order="]').first().click()
  const order = await expect(page, 'the order in the address of the schedule', async () => {
    await page.getByRole('region', { name: 'Selected order' }).waitFor({ timeout: 60_000 })
    const id = new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('order')
    assertTrue(id, 'the address has no order')
    return id
  })
  const bar = page.locator(`.bar[data-order="${order}"]`)
  await expect(page, 'the order as a bar on the Gantt chart (does it have a time and a technician?)', () =>
    bar.waitFor({ timeout: 60_000 }),
  )
  await waitUntilSettled(page)
  await bar.scrollIntoViewIfNeeded()
  await check(page, 'journey-schedule-light')
  const before = await bar.getAttribute('aria-label')
  const crowded = await expect(page, 'the bar to be dragged', async () => {
    await bar.scrollIntoViewIfNeeded()
    return await drag(page, bar)
  })
  await expect(page, 'the order to be pinned where it was dropped, with a message and a pin', async () => {
    await page.getByText(/is assigned to .* and pinned/).waitFor({ timeout: 60_000 })
    await page.locator(`.bar.pinned[data-order="${order}"]`).waitFor({ timeout: 60_000 })
    assertTrue((await bar.getAttribute('aria-label')) !== before, `it is still ${before}`)
  })
  if (crowded)
    await expect(page, 'the new plan to move the conflicting order', () =>
      page.getByText(/The rest was replanned: .* moved/).waitFor({ timeout: 60_000 }),
    )
  else console.log('  this technician has no later order on the chart: no order had to be moved')
  await check(page, 'journey-schedule-pinned-light')
  await page.reload()
  await expect(page, 'the pin to be there after a reload, as the host has stored it', () =>
    page.locator(`.bar.pinned[data-order="${order}"]`).waitFor({ timeout: 60_000 }),
  )

  for (const [name, hash, heading] of OTHER_PAGES) {
    await visit(page, hash, heading)
    await check(page, `journey-${name}-light`)
  }
  await visit(page, '#/audit', 'Audit log')
  await page.getByRole('button', { name: 'Verify the chain' }).click()
  await expect(page, 'the audit log’s chain to be intact', () =>
    page.getByText('The chain is intact').waitFor({ timeout: 60_000 }),
  )
  await page.context().close()
  return { anomaly, order }
}

/** Pages that the journey does not lead through. */
const OTHER_PAGES = [
  ['alerts', '#/alerts', 'Alerts'],
  ['quality', '#/quality', 'Data quality'],
  ['users', '#/users', 'Users'],
  ['keys', '#/keys', 'Keys'],
  ['audit', '#/audit', 'Audit log'],
  ['account', '#/account', 'Your account'],
]

/** All pages once more, without changing anything. */
async function readOnlyPages(look, options, { anomaly, order }, pages) {
  const page = await open({ ...options, allowedMessages: [401] })
  await signIn(page, newPassword)
  await fleet(page)
  await check(page, `journey-fleet-${look}`)
  await openMachine(page)
  await faultLine(page)
  await waitUntilSettled(page)
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

/** Presses Tab until the focused element matches. */
async function tabTo(page, selector, what, most = 600) {
  await expect(page, `${what} to be reached by Tab`, async () => {
    for (let n = 0; n < most; n++) {
      if (await page.evaluate(selector => document.activeElement?.matches(selector) ?? false, selector)) return
      await page.keyboard.press('Tab')
    }
    throw new Error(`${selector} was not reached after pressing Tab ${most} times`)
  })
}

/** The same by keyboard only: no click, and no script that sets the focus. */
async function keyboard({ anomaly }) {
  const page = await open({ allowedMessages: [401] })
  await page.goto(`${url}/#/`)
  await expect(page, 'the form to sign in', () => page.getByLabel('User').waitFor({ timeout: 60_000 }))
  await tabTo(page, 'input[name="user"]', 'the field User')
  await page.keyboard.type('admin')
  await page.keyboard.press('Tab')
  await page.keyboard.type(newPassword)
  await page.keyboard.press('Enter')
  await fleet(page)
  await tabTo(page, `a[href="${machineLink}"]`, `the machine ${machine}`)
  await page.keyboard.press('Enter')
  await expect(page, 'the machine’s latest anomalies', async () => {
    await page.getByRole('heading', { name: 'Latest anomalies' }).waitFor({ timeout: 60_000 })
    await waitUntilSettled(page)
  })
  await tabTo(page, `a[href^="#/anomaly/"][data-item]:not([href="${anomaly}"])`, 'an anomaly that is not acknowledged')
  await page.keyboard.press('Enter')
  await expect(page, 'the anomaly with its buttons', () =>
    page.getByRole('button', { name: 'Acknowledge' }).waitFor({ timeout: 60_000 }),
  )
  await tabTo(page, '.anomaly-actions .actions button:first-child', 'the button Acknowledge')
  await page.keyboard.press('Enter')
  await acknowledged(page)
  await screenshot(page, 'journey-keyboard-anomaly')
  await expect(page, 'the repair’s order', () => page.locator('.repair a[href*="order="]').waitFor({ timeout: 60_000 }))
  await tabTo(page, '.repair a', 'the repair’s order')
  await page.keyboard.press('Enter')
  const id = await expect(page, 'the order on the schedule', async () => {
    await page.getByRole('region', { name: 'Selected order' }).waitFor({ timeout: 60_000 })
    return new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('order')
  })
  const place = () => page.locator(`.bar[data-order="${id}"]`).getAttribute('aria-label')
  await expect(page, 'the order as a bar', () => page.locator(`.bar[data-order="${id}"]`).waitFor({ timeout: 60_000 }))
  await tabTo(page, `.bar[data-order="${id}"]`, 'the order’s bar')
  const before = await place()
  await page.keyboard.press('ArrowRight')
  await expect(page, 'an announcement of the new position', () =>
    page.getByText(/Enter to pin it there/).waitFor({ timeout: 60_000 }),
  )
  await screenshot(page, 'journey-keyboard-held')
  await page.keyboard.press('Enter')
  await expect(page, 'the order to be pinned an hour later', async () => {
    await page.getByText(/is assigned to .* and pinned/).waitFor({ timeout: 60_000 })
    await page.locator(`.bar.pinned[data-order="${id}"]`).waitFor({ timeout: 60_000 })
    assertTrue((await place()) !== before, `it is still ${before}`)
  })
  await check(page, 'journey-keyboard-pinned')
  await page.context().close()
}

try {
  console.log('desktop, light')
  const known = await desktopJourney()
  console.log('desktop, dark')
  await readOnlyPages('dark', { dark: true }, known, OTHER_PAGES)
  console.log('phone')
  await readOnlyPages(
    'phone',
    { width: PHONE, height: 844, hasTouch: true, isMobile: true },
    known,
    OTHER_PAGES.slice(0, 2),
  )
  console.log('keyboard only')
  await keyboard(known)
} catch (error) {
  problems.push(error.message.startsWith('expected') ? error.message : `at "${step}": ${error.stack}`)
}
process.exit(await finish())
