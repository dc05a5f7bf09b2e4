import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as operators from '../../directory/operators.ts'
import { outsideMapping, upstreamMapping } from '../../directory/outside-mapping.ts'
import { reportOf } from '../../directory/pool-report.ts'
import { poolSource } from '../../directory/pool-source.ts'
import { poolUpstream } from '../../directory/pool-upstream.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import { countMoving } from '../pool-outside.ts'
import * as resource from '../resources/pools.ts'
import { all, type Change, countUsers, type Kind, type Scene } from './kind.ts'
import { type InFile, namedFor, secretRemarks, secretsInFile, valuesOf } from './pool-secrets.ts'
import { readScript, scriptNamed } from './scripts.ts'

const script = z.string().nullable().default(null).describe('Workspace and name of a script, with a slash between')
const source = poolSource.extend({ mapping: outsideMapping.extend({ script }).prefault({}) })
const upstream = poolUpstream.extend({ mapping: upstreamMapping.extend({ script }).prefault({}) })
const schema = resource.patched.extend({
  source: source.nullable().default(null),
  upstream: upstream.nullable().default(null),
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
  tell: (scene, pool) => fieldsOf(scene, pool),
  mayPrune: (_scene, { slug }) => slug !== operators.poolSlug,
  remark: (scene, pool, wished) => {
    const remarks = secretRemarks(scene, pool, wished)
    const lockouts = pool ? pools.lockouts(pool, { ...wished, settings: wished }) : []
    return { ...remarks, faults: [...(remarks.faults ?? []), ...lockouts, ...scriptsOf(scene, wished).faults] }
  },
  write: (scene, pool) => {
    const secrets = Object.entries(namedFor(pool)).filter(([, named]) => Object.keys(named).length > 0)
    return { ...plainOf(scene, pool), ...Object.fromEntries(secrets) }
  },
  async create(scene, wished) {
    const { db, at } = scene
    const id = uuidv7(at)
    const fields = changeOf(scene, undefined, wished, id)
    await demandConfirmed(scene, undefined, fields)
    const pool = await pools.create(db, at, { ...fields, id }, system)
    if (wished.status !== pool.status) await pools.update(db, at, pool, fields, system)
  },
  async update(scene, pool, wished) {
    const { db, at } = scene
    const fields = changeOf(scene, pool, wished, pool.id)
    await demandConfirmed(scene, pool, fields)
    await pools.update(db, at, pool, fields, system)
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

/** Throws `conflict` where people would come to move over for good, and nobody said that this is meant. */
const demandConfirmed = async (
  { db, confirmMigration }: Scene,
  before: pools.Pool | undefined,
  after: Pick<pools.Pool, 'source'>,
): Promise<void> => {
  const count = confirmMigration ? undefined : await countMoving(db, before, after)
  if (count === undefined) return
  const detail = `Whoever signs in moves over for good, with ${count} known here so far; to do so, add --confirm-migration`
  throw new Problem('conflict', { errors: [{ pointer: '/source/mode', detail }] })
}

const outside = ['source', 'upstream'] as const

/** The ids of the scripts that a file names with a pool. */
const scriptsOf = (scene: Scene, wished: Fields) => {
  const read = outside.map((field) => {
    const [, workspace = '', name = null] = wished[field]?.mapping.script?.match(/^([^/]*)\/(.*)$/s) ?? []
    const told = wished[field]?.mapping.script ?? null
    return readScript(scene, `/${field}/mapping/script`, workspace, name ?? told)
  })
  const [source, upstream] = read.map(({ id }) => id)
  return { source: source ?? null, upstream: upstream ?? null, faults: read.flatMap(({ faults }) => faults) }
}

/** A pool's source or upstream with the script that is named otherwise in a file than where it is stored. */
const withScript = <Outside extends { mapping: { script: string | null } }>(
  told: Outside | null,
  script: string | null,
): Outside | null => told && { ...told, mapping: { ...told.mapping, script } }

/** What a file says of a pool, as it is stored: with the secrets that its variables hold, and those that it has. */
const changeOf = (scene: Scene, pool: pools.Pool | undefined, wished: Fields, id: string) => {
  const { status, source_secrets, upstream_secrets, ...written } = wished
  const { source, upstream, ...rest } = resource.splitSettings(written)
  const scripts = scriptsOf(scene, wished)
  const filled = <Outside extends { settings: Record<string, unknown> }>(told: Outside | null, secrets: InFile) =>
    told && { ...told, settings: { ...told.settings, ...valuesOf(scene, secrets) } }
  const split = {
    ...rest,
    source: withScript(filled(source, source_secrets), scripts.source),
    upstream: withScript(filled(upstream, upstream_secrets), scripts.upstream),
  }
  return { ...resource.outsideOf(scene, pool, split, {}, id), status }
}

const fieldsOf = (scene: Scene, pool: pools.Pool): Fields =>
  ({ ...plainOf(scene, pool), source_secrets: {}, upstream_secrets: {} }) as Fields

const plainOf = (scene: Scene, pool: pools.Pool): object => {
  const { id: _id, created_at: _created, updated_at: _updated, source, upstream, ...fields } = resource.poolOf(pool)
  const nameOf = (told: { mapping?: { script?: string | null | undefined } | undefined } | null) => {
    const found = scriptNamed(scene, told?.mapping?.script ?? null)
    return found && (found.workspace === '' ? found.name : `${found.workspace}/${found.name}`)
  }
  return {
    ...fields,
    source: withScript(resource.unnamed(source) as pools.Pool['source'], nameOf(source)),
    upstream: withScript(resource.unnamed(upstream) as pools.Pool['upstream'], nameOf(upstream)),
  }
}
