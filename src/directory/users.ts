import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Account } from '../db/hot.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as contexts from './contexts.ts'
import type { Identifier } from './identifiers.ts'
import { holdOutsideName } from './outside-names.ts'

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
  await contexts.endAll(db, poolId, id)
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
  await holdOutsideName(db, poolId, externalId)
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
