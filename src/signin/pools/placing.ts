import { sql } from 'kysely'
import type { Db } from '../../db/connect.ts'
import * as audit from '../../directory/audit.ts'
import * as members from '../../directory/group-members.ts'
import * as groups from '../../directory/groups.ts'
import type { OutsideMapping } from '../../directory/outside-mapping.ts'
import * as roles from '../../directory/roles.ts'
import * as tenants from '../../directory/tenants.ts'
import { randomToken } from '../../platform/secrets.ts'
import { type Mapped, notIgnored } from '../mapping.ts'

interface Person {
  poolId: string
  userId: string
}

/** How much of what was told has no place here, and the first names of it. */
export interface Unplaced {
  unmapped_roles: number
  unmapped_groups: number
  role_names?: string[]
  group_names?: string[]
}

/** Gives somebody the tenant, the roles and the groups that they have outside, as the mapping says. Needs a transaction. */
export const place = async (
  db: Db,
  at: Date,
  person: Person,
  mapping: OutsideMapping,
  mapped: Mapped,
  first: boolean,
): Promise<Unplaced> => {
  const tenant = await placeInTenant(db, at, person, mapping, mapped, first)
  const roleNames = await placeInRoles(db, at, { ...person, within: tenant ?? null }, mapping, mapped.roles, first)
  const groupNames = await placeInGroups(db, at, person, mapping, mapped.groups, first)
  return {
    ...{ unmapped_roles: roleNames.length, unmapped_groups: groupNames.length },
    ...(roleNames.length > 0 ? { role_names: someOf(roleNames) } : {}),
    ...(groupNames.length > 0 ? { group_names: someOf(groupNames) } : {}),
  }
}

/** As many names as an event has room for. */
const someOf = (names: readonly string[]): string[] => names.slice(0, 20).map((name) => name.slice(0, 100))

const placeInTenant = async (
  db: Db,
  at: Date,
  person: Person,
  { tenant: { mode, id, taken, ignore }, reach }: OutsideMapping,
  { tenant: told }: Mapped,
  first: boolean,
): Promise<string | undefined> => {
  const all = await tenants.listOf(db, person.poolId, person.userId)
  const held = all.filter(({ poolId }) => reach === 'everything' || poolId === person.poolId)
  const [known] = held
  if (mode === 'none') return undefined
  if (mode === 'new') return known?.id ?? (first ? makeTenant(db, at, person) : undefined)
  const name = mode === 'static' ? (id ?? undefined) : told
  const counts = notIgnored(ignore)
  if (taken === 'none' || (taken === 'first_sign_in' && !first)) return known?.id
  const found = name === undefined || !counts(name) ? undefined : await findTenant(db, person.poolId, name, reach)
  if (found !== undefined) await tenants.join(db, at, person, found, audit.system)
  if (taken !== 'every_sign_in') return found ?? known?.id
  const gone = held.filter((one) => one.id !== found && counts(one.slug))
  for (const one of gone) await leaveTenant(db, at, person, one)
  return found ?? held.find((one) => !gone.includes(one))?.id
}

/** Whoever is no longer of a tenant has no role in it either. */
const leaveTenant = async (db: Db, at: Date, person: Person, tenant: tenants.Tenant): Promise<void> => {
  const within = (await roles.listOf(db, person.poolId, person.userId)).filter((role) => role.within === tenant.id)
  for (const role of within) await roles.unassign(db, at, { ...person, within: tenant.id }, role, audit.system)
  await tenants.leave(db, at, person, tenant, audit.system)
}

const makeTenant = async (db: Db, at: Date, person: Person): Promise<string> => {
  const slug = `u-${randomToken(10)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '0')}`
  const made = { slug, name: slug, metadata: {}, poolId: person.poolId }
  const { id } = await tenants.create(db, at, made, audit.system)
  await tenants.join(db, at, person, id, audit.system)
  return id
}

type Reach = OutsideMapping['reach']

/** The id of the tenant that a name is of: the pool's own goes before one that is open to every pool. */
export const findTenant = async (db: Db, poolId: string, name: string, reach: Reach): Promise<string | undefined> => {
  const mayBeOpen = reach === 'everything'
  const { rows } = await sql<{ id: string }>`
    select id from tenants where (pool_id = ${poolId} or (pool_id is null and ${mayBeOpen})) and (slug = ${name} or id::text = ${name})
    order by pool_id nulls last limit 1`.execute(db)
  return rows[0]?.id
}

const placeInRoles = async (
  db: Db,
  at: Date,
  person: roles.Place,
  { roles: { taken, ignore }, reach }: OutsideMapping,
  names: readonly string[],
  first: boolean,
): Promise<string[]> => {
  if (taken === 'none' || (taken === 'first_sign_in' && !first)) return []
  const fitting = (await findRoles(db, person.poolId, names, reach)).filter((role) =>
    roles.mayCount(role, person.within),
  )
  for (const role of fitting) await roles.assign(db, at, person, role, audit.system)
  if (taken === 'every_sign_in') {
    const counts = notIgnored(ignore)
    const held = await roles.listOf(db, person.poolId, person.userId)
    const gone = held.filter(
      (role) =>
        isWithin(role, person.poolId, reach) &&
        role.within === person.within &&
        counts(role.key) &&
        !names.includes(role.key),
    )
    for (const role of gone) await roles.unassign(db, at, person, role, audit.system)
  }
  return names.filter((name) => !fitting.some(({ key }) => key === name))
}

/** Whether a mapping may give a role, and so take it away. */
const isWithin = ({ poolId }: roles.Role, ofPool: string, reach: Reach): boolean =>
  reach === 'everything' || poolId === ofPool

/** The roles of some keys that a mapping of a pool may give. */
export const findRoles = async (
  db: Db,
  poolId: string,
  keys: readonly string[],
  reach: Reach,
): Promise<roles.Role[]> => {
  if (keys.length === 0) return []
  const rows = await db.selectFrom('roles').select('id').where('key', 'in', keys).execute()
  const found = await roles.listSome(
    db,
    undefined,
    rows.map(({ id }) => id),
  )
  return found.filter((role) => isWithin(role, poolId, reach))
}

const placeInGroups = async (
  db: Db,
  at: Date,
  { poolId, userId }: Person,
  { groups: { taken, ignore } }: OutsideMapping,
  paths: readonly string[],
  first: boolean,
): Promise<string[]> => {
  if (taken === 'none' || (taken === 'first_sign_in' && !first)) return []
  const fitting = await groups.listByPath(db, poolId, paths)
  const nobodyElse = () => {
    throw new Error('Somebody who is placed in a group is of its pool.')
  }
  for (const group of fitting) await members.add(db, at, group, [userId], audit.system, nobodyElse)
  if (taken === 'every_sign_in') {
    const counts = notIgnored(ignore)
    const held = await groups.list(db, poolId, { limit: 500, after: undefined, member: userId })
    const gone = held.filter(({ path, name }) => counts(path) && counts(name) && !paths.includes(path))
    for (const group of gone) await members.remove(db, at, group, [userId], audit.system)
  }
  return paths.filter((path) => !fitting.some((group) => group.path === path))
}
