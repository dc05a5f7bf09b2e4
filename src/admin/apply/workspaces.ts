import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as connections from '../../directory/connections.ts'
import * as workspaces from '../../directory/workspaces.ts'
import * as keyChanges from '../../oidc/key-changes.ts'
import * as keys from '../../oidc/keys.ts'
import * as resource from '../resources/workspaces.ts'
import { all, countUsers, type Kind } from './kind.ts'

const schema = resource.patched.extend({ status: resource.patched.shape.status.default('active') })
type Fields = z.output<typeof schema>

/** Workspaces with every setting. A workspace is deleted with its clients, connections and keys. */
export const workspaceKind: Kind<Fields, workspaces.WorkspaceRecord> = {
  name: 'workspaces',
  noun: 'workspace',
  naming: z.object({ slug: z.string() }),
  keyOf: ({ slug }) => slug ?? '',
  schema,
  list: ({ db }) => workspaces.list(db, { ...all, among: undefined }),
  tell: (_scene, { slug, name, status, settings }) => ({ slug, name, status, ...settings }),
  mayPrune: (_scene, { slug }) => slug !== workspaces.adminSlug,
  remark: (_scene, _row, { slug, status }) => ({
    faults:
      slug === workspaces.adminSlug && status !== 'active'
        ? [{ pointer: '/status', detail: 'The admin workspace stays active' }]
        : [],
  }),
  async create({ db, at, keyring }, { status, ...wished }) {
    const workspace = await workspaces.create(db, at, resource.splitSettings(wished), system)
    await keys.generate(db, keyring, at, workspace.id, wished.keys.algorithms)
    if (status !== workspace.status)
      await workspaces.update(db, at, workspace, { ...resource.splitSettings(wished), status }, system)
  },
  async update({ db, at, keyring }, workspace, { status, ...wished }) {
    const before = { ...workspace, connections: [] }
    await workspaces.update(db, at, before, { ...resource.splitSettings(wished), status }, system)
    const change = { keyring, at, workspaceId: workspace.id, by: system }
    await keyChanges.adjust(db, change, wished.keys.algorithms)
  },
  remove: ({ db, at }, workspace) => workspaces.remove(db, at, workspace, system),
  async touched({ db }, change) {
    if (change.is === 'create' || (change.is === 'update' && [...change.changed].every((field) => shown.has(field))))
      return undefined
    const found = await connections.list(db, change.row.id, { ...all, among: undefined })
    return countUsers(
      db,
      found.filter(({ enabled }) => enabled).map(({ poolId }) => poolId),
    )
  },
}

const shown: ReadonlySet<string> = new Set(['name', 'branding'])
