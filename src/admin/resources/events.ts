import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Db } from '../../db/connect.ts'
import type { Page } from '../../db/page.ts'
import * as events from '../../directory/events.ts'
import { csvLine } from '../../platform/csv.ts'
import type { Actor } from '../access.ts'
import { type ExportFormat, exportTypes } from '../export-body.ts'
import { byId, listRoute } from '../list.ts'
import { getPool, getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'

export const answered = z.strictObject({
  id: z.uuid(),
  type: z.string(),
  workspace_id: z.uuid().nullable(),
  pool_id: z.uuid().nullable(),
  user_id: z.uuid().nullable(),
  client_id: z.string().nullable(),
  data: z.record(z.string(), z.unknown()).describe('What the type tells; of a change, who did it, before and after'),
  trace: z
    .string()
    .nullable()
    .describe('The reference of the request that it happened in, if a browser or client sent it'),
  at: z.iso.datetime(),
})

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text))

const filters = {
  type: z
    .string()
    .regex(/^[a-z_]+\.[a-z_]+(,[a-z_]+\.[a-z_]+){0,19}$/)
    .optional()
    .describe('One type, or several with commas between'),
  workspace: z.string().optional().describe('Slug or id'),
  pool: z.string().optional().describe('Slug or id'),
  user: z.uuid().optional(),
  client: z.string().max(255).optional(),
  since: moment.optional().describe('From then on'),
  until: moment.optional().describe('Before then'),
  trace: z.string().max(64).optional().describe('Of the request with this reference'),
  interaction: z.string().min(10).max(64).optional().describe('Of the sign-in with this id'),
}
const filtered = z.strictObject(filters)

export const eventRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/events/export',
    name: 'exportEvents',
    summary: 'Download events as CSV or NDJSON, the newest first',
    scope: 'events:read',
    params: z.strictObject({}),
    query: z.strictObject({ format: z.enum(['ndjson', 'csv']).default('ndjson'), ...filters }),
    download: Object.values(exportTypes),
    status: 200,
    async handle(call) {
      const { services, actor, query } = call
      const filter = await filterOf(call)
      const stream = writeEvents(services.db, filter, reachOf(actor), query.format)
      return { type: exportTypes[query.format], filename: `events.${query.format}`, stream }
    },
  }),
  listRoute({
    path: '/events',
    name: 'listEvents',
    summary: 'List events, the newest first',
    scope: 'events:read',
    params: z.strictObject({}),
    filters,
    items: answered,
    async open(call) {
      const read = async (page: Page) => events.list(call.services.db, await filterOf(call), reachOf(call.actor), page)
      return { list: 'events', read, position: byId, item: eventOf }
    },
  }),
]

const filterOf = async (
  call: Pick<Call<unknown, z.output<typeof filtered>, unknown>, 'services' | 'actor' | 'query'>,
): Promise<events.Filter> => {
  const { type, user, client, since, until, trace, interaction } = call.query
  const about = { ...(await placesOf(call)), userId: user, clientId: client }
  return { types: type?.split(','), ...about, since, until, trace, story: interaction?.slice(0, 10) }
}

const writeEvents = (db: Db, filter: events.Filter, reach: events.Reach, format: ExportFormat): Readable =>
  Readable.from(linesOf(events.readAll(db, filter, reach), format))

const linesOf = async function* (batches: AsyncIterable<events.EventRecord[]>, format: ExportFormat) {
  if (format === 'csv') yield csvLine(columns)
  for await (const rows of batches) {
    const told = rows.map(eventOf)
    yield format === 'csv'
      ? told.map((event) => csvLine(columns.map((name) => textOf(event[name])))).join('')
      : told.map((event) => `${JSON.stringify(event)}\n`).join('')
  }
}

const columns = ['at', 'type', 'workspace_id', 'pool_id', 'user_id', 'client_id', 'trace', 'id', 'data'] as const

const textOf = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)

interface Places {
  workspace?: string | undefined
  pool?: string | undefined
}

/** The workspace and pool that a request asks about, by id. Throws `not_found` where one does not exist for this actor. */
export const placesOf = async (call: Pick<Call<unknown, Places, unknown>, 'services' | 'actor' | 'query'>) => {
  const { workspace, pool } = call.query
  return {
    workspaceId: workspace === undefined ? undefined : (await getWorkspace(call, workspace)).id,
    poolId: pool === undefined ? undefined : (await getPool(call, pool)).id,
  }
}

/** What an actor may be told of. */
export const reachOf = ({ workspaces, pools }: Actor): events.Reach => ({
  workspaces: workspaces && [...workspaces],
  pools: pools && [...pools],
})

export const eventOf = (event: events.EventRecord): z.input<typeof answered> => events.tell(event)
