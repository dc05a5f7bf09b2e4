import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import * as audit from './audit.ts'

/** A role as a row names it: alone, or where it counts in one tenant only as `TENANT/KEY`. */
export interface NamedRole {
  key: string
  /** Slug. */
  tenant: string | undefined
}

/** A role that is there, and where it counts: everywhere where `within` is null. */
export interface FoundRole {
  id: string
  key: string
  within: { id: string; name: string } | null
}

/** What whoever started an import may give. */
export interface Reach {
  withRoles: boolean
  withTenants: boolean
  /** Whether only what is of the pool exists for them. */
  ofPoolOnly: boolean
}

/** Reads a cell, or a list in NDJSON; undefined where it holds no roles. */
export const readRoles = (value: unknown): NamedRole[] | undefined => {
  if (value === undefined) return []
  const listed = typeof value === 'string' ? value.split(';') : value
  if (!Array.isArray(listed) || listed.length > 100) return undefined
  const names = [...new Set(listed.map((one) => (typeof one === 'string' ? one.trim() : '')))]
  const read = names.flatMap((name) => {
    const [, tenant, key] = name.match(/^(?:([a-z0-9][a-z0-9-]{0,62})\/)?([a-z0-9][a-z0-9._:-]{0,99})$/) ?? []
    return key === undefined ? [] : [{ key, tenant }]
  })
  return read.length === names.length ? read : undefined
}

/** A role as rows name it. */
export const nameOf = ({ key, tenant }: NamedRole): string => (tenant === undefined ? key : `${tenant}/${key}`)

/**
 * Finds the roles that rows name, by their names, and keeps them from being deleted until the transaction ends. A
 * tenant's role counts in its tenant; a global one everywhere, or in the tenant that is named with it.
 */
export const findRoles = async (
  db: Db,
  poolId: string,
  { ofPoolOnly }: Reach,
  wanted: NamedRole[],
): Promise<Map<string, FoundRole>> => {
  if (wanted.length === 0) return new Map()
  const names = JSON.stringify(wanted.map((one) => ({ ...one, name: nameOf(one) })))
  const { rows } = await sql<{ name: string; id: string; key: string; tenantId: string | null }>`
    select distinct asked.name, r.id, r.key, coalesce(named.id, own.id) as tenant_id
    from jsonb_to_recordset(${names}::jsonb) as asked (name text, tenant text, key text)
    join roles r on r.key = asked.key
    left join tenants own on own.id = r.tenant_id
    left join lateral (
      select t.id from tenants t where t.slug = asked.tenant and (t.pool_id = ${poolId} or t.pool_id is null)
        and (not ${ofPoolOnly} or t.pool_id is not null)
      order by t.pool_id nulls last limit 1
    ) named on true
    where (asked.tenant is null or named.id is not null)
      and (r.tenant_id is null or asked.tenant is null or r.tenant_id = named.id)
      and (r.tenant_id is null or own.pool_id = ${poolId} or own.pool_id is null)
      and (not ${ofPoolOnly} or own.pool_id = ${poolId})`.execute(db)
  const held = await hold(db, rows)
  return new Map(
    rows.flatMap(({ name, id, key, tenantId }) => {
      const within = tenantId === null ? null : held.tenants.get(tenantId)
      return within === undefined || !held.roles.has(id) ? [] : [[name, { id, key, within }]]
    }),
  )
}

/** Why a row cannot be given its roles; nothing where it can. */
export const refusalsOf = (
  { withRoles, withTenants }: Reach,
  wanted: NamedRole[],
  found: ReadonlyMap<string, FoundRole>,
): string[] => {
  if (wanted.length === 0) return []
  if (!withRoles) return ['This import may not give roles']
  const unknown = wanted.map(nameOf).filter((name) => !found.has(name))
  if (unknown.length > 0) return unknown.slice(0, 10).map((name) => `There is no role ${name} for this pool`)
  const inTenant = wanted.some((one) => found.get(nameOf(one))?.within)
  return inTenant && !withTenants ? ['This import may not put users into tenants'] : []
}

/** Gives users roles, and takes them into the tenants where these count; who has one keeps it. Needs a transaction. */
export const giveRoles = async (
  db: Db,
  at: Date,
  poolId: string,
  given: { userId: string; role: FoundRole }[],
  by: audit.By,
): Promise<void> => {
  if (given.length === 0) return
  const told = JSON.stringify(given.map(({ userId, role }) => ({ userId, roleId: role.id, tenantId: role.within?.id })))
  const { rows: joined } = await sql<{ userId: string; tenantId: string }>`
    insert into tenant_members (pool_id, tenant_id, user_id, created_at)
    select distinct ${poolId}::uuid, "tenantId", "userId", ${at}::timestamptz
    from jsonb_to_recordset(${told}::jsonb) as g ("userId" uuid, "tenantId" uuid)
    where "tenantId" is not null order by 2, 3 on conflict do nothing returning user_id, tenant_id`.execute(db)
  const { rows: assigned } = await sql<{ userId: string; roleId: string; tenantId: string | null }>`
    insert into user_roles (pool_id, user_id, role_id, tenant_id, created_at)
    select distinct ${poolId}::uuid, "userId", "roleId", "tenantId", ${at}::timestamptz
    from jsonb_to_recordset(${told}::jsonb) as g ("userId" uuid, "roleId" uuid, "tenantId" uuid)
    order by 2, 3 on conflict do nothing returning user_id, role_id, tenant_id`.execute(db)
  const roles = new Map(given.map(({ role }) => [role.id, role.key]))
  const tenants = new Map(given.flatMap(({ role: { within } }) => (within ? [[within.id, within.name] as const] : [])))
  await audit.recordMany(db, at, [
    ...joined.map(({ userId, tenantId }) => ({
      about: { poolId, userId },
      happening: {
        type: 'tenant.member_added' as const,
        data: { by, tenant: tenantId, name: tenants.get(tenantId) ?? '' },
      },
    })),
    ...assigned.map(({ userId, roleId, tenantId }) => ({
      about: { poolId, userId },
      happening: {
        type: 'role.assigned' as const,
        data: { by, role: roleId, name: roles.get(roleId) ?? '', tenant: tenantId },
      },
    })),
  ])
}

// In one order, so that two imports do not wait for each other; key locks let everything but a deletion pass.
const hold = async (db: Db, rows: { id: string; tenantId: string | null }[]) => {
  const tenants = await db
    .selectFrom('tenants')
    .select(['id', 'name'])
    .where('id', '=', sql<string>`any(${rows.flatMap(({ tenantId }) => tenantId ?? [])}::uuid[])`)
    .orderBy('id')
    .forKeyShare()
    .execute()
  const roles = await db
    .selectFrom('roles')
    .select('id')
    .where('id', '=', sql<string>`any(${rows.map(({ id }) => id)}::uuid[])`)
    .orderBy('id')
    .forKeyShare()
    .execute()
  return { tenants: new Map(tenants.map((one) => [one.id, one])), roles: new Set(roles.map(({ id }) => id)) }
}
