import type { Workspace } from '../directory/workspaces.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { Provider } from './engine.ts'

/**
 * Remembers every client assertion and DPoP proof until it has expired (RFC 7523 section 3, RFC 9449 section 11.1). The
 * engine looks and then saves, which lets several of twenty at once through; this is one insert that only one can win.
 */
export const refuseReplays = (provider: Provider, { hot }: Services, workspace: Workspace): void => {
  provider.ReplayDetection.unique = (issuer: string, id: string, expiresAt: number) =>
    hot.first(sha256(JSON.stringify([workspace.id, issuer, id])), new Date(expiresAt * 1000))
}
