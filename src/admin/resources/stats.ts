import { z } from 'zod'
import * as events from '../../directory/events.ts'
import { type Route, route } from '../route.ts'
import { placesOf, reachOf } from './events.ts'

const times = z.int().min(0)

export const statsRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/stats',
    name: 'getStats',
    summary: 'Count sign-ins, registrations and failures by day',
    scope: 'stats:read',
    params: z.strictObject({}),
    query: z.strictObject({
      days: z.coerce.number().int().min(1).max(90).default(30).describe('How many days up to today'),
      workspace: z.string().optional().describe('Slug or id'),
      pool: z.string().optional().describe('Slug or id'),
    }),
    answer: z.strictObject({
      days: z
        .array(z.strictObject({ date: z.iso.date(), sign_ins: times, registrations: times, failures: times }))
        .describe('The oldest first, by UTC'),
    }),
    status: 200,
    async handle(call) {
      const { services, actor, at, query } = call
      const places = await placesOf(call)
      return { body: { days: await events.countDays(services.db, at, query.days, places, reachOf(actor)) } }
    },
  }),
]
