import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import * as audit from './audit.ts'
import type { Identifier } from './identifiers.ts'
import { holdOutsideName } from './outside-names.ts'

/** An identity of a federated pool that lets somebody in as a user of another pool. */
export interface Link {
  /** The federated pool, and what its upstream calls them for good. */
  poolId: string
  subject: string
  homePoolId: string
  userId: string
}

/** A link with the era of its user that it was read in: taking it away begins another. */
export type Found = Link & { era: number }

/** Whom an identity is linked to. */
export const find = (db: Db, poolId: string, subject: string): Promise<Found | undefined> =>
  db
    .selectFrom('links')
    .innerJoin('users', (join) =>
      join.onRef('users.poolId', '=', 'links.homePoolId').onRef('users.id', '=', 'links.userId'),
    )
    .select(['links.poolId', 'subject', 'homePoolId', 'userId', 'era'])
    .where('links.poolId', '=', poolId)
    .where('subject', '=', subject)
    .executeTakeFirst()

/** Whether somebody of a federated pool has this subject, and so needs no account to be made. */
export const isUser = async (db: Db, poolId: string, subject: string): Promise<boolean> => {
  const row = await db
    .selectFrom('users')
    .select('id')
    .where('poolId', '=', poolId)
    .where('externalId', '=', subject)
    .executeTakeFirst()
  return row !== undefined
}

/** The first of some pools in which somebody active has proven an address and has no link to the federated pool yet. */
export const findHolder = async (
  db: Db,
  poolIds: readonly string[],
  { kind, value }: Identifier,
  upstreamPoolId: string,
): Promise<string | undefined> => {
  const { rows } = await sql<{ poolId: string }>`
    select i.pool_id from identifiers i join users u on u.pool_id = i.pool_id and u.id = i.user_id
    where i.pool_id = any(${poolIds}::uuid[]) and i.kind = ${kind} and i.value = ${value}
      and i.verified_at is not null and u.status = 'active' and not exists (
        select from links l where l.home_pool_id = i.pool_id and l.user_id = i.user_id and l.pool_id = ${upstreamPoolId})
    order by array_position(${poolIds}::uuid[], i.pool_id) limit 1`.execute(db)
  return rows[0]?.poolId
}

/** Whether identities of a federated pool let in people of other pools than these. */
export const leadBeyond = async (db: Db, poolId: string, homePoolIds: readonly string[]): Promise<boolean> => {
  const { rows } = await sql`
    select from links where pool_id = ${poolId} and home_pool_id <> all(${homePoolIds}::uuid[]) limit 1`.execute(db)
  return rows.length > 0
}

/** What somebody has linked, the oldest first. */
export const list = (db: Db, homePoolId: string, userId: string) =>
  db
    .selectFrom('links')
    .select(['poolId', 'label', 'linkedAt'])
    .where('homePoolId', '=', homePoolId)
    .where('userId', '=', userId)
    .orderBy('linkedAt')
    .execute()

/** The same with the names of the federated pools. */
export const listNamed = (db: Db, homePoolId: string, userId: string) =>
  db
    .selectFrom('links')
    .innerJoin('pools', 'pools.id', 'links.poolId')
    .select(['links.poolId', 'pools.slug', 'pools.name', 'label', 'linkedAt'])
    .where('homePoolId', '=', homePoolId)
    .where('userId', '=', userId)
    .orderBy('linkedAt')
    .execute()

/**
 * Links an identity to a user. `taken` where it is linked already, or is a user of its own pool; `has_one` where the user
 * has another identity of that pool. Whoever calls has locked the user.
 */
export const add = async (
  trx: Db,
  at: Date,
  { poolId, subject, homePoolId, userId }: Link,
  { label, name, by }: { label: string; name: string; by: audit.By },
): Promise<'linked' | 'taken' | 'has_one'> => {
  await holdOutsideName(trx, poolId, subject)
  const { rows } = await sql<{ own: boolean; other: boolean }>`
    select exists (select from users where pool_id = ${poolId} and external_id = ${subject} and status <> 'deleted') as own,
      exists (select from links where home_pool_id = ${homePoolId} and user_id = ${userId} and pool_id = ${poolId}) as other`.execute(
    trx,
  )
  if (rows[0]?.own) return 'taken'
  if (rows[0]?.other) return 'has_one'
  const added = await trx
    .insertInto('links')
    .values({ poolId, subject, homePoolId, userId, label, linkedAt: at })
    .onConflict((conflict) => conflict.doNothing())
    .returning('poolId')
    .executeTakeFirst()
  if (!added) return 'taken'
  const linked = { type: 'user.linked', data: { by, upstream_pool: poolId, name } } as const
  await audit.record(trx, at, { poolId: homePoolId, userId }, linked)
  return 'linked'
}

/** Takes a link away. Answers false where there is none. */
export const remove = async (
  trx: Db,
  at: Date,
  { homePoolId, userId, poolId }: Omit<Link, 'subject'>,
  { name, by }: { name: string; by: audit.By },
): Promise<boolean> => {
  const gone = await trx
    .deleteFrom('links')
    .where('homePoolId', '=', homePoolId)
    .where('userId', '=', userId)
    .where('poolId', '=', poolId)
    .returning('poolId')
    .executeTakeFirst()
  if (!gone) return false
  const unlinked = { type: 'user.unlinked', data: { by, upstream_pool: poolId, name } } as const
  await audit.record(trx, at, { poolId: homePoolId, userId }, unlinked)
  return true
}

/** Takes every link of a user away: they are deleted, or an address was proven whose owner may not have made them. */
export const removeAll = async (db: Db, homePoolId: string, userId: string): Promise<void> => {
  await db.deleteFrom('links').where('homePoolId', '=', homePoolId).where('userId', '=', userId).execute()
}
