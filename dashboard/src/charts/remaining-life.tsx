// Health so far and the remaining life: a fan from the latest prognosis to the time at which the limit is likely
// reached.

import type { Prognosis } from '../api'
import { formatClock, formatHours, formatRemainingLife, formatDay, formatPercent } from '../format'
import { lifeChart, type LifePoint } from '../model/remaining-life'
import { useWidth } from '../components/use-width'

const HEIGHT = 200
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 12, 14, 34]

/** The chart; null without a prognosis. */
export function RemainingLifeChart({ prognoses }: { prognoses: readonly Prognosis[] }) {
  const [container, width] = useWidth<HTMLDivElement>()
  const chart = lifeChart(prognoses)
  const last = chart?.history.at(-1)
  const newest = prognoses.reduce<Prognosis | undefined>(
    (best, one) => (!best || one.time > best.time ? one : best),
    undefined,
  )
  if (!chart || !last || !newest) return null
  const x = (time: number) => LEFT + ((time - chart.from) / (chart.to - chart.from)) * Math.max(1, width - LEFT - RIGHT)
  const y = (health: number) => TOP + (1 - health) * (HEIGHT - TOP - BOTTOM)
  const coordinates = (point: LifePoint) => `${x(point.time).toFixed(1)},${y(point.health).toFixed(1)}`
  const label = `Health ${formatPercent(last.health)} now; time left: ${formatRemainingLife(newest.p10, newest.p50, newest.p90)}`
  const span = chart.to - chart.from
  const tick = (time: number) => (span > 3 * 24 * 3600_000 ? formatDay(time) : formatClock(time))
  const ticks = [0, 1, 2, 3, 4].map(n => chart.from + (span * n) / 4).filter((_, n) => width > 480 || n % 2 === 0)
  const { p10, p50, p90 } = chart
  const nearRightEdge = (point: LifePoint) => x(point.time) > width - 90
  return (
    <figure class="fan">
      <div ref={container}>
        {width > 0 ? (
          <svg width={width} height={HEIGHT} role="img" aria-label={label}>
            {[1, 0.75, 0.5, 0.25, 0].map(health => (
              <g key={health}>
                <line
                  class={health === 0 ? 'limit' : 'grid'}
                  x1={LEFT}
                  x2={width - RIGHT}
                  y1={y(health)}
                  y2={y(health)}
                />
                <text class="tick" x={LEFT - 6} y={y(health) + 4} text-anchor="end">
                  {health === 0 ? 'limit' : formatPercent(health)}
                </text>
              </g>
            ))}
            {ticks.map((time, n) => (
              <text
                key={time}
                class="tick"
                x={x(time)}
                y={HEIGHT - 12}
                text-anchor={n === 0 ? 'start' : n === ticks.length - 1 ? 'end' : 'middle'}
              >
                {tick(time)}
              </text>
            ))}
            {p10 && p90 ? (
              <polygon class="spread" points={`${coordinates(last)} ${coordinates(p10)} ${coordinates(p90)}`} />
            ) : null}
            {p10 ? <polyline class="edge" points={`${coordinates(last)} ${coordinates(p10)}`} /> : null}
            {p90 ? <polyline class="edge" points={`${coordinates(last)} ${coordinates(p90)}`} /> : null}
            {p50 ? <polyline class="likely" points={`${coordinates(last)} ${coordinates(p50)}`} /> : null}
            <polyline class="so-far" points={chart.history.map(coordinates).join(' ')} />
            <line class="now" x1={x(last.time)} x2={x(last.time)} y1={TOP} y2={HEIGHT - BOTTOM} />
            <text class="tick" x={x(last.time)} y={TOP - 3} text-anchor="middle">
              Forecast from {formatClock(last.time)}
            </text>
            <circle class="point" cx={x(last.time)} cy={y(last.health)} r={4} />
            {p50 && newest.p50 !== null ? (
              <>
                <circle class="point" cx={x(p50.time)} cy={y(p50.health)} r={4} />
                <text
                  class="life-text"
                  x={x(p50.time) + (nearRightEdge(p50) ? -8 : 8)}
                  y={y(p50.health) - 8}
                  text-anchor={nearRightEdge(p50) ? 'end' : 'start'}
                >
                  {formatHours(newest.p50)}
                </text>
              </>
            ) : null}
          </svg>
        ) : null}
      </div>
      <figcaption class="faint">
        {newest.health === 0 ? 'The wear index has reached its limit; the time to failure is uncertain. ' : ''}
        {newest.p50 === null
          ? 'No forecast: the wear index is not growing towards its limit.'
          : `Likely ${formatHours(newest.p50)} to the limit (80 % range: ${newest.p10 === null ? '–' : formatHours(newest.p10)} to ${newest.p90 === null ? '–' : formatHours(newest.p90)}).`}{' '}
        {newest.model === 'library'
          ? 'Based on run-to-failure histories of similar machines.'
          : 'Extrapolated from this machine’s own wear trend; accuracy improves over time.'}
      </figcaption>
    </figure>
  )
}
