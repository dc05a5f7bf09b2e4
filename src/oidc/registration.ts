import type { Context, Next } from 'koa'
import { LRUCache } from 'lru-cache'
import { issuerOf } from '../directory/address.ts'
import { type ClientMetadata, grantTypes } from '../directory/client-metadata.ts'
import * as clients from '../directory/clients.ts'
import { refuseUnsignable } from '../directory/key-settings.ts'
import { metadataOf, ownFields, type Unregistrable } from '../directory/registered-metadata.ts'
import * as registrations from '../directory/registrations.ts'
import { sectorFault } from '../directory/sector.ts'
import type { Refused } from '../directory/traces.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { readText } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'
import { equal, sha256 } from '../platform/secrets.ts'
import { isStorable } from '../platform/storable.ts'
import type { Services } from '../services.ts'
import { engineClient } from './clients.ts'
import type { Provider } from './engine.ts'
import { reasonFrom, valuesIn } from './reasons.ts'
import type { EnginePages } from './wiring.ts'

interface Desk {
  services: Services
  workspace: Workspace
  provider: Provider
  pages: Pick<EnginePages, 'mayRegister'>
}

/** What discovery tells of how applications become clients by themselves. */
export const registrationTold = ({ config }: Services, workspace: Workspace): Record<string, unknown> => ({
  ...(workspace.settings.registration.mode === 'off'
    ? {}
    : { registration_endpoint: `${issuerOf(config, workspace)}/register` }),
  ...(workspace.settings.registration.client_id_documents === 'on'
    ? { client_id_metadata_document_supported: true }
    : {}),
})

/**
 * OAuth 2.0 Dynamic Client Registration (RFC 7591, OpenID Connect Dynamic Client Registration 1.0) and its management
 * (RFC 7592). No cookie counts here, so that pages of any origin may ask.
 */
export const registration = (desk: Desk) => async (ctx: Context, next: Next) => {
  const [, id] = ctx.path.match(/^\/register(?:\/([\w.~-]{1,255}))?$/) ?? []
  if (!/^\/register(\/|$)/.test(ctx.path)) return next()
  allowOrigins(ctx, id)
  if (ctx.method === 'OPTIONS') {
    ctx.status = 204
    return
  }
  ctx.set('Cache-Control', 'no-store')
  try {
    await (id === undefined ? create(desk, ctx) : manage(desk, ctx, id))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    refuse(ctx, error)
  }
}

const allowOrigins = (ctx: Context, id: string | undefined): void => {
  ctx.set('Access-Control-Allow-Origin', '*')
  ctx.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After')
  if (ctx.method !== 'OPTIONS') return
  ctx.set('Access-Control-Allow-Methods', id === undefined ? 'POST' : 'GET, PUT, DELETE')
  ctx.set('Access-Control-Allow-Headers', 'Authorization, Content-Type, MCP-Protocol-Version')
  ctx.set('Access-Control-Max-Age', '3600')
}

/** Why a request is refused, in the words of RFC 7591 section 3.2.2 and RFC 6750 section 3.1. */
class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly retryAfter: number | undefined

  constructor(status: number, code: string, detail: string, retryAfter?: number) {
    super(detail)
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
  }
}

const refuse = (ctx: Context, { status, code, message, retryAfter }: Refusal): void => {
  ctx.status = status
  if (status === 401) ctx.set('WWW-Authenticate', `Bearer error="${code}", error_description="${message}"`)
  if (retryAfter) ctx.set('Retry-After', String(retryAfter))
  const reason = reasonFrom(message, saidIn(ctx))
  ctx.state.refused = { code, reason, clientId: ctx.state.registered, checks: [] } satisfies Refused
  ctx.body = { error: code, error_description: message }
}

// What operators are told; an application cannot tell it from an address that is none.
const closed = { error_description: 'this workspace lets no application register itself' }

/** All that the metadata said, but for words that everybody knows. */
const saidIn = (ctx: Context): string[] =>
  valuesIn([ctx.state.registering]).filter((value) => !(grantTypes.options as readonly string[]).includes(value))

const create = async (desk: Desk, ctx: Context): Promise<void> => {
  const { services, workspace } = desk
  const { mode } = workspace.settings.registration
  if (mode === 'off') throw new Problem('not_found', { cause: closed })
  if (ctx.method !== 'POST') throw notAllowed(ctx, 'POST')
  const through = bearerOf(ctx)
  const at = services.clock.now()
  const open = mode === 'open' && through === undefined
  if (!open && !(through && (await registrations.isOpen(services.db, at, workspace.id, through))))
    throw new Refusal(401, 'invalid_token', 'This needs a registration token that is good')
  const metadata = bounded(workspace, await readBody(ctx))
  if (open && !(await desk.pages.mayRegister(ctx, workspace, 'registration'))) throw tooMany()
  await check(desk, metadata)
  const wanted = { workspace, keyring: services.keyring, metadata, through: open ? undefined : through }
  const made = await services.db
    .transaction()
    .execute((trx) => registrations.register(trx, at, wanted))
    .catch(refuseProblem)
  ctx.status = 201
  ctx.body = told(desk, made)
}

const manage = async (desk: Desk, ctx: Context, id: string): Promise<void> => {
  const { services, workspace } = desk
  const { db, clock } = services
  const token = bearerOf(ctx)
  const before = token && (await registrations.findByToken(db, workspace.id, id, token))
  ctx.state.registered = before && id
  // Somebody else's token, and one of a client that is gone, look alike (RFC 7592 section 2).
  if (!token || !before) throw new Refusal(401, 'invalid_token', 'This is not the access token of this registration')
  if (before.status !== 'active') throw new Refusal(403, 'access_denied', 'This client is switched off')
  if (ctx.method === 'GET') {
    ctx.body = told(desk, { client: before, secret: undefined, accessToken: token })
    return
  }
  if (ctx.method !== 'PUT' && ctx.method !== 'DELETE') throw notAllowed(ctx, 'GET, PUT, DELETE')
  if (!(await desk.pages.mayRegister(ctx, workspace, 'change'))) throw tooMany()
  if (ctx.method === 'PUT') return update(desk, ctx, before, token)
  const by = { kind: 'client', id } as const
  await db.transaction().execute((trx) => clients.remove(trx, clock.now(), { workspaceId: workspace.id, before }, by))
  ctx.status = 204
}

const update = async (desk: Desk, ctx: Context, before: clients.Client, accessToken: string): Promise<void> => {
  const { services, workspace } = desk
  const { db, clock, keyring } = services
  const said = await readBody(ctx)
  const sent = checkIdentity(said, before)
  const metadata = bounded(workspace, said, before.metadata)
  await check(desk, metadata)
  const changing = { workspace, keyring, before, metadata, accessToken }
  const changed = await db
    .transaction()
    .execute((trx) => registrations.change(trx, clock.now(), changing))
    .catch(refuseProblem)
  ctx.body = told(desk, { ...changed, secret: changed.secret ?? (changed.client.secretHash ? sent : undefined) })
}

const issued = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

/** RFC 7592 section 2.2: a change names its client, and none of what only we say; answers the secret that it repeats. */
const checkIdentity = (said: Record<string, unknown>, { id, secretHash }: clients.Client): string | undefined => {
  const ours = issued.find((name) => said[name] !== undefined)
  if (ours) throw new Refusal(400, 'invalid_request', `${ours} is not the client's to say`)
  if (said.client_id !== id) throw new Refusal(400, 'invalid_request', 'client_id is not that of this registration')
  if (said.client_secret === undefined) return undefined
  const repeated = typeof said.client_secret === 'string' ? said.client_secret : ''
  if (!secretHash || !equal(sha256(repeated), secretHash))
    throw new Refusal(400, 'invalid_request', 'client_secret is not that of this client')
  return repeated
}

const bearerOf = (ctx: Context): string | undefined => ctx.get('Authorization').match(/^Bearer +([\w.~+/-]+=*)$/i)?.[1]

const readBody = async (ctx: Context): Promise<Record<string, unknown>> => {
  if (!ctx.is('application/json')) throw new Refusal(400, 'invalid_request', 'The body has to be application/json')
  const body = parse(await readText(ctx, 65_536))
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !isStorable(body))
    throw new Refusal(400, 'invalid_request', 'The body has to be a JSON object')
  ctx.state.registering = body
  return body as Record<string, unknown>
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const bounded = (workspace: Workspace, said: Record<string, unknown>, kept?: ClientMetadata): ClientMetadata => {
  const read = metadataOf(said, workspace.settings.registration, kept)
  if ('refused' in read) throw refusalOf(read.refused)
  return read.metadata
}

const refusalOf = ({ error, detail }: Unregistrable): Refusal => new Refusal(400, error, detail)

/** What the workspace has keys for, what the sector says, and what the engine can read. */
const check = async ({ services, workspace, provider }: Desk, metadata: ClientMetadata): Promise<void> => {
  try {
    refuseUnsignable(workspace.settings.keys, metadata)
  } catch (error) {
    refuseProblem(error)
  }
  const fault = await sectorFault(services.fetch, metadata)
  if (fault) throw new Refusal(400, 'invalid_client_metadata', `sector_identifier_uri: ${fault}`)
  const sample = { ...unstored, metadata, secretHash: sha256('a secret'), createdAt: new Date(), updatedAt: new Date() }
  const { Client } = provider as unknown as { Client: { validate(payload: object): Promise<void> } }
  try {
    await Client.validate(engineClient(sample, () => []) ?? {})
  } catch (error) {
    const { error: code, error_description: detail } = error as { error?: string; error_description?: string }
    if (code === undefined) throw error
    throw new Refusal(400, code, detail ?? code)
  }
}

const unstored = {
  id: 'new',
  status: 'active',
  previousSecretHash: null,
  sealedSecret: null,
  previousSealedSecret: null,
  registeredBy: 'registration',
} as const

const refuseProblem = (error: unknown): never => {
  if (!(error instanceof Problem)) throw error
  const [first] = error.errors ?? []
  if (error.code === 'unauthorized')
    throw new Refusal(401, 'invalid_token', 'This needs a registration token that is good')
  if (error.code === 'unprocessable')
    throw new Refusal(400, 'invalid_client_metadata', `${first?.pointer.slice(1)}: ${first?.detail}`)
  if (error.code === 'conflict') throw new Refusal(409, 'temporarily_unavailable', error.detail ?? error.title)
  throw error
}

const tooMany = (): Refusal =>
  new Refusal(429, 'temporarily_unavailable', 'Too many registrations; try again later', 3600)

const notAllowed = (ctx: Context, methods: string): Problem => {
  ctx.set('Allow', methods)
  return new Problem('method_not_allowed')
}

/** The registration as it stands (RFC 7591 section 3.2.1). A secret is told only when it is made, or repeated. */
const told = ({ provider }: Desk, { client, secret, accessToken }: registrations.Registered) => ({
  client_id: client.id,
  client_id_issued_at: Math.floor(client.createdAt.getTime() / 1000),
  ...(secret === undefined ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
  ...Object.fromEntries(
    ownFields.flatMap((name) => (isSaid(client.metadata[name]) ? [[name, client.metadata[name]]] : [])),
  ),
  registration_access_token: accessToken,
  registration_client_uri: `${provider.issuer}/register/${client.id}`,
})

const isSaid = (value: unknown): boolean => value !== undefined && value !== null

/** Notes that a client which came by itself got a token: those that get none are deleted one day. */
export const noteUse = (provider: Provider, { db, clock, log }: Services, { id }: Workspace): void => {
  const noted = new LRUCache<string, true>({ max: 1000, ttl: 3_600_000 })
  provider.on('grant.success', (ctx) => {
    const client = ctx.oidc.client as (object & { clientId: string; registered_by?: string }) | undefined
    if (!client || (client.registered_by ?? 'operator') === 'operator' || noted.has(client.clientId)) return
    noted.set(client.clientId, true)
    registrations
      .touch(db, clock.now(), id, client.clientId)
      .catch((error) => log.warn({ err: error }, 'the use of a client could not be noted'))
  })
}
