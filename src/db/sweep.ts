import { type RawBuilder, sql } from 'kysely'
import type { Db } from './connect.ts'
import { removeAttempts } from './trails.ts'

const tables = [
  { name: 'artifacts', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'attempts', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'backchannel_requests', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'challenges', key: ['pool_id', 'id'], expiry: 'expires_at' },
  { name: 'console_sessions', key: ['id'], expiry: 'expires_at' },
  { name: 'departures', key: ['connection_id', 'state_hash'], expiry: 'expires_at' },
  { name: 'idempotency', key: ['actor', 'key'], expiry: 'expires_at' },
  { name: 'imports', key: ['pool_id', 'id'], expiry: 'expires_at' },
  { name: 'limits', key: ['key'], expiry: 'resets_at' },
  { name: 'migration_rounds', key: ['pool_id', 'id'], expiry: 'expires_at' },
  { name: 'places', key: ['pool_id', 'user_id', 'network'], expiry: 'expires_at' },
  { name: 'registration_tokens', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'seen_once', key: ['key'], expiry: 'expires_at' },
  { name: 'script_runs', key: ['workspace_id', 'script_id', 'id'], expiry: 'expires_at' },
  { name: 'traces', key: ['trace'], expiry: 'expires_at' },
  { name: 'trails', key: ['workspace_id', 'id'], expiry: 'expires_at' },
  { name: 'webhook_deliveries', key: ['workspace_id', 'webhook_id', 'event_id'], expiry: 'expires_at' },
  { name: 'upstream_sessions', key: ['workspace_id', 'id'], expiry: 'expires_at' },
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
      const remove = sql`
        delete from ${sql.table(name)} where (${columns}) in (
          select ${columns} from ${sql.table(name)} where ${sql.ref(expiry)} < ${at}
          order by ${sql.ref(expiry)} limit ${batch} for update skip locked)`
      const removed = name === 'attempts' ? await removeAttempts(db, at, remove) : await affected(db, remove)
      swept += removed
      if (removed < batch) break
    }
  }
  return swept
}

const affected = async (db: Db, remove: RawBuilder<unknown>): Promise<number> =>
  Number((await remove.execute(db)).numAffectedRows ?? 0n)
