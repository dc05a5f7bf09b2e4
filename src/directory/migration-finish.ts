import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import * as audit from './audit.ts'
import { stop } from './migration-rounds.ts'
import type { Pool } from './pools.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

/** Whom a pool would keep, and how, if its source were taken away. */
export interface Closing {
  /** Users who would have no password here, as their source knows it. */
  withoutPassword: number
  /** Those of them whom no message reaches and no passkey lets in: they could not come in at all. */
  lost: number
  /** The first of the lost, by id. */
  sample: string[]
}

/** Reports who would lose their way in if a pool's source were taken away. Reads everybody who came from there. */
export const report = async (db: Db, { id, settings }: Pool): Promise<Closing> => {
  const reached = [
    ...(settings.identifiers.includes('email') ? ['email'] : []),
    ...(settings.identifiers.includes('mobile') ? ['mobile'] : []),
  ]
  const keys = settings.sign_in_methods.includes('passkey')
  const { rows } = await sql<{ id: string; lost: boolean; all: number; gone: number }>`
    with bare as (
      select u.id, not (
        exists (select from identifiers n where n.pool_id = u.pool_id and n.user_id = u.id and n.kind = any(${reached}::text[]))
        or (${keys} and exists (select from credentials c where c.pool_id = u.pool_id and c.user_id = u.id and c.kind = 'passkey'))
      ) as lost
      from users u
      where u.pool_id = ${id} and u.status in ('active', 'inactive')
        and (u.authority = 'linked' or u.external_id is not null)
        and not exists (
          select from credentials c where c.pool_id = u.pool_id and c.user_id = u.id and c.kind = 'password')
    )
    select id, lost, (select count(*)::int from bare) as all, (select count(*)::int from bare where lost) as gone
    from bare order by lost desc, id limit 20`.execute(db)
  return {
    withoutPassword: rows[0]?.all ?? 0,
    lost: rows[0]?.gone ?? 0,
    sample: rows.filter(({ lost }) => lost).map((row) => row.id),
  }
}

/**
 * Takes a pool's source away for good: the pool is local, and so is everybody in it. Needs a transaction. Throws
 * `conflict` where somebody changed the pool meanwhile. Answers how many users lived at the source until now.
 */
export const cut = async (db: Db, at: Date, pool: Pool, by: audit.By): Promise<number> => {
  await db
    .updateTable('pools')
    .set({ kind: 'local', source: null, updatedAt: nextVersion(at, pool) })
    .where('id', '=', pool.id)
    .where(isVersion(pool))
    .returning('id')
    .executeTakeFirstOrThrow(overtaken)
  await stop(db, at, pool.id)
  const { numUpdatedRows } = await db
    .updateTable('users')
    .set({ authority: 'local' })
    .where('poolId', '=', pool.id)
    .where('authority', '=', 'linked')
    .executeTakeFirst()
  await db.deleteFrom('poolPeople').where('poolId', '=', pool.id).execute()
  const users = Number(numUpdatedRows)
  const source = pool.source?.type ?? ''
  await audit.record(db, at, { poolId: pool.id }, { type: 'migration.finished', data: { by, source, users } })
  return users
}
