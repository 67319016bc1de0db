// Entry point of the page.

import { render } from 'preact'
import { App } from './app'
import { formatFull } from './format'
import * as theme from './theme'
import 'uplot/dist/uPlot.min.css'
import './style/base.css'
import './style/layout.css'
import './style/components.css'
import './style/charts.css'
import './style/pages.css'
import './style/print.css'

theme.applyTheme()
// A printed plan becomes outdated: it states when it was printed.
addEventListener('beforeprint', () => {
  const printed = document.getElementById('printed')
  if (printed) printed.textContent = `Printed ${formatFull(Date.now())}.`
})
const root = document.getElementById('app')
if (root) {
  root.replaceChildren()
  render(<App />, root)
}
