// The frame of the pages of users and of keys: what was done, the secret that is shown once, and the list.

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { Page } from '../api'
import type { Asked } from '../poll'
import { AdminTabs } from './admin'
import { why } from './failed'
import { Shown } from './notes'

/** How a change went. */
export interface Said {
  text: string
  bad: boolean
}

/** Runs changes, and keeps how the last went. `again` asks for the list anew. */
export function useAttempts(again: () => void) {
  const [said, setSaid] = useState<Said>({ text: '', bad: false })
  const attempt = async (run: () => Promise<unknown>, success: string): Promise<boolean> => {
    try {
      await run()
      setSaid({ text: success, bad: false })
      again()
      return true
    } catch (failure) {
      setSaid({ text: why(failure), bad: true })
      return false
    }
  }
  return { said, setSaid, attempt }
}

/** The page: its list by `row`, or `none` where it is empty; what adds to it follows as `children`. */
export function Accounts<T>({
  title,
  page,
  said,
  secret,
  asked,
  none,
  row,
  children,
}: {
  title: string
  page: string
  said: Said
  secret: ComponentChildren
  asked: Asked<Page<T>>
  none: ComponentChildren
  row: (of: T) => ComponentChildren
  children: ComponentChildren
}) {
  return (
    <>
      <h1>{title}</h1>
      <AdminTabs at={page} />
      <p role="status" class={said.text ? `said${said.bad ? ' failure-text' : ''}` : 'hidden'}>
        {said.text}
      </p>
      {secret}
      <Shown of={asked} what={`The ${page}`} lines={4}>
        {({ items }) => (items.length === 0 ? none : <ul class="lines accounts">{items.map(row)}</ul>)}
      </Shown>
      {children}
    </>
  )
}
