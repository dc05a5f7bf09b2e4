import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { sha256 } from '../platform/secrets.ts'
import type { IdentifierKind } from './identifiers.ts'

/** One thing that somebody went by: their name at the source, or an identifier in its canonical form. */
export interface Mark {
  kind: 'external_id' | IdentifierKind
  value: string
}

/**
 * Keeps what somebody deleted went by, so that no source or upstream of their pool brings them back; where the pool has
 * neither, nothing is kept. Needs the deletion's transaction.
 */
export const lay = async (db: Db, at: Date, poolId: string, userId: string, marks: readonly Mark[]): Promise<void> => {
  const pool = await db.selectFrom('pools').select('kind').where('id', '=', poolId).executeTakeFirst()
  if (marks.length === 0 || pool === undefined || pool.kind === 'local') return
  const rows = marks.map((mark) => ({
    poolId,
    kind: mark.kind,
    valueHash: hashOf(poolId, mark),
    userId,
    createdAt: at,
  }))
  await db
    .insertInto('tombstones')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Whether somebody who was deleted went by any of these. */
export const lies = async (db: Db, poolId: string, marks: readonly Mark[]): Promise<boolean> => {
  if (marks.length === 0) return false
  const hashes = marks.map((mark) => hashOf(poolId, mark))
  const row = await db
    .selectFrom('tombstones')
    .select('userId')
    .where('poolId', '=', poolId)
    .where('valueHash', '=', sql<string>`any(${hashes}::text[])`)
    .executeTakeFirst()
  return row !== undefined
}

/** Those of some marks that somebody who was deleted went by. */
export const listLying = async (db: Db, poolId: string, marks: readonly Mark[]): Promise<Mark[]> => {
  if (marks.length === 0) return []
  const hashes = marks.map((mark) => hashOf(poolId, mark))
  const rows = await db
    .selectFrom('tombstones')
    .select('valueHash')
    .where('poolId', '=', poolId)
    .where('valueHash', '=', sql<string>`any(${hashes}::text[])`)
    .execute()
  const lying = new Set(rows.map(({ valueHash }) => valueHash))
  return marks.filter((_, index) => lying.has(hashes[index] ?? ''))
}

/** Lets somebody who was deleted be brought back, as a new user. Answers false where nothing kept them away. */
export const lift = async (db: Db, poolId: string, userId: string): Promise<boolean> => {
  const { numDeletedRows } = await db
    .deleteFrom('tombstones')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

const hashOf = (poolId: string, { kind, value }: Mark): string => sha256(JSON.stringify([poolId, kind, value]))
