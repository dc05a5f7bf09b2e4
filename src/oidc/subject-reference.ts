import { cibaGrant } from '../directory/client-metadata.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Keyring } from '../platform/secrets.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { pairwise } from './pairwise.ts'

/** The claim of an ID token that only we can read: whom its pairwise `sub` stands for. */
const name = 'sub_ref'

type Client = NonNullable<KoaContextWithOIDC['oidc']['client']>

/**
 * What an ID token tells of its person for us alone, sealed anew each time: nobody gets from a pairwise `sub` back to a
 * person, and a client that asks people from elsewhere (CIBA) may name them by an ID token. None for any other client.
 */
export const referenceFor = (keyring: Keyring, client: Client | undefined, userId: string): Record<string, string> =>
  client?.subjectType === 'pairwise' && client.grantTypeAllowed(cibaGrant)
    ? { [name]: keyring.seal(userId, contextOf(client)) }
    : {}

/** Whom an `id_token_hint` stands for, which the engine has looked at; the `sub` itself where that is the person's own. */
export const hintedPerson = (
  keyring: Keyring,
  workspace: Workspace,
  { oidc: { client, entities, route } }: KoaContextWithOIDC,
  sub: string,
): string => {
  const hint = entities.IdTokenHint?.payload as Record<string, unknown> | undefined
  const reference = hint?.sub === sub && route === 'backchannel_authentication' ? hint[name] : undefined
  if (typeof reference !== 'string' || client?.subjectType !== 'pairwise') return sub
  const userId = openedBy(keyring, client, reference)
  return userId !== undefined && pairwise(workspace, client, userId) === sub ? userId : sub
}

// Sealed by a secret of the installation that is gone: nobody knows any more who that was.
const openedBy = (keyring: Keyring, client: Client, reference: string): string | undefined => {
  try {
    return keyring.open(reference, contextOf(client))
  } catch {
    return undefined
  }
}

const contextOf = ({ clientId }: Client): string => `subject for client ${clientId}`
