import type { Keyring } from '../platform/secrets.ts'
import type { ClientMetadata } from './client-metadata.ts'
import { needsSecretItself } from './client-protocol.ts'
import type { Client } from './clients.ts'

/** What opens and seals secrets; only clients that sign with theirs need it. */
export interface Sealing {
  keyring?: Keyring
}

interface Sealed extends Sealing {
  workspaceId: string
  id: string
  metadata: ClientMetadata
}

/** The secret of a client that signs with it, as it is stored; null for any other client. */
export const sealed = ({ keyring, metadata, ...where }: Sealed, secret: string | undefined): string | null => {
  if (secret === undefined || !needsSecretItself(metadata)) return null
  if (!keyring) throw new Error('Nothing seals the secret of this client.')
  return keyring.seal(secret, contextOf(where))
}

/** The secrets that a client may sign with, the newest first; none for a client that signs with keys of its own. */
export const openSecrets = (
  keyring: Keyring,
  workspaceId: string,
  { id, sealedSecret, previousSealedSecret }: Client,
): string[] =>
  [sealedSecret, previousSealedSecret].flatMap((one) =>
    one === null ? [] : [keyring.open(one, contextOf({ workspaceId, id }))],
  )

const contextOf = ({ workspaceId, id }: { workspaceId: string; id: string }) => `secret of client ${workspaceId} ${id}`
