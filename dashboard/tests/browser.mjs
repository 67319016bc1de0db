// The browser for the walks: started once, watched for errors, and asked what axe finds. WHEELTAPPER_CHROMIUM is the browser,
// else chromium from the path.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'

const found = () => {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) if (existsSync(join(folder, name))) return join(folder, name)
  }
  throw new Error('there is no browser; install Debian’s package chromium, or name one by WHEELTAPPER_CHROMIUM')
}
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Starts it; screenshots go into `shots`, which is emptied where `empty` says so. */
export async function start(shots, { empty = true } = {}) {
  if (empty) await rm(shots, { recursive: true, force: true })
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

  /** A page; `now` is a moment at which its clock stands still, `quiet` what may stand in the console. */
  async function open({ width = 1280, height, dark = false, quiet = [], now, ...more } = {}) {
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
      if (quiet.some(text => message.text().includes(String(text)))) return
      problems.push(`console: ${message.text()} (${message.location().url})`)
    })
    return page
  }

  /** What is the same for every page: nothing hangs over, one first heading, nothing that axe finds serious. */
  async function check(page, name) {
    checks++
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    if (over > 0) problems.push(`${name}: hangs ${over} px over the edge`)
    const headings = await page.evaluate(() => document.querySelectorAll('h1').length)
    if (headings !== 1) problems.push(`${name}: ${headings} first headings`)
    // What the bar at the top covers is no target where one has scrolled to.
    await page.evaluate(() => scrollTo(0, 0))
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() =>
      globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
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
    await shoot(page, name)
  }

  async function shoot(page, name) {
    // The bar at the top would stand where the page was scrolled to.
    await page.evaluate(() => scrollTo(0, 0))
    await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
  }

  /** Waits until what is loading is there, what is asked for when it comes into view too, and charts know their width. */
  async function settled(page) {
    await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0, null, { timeout: 10_000 })
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
    await page.waitForTimeout(250)
    await page.evaluate(() => scrollTo(0, 0))
    await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0, null, { timeout: 10_000 })
    await page.waitForTimeout(350)
  }

  /** Tells what was found; the exit code. */
  async function end() {
    await browser.close()
    for (const problem of problems) console.error(problem)
    console.log(`${checks} pages looked at, ${problems.length} problems; screenshots in ${shots}`)
    return problems.length ? 1 : 0
  }

  return { open, check, shoot, settled, end, problems }
}
