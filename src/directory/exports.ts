import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Pool } from './pools.ts'
import * as records from './user-records.ts'

/** A user with what an export tells of them beside their record. */
export interface ExportedUser {
  user: records.UserRecord
  /** Keys, with the tenant in front where they count in one only. */
  roles: string[]
  /** Undefined where there is none, or it is not to go along. */
  passwordHash: string | undefined
}

const pageSize = 500

/** The users of a pool but the deleted, page by page; with password hashes if told. */
export const readUsers = async function* (db: Db, pool: Pool, withHashes: boolean): AsyncIterable<ExportedUser[]> {
  for (let after: string | undefined; ; ) {
    const users = await records.list(db, pool.id, { limit: pageSize }, after)
    after = users.at(-1)?.id
    if (users.length === 0) return
    const more = await findMore(db, pool.id, users, withHashes)
    yield users.map((user) => ({ user, roles: [], passwordHash: undefined, ...more.get(user.id) }))
    if (users.length < pageSize) return
  }
}

const findMore = async (
  db: Db,
  poolId: string,
  users: records.UserRecord[],
  withHashes: boolean,
): Promise<Map<string, Omit<ExportedUser, 'user'>>> => {
  // The pool is asked for like the ids, not as a constant: a planner that has not counted a new pool yet takes it for
  // empty, and would compare everybody in it with everybody.
  const { rows } = await sql<{ id: string; roles: string[]; hash: string | null }>`
    with asked as materialized (select ${poolId}::uuid as pool_id, unnest(${users.map(({ id }) => id)}::uuid[]) as id)
    select asked.id, c.data ->> 'hash' as hash,
      array(select coalesce(t.slug || '/', '') || r.key collate "C" as one from user_roles a
        join roles r on r.id = a.role_id left join tenants t on t.id = a.tenant_id
        where a.pool_id = asked.pool_id and a.user_id = asked.id order by one) as roles
    from asked
    left join credentials c
      on ${withHashes} and c.pool_id = asked.pool_id and c.user_id = asked.id and c.kind = 'password'`.execute(db)
  return new Map(rows.map(({ id, roles, hash }) => [id, { roles, passwordHash: hash ?? undefined }]))
}
