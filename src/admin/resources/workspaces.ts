import { z } from 'zod'
import { issuerOf } from '../../directory/address.ts'
import { refuseWhileNeeded } from '../../directory/key-settings.ts'
import { faultsOf } from '../../directory/relying-party.ts'
import * as workspaces from '../../directory/workspaces.ts'
import * as keyChanges from '../../oidc/key-changes.ts'
import * as keys from '../../oidc/keys.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf, demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { checkMatch, etagOf, getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const settings = workspaces.writtenSettings.shape

/** What may be written of a workspace; the settings stand beside the name. */
const written = z.strictObject({
  slug: workspaces.newWorkspace.shape.slug.describe('Name in addresses: lower-case letters, digits and dashes'),
  name: workspaces.newWorkspace.shape.name,
  ...settings,
})
/** The same of a workspace that is there: it may be closed, too. */
export const patched = written.extend({ status: z.enum(['active', 'inactive']) })

const answered = z.strictObject({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  status: z.enum(['active', 'inactive']).describe('An inactive workspace answers nobody'),
  issuer: z.url().describe('At its primary domain, where it has one'),
  ...settings,
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const oneWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })

export const workspaceRoutes: Route[] = [
  listRoute({
    path: '/workspaces',
    name: 'listWorkspaces',
    summary: 'List workspaces',
    scope: 'workspaces:read',
    params: z.strictObject({}),
    items: answered,
    async open(call) {
      const { db, config } = call.services
      const among = call.actor.workspaces && [...call.actor.workspaces]
      const item = (row: workspaces.WorkspaceRecord) => workspaceOf(row, config)
      return { list: 'workspaces', read: (page) => workspaces.list(db, { ...page, among }), position: byId, item }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces',
    name: 'createWorkspace',
    summary: 'Make a workspace, with its signing keys',
    scope: 'workspaces:write',
    params: z.strictObject({}),
    body: written,
    answer: answered,
    status: 201,
    async handle({ services, actor, body, at }) {
      demandEverything(actor)
      const { db, keyring, config } = services
      checkParty(body, config)
      const workspace = await db.transaction().execute(async (trx) => {
        const made = await workspaces.create(trx, at, splitSettings(body), byOf(actor))
        await keys.generate(trx, keyring, at, made.id, made.settings.keys.algorithms)
        return made
      })
      const location = `/workspaces/${workspace.slug}`
      return { body: workspaceOf(workspace, config), etag: etagOf(workspace), location }
    },
  }),
  route({
    method: 'GET',
    path: '/workspaces/{workspace}',
    name: 'getWorkspace',
    summary: 'Read a workspace',
    scope: 'workspaces:read',
    params: oneWorkspace,
    answer: answered,
    status: 200,
    async handle(call) {
      const workspace = await getWorkspace(call, call.params.workspace)
      return { body: workspaceOf(workspace, call.services.config), etag: etagOf(workspace) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/workspaces/{workspace}',
    name: 'updateWorkspace',
    summary: 'Change a workspace',
    scope: 'workspaces:write',
    params: oneWorkspace,
    body: patched,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, ifMatch, body } = call
      const before = await getChangeableWorkspace(call, call.params.workspace)
      checkMatch(ifMatch, before)
      const { slug, name, status: now, settings: set } = before
      const { status, ...merged } = patchedBy(patched, { slug, name, status: now, ...set }, body)
      if (body.passkeys !== undefined) checkParty(merged, services.config)
      const workspace = await services.db.transaction().execute(async (trx) => {
        const { algorithms } = merged.keys
        await refuseWhileNeeded(trx, before.id, algorithms)
        const after = await workspaces.update(trx, at, before, { ...splitSettings(merged), status }, byOf(actor))
        const { keyring } = services
        await keyChanges.adjust(trx, { keyring, at, workspaceId: before.id, by: byOf(actor) }, algorithms)
        return after
      })
      return { body: workspaceOf(workspace, services.config), etag: etagOf(workspace) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/workspaces/{workspace}',
    name: 'deleteWorkspace',
    summary: 'Delete a workspace with its clients, connections and keys; its pools stay',
    scope: 'workspaces:write',
    params: oneWorkspace,
    status: 204,
    async handle(call) {
      const workspace = await getChangeableWorkspace(call, call.params.workspace)
      await inTransaction(call, (trx, at, by) => workspaces.remove(trx, at, workspace, by))
    },
  }),
]

const workspaceOf = (
  workspace: workspaces.WorkspaceRecord,
  config: Parameters<typeof issuerOf>[0],
): z.input<typeof answered> => ({
  id: workspace.id,
  slug: workspace.slug,
  name: workspace.name,
  status: workspace.status,
  issuer: issuerOf(config, workspace),
  ...workspace.settings,
  created_at: workspace.createdAt.toISOString(),
  updated_at: workspace.updatedAt.toISOString(),
})

const checkParty = ({ passkeys }: z.output<typeof written>, config: Parameters<typeof faultsOf>[1]): void => {
  const errors = faultsOf(passkeys, config)
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

/** What was written of a workspace, as the directory takes it. */
export const splitSettings = ({ slug, name, ...rest }: z.output<typeof written>) => ({ slug, name, settings: rest })
