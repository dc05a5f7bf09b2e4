import type { Field } from '../../platform/http/render.ts'
import type { Json } from '../openapi.ts'
import type { Inside } from './inside.ts'
import { refuse } from './inside.ts'
import { allows, call, type Visit } from './page.ts'

/** Something to choose. */
export interface Choice {
  value: string
  label: string
}

/** Groups of a pool by path, as many as can be chosen from; `more` where there are others. */
export interface Groups {
  list: { id: string; name: string; path: string; parentId: string | null; description: string }[]
  more: boolean
}

const pagesOfGroups = 5
const mostTicks = 30

/** The first thousand groups of a pool; none where the operator may not see them. */
export const groupsOf = async (visit: Visit): Promise<Groups> => {
  if (!allows(visit, 'listGroups')) return { list: [], more: false }
  const list: Groups['list'] = []
  let cursor: string | null = null
  for (let page = 0; page < pagesOfGroups; page += 1) {
    const query: Record<string, string> = { limit: '200', ...(cursor ? { cursor } : {}) }
    const { body } = await call(visit, 'listGroups', { params: { pool: visit.params.pool ?? '' }, query })
    const told = body as { items: Json[]; next_cursor: string | null }
    list.push(...told.items.map(groupOf))
    cursor = told.next_cursor
    if (!cursor) break
  }
  return { list: list.sort((a, b) => (a.path < b.path ? -1 : 1)), more: cursor !== null }
}

const groupOf = ({ id, name, path, parent_id, description }: Json) => ({
  id: String(id),
  name: String(name),
  path: String(path),
  parentId: parent_id === null ? null : String(parent_id),
  description: String(description),
})

/** Groups as choices by path. */
export const groupChoices = ({ list }: Groups): Choice[] => list.map(({ id, path }) => ({ value: id, label: path }))

/** The roles that may be given to somebody of a pool; none where the operator may not see them. */
export const rolesOf = async (visit: Visit, tenants: readonly Choice[]): Promise<Choice[]> => {
  if (!allows(visit, 'listRoles')) return []
  const { body } = await call(visit, 'listRoles', { params: {}, query: { limit: '200' } })
  const known = new Map(tenants.map(({ value, label }) => [value, label]))
  return (body.items as Json[])
    .filter(({ tenant_id }) => tenant_id === null || known.has(String(tenant_id)))
    .map(({ id, name, tenant_id }) => ({
      value: String(id),
      label: tenant_id === null ? String(name) : `${name} (only in ${known.get(String(tenant_id))})`,
    }))
}

/** The tenants that somebody of a pool may belong to; none where the operator may not see them. */
export const tenantsOf = async (visit: Visit, { pool }: Inside): Promise<Choice[]> => {
  if (!allows(visit, 'listTenants')) return []
  const { body } = await call(visit, 'listTenants', { params: {}, query: { limit: '200' } })
  return (body.items as Json[])
    .filter(({ pool_id }) => pool_id === null || pool_id === pool.id)
    .map(({ id, name }) => ({ value: String(id), label: String(name) }))
}

/** The workspaces that the operator may see, by slug. */
export const workspacesOf = async (visit: Visit): Promise<Choice[]> => {
  if (!allows(visit, 'listWorkspaces')) return []
  const { body } = await call(visit, 'listWorkspaces', { params: {}, query: { limit: '200' } })
  return (body.items as Json[]).map(({ slug, name }) => ({ value: String(slug), label: String(name) }))
}

/** The applications of a workspace. */
export const clientsOf = async (visit: Visit, workspace: string): Promise<Choice[]> => {
  if (!workspace || !allows(visit, 'listClients')) return []
  const { body } = await call(visit, 'listClients', { params: { workspace }, query: { limit: '200' } })
  return (body.items as Json[]).map(({ client_id, client_name }) => ({
    value: String(client_id),
    label: String(client_name ?? client_id),
  }))
}

/** What somebody is given from the beginning: groups, roles and a tenant, as far as the operator may give them. */
export interface Gifts {
  groups: Groups
  roles: Choice[]
  tenants: Choice[]
}

export const giftsOf = async (visit: Visit, inside: Inside): Promise<Gifts> => {
  const tenants = allows(visit, 'joinTenant') ? await tenantsOf(visit, inside) : []
  const [groups, roles] = await Promise.all([
    allows(visit, 'addMember') ? groupsOf(visit) : { list: [], more: false },
    allows(visit, 'assignRole') ? rolesOf(visit, tenants) : [],
  ])
  return { groups, roles, tenants }
}

/** The fields for what is given; few groups are ticked, many are named by path. */
export const giftFields = ({ groups, roles, tenants }: Gifts): Field[] => [
  ...(groups.list.length > 0 ? [groupsField(groups)] : []),
  ...(roles.length > 0 ? [{ name: 'roles', kind: 'checks' as const, label: 'Roles', options: roles, values: [] }] : []),
  ...(tenants.length > 0
    ? [
        {
          name: 'tenant',
          kind: 'select' as const,
          label: 'Tenant',
          hint: 'The customer that they act for; the roles above then count only there.',
          options: [{ value: '', label: 'None' }, ...tenants],
        },
      ]
    : []),
]

const groupsField = ({ list }: Groups): Field => {
  const common = { name: 'groups', label: 'Groups' }
  if (list.length <= mostTicks)
    return { ...common, kind: 'checks', options: list.map(({ id, path }) => ({ value: id, label: path })), values: [] }
  return { ...common, kind: 'textarea', hint: `Paths, one a line, such as ${list[0]?.path}.` }
}

/** Reads them again. Throws `unprocessable` where a path leads to no group. */
export const readGifts = (form: Record<string, string>, { groups, roles, tenants }: Gifts): Json => ({
  groups: readGroups(form, groups),
  roles: roles.map(({ value }) => value).filter((id) => form[`roles.${id}`]),
  tenant: tenants.some(({ value }) => value === form.tenant) ? form.tenant : null,
})

const readGroups = (form: Record<string, string>, { list }: Groups): string[] => {
  if (list.length <= mostTicks) return list.map(({ id }) => id).filter((id) => form[`groups.${id}`])
  const paths = linesOf(form.groups)
  const ids = new Map(list.map(({ id, path }) => [path.toLowerCase(), id]))
  const strange = paths.filter((path) => !ids.has(path.toLowerCase()))
  if (strange.length > 0) throw refuse({ '/groups': `There is no group ${strange.slice(0, 5).join(', ')}` })
  return paths.flatMap((path) => ids.get(path.toLowerCase()) ?? [])
}

/** The lines of a text that say something. */
export const linesOf = (text = ''): string[] =>
  text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean)
