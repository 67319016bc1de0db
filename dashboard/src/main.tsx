// Where the page begins.

import { render } from 'preact'
import { App } from './app'
import * as theme from './theme'
import 'uplot/dist/uPlot.min.css'
import './style/base.css'
import './style/frame.css'
import './style/parts.css'
import './style/charts.css'
import './style/pages.css'

theme.start()
const place = document.getElementById('app')
if (place) {
  place.replaceChildren()
  render(<App />, place)
}
