import type { Field } from '../../../platform/http/render.ts'
import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, callDownload, type Outcome, type Visit } from '../page.ts'

const field = (name: string, label: string, kind: Field['kind'] = 'text'): Field => ({
  name,
  label,
  kind,
  required: true,
})

const filters = [
  field('type', 'Type'),
  field('workspace', 'Workspace'),
  field('pool', 'Pool'),
  field('user', 'User ID'),
  field('client', 'Client ID'),
  field('since', 'From', 'date'),
  field('until', 'Before', 'date'),
]

const list = async (visit: Visit): Promise<Outcome> => {
  const { cursor, ...asked } = visit.query
  const { body } = await call(visit, 'listEvents', { query: { ...queryOf(asked), ...(cursor ? { cursor } : {}) } })
  const { items, next_cursor: next } = body as { items: Json[]; next_cursor: string | null }
  const values = {
    filters: filters.map((one) => ({ ...one, value: asked[one.name] ?? '' })),
    events: items.map(eventOf),
    next: next ? `/console/events?${new URLSearchParams({ ...asked, cursor: next })}` : null,
    first: cursor ? `/console/events?${new URLSearchParams(asked)}` : null,
    downloads: (['csv', 'ndjson'] as const).map((format) => ({
      title: `Download as ${format.toUpperCase()}`,
      href: `/console/events/~export?${new URLSearchParams({ ...asked, format })}`,
    })),
  }
  return { show: { view: 'console/events', title: 'Events', values } }
}

const download = async (visit: Visit): Promise<Outcome> => {
  const { format = 'ndjson', ...asked } = visit.query
  return { download: await callDownload(visit, 'exportEvents', { query: { ...queryOf(asked), format } }) }
}

/** What the form asks, as the API takes it: days become moments, by UTC. */
const queryOf = (asked: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(asked).map(([name, value]) => [
      name,
      /^\d{4}-\d\d-\d\d$/.test(value) ? `${value}T00:00:00Z` : value,
    ]),
  )

const eventOf = ({ id, type, at, workspace_id, pool_id, user_id, client_id, trace, data }: Json) => {
  const { by, ...rest } = data as { by?: { kind: string; id?: string } } & Json
  return {
    id,
    type,
    at,
    by: by ? [by.kind, by.id].filter(Boolean).join(' ') : '',
    about: [
      workspace_id && { name: 'Workspace', value: workspace_id, href: `/console/workspaces/${String(workspace_id)}` },
      pool_id && { name: 'Pool', value: pool_id, href: `/console/pools/${String(pool_id)}` },
      user_id &&
        pool_id && {
          name: 'User',
          value: user_id,
          href: `/console/pools/${String(pool_id)}/users/${String(user_id)}`,
        },
      client_id && { name: 'Client', value: client_id, href: null },
      trace && { name: 'X-ray', value: trace, href: `/console/traces/${String(trace)}` },
    ].filter(Boolean),
    data: Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '',
  }
}

export const eventPages: ConsolePage[] = [
  { method: 'GET', path: '/events', handle: list },
  { method: 'GET', path: '/events/~export', handle: download },
]
