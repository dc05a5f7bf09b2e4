import { z } from 'zod'
import * as pools from '../../directory/pools.ts'
import { byOf, demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { pageOf, readCursor } from '../list.ts'
import { checkMatch, etagOf, getPool } from '../reach.ts'
import { listOf, listQuery, type Route, route } from '../route.ts'

const settings = pools.poolSettings.shape

/** What may be written of a pool; the settings stand beside the name, as in contract. */
const written = z.strictObject({
  slug: pools.newPool.shape.slug.describe('Name in addresses: lower-case letters, digits and dashes'),
  name: pools.newPool.shape.name,
  description: pools.newPool.shape.description,
  color: pools.newPool.shape.color.describe('#rrggbb, shown where people choose a pool'),
  kind: pools.newPool.shape.kind,
  ...settings,
})
const patched = written.extend({ status: z.enum(['active', 'inactive']) })

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
    summary: 'Change a pool',
    scope: 'pools:write',
    params: onePool,
    body: patched,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, ifMatch, body } = call
      const before = await getPool(call, call.params.pool)
      checkMatch(ifMatch, before)
      const { id: _id, created_at: _c, updated_at: _u, ...current } = poolOf(before)
      const { status, ...merged } = patchedBy(patched, current, body)
      const pool = await services.db
        .transaction()
        .execute((trx) => pools.update(trx, at, before, { ...splitSettings(merged), status }, byOf(actor)))
      return { body: poolOf(pool), etag: etagOf(pool) }
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
      const pool = await getPool(call, call.params.pool)
      await services.db.transaction().execute((trx) => pools.remove(trx, at, pool, byOf(actor)))
      return { body: undefined }
    },
  }),
]

const poolOf = ({ settings: set, createdAt, updatedAt, ...pool }: pools.Pool): z.input<typeof answered> => ({
  ...pool,
  ...set,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

const splitSettings = ({ slug, name, description, color, kind, ...rest }: z.output<typeof written>) => ({
  slug,
  name,
  description,
  color,
  kind,
  settings: rest,
})
