import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as resources from '../../directory/resources.ts'
import { isOwnApi } from '../resources/resources.ts'
import { type Fault, type Kind, missing, named, slugOf } from './kind.ts'

const schema = z.strictObject({
  workspace: z.string(),
  identifier: resources.newResource.shape.identifier,
  ...resources.resourceSettings.shape,
})
type Fields = z.output<typeof schema>

/** What workspaces give access tokens for. */
export const resourceKind: Kind<Fields, resources.Resource> = {
  name: 'resources',
  noun: 'resource',
  naming: z.object({ workspace: z.string(), identifier: z.string() }),
  keyOf: ({ workspace, identifier }) => `${workspace} ${identifier}`,
  schema,
  async list({ db, workspaces, reach }) {
    const found: resources.Resource[] = []
    for (const { id, slug } of workspaces.values())
      if (!reach || reach.workspaces.has(slug)) found.push(...(await resources.all(db, id)))
    return found
  },
  tell: (scene, resource) => ({
    workspace: slugOf(scene, resource.workspaceId),
    identifier: resource.identifier,
    ...resources.settingsOf(resource),
  }),
  mayPrune: () => true,
  remark: ({ workspaces, config }, _row, { workspace, identifier }) => ({
    faults: [
      ...missing('workspace', '/workspace', [workspace], workspaces),
      ...(isOwnApi(config.publicUrl, workspace, identifier) ? [own] : []),
    ],
  }),
  async create({ db, at, workspaces }, { workspace, ...wished }) {
    await resources.create(db, at, named(workspaces, workspace).id, wished, system)
  },
  async update({ db, at }, before, { workspace: _w, identifier: _i, ...settings }) {
    await resources.update(db, at, before, settings, system)
  },
  remove: ({ db, at }, resource) => resources.remove(db, at, resource, system),
  touched: async () => undefined,
}

const own: Fault = { pointer: '/identifier', detail: 'This API belongs to the program itself' }
