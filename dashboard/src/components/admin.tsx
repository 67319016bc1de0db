// Shared by the pages of users, keys and the audit log.

import { link } from '../router'

const PAGES = [
  { page: 'users', title: 'Users' },
  { page: 'keys', title: 'Keys' },
  { page: 'audit', title: 'Audit log' },
] as const

/** Tabs of the administration pages. */
export function AdminTabs({ current }: { current: string }) {
  return (
    <nav class="tabs" aria-label="Access">
      {PAGES.map(({ page, title }) => (
        <a key={page} href={link(page)} aria-current={page === current ? 'page' : undefined}>
          {title}
        </a>
      ))}
    </nav>
  )
}

/** Parses comma-separated site names; null means all sites. */
export function parseSites(text: string): string[] | null {
  const names = [...new Set(text.split(',').map(name => name.trim()))].filter(Boolean)
  return names.length ? names : null
}

/** Site names for display. */
export const formatSites = (sites: readonly string[] | null): string =>
  sites === null ? 'all' : sites.join(', ') || 'none'

/** Checkboxes that a form submits under one name. */
export function CheckboxGroup({
  name,
  legend,
  options,
  checked,
}: {
  name: string
  legend: string
  options: readonly { value: string; text: string }[]
  checked: readonly string[]
}) {
  return (
    <fieldset>
      <legend>{legend}</legend>
      {options.map(({ value, text }) => (
        <label key={value} class="check">
          <input type="checkbox" name={name} value={value} defaultChecked={checked.includes(value)} />{' '}
          <span class="nowrap">{value}</span> <span class="faint">{text}</span>
        </label>
      ))}
    </fieldset>
  )
}
