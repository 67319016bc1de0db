// Light or dark theme: the system's setting, or the user's choice.

import { useEffect, useState } from 'preact/hooks'

/** Available choices; `auto` follows the system. */
export type Theme = 'auto' | 'light' | 'dark'

const KEY = 'wheeltapper-theme'
const listeners = new Set<() => void>()
const system = matchMedia('(prefers-color-scheme: dark)')

// The choice is stored for the next visit if the browser allows it.
function storedTheme(): Theme {
  try {
    const value = localStorage.getItem(KEY)
    return value === 'light' || value === 'dark' ? value : 'auto'
  } catch {
    return 'auto'
  }
}

let theme: Theme = storedTheme()

function update(): void {
  if (theme === 'auto') document.documentElement.removeAttribute('data-theme')
  else document.documentElement.dataset.theme = theme
  for (const listener of listeners) listener()
}

/** Applies the theme. Called once, before anything is rendered. */
export function applyTheme(): void {
  system.addEventListener('change', update)
  update()
}

/** Whether the dark theme is active. */
export const isDark = (): boolean => (theme === 'auto' ? system.matches : theme === 'dark')

/** Switches between light and dark. Choosing the system's own theme stores `auto`. */
export function toggleTheme(): void {
  const dark = !isDark()
  theme = dark === system.matches ? 'auto' : dark ? 'dark' : 'light'
  try {
    if (theme === 'auto') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, theme)
  } catch {
    // Without storage, the choice is valid until the page is closed.
  }
  update()
}

/** Whether the dark theme is active; the component renders again when that changes. */
export function useDark(): boolean {
  const [dark, setDark] = useState(isDark)
  useEffect(() => {
    const listener = () => setDark(isDark())
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }, [])
  return dark
}

/** Colours for charts, because a canvas cannot use CSS variables. */
export interface Colors {
  ink: string
  faint: string
  grid: string
  card: string
  line: string
  second: string
  critical: string
  high: string
  medium: string
  low: string
}

/** The colours of the active theme. */
export function colors(): Colors {
  const probe = document.createElement('span')
  document.body.append(probe)
  const resolved = (name: string): string => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const palette: Colors = {
    ink: resolved('ink'),
    faint: resolved('faint'),
    grid: resolved('grid'),
    card: resolved('card'),
    line: resolved('line'),
    second: resolved('second'),
    critical: resolved('critical'),
    high: resolved('high'),
    medium: resolved('medium'),
    low: resolved('low'),
  }
  probe.remove()
  return palette
}

/** A colour with an opacity. */
export function withOpacity(color: string, opacity: number): string {
  return `color-mix(in srgb, ${color} ${Math.round(opacity * 100)}%, transparent)`
}
