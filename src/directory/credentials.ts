import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { uuidv7 } from '../platform/secrets.ts'

/** Sets a user's one password; `hash` is a PHC string. */
export const setPassword = async (db: Db, at: Date, poolId: string, userId: string, hash: string): Promise<void> => {
  await sql`
    insert into credentials (pool_id, id, user_id, kind, data, created_at)
    values (${poolId}, ${uuidv7(at)}, ${userId}, 'password', ${JSON.stringify({ hash })}::jsonb, ${at})
    on conflict (pool_id, user_id) where kind = 'password'
    do update set data = excluded.data, created_at = excluded.created_at`.execute(db)
}

/** Takes away every credential of a user, for an address whose owner has only now proven it. */
export const removeAll = async (db: Db, poolId: string, userId: string): Promise<void> => {
  await db.deleteFrom('credentials').where('poolId', '=', poolId).where('userId', '=', userId).execute()
}
