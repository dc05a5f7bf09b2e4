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
  'external_id',
  ...propertiesOf(settings.user_schema).map(({ name }) => `profile.${name}`),
  'profile',
  ...propertiesOf(settings.metadata_schema).map(({ name }) => `metadata.${name}`),
  'metadata',
  ...(withHashes ? ['password_hash'] : []),
]

const rowOf = ({ identifiers, status, groups, profile, metadata }: records.UserRecord): ExportedRow => {
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
  const { rows } = await sql<{ id: string; externalId: string | null; hash: string | null }>`
    select u.id, u.external_id, c.data ->> 'hash' as hash from users u
    left join credentials c on ${withHashes} and c.pool_id = u.pool_id and c.user_id = u.id and c.kind = 'password'
    where u.pool_id = ${poolId} and u.id = any(${users.map(({ id }) => id)}::uuid[])`.execute(db)
  return new Map(
    rows.map(({ id, externalId, hash }) => [
      id,
      {
        ...(externalId === null ? {} : { external_id: externalId }),
        ...(hash === null ? {} : { password_hash: hash }),
      },
    ]),
  )
}
