import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, type Visit } from '../page.ts'
import { pagesOf, type Section } from '../section.ts'

const tenants: Section = {
  path: '/tenants',
  param: 'id',
  one: 'tenant',
  many: 'Tenants',
  about: 'A tenant is a customer organisation that users act for; tokens say it with the scope "tenant".',
  routes: {
    list: 'listTenants',
    get: 'getTenant',
    create: 'createTenant',
    update: 'updateTenant',
    remove: 'deleteTenant',
  },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Slug', text: ({ slug }) => String(slug), as: 'code' },
    { title: 'Users', text: ({ pool_id }) => (pool_id ? 'Of one pool' : 'Of any pool') },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  wording: async (visit, item) => (item ? {} : { options: { pool: await poolsOf(visit) } }),
  detail: {
    view: 'console/tenant',
    load: async (visit) => {
      const { body } = await call(visit, 'listTenantMembers', { query: visit.query })
      const { items, next_cursor: cursor } = body as { items: Json[]; next_cursor: string | null }
      const members = items.map(memberOf)
      return { members, next: cursor ? `${visit.path}?${new URLSearchParams({ cursor })}` : null }
    },
  },
  loss: ({ name }) => `Every membership in ${name} and every role of it goes with it.`,
}

export const tenantPages: ConsolePage[] = pagesOf(tenants)

const memberOf = ({ id, pool_id, status, identifiers }: Json) => ({
  href: `/console/pools/${String(pool_id)}/users/${String(id)}`,
  name: (identifiers as { value: string }[])[0]?.value ?? String(id),
  status,
})

const poolsOf = async (visit: Visit): Promise<{ value: string; label: string }[]> => {
  const { body } = await call(visit, 'listPools', { params: {}, query: { limit: '200' } })
  return (body.items as Json[]).map(({ slug, name }) => ({ value: String(slug), label: String(name) }))
}
