import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { reportOf } from '../../directory/pool-report.ts'
import { poolSettings } from '../../directory/pool-settings.ts'
import { poolSource } from '../../directory/pool-source.ts'
import { poolUpstream } from '../../directory/pool-upstream.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import type { Services } from '../../services.ts'
import { demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { demandGiving, demandSpeaking } from '../giving.ts'
import { byId, listRoute } from '../list.ts'
import { confirmMigration, settle, shownOutside } from '../pool-outside.ts'
import { amongOf, checkMatch, etagOf, getChangeablePool, getPool } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const settings = poolSettings.shape

/** What may be written of a pool; the settings stand beside the name, as in contract. */
const written = z.strictObject({
  slug: pools.newPool.shape.slug.describe('Name in addresses: lower-case letters, digits and dashes'),
  name: pools.newPool.shape.name,
  description: pools.newPool.shape.description,
  color: pools.newPool.shape.color.describe('#rrggbb, shown where people choose a pool'),
  kind: pools.newPool.shape.kind.describe('Where people live, or sign in; it stays once there are users'),
  ...settings,
  source: poolSource.nullable().default(null).describe('Where people of an external pool live, with its settings'),
  upstream: poolUpstream.nullable().default(null).describe('Where people of a federated pool sign in'),
})
/** The same of a pool that is there: it may be closed, too. */
export const patched = written.extend({ status: z.enum(['active', 'inactive']) })

const secrets = z.array(z.string()).describe('Names of the settings that are set, kept sealed, and never shown again')

const answered = z.strictObject({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  description: z.string(),
  color: z.string(),
  kind: z.enum(['local', 'external', 'federated']),
  status: z.enum(['active', 'inactive']).describe('Nobody of an inactive pool can sign in'),
  ...settings,
  source: poolSource.extend({ secrets }).nullable().describe('Where people of an external pool live'),
  upstream: poolUpstream.extend({ secrets }).nullable().describe('Where people of a federated pool sign in'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const confirmation = z
  .enum(['true', 'false'])
  .default('false')
  .describe('People move over for good as they sign in: yes, that is meant')

const onePool = z.strictObject({ pool: z.string().describe('Slug or id') })

export const poolRoutes: Route[] = [
  listRoute({
    path: '/pools',
    name: 'listPools',
    summary: 'List pools',
    scope: 'pools:read',
    params: z.strictObject({}),
    items: answered,
    async open(call) {
      const read = (page: Page) => pools.list(call.services.db, { ...page, among: amongOf(call) })
      return { list: 'pools', read, position: byId, item: poolOf }
    },
  }),
  route({
    method: 'POST',
    path: '/pools',
    name: 'createPool',
    summary: 'Make a pool',
    scope: 'pools:write',
    params: z.strictObject({}),
    query: z.strictObject({ confirm_migration: confirmation }),
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, query, body } = call
      demandEverything(call.actor)
      demandGiving(services, call.actor, undefined, body)
      if (query.confirm_migration === 'false') await confirmMigration(services.db, undefined, body)
      const id = uuidv7(call.at)
      const made = { id, ...outsideOf(services, undefined, splitSettings(body), {}, id) }
      const pool = await inTransaction(call, (trx, at, by) => pools.create(trx, at, made, by))
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
      confirm_migration: confirmation,
    }),
    body: patched,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, ifMatch, query, body } = call
      const before = await getChangeablePool(call, call.params.pool)
      checkMatch(ifMatch, before)
      const wanted = changeOf(services, before, body)
      demandGiving(services, call.actor, before, wanted)
      await demandSpeaking(services, call.actor, before, wanted)
      if (query.confirm_migration === 'false') await confirmMigration(services.db, before, wanted)
      if (query.accept_conflicts === 'false') await refuseConflicts(call, before, wanted)
      // Whoever was quicker is not overwritten, so what was looked at is what is changed.
      const pool = await inTransaction(call, (trx, at, by) => pools.update(trx, at, before, wanted, by))
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
      const pool = await getChangeablePool(call, call.params.pool)
      await inTransaction(call, (trx, at, by) => pools.remove(trx, at, pool, by))
    },
  }),
]

/** Every setting of a pool by a merge patch. Throws `unprocessable`. */
export const changeOf = (
  { keyring }: Pick<Services, 'keyring'>,
  before: pools.Pool,
  patch: Record<string, unknown>,
) => {
  const { id: _id, created_at: _c, updated_at: _u, source, upstream, ...current } = poolOf(before)
  const whole = { ...current, source: unnamed(source), upstream: unnamed(upstream) }
  const { status, ...merged } = patchedBy(patched, whole, patch)
  return { ...outsideOf({ keyring }, before, splitSettings(merged), patch), status }
}

/** The same as it may be written again: without the names of its secrets. */
export const unnamed = <Shown extends { secrets: string[] }>(shown: Shown | null) => {
  if (!shown) return null
  const { secrets: _secrets, ...rest } = shown
  return rest
}

type Split = ReturnType<typeof splitSettings>

/** What was written of a pool with its source and upstream ready to be stored: checked by their types, secrets sealed. */
export const outsideOf = (
  { keyring }: Pick<Services, 'keyring'>,
  before: pools.Pool | undefined,
  { source, upstream, ...split }: Split,
  patch: Record<string, unknown> = {},
  id = before?.id ?? '',
): Split => {
  const sentOf = (field: 'source' | 'upstream') => (patch[field] as { settings?: unknown } | null | undefined)?.settings
  const of = (field: 'source' | 'upstream') => ({ id, patch: sentOf(field) })
  return {
    ...split,
    source: settle(keyring, 'source', { ...of('source'), before: before?.source ?? null }, source),
    upstream: settle(keyring, 'upstream', { ...of('upstream'), before: before?.upstream ?? null }, upstream),
  }
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

/** A pool as operators see it. */
export const poolOf = ({
  settings: set,
  source,
  upstream,
  createdAt,
  updatedAt,
  ...pool
}: pools.Pool): z.input<typeof answered> => ({
  ...pool,
  ...set,
  source: shownOutside(source),
  upstream: shownOutside(upstream),
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

/** What was written of a pool, as the directory takes it. */
export const splitSettings = ({
  slug,
  name,
  description,
  color,
  kind,
  source,
  upstream,
  ...rest
}: z.output<typeof written>) => ({
  slug,
  name,
  description,
  color,
  kind,
  source,
  upstream,
  settings: rest,
})
