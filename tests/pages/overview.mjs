// Drives the first page in a real browser: node overview.mjs URL SCREENSHOT. Prints what the page shows as JSON; fails on
// any script error. WHEELTAPPER_PAGES is the folder that has playwright-core, WHEELTAPPER_CHROMIUM the browser.
import { createRequire } from 'node:module'

const { chromium } = createRequire(process.env.WHEELTAPPER_PAGES + '/')('playwright-core')
const [url, screenshot] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: process.env.WHEELTAPPER_CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const errors = []
const shown = {}
for (const [name, width, colorScheme] of [['desk', 1200, 'light'], ['phone', 390, 'dark']]) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
  page.on('pageerror', error => errors.push(error.message))
  page.on('console', message => { if (message.type() === 'error') errors.push(message.text()) })
  await page.goto(url)
  await page.waitForFunction(() => document.getElementById('state').textContent === 'live', null, { timeout: 15000 })
  await page.waitForFunction(() => document.querySelectorAll('#orders li:not(.faint)').length > 0, null, { timeout: 15000 })
  shown[name] = await page.evaluate(() => ({
    readings: document.getElementById('readings').textContent,
    alerts: document.getElementById('alerts').innerText,
    orders: document.getElementById('orders').innerText,
    anomalies: document.getElementById('anomalies').innerText,
    // Nothing hangs over the edge of a narrow screen.
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }))
  await page.screenshot({ path: screenshot.replace('.png', `-${name}.png`) })
}
await browser.close()
console.log(JSON.stringify({ errors, shown }))
