import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Pool } from './pools.ts'
import { propertiesOf } from './profiles.ts'
import * as records from './user-records.ts'

/** A user in the columns that an import reads. */
export type ExportedRow = Record<string, unknown>

const pageSize = 500

/** The users of a pool but the deleted, page by page, in the columns that an import reads; with password hashes if told. */
export const readUsers = async function* (db: Db, pool: Pool, withHashes: boolean): AsyncIterable<ExportedRow[]> {
  for (let after: string | undefined; ; ) {
    const users = await records.list(db, pool.id, { limit: pageSize }, after)
    after = users.at(-1)?.id
    if (users.length === 0) return
    const secrets = await findMore(db, pool.id, users, withHashes)
    yield users.map((user) => ({ ...rowOf(user), ...secrets.get(user.id) }))
    if (users.length < pageSize) return
  }
}

/** The columns of a pool's users in a table: a column for each simple property, and one for the rest of them. */
export const columnsOf = ({ settings }: Pool, withHashes: boolean): string[] => [
  'email',
  'email_verified',
  'mobile',
  'mobile_verified',
  'username',
  'status',
  'groups',
  'roles',
  'external_id',
  ...propertiesOf(settings.user_schema).map(({ name }) => `profile.${name}`),
  'profile',
  ...propertiesOf(settings.metadata_schema).map(({ name }) => `metadata.${name}`),
  'metadata',
  ...(withHashes ? ['password_hash'] : []),
]

const rowOf = ({ identifiers, status, groups, externalId, profile, metadata }: records.UserRecord): ExportedRow => {
  const of = (wanted: string) => identifiers.filter(({ kind }) => kind === wanted)
  const [emails, mobiles, usernames] = [of('email'), of('mobile'), of('username')]
  const text = (known: typeof identifiers) => known.map(({ value }) => value).join(';')
  return {
    ...(emails.length > 0 ? { email: text(emails), email_verified: emails.every(({ verified }) => verified) } : {}),
    ...(mobiles.length > 0
      ? { mobile: text(mobiles), mobile_verified: mobiles.every(({ verified }) => verified) }
      : {}),
    ...(usernames.length > 0 ? { username: text(usernames) } : {}),
    status,
    groups,
    ...(externalId === null ? {} : { external_id: externalId }),
    profile,
    metadata,
  }
}

const findMore = async (
  db: Db,
  poolId: string,
  users: records.UserRecord[],
  withHashes: boolean,
): Promise<Map<string, ExportedRow>> => {
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
  return new Map(rows.map(({ id, roles, hash }) => [id, { roles, ...(hash === null ? {} : { password_hash: hash }) }]))
}
