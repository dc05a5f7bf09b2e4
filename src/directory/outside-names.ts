import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'

/**
 * Holds what an outside system calls somebody, until the transaction ends: whoever makes them a user of a pool, or links
 * them to a user of another, comes one after the other. Whoever holds a user as well holds that one first.
 */
export const holdOutsideName = async (trx: Db, poolId: string, name: string): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`adopt ${poolId} ${name}`}, 0))`.execute(trx)
}
