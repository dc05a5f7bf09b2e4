import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as connections from '../../directory/connections.ts'
import * as operators from '../../directory/operators.ts'
import { adminSlug } from '../../directory/workspaces.ts'
import { countUsers, type Kind, missing, named, type Scene, slugOf } from './kind.ts'

const { shape } = connections.connectionSettings
const schema = connections.connectionSettings.extend({
  workspace: z.string(),
  pool: z.string(),
  name: shape.name.optional().describe("The pool's name unless told"),
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
    return { workspace: slugOf(scene, record.workspaceId), pool: record.pool, ...connections.settingsOf(record) }
  },
  mayPrune: (scene, record) => !isOperators(scene, record),
  remark: (scene, record, wished) => ({
    faults: [
      ...missing('workspace', '/workspace', [wished.workspace], scene.workspaces),
      ...missing('pool', '/pool', [wished.pool], scene.pools),
      ...(record && isOperators(scene, record) ? connections.lockouts(wished) : []),
    ],
  }),
  async create(scene, { workspace, pool, name, ...wished }) {
    const { id: pool_id, name: its } = named(scene.pools, pool)
    const fields = { ...wished, pool_id, name: name ?? its }
    await connections.create(scene.db, scene.at, named(scene.workspaces, workspace).id, fields, system)
  },
  async update({ db, at }, record, { workspace: _w, pool: _p, name, ...wished }) {
    await connections.update(db, at, record, { ...wished, name: name ?? record.name }, system)
  },
  remove: ({ db, at }, record) => connections.remove(db, at, record, system),
  async touched({ db, pools }, change) {
    if (change.is === 'create') return countUsers(db, [named(pools, change.wished.pool).id])
    const visible = change.is === 'update' && [...change.changed].every((field) => shown.has(field))
    return visible ? undefined : countUsers(db, [change.row.poolId])
  },
}

const shown: ReadonlySet<string> = new Set(['name', 'position'])

/** Without this one, no operator gets in. */
const isOperators = ({ workspaces }: Scene, { workspaceId, pool }: connections.ConnectionRecord): boolean =>
  pool === operators.poolSlug && workspaceId === workspaces.get(adminSlug)?.id
