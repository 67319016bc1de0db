// Starts the browser of the browser tests, records its errors and runs axe. WHEELTAPPER_CHROMIUM names the browser;
// otherwise chromium from the path is used.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'

const findBrowser = () => {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter))
      if (existsSync(join(folder, name))) return join(folder, name)
  }
  throw new Error('no browser found; install Debian’s package chromium, or set WHEELTAPPER_CHROMIUM')
}
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Starts the browser. Screenshots go into the folder `shots`, which is emptied first if `empty` is set. */
export async function start(shots, { empty = true } = {}) {
  if (empty) await rm(shots, { recursive: true, force: true })
  await mkdir(shots, { recursive: true })
  const browser = await chromium.launch({
    executablePath: process.env.WHEELTAPPER_CHROMIUM ?? findBrowser(),
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

  /** Opens a page. `now` freezes its clock at that time; `allowedMessages` lists console messages that are allowed. */
  async function open({ width = 1280, height, dark = false, allowedMessages = [], now, ...more } = {}) {
    const context = await browser.newContext({
      viewport: { width, height: height ?? (width < 600 ? 740 : 860) },
      colorScheme: dark ? 'dark' : 'light',
      timezoneId: 'Europe/Amsterdam',
      locale: 'en-GB',
      ...more,
    })
    const page = await context.newPage()
    if (now !== undefined) await page.clock.setFixedTime(now)
    page.on('pageerror', error => problems.push(`script error: ${error.message}`))
    page.on('console', message => {
      if (message.type() !== 'error' && message.type() !== 'warning') return
      if (allowedMessages.some(text => message.text().includes(String(text)))) return
      problems.push(`console: ${message.text()} (${message.location().url})`)
    })
    return page
  }

  /** Checks that apply to every page: no horizontal overflow, exactly one h1, no serious axe violation. */
  async function check(page, name) {
    checks++
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    )
    if (overflow > 0) problems.push(`${name}: overflows horizontally by ${overflow} px`)
    const headings = await page.evaluate(() => document.querySelectorAll('h1').length)
    if (headings !== 1) problems.push(`${name}: ${headings} h1 headings, expected 1`)
    // After scrolling, axe would report elements below the header as covered.
    await page.evaluate(() => scrollTo(0, 0))
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() =>
      globalThis.axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }),
    )
    for (const { id, impact, nodes } of violations) {
      if (impact === 'serious' || impact === 'critical')
        problems.push(
          `${name}: ${id} (${impact}) at ${nodes
            .slice(0, 3)
            .map(node => node.target.join(' '))
            .join(', ')}: ${nodes[0].failureSummary}`,
        )
      else console.log(`  ${name}: ${id} (${impact}), ${nodes.length} elements, such as ${nodes[0].target.join(' ')}`)
    }
    await screenshot(page, name)
  }

  async function screenshot(page, name) {
    // After scrolling, the header would be in the middle of the screenshot.
    await page.evaluate(() => scrollTo(0, 0))
    await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
  }

  /** Waits until everything is loaded, including content that loads when it comes into view, and charts are sized. */
  async function waitUntilSettled(page) {
    await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0, null, { timeout: 60_000 })
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
    await page.waitForTimeout(250)
    await page.evaluate(() => scrollTo(0, 0))
    await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0, null, { timeout: 60_000 })
    await page.waitForTimeout(350)
  }

  /** Prints the problems and returns the exit code. */
  async function finish() {
    await browser.close()
    for (const problem of problems) console.error(problem)
    console.log(`${checks} pages checked, ${problems.length} problems; screenshots in ${shots}`)
    return problems.length ? 1 : 0
  }

  return { open, check, screenshot, waitUntilSettled, finish, problems }
}
