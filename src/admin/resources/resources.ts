import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { refuseUnsignable } from '../../directory/key-settings.ts'
import * as resources from '../../directory/resources.ts'
import { adminSlug, type Workspace } from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { checkMatch, etagOf, getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const settings = resources.resourceSettings
const { identifier } = resources.newResource.shape

const answered = z.strictObject({
  id: z.uuid(),
  identifier: z.string().describe('What clients ask by (`resource`) and tokens are for (`aud`)'),
  ...settings.shape,
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneResource = inWorkspace.extend({ id: z.uuid() })
const within = '/workspaces/{workspace}/resources'
const one = `${within}/{id}`

export const resourceRoutes: Route[] = [
  listRoute({
    path: within,
    name: 'listResources',
    summary: 'List the resources of a workspace',
    scope: 'resources:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { id } = await getWorkspace(call, call.params.workspace)
      const read = (page: Page) => resources.list(call.services.db, id, page)
      return { list: `resources:${id}`, read, position: byId, item: resourceOf }
    },
  }),
  route({
    method: 'POST',
    path: within,
    name: 'createResource',
    summary: 'Make a resource; clients that name it get tokens for it as it says',
    scope: 'resources:write',
    params: inWorkspace,
    body: z.strictObject({ identifier, ...settings.shape }),
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, params, body } = call
      const workspace = await getChangeableWorkspace(call, params.workspace)
      refuseOwn(services, workspace, body.identifier)
      refuseUnsignable(workspace.settings.keys, body)
      const made = await inTransaction(call, (trx, at, by) => resources.create(trx, at, workspace.id, body, by))
      const location = `/workspaces/${workspace.slug}/resources/${made.id}`
      return { body: resourceOf(made), etag: etagOf(made), location }
    },
  }),
  route({
    method: 'GET',
    path: one,
    name: 'getResource',
    summary: 'Read a resource',
    scope: 'resources:read',
    params: oneResource,
    answer: answered,
    status: 200,
    async handle(call) {
      const resource = await getResource(call, await getWorkspace(call, call.params.workspace))
      return { body: resourceOf(resource), etag: etagOf(resource) }
    },
  }),
  route({
    method: 'PATCH',
    path: one,
    name: 'updateResource',
    summary: 'Change a resource; tokens that are out stay as they are until they expire',
    scope: 'resources:write',
    params: oneResource,
    body: settings,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body } = call
      const workspace = await getChangeableWorkspace(call, call.params.workspace)
      const before = await getResource(call, workspace)
      checkMatch(ifMatch, before)
      const merged = patchedBy(settings, resources.settingsOf(before), body)
      refuseUnsignable(workspace.settings.keys, merged)
      const after = await inTransaction(call, (trx, at, by) => resources.update(trx, at, before, merged, by))
      return { body: resourceOf(after), etag: etagOf(after) }
    },
  }),
  route({
    method: 'DELETE',
    path: one,
    name: 'deleteResource',
    summary: 'Delete a resource; one that a client names stays',
    scope: 'resources:write',
    params: oneResource,
    status: 204,
    async handle(call) {
      const before = await getResource(call, await getChangeableWorkspace(call, call.params.workspace))
      await inTransaction(call, (trx, at, by) => resources.remove(trx, at, before, by))
    },
  }),
]

type One = Pick<Call<z.output<typeof oneResource>, unknown, unknown>, 'services' | 'actor' | 'params'>

const getResource = async ({ services, params }: One, workspace: Workspace): Promise<resources.Resource> => {
  const resource = await resources.find(services.db, workspace.id, params.id)
  if (!resource) throw new Problem('not_found')
  return resource
}

/** Whether it is this API itself, whose tokens are as the program has them. */
export const isOwnApi = (publicUrl: string, workspace: string, uri: string): boolean =>
  workspace === adminSlug && URL.parse(uri)?.href === URL.parse(`${publicUrl}/api/v1`)?.href

const refuseOwn = ({ config }: Services, { slug }: Workspace, uri: string): void => {
  if (!isOwnApi(config.publicUrl, slug, uri)) return
  const detail = 'This API belongs to the program itself'
  throw new Problem('unprocessable', { errors: [{ pointer: '/identifier', detail }] })
}

const resourceOf = (resource: resources.Resource): z.input<typeof answered> => ({
  id: resource.id,
  identifier: resource.identifier,
  ...resources.settingsOf(resource),
  created_at: resource.createdAt.toISOString(),
  updated_at: resource.updatedAt.toISOString(),
})
