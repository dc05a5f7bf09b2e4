import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as connections from '../../directory/connections.ts'
import * as operators from '../../directory/operators.ts'
import { adminSlug } from '../../directory/workspaces.ts'
import { reloadFaults } from '../reloading.ts'
import { countUsers, type Kind, missing, named, type Scene, slugOf } from './kind.ts'
import { readScript, scriptNamed } from './scripts.ts'

const { shape } = connections.connectionSettings
const schema = connections.connectionSettings.extend({
  workspace: z.string(),
  pool: z.string(),
  name: shape.name.optional().describe("The pool's name unless told"),
  post_authentication_script: z.string().nullable().default(null).describe('Name of a script of the workspace'),
})
type Fields = z.output<typeof schema>

/** Which pools a workspace has, and how. */
export const connectionKind: Kind<Fields, connections.ConnectionRecord> = {
  name: 'connections',
  noun: 'connection',
  naming: z.object({ workspace: z.string(), pool: z.string() }),
  keyOf: ({ workspace, pool }) => `${workspace}/${pool}`,
  schema,
  list: async ({ connections: found }) => [...found.values()],
  tell: (scene, record) => {
    const settings = connections.settingsOf(record)
    const script = scriptNamed(scene, settings.post_authentication_script)?.name ?? null
    const naming = { workspace: slugOf(scene, record.workspaceId), pool: record.pool }
    return { ...naming, ...settings, post_authentication_script: script }
  },
  mayPrune: (scene, record) => !isOperators(scene, record),
  remark: (scene, record, wished) => ({
    // The file may make another pool of it, so this is no fault.
    notes: reloadNotes(scene, wished),
    faults: [
      ...missing('workspace', '/workspace', [wished.workspace], scene.workspaces),
      ...missing('pool', '/pool', [wished.pool], scene.pools),
      ...(record && isOperators(scene, record) ? connections.lockouts(wished) : []),
      ...scriptOf(scene, wished).faults,
    ],
  }),
  async create(scene, { workspace, pool, name, ...wished }) {
    const { id: pool_id, name: its } = named(scene.pools, pool)
    const { id: post_authentication_script } = scriptOf(scene, { workspace, ...wished })
    const fields = { ...wished, pool_id, name: name ?? its, post_authentication_script }
    await connections.create(scene.db, scene.at, named(scene.workspaces, workspace).id, fields, system)
  },
  async update(scene, record, { pool: _p, name, ...fields }) {
    const { workspace: _w, ...wished } = fields
    const { id: post_authentication_script } = scriptOf(scene, fields)
    const settings = { ...wished, name: name ?? record.name, post_authentication_script }
    await connections.update(scene.db, scene.at, record, settings, system)
  },
  remove: ({ db, at }, record) => connections.remove(db, at, record, system),
  async touched({ db, pools }, change) {
    if (change.is === 'create') return countUsers(db, [named(pools, change.wished.pool).id])
    const visible = change.is === 'update' && [...change.changed].every((field) => shown.has(field))
    return visible ? undefined : countUsers(db, [change.row.poolId])
  },
}

const scriptOf = (scene: Scene, { workspace, post_authentication_script: name }: Omit<Fields, 'pool' | 'name'>) =>
  readScript(scene, '/post_authentication_script', workspace, name)

const reloadNotes = ({ pools }: Scene, { pool: slug, reload_claims_at_refresh: wished }: Fields): string[] => {
  const pool = pools.get(slug)
  return pool
    ? reloadFaults(pool, wished).map(({ detail }) => `reload_claims_at_refresh changes nothing: ${detail}`)
    : []
}

const shown: ReadonlySet<string> = new Set(['name', 'position'])

/** Without this one, no operator gets in. */
const isOperators = ({ workspaces }: Scene, { workspaceId, pool }: connections.ConnectionRecord): boolean =>
  pool === operators.poolSlug && workspaceId === workspaces.get(adminSlug)?.id
