import { z } from 'zod'
import { type Report, reportOf } from '../../directory/pool-report.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { openUpstream } from '../../signin/pools/federated.ts'
import { trySource } from '../../signin/sources/guarded.ts'
import { may } from '../access.ts'
import { patchOf } from '../check.ts'
import { resultOf, tried } from '../pool-outside.ts'
import { etagOf, getPool } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { changeOf, patched } from './pools.ts'

const reported = z.strictObject({
  changes: z
    .array(
      z.strictObject({
        field: z.string().describe('Name of the field'),
        before: z.unknown().describe('What it is'),
        after: z.unknown().describe('What it would be'),
      }),
    )
    .describe('What would change'),
  users_touched: z.int().describe('Active and new users with a conflict, each counted once'),
  conflicts: z
    .array(
      z.strictObject({
        kind: z
          .enum(['schema', 'metadata_schema', 'identifier_missing', 'identifier_collision', 'method'])
          .describe('What users would lose: their fit, their last identifier, what they type, or their last way in'),
        field: z.string().describe('The field that brings it about'),
        detail: z.string().describe('What is wrong, in a sentence'),
        count: z.int().describe('How many active and new users'),
        sample: z
          .array(z.strictObject({ user: z.uuid(), reason: z.string().describe('What is wrong for this user') }))
          .max(20)
          .describe('The first of them by id; empty without the scope users:read'),
      }),
    )
    .describe('What users would lose, by field'),
})

const onePool = z.strictObject({ pool: z.string().describe('Slug or id') })

/** What looks at a pool, or tries it, and changes nothing. */
export const poolCheckRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/pools/{pool}/check',
    name: 'checkPool',
    summary: 'Report which users a change of a pool would conflict with, and change nothing',
    scope: 'pools:write',
    params: onePool,
    body: patchOf(patched),
    answer: reported,
    status: 200,
    async handle(call) {
      const before = await getPool(call, call.params.pool)
      const after = await pools.changedBy(before, changeOf(call.services, before, call.body))
      const report = await reportOf(call.services.db, before, after)
      return { body: reportShown(report, may(call.actor, 'users:read')), etag: etagOf(before) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/source/test',
    name: 'testSource',
    summary: 'Try the settings of an external pool’s source, without anybody’s password',
    scope: 'pools:write',
    params: onePool,
    answer: tried,
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      if (!pool.source) throw new Problem('conflict', { detail: 'This pool has no source.' })
      return { body: resultOf(await trySource(pool, call.services)) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/upstream/test',
    name: 'testUpstream',
    summary: 'Try the settings of a federated pool’s upstream, without anybody signing in',
    scope: 'pools:write',
    params: onePool,
    answer: tried,
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      if (!pool.upstream) throw new Problem('conflict', { detail: 'This pool has no upstream.' })
      return { body: resultOf(await openUpstream(pool, call.services).test()) }
    },
  }),
]

const reportShown = ({ changes, usersTouched, conflicts }: Report, named: boolean): z.input<typeof reported> => ({
  changes,
  users_touched: usersTouched,
  conflicts: conflicts.map((conflict) => ({ ...conflict, sample: named ? conflict.sample : [] })),
})
