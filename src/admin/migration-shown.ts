import { z } from 'zod'
import * as counts from '../directory/migration-counts.ts'
import * as finish from '../directory/migration-finish.ts'
import * as rounds from '../directory/migration-rounds.ts'
import type { PoolSource } from '../directory/pool-source.ts'
import type { Pool } from '../directory/pools.ts'
import type { Services } from '../services.ts'
import { stateOf } from '../signin/sources/guarded.ts'
import { type Actor, may } from './access.ts'

const times = z.int().min(0)
const counted = z.array(z.strictObject({ name: z.string(), times }))

const outcomes = z.strictObject({
  migrated: times.describe('Came over for good'),
  synced: times.describe('Were made or changed here as a copy'),
  failed: counted.describe('Could not come over, by the reason'),
  observed: counted.describe('Were only looked at, by what the source said'),
})

/** How far a way through everybody at the source is. */
export const round = z.strictObject({
  id: z.uuid(),
  kind: z.enum(['count', 'mail']),
  state: z.enum(['running', 'done', 'failed', 'stopped']),
  seen: times.describe('People the source has told of'),
  missing: times.describe('Those of them who have not come'),
  sent: times.describe('Mails that went out'),
  skipped: times.describe('Those who got none: no address, just written to, or come in the meantime'),
  why: z.string().nullable().describe('What the source said last where it did not answer, or why it ended'),
  created_at: z.iso.datetime(),
  finished_at: z.iso.datetime().nullable(),
})

/** How far an external pool's people have come. */
export const progress = z.strictObject({
  state: z.strictObject({
    source: z.string().describe('The type of the source'),
    mode: z.enum(['migrate', 'sync']),
    observe: z.boolean(),
    paused: z.boolean(),
    frozen: z.boolean(),
    resting: z.boolean().describe('Whether the node that answers leaves the source alone, as it did not answer lately'),
    lists: z.boolean().describe('Whether the source can say who is there'),
  }),
  users: z.strictObject({
    local: times.describe('Were made here'),
    linked: times.describe('Are a copy of somebody at the source'),
    migrated: times.describe('Have come over for good'),
  }),
  last_day: outcomes.describe('The last 24 hours, by the hour'),
  last_month: outcomes.describe('The last 30 days'),
  days: z
    .array(z.strictObject({ date: z.iso.date(), migrated: times, synced: times, failed: times, observed: times }))
    .describe('The last 30 days one by one (UTC), the oldest first'),
  unmapped: z
    .strictObject({ roles: counted, groups: counted })
    .describe('Names at the source that nothing here is called by, the most frequent first, at most 50'),
  errors: z
    .array(
      z.strictObject({
        kind: z.string(),
        times: times.describe('In the last 30 days'),
        samples: z.array(
          z.strictObject({
            at: z.iso.datetime(),
            detail: z.string().nullable().describe('What the source said of itself; nothing of anybody'),
            trace: z.string().nullable().describe('The request that it happened in'),
          }),
        ),
      }),
    )
    .describe('What went wrong, the most frequent first, with the latest of each kind'),
  forecast: z.strictObject({
    per_day: z.number().describe('People who came over a day, over the last seven'),
    remaining: times.nullable().describe('Who has not come; null where nobody has counted'),
    counted_at: z.iso.datetime().nullable(),
    done_at: z.iso.datetime().nullable().describe('When all will have come at this pace; null where that is unknown'),
  }),
  rounds: z
    .strictObject({ count: round.nullable(), mail: round.nullable() })
    .describe('The latest way through everybody at the source, to count and to write'),
})

/** Whom a pool would lose without its source. */
export const closing = z.strictObject({
  linked: times.describe('Users who live at the source still'),
  without_password: times.describe('Users who have no password here'),
  lost: times.describe('Those of them who could not come in at all: no message reaches them, and they have no passkey'),
  sample: z.array(z.uuid()).describe('The first of the lost by id; empty without the scope users:read'),
  remaining: times.nullable().describe('Who has not come, of those that were counted at the source'),
})

type External = Pool & { source: PoolSource | null }

/** Everything that the cockpit shows of a pool. Nothing is counted over everybody. */
export const progressOf = async (services: Services, at: Date, pool: External): Promise<z.input<typeof progress>> => {
  const { db } = services
  const [people, told, failures, latest] = await Promise.all([
    counts.countPeople(db, pool.id),
    counts.count(db, at, pool.id),
    counts.listFailures(db, at, pool.id),
    rounds.latest(db, pool.id),
  ])
  return {
    state: switchesOf(services, pool),
    users: people,
    last_day: told.day,
    last_month: told.month,
    days: told.days,
    unmapped: { roles: told.roles, groups: told.groups },
    errors: errorsOf(told, failures),
    forecast: forecastOf(at, told.days, latest.count),
    rounds: { count: latest.count ? roundOf(latest.count) : null, mail: latest.mail ? roundOf(latest.mail) : null },
  }
}

const switchesOf = (services: Services, pool: External): z.input<typeof progress>['state'] => {
  const { type: source = '', mode = 'sync', observe = false, paused = false, frozen = false } = pool.source ?? {}
  return { source, mode, observe, paused, frozen, ...stateOf(pool, services) }
}

const errorsOf = (
  { month, outages }: counts.Counts,
  failures: counts.Failure[],
): z.input<typeof progress>['errors'] => {
  const kinds = new Map<string, number>()
  for (const { name, times: many } of [...month.failed, ...outages]) kinds.set(name, (kinds.get(name) ?? 0) + many)
  return [...kinds]
    .sort(([, one], [, other]) => other - one)
    .map(([kind, many]) => ({
      kind,
      times: many,
      samples: failures
        .filter((one) => one.kind === kind)
        .slice(0, 3)
        .map(({ at, detail, trace }) => ({ at: at.toISOString(), detail, trace })),
    }))
}

/** When everybody who was counted will have come, if it goes on as in the last seven days. */
const forecastOf = (
  at: Date,
  days: readonly counts.MigrationDay[],
  round_: Pick<rounds.Round, 'state' | 'missing' | 'createdAt' | 'finishedAt'> | undefined,
): z.input<typeof progress>['forecast'] => {
  const first = days.findIndex(({ migrated }) => migrated > 0)
  const week = days.slice(Math.max(days.length - 7, first < 0 ? days.length - 7 : first))
  const sum = week.reduce((all, { migrated }) => all + migrated, 0)
  const perDay = Math.round((sum / Math.max(1, week.length)) * 10) / 10
  if (round_?.state !== 'done') return { per_day: perDay, remaining: null, counted_at: null, done_at: null }
  const since = round_.createdAt.toISOString().slice(0, 10)
  const come = days.reduce((all, { date, migrated }) => (date > since ? all + migrated : all), 0)
  const remaining = Math.max(0, round_.missing - come)
  const doneAt = perDay > 0 ? new Date(at.getTime() + (remaining / perDay) * 86_400_000) : undefined
  const counted_at = (round_.finishedAt ?? round_.createdAt).toISOString()
  return { per_day: perDay, remaining, counted_at, done_at: doneAt?.toISOString() ?? null }
}

export const closingOf = async (
  { services, actor }: { services: Services; actor: Actor },
  pool: Pool,
): Promise<z.input<typeof closing>> => {
  const { db } = services
  const [report, people, latest] = await Promise.all([
    finish.report(db, pool),
    counts.countPeople(db, pool.id),
    rounds.latest(db, pool.id),
  ])
  return {
    linked: people.linked,
    without_password: report.withoutPassword,
    lost: report.lost,
    sample: may(actor, 'users:read') ? report.sample : [],
    remaining: latest.count?.state === 'done' ? latest.count.missing : null,
  }
}

export const roundOf = (one: rounds.Round): z.input<typeof round> => ({
  id: one.id,
  kind: one.kind,
  state: one.state,
  seen: one.seen,
  missing: one.missing,
  sent: one.sent,
  skipped: one.skipped,
  why: one.why,
  created_at: one.createdAt.toISOString(),
  finished_at: one.finishedAt?.toISOString() ?? null,
})
