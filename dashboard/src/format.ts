// Formats numbers, times and names for display. Times are in the user's time zone.

const countFormat = new Intl.NumberFormat()
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const clockFormatWithSeconds = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const dayTimeFormat = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short' })
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' })

/** An integer with digit grouping. */
export const formatCount = (value: number): string => countFormat.format(Math.round(value))

/** A count with its noun: `1 alert`, `2 alerts`. */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${formatCount(value)} ${value === 1 ? one : many}`

/** A measured value with three significant digits, or four from 1,000 on. */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const magnitude = Math.abs(value)
  if (magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e6)) return value.toExponential(2).replace('e+', 'e')
  const digits = magnitude >= 1000 ? 0 : magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: digits }).format(value)
}

/** An amount of money. The API does not report the currency. */
export const formatMoney = (value: number): string =>
  new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value)

/** A value with its unit. */
export const formatValue = (value: number | null | undefined, unit: string): string => {
  const text = formatNumber(value)
  return unit && text !== '–' ? `${text} ${displayUnit(unit)}` : text
}

/** The display form of a unit. */
export function displayUnit(unit: string): string {
  const known: Record<string, string> = {
    'm/s2': 'm/s²',
    'm3/s': 'm³/s',
    'm3/h': 'm³/h',
    degC: '°C',
    degF: '°F',
    ratio: '',
  }
  return known[unit] ?? unit
}

/** A message of the host, with the display form of its units and signs. */
export const withDisplayUnits = (text: string): string =>
  text
    .replaceAll(/(?<=\d )(m\/s2|m3\/s|m3\/h|degC|degF)(?![\w/])/g, displayUnit)
    .replaceAll(/(?<=\d) x (?=[a-z])/g, ' × ')

/** A fraction as a percentage. A value that is close to 1 but below it is never shown as 100 %. */
export function formatPercent(share: number): string {
  const value = share * 100
  if (value > 99.5 && value < 100) return '> 99 %'
  if (value > 0 && value < 0.5) return '< 1 %'
  return `${Math.round(value)} %`
}

/** A duration given in hours. */
export function formatHours(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const minutes = value * 60
  if (minutes < 1) return 'under 1 min'
  if (minutes < 90) return `${Math.round(minutes)} min`
  if (value < 48) return `${toDigits(value, value < 10 ? 1 : 0)} h`
  const days = value / 24
  if (days < 60) return `${toDigits(days, days < 10 ? 1 : 0)} days`
  if (days < 730) return `${Math.round(days / 30.4)} months`
  return `${toDigits(days / 365.25, 0)} years`
}

const toDigits = (value: number, digits: number): string => String(Number(value.toFixed(digits)))

/** Remaining life as text, from the hours that 90, 50 and 10 of 100 such machines exceed. */
export function formatRemainingLife(p10: number | null, p50: number | null, p90: number | null): string {
  const middle = p50 ?? p10 ?? p90
  if (middle === null) return 'no wear trend'
  if (p10 === null || p90 === null || p50 === null) return `about ${formatHours(middle)}`
  return `${formatHours(p50)} (${formatHours(p10)} to ${formatHours(p90)})`
}

/** Time of day, preceded by the day unless it is today. */
export function formatTime(time: number | null | undefined, now: number = Date.now()): string {
  if (time === null || time === undefined) return '–'
  return sameDay(time, now) ? clockFormat.format(time) : dayTimeFormat.format(time)
}

/** A time with its day. */
export const formatDayTime = (time: number): string => dayTimeFormat.format(time)

/** A day. */
export const formatDay = (time: number): string => dayFormat.format(time)

/** Time of day. */
export const formatClock = (time: number, seconds = false): string =>
  (seconds ? clockFormatWithSeconds : clockFormat).format(time)

/** A time in full, with its time zone. */
export const formatFull = (time: number): string => fullFormat.format(time)

function sameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString()
}

/** A time range to the second; a single time if both are in the same second. */
export function formatRange(start: number, end: number, now: number = Date.now()): string {
  const day = sameDay(start, now) ? '' : `${formatDay(start)}, `
  const [from, to] = [formatClock(start, true), formatClock(end, true)]
  return from === to && sameDay(start, end)
    ? `${day}${from}`
    : `${day}${from} to ${sameDay(start, end) ? '' : `${formatDay(end)}, `}${to}`
}

/** A rough time difference, such as `30 s ago`. */
export function formatAgo(time: number, now: number = Date.now()): string {
  const seconds = Math.max(0, (now - time) / 1000)
  if (seconds < 5) return 'just now'
  if (seconds < 90) return `${Math.round(seconds)} s ago`
  return `${formatHours(seconds / 3600)} ago`
}

/** A duration in minutes, as on a work order. */
export function formatMinutes(value: number): string {
  if (value < 60) return `${value} min`
  const remainder = value % 60
  return `${Math.floor(value / 60)} h${remainder ? ` ${remainder} min` : ''}`
}

/** Ids are paths: the last segment is the name of the machine or sensor. */
export const nameOf = (id: string): string => id.slice(id.lastIndexOf('/') + 1)

/** The path before the last segment, with `›` as separator. */
export const parentPath = (id: string): string => id.split('/').slice(0, -1).join(' › ')

/** The site: the first segment of an id that has more than one. */
export const siteOf = (id: string): string => (id.includes('/') ? id.slice(0, id.indexOf('/')) : '')

/** A time in the format of `<input type="datetime-local">`, in the user's time zone, rounded to five minutes. */
export function toLocalInput(time: number): string {
  const at = new Date(Math.round(time / 300_000) * 300_000)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`
}
