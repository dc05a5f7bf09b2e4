import type { Workspace } from '../directory/workspaces.ts'

/** Where a workspace is answered, among its addresses. */
export interface Place {
  /** The domain's origin; null below PUBLIC_URL. */
  origin: string | null
  /** PUBLIC_URL, wherever this is. */
  home: string
  /** The origins of all its domains. */
  domains: readonly string[]
}

/**
 * A workspace as it is at one of its addresses. One passkey is good at all of them: its domain (RP ID) stays the one it
 * was made for, and the others are related origins (WebAuthn L3 section 5.11).
 */
export const placed = (workspace: Workspace, { origin, home, domains }: Place): Workspace => {
  if (domains.length === 0 && origin === null) return { ...workspace, origin }
  const { settings } = workspace
  const { rp_id, related_origins } = settings.passkeys
  const passkeys = {
    ...settings.passkeys,
    rp_id: rp_id ?? new URL(home).hostname,
    related_origins: [...new Set([...related_origins, home, ...domains])],
  }
  return { ...workspace, origin, settings: { ...settings, passkeys } }
}
