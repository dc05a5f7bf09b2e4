import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { equal, type Keyring, randomToken, sha256, uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import type { ClientMetadata } from './client-metadata.ts'
import * as clients from './clients.ts'
import { lockWorkspace, type Workspace } from './workspaces.ts'

/** A client with what it was given to change its registration by, and its secret where it just got one. */
export interface Registered {
  client: clients.Client
  secret: string | undefined
  accessToken: string
}

interface Registering {
  workspace: Workspace
  keyring: Keyring
  metadata: ClientMetadata
  /** The registration token that lets it in; undefined where anybody may register. */
  through: string | undefined
}

/**
 * Stores a client that registers itself. Needs a transaction. Throws `unauthorized` where the registration token is used
 * up or over, and `conflict` where the workspace has as many such clients as its policy lets it have.
 */
export const register = async (db: Db, at: Date, registering: Registering): Promise<Registered> => {
  const { workspace, keyring, metadata, through } = registering
  // One registration of a workspace after the other: they are counted.
  await lockWorkspace(db, workspace.id)
  const token = through === undefined ? undefined : await useToken(db, at, workspace.id, through)
  await refuseTooMany(db, workspace)
  const id = uuidv7(at)
  const wanted = { ...metadata, id, keyring, registeredBy: 'registration' as const, registrationToken: token }
  const { secret } = await clients.create(db, at, workspace.id, wanted, { kind: 'client', id })
  const accessToken = randomToken()
  const row = { workspaceId: workspace.id, clientId: id, tokenHash: sha256(accessToken), usedAt: at }
  await db.insertInto('registrations').values(row).execute()
  const client = await clients.find(db, workspace.id, id)
  if (!client) throw new Error('A client that was just made is not there.')
  return { client, secret, accessToken }
}

const refuseTooMany = async (db: Db, { id, settings }: Workspace): Promise<void> => {
  const { count } = await db
    .selectFrom('clients')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('workspaceId', '=', id)
    .where('registeredBy', '=', 'registration')
    .executeTakeFirstOrThrow()
  if (Number(count) >= settings.registration.most_clients)
    throw new Problem('conflict', { detail: 'No more clients can register here.' })
}

/** One use less, of twenty at once exactly as many as there are; answers the token's id. */
const useToken = async (db: Db, at: Date, workspaceId: string, token: string): Promise<string> => {
  const row = await db
    .updateTable('registrationTokens')
    .set({ usesLeft: sql<number | null>`uses_left - 1` })
    .where('workspaceId', '=', workspaceId)
    .where('tokenHash', '=', sha256(token))
    .where('expiresAt', '>', at)
    .where((eb) => eb.or([eb('usesLeft', 'is', null), eb('usesLeft', '>', 0)]))
    .returning('id')
    .executeTakeFirstOrThrow(() => new Problem('unauthorized'))
  return row.id
}

/** Whether a registration token would let somebody in; nothing is used up. */
export const isOpen = async (db: Db, at: Date, workspaceId: string, token: string): Promise<boolean> => {
  const row = await db
    .selectFrom('registrationTokens')
    .select('id')
    .where('workspaceId', '=', workspaceId)
    .where('tokenHash', '=', sha256(token))
    .where('expiresAt', '>', at)
    .where((eb) => eb.or([eb('usesLeft', 'is', null), eb('usesLeft', '>', 0)]))
    .executeTakeFirst()
  return row !== undefined
}

/** The client that an access token of a registration belongs to (RFC 7592); undefined where it is not that client's. */
export const findByToken = async (
  db: Db,
  workspaceId: string,
  id: string,
  token: string,
): Promise<clients.Client | undefined> => {
  const row = await db
    .selectFrom('registrations')
    .select('tokenHash')
    .where('workspaceId', '=', workspaceId)
    .where('clientId', '=', id)
    .executeTakeFirst()
  if (!row?.tokenHash || !equal(row.tokenHash, sha256(token))) return undefined
  return clients.find(db, workspaceId, id)
}

interface Changing {
  workspace: Workspace
  keyring: Keyring
  before: clients.Client
  metadata: ClientMetadata
  /** The access token that the change came with. */
  accessToken: string
}

/**
 * Changes a client as it asks itself, with a new access token where the policy says so. Needs a transaction. Throws
 * `conflict` where somebody was quicker.
 */
export const change = async (db: Db, at: Date, changing: Changing): Promise<Registered> => {
  const { workspace, keyring, before, metadata, accessToken } = changing
  const where = { workspaceId: workspace.id, before, keyring }
  const { status } = before
  const by: audit.By = { kind: 'client', id: before.id }
  const { client, secret } = await clients.update(db, at, { ...where, ...metadata, status }, by)
  const next = workspace.settings.registration.rotate_access_token ? randomToken() : accessToken
  const { numUpdatedRows } = await db
    .updateTable('registrations')
    .set({ tokenHash: sha256(next) })
    .where('workspaceId', '=', workspace.id)
    .where('clientId', '=', before.id)
    .where('tokenHash', '=', sha256(accessToken))
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new Problem('conflict', { detail: 'It was changed in the meantime.' })
  return { client, secret, accessToken: next }
}

/**
 * Keeps a client that is known by a document of its own as a record, once a person has agreed to it: operators see it and
 * can switch it off, and people can take back what they agreed to.
 */
export const keepDocument = async (
  db: Db,
  at: Date,
  workspaceId: string,
  client: Pick<clients.Client, 'id' | 'metadata'>,
): Promise<void> => {
  const { id } = client
  const metadata = JSON.stringify(client.metadata)
  await db.transaction().execute(async (trx) => {
    const row = await trx
      .insertInto('clients')
      .values({ workspaceId, id, metadata, secretHash: null, registeredBy: 'document' })
      .onConflict((conflict) => conflict.columns(['workspaceId', 'id']).doNothing())
      .returning('id')
      .executeTakeFirst()
    if (!row) return
    await trx.insertInto('registrations').values({ workspaceId, clientId: id, tokenHash: null, usedAt: at }).execute()
    const data = { by: { kind: 'client', id } as const, name: client.metadata.client_name }
    await audit.record(trx, at, { workspaceId, clientId: id }, { type: 'client.created', data })
  })
}

/** Remembers that a client got a token; once a day is enough. */
export const touch = async (db: Db, at: Date, workspaceId: string, clientId: string): Promise<void> => {
  await db
    .updateTable('registrations')
    .set({ usedAt: at })
    .where('workspaceId', '=', workspaceId)
    .where('clientId', '=', clientId)
    .where('usedAt', '<', new Date(at.getTime() - 86_400_000))
    .execute()
}

/** Deletes clients that came by themselves and got no token for as long as their workspace says; answers how many. */
export const expireUnused = async (db: Db, at: Date, batch = 500): Promise<number> =>
  db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ workspaceId: string; id: string; name: string }>`
      delete from clients where (workspace_id, id) in (
        select r.workspace_id, r.client_id from registrations r
        join workspaces w on w.id = r.workspace_id
        where r.used_at < ${at}::timestamptz - make_interval(days => (w.settings #>> '{registration,expire_unused_days}')::int)
        limit ${batch} for update of r skip locked)
        and registered_by <> 'operator'
      returning workspace_id, id, metadata ->> 'client_name' as name`.execute(trx)
    const happenings = rows.map(({ workspaceId, id, name }) => ({
      about: { workspaceId, clientId: id },
      happening: { type: 'client.deleted' as const, data: { by: audit.system, name } },
    }))
    await audit.recordMany(trx, at, happenings)
    return rows.length
  })
