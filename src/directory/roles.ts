import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import type { Page } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { refuseSecond } from './taken.ts'
import * as tenants from './tenants.ts'
import { nextVersion } from './version.ts'

/** What may be written of a role at any time. */
export const roleFields = z.strictObject({
  key: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._:-]{0,99}$/)
    .describe('What the `roles` claim says; no two roles share one. Lower-case letters, digits and . _ : -'),
  name: z.string().min(1).max(200),
  description: z.string().max(1000).default(''),
  permissions: z
    .array(z.string().regex(/^[\x21-\x7e]{1,100}$/, 'A permission has no spaces, and only characters of ASCII'))
    .max(200)
    .refine((all) => new Set(all).size === all.length, 'One of them is there twice')
    .default([])
    .describe('What the `permissions` claim says, together with those of the other roles'),
})
type RoleFields = z.output<typeof roleFields>

/** A named set of permissions, global or of a tenant. */
export interface Role extends RoleFields {
  id: string
  tenantId: string | null
  /** The pool of the role's tenant. */
  poolId: string | null
  createdAt: Date
  updatedAt: Date
}

/** A role that a user has: in a tenant only, or everywhere where `within` is null. */
export interface Assignment extends Role {
  within: string | null
}

/** What tokens tell of a user. */
export interface Standing {
  /** Keys, sorted. */
  roles: string[]
  /** Of all these roles together, sorted. */
  permissions: string[]
  tenantId: string | null
}

/**
 * The tenant that a user acts for, which is the only one they belong to, and their roles there and everywhere. What they
 * are in a tenant that they do not act for is not told: a token does not say which tenant a role is of.
 */
export const standingOf = async (db: Db, poolId: string, userId: string): Promise<Standing> => {
  const { rows } = await sql<Standing>`
    with acting as (
      select min(tenant_id::text)::uuid as id from tenant_members where pool_id = ${poolId} and user_id = ${userId}
      having count(*) = 1
    ), held as (
      select r.key, r.permissions from user_roles a join roles r on r.id = a.role_id
      where a.pool_id = ${poolId} and a.user_id = ${userId}
        and (a.tenant_id is null or a.tenant_id = (select id from acting))
    )
    select (select id from acting) as tenant_id,
      array(select distinct key collate "C" as one from held order by one) as roles,
      array(select distinct p collate "C" as one from held cross join unnest(permissions) p order by one) as permissions`.execute(
    db,
  )
  return rows[0] ?? { roles: [], permissions: [], tenantId: null }
}

/** Roles by id, after the one called `after`; only those of a tenant, or of none where that is null. */
export const list = (
  db: Db,
  among: tenants.Among,
  { limit, after, tenantId }: Page & { tenantId?: string | null | undefined },
): Promise<Role[]> =>
  read(
    db,
    sql`${known(among)} and ${after === undefined ? sql`true` : sql`r.id > ${after}`}
      and ${tenantId === undefined ? sql`true` : sql`r.tenant_id is not distinct from ${tenantId}::uuid`}
      order by r.id limit ${limit}`,
  )

/** Those of some roles that exist for somebody, by id. */
export const listSome = (db: Db, among: tenants.Among, ids: readonly string[]): Promise<Role[]> =>
  ids.length === 0
    ? Promise.resolve([])
    : read(db, sql`${known(among)} and r.id = any(${[...ids]}::uuid[]) order by r.id`)

/** A role by id. Throws `not_found`. */
export const get = async (db: Db, among: tenants.Among, id: string): Promise<Role> => {
  const [role] = await listSome(db, among, [id])
  if (!role) throw new Problem('not_found')
  return role
}

/** Makes a role; needs a transaction. Throws `conflict` on a taken key, `unprocessable` where the tenant is not there. */
export const create = async (
  db: Db,
  at: Date,
  { tenantId, ...fields }: RoleFields & { tenantId: string | null },
  by: audit.By,
): Promise<Role> => {
  if (tenantId !== null) await holdTenant(db, tenantId)
  const id = uuidv7(at)
  await db
    .insertInto('roles')
    .values({ id, tenantId, ...fields, createdAt: at, updatedAt: at })
    .execute()
    .catch(refuseTaken(fields.key))
  const role = await get(db, undefined, id)
  await audit.record(db, at, aboutOf(role), { type: 'role.created', data: { by, name: role.key, role: id } })
  return role
}

/**
 * Changes a role; needs a transaction. `change` sees the role as it is once nobody else can change it. Throws `conflict`
 * on a taken key, `not_found`.
 */
export const update = async (
  db: Db,
  at: Date,
  id: string,
  change: (before: Role) => RoleFields,
  by: audit.By,
): Promise<Role> => {
  const before = await hold(db, id)
  const fields = change(before)
  await db
    .updateTable('roles')
    .set({ ...fields, updatedAt: nextVersion(at, before) })
    .where('id', '=', id)
    .execute()
    .catch(refuseTaken(fields.key))
  const after = await get(db, undefined, id)
  const data = { by, role: id, ...audit.difference(before, after) }
  await audit.record(db, at, aboutOf(after), { type: 'role.updated', data })
  return after
}

/** Deletes a role; whoever had it has it no more. Needs a transaction. Throws `not_found`. */
export const remove = async (db: Db, at: Date, id: string, by: audit.By): Promise<void> => {
  const before = await hold(db, id)
  await db.deleteFrom('roles').where('id', '=', id).execute()
  await audit.record(db, at, aboutOf(before), { type: 'role.deleted', data: { by, name: before.key, role: id } })
}

/** Whom a role is given to, and where it counts: everywhere where `within` is null. */
export interface Place {
  poolId: string
  userId: string
  within: string | null
}

/** The roles that a user has, by the role's id and the tenant's. */
export const listOf = async (db: Db, poolId: string, userId: string): Promise<Assignment[]> => {
  const { rows } = await sql<Assignment>`
    select ${columns}, a.tenant_id as within from user_roles a
    join roles r on r.id = a.role_id left join tenants t on t.id = r.tenant_id
    where a.pool_id = ${poolId} and a.user_id = ${userId}
    order by r.id, a.tenant_id nulls first`.execute(db)
  return rows
}

/** Gives a user a role; who has it keeps it. Needs a transaction. Answers false where it is gone, or they are no member. */
export const assign = async (
  db: Db,
  at: Date,
  { poolId, userId, within }: Place,
  { id, key }: Role,
  by: audit.By,
): Promise<boolean> => {
  if (!(await holdBoth(db, { poolId, userId, within }, id))) return false
  const { numInsertedOrUpdatedRows: added } = await db
    .insertInto('userRoles')
    .values({ poolId, userId, roleId: id, tenantId: within, createdAt: at })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  const data = { by, role: id, name: key, tenant: within }
  if (added) await audit.record(db, at, { poolId, userId }, { type: 'role.assigned', data })
  return true
}

/** Takes a role from a user. Needs a transaction. Throws `not_found` where they do not have it there. */
export const unassign = async (
  db: Db,
  at: Date,
  { poolId, userId, within }: Place,
  { id, key }: Role,
  by: audit.By,
): Promise<void> => {
  const { numDeletedRows } = await db
    .deleteFrom('userRoles')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('roleId', '=', id)
    .where('tenantId', 'is not distinct from', within)
    .executeTakeFirst()
  if (numDeletedRows === 0n) throw new Problem('not_found')
  const data = { by, role: id, name: key, tenant: within }
  await audit.record(db, at, { poolId, userId }, { type: 'role.unassigned', data })
}

/** What an operator decided of somebody beforehand: ids. With a tenant, the roles count there only. */
export interface Promised {
  roles: readonly string[]
  tenant: string | null
}

/**
 * Gives a user what was promised; needs a transaction. What is gone meanwhile is left out, and without the tenant there
 * are no roles either: what was meant for one tenant must not count everywhere. Answers whether nothing was gone.
 */
export const keepPromise = async (
  db: Db,
  at: Date,
  { poolId, userId }: Pick<Place, 'poolId' | 'userId'>,
  { roles, tenant }: Promised,
  by: audit.By,
): Promise<boolean> => {
  if (tenant !== null && !(await tenants.join(db, at, { poolId, userId }, tenant, by))) return false
  const fitting = (await listSome(db, undefined, roles)).filter((role) => mayCount(role, tenant))
  let given = 0
  for (const role of fitting) if (await assign(db, at, { poolId, userId, within: tenant }, role, by)) given += 1
  return given === new Set(roles).size
}

/** Whether a role may count in a tenant, or everywhere: a tenant's role does so only there. */
export const mayCount = ({ tenantId }: Role, within: string | null): boolean => tenantId === null || tenantId === within

const columns = sql`r.id, r.tenant_id, t.pool_id, r.key, r.name, r.description, r.permissions, r.created_at, r.updated_at`

const read = async (db: Db, condition: RawBuilder<unknown>): Promise<Role[]> => {
  const { rows } = await sql<Role>`
    select ${columns} from roles r left join tenants t on t.id = r.tenant_id where ${condition}`.execute(db)
  return rows
}

/** For whoever has limits, a role exists with its tenant: a global one is of no pool of theirs. */
const known = (among: tenants.Among) => (among === undefined ? sql`true` : sql`t.pool_id = any(${[...among]}::uuid[])`)

const hold = async (db: Db, id: string): Promise<Role> => {
  await db.selectFrom('roles').select('id').where('id', '=', id).forUpdate().execute()
  return get(db, undefined, id)
}

const holdTenant = async (db: Db, id: string): Promise<void> => {
  const row = await db.selectFrom('tenants').select('id').where('id', '=', id).forKeyShare().executeTakeFirst()
  if (!row)
    throw new Problem('unprocessable', { errors: [{ pointer: '/tenant_id', detail: 'There is no such tenant' }] })
}

// So that neither the role nor the membership goes while they are tied together; key locks let everything else pass.
const holdBoth = async (db: Db, { poolId, userId, within }: Place, roleId: string): Promise<boolean> => {
  const role = await db.selectFrom('roles').select('id').where('id', '=', roleId).forKeyShare().executeTakeFirst()
  if (!role || within === null) return role !== undefined
  const member = await db
    .selectFrom('tenantMembers')
    .select('userId')
    .where('poolId', '=', poolId)
    .where('tenantId', '=', within)
    .where('userId', '=', userId)
    .forKeyShare()
    .executeTakeFirst()
  return member !== undefined
}

const aboutOf = ({ poolId }: Role): audit.About => ({ poolId: poolId ?? undefined })

const refuseTaken = (key: string) => refuseSecond(`There is a role with the key "${key}" already.`, 'roles_key')
