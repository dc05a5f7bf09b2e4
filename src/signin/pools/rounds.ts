import { z } from 'zod'
import type { Db } from '../../db/connect.ts'
import * as rounds from '../../directory/migration-rounds.ts'
import { languageOf } from '../../directory/outbox.ts'
import * as pools from '../../directory/pools.ts'
import * as workspaces from '../../directory/workspaces.ts'
import { enqueue } from '../../platform/jobs.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import type { Outsider } from '../outsider.ts'
import { guardedSource, listed } from '../sources/guarded.ts'
import type { Trouble } from '../sources/source.ts'
import { send } from '../summons.ts'
import { remainingOf, waitingFor } from './remaining.ts'

/** After so many answers in a row that told nothing, a round gives up. */
const mostFaults = 10
/** Mails go out in handfuls about this far apart, as many in a minute as was asked for. */
const handfulMs = 10_000
const pauseMs = 30_000

/** The job that takes a round a step further, and puts in the next step. */
export const workOn =
  (services: Services) =>
  async (payload: unknown): Promise<void> => {
    const { pool: poolId, id } = z.object({ pool: z.uuid(), id: z.uuid() }).parse(payload)
    const round = await rounds.find(services.db, poolId, id)
    const pool = await pools.findById(services.db, poolId)
    if (!round || !pool?.source) return
    if (round.kind === 'mail' && !mayCome(pool))
      return finish(
        services,
        round,
        'failed',
        'Nobody can come over now: the pool is closed, or its source only observed.',
      )
    if (pool.source.paused) return rest(services, round, paused)
    const people = rounds.unseal(services.keyring, round)
    if (people.length > 0) return write(services, pool, round, people)
    if (!round.atEnd) return read(services, pool, round)
    await finish(services, round, 'done')
  }

/** Whether whoever follows the link of a mail can come over. */
const mayCome = ({ status, source }: pools.Pool): boolean =>
  status === 'active' && source?.mode === 'migrate' && !source.observe

const paused: Trouble = { is: 'unavailable', detail: 'Calls to this source are paused' }

/** Reads the source's next page, and counts or remembers who has not come. */
const read = async (services: Services, pool: pools.Pool, round: rounds.Round): Promise<void> => {
  const page = await listed(pool, services, round.cursor ?? undefined)
  if (page === undefined) return finish(services, round, 'failed', 'This source cannot list its people.')
  if (page.is !== 'ok') return rest(services, round, page)
  const remaining = await remainingOf(services.db, pool, page.users)
  const people = round.kind === 'mail' ? remaining.flatMap((one) => waitingFor(one) ?? []) : []
  await step(services, round, 0, {
    waitingSealed: people.length > 0 ? rounds.seal(services.keyring, pool.id, people) : null,
    cursor: page.next ?? null,
    atEnd: page.next === undefined,
    seen: round.seen + page.users.length,
    missing: round.missing + remaining.length,
    skipped: round.kind === 'mail' ? round.skipped + remaining.length - people.length : 0,
    faults: 0,
    why: null,
  })
}

/** Writes to a handful of those who wait. Who has come over since is left in peace. */
const write = async (
  services: Services,
  pool: pools.Pool,
  round: rounds.Round,
  people: rounds.Waiting[],
): Promise<void> => {
  const workspace = round.workspaceId ? await workspaces.findById(services.db, round.workspaceId) : undefined
  if (!workspace) return finish(services, round, 'failed', 'The workspace that sends is gone.')
  const handful = people.slice(0, Math.max(1, Math.ceil((round.perMinute * handfulMs) / 60_000)))
  const later = people.slice(handful.length)
  const looked = await look(services, pool, handful)
  if ('trouble' in looked) return rest(services, round, looked.trouble)
  const around = { services, workspace, lang: languageOf({}, workspace) }
  await services.db
    .transaction()
    .execute(async (trx) => {
      let sent = 0
      for (const one of looked.people) sent += (await sendTo(trx, around, pool, one, round.days)) ? 1 : 0
      const progress = {
        waitingSealed: later.length > 0 ? rounds.seal(services.keyring, pool.id, later) : null,
        ...{ sent: round.sent + sent, skipped: round.skipped + handful.length - sent, faults: 0, why: null },
      }
      if (!(await rounds.advance(trx, services.clock.now(), round, progress))) throw new Overtaken()
      await next(trx, services, round, (handful.length * 60_000) / round.perMinute)
    })
    .catch((error: unknown) => {
      if (!(error instanceof Overtaken)) throw error
    })
}

/** Somebody stopped the round, or this step was done before: what it would have sent is not sent. */
class Overtaken extends Error {}

/** Those of a handful who have still not come, with where to write to; whom an operator named is looked up. */
const look = async (
  services: Services,
  pool: pools.Pool,
  handful: readonly rounds.Waiting[],
): Promise<{ people: rounds.Waiting[] } | { trouble: Trouble }> => {
  const source = guardedSource(pool, services)
  const answers = await Promise.all(
    handful.map(async (one) => (one.externalId === undefined ? source.find({ identifier: one }) : known(one))),
  )
  const trouble = answers.find((answer): answer is Trouble => troubles.has(answer.is))
  if (trouble) return { trouble }
  const outsiders = answers.flatMap((answer) => (answer.is === 'ok' ? [answer.user] : []))
  const remaining = await remainingOf(services.db, pool, outsiders)
  return { people: remaining.flatMap((one) => waitingFor(one) ?? []) }
}

const troubles = new Set<string>(['rate_limited', 'unavailable', 'misconfigured'])

/** Whom the source's list told of, as far as it is kept. */
const known = ({ kind, typed, externalId = '' }: rounds.Waiting): { is: 'ok'; user: Outsider } => ({
  is: 'ok',
  user: {
    ...{ externalId, identifiers: [{ kind, typed, verified: true }], claims: {}, profile: {}, roles: [], groups: [] },
    tenant: undefined,
  },
})

const sendTo = async (
  db: Db,
  around: Parameters<typeof send>[1],
  pool: pools.Pool,
  one: rounds.Waiting,
  days: number,
): Promise<boolean> => {
  try {
    if (one.address === undefined) return false
    await send(db, around, pool, { ...one, address: one.address }, days)
    return true
  } catch (error) {
    // Their mailbox has heard enough for now.
    if (error instanceof Problem && error.status === 429) return false
    throw error
  }
}

/** Waits as long as the source asks for, and gives up where it says nothing for long. */
const rest = async (services: Services, round: rounds.Round, { detail, retryAfter }: Trouble): Promise<void> => {
  if (round.faults + 1 >= mostFaults) return finish(services, round, 'failed', detail)
  const waitMs = retryAfter === undefined ? pauseMs : retryAfter * 1000
  await step(services, round, waitMs, { faults: round.faults + 1, why: detail })
}

const step = (
  services: Services,
  round: rounds.Round,
  waitMs: number,
  progress: Parameters<typeof rounds.advance>[3],
): Promise<void> =>
  services.db.transaction().execute(async (trx) => {
    if (await rounds.advance(trx, services.clock.now(), round, progress)) await next(trx, services, round, waitMs)
  })

const next = (db: Db, { clock }: Services, { poolId: pool, id }: rounds.Round, waitMs: number): Promise<void> =>
  enqueue(db, rounds.task, { pool, id }, waitMs > 0 ? { runAt: new Date(clock.now().getTime() + waitMs) } : {})

const finish = async (
  { db, clock }: Services,
  round: rounds.Round,
  state: 'done' | 'failed',
  why: string | null = null,
): Promise<void> => {
  await rounds.advance(db, clock.now(), round, { state, why })
}
