import { z } from 'zod'
import { type Report, reportOf } from '../../directory/pool-report.ts'
import { poolSettings } from '../../directory/pool-settings.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf, demandEverything, may } from '../access.ts'
import { patchedBy, patchOf } from '../check.ts'
import { pageOf, readCursor } from '../list.ts'
import { checkMatch, etagOf, getChangeablePool, getPool } from '../reach.ts'
import { type Call, listOf, listQuery, type Route, route } from '../route.ts'

const settings = poolSettings.shape

/** What may be written of a pool; the settings stand beside the name, as in contract. */
const written = z.strictObject({
  slug: pools.newPool.shape.slug.describe('Name in addresses: lower-case letters, digits and dashes'),
  name: pools.newPool.shape.name,
  description: pools.newPool.shape.description,
  color: pools.newPool.shape.color.describe('#rrggbb, shown where people choose a pool'),
  kind: pools.newPool.shape.kind,
  ...settings,
})
/** The same of a pool that is there: it may be closed, too. */
export const patched = written.extend({ status: z.enum(['active', 'inactive']) })

const answered = z.strictObject({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  description: z.string(),
  color: z.string(),
  kind: z.enum(['local', 'external', 'federated']),
  status: z.enum(['active', 'inactive']).describe('Nobody of an inactive pool can sign in'),
  ...settings,
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

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

export const poolRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools',
    name: 'listPools',
    summary: 'List pools',
    scope: 'pools:read',
    params: z.strictObject({}),
    query: listQuery({}),
    answer: listOf(answered),
    status: 200,
    async handle({ services, actor, query: { limit, cursor } }) {
      const { db, keyring } = services
      const [after] = readCursor(keyring, 'pools', cursor) ?? []
      const among = actor.pools && [...actor.pools]
      const rows = await pools.list(db, { limit: limit + 1, after, among })
      return { body: pageOf(rows, { limit, keyring, list: 'pools', position: ({ id }) => [id], item: poolOf }) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools',
    name: 'createPool',
    summary: 'Make a pool',
    scope: 'pools:write',
    params: z.strictObject({}),
    body: written,
    answer: answered,
    status: 201,
    async handle({ services, actor, body, at }) {
      demandEverything(actor)
      const pool = await services.db
        .transaction()
        .execute((trx) => pools.create(trx, at, splitSettings(body), byOf(actor)))
      return { body: poolOf(pool), etag: etagOf(pool), location: `/pools/${pool.slug}` }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}',
    name: 'getPool',
    summary: 'Read a pool',
    scope: 'pools:read',
    params: onePool,
    answer: answered,
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      return { body: poolOf(pool), etag: etagOf(pool) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/pools/{pool}',
    name: 'updatePool',
    summary: 'Change a pool; 409 where users who are there conflict with it',
    scope: 'pools:write',
    params: onePool,
    query: z.strictObject({
      accept_conflicts: z
        .enum(['true', 'false'])
        .default('false')
        .describe('Change it whatever `checkPool` would report, and do not look for it'),
    }),
    body: patched,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, ifMatch, query, body } = call
      const before = await getChangeablePool(call, call.params.pool)
      checkMatch(ifMatch, before)
      const wanted = changeOf(before, body)
      if (query.accept_conflicts === 'false') await refuseConflicts(call, before, wanted)
      // Whoever was quicker is not overwritten, so what was looked at is what is changed.
      const pool = await services.db.transaction().execute((trx) => pools.update(trx, at, before, wanted, byOf(actor)))
      return { body: poolOf(pool), etag: etagOf(pool) }
    },
  }),
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
      const after = await pools.changedBy(before, changeOf(before, call.body))
      const report = await reportOf(call.services.db, before, after)
      return { body: reportShown(report, may(call.actor, 'users:read')), etag: etagOf(before) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}',
    name: 'deletePool',
    summary: 'Delete a pool with everyone in it',
    scope: 'pools:write',
    params: onePool,
    status: 204,
    async handle(call) {
      const { services, actor, at } = call
      const pool = await getChangeablePool(call, call.params.pool)
      await services.db.transaction().execute((trx) => pools.remove(trx, at, pool, byOf(actor)))
      return { body: undefined }
    },
  }),
]

/** Every setting of a pool by a merge patch. Throws `unprocessable`. */
const changeOf = (before: pools.Pool, patch: Record<string, unknown>) => {
  const { id: _id, created_at: _c, updated_at: _u, ...current } = poolOf(before)
  const { status, ...merged } = patchedBy(patched, current, patch)
  return { ...splitSettings(merged), status }
}

/** Throws `conflict` with a pointer to each field that users who are there conflict with. */
const refuseConflicts = async (
  { services }: Pick<Call<unknown, unknown, unknown>, 'services'>,
  before: pools.Pool,
  wanted: ReturnType<typeof changeOf>,
): Promise<void> => {
  const { conflicts } = await reportOf(services.db, before, await pools.changedBy(before, wanted))
  if (conflicts.length === 0) return
  const detail = 'Users who are there conflict with it. To change it all the same, add ?accept_conflicts=true.'
  throw new Problem('conflict', {
    detail,
    errors: conflicts.map(({ field, detail }) => ({ pointer: `/${field}`, detail })),
  })
}

const reportShown = ({ changes, usersTouched, conflicts }: Report, named: boolean): z.input<typeof reported> => ({
  changes,
  users_touched: usersTouched,
  conflicts: conflicts.map((conflict) => ({ ...conflict, sample: named ? conflict.sample : [] })),
})

/** A pool as operators see it. */
export const poolOf = ({ settings: set, createdAt, updatedAt, ...pool }: pools.Pool): z.input<typeof answered> => ({
  ...pool,
  ...set,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

/** What was written of a pool, as the directory takes it. */
export const splitSettings = ({ slug, name, description, color, kind, ...rest }: z.output<typeof written>) => ({
  slug,
  name,
  description,
  color,
  kind,
  settings: rest,
})
