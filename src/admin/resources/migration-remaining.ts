import { z } from 'zod'
import * as audit from '../../directory/audit.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import * as rounds from '../../directory/migration-rounds.ts'
import type * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { remainingOf } from '../../signin/pools/remaining.ts'
import { listed, stateOf } from '../../signin/sources/guarded.ts'
import { getExternal, getMigrating, type PoolCall } from '../external-pool.ts'
import { readCursor, writeCursor } from '../list.ts'
import { roundOf, round as roundShown } from '../migration-shown.ts'
import { refuse, senderOf } from '../people.ts'
import { getChangeablePool } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const ofPool = z.strictObject({ pool: z.string().describe('Slug or id') })

const person = z.strictObject({
  external_id: z.string().describe('What the source calls them'),
  identifiers: z.array(
    z.strictObject({ type: z.enum(['email', 'mobile', 'username']), value: z.string(), verified: z.boolean() }),
  ),
  user: z.uuid().nullable().describe('Their copy here, which has no password; null where there is none'),
})

export const remainingRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools/{pool}/migration/remaining',
    name: 'listRemaining',
    summary: 'List who is at the source and has not come over; a page may be empty and still lead on',
    scope: 'users:read',
    params: ofPool,
    query: z.strictObject({ cursor: z.string().max(8000).optional().describe('`next_cursor` of the page before') }),
    answer: z.strictObject({
      items: z.array(person).describe('Those of one page of the source who have not come; the source says how many'),
      next_cursor: z.string().nullable(),
      seen: z.int().describe('How many people the source told of on this page'),
    }),
    status: 200,
    async handle(call) {
      const { services, query } = call
      const pool = await getExternal(call)
      const name = `remaining:${pool.id}`
      const [at] = readCursor(services.keyring, name, query.cursor) ?? []
      const page = await listed(pool, services, at)
      if (page === undefined) throw new Problem('conflict', { detail: 'This source cannot list its people.' })
      if (page.is !== 'ok') throw new Problem('unavailable', { detail: page.detail })
      const remaining = await remainingOf(services.db, pool, page.users)
      const items = remaining.map(({ externalId, identifiers, userId }) => ({
        external_id: externalId,
        identifiers: identifiers.map(({ kind, value, verified }) => ({ type: kind, value, verified })),
        user: userId ?? null,
      }))
      const next_cursor = page.next === undefined ? null : writeCursor(services.keyring, name, [page.next])
      return { body: { items, next_cursor, seen: page.users.length } }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/remaining/count',
    name: 'countRemaining',
    summary: 'Begin to count who has not come, by a way through everybody at the source',
    scope: 'pools:write',
    params: ofPool,
    answer: roundShown,
    status: 202,
    async handle(call) {
      const pool = await getExternal(call, getChangeablePool)
      demandList(call, pool)
      const wanted = { kind: 'count', workspaceId: null, perMinute: 60, days: 7, only: undefined } as const
      const begun = await inTransaction(call, (trx, at, by) =>
        rounds.start(trx, { ...call.services, at }, pool.id, wanted, by),
      )
      return { body: roundOf(begun) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/remaining/mail',
    name: 'mailRemaining',
    summary: 'Write to those who have not come: the link sets a password here and brings them over',
    scope: 'users:write',
    params: ofPool,
    query: z.strictObject({
      workspace: z.string().optional().describe('Slug or id of the workspace that sends; the first one if absent'),
    }),
    body: z.strictObject({
      only: z
        .array(z.string().min(1).max(320))
        .min(1)
        .max(200)
        .nullable()
        .default(null)
        .describe('What those go by who are to be written to; everybody if null'),
      per_minute: z.int().min(1).max(600).default(60).describe('Mails a minute at most'),
      days: z.int().min(1).max(30).default(7).describe('How long each link works, in days'),
    }),
    answer: roundShown,
    status: 202,
    async handle(call) {
      const { body } = call
      const pool = await getMigrating(call)
      if (pool.source.observe || pool.source.paused)
        throw new Problem('conflict', { detail: 'Nobody can come over while the source is only observed, or paused.' })
      const only = body.only?.map((typed, index) => readNamed(pool, typed, index))
      if (!only) demandList(call, pool)
      const workspace = await senderOf(call, pool, call.query.workspace)
      const wanted = {
        kind: 'mail',
        ...{ workspaceId: workspace.id, perMinute: body.per_minute, days: body.days, only },
      } as const
      const begun = await inTransaction(call, async (trx, at, by) => {
        const data = { by, only: only?.length ?? null }
        await audit.record(trx, at, { poolId: pool.id }, { type: 'migration.mailed', data })
        return rounds.start(trx, { ...call.services, at }, pool.id, wanted, by)
      })
      return { body: roundOf(begun) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/remaining/stop',
    name: 'stopRemaining',
    summary: 'End what is counted or sent; what has gone out stays good',
    scope: 'users:write',
    params: ofPool,
    status: 204,
    async handle(call) {
      const pool = await getExternal(call, getChangeablePool)
      await inTransaction(call, async (trx, at, by) => {
        if ((await rounds.stop(trx, at, pool.id)) === 0) return
        await audit.record(trx, at, { poolId: pool.id }, { type: 'migration.stopped', data: { by } })
      })
    },
  }),
]

const demandList = ({ services }: PoolCall, pool: pools.Pool): void => {
  if (!stateOf(pool, services).lists)
    throw new Problem('conflict', { detail: 'This source cannot list its people, or its settings are not complete.' })
}

const readNamed = ({ settings }: pools.Pool, typed: string, index: number): rounds.Waiting => {
  const read = readIdentifier(typed, settings.identifiers, settings.default_country)
  if (!read) throw refuse([{ pointer: `/only/${index}`, detail: 'Nobody of this pool goes by anything like that' }])
  return read
}
