import { sql } from 'kysely'
import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as roles from '../../directory/roles.ts'
import { all, type Fault, type Kind, missing, named, type Scene, slugOf } from './kind.ts'
import { nameOf, tenantsByName } from './tenants.ts'

const schema = roles.roleFields.extend({ tenant: z.string().nullable().default(null) })
type Fields = z.output<typeof schema>

/** Roles with their permissions; not who has them. */
export const roleKind: Kind<Fields, roles.Role> = {
  name: 'roles',
  noun: 'role',
  naming: z.object({ key: z.string() }),
  keyOf: ({ key }) => key ?? '',
  schema,
  list: ({ db }) => roles.list(db, undefined, all),
  tell: (scene, role) => {
    const { key, name, description, permissions } = role
    return { tenant: tenantOf(scene, role), key, name, description, permissions }
  },
  mayPrune: (scene, { poolId }) =>
    poolId === null || scene.reach === undefined || scene.reach.pools.has(slugOf(scene, poolId)),
  remark: (scene, role, { tenant }) => ({
    faults: [
      ...missing('tenant', '/tenant', tenant === null ? [] : [tenant], tenantsByName(scene)),
      ...(role && tenantOf(scene, role) !== tenant ? [stays] : []),
    ],
  }),
  async create(scene, { tenant, ...wished }) {
    const tenantId = tenant === null ? null : named(tenantsByName(scene), tenant).id
    await roles.create(scene.db, scene.at, { ...wished, tenantId }, system)
  },
  async update({ db, at }, { id }, { tenant: _, ...wished }) {
    await roles.update(db, at, id, () => wished, system)
  },
  remove: ({ db, at }, { id }) => roles.remove(db, at, id, system),
  touched: async ({ db }, change) =>
    change.is === 'delete' || (change.is === 'update' && change.changed.has('permissions'))
      ? countHolders(db, change.row.id)
      : undefined,
}

const stays: Fault = { pointer: '/tenant', detail: 'A role stays with its tenant, or with none' }

const tenantOf = (scene: Scene, { tenantId }: roles.Role): string | null => {
  const tenant = tenantId === null ? undefined : scene.tenants.get(tenantId)
  return tenant ? nameOf(scene, tenant) : null
}

const countHolders = async (db: Scene['db'], id: string): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(distinct (a.pool_id, a.user_id)) as count
    from user_roles a join users u on u.pool_id = a.pool_id and u.id = a.user_id
    where a.role_id = ${id} and u.status <> 'deleted'`.execute(db)
  return rows[0]?.count ?? 0
}
