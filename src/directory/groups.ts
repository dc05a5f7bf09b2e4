import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { refuseSecond } from './taken.ts'
import { nextVersion } from './version.ts'

/** How deep groups nest, and how many a pool holds. */
const deepest = 10
const mostGroups = 10_000

/** What may be written of a group. */
export const groupFields = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(100)
    .regex(/^[^/\p{Cc}]+$/u, 'A slash separates groups in a path, so a name has none')
    .refine((name) => name === name.trim(), 'A name neither begins nor ends with a space')
    .describe('Unique among the groups with the same parent, whatever its case; no slash'),
  description: z.string().max(1000).default(''),
  parent_id: z.uuid().nullable().default(null).describe('The group that this one is in; null at the top'),
})
type GroupFields = z.output<typeof groupFields>

/** A named set of users in a pool. */
export interface Group {
  poolId: string
  id: string
  parentId: string | null
  name: string
  description: string
  /** The names from the top, each after a slash. */
  path: string
  createdAt: Date
  updatedAt: Date
}

/** The paths of the groups that a user is in, sorted; the groups around those are part of the paths, not named apart. */
export const pathsOf = async (db: Db, poolId: string, userId: string): Promise<string[]> => {
  // The limit makes each step a look-up by key, however many groups the pool has.
  const groupOf = (id: RawBuilder<unknown>) => sql`cross join lateral (
    select parent_id, name from groups where pool_id = ${poolId} and id = ${id} limit 1) g`
  const { rows } = await sql<{ path: string }>`
    with recursive up as (
      select g.parent_id, g.name as path from group_members m ${groupOf(sql`m.group_id`)}
      where m.pool_id = ${poolId} and m.user_id = ${userId}
      union all
      select g.parent_id, g.name || '/' || up.path from up ${groupOf(sql`up.parent_id`)}
    )
    select '/' || path as path from up where parent_id is null order by path collate "C"`.execute(db)
  return rows.map(({ path }) => path)
}

/** The groups of a pool that have one of some paths. */
export const listByPath = async (db: Db, poolId: string, paths: readonly string[]): Promise<Group[]> => {
  if (paths.length === 0) return []
  const names = [...new Set(paths.flatMap((path) => path.slice(path.lastIndexOf('/') + 1)))]
  const named = await read(db, poolId, sql`name = any(${names}::text[])`, 1_000)
  return named.filter(({ path }) => paths.includes(path))
}

/** A group of a pool. Throws `not_found`. */
export const get = async (db: Db, poolId: string, id: string): Promise<Group> => {
  const [group] = await read(db, poolId, sql`id = ${id}`, 1)
  if (!group) throw new Problem('not_found')
  return group
}

interface Wanted {
  limit: number
  after: string | undefined
  /** Only those right below this group; at the top where it is null. */
  parentId?: string | null | undefined
  /** Only those whose name begins so. */
  search?: string | undefined
  /** Only those that this user is in directly. */
  member?: string | undefined
}

/** Groups of a pool by id, after the one called `after`. */
export const list = (db: Db, poolId: string, { limit, after, parentId, search, member }: Wanted): Promise<Group[]> => {
  const conditions = [
    after === undefined ? sql`true` : sql`id > ${after}`,
    parentId === undefined ? sql`true` : sql`parent_id is not distinct from ${parentId}::uuid`,
    search === undefined ? sql`true` : sql`starts_with(lower(name), lower(${search}))`,
    member === undefined
      ? sql`true`
      : sql`id in (select group_id from group_members where pool_id = ${poolId} and user_id = ${member})`,
  ]
  return read(db, poolId, sql.join(conditions, sql` and `), limit)
}

/**
 * Makes a group; needs a transaction. Throws `conflict` on a taken name and in a full pool, `unprocessable` on a parent
 * that is not there or too deep.
 */
export const create = async (db: Db, at: Date, poolId: string, fields: GroupFields, by: audit.By): Promise<Group> => {
  await lock(db, poolId)
  await refuseMore(db, poolId)
  if (fields.parent_id) refuseDeeper(await above(db, poolId, fields.parent_id), 1)
  const { name, description, parent_id: parentId } = fields
  const row = { poolId, id: uuidv7(at), parentId, name, description, createdAt: at, updatedAt: at }
  await db.insertInto('groups').values(row).execute().catch(refuseTaken(name))
  await audit.record(db, at, { poolId }, { type: 'group.created', data: { by, name, group: row.id } })
  return get(db, poolId, row.id)
}

/**
 * Changes a group, with everything in it if it moves; needs a transaction. `change` sees the group as it is once nobody
 * else can move it. Throws `conflict` on a taken name and where the group would be inside itself, `unprocessable` on a
 * parent that is not there or too deep, `not_found`.
 */
export const update = async (
  db: Db,
  at: Date,
  { poolId, id }: { poolId: string; id: string },
  change: (before: Group) => GroupFields,
  by: audit.By,
): Promise<Group> => {
  await lock(db, poolId)
  const before = await get(db, poolId, id)
  const { name, description, parent_id: parentId } = change(before)
  if (parentId && parentId !== before.parentId) await refuseMove(db, before, parentId)
  await db
    .updateTable('groups')
    .set({ name, description, parentId, updatedAt: nextVersion(at, before) })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
    .catch(refuseTaken(name))
  const after = await get(db, poolId, id)
  const data = { by, group: id, ...audit.difference(before, after) }
  await audit.record(db, at, { poolId }, { type: 'group.updated', data })
  return after
}

/** Deletes a group; its members stay users. Needs a transaction. Throws `conflict` while there are groups in it. */
export const remove = async (
  db: Db,
  at: Date,
  { poolId, id }: { poolId: string; id: string },
  by: audit.By,
): Promise<void> => {
  await lock(db, poolId)
  const { path } = await get(db, poolId, id)
  const child = await db
    .selectFrom('groups')
    .select('id')
    .where('poolId', '=', poolId)
    .where('parentId', '=', id)
    .executeTakeFirst()
  if (child) throw new Problem('conflict', { detail: 'There are groups in this group. Move or delete them first.' })
  await db.deleteFrom('groups').where('poolId', '=', poolId).where('id', '=', id).execute()
  await audit.record(db, at, { poolId }, { type: 'group.deleted', data: { by, group: id, name: path } })
}

const read = async (db: Db, poolId: string, condition: RawBuilder<unknown>, limit: number): Promise<Group[]> => {
  const { rows } = await sql<Group>`
    with recursive page as (
      select * from groups where pool_id = ${poolId} and ${condition} order by id limit ${limit}
    ), up as (
      select id, parent_id, name as path from page
      union all
      select up.id, p.parent_id, p.name || '/' || up.path
      from up join groups p on p.pool_id = ${poolId} and p.id = up.parent_id
    )
    select page.pool_id, page.id, page.parent_id, page.name, page.description, '/' || up.path as path,
      page.created_at, page.updated_at
    from page join up on up.id = page.id and up.parent_id is null order by page.id`.execute(db)
  return rows
}

// Two moves that are fine alone can close a circle together. Whoever changes a pool's tree waits for the one before, and
// what is read after this line is what that one left.
const lock = async (db: Db, poolId: string): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`lido.groups:${poolId}`}, 0))`.execute(db)
}

const refuseMore = async (db: Db, poolId: string): Promise<void> => {
  const { rows } = await sql<{ full: boolean }>`
    select count(*) >= ${mostGroups} as full
    from (select from groups where pool_id = ${poolId} limit ${mostGroups}) g`.execute(db)
  if (rows[0]?.full) throw new Problem('conflict', { detail: `A pool holds at most ${mostGroups} groups.` })
}

/** A group and those around it, from the inside out. Throws `unprocessable` where there is none. */
const above = async (db: Db, poolId: string, id: string): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    with recursive up as (
      select id, parent_id, 1 as step from groups where pool_id = ${poolId} and id = ${id}
      union all
      select p.id, p.parent_id, step + 1 from up join groups p on p.pool_id = ${poolId} and p.id = up.parent_id
    )
    select id from up order by step`.execute(db)
  if (rows.length === 0) refuseParent('There is no such group in this pool')
  return rows.map((row) => row.id)
}

const refuseMove = async (db: Db, { poolId, id }: Group, parentId: string): Promise<void> => {
  const ancestors = await above(db, poolId, parentId)
  if (ancestors.includes(id)) throw new Problem('conflict', { detail: 'A group cannot be inside itself.' })
  const { rows } = await sql<{ height: number }>`
    with recursive down as (
      select ${id}::uuid as id, 1 as step
      union all
      select g.id, step + 1 from down join groups g on g.pool_id = ${poolId} and g.parent_id = down.id
    )
    select max(step) as height from down`.execute(db)
  refuseDeeper(ancestors, rows[0]?.height ?? 1)
}

const refuseDeeper = (ancestors: readonly string[], height: number): void => {
  if (ancestors.length + height > deepest) refuseParent(`Groups nest at most ${deepest} deep`)
}

const refuseParent = (detail: string): never => {
  throw new Problem('unprocessable', { errors: [{ pointer: '/parent_id', detail }] })
}

const refuseTaken = (name: string) => refuseSecond(`There is a group called "${name}" here already.`, 'groups_name')
