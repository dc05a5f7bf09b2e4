import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Page } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import * as audit from './audit.ts'
import type { Group } from './groups.ts'
import type { IdentifierKind } from './identifiers.ts'

/** Someone in a group, or only in one below it. */
export interface Member {
  userId: string
  status: 'new' | 'active' | 'inactive'
  direct: boolean
  identifiers: { kind: IdentifierKind; value: string; verified: boolean }[]
}

/** Members by id, after the one called `after`; with `descendants`, also those of every group below. */
export const list = async (
  db: Db,
  { poolId, id }: { poolId: string; id: string },
  { limit, after, descendants }: Page & { descendants: boolean },
): Promise<Member[]> => {
  const below = sql`
    union all select g.id from groups g join inside on g.pool_id = ${poolId} and g.parent_id = inside.id`
  // The first of each group hold the first of them all: no group is read further than a page.
  const { rows } = await sql<Member>`
    with recursive inside as (select ${id}::uuid as id ${descendants ? below : sql``})
    select found.user_id, found.direct, u.status,
      coalesce((select jsonb_agg(jsonb_build_object('kind', n.kind, 'value', n.value,
        'verified', n.verified_at is not null) order by n.created_at, n.value)
        from identifiers n where n.pool_id = u.pool_id and n.user_id = u.id), '[]') as identifiers
    from (
      select first.user_id, bool_or(inside.id = ${id}::uuid) as direct
      from inside cross join lateral (
        select m.user_id from group_members m join users v on v.pool_id = m.pool_id and v.id = m.user_id
        where m.pool_id = ${poolId} and m.group_id = inside.id and v.status <> 'deleted'
          and ${after === undefined ? sql`true` : sql`m.user_id > ${after}`}
        order by m.user_id limit ${limit}
      ) first group by first.user_id order by first.user_id limit ${limit}
    ) found join users u on u.pool_id = ${poolId} and u.id = found.user_id order by found.user_id`.execute(db)
  return rows
}

/**
 * Takes users into a group; needs a transaction. Answers those who were not in it. Throws `not_found` where the group is
 * gone; who is not a user of the pool is named by `refuse`, which throws.
 */
export const add = async (
  db: Db,
  at: Date,
  group: Group,
  users: readonly string[],
  by: audit.By,
  refuse: (strangers: Set<string>) => never,
): Promise<string[]> => {
  const { poolId, id: groupId } = group
  await hold(db, group)
  const known = await knownOf(db, poolId, users)
  const strangers = new Set(users.filter((user) => !known.includes(user)))
  if (strangers.size > 0) refuse(strangers)
  if (known.length === 0) return []
  const added = await db
    .insertInto('groupMembers')
    .values(known.map((userId) => ({ poolId, groupId, userId, createdAt: at })))
    .onConflict((conflict) => conflict.doNothing())
    .returning('userId')
    .execute()
  return tell(db, at, group, 'group.member_added', added, by)
}

/** Takes users out of a group; needs a transaction. Answers those who were in it. */
export const remove = async (
  db: Db,
  at: Date,
  group: Group,
  users: readonly string[],
  by: audit.By,
): Promise<string[]> => {
  if (users.length === 0) return []
  const removed = await db
    .deleteFrom('groupMembers')
    .where('poolId', '=', group.poolId)
    .where('groupId', '=', group.id)
    .where('userId', 'in', users)
    .returning('userId')
    .execute()
  return tell(db, at, group, 'group.member_removed', removed, by)
}

/** Puts a user into groups of the pool, those they are in already included. Answers false where one does not exist. */
export const join = async (db: Db, at: Date, poolId: string, id: string, groups: string[]): Promise<boolean> => {
  const wanted = [...new Set(groups)]
  const { rows } = await sql`
    with known as (
      select id from groups where pool_id = ${poolId} and id = any(${wanted}::uuid[]) for key share
    ), joined as (
      insert into group_members (pool_id, group_id, user_id, created_at)
      select ${poolId}, id, ${id}, ${at} from known on conflict do nothing
    ) select id from known`.execute(db)
  return rows.length === wanted.length
}

/** Whether a pool has all of these groups. */
export const areGroups = async (db: Db, poolId: string, groups: readonly string[]): Promise<boolean> => {
  const wanted = [...new Set(groups)]
  const rows = await db
    .selectFrom('groups')
    .select('id')
    .where('poolId', '=', poolId)
    .where('id', '=', sql<string>`any(${wanted}::uuid[])`)
    .execute()
  return rows.length === wanted.length
}

// So that neither group nor users go while they are tied together. Key locks let everything else pass.
const hold = async (db: Db, { poolId, id }: Group): Promise<void> => {
  const { rows } = await sql`select from groups where pool_id = ${poolId} and id = ${id} for key share`.execute(db)
  if (rows.length === 0) throw new Problem('not_found')
}

const knownOf = async (db: Db, poolId: string, users: readonly string[]): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    select id from users where pool_id = ${poolId} and id = any(${[...users]}::uuid[]) and status <> 'deleted'
    order by id for key share`.execute(db)
  return rows.map(({ id }) => id)
}

const tell = async (
  db: Db,
  at: Date,
  { poolId, id: group, path: name }: Group,
  type: 'group.member_added' | 'group.member_removed',
  rows: { userId: string }[],
  by: audit.By,
): Promise<string[]> => {
  const users = rows.map(({ userId }) => userId)
  await audit.recordMany(
    db,
    at,
    users.map((userId) => ({ about: { poolId, userId }, happening: { type, data: { by, group, name } } })),
  )
  return users
}
