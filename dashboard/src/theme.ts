// Light or dark: as the system has it, or as the reader chose.

import { useEffect, useState } from 'preact/hooks'

/** What can be chosen. */
export type Theme = 'auto' | 'light' | 'dark'

const KEY = 'wheeltapper-theme'
const listeners = new Set<() => void>()
const system = matchMedia('(prefers-color-scheme: dark)')

// The choice is kept for the next visit where the browser lets us.
function kept(): Theme {
  try {
    const value = localStorage.getItem(KEY)
    return value === 'light' || value === 'dark' ? value : 'auto'
  } catch {
    return 'auto'
  }
}

let chosen: Theme = kept()

function apply(): void {
  if (chosen === 'auto') document.documentElement.removeAttribute('data-theme')
  else document.documentElement.dataset.theme = chosen
  for (const listener of listeners) listener()
}

/** To be called once, before anything is drawn. */
export function start(): void {
  system.addEventListener('change', apply)
  apply()
}

/** Whether the page is dark now. */
export const isDark = (): boolean => (chosen === 'auto' ? system.matches : chosen === 'dark')

/** From light to dark and back; what the system has by itself is no choice. */
export function toggle(): void {
  const dark = !isDark()
  chosen = dark === system.matches ? 'auto' : dark ? 'dark' : 'light'
  try {
    if (chosen === 'auto') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, chosen)
  } catch {
    // It holds until the page is closed.
  }
  apply()
}

/** Whether the page is dark; drawn anew when that changes. */
export function useDark(): boolean {
  const [dark, setDark] = useState(isDark)
  useEffect(() => {
    const listener = () => setDark(isDark())
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }, [])
  return dark
}

/** Colours that charts draw with; canvases know no CSS variables. */
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

/** The colours of the present theme. */
export function colors(): Colors {
  const probe = document.createElement('span')
  document.body.append(probe)
  const resolved = (name: string): string => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const made: Colors = {
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
  return made
}

/** A colour with an opacity. */
export function faded(color: string, opacity: number): string {
  return `color-mix(in srgb, ${color} ${Math.round(opacity * 100)}%, transparent)`
}
