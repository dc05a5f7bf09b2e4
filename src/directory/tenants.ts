import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import type { IdentifierKind } from './identifiers.ts'
import { refuseSecond } from './taken.ts'
import { nextVersion } from './version.ts'

/** What may be written of a tenant at any time. */
export const tenantFields = z.strictObject({
  slug: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .describe('Unique among the tenants of the same pool, or of none: lower-case letters, digits and dashes'),
  name: z.string().min(1).max(200),
  metadata: z
    .record(z.string(), z.unknown())
    .refine((metadata) => JSON.stringify(metadata).length <= 32_768, 'This is too much to keep')
    .default({})
    .describe('Whatever is to be kept with it; never in a token'),
})
type TenantFields = z.output<typeof tenantFields>

/** A customer organisation that users act for: of one pool, or open to every pool where `poolId` is null. */
export interface Tenant extends TenantFields {
  id: string
  poolId: string | null
  createdAt: Date
  updatedAt: Date
}

/** Someone who belongs to a tenant. */
export interface Member {
  poolId: string
  userId: string
  status: 'new' | 'active' | 'inactive'
  identifiers: { kind: IdentifierKind; value: string; verified: boolean }[]
}

/** The ids of the only pools whose tenants exist for somebody; undefined where all tenants do. */
export type Among = readonly string[] | undefined

/** Tenants by id, after the one called `after`; only those of one pool where that is given. */
export const list = (
  db: Db,
  among: Among,
  { poolId, ...page }: Page & { poolId?: string | undefined },
): Promise<Tenant[]> =>
  known(db, among)
    .$if(poolId !== undefined, (query) => query.where('poolId', '=', poolId ?? ''))
    .$call(pageBy('id', page))
    .execute()

/** A tenant by id. */
export const find = (db: Db, among: Among, id: string): Promise<Tenant | undefined> =>
  known(db, among).where('id', '=', id).executeTakeFirst()

/** The same. Throws `not_found`. */
export const get = async (db: Db, among: Among, id: string): Promise<Tenant> => {
  const row = await find(db, among, id)
  if (!row) throw new Problem('not_found')
  return row
}

/** Makes a tenant; needs a transaction. Throws `conflict` on a taken slug. */
export const create = async (
  db: Db,
  at: Date,
  { poolId, metadata, ...fields }: TenantFields & { poolId: string | null },
  by: audit.By,
): Promise<Tenant> => {
  const row = await db
    .insertInto('tenants')
    .values({ id: uuidv7(at), poolId, ...fields, metadata: JSON.stringify(metadata), createdAt: at, updatedAt: at })
    .returningAll()
    .executeTakeFirstOrThrow()
    .catch(refuseTaken(fields.slug))
  const data = { by, name: row.name, tenant: row.id }
  await audit.record(db, at, aboutOf(row), { type: 'tenant.created', data })
  return row
}

/**
 * Changes a tenant; needs a transaction. `change` sees the tenant as it is once nobody else can change it. Throws
 * `conflict` on a taken slug, `not_found`.
 */
export const update = async (
  db: Db,
  at: Date,
  among: Among,
  id: string,
  change: (before: Tenant) => TenantFields,
  by: audit.By,
): Promise<Tenant> => {
  const before = await hold(db, among, id)
  const { metadata, ...fields } = change(before)
  const after = await db
    .updateTable('tenants')
    .set({ ...fields, metadata: JSON.stringify(metadata), updatedAt: nextVersion(at, before) })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
    .catch(refuseTaken(fields.slug))
  const data = { by, tenant: id, ...audit.difference(before, after) }
  await audit.record(db, at, aboutOf(after), { type: 'tenant.updated', data })
  return after
}

/** Deletes a tenant with its roles; its members stay users. Needs a transaction. Throws `not_found`. */
export const remove = async (db: Db, at: Date, among: Among, id: string, by: audit.By): Promise<void> => {
  const before = await hold(db, among, id)
  await db.deleteFrom('tenants').where('id', '=', id).execute()
  const data = { by, tenant: id, name: before.name }
  await audit.record(db, at, aboutOf(before), { type: 'tenant.deleted', data })
}

/** The members of a tenant by user id, after the one called `after`; only of pools in `among` where that is given. */
export const listMembers = async (db: Db, among: Among, { id }: Tenant, { limit, after }: Page): Promise<Member[]> => {
  const { rows } = await sql<Member>`
    select m.pool_id, m.user_id, u.status,
      coalesce((select jsonb_agg(jsonb_build_object('kind', n.kind, 'value', n.value,
        'verified', n.verified_at is not null) order by n.created_at, n.value)
        from identifiers n where n.pool_id = u.pool_id and n.user_id = u.id), '[]') as identifiers
    from tenant_members m join users u on u.pool_id = m.pool_id and u.id = m.user_id
    where m.tenant_id = ${id} and u.status <> 'deleted'
      and ${among === undefined ? sql`true` : sql`m.pool_id = any(${[...among]}::uuid[])`}
      and ${after === undefined ? sql`true` : sql`m.user_id > ${after}`}
    order by m.user_id limit ${limit}`.execute(db)
  return rows
}

/** The tenants that a user belongs to, by id. */
export const listOf = (db: Db, poolId: string, userId: string): Promise<Tenant[]> =>
  db
    .selectFrom('tenants')
    .innerJoin('tenantMembers', 'tenantMembers.tenantId', 'tenants.id')
    .selectAll('tenants')
    .where('tenantMembers.poolId', '=', poolId)
    .where('tenantMembers.userId', '=', userId)
    .orderBy('tenants.id')
    .execute()

interface Place {
  poolId: string
  userId: string
}

/**
 * Takes a user into a tenant of their pool or of none; who is in it stays so. Needs a transaction. Answers false where
 * there is no such tenant, or it is not for this pool.
 */
export const join = async (db: Db, at: Date, place: Place, id: string, by: audit.By): Promise<boolean> => {
  const tenant = await db
    .selectFrom('tenants')
    .select(['id', 'name'])
    .where('id', '=', id)
    .where((eb) => eb.or([eb('poolId', 'is', null), eb('poolId', '=', place.poolId)]))
    .forKeyShare()
    .executeTakeFirst()
  if (!tenant) return false
  const { numInsertedOrUpdatedRows: added } = await db
    .insertInto('tenantMembers')
    .values({ ...place, tenantId: id, createdAt: at })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  const data = { by, tenant: id, name: tenant.name }
  if (added) await audit.record(db, at, place, { type: 'tenant.member_added', data })
  return true
}

/** Takes a user out of a tenant, and what roles they have in it away. Needs a transaction. Throws `not_found`. */
export const leave = async (db: Db, at: Date, place: Place, { id, name }: Tenant, by: audit.By): Promise<void> => {
  const { numDeletedRows } = await db
    .deleteFrom('tenantMembers')
    .where('poolId', '=', place.poolId)
    .where('tenantId', '=', id)
    .where('userId', '=', place.userId)
    .executeTakeFirst()
  if (numDeletedRows === 0n) throw new Problem('not_found')
  await audit.record(db, at, place, { type: 'tenant.member_removed', data: { by, tenant: id, name } })
}

/** Whether users of a pool may belong to a tenant. */
export const isFor = ({ poolId }: Tenant, pool: string): boolean => poolId === null || poolId === pool

const known = (db: Db, among: Among) =>
  db
    .selectFrom('tenants')
    .selectAll()
    .$if(among !== undefined, (query) => query.where('poolId', '=', sql<string>`any(${[...(among ?? [])]}::uuid[])`))

const hold = (db: Db, among: Among, id: string): Promise<Tenant> => {
  const asked = known(db, among).where('id', '=', id)
  return asked.forUpdate().executeTakeFirstOrThrow(() => new Problem('not_found'))
}

const aboutOf = ({ poolId }: Tenant): audit.About => ({ poolId: poolId ?? undefined })

const refuseTaken = (slug: string) => refuseSecond(`There is a tenant with the slug "${slug}" already.`, 'tenants_slug')
