import { LRUCache } from 'lru-cache'
import type { AdapterPayload } from 'oidc-provider'
import * as clients from '../directory/clients.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { equal, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { accountClient } from './account-session.ts'
import type { Provider } from './engine.ts'

/** Whether the people of a client are not asked for consent; the operator has given it. */
export const isFirstParty = (client: Record<string, unknown>): boolean => client.first_party === true

/** Clients of a workspace, kept with its engine; a workspace may have very many, so only those in use are. */
export const cachedClients = ({ db, config }: Services, workspace: Workspace) => {
  const ours = accountClient(config, workspace)
  const kept = new LRUCache<string, { client: clients.Client | undefined }>({ max: 500 })
  return async (id: string): Promise<clients.Client | undefined> => {
    if (id === ours.id) return ours
    const known = kept.get(id)
    if (known) return known.client
    const client = id.length <= 255 && !id.includes('\0') ? await clients.find(db, workspace.id, id) : undefined
    if (client) kept.set(id, { client })
    return client
  }
}

/** A client as the engine reads it; undefined where it is switched off. */
export const engineClient = (client: clients.Client | undefined): AdapterPayload | undefined => {
  if (client?.status !== 'active') return undefined
  const { id, metadata, secretHash, previousSecretHash } = client
  const hashes = [secretHash, previousSecretHash].filter((hash) => hash !== null)
  const code = metadata.grant_types.includes('authorization_code')
  const { acr_values_default: acr } = metadata
  return {
    ...metadata,
    client_id: id,
    ...(hashes.length > 0 ? { client_secret: hashes.join(' ') } : {}),
    response_types: code ? ['code'] : [],
    ...(acr.length > 0 ? { default_acr_values: acr } : {}),
  } as AdapterPayload
}

/**
 * The engine hashes a client's metadata at every look-up to know whether it has changed. Ours tell that by themselves: a
 * changed client is a new object here.
 */
export const keepClients = (
  { Client }: Provider,
  findClient: (id: string) => Promise<clients.Client | undefined>,
): void => {
  const made = new WeakMap<clients.Client, Awaited<ReturnType<typeof Client.find>>>()
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    const client = typeof id === 'string' ? await findClient(id) : undefined
    if (!client) return find(id)
    const known = made.get(client)
    if (known) return known
    const fresh = await find(id)
    made.set(client, fresh)
    return fresh
  }
}

/** Secrets are stored as their SHA-256, two of them while one takes over; each is compared, whichever it is. */
export const compareSecrets = ({ Client }: Provider): void => {
  Client.prototype.compareClientSecret = function (this: { clientSecret?: string }, actual: string) {
    const hash = sha256(actual)
    const known = (this.clientSecret ?? '').split(' ').filter(Boolean)
    return known.map((one) => equal(one, hash)).includes(true)
  }
}
