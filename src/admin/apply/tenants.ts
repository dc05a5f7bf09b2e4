import { sql } from 'kysely'
import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as tenants from '../../directory/tenants.ts'
import { all, type Kind, missing, named, type Scene, slugOf } from './kind.ts'

const schema = tenants.tenantFields.extend({ pool: z.string().nullable().default(null) })
type Fields = z.output<typeof schema>

/** Tenants with what is kept with them; not their members. */
export const tenantKind: Kind<Fields, tenants.Tenant> = {
  name: 'tenants',
  noun: 'tenant',
  naming: z.object({ pool: z.string().nullable().default(null), slug: z.string() }),
  keyOf: ({ pool, slug }) => tenantName(pool ?? null, slug ?? ''),
  schema,
  list: ({ db }) => tenants.list(db, undefined, all),
  tell: (scene, tenant) => {
    const { poolId, slug, name, metadata } = tenant
    return { pool: poolId === null ? null : slugOf(scene, poolId), slug, name, metadata }
  },
  mayPrune: (scene, { poolId }) =>
    poolId === null || scene.reach === undefined || scene.reach.pools.has(slugOf(scene, poolId)),
  remark: (scene, _row, { pool }) => ({ faults: missing('pool', '/pool', pool === null ? [] : [pool], scene.pools) }),
  async create({ db, at, pools }, { pool, ...wished }) {
    const poolId = pool === null ? null : named(pools, pool).id
    await tenants.create(db, at, { ...wished, poolId }, system)
  },
  async update({ db, at }, { id }, { pool: _, ...wished }) {
    await tenants.update(db, at, undefined, id, () => wished, system)
  },
  remove: ({ db, at }, { id }) => tenants.remove(db, at, undefined, id, system),
  touched: async ({ db }, change) => (change.is === 'delete' ? countMembers(db, change.row.id) : undefined),
}

// The slugs of its pool and its own, or its own alone where it has no pool.
const tenantName = (pool: string | null, slug: string): string => (pool === null ? slug : `${pool}/${slug}`)

/** Tenants by what a file calls them. */
export const tenantsByName = (scene: Scene): ReadonlyMap<string, tenants.Tenant> =>
  new Map([...scene.tenants.values()].map((tenant) => [nameOf(scene, tenant), tenant]))

/** What a file calls a tenant. */
export const nameOf = (scene: Scene, { poolId, slug }: tenants.Tenant): string =>
  tenantName(poolId === null ? null : slugOf(scene, poolId), slug)

const countMembers = async (db: Scene['db'], id: string): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from tenant_members m join users u on u.pool_id = m.pool_id and u.id = m.user_id
    where m.tenant_id = ${id} and u.status <> 'deleted'`.execute(db)
  return rows[0]?.count ?? 0
}
