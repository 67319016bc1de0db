// Layout shared by the users page and the keys page: result of the last change, one-time secret, and list.

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { Page } from '../api'
import type { PollResult } from '../use-poll'
import { AdminTabs } from './admin'
import { errorMessage } from './error-message'
import { DataView } from './load-state'

/** Result of a change. */
export interface ChangeResult {
  text: string
  isError: boolean
}

/** Runs changes and keeps the result of the last one. `refresh` reloads the list. */
export function useChange(refresh: () => void) {
  const [result, setResult] = useState<ChangeResult>({ text: '', isError: false })
  const runChange = async (run: () => Promise<unknown>, success: string): Promise<boolean> => {
    try {
      await run()
      setResult({ text: success, isError: false })
      refresh()
      return true
    } catch (failure) {
      setResult({ text: errorMessage(failure), isError: true })
      return false
    }
  }
  return { result, setResult, runChange }
}

/** The page: its list rendered with `renderRow`, or `empty` if it is empty, followed by the form in `children`. */
export function AccountList<T>({
  title,
  page,
  result,
  secret,
  poll,
  empty,
  renderRow,
  children,
}: {
  title: string
  page: string
  result: ChangeResult
  secret: ComponentChildren
  poll: PollResult<Page<T>>
  empty: ComponentChildren
  renderRow: (item: T) => ComponentChildren
  children: ComponentChildren
}) {
  return (
    <>
      <h1>{title}</h1>
      <AdminTabs current={page} />
      <p role="status" class={result.text ? `status-message${result.isError ? ' failure-text' : ''}` : 'hidden'}>
        {result.text}
      </p>
      {secret}
      <DataView of={poll} what={`The ${page}`} lines={4}>
        {({ items }) => (items.length === 0 ? empty : <ul class="lines accounts">{items.map(renderRow)}</ul>)}
      </DataView>
      {children}
    </>
  )
}
