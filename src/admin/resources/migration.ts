import { z } from 'zod'
import * as audit from '../../directory/audit.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import * as finish from '../../directory/migration-finish.ts'
import * as rounds from '../../directory/migration-rounds.ts'
import type { PoolSource } from '../../directory/pool-source.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { remainingOf } from '../../signin/pools/remaining.ts'
import { listed, stateOf, trySource } from '../../signin/sources/guarded.ts'
import { byOf } from '../access.ts'
import { readCursor, writeCursor } from '../list.ts'
import { closing, closingOf, progress, progressOf, roundOf, round as roundShown } from '../migration-shown.ts'
import { refuse, senderOf } from '../people.ts'
import { confirmMigration, resultOf, tried } from '../pool-outside.ts'
import { getChangeablePool, getPool } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'

const ofPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const yes = z.enum(['true', 'false']).default('false')

type PoolCall = Pick<Call<{ pool: string }, unknown, unknown>, 'services' | 'actor' | 'params' | 'at'>

/** The external pool of a call. Throws `not_found`, and `conflict` where its people live nowhere else. */
const getExternal = async (call: PoolCall, get = getPool): Promise<pools.Pool & { source: PoolSource }> => {
  const pool = await get(call, call.params.pool)
  const { source } = pool
  if (!source) throw new Problem('conflict', { detail: 'This pool has no source: its people live here.' })
  return { ...pool, source }
}

/** The same where people come over for good. Throws `conflict` where they stay. */
const getMigrating = async (call: PoolCall) => {
  const pool = await getExternal(call, getChangeablePool)
  if (pools.staysElsewhere(pool))
    throw new Problem('conflict', {
      detail: 'People of this pool stay at their source: set its mode to migrate first.',
    })
  return pool
}

/** Sets a switch of the source, and tells how things stand. */
const set = async (call: PoolCall, pool: pools.Pool & { source: PoolSource }, change: Partial<PoolSource>) => {
  const { services, actor, at } = call
  const wanted = { ...pool, source: { ...pool.source, ...change } }
  const after = await services.db.transaction().execute((trx) => pools.update(trx, at, pool, wanted, byOf(actor)))
  return { body: await progressOf(services, at, after) }
}

const person = z.strictObject({
  external_id: z.string().describe('What the source calls them'),
  identifiers: z.array(
    z.strictObject({ type: z.enum(['email', 'mobile', 'username']), value: z.string(), verified: z.boolean() }),
  ),
  user: z.uuid().nullable().describe('Their copy here, which has no password; null where there is none'),
})

export const migrationRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools/{pool}/migration',
    name: 'getMigration',
    summary: 'Read how far an external pool’s people have come, and what went wrong',
    scope: 'pools:read',
    params: ofPool,
    answer: progress,
    status: 200,
    async handle(call) {
      return { body: await progressOf(call.services, call.at, await getExternal(call)) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/test',
    name: 'testMigration',
    summary: 'Try the settings of the source, without anybody’s password',
    scope: 'pools:write',
    params: ofPool,
    answer: tried,
    status: 200,
    async handle(call) {
      return { body: resultOf(await trySource(await getExternal(call), call.services)) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/observe',
    name: 'observeMigration',
    summary: 'Only try and report from now on, and write nothing; or no longer, with confirmation',
    scope: 'pools:write',
    params: ofPool,
    query: z.strictObject({ confirm_migration: yes.describe('People move over for good: yes, that is meant') }),
    body: z.strictObject({ observe: z.boolean() }),
    answer: progress,
    status: 200,
    async handle(call) {
      const pool = await getExternal(call, getChangeablePool)
      const source = { ...pool.source, observe: call.body.observe }
      if (call.query.confirm_migration === 'false') await confirmMigration(call.services.db, pool, { source })
      return set(call, pool, { observe: call.body.observe })
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/pause',
    name: 'pauseMigration',
    summary: 'Ask nothing of the source any more, at once',
    scope: 'pools:write',
    params: ofPool,
    answer: progress,
    status: 200,
    handle: async (call) => set(call, await getExternal(call, getChangeablePool), { paused: true }),
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/resume',
    name: 'resumeMigration',
    summary: 'Ask the source again, and let people come over as they sign in',
    scope: 'pools:write',
    params: ofPool,
    answer: progress,
    status: 200,
    handle: async (call) => set(call, await getExternal(call, getChangeablePool), { paused: false, frozen: false }),
  }),
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
      const { services, actor, at } = call
      const pool = await getExternal(call, getChangeablePool)
      demandList(call, pool)
      const wanted = { kind: 'count', workspaceId: null, perMinute: 60, days: 7, only: undefined } as const
      const begun = await services.db
        .transaction()
        .execute((trx) => rounds.start(trx, { ...services, at }, pool.id, wanted, byOf(actor)))
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
      const { services, actor, at, body } = call
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
      const begun = await services.db.transaction().execute(async (trx) => {
        const data = { by: byOf(actor), only: only?.length ?? null }
        await audit.record(trx, at, { poolId: pool.id }, { type: 'migration.mailed', data })
        return rounds.start(trx, { ...services, at }, pool.id, wanted, byOf(actor))
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
      await call.services.db.transaction().execute(async (trx) => {
        if ((await rounds.stop(trx, call.at, pool.id)) === 0) return
        await audit.record(
          trx,
          call.at,
          { poolId: pool.id },
          { type: 'migration.stopped', data: { by: byOf(call.actor) } },
        )
      })
      return { body: undefined }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/migration/finish',
    name: 'reportFinish',
    summary: 'Report who would lose their way in if the source were taken away; changes nothing',
    scope: 'pools:read',
    params: ofPool,
    answer: closing,
    status: 200,
    async handle(call) {
      return { body: await closingOf(call, await getExternal(call)) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/migration/finish',
    name: 'finishMigration',
    summary: 'End the migration: let nobody come over by signing in, or take the source away for good',
    scope: 'pools:write',
    params: ofPool,
    query: z.strictObject({ confirm: yes.describe('With `cut`: there is no way back, and that is meant') }),
    body: z.strictObject({
      step: z
        .enum(['freeze', 'cut'])
        .describe('`freeze`: only mails bring people over; `cut`: the pool is local, and its source is gone'),
    }),
    answer: closing,
    status: 200,
    async handle(call) {
      const { services, actor, at, body, query } = call
      const pool = await getMigrating(call)
      const report = await closingOf(call, pool)
      if (body.step === 'freeze') {
        await set(call, pool, { frozen: true })
        return { body: report }
      }
      if (query.confirm === 'false') throw refuseCut(report)
      await services.db.transaction().execute((trx) => finish.cut(trx, at, pool, byOf(actor)))
      return { body: report }
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

const refuseCut = ({ linked, without_password, lost }: z.input<typeof closing>): Problem => {
  const stay = `${without_password} have no password here and would need a message to get one`
  const detail = `The source goes for good, with its settings. ${linked} users still live there, ${stay}, and ${lost} could not come in at all. To do so, add ?confirm=true.`
  return new Problem('conflict', { detail, errors: [{ pointer: '/step', detail: `${lost} would lose their way in` }] })
}
