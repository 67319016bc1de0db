// Where the page begins.

import { render } from 'preact'
import { App } from './app'
import { inFull } from './format'
import * as theme from './theme'
import 'uplot/dist/uPlot.min.css'
import './style/base.css'
import './style/frame.css'
import './style/parts.css'
import './style/charts.css'
import './style/pages.css'
import './style/print.css'

theme.start()
// A plan on paper grows old: it says when it was printed.
addEventListener('beforeprint', () => {
  const printed = document.getElementById('printed')
  if (printed) printed.textContent = `Printed ${inFull(Date.now())}.`
})
const place = document.getElementById('app')
if (place) {
  place.replaceChildren()
  render(<App />, place)
}
