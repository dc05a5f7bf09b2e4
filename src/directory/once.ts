import type { Db } from '../db/connect.ts'
import { sha256 } from '../platform/secrets.ts'

/** Whether something is seen for the first time, of twenty at once for one. It is remembered until then. */
export const seeOnce = async (db: Db, key: string, until: Date): Promise<boolean> => {
  const row = await db
    .insertInto('seenOnce')
    .values({ key: sha256(key), expiresAt: until })
    .onConflict((conflict) => conflict.doNothing())
    .returning('key')
    .executeTakeFirst()
  return row !== undefined
}
