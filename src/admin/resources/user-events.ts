import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as events from '../../directory/events.ts'
import { byId, listRoute } from '../list.ts'
import { getRecord } from '../people.ts'
import type { Route } from '../route.ts'
import { reachOf } from './events.ts'

const oneUser = z.strictObject({ pool: z.string().describe('Slug or id'), id: z.uuid() })

const event = z.strictObject({
  id: z.uuid(),
  type: z.string(),
  at: z.iso.datetime(),
  workspace_id: z.uuid().nullable(),
  client_id: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  trace: z.string().nullable().describe('The reference of the request that it happened in'),
})

export const userEventRoutes: Route[] = [
  listRoute({
    path: '/pools/{pool}/users/{id}/events',
    name: 'listUserEvents',
    summary: 'List what happened to a user, the newest first',
    scope: 'users:read',
    params: oneUser,
    items: event,
    async open(call) {
      const { pool, user } = await getRecord(call)
      const about = { ...everything, poolId: pool.id, userId: user.id }
      const read = (page: Page) => events.list(call.services.db, about, reachOf(call.actor), page)
      return { list: `events:${user.id}`, read, position: byId, item: eventOf }
    },
  }),
]

const everything = {
  types: undefined,
  workspaceId: undefined,
  clientId: undefined,
  since: undefined,
  until: undefined,
}

const eventOf = ({ id, type, at, workspaceId, clientId, data, trace }: events.EventRecord): z.input<typeof event> => ({
  id,
  type,
  at: at.toISOString(),
  workspace_id: workspaceId,
  client_id: clientId,
  data,
  trace,
})
