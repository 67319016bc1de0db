// The signed-in user, as hooks for components.

import { useEffect, useState } from 'preact/hooks'
import { access, type Access, hasPermission, onChange, type Permission } from './api/session'

/** The access state; the component renders again when it changes. */
export function useAccess(): Access {
  const [state, setState] = useState(access)
  useEffect(() => {
    setState(access())
    return onChange(() => setState(access()))
  }, [])
  return state
}

/** Whether the user has this permission. Controls that need a missing permission are not rendered. */
export function usePermission(permission: Permission): boolean {
  useAccess()
  return hasPermission(permission)
}
