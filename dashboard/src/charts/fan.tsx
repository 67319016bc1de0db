// Health so far and how long is left: a fan from the latest prognosis to where the limit is likely reached.

import type { Prognosis } from '../api'
import { atClock, hours, life, onDay, percent } from '../format'
import { fan, type Point } from '../model/fan'
import { useWidth } from '../parts/width'

const HEIGHT = 200
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 12, 14, 34]

/** The picture; nothing without a prognosis. */
export function LifeFan({ prognoses }: { prognoses: readonly Prognosis[] }) {
  const [place, width] = useWidth<HTMLDivElement>()
  const picture = fan(prognoses)
  const last = picture?.history.at(-1)
  const newest = prognoses.reduce<Prognosis | undefined>((best, one) => (!best || one.time > best.time ? one : best), undefined)
  if (!picture || !last || !newest) return null
  const x = (time: number) => LEFT + ((time - picture.from) / (picture.to - picture.from)) * Math.max(1, width - LEFT - RIGHT)
  const y = (health: number) => TOP + (1 - health) * (HEIGHT - TOP - BOTTOM)
  const at = (point: Point) => `${x(point.time).toFixed(1)},${y(point.health).toFixed(1)}`
  const label = `Health ${percent(last.health)} now; time left: ${life(newest.p10, newest.p50, newest.p90)}`
  const span = picture.to - picture.from
  const tick = (time: number) => (span > 3 * 24 * 3600_000 ? onDay(time) : atClock(time))
  const ticks = [0, 1, 2, 3, 4].map(n => picture.from + (span * n) / 4).filter((_, n) => width > 480 || n % 2 === 0)
  const { p10, p50, p90 } = picture
  const edge = (point: Point) => x(point.time) > width - 90
  return (
    <figure class="fan">
      <div ref={place}>
        {width > 0 ? (
          <svg width={width} height={HEIGHT} role="img" aria-label={label}>
            {[1, 0.75, 0.5, 0.25, 0].map(health => (
              <g key={health}>
                <line class={health === 0 ? 'limit' : 'grid'} x1={LEFT} x2={width - RIGHT} y1={y(health)} y2={y(health)} />
                <text class="tick" x={LEFT - 6} y={y(health) + 4} text-anchor="end">
                  {health === 0 ? 'limit' : percent(health)}
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
            {p10 && p90 ? <polygon class="spread" points={`${at(last)} ${at(p10)} ${at(p90)}`} /> : null}
            {p10 ? <polyline class="edge" points={`${at(last)} ${at(p10)}`} /> : null}
            {p90 ? <polyline class="edge" points={`${at(last)} ${at(p90)}`} /> : null}
            {p50 ? <polyline class="likely" points={`${at(last)} ${at(p50)}`} /> : null}
            <polyline class="so-far" points={picture.history.map(at).join(' ')} />
            <line class="now" x1={x(last.time)} x2={x(last.time)} y1={TOP} y2={HEIGHT - BOTTOM} />
            <text class="tick" x={x(last.time)} y={TOP - 3} text-anchor="middle">
              told {atClock(last.time)}
            </text>
            <circle class="point" cx={x(last.time)} cy={y(last.health)} r={4} />
            {p50 && newest.p50 !== null ? (
              <>
                <circle class="point" cx={x(p50.time)} cy={y(p50.health)} r={4} />
                <text
                  class="life-text"
                  x={x(p50.time) + (edge(p50) ? -8 : 8)}
                  y={y(p50.health) - 8}
                  text-anchor={edge(p50) ? 'end' : 'start'}
                >
                  {hours(newest.p50)}
                </text>
              </>
            ) : null}
          </svg>
        ) : null}
      </div>
      <figcaption class="faint">
        {newest.health === 0 ? 'The wear index has reached its limit; how long the machine still runs is a guess. ' : ''}
        {newest.p50 === null
          ? 'No end is in sight: the index does not grow towards its limit.'
          : `Of 100 such machines 90 outlive ${newest.p10 === null ? '–' : hours(newest.p10)}, 50 outlive ${hours(newest.p50)}, 10 outlive ${newest.p90 === null ? '–' : hours(newest.p90)}.`}{' '}
        {newest.model === 'library'
          ? 'Compared with runs to failure of such machines.'
          : 'Extrapolated from this machine’s own wear: a guess that gets better as it goes on.'}
      </figcaption>
    </figure>
  )
}
