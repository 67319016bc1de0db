// What the pages of users, keys and the audit log have in common.

import { link } from '../router'

const PAGES = [
  { page: 'users', title: 'Users' },
  { page: 'keys', title: 'Keys' },
  { page: 'audit', title: 'Audit log' },
] as const

/** The ways between them. */
export function AdminTabs({ at }: { at: string }) {
  return (
    <nav class="tabs" aria-label="Access">
      {PAGES.map(({ page, title }) => (
        <a key={page} href={link(page)} aria-current={page === at ? 'page' : undefined}>
          {title}
        </a>
      ))}
    </nav>
  )
}

/** Names between commas; none: all. */
export function sitesOf(text: string): string[] | null {
  const names = [...new Set(text.split(',').map(name => name.trim()))].filter(Boolean)
  return names.length ? names : null
}

/** Sites in words. */
export const sitesText = (sites: readonly string[] | null): string => (sites === null ? 'all' : sites.join(', ') || 'none')

/** A choice of some of these, as a form gives it under one name. */
export function Checks({
  name,
  legend,
  of,
  chosen,
}: {
  name: string
  legend: string
  of: readonly { value: string; text: string }[]
  chosen: readonly string[]
}) {
  return (
    <fieldset>
      <legend>{legend}</legend>
      {of.map(({ value, text }) => (
        <label key={value} class="check">
          <input type="checkbox" name={name} value={value} defaultChecked={chosen.includes(value)} /> <span class="nowrap">{value}</span>{' '}
          <span class="faint">{text}</span>
        </label>
      ))}
    </fieldset>
  )
}
