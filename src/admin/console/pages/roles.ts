import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, type Visit } from '../page.ts'
import { pagesOf, type Section } from '../section.ts'

const roles: Section = {
  path: '/roles',
  param: 'id',
  one: 'role',
  many: 'Roles',
  about:
    'A role is a named set of permissions. It counts everywhere, or within one tenant; tokens say it with the scope "roles".',
  routes: { list: 'listRoles', get: 'getRole', create: 'createRole', update: 'updateRole', remove: 'deleteRole' },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Key', text: ({ key }) => String(key), as: 'code' },
    { title: 'Permissions', text: ({ permissions }) => (permissions as string[]).join(', ') },
    { title: 'Where', text: ({ tenant_id }) => (tenant_id ? 'In one tenant' : 'Everywhere') },
  ],
  wording: async (visit, item) => ({
    labels: { tenant_id: 'Tenant' },
    ...(item ? {} : { options: { tenant_id: await tenantsOf(visit) } }),
  }),
  loss: ({ name }) => `Everyone who has ${name} loses it with their next token.`,
}

export const rolePages: ConsolePage[] = pagesOf(roles)

const tenantsOf = async (visit: Visit): Promise<{ value: string; label: string }[]> => {
  const { body } = await call(visit, 'listTenants', { params: {}, query: { limit: '200' } })
  return (body.items as Json[]).map(({ id, name }) => ({ value: String(id), label: String(name) }))
}
