import { sql } from 'kysely'
import type { Db } from './connect.ts'

const tables = [
  { name: 'artifacts', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'attempts', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'challenges', key: ['pool_id', 'id'], expiry: 'expires_at' },
  { name: 'imports', key: ['pool_id', 'id'], expiry: 'expires_at' },
  { name: 'limits', key: ['key'], expiry: 'resets_at' },
] as const

/**
 * Removes what has expired, in small batches that block nobody; rows that another node is removing are skipped.
 * Answers how many rows went.
 */
export const sweep = async (db: Db, at: Date, batch = 500, mostBatches = 20): Promise<number> => {
  let swept = 0
  for (const { name, key, expiry } of tables) {
    const columns = sql.join(key.map((column) => sql.ref(column)))
    for (let round = 0; round < mostBatches; round += 1) {
      const { numAffectedRows = 0n } = await sql`
        delete from ${sql.table(name)} where (${columns}) in (
          select ${columns} from ${sql.table(name)} where ${sql.ref(expiry)} < ${at}
          order by ${sql.ref(expiry)} limit ${batch} for update skip locked)`.execute(db)
      swept += Number(numAffectedRows)
      if (numAffectedRows < BigInt(batch)) break
    }
  }
  return swept
}
