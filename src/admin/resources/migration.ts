import { z } from 'zod'
import * as finish from '../../directory/migration-finish.ts'
import type { PoolSource } from '../../directory/pool-source.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import { trySource } from '../../signin/sources/guarded.ts'
import { getExternal, getMigrating, type PoolCall } from '../external-pool.ts'
import { closing, closingOf, progress, progressOf } from '../migration-shown.ts'
import { confirmMigration, resultOf, tried } from '../pool-outside.ts'
import { getChangeablePool } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'
import { remainingRoutes } from './migration-remaining.ts'

const ofPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const yes = z.enum(['true', 'false']).default('false')

/** Sets a switch of the source, and tells how things stand. */
const set = async (call: PoolCall, pool: pools.Pool & { source: PoolSource }, change: Partial<PoolSource>) => {
  const wanted = { ...pool, source: { ...pool.source, ...change } }
  const after = await inTransaction(call, (trx, at, by) => pools.update(trx, at, pool, wanted, by))
  return { body: await progressOf(call.services, call.at, after) }
}

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
  ...remainingRoutes,
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
      const { body, query } = call
      const pool = await getMigrating(call)
      const report = await closingOf(call, pool)
      if (body.step === 'freeze') {
        await set(call, pool, { frozen: true })
        return { body: report }
      }
      if (query.confirm === 'false') throw refuseCut(report)
      await inTransaction(call, (trx, at, by) => finish.cut(trx, at, pool, by))
      return { body: report }
    },
  }),
]

const refuseCut = ({ linked, without_password, lost }: z.input<typeof closing>): Problem => {
  const stay = `${without_password} have no password here and would need a message to get one`
  const detail = `The source goes for good, with its settings. ${linked} users still live there, ${stay}, and ${lost} could not come in at all. To do so, add ?confirm=true.`
  return new Problem('conflict', { detail, errors: [{ pointer: '/step', detail: `${lost} would lose their way in` }] })
}
