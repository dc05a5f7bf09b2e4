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
        .array(
          z.strictObject({
            date: z.iso.date().describe('The day'),
            sign_ins: times,
            registrations: times,
            failures: times,
          }),
        )
        .describe('The oldest first, by UTC'),
      pools: z
        .array(
          z.strictObject({
            id: z.uuid(),
            slug: z.string(),
            name: z.string(),
            sign_ins: times,
            registrations: times,
            failures: times,
          }),
        )
        .describe('The same over all the days by pool, the busiest first, at most 50'),
    }),
    status: 200,
    async handle(call) {
      const { services, actor, at, query } = call
      const places = await placesOf(call)
      const asked = [at, query.days, places, reachOf(actor)] as const
      const [days, pools] = await Promise.all([
        events.countDays(services.db, ...asked),
        events.countPools(services.db, ...asked),
      ])
      return { body: { days, pools: pools.map(poolOf) } }
    },
  }),
]

const poolOf = ({ poolId, signIns, ...pool }: events.PoolCount) => ({ id: poolId, sign_ins: signIns, ...pool })
