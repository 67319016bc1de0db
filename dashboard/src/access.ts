// Who is signed in, for components.

import { useEffect, useState } from 'preact/hooks'
import { access, type Access, may, onChange, type Permission } from './api/session'

/** Who is signed in; drawn anew when that changes. */
export function useAccess(): Access {
  const [state, setState] = useState(access)
  useEffect(() => {
    setState(access())
    return onChange(() => setState(access()))
  }, [])
  return state
}

/** Whether the reader may do this. What they may not is not shown. */
export function useMay(permission: Permission): boolean {
  useAccess()
  return may(permission)
}
