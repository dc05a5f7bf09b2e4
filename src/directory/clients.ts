import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import type { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { type ClientMetadata, clientMetadata } from './client-metadata.ts'
import { hasSecret, needsSecretItself } from './client-protocol.ts'
import { type Sealing, sealed } from './client-secrets.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

/**
 * A client as it is stored; `secretHash` is the SHA-256 of a secret that only its owner knows, `previousSecretHash` that
 * of the one before, which is good until it is ended. The secrets themselves are there, sealed, for a client that signs
 * with them, and for no other.
 */
export interface Client {
  id: string
  status: 'active' | 'inactive'
  metadata: ClientMetadata
  secretHash: string | null
  previousSecretHash: string | null
  sealedSecret: string | null
  previousSealedSecret: string | null
  /** Who brought it: an operator, itself (RFC 7591), or a document of its own at its address. */
  registeredBy: 'operator' | 'registration' | 'document'
  createdAt: Date
  updatedAt: Date
}

/**
 * Registers a client; `secret` comes back this once, where its method has one. The keyring seals the secret of a client
 * that signs with it. Throws `conflict` on a taken id.
 */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  {
    id,
    secret,
    keyring,
    registeredBy = 'operator',
    registrationToken,
    ...input
  }: z.input<typeof clientMetadata> & { id: string; secret?: string } & Sealing & Registering,
  by: audit.By = audit.system,
): Promise<{ id: string; secret: string | undefined }> => {
  const metadata = clientMetadata.parse(input)
  const made = hasSecret(metadata.token_endpoint_auth_method) ? (secret ?? randomToken()) : undefined
  await db
    .insertInto('clients')
    .values({
      workspaceId,
      id,
      metadata: JSON.stringify(metadata),
      secretHash: made ? sha256(made) : null,
      sealedSecret: sealed({ workspaceId, id, metadata, keyring }, made),
      registeredBy,
    })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'id']).doNothing())
    .returning('id')
    .executeTakeFirstOrThrow(() => new Problem('conflict', { detail: `A client with the id "${id}" exists.` }))
  const about = { workspaceId, clientId: id }
  const through = registrationToken === undefined ? {} : { registration_token: registrationToken }
  await audit.record(db, at, about, { type: 'client.created', data: { by, name: metadata.client_name, ...through } })
  return { id, secret: made }
}

/** How a client came that no operator made. */
interface Registering extends Partial<Pick<Client, 'registeredBy'>> {
  /** The id of the registration token that let it in. */
  registrationToken?: string | undefined
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
    keyring,
    ...input
  }: z.input<typeof clientMetadata> & Pick<Client, 'status'> & Changing & { secret?: string | undefined },
  by: audit.By,
): Promise<{ client: Client; secret: string | undefined }> => {
  const metadata = clientMetadata.parse(input)
  const open = !hasSecret(metadata.token_endpoint_auth_method)
  const known = needsSecretItself(metadata) ? before.sealedSecret : before.secretHash
  const secret = open || known ? undefined : chosen
  const signing = { workspaceId, id: before.id, metadata, keyring }
  const hashes = open ? noSecret : secret ? { ...noSecret, secretHash: sha256(secret) } : {}
  const kept = secret || !needsSecretItself(metadata) ? sealedNow(sealed(signing, secret)) : {}
  const row = await db
    .updateTable('clients')
    .set({ ...hashes, ...kept, status, metadata: JSON.stringify(metadata), updatedAt: nextVersion(at, before) })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returning(columns)
    .executeTakeFirstOrThrow(overtaken)
  const client = clientFrom(row)
  const difference = audit.difference({ status: before.status, ...before.metadata }, { status, ...metadata })
  const about = { workspaceId, clientId: before.id }
  await audit.record(db, at, about, { type: 'client.updated', data: { by, ...difference } })
  return { client, secret }
}

const noSecret = { secretHash: null, previousSecretHash: null }

const sealedNow = (sealedSecret: string | null) => ({ sealedSecret, previousSealedSecret: null })

interface Changing extends Sealing {
  workspaceId: string
  before: Client
}

/** Gives a client a new secret; the one that was newest stays good beside it. Throws `conflict` without any. */
export const rotateSecret = async (
  db: Db,
  at: Date,
  { workspaceId, before, keyring }: Changing,
  by: audit.By,
  secret: string = randomToken(),
): Promise<{ client: Client; secret: string }> => {
  const row = await db
    .updateTable('clients')
    .set({
      previousSecretHash: sql<string>`secret_hash`,
      secretHash: sha256(secret),
      previousSealedSecret: sql<string>`sealed_secret`,
      sealedSecret: sealed({ workspaceId, id: before.id, metadata: before.metadata, keyring }, secret),
      updatedAt: nextVersion(at, before),
    })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', before.id)
    .where('secretHash', 'is not', null)
    .returning(columns)
    .executeTakeFirstOrThrow(() => new Problem('conflict', { detail: 'This client has no secret.' }))
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
    .set({ previousSecretHash: null, previousSealedSecret: null, updatedAt: nextVersion(at, before) })
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
export const list = async (db: Db, workspaceId: string, page: Page): Promise<Client[]> => {
  const rows = await db
    .selectFrom('clients')
    .select(columns)
    .where('workspaceId', '=', workspaceId)
    .$call(pageBy('id', page))
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

const columns = [
  'id',
  'status',
  'metadata',
  'secretHash',
  'previousSecretHash',
  'sealedSecret',
  'previousSealedSecret',
  'registeredBy',
  'createdAt',
  'updatedAt',
] as const

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
