import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Account } from '../db/hot.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import type { Identifier } from './identifiers.ts'
import * as links from './links.ts'
import * as operators from './operators.ts'
import * as roles from './roles.ts'
import * as tombstones from './tombstones.ts'
import * as identifiersOf from './user-identifiers.ts'
import * as records from './user-records.ts'
import { nextVersion } from './version.ts'

export type User = Account

/** Someone of a pool by what they go by, with identifiers and credentials; at any status but deleted. */
export const findByIdentifier = async (
  db: Db,
  poolId: string,
  { kind, value }: Identifier,
): Promise<User | undefined> => {
  const row = await people(db)
    .innerJoin('identifiers', (join) =>
      join.onRef('identifiers.poolId', '=', 'users.poolId').onRef('identifiers.userId', '=', 'users.id'),
    )
    .where('identifiers.poolId', '=', poolId)
    .where('kind', '=', kind)
    .where('value', '=', value)
    .where('status', '<>', 'deleted')
    .executeTakeFirst()
  return row && userFrom(row)
}

/** The same, and nobody else changes them until the transaction ends. */
export const lockByIdentifier = async (db: Db, poolId: string, identifier: Identifier): Promise<User | undefined> => {
  const found = await findByIdentifier(db, poolId, identifier)
  if (!found) return undefined
  await db
    .selectFrom('users')
    .select('id')
    .where('poolId', '=', poolId)
    .where('id', '=', found.id)
    .forUpdate()
    .execute()
  return findByIdentifier(db, poolId, identifier)
}

/** Whoever of some pools holds a passkey, by the id that its authenticator has for it; at any status but deleted. */
export const findByPasskey = async (
  db: Db,
  poolIds: readonly string[],
  credentialId: string,
): Promise<User | undefined> => {
  const row = await people(db)
    .innerJoin('credentials', (join) =>
      join.onRef('credentials.poolId', '=', 'users.poolId').onRef('credentials.userId', '=', 'users.id'),
    )
    .where('credentials.poolId', '=', sql<string>`any(${poolIds}::uuid[])`)
    .where('credentials.kind', '=', 'passkey')
    .where(sql<string>`credentials.data ->> 'credential_id'`, '=', credentialId)
    .where('status', '<>', 'deleted')
    .executeTakeFirst()
  return row && userFrom(row)
}

/** Someone by the `sub` that tokens carry, whichever pool they are in. */
export const findById = async (db: Db, id: string): Promise<User | undefined> => {
  const row = await people(db).where('users.id', '=', id).executeTakeFirst()
  return row && userFrom(row)
}

/**
 * Makes a user that goes by one identifier. Answers undefined where somebody of the pool goes by it already:
 * of twenty at once, exactly one gets an id.
 */
export const create = async (
  db: Db,
  at: Date,
  poolId: string,
  user: { identifier: Identifier; status: 'new' | 'active'; verified: boolean; profile?: Record<string, unknown> },
): Promise<string | undefined> => {
  const id = uuidv7(at)
  const { kind, value, typed } = user.identifier
  const { rows } = await sql<{ userId: string }>`
    with person as (
      insert into users (pool_id, id, status, profile)
      select ${poolId}, ${id}, ${user.status}, ${JSON.stringify(user.profile ?? {})}::jsonb
      where not exists (select from identifiers where pool_id = ${poolId} and kind = ${kind} and value = ${value})
      returning pool_id, id
    )
    insert into identifiers (pool_id, kind, value, user_id, typed, verified_at)
    select pool_id, ${kind}, ${value}, id, ${typed}, ${user.verified ? at : null}::timestamptz from person
    on conflict do nothing returning user_id`.execute(db)
  if (rows.length > 0) return id
  // Somebody took the identifier in between: the person made for nothing goes again.
  await db.deleteFrom('users').where('poolId', '=', poolId).where('id', '=', id).execute()
  return undefined
}

/** Adds to a profile what it does not hold yet. */
export const fillProfile = async (
  db: Db,
  at: Date,
  poolId: string,
  id: string,
  profile: Record<string, unknown>,
): Promise<void> => {
  await db
    .updateTable('users')
    .set({ profile: sql<string>`${JSON.stringify(profile)}::jsonb || profile`, updatedAt: at })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
}

/** Turns a new user into an active one whose address is proven. Answers false where they were not new any more. */
export const activate = async (
  db: Db,
  at: Date,
  poolId: string,
  id: string,
  identifier: Identifier,
  profile: Record<string, unknown>,
): Promise<boolean> => {
  const { numUpdatedRows } = await db
    .updateTable('users')
    .set({ status: 'active', profile: JSON.stringify(profile), updatedAt: at })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .where('status', '=', 'new')
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return false
  await verifyIdentifier(db, at, poolId, identifier)
  return true
}

/** What an operator makes a user of. */
export interface NewUser {
  status: 'new' | 'active'
  identifiers: (Identifier & { verified: boolean })[]
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  /** Groups of the pool, by id. */
  groups: string[]
  /** What they are from the start; nothing where absent. */
  promised?: roles.Promised
}

/** Makes a user as an operator asks. Throws `conflict` on a taken identifier, `unprocessable` on an unknown group or role. */
export const make = async (
  db: Db,
  at: Date,
  poolId: string,
  { status, identifiers, profile, metadata, groups, promised }: NewUser,
  by: audit.By,
): Promise<string> => {
  const id = uuidv7(at)
  await db
    .insertInto('users')
    .values({ poolId, id, status, profile: JSON.stringify(profile), metadata: JSON.stringify(metadata) })
    .execute()
  await identifiersOf.add(db, at, poolId, id, identifiers)
  if (!(await join(db, at, poolId, id, groups)))
    throw new Problem('unprocessable', { errors: [{ pointer: '/groups', detail: 'The pool has no such group' }] })
  const name = identifiers[0]?.typed ?? ''
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.created', data: { by, name } })
  if (promised && !(await roles.keepPromise(db, at, { poolId, userId: id }, promised, by)))
    throw new Problem('unprocessable', { errors: [{ pointer: '/roles', detail: 'A role or the tenant is gone' }] })
  return id
}

/** What an operator may change of a user. */
export interface Change {
  status: User['status']
  identifiers: (Identifier & { verified: boolean })[]
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
}

/**
 * Changes a user whom `findForUpdate` has read. Whoever is not active any more is signed out everywhere. Throws
 * `conflict` on a taken identifier and where nobody would be left to own the installation.
 */
export const update = async (
  db: Db,
  at: Date,
  before: records.UserRecord,
  { identifiers, ...change }: Change,
  by: audit.By,
): Promise<records.UserRecord> => {
  const { poolId, id } = before
  const { status, profile, metadata } = change
  if (before.status === 'active' && status !== 'active') await operators.keepAnOwner(db, poolId, id)
  await db
    .updateTable('users')
    .set({
      status,
      profile: JSON.stringify(profile),
      metadata: JSON.stringify(metadata),
      updatedAt: nextVersion(at, before),
    })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
  await identifiersOf.replace(db, at, before, identifiers)
  await revokeStrayed(db, at, poolId, id)
  if (status === 'inactive') await endEverything(db, poolId, id)
  const after = (await records.find(db, poolId, id)) ?? before
  const data = { by, ...audit.difference(before, after) }
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.updated', data })
  return after
}

/**
 * Deletes a user for good: a tombstone stays, so that the `sub` is never anybody else's. Throws `conflict` where nobody
 * would be left to own the installation.
 */
export const remove = async (db: Db, at: Date, before: records.UserRecord, by: audit.By): Promise<void> => {
  const { poolId, id } = before
  await operators.keepAnOwner(db, poolId, id)
  const named = before.identifiers.map(({ kind, value }) => ({ kind, value }))
  const outside = before.externalId === null ? [] : [{ kind: 'external_id', value: before.externalId } as const]
  await tombstones.lay(db, at, poolId, id, [...outside, ...named])
  await db
    .updateTable('users')
    .set({ status: 'deleted', profile: '{}', metadata: '{}', externalId: null, updatedAt: nextVersion(at, before) })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
  const theirs = [
    'identifiers',
    'credentials',
    'consents',
    'places',
    'groupMembers',
    'userRoles',
    'tenantMembers',
    'operators',
  ] as const
  for (const table of theirs) await db.deleteFrom(table).where('poolId', '=', poolId).where('userId', '=', id).execute()
  await links.removeAll(db, poolId, id)
  await revokeStrayed(db, at, poolId, id)
  await endEverything(db, poolId, id)
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.deleted', data: { by } })
}

/** Puts a user into groups of the pool, those they are in already included. Answers false where one does not exist. */
export const join = async (db: Db, at: Date, poolId: string, id: string, groups: string[]): Promise<boolean> => {
  const wanted = [...new Set(groups)]
  const { rows } = await sql`
    with known as (
      select id from groups where pool_id = ${poolId} and id = any(${wanted}::uuid[]) for key share
    ), joined as (
      insert into group_members (pool_id, group_id, user_id, created_at)
      select ${poolId}, id, ${id}, ${at} from known on conflict do nothing
    ) select id from known`.execute(db)
  return rows.length === wanted.length
}

/** Whether a pool has all of these groups. */
export const areGroups = async (db: Db, poolId: string, groups: readonly string[]): Promise<boolean> => {
  const wanted = [...new Set(groups)]
  const rows = await db
    .selectFrom('groups')
    .select('id')
    .where('poolId', '=', poolId)
    .where('id', '=', sql<string>`any(${wanted}::uuid[])`)
    .execute()
  return rows.length === wanted.length
}

/** Marks an identifier as proven; the first proof's time stays. */
export const verifyIdentifier = async (
  db: Db,
  at: Date,
  poolId: string,
  { kind, value }: Identifier,
): Promise<void> => {
  await db
    .updateTable('identifiers')
    .set({ verifiedAt: at })
    .where('poolId', '=', poolId)
    .where('kind', '=', kind)
    .where('value', '=', value)
    .where('verifiedAt', 'is', null)
    .execute()
}

/** Sets a user's status; anything but active is refused at every door from then on. Throws `not_found`. */
export const setStatus = async (db: Db, at: Date, poolId: string, id: string, status: User['status']) => {
  const { numUpdatedRows } = await db
    .updateTable('users')
    .set({ status, updatedAt: at })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new Problem('not_found')
}

/**
 * Ends every session and grant of a user, and with the grants every code and token that hangs on them; also a sign-in
 * that was proven, but that its browser has not gone on from yet.
 */
export const endEverything = async (db: Db, poolId: string, id: string): Promise<void> => {
  // A new era ends also what a request that is under way will store only in a moment.
  await db
    .updateTable('users')
    .set((eb) => ({ era: eb('era', '+', 1) }))
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
  await db
    .deleteFrom('artifacts')
    .where('poolId', '=', poolId)
    .where('userId', '=', id)
    .where('kind', 'in', ['Grant', 'Session', 'Interaction'])
    .execute()
}

/** Makes somebody whose password was their source's to know ours, as they have one here from now on. */
export const takeOver = async (db: Db, at: Date, poolId: string, id: string): Promise<void> => {
  await db
    .updateTable('users')
    .set({ authority: 'migrated', migratedAt: at })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .where('authority', '=', 'linked')
    .execute()
}

/**
 * Whoever of a pool another system knows by a name, until the transaction ends: of fifty who come by it at once, one after
 * the other is here, also where nobody is known by it yet.
 */
export const lockByExternalId = async (db: Db, poolId: string, externalId: string): Promise<User | undefined> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`adopt ${poolId} ${externalId}`}, 0))`.execute(db)
  const row = await db
    .selectFrom('users')
    .select('id')
    .where('poolId', '=', poolId)
    .where('externalId', '=', externalId)
    .forUpdate()
    .executeTakeFirst()
  return row && findById(db, row.id)
}

/** Gives a user the name that another system knows them by. Throws where somebody else of the pool has it. */
export const setExternalId = async (db: Db, poolId: string, id: string, externalId: string): Promise<void> => {
  await db.updateTable('users').set({ externalId }).where('poolId', '=', poolId).where('id', '=', id).execute()
}

/** Takes back invitations to a user by what they do not go by any more. */
const revokeStrayed = async (db: Db, at: Date, poolId: string, userId: string): Promise<void> => {
  await sql`
    update invitations v set state = 'revoked', updated_at = ${at}
    where pool_id = ${poolId} and user_id = ${userId} and state = 'pending' and not exists (
      select from identifiers n where n.pool_id = v.pool_id and n.user_id = v.user_id
        and n.kind = v.identifier_kind and n.value = v.identifier_value)`.execute(db)
}

const people = (db: Db) =>
  db
    .selectFrom('users')
    .select(['users.poolId', 'users.id', 'status', 'profile', 'metadata', 'users.updatedAt', 'users.era'])
    .select(['users.deletesAt', 'users.lastSignInAt', 'users.authority', 'users.externalId', 'users.secondFactorDue'])
    .select(
      sql<User['identifiers'] | null>`(select jsonb_agg(jsonb_build_object('kind', n.kind, 'value', n.value,
        'typed', n.typed, 'verified', n.verified_at is not null) order by n.created_at, n.value)
        from identifiers n where n.pool_id = users.pool_id and n.user_id = users.id)`.as('known'),
    )
    .select(
      sql<User['credentials'] | null>`(select jsonb_agg(jsonb_build_object('id', c.id, 'kind', c.kind, 'data', c.data)
        order by c.id) from credentials c where c.pool_id = users.pool_id and c.user_id = users.id)`.as('held'),
    )

const userFrom = ({
  known,
  held,
  ...row
}: Omit<User, 'identifiers' | 'credentials'> & {
  known: User['identifiers'] | null
  held: User['credentials'] | null
}): User => ({ ...row, identifiers: known ?? [], credentials: held ?? [] })
