import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import { acrValues } from './acr.ts'
import * as audit from './audit.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

const grantTypes = z.enum(['authorization_code', 'refresh_token', 'client_credentials', 'password'])

/** A client's metadata: the fields of OpenID Connect Dynamic Client Registration 1.0 section 2, and ours. */
export const clientMetadata = z.object({
  client_name: z.string().min(1).max(200),
  application_type: z.enum(['web', 'native']).default('web'),
  redirect_uris: z.array(z.url()).default([]),
  post_logout_redirect_uris: z.array(z.url()).default([]),
  grant_types: z.array(grantTypes).min(1).default(['authorization_code']),
  token_endpoint_auth_method: z
    .enum(['none', 'client_secret_basic', 'client_secret_post'])
    .default('client_secret_basic'),
  id_token_signed_response_alg: z.enum(['RS256', 'ES256', 'EdDSA', 'PS256']).default('RS256'),
  scope: z.string().optional(),
  logo_uri: z.url({ protocol: /^https$/ }).optional(),
  client_uri: z.url({ protocol: /^https$/ }).optional(),
  policy_uri: z.url({ protocol: /^https$/ }).optional(),
  tos_uri: z.url({ protocol: /^https$/ }).optional(),
  default_max_age: z.int().min(0).optional(),
  require_auth_time: z.boolean().optional(),
  initiate_login_uri: z.url({ protocol: /^https$/ }).optional(),
  first_party: z.boolean().default(false),
  connections: z.array(z.uuid()).nullable().default(null),
  acr_values_default: z
    .array(z.enum(acrValues))
    .default([])
    .describe('How surely its people have to be known at least, whatever a request asks for; the best liked first'),
  /** Resources that the client may ask tokens for, with the scopes it may have there. */
  resources: z.record(z.url(), z.array(z.string())).default({}),
})
export type ClientMetadata = z.infer<typeof clientMetadata>

const { initiate_login_uri: _initiate, ...offered } = clientMetadata.shape
const uris = z.array(z.string().max(2000)).max(100).refine(areDistinct, 'An address is named twice').default([])

/** The fields that an operator may write of a client; what they mean together is for `refuseMisfits` to check. */
export const writtenMetadata = {
  ...offered,
  redirect_uris: uris.describe('Compared as they are written'),
  post_logout_redirect_uris: uris,
  grant_types: z
    .array(grantTypes)
    .min(1)
    .refine(areDistinct, 'A grant type is named twice')
    .default(['authorization_code']),
  scope: z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/)
    .max(1000)
    .optional()
    .describe('The only scopes it may ask for, separated by spaces'),
  first_party: offered.first_party.describe('Its people are not asked for consent'),
  connections: offered.connections.describe('The only connections that its people may come through; null for all'),
  resources: z
    .record(
      z.url().refine((uri) => !uri.includes('#'), 'A fragment is not allowed (RFC 8707 section 2)'),
      z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/)).max(200),
    )
    .default({})
    .describe('Resources that it may ask tokens for, with the scopes it may have there'),
}

type Written = Pick<ClientMetadata, 'application_type' | 'token_endpoint_auth_method' | 'grant_types'> &
  Pick<ClientMetadata, 'redirect_uris' | 'post_logout_redirect_uris'>

/** Finds what does not fit together in a client, so that the engine never meets one that it cannot read. */
export const refuseMisfits = (written: Written, context: z.RefinementCtx<Written>): void => {
  const refuse = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message, input: written })
  const { grant_types, redirect_uris, application_type } = written
  for (const field of ['redirect_uris', 'post_logout_redirect_uris'] as const)
    for (const [index, uri] of written[field].entries()) {
      const misfit = misfitOf(uri, application_type)
      if (misfit) refuse([field, index], misfit)
    }
  if (grant_types.includes('authorization_code') && redirect_uris.length === 0)
    refuse(['redirect_uris'], 'The grant type authorization_code needs an address to come back to')
  if (
    grant_types.includes('refresh_token') &&
    !grant_types.some((type) => type === 'authorization_code' || type === 'password')
  )
    refuse(['grant_types'], 'Nothing gives this client a refresh token')
  // RFC 6749 section 4.4.
  if (grant_types.includes('client_credentials') && written.token_endpoint_auth_method === 'none')
    refuse(['token_endpoint_auth_method'], 'The grant type client_credentials needs a secret')
}

const loopbacks = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Why people cannot be sent to an address (RFC 9700 section 2.1, RFC 8252 section 7); undefined where they can. */
const misfitOf = (uri: string, type: ClientMetadata['application_type']): string | undefined => {
  if (!/^([a-z][a-z0-9+.-]*):/.test(uri) || /^https?:(?!\/\/)/.test(uri) || !URL.canParse(uri))
    return 'This is not an absolute address'
  if (uri.includes('#')) return 'A fragment is not allowed'
  if (uri.includes('*')) return 'Addresses are compared as they are written: there are no wildcards'
  if (/[^\x21-\x7e]|[\\"<>^`{|}]/.test(uri)) return 'It has characters that have to be percent-encoded'
  const { protocol, hostname, username, password } = new URL(uri)
  if (username || password) return 'A user name or password is not allowed'
  const loopback = loopbacks.has(hostname)
  if (protocol === 'http:') return loopback ? undefined : 'http is for loopback addresses only'
  if (protocol === 'https:')
    return type === 'native' && loopback ? 'On loopback addresses a native application uses http' : undefined
  if (type === 'web') return 'A web application is reached by https'
  return protocol.includes('.') ? undefined : 'A scheme of its own has a domain in it, such as com.example.app'
}

function areDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}

/**
 * A client as it is stored; `secretHash` is the SHA-256 of a secret that only its owner knows, `previousSecretHash` that
 * of the one before, which is good until it is ended.
 */
export interface Client {
  id: string
  status: 'active' | 'inactive'
  metadata: ClientMetadata
  secretHash: string | null
  previousSecretHash: string | null
  createdAt: Date
  updatedAt: Date
}

/** Registers a client; `secret` comes back this once, where its method has one. Throws `conflict` on a taken id. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  { id, secret, ...input }: z.input<typeof clientMetadata> & { id: string; secret?: string },
  by: audit.By = audit.system,
): Promise<{ id: string; secret: string | undefined }> => {
  const metadata = clientMetadata.parse(input)
  const made = metadata.token_endpoint_auth_method === 'none' ? undefined : (secret ?? randomToken())
  const row = await db
    .insertInto('clients')
    .values({ workspaceId, id, metadata: JSON.stringify(metadata), secretHash: made ? sha256(made) : null })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'id']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: `A client with the id "${id}" exists.` })
  const about = { workspaceId, clientId: id }
  await audit.record(db, at, about, { type: 'client.created', data: { by, name: metadata.client_name } })
  return { id, secret: made }
}

/** As `create`, for whoever chooses an id: one that a deleted client had is refused, too. In a transaction. */
export const register = async (...words: Parameters<typeof create>): ReturnType<typeof create> => {
  const made = await create(...words)
  const [db, , workspaceId] = words
  const retired = await db
    .selectFrom('retiredClients')
    .select('id')
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', made.id)
    .executeTakeFirst()
  if (retired) throw new Problem('conflict', { detail: 'A client with this id was deleted; its id is not used again.' })
  return made
}

/**
 * Every field at once; an event tells what changed. A client that begins to have a secret gets `secret`, or else a new
 * one, shown this once; one that has none any more loses its own. Throws `conflict` where somebody was quicker.
 */
export const update = async (
  db: Db,
  at: Date,
  {
    workspaceId,
    before,
    status,
    secret: chosen = randomToken(),
    ...input
  }: z.input<typeof clientMetadata> & Pick<Client, 'status'> & Changing & { secret?: string | undefined },
  by: audit.By,
): Promise<{ client: Client; secret: string | undefined }> => {
  const metadata = clientMetadata.parse(input)
  const open = metadata.token_endpoint_auth_method === 'none'
  const secret = open || before.secretHash ? undefined : chosen
  const hashes = open ? { secretHash: null, previousSecretHash: null } : secret ? { secretHash: sha256(secret) } : {}
  const row = await db
    .updateTable('clients')
    .set({ ...hashes, status, metadata: JSON.stringify(metadata), updatedAt: nextVersion(at, before) })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returning(columns)
    .executeTakeFirst()
  if (!row) throw overtaken()
  const client = clientFrom(row)
  const difference = audit.difference({ status: before.status, ...before.metadata }, { status, ...metadata })
  const about = { workspaceId, clientId: before.id }
  await audit.record(db, at, about, { type: 'client.updated', data: { by, ...difference } })
  return { client, secret }
}

interface Changing {
  workspaceId: string
  before: Client
}

/** Gives a client a new secret; the one that was newest stays good beside it. Throws `conflict` without any. */
export const rotateSecret = async (
  db: Db,
  at: Date,
  { workspaceId, before }: Changing,
  by: audit.By,
  secret: string = randomToken(),
): Promise<{ client: Client; secret: string }> => {
  const row = await db
    .updateTable('clients')
    .set({
      previousSecretHash: sql<string>`secret_hash`,
      secretHash: sha256(secret),
      updatedAt: nextVersion(at, before),
    })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', before.id)
    .where('secretHash', 'is not', null)
    .returning(columns)
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: 'This client has no secret.' })
  const about = { workspaceId, clientId: before.id }
  await audit.record(db, at, about, { type: 'client.secret_rotated', data: { by } })
  return { client: clientFrom(row), secret }
}

/** Ends the secret before the newest. Throws `not_found` where there is none. */
export const endOldSecret = async (
  db: Db,
  at: Date,
  { workspaceId, before }: Changing,
  by: audit.By,
): Promise<void> => {
  const { numUpdatedRows } = await db
    .updateTable('clients')
    .set({ previousSecretHash: null, updatedAt: nextVersion(at, before) })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', before.id)
    .where('previousSecretHash', 'is not', null)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new Problem('not_found', { detail: 'This client has no old secret.' })
  const about = { workspaceId, clientId: before.id }
  await audit.record(db, at, about, { type: 'client.secret_ended', data: { by } })
}

/** Deletes a client; its id is not used again, for what was granted to it lives until it expires. */
export const remove = async (db: Db, at: Date, { workspaceId, before }: Changing, by: audit.By): Promise<void> => {
  const { id, metadata } = before
  await db.deleteFrom('clients').where('workspaceId', '=', workspaceId).where('id', '=', id).execute()
  await db
    .insertInto('retiredClients')
    .values({ workspaceId, id })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const about = { workspaceId, clientId: id }
  await audit.record(db, at, about, { type: 'client.deleted', data: { by, name: metadata.client_name } })
}

/** A workspace's clients by id, from the first after `after`. */
export const list = async (
  db: Db,
  workspaceId: string,
  { limit, after }: { limit: number; after: string | undefined },
): Promise<Client[]> => {
  const rows = await db
    .selectFrom('clients')
    .select(columns)
    .where('workspaceId', '=', workspaceId)
    .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(clientFrom)
}

export const find = async (db: Db, workspaceId: string, id: string): Promise<Client | undefined> => {
  const row = await db
    .selectFrom('clients')
    .select(columns)
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && clientFrom(row)
}

const columns = ['id', 'status', 'metadata', 'secretHash', 'previousSecretHash', 'createdAt', 'updatedAt'] as const

const clientFrom = (row: Omit<Client, 'metadata'> & { metadata: unknown }): Client => ({
  ...row,
  metadata: clientMetadata.parse(row.metadata),
})

/** Whether a stored client is other than wanted, in its metadata or its secret. */
export const differs = (client: Client, input: z.input<typeof clientMetadata>, secret?: string): boolean =>
  !isDeepStrictEqual(client.metadata, clientMetadata.parse(input)) ||
  (secret !== undefined && client.secretHash !== sha256(secret))

/** Replaces what a client may be reached at and known by; used where the program owns the client itself. */
export const replace = async (
  db: Db,
  workspaceId: string,
  id: string,
  input: z.input<typeof clientMetadata>,
  secret?: string,
): Promise<void> => {
  const metadata = JSON.stringify(clientMetadata.parse(input))
  await db
    .updateTable('clients')
    .set({
      metadata,
      updatedAt: new Date(),
      ...(secret ? { secretHash: sha256(secret), previousSecretHash: null } : {}),
    })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .execute()
}
