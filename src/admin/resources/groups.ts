import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as groups from '../../directory/groups.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { checkMatch, etagOf, getPool } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

/** A group as it is answered. */
export const answered = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  description: z.string(),
  parent_id: z.uuid().nullable(),
  path: z.string().describe('The names from the top, each after a slash; what the `groups` claim says'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const inPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const oneGroup = inPool.extend({ id: z.uuid() })

export const groupRoutes: Route[] = [
  listRoute({
    path: '/pools/{pool}/groups',
    name: 'listGroups',
    summary: 'List the groups of a pool',
    scope: 'groups:read',
    params: inPool,
    filters: {
      parent_id: z
        .union([z.literal('none'), z.uuid()])
        .optional()
        .describe('Only those right below this group; `none` for those at the top'),
      search: z.string().min(1).max(100).optional().describe('Only those whose name begins so, whatever its case'),
    },
    items: answered,
    async open(call) {
      const { parent_id, search } = call.query
      const { id } = await getPool(call, call.params.pool)
      const parentId = parent_id === 'none' ? null : parent_id
      const read = (page: Page) => groups.list(call.services.db, id, { ...page, parentId, search })
      return { list: `groups:${id}`, read, position: byId, item: groupOf }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/groups',
    name: 'createGroup',
    summary: 'Make a group',
    scope: 'groups:write',
    params: inPool,
    body: groups.groupFields,
    answer: answered,
    status: 201,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      const group = await inTransaction(call, (trx, at, by) => groups.create(trx, at, pool.id, call.body, by))
      return { body: groupOf(group), etag: etagOf(group), location: `/pools/${pool.slug}/groups/${group.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/groups/{id}',
    name: 'getGroup',
    summary: 'Read a group',
    scope: 'groups:read',
    params: oneGroup,
    answer: answered,
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      const group = await groups.get(call.services.db, pool.id, call.params.id)
      return { body: groupOf(group), etag: etagOf(group) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/pools/{pool}/groups/{id}',
    name: 'updateGroup',
    summary: 'Change or move a group',
    scope: 'groups:write',
    params: oneGroup,
    body: groups.groupFields,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body, params } = call
      const { id: poolId } = await getPool(call, params.pool)
      const change = (before: groups.Group) => {
        checkMatch(ifMatch, before)
        const { name, description, parentId } = before
        return patchedBy(groups.groupFields, { name, description, parent_id: parentId }, body)
      }
      const group = await inTransaction(call, (trx, at, by) =>
        groups.update(trx, at, { poolId, id: params.id }, change, by),
      )
      return { body: groupOf(group), etag: etagOf(group) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/groups/{id}',
    name: 'deleteGroup',
    summary: 'Delete a group that no group is in',
    scope: 'groups:write',
    params: oneGroup,
    status: 204,
    async handle(call) {
      const { id: poolId } = await getPool(call, call.params.pool)
      const place = { poolId, id: call.params.id }
      await inTransaction(call, (trx, at, by) => groups.remove(trx, at, place, by))
    },
  }),
]

export const groupOf = (group: groups.Group): z.input<typeof answered> => ({
  id: group.id,
  name: group.name,
  description: group.description,
  parent_id: group.parentId,
  path: group.path,
  created_at: group.createdAt.toISOString(),
  updated_at: group.updatedAt.toISOString(),
})
