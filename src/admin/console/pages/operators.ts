import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, type Visit } from '../page.ts'
import { pagesOf, type Section } from '../section.ts'

const operators: Section = {
  path: '/operators',
  param: 'user',
  one: 'operator',
  many: 'Operators',
  about:
    'Who may use this console and the API, what they may do, and where. They are users of the pool of administrators.',
  routes: {
    list: 'listOperators',
    get: 'getOperator',
    create: 'inviteOperator',
    update: 'putOperator',
    remove: 'deleteOperator',
  },
  id: ({ id }) => String(id),
  name: (item) => nameOf(item),
  columns: [
    { title: 'Name', text: (item) => nameOf(item) },
    { title: 'Role', text: ({ role }) => String(role), as: 'badge' },
    { title: 'Status', text: ({ status }) => String(status), as: 'badge' },
    { title: 'Workspaces', text: ({ workspaces }) => reachOf(workspaces) },
    { title: 'Pools', text: ({ pools }) => reachOf(pools) },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  wording: async (visit) => ({
    hints: {
      workspaces: 'None ticked: all of them.',
      pools: 'None ticked: all of them.',
    },
    options: await reachable(visit),
    emptyIsNull: ['workspaces', 'pools'],
  }),
  made: (_, { body }) => ({ to: '/console/operators', notice: `An invitation went to ${String(body.email)}.` }),
  loss: (item) => `${nameOf(item)} stays a user of the pool of administrators, and can do nothing here any more.`,
  dangerous: true,
}

export const operatorPages: ConsolePage[] = pagesOf(operators)

const nameOf = ({ identifiers, id }: Json): string => {
  const [first] = identifiers as { value: string }[]
  return first?.value ?? String(id)
}

const reachOf = (ids: unknown): string => (Array.isArray(ids) ? `${ids.length} of them` : 'All')

const reachable = async (visit: Visit) => ({
  workspaces: await choicesOf(visit, 'listWorkspaces'),
  pools: await choicesOf(visit, 'listPools'),
})

const choicesOf = async (visit: Visit, route: string): Promise<{ value: string; label: string }[]> => {
  const { body } = await call(visit, route, { params: {}, query: { limit: '200' } })
  return (body.items as Json[]).map(({ id, name }) => ({ value: String(id), label: String(name) }))
}
