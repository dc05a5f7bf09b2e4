import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as roles from '../../directory/roles.ts'
import * as tenants from '../../directory/tenants.ts'
import { Problem } from '../../platform/problem.ts'
import { demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { getChangeable, getRecord, refuse } from '../people.ts'
import { amongOf, checkMatch, etagOf } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const written = roles.roleFields.extend({
  tenant_id: z
    .uuid()
    .nullable()
    .default(null)
    .describe('The tenant that the role is of, for good; null for a global role'),
})

const answered = z.strictObject({
  id: z.uuid(),
  tenant_id: z.uuid().nullable().describe('The tenant that the role is of; null for a global role'),
  key: z.string(),
  name: z.string(),
  description: z.string(),
  permissions: z.array(z.string()),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const assigned = z.strictObject({
  id: z.uuid().describe('Of the role'),
  key: z.string(),
  name: z.string(),
  permissions: z.array(z.string()),
  within: z.uuid().nullable().describe('The only tenant that the user has it in; null where they have it everywhere'),
})

const oneRole = z.strictObject({ id: z.uuid() })
const oneUser = z.strictObject({ pool: z.string().describe('Slug or id'), id: z.uuid() })
const oneAssignment = oneUser.extend({ role: z.uuid() })
const where = z.strictObject({
  within: z
    .uuid()
    .optional()
    .describe('The tenant that it counts in, by id; everywhere where absent. The role of a tenant counts only there'),
})

export const roleRoutes: Route[] = [
  listRoute({
    path: '/roles',
    name: 'listRoles',
    summary: 'List roles',
    scope: 'roles:read',
    params: z.strictObject({}),
    filters: {
      tenant_id: z
        .union([z.literal('none'), z.uuid()])
        .optional()
        .describe('Only those of this tenant; `none` for global ones'),
    },
    items: answered,
    async open(call) {
      const { tenant_id } = call.query
      const tenantId = tenant_id === 'none' ? null : tenant_id
      const read = (page: Page) => roles.list(call.services.db, amongOf(call), { ...page, tenantId })
      return { list: 'roles', read, position: byId, item: roleOf }
    },
  }),
  route({
    method: 'POST',
    path: '/roles',
    name: 'createRole',
    summary: 'Make a role; needs an operator without limits, for keys and permissions count in every pool',
    scope: 'roles:write',
    params: z.strictObject({}),
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      demandEverything(call.actor)
      const { tenant_id: tenantId, ...fields } = call.body
      const role = await inTransaction(call, (trx, at, by) => roles.create(trx, at, { ...fields, tenantId }, by))
      return { body: roleOf(role), etag: etagOf(role), location: `/roles/${role.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/roles/{id}',
    name: 'getRole',
    summary: 'Read a role',
    scope: 'roles:read',
    params: oneRole,
    answer: answered,
    status: 200,
    async handle(call) {
      const role = await roles.get(call.services.db, amongOf(call), call.params.id)
      return { body: roleOf(role), etag: etagOf(role) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/roles/{id}',
    name: 'updateRole',
    summary: 'Change a role, for everyone who has it; needs an operator without limits',
    scope: 'roles:write',
    params: oneRole,
    body: roles.roleFields,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body } = call
      const { id } = await getOwn(call)
      const change = (before: roles.Role) => {
        checkMatch(ifMatch, before)
        const { key, name, description, permissions } = before
        return patchedBy(roles.roleFields, { key, name, description, permissions }, body)
      }
      const role = await inTransaction(call, (trx, at, by) => roles.update(trx, at, id, change, by))
      return { body: roleOf(role), etag: etagOf(role) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/roles/{id}',
    name: 'deleteRole',
    summary: 'Delete a role, and take it from everyone; needs an operator without limits',
    scope: 'roles:write',
    params: oneRole,
    status: 204,
    async handle(call) {
      const { id } = await getOwn(call)
      await inTransaction(call, (trx, at, by) => roles.remove(trx, at, id, by))
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}/roles',
    name: 'listUserRoles',
    summary: 'List the roles that a user has, everywhere and in tenants',
    scope: 'roles:read',
    params: oneUser,
    answer: z.strictObject({ items: z.array(assigned), next_cursor: z.null() }),
    status: 200,
    async handle(call) {
      const { pool, user } = await getRecord(call)
      const all = await roles.listOf(call.services.db, pool.id, user.id)
      const among = amongOf(call)
      const shown = all.filter(({ poolId }) => !among || (poolId !== null && among.includes(poolId)))
      return { body: { items: shown.map(assignedOf), next_cursor: null } }
    },
  }),
  route({
    method: 'PUT',
    path: '/pools/{pool}/users/{id}/roles/{role}',
    name: 'assignRole',
    summary: 'Give a user a role, everywhere or in a tenant that they belong to',
    scope: 'roles:write',
    params: oneAssignment,
    query: where,
    status: 204,
    async handle(call) {
      const { place, role } = await getPlace(call)
      const given = await inTransaction(call, (trx, at, by) => roles.assign(trx, at, place, role, by))
      if (!given) throw new Problem('conflict', { detail: 'The user does not belong to the tenant.' })
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/roles/{role}',
    name: 'unassignRole',
    summary: 'Take a role from a user',
    scope: 'roles:write',
    params: oneAssignment,
    query: where,
    status: 204,
    async handle(call) {
      const { place, role } = await getPlace(call)
      await inTransaction(call, (trx, at, by) => roles.unassign(trx, at, place, role, by))
    },
  }),
]

/** A role that the actor may change: what it permits counts in every pool. Throws `not_found` and `forbidden`. */
const getOwn = async (call: Call<{ id: string }, unknown, unknown>): Promise<roles.Role> => {
  const role = await roles.get(call.services.db, amongOf(call), call.params.id)
  demandEverything(call.actor)
  return role
}

type Assigning = Call<{ pool: string; id: string; role: string }, { within?: string | undefined }, unknown>

/** Throws `not_found` also where the role or the tenant is of another pool. */
const getPlace = async (call: Assigning): Promise<{ place: roles.Place; role: roles.Role }> => {
  const { pool, user } = await getChangeable(call)
  const { db } = call.services
  const role = await roles.get(db, amongOf(call), call.params.role)
  if (role.poolId !== null && role.poolId !== pool.id) throw new Problem('not_found')
  const within = call.query.within ?? role.tenantId
  if (!roles.mayCount(role, within)) throw refuse([{ pointer: '/within', detail: 'The role is of another tenant' }])
  if (within !== null && !tenants.isFor(await tenants.get(db, amongOf(call), within), pool.id))
    throw new Problem('not_found')
  return { place: { poolId: pool.id, userId: user.id, within }, role }
}

const roleOf = (role: roles.Role): z.input<typeof answered> => ({
  id: role.id,
  tenant_id: role.tenantId,
  key: role.key,
  name: role.name,
  description: role.description,
  permissions: role.permissions,
  created_at: role.createdAt.toISOString(),
  updated_at: role.updatedAt.toISOString(),
})

const assignedOf = ({ id, key, name, permissions, within }: roles.Assignment): z.input<typeof assigned> => ({
  id,
  key,
  name,
  permissions,
  within,
})
