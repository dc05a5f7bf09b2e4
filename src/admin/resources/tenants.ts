import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as tenants from '../../directory/tenants.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf, demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { byId, byUser, listRoute } from '../list.ts'
import { getChangeable, getRecord, refuse } from '../people.ts'
import { amongOf, checkMatch, etagOf, getPool } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'
import { shownIdentifiers } from '../user-shown.ts'

const written = tenants.tenantFields.extend({
  pool: z
    .string()
    .nullable()
    .default(null)
    .describe('Slug or id of the pool whose users alone may be members, for good; null where every pool may send some'),
})

const answered = z.strictObject({
  id: z.uuid().describe('What the `tenant_id` claim says'),
  pool_id: z.uuid().nullable(),
  slug: z.string(),
  name: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const member = z.strictObject({
  id: z.uuid().describe('Of the user'),
  pool_id: z.uuid(),
  status: z.enum(['new', 'active', 'inactive']),
  identifiers: shownIdentifiers,
})

const oneTenant = z.strictObject({ id: z.uuid() })
const oneUser = z.strictObject({ pool: z.string().describe('Slug or id'), id: z.uuid() })
const oneMembership = oneUser.extend({ tenant: z.uuid() })

export const tenantRoutes: Route[] = [
  listRoute({
    path: '/tenants',
    name: 'listTenants',
    summary: 'List tenants',
    scope: 'tenants:read',
    params: z.strictObject({}),
    filters: { pool: z.string().optional().describe('Only those of this pool, by slug or id') },
    items: answered,
    async open(call) {
      const { pool } = call.query
      const poolId = pool === undefined ? undefined : (await getPool(call, pool)).id
      const read = (page: Page) => tenants.list(call.services.db, amongOf(call), { ...page, poolId })
      return { list: 'tenants', read, position: byId, item: tenantOf }
    },
  }),
  route({
    method: 'POST',
    path: '/tenants',
    name: 'createTenant',
    summary: 'Make a tenant',
    scope: 'tenants:write',
    params: z.strictObject({}),
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      const { actor, body } = call
      const { pool, ...fields } = body
      if (pool === null) demandEverything(actor)
      const poolId = pool === null ? null : (await getPool(call, pool).catch(refusePool)).id
      const tenant = await inTransaction(call, (trx, at, by) => tenants.create(trx, at, { ...fields, poolId }, by))
      return { body: tenantOf(tenant), etag: etagOf(tenant), location: `/tenants/${tenant.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/tenants/{id}',
    name: 'getTenant',
    summary: 'Read a tenant',
    scope: 'tenants:read',
    params: oneTenant,
    answer: answered,
    status: 200,
    async handle(call) {
      const tenant = await tenants.get(call.services.db, amongOf(call), call.params.id)
      return { body: tenantOf(tenant), etag: etagOf(tenant) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/tenants/{id}',
    name: 'updateTenant',
    summary: 'Change a tenant; its pool stays',
    scope: 'tenants:write',
    params: oneTenant,
    body: tenants.tenantFields,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body, params } = call
      const change = (before: tenants.Tenant) => {
        checkMatch(ifMatch, before)
        const { slug, name, metadata } = before
        return patchedBy(tenants.tenantFields, { slug, name, metadata }, body)
      }
      const tenant = await inTransaction(call, (trx, at, by) =>
        tenants.update(trx, at, amongOf(call), params.id, change, by),
      )
      return { body: tenantOf(tenant), etag: etagOf(tenant) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/tenants/{id}',
    name: 'deleteTenant',
    summary: 'Delete a tenant with its roles; its members stay users',
    scope: 'tenants:write',
    params: oneTenant,
    status: 204,
    async handle(call) {
      const { id } = call.params
      await inTransaction(call, (trx, at, by) => tenants.remove(trx, at, amongOf(call), id, by))
    },
  }),
  listRoute({
    path: '/tenants/{id}/members',
    name: 'listTenantMembers',
    summary: 'List the users that belong to a tenant',
    scope: 'tenants:read',
    params: oneTenant,
    items: member,
    async open(call) {
      const { db } = call.services
      const tenant = await tenants.get(db, amongOf(call), call.params.id)
      const read = (page: Page) => tenants.listMembers(db, amongOf(call), tenant, page)
      return { list: `tenant-members:${tenant.id}`, read, position: byUser, item: memberOf }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}/tenants',
    name: 'listUserTenants',
    summary: 'List the tenants that a user belongs to',
    scope: 'tenants:read',
    params: oneUser,
    answer: z.strictObject({ items: z.array(answered), next_cursor: z.null() }),
    status: 200,
    async handle(call) {
      const { pool, user } = await getRecord(call)
      const all = await tenants.listOf(call.services.db, pool.id, user.id)
      const among = amongOf(call)
      const shown = all.filter(({ poolId }) => !among || (poolId !== null && among.includes(poolId)))
      return { body: { items: shown.map(tenantOf), next_cursor: null } }
    },
  }),
  route({
    method: 'PUT',
    path: '/pools/{pool}/users/{id}/tenants/{tenant}',
    name: 'joinTenant',
    summary: 'Take a user into a tenant',
    scope: 'tenants:write',
    params: oneMembership,
    status: 204,
    async handle(call) {
      const { services, actor, at, params } = call
      const { pool, user } = await getChangeable(call)
      const { id } = await tenants.get(services.db, amongOf(call), params.tenant)
      const place = { poolId: pool.id, userId: user.id }
      await services.db.transaction().execute(async (trx) => {
        if (!(await tenants.join(trx, at, place, id, byOf(actor)))) throw new Problem('not_found')
      })
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/tenants/{tenant}',
    name: 'leaveTenant',
    summary: 'Take a user out of a tenant, with the roles that they have in it',
    scope: 'tenants:write',
    params: oneMembership,
    status: 204,
    async handle(call) {
      const { services, params } = call
      const { pool, user } = await getChangeable(call)
      const tenant = await tenants.get(services.db, amongOf(call), params.tenant)
      const place = { poolId: pool.id, userId: user.id }
      await inTransaction(call, (trx, at, by) => tenants.leave(trx, at, place, tenant, by))
    },
  }),
]

const refusePool = (error: unknown): never => {
  throw error instanceof Problem ? refuse([{ pointer: '/pool', detail: 'There is no such pool' }]) : error
}

const tenantOf = (tenant: tenants.Tenant): z.input<typeof answered> => ({
  id: tenant.id,
  pool_id: tenant.poolId,
  slug: tenant.slug,
  name: tenant.name,
  metadata: tenant.metadata,
  created_at: tenant.createdAt.toISOString(),
  updated_at: tenant.updatedAt.toISOString(),
})

const memberOf = ({ userId, poolId, status, identifiers }: tenants.Member): z.input<typeof member> => ({
  id: userId,
  pool_id: poolId,
  status,
  identifiers: identifiers.map(({ kind, value, verified }) => ({ type: kind, value, verified })),
})
