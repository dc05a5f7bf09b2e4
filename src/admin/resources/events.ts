import { z } from 'zod'
import * as events from '../../directory/events.ts'
import type { Actor } from '../access.ts'
import { pageOf, readCursor } from '../list.ts'
import { getPool, getWorkspace } from '../reach.ts'
import { type Call, listOf, listQuery, type Route, route } from '../route.ts'

const answered = z.strictObject({
  id: z.uuid(),
  type: z.string(),
  workspace_id: z.uuid().nullable(),
  pool_id: z.uuid().nullable(),
  user_id: z.uuid().nullable(),
  client_id: z.string().nullable(),
  data: z.record(z.string(), z.unknown()).describe('What the type tells; of a change, who did it, before and after'),
  at: z.iso.datetime(),
})

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text))

export const eventRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/events',
    name: 'listEvents',
    summary: 'List events, the newest first',
    scope: 'events:read',
    params: z.strictObject({}),
    query: listQuery({
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
    }),
    answer: listOf(answered),
    status: 200,
    async handle(call) {
      const { services, actor, query } = call
      const { db, keyring } = services
      const { limit, type, user, client, since, until } = query
      const [after] = readCursor(keyring, 'events', query.cursor) ?? []
      const about = { ...(await placesOf(call)), userId: user, clientId: client }
      const filter = { types: type?.split(','), ...about, since, until }
      const rows = await events.list(db, filter, reachOf(actor), { limit: limit + 1, after })
      return { body: pageOf(rows, { limit, keyring, list: 'events', position: ({ id }) => [id], item: eventOf }) }
    },
  }),
]

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

const eventOf = ({
  id,
  type,
  workspaceId,
  poolId,
  userId,
  clientId,
  data,
  at,
}: events.EventRecord): z.input<typeof answered> => ({
  id,
  type,
  workspace_id: workspaceId,
  pool_id: poolId,
  user_id: userId,
  client_id: clientId,
  data,
  at: at.toISOString(),
})
