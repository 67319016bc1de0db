// Numbers, times and names as people read them. Times stand in the reader's own zone.

const counts = new Intl.NumberFormat()
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const exactClock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short' })
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' })

/** A count, in the reader's grouping. */
export const count = (value: number): string => counts.format(Math.round(value))

/** A count with its noun: `1 alert`, `2 alerts`. */
export const counted = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`

/** A measured value to three digits that count, or four from 1,000 on. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace('e+', 'e')
  const digits = size >= 1000 ? 0 : size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: digits }).format(value)
}

/** An amount of money; the API does not tell in which currency. */
export const money = (value: number): string =>
  new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value)

/** A value with its unit. */
export const measured = (value: number | null | undefined, unit: string): string => {
  const shown = number(value)
  return unit && shown !== '–' ? `${shown} ${unitName(unit)}` : shown
}

/** A unit as it is written on a dial. */
export function unitName(unit: string): string {
  const known: Record<string, string> = { 'm/s2': 'm/s²', 'm3/s': 'm³/s', 'm3/h': 'm³/h', degC: '°C', degF: '°F', ratio: '' }
  return known[unit] ?? unit
}

/** A sentence of the host's, with units and signs as they are written on a dial. */
export const spoken = (text: string): string =>
  text
    .replaceAll(/(?<=\d )(m\/s2|m3\/s|m3\/h|degC|degF)(?![\w/])/g, unitName)
    .replaceAll(/(?<=\d) x (?=[a-z])/g, ' × ')

/** A share of one as per cent. One that is nearly but not quite all never reads 100 %. */
export function percent(share: number): string {
  const value = share * 100
  if (value > 99.5 && value < 100) return '> 99 %'
  if (value > 0 && value < 0.5) return '< 1 %'
  return `${Math.round(value)} %`
}

/** A length of time from hours. */
export function hours(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const minutes = value * 60
  if (minutes < 1) return 'under 1 min'
  if (minutes < 90) return `${Math.round(minutes)} min`
  if (value < 48) return `${trim(value, value < 10 ? 1 : 0)} h`
  const days = value / 24
  if (days < 60) return `${trim(days, days < 10 ? 1 : 0)} days`
  if (days < 730) return `${Math.round(days / 30.4)} months`
  return `${trim(days / 365.25, 0)} years`
}

const trim = (value: number, digits: number): string => String(Number(value.toFixed(digits)))

/** Remaining life in a line, from the hours that 90, 50 and 10 of 100 such machines outlive. */
export function life(p10: number | null, p50: number | null, p90: number | null): string {
  const middle = p50 ?? p10 ?? p90
  if (middle === null) return 'no end in sight'
  if (p10 === null || p90 === null || p50 === null) return `about ${hours(middle)}`
  return `${hours(p50)} (${hours(p10)} to ${hours(p90)})`
}

/** The time of day, of today; with the day otherwise. */
export function when(time: number | null | undefined, now: number = Date.now()): string {
  if (time === null || time === undefined) return '–'
  return sameDay(time, now) ? clock.format(time) : dayAndClock.format(time)
}

/** A time with its day, always. */
export const whenOn = (time: number): string => dayAndClock.format(time)

/** A day. */
export const onDay = (time: number): string => day.format(time)

/** Time of day. */
export const atClock = (time: number, seconds = false): string => (seconds ? exactClock : clock).format(time)

/** A time in full, with its zone. */
export const inFull = (time: number): string => whole.format(time)

function sameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString()
}

/** From one time to another, to the second; one time where both are in the same second. */
export function stretch(start: number, end: number, now: number = Date.now()): string {
  const day = sameDay(start, now) ? '' : `${onDay(start)}, `
  const [from, to] = [atClock(start, true), atClock(end, true)]
  return from === to && sameDay(start, end) ? `${day}${from}` : `${day}${from} to ${sameDay(start, end) ? '' : `${onDay(end)}, `}${to}`
}

/** How long ago, roughly. */
export function ago(time: number, now: number = Date.now()): string {
  const seconds = Math.max(0, (now - time) / 1000)
  if (seconds < 5) return 'just now'
  if (seconds < 90) return `${Math.round(seconds)} s ago`
  return `${hours(seconds / 3600)} ago`
}

/** A length of minutes, as on a work order. */
export function minutes(value: number): string {
  if (value < 60) return `${value} min`
  const rest = value % 60
  return `${Math.floor(value / 60)} h${rest ? ` ${rest} min` : ''}`
}

/** Ids are paths: the last part is what the thing itself is called. */
export const lastPart = (id: string): string => id.slice(id.lastIndexOf('/') + 1)

/** What stands before the last part, with the marks of a path between. */
export const placeOf = (id: string): string => id.split('/').slice(0, -1).join(' › ')

/** The site: the first part of an id of more than one. */
export const siteOf = (id: string): string => (id.includes('/') ? id.slice(0, id.indexOf('/')) : '')

/** A time as `<input type="datetime-local">` writes it, in the reader's zone, to five minutes. */
export function localInput(time: number): string {
  const at = new Date(Math.round(time / 300_000) * 300_000)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`
}
