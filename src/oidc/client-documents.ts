import { LRUCache } from 'lru-cache'
import type { Client } from '../directory/clients.ts'
import { kindOf, metadataOf } from '../directory/registered-metadata.ts'
import type { RegistrationPolicy } from '../directory/registration-policy.ts'
import type { Clock } from '../platform/clock.ts'
import type { Fetch } from '../platform/fetch.ts'
import { isStorable } from '../platform/storable.ts'

/** The most bytes of a document. */
const maxBytes = 65_536

/**
 * How long a document is kept, in seconds, whatever its headers say; one that could not be had, or was none; and one whose
 * site does not answer any more.
 */
const kept = { least: 300, most: 3600, failed: 60, unanswered: 86_400 }

/** How many documents a node keeps, and how many characters of them. */
const room = { max: 1000, maxSize: 16_777_216 }

/** A document that an application has about itself at its address (draft-ietf-oauth-client-id-metadata-document). */
interface Document {
  fetchedAt: Date
  /** As it came: read, the worst of them would take twenty times as much memory. */
  text: string
}

/** Documents of clients by their addresses; `mayFetch` is asked before somebody else's server is. */
export type ClientDocuments = (id: string, mayFetch: () => Promise<boolean>) => Promise<Document | undefined>

interface Kept {
  until: number
  document: Document | undefined
}

/**
 * Opens what this node keeps of clients' documents, as every HTTP cache does by itself: no node goes by one for longer
 * than it is good. Of twenty who ask for one at once, one fetches it.
 */
export const openClientDocuments = (services: { fetch: Fetch; clock: Clock }): ClientDocuments => {
  const { clock } = services
  const known = new LRUCache<string, Kept>({ ...room, sizeCalculation: sizeOf })
  const under = new Map<string, Promise<Document | undefined>>()
  const renew = async (id: string, before: Document | undefined): Promise<Document | undefined> => {
    const at = clock.now()
    const { text, seconds, gone } = await read(services.fetch, id, at)
    const young = before && at.getTime() - before.fetchedAt.getTime() < kept.unanswered * 1000
    // A site that does not answer for a moment takes nobody's sign-in away; one that says otherwise does.
    const document = text ? { fetchedAt: at, text } : young && !gone ? before : undefined
    known.set(id, { until: at.getTime() + seconds * 1000, document })
    return document
  }
  const fresh = (id: string): Kept | undefined => {
    const now = known.get(id)
    return now && now.until > clock.now().getTime() ? now : undefined
  }
  return async (id, mayFetch) => {
    const now = fresh(id)
    if (now) return now.document
    const waiting = under.get(id)
    if (waiting) return waiting
    const before = known.get(id)?.document
    // One that is known is asked for again whoever asks: nobody keeps it in force by using their fetches up.
    if (!before && !(await mayFetch())) return undefined
    // Somebody else may have fetched it meanwhile.
    const since = fresh(id)
    if (since) return since.document
    const asked = under.get(id) ?? renew(id, before).finally(() => under.delete(id))
    under.set(id, asked)
    return asked
  }
}

const sizeOf = ({ document }: Kept, id: string): number => id.length + (document?.text.length ?? 0)

interface Read {
  text: string | undefined
  seconds: number
  /** Whether the site has answered, with something that is no such document. */
  gone: boolean
}

const read = async (fetch: Fetch, id: string, at: Date): Promise<Read> => {
  const none = { text: undefined, seconds: kept.failed }
  try {
    const reply = await fetch(id, { headers: { Accept: 'application/json' }, timeoutMs: 3_000, maxBytes })
    const gone = reply.status < 500 && reply.status !== 429
    const isJson = /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(reply.headers['content-type'] ?? '')
    if (reply.status !== 200 || !isJson) return { ...none, gone }
    const text = reply.text()
    // Whatever else is there is not about a client, and is nobody's to have fetched again and again.
    if (objectIn(text)?.client_id !== id) return { ...none, gone: true }
    return { text, seconds: freshFor(reply.headers, at), gone: true }
  } catch {
    return { ...none, gone: false }
  }
}

const objectIn = (text: string): Record<string, unknown> | undefined => {
  try {
    const said: unknown = JSON.parse(text)
    const isObject = typeof said === 'object' && said !== null && !Array.isArray(said) && isStorable(said)
    return isObject ? (said as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** For how many seconds a document is good by its headers (RFC 9111), within bounds. */
const freshFor = (headers: Record<string, string>, at: Date): number => {
  const control = headers['cache-control'] ?? ''
  const [, age] = control.match(/(?:^|,)\s*max-age\s*=\s*"?(\d{1,9})/i) ?? []
  const expires = (Date.parse(headers.expires ?? '') - at.getTime()) / 1000
  const said = /(^|,)\s*no-(store|cache)\b/i.test(control) ? 0 : age === undefined ? expires : Number(age)
  return Math.min(kept.most, Math.max(kept.least, Math.floor(said) || 0))
}

/**
 * Whether an id can be the address of a document: https, a path, a host with a name, and written in the one way that
 * browsers have for it, so that no two spellings are one client and none looks like another.
 */
export const isDocumentId = (id: string): boolean => {
  if (!id.startsWith('https://') || id.length > 255 || /[?#@\\]|%2e|%2f|%5c/i.test(id)) return false
  const url = URL.parse(id)
  if (!url || url.href !== id || url.pathname === '/') return false
  return /\.[a-z][a-z0-9-]*$/.test(url.hostname)
}

/** Whether the policy of a workspace takes documents, and those of this host. */
export const takesDocument = (
  id: string,
  { client_id_documents, client_id_hosts: hosts }: RegistrationPolicy,
): boolean =>
  client_id_documents === 'on' && isDocumentId(id) && (hosts.length === 0 || hosts.includes(new URL(id).hostname))

/**
 * The client that a document makes, within the policy of the workspace: it goes back to its own origin or to this device,
 * has no secret, and of what it points to only what is its own counts. Undefined where it is none.
 */
export const clientFrom = (
  id: string,
  { text, fetchedAt }: Document,
  policy: RegistrationPolicy,
): Client | undefined => {
  const said = objectIn(text) ?? {}
  if ('client_secret' in said || 'client_secret_expires_at' in said) return undefined
  const { origin } = new URL(id)
  const method = said.token_endpoint_auth_method ?? 'none'
  if (method !== 'none' && method !== 'private_key_jwt') return undefined
  const redirects = textsIn(said.redirect_uris).filter(
    (uri) => policy.redirects.includes(kindOf(uri)) && (originOf(uri) === origin || kindOf(uri) === 'loopback'),
  )
  const types = textsIn(said.grant_types ?? ['authorization_code'])
  const told = {
    ...Object.fromEntries(spoken.flatMap((name) => (name in said ? [[name, said[name]]] : []))),
    ...Object.fromEntries(addresses.flatMap((name) => (originOf(said[name]) === origin ? [[name, said[name]]] : []))),
    client_name: typeof said.client_name === 'string' ? said.client_name.slice(0, 200) : new URL(id).host,
    application_type: redirects.some((uri) => kindOf(uri) === 'loopback') ? 'native' : 'web',
    redirect_uris: redirects,
    grant_types: types.filter((type) => (policy.grant_types as readonly string[]).includes(type)),
    token_endpoint_auth_method: method,
  }
  const made = redirects.length > 0 ? metadataOf(told, policy) : undefined
  if (!made || 'refused' in made) return undefined
  return { ...unstored, id, metadata: made.metadata, createdAt: fetchedAt, updatedAt: fetchedAt }
}

/** What is taken as it is said. */
const spoken = ['scope', 'jwks', 'dpop_bound_access_tokens', 'require_pushed_authorization_requests'] as const

/** What is taken where it is at the origin of the document itself. */
const addresses = [
  'client_uri',
  'policy_uri',
  'tos_uri',
  'jwks_uri',
  'initiate_login_uri',
  'backchannel_logout_uri',
] as const

const unstored = {
  status: 'active',
  secretHash: null,
  previousSecretHash: null,
  sealedSecret: null,
  previousSealedSecret: null,
  registeredBy: 'document',
} as const

const textsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string').slice(0, 100) : []

const originOf = (uri: unknown): string | undefined => (typeof uri === 'string' ? URL.parse(uri)?.origin : undefined)
