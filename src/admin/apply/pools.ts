import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as operators from '../../directory/operators.ts'
import { reportOf } from '../../directory/pool-report.ts'
import * as pools from '../../directory/pools.ts'
import * as resource from '../resources/pools.ts'
import { all, type Change, countUsers, type Kind } from './kind.ts'

const schema = resource.patched.extend({ status: resource.patched.shape.status.default('active') })
type Fields = z.output<typeof schema>

/** Pools with every setting. A pool is deleted with everyone in it. */
export const poolKind: Kind<Fields, pools.Pool> = {
  name: 'pools',
  noun: 'pool',
  naming: z.object({ slug: z.string() }),
  keyOf: ({ slug }) => slug ?? '',
  schema,
  ordered: true,
  list: ({ db }) => pools.list(db, { ...all, among: undefined }),
  tell: (_scene, pool) => fieldsOf(pool),
  mayPrune: (_scene, { slug }) => slug !== operators.poolSlug,
  remark: (_scene, pool, wished) => ({ faults: pool ? pools.lockouts(pool, { ...wished, settings: wished }) : [] }),
  async create({ db, at }, { status, ...wished }) {
    const pool = await pools.create(db, at, resource.splitSettings(wished), system)
    if (status !== pool.status) await pools.update(db, at, pool, { ...resource.splitSettings(wished), status }, system)
  },
  async update({ db, at }, pool, { status, ...wished }) {
    await pools.update(db, at, pool, { ...resource.splitSettings(wished), status }, system)
  },
  remove: ({ db, at }, pool) => pools.remove(db, at, pool, system),
  touched: async ({ db }, change) => (concernsUsers(change) ? countUsers(db, [change.row.id]) : undefined),
  async conflicts({ db }, change) {
    if (change.is !== 'update') return []
    const { row, wished } = change
    const { status, ...fields } = wished
    const after = await pools.changedBy(row, { ...resource.splitSettings(fields), status })
    const { conflicts } = await reportOf(db, row, after)
    return conflicts.map(({ field, detail }) => ({ pointer: `/${field}`, detail }))
  },
}

const shown: ReadonlySet<string> = new Set(['name', 'description', 'color'])

type Concerning = Exclude<Change<Fields, pools.Pool>, { is: 'create' }>

const concernsUsers = (change: Change<Fields, pools.Pool>): change is Concerning =>
  change.is === 'delete' || (change.is === 'update' && [...change.changed].some((field) => !shown.has(field)))

const fieldsOf = (pool: pools.Pool): Fields => {
  const { id: _id, created_at: _created, updated_at: _updated, ...fields } = resource.poolOf(pool)
  return fields as Fields
}
