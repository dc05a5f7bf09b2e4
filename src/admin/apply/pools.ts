import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as operators from '../../directory/operators.ts'
import { reportOf } from '../../directory/pool-report.ts'
import * as pools from '../../directory/pools.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import * as resource from '../resources/pools.ts'
import { all, type Change, countUsers, type Kind, type Scene } from './kind.ts'
import { namedFor, secretRemarks, secretsInFile, valuesOf } from './pool-secrets.ts'

const schema = resource.patched.extend({
  status: resource.patched.shape.status.default('active'),
  source_secrets: secretsInFile,
  upstream_secrets: secretsInFile,
})
type Fields = z.output<typeof schema>

/** Pools with every setting. A pool is deleted with everyone in it. */
export const poolKind: Kind<Fields, pools.Pool> = {
  name: 'pools',
  noun: 'pool',
  naming: z.object({ slug: z.string() }),
  keyOf: ({ slug }) => slug ?? '',
  schema,
  aside: ['source_secrets', 'upstream_secrets'],
  ordered: true,
  list: ({ db }) => pools.list(db, { ...all, among: undefined }),
  tell: (_scene, pool) => fieldsOf(pool),
  mayPrune: (_scene, { slug }) => slug !== operators.poolSlug,
  remark: (scene, pool, wished) => {
    const remarks = secretRemarks(scene, pool, wished)
    const lockouts = pool ? pools.lockouts(pool, { ...wished, settings: wished }) : []
    return { ...remarks, faults: [...(remarks.faults ?? []), ...lockouts] }
  },
  write: (_scene, pool) => {
    const secrets = Object.entries(namedFor(pool)).filter(([, named]) => Object.keys(named).length > 0)
    return { ...plainOf(pool), ...Object.fromEntries(secrets) }
  },
  async create(scene, wished) {
    const { db, at } = scene
    const id = uuidv7(at)
    const fields = changeOf(scene, undefined, wished, id)
    const pool = await pools.create(db, at, { ...fields, id }, system)
    if (wished.status !== pool.status) await pools.update(db, at, pool, fields, system)
  },
  async update(scene, pool, wished) {
    const { db, at } = scene
    await pools.update(db, at, pool, changeOf(scene, pool, wished, pool.id), system)
  },
  remove: ({ db, at }, pool) => pools.remove(db, at, pool, system),
  touched: async ({ db }, change) => (concernsUsers(change) ? countUsers(db, [change.row.id]) : undefined),
  async conflicts(scene, change) {
    if (change.is !== 'update') return []
    const { row, wished } = change
    const after = await pools.changedBy(row, changeOf(scene, row, wished, row.id))
    const { conflicts } = await reportOf(scene.db, row, after)
    return conflicts.map(({ field, detail }) => ({ pointer: `/${field}`, detail }))
  },
}

const shown: ReadonlySet<string> = new Set(['name', 'description', 'color'])

type Concerning = Exclude<Change<Fields, pools.Pool>, { is: 'create' }>

const concernsUsers = (change: Change<Fields, pools.Pool>): change is Concerning =>
  change.is === 'delete' || (change.is === 'update' && [...change.changed].some((field) => !shown.has(field)))

/** What a file says of a pool, as it is stored: with the secrets that its variables hold, and those that it has. */
const changeOf = (scene: Scene, pool: pools.Pool | undefined, wished: Fields, id: string) => {
  const { status, source_secrets, upstream_secrets, ...written } = wished
  const { source, upstream, ...rest } = resource.splitSettings(written)
  const split = {
    ...rest,
    source: source && { ...source, settings: { ...source.settings, ...valuesOf(scene, source_secrets) } },
    upstream: upstream && { ...upstream, settings: { ...upstream.settings, ...valuesOf(scene, upstream_secrets) } },
  }
  return { ...resource.outsideOf(scene, pool, split, {}, id), status }
}

const fieldsOf = (pool: pools.Pool): Fields =>
  ({ ...plainOf(pool), source_secrets: {}, upstream_secrets: {} }) as Fields

const plainOf = (pool: pools.Pool): object => {
  const { id: _id, created_at: _created, updated_at: _updated, source, upstream, ...fields } = resource.poolOf(pool)
  return { ...fields, source: resource.unnamed(source), upstream: resource.unnamed(upstream) }
}
