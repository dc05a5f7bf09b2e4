import { LRUCache } from 'lru-cache'
import type { AdapterPayload } from 'oidc-provider'
import { profileOf } from '../directory/client-profile.ts'
import * as clients from '../directory/clients.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { equal, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { accountClient } from './account-session.ts'
import type { Provider } from './engine.ts'

/** Whether the people of a client are not asked for consent; the operator has given it. */
export const isFirstParty = (client: Record<string, unknown>): boolean => client.first_party === true

/** Whether people are asked for consent whatever they agreed to before: nobody has looked at such a client. */
export const isAskedAlways = ({ settings }: Workspace, { registered_by: by }: Record<string, unknown>): boolean =>
  by === 'document' || (by === 'registration' && !settings.registration.remember_consent)

/** Clients of a workspace, kept with its engine; a workspace may have very many, so only those in use are. */
export const cachedClients = (
  { db, config }: Services,
  workspace: Workspace,
  findDocument: (id: string) => Promise<clients.Client | undefined>,
) => {
  const ours = accountClient(config, workspace)
  const kept = new LRUCache<string, { client: clients.Client | undefined }>({ max: 500 })
  return async (id: string): Promise<clients.Client | undefined> => {
    if (id === ours.id) return ours
    const known = kept.get(id)?.client
    const stored =
      known ?? (id.length <= 255 && !id.includes('\0') ? await clients.find(db, workspace.id, id) : undefined)
    const client = known ?? (stored && withResources(stored, workspace))
    if (client && !known) kept.set(id, { client })
    // An operator has switched it off; else it is whatever its document says by now.
    if (client?.status === 'inactive' || (client && client.registeredBy !== 'document')) return client
    const document = id.startsWith('https:') ? await findDocument(id) : undefined
    return document
  }
}

/** Whoever came without an operator may ask for what the workspace lets all such clients have. */
export const withResources = (client: clients.Client, { settings }: Workspace): clients.Client => {
  if (client.registeredBy === 'operator') return client
  const { metadata } = client
  const resources = { ...settings.registration.resources, ...metadata.resources }
  return { ...client, metadata: { ...metadata, resources } }
}

/**
 * A client where it can be held to what it says: while no proxy hands certificates on, no tokens can be bound to one, and
 * a client that wants that gets none.
 */
export const heldTo = (
  { clientCertHeader }: Services['config'],
  client: clients.Client | undefined,
): clients.Client | undefined =>
  client?.metadata.tls_client_certificate_bound_access_tokens && !clientCertHeader ? undefined : client

/** A client as the engine reads it; undefined where it is switched off. */
export const engineClient = (
  client: clients.Client | undefined,
  secretsOf: (client: clients.Client) => string[],
): AdapterPayload | undefined => {
  if (client?.status !== 'active') return undefined
  const { id, metadata, secretHash, previousSecretHash } = client
  const hashes = [secretHash, previousSecretHash].filter((hash) => hash !== null)
  // A client that signs with its secret is known by the secret itself, all others by its hash.
  const [secret = hashes.join(' ')] = secretsOf(client)
  const code = metadata.grant_types.includes('authorization_code')
  const types = code ? metadata.response_types : []
  // The engine wants this of whoever gets an ID token through the browser (OpenID Connect Registration section 2).
  const implicit = types.some((type) => type.includes('id_token')) ? ['implicit'] : []
  const { acr_values_default: acr } = metadata
  return {
    ...metadata,
    client_id: id,
    ...(secret ? { client_secret: secret } : {}),
    ...(metadata.backchannel_logout_uri ? { backchannel_logout_session_required: true } : {}),
    response_types: types,
    grant_types: [...metadata.grant_types, ...implicit],
    ...(acr.length > 0 ? { default_acr_values: acr } : {}),
    ...profileOf(metadata),
    registered_by: client.registeredBy,
  } as AdapterPayload
}

/**
 * The engine hashes a client's metadata at every look-up to know whether it has changed. Ours tell that by themselves: a
 * changed client is a new object here.
 */
export const keepClients = (
  { Client }: Provider,
  findClient: (id: string) => Promise<clients.Client | undefined>,
  secretsOf: (client: clients.Client) => string[],
): void => {
  const made = new WeakMap<clients.Client, Awaited<ReturnType<typeof Client.find>>>()
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    const client = typeof id === 'string' ? await findClient(id) : undefined
    if (!client) return find(id)
    const known = made.get(client)
    if (known) return known
    const fresh = await find(id)
    const [, previous] = secretsOf(client)
    if (fresh && previous) addSecret(fresh, previous)
    made.set(client, fresh)
    return fresh
  }
}

/** The secret before the newest signs as well, until it is ended. */
const addSecret = (client: object, secret: string): void => {
  const { symmetricKeyStore } = client as { symmetricKeyStore: { add(key: object): void } }
  symmetricKeyStore.add({ alg: 'HS256', use: 'sig', kty: 'oct', k: Buffer.from(secret).toString('base64url') })
}

/** Secrets are stored as their SHA-256, two of them while one takes over; each is compared, whichever it is. */
export const compareSecrets = ({ Client }: Provider): void => {
  Client.prototype.compareClientSecret = function (this: { clientSecret?: string }, actual: string) {
    const hash = sha256(actual)
    const known = (this.clientSecret ?? '').split(' ').filter(Boolean)
    return known.map((one) => equal(one, hash)).includes(true)
  }
}
