import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { uuidv7 } from '../platform/secrets.ts'

/** Sets a user's one password; `hash` is a PHC string. Where it must change, it lets them in no further than to a new one. */
export const setPassword = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  hash: string,
  mustChange = false,
): Promise<void> => {
  const data = { hash, ...(mustChange ? { must_change: true } : {}) }
  await sql`
    insert into credentials (pool_id, id, user_id, kind, data, created_at)
    values (${poolId}, ${uuidv7(at)}, ${userId}, 'password', ${JSON.stringify(data)}::jsonb, ${at})
    on conflict (pool_id, user_id) where kind = 'password'
    do update set data = excluded.data, created_at = excluded.created_at`.execute(db)
}

/** Puts a new password in the place of one that has to change. Answers false where it was changed in the meantime. */
export const replacePassword = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> => {
  const { numUpdatedRows } = await db
    .updateTable('credentials')
    .set({ data: JSON.stringify({ hash: to }), createdAt: at })
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', 'password')
    .where(sql<string>`data ->> 'hash'`, '=', from)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Takes away every credential of a user, for an address whose owner has only now proven it. */
export const removeAll = async (db: Db, poolId: string, userId: string): Promise<void> => {
  await db.deleteFrom('credentials').where('poolId', '=', poolId).where('userId', '=', userId).execute()
}

/** What a user can prove themselves with, without what proves it. */
export const list = (db: Db, poolId: string, userId: string) =>
  db
    .selectFrom('credentials')
    .select(['id', 'kind', 'createdAt', 'usedAt'])
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .orderBy('id')
    .execute()

/** Takes one credential away; answers its kind, or undefined where there is none. */
export const remove = async (db: Db, poolId: string, userId: string, id: string): Promise<string | undefined> => {
  const row = await db
    .deleteFrom('credentials')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('id', '=', id)
    .returning('kind')
    .executeTakeFirst()
  return row?.kind
}
