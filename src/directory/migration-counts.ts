import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'

/** How many users of a pool were made here, live at its source still, and have come over from it. */
export interface People {
  local: number
  linked: number
  migrated: number
}

/** What became of people who came from a source, in some time: how often, and of failures and trials by what they were. */
export interface Outcomes {
  migrated: number
  synced: number
  failed: Counted[]
  observed: Counted[]
}

export interface Counted {
  name: string
  times: number
}

/** What happened on one day (UTC). */
export interface MigrationDay {
  date: string
  migrated: number
  synced: number
  failed: number
  observed: number
}

/** Everything that is counted of a pool's source: the last day and month, each day, and what found no place here. */
export interface Counts {
  day: Outcomes
  month: Outcomes
  days: MigrationDay[]
  roles: Counted[]
  groups: Counted[]
  outages: Counted[]
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const keptDays = 30
/** An event may be committed a moment after it happened; an hour counts as over when none can come any more. */
const lateMs = 10 * 60_000

/** How many users an external pool has. The ledger is folded up now and then, so that it stays a few lines. */
export const countPeople = async (db: Db, poolId: string): Promise<People> => {
  const { rows } = await sql<{ authority: keyof People; people: string; lines: number }>`
    select authority, sum(people) as people, count(*)::int as lines from pool_people
    where pool_id = ${poolId} group by authority`.execute(db)
  if (rows.reduce((sum, { lines }) => sum + lines, 0) > 100) await foldPeople(db, poolId)
  const of = (authority: keyof People) => Number(rows.find((row) => row.authority === authority)?.people ?? 0)
  return { local: of('local'), linked: of('linked'), migrated: of('migrated') }
}

// Whoever folds at the same moment finds the lines gone, and adds up the others alone.
const foldPeople = (db: Db, poolId: string) =>
  sql`
    with gone as (delete from pool_people where pool_id = ${poolId} returning authority, people)
    insert into pool_people (pool_id, authority, people)
    select ${poolId}, authority, sum(people) from gone group by authority having sum(people) <> 0`.execute(db)

/** What became of everybody who came from a pool's source, up to now. */
export const count = async (db: Db, at: Date, poolId: string): Promise<Counts> => {
  const hours = await hoursOf(db, at, poolId)
  const since = (ms: number) =>
    hours.filter(({ hour }) => hour.getTime() >= Math.floor((at.getTime() - ms) / hourMs) * hourMs)
  const month = since(keptDays * dayMs)
  return {
    day: outcomesOf(since(dayMs)),
    month: outcomesOf(month),
    days: daysOf(at, month),
    roles: namesOf(month, 'role').slice(0, 50),
    groups: namesOf(month, 'group').slice(0, 50),
    outages: namesOf(month, 'outage'),
  }
}

interface Hour {
  hour: Date
  kind: string
  name: string
  times: number
}

/** What was counted before, and what has happened since; hours that are over are counted for good on the way. */
const hoursOf = (db: Db, at: Date, poolId: string): Promise<Hour[]> =>
  db.transaction().execute(async (trx) => {
    const from = new Date(Math.floor((at.getTime() - keptDays * dayMs) / hourMs) * hourMs)
    const over = new Date(Math.floor((at.getTime() - lateMs) / hourMs) * hourMs)
    const counted = await countedUntil(trx, poolId, from)
    const until = new Date(Math.max(counted.getTime(), from.getTime()))
    if (until < over) {
      await keepHours(trx, poolId, until, over)
      await trx.deleteFrom('migrationHours').where('poolId', '=', poolId).where('hour', '<', from).execute()
    }
    const { rows } = await sql<Hour>`
      select hour, kind, name, times from migration_hours where pool_id = ${poolId} and hour >= ${from}
      union all ${eventsOf(poolId, until < over ? over : until, undefined)}`.execute(trx)
    return rows
  })

// Held until the end, so that two at once do not both count the same hour.
const countedUntil = async (db: Db, poolId: string, from: Date): Promise<Date> => {
  const { rows } = await sql<{ until: Date }>`
    insert into migration_counted (pool_id, until) values (${poolId}, ${from})
    on conflict (pool_id) do update set until = migration_counted.until returning until`.execute(db)
  return rows[0]?.until ?? from
}

const keepHours = async (db: Db, poolId: string, since: Date, until: Date): Promise<void> => {
  await sql`
    insert into migration_hours (pool_id, hour, kind, name, times)
    select ${poolId}, hour, kind, name, times from (${eventsOf(poolId, since, until)}) as told
    on conflict (pool_id, hour, kind, name) do update set times = excluded.times`.execute(db)
  await db.updateTable('migrationCounted').set({ until }).where('poolId', '=', poolId).execute()
}

/** Events by the hour; ids begin with the time, so that the index on them finds a span. */
const eventsOf = (poolId: string, since: Date, until: Date | undefined) => sql`
  select date_bin('1 hour', e.at, 'epoch'::timestamptz) as hour, k.kind, left(k.name, 100) as name, count(*)::int as times
  from events e cross join lateral (
    select case e.type when 'migration.migrated' then 'migrated' when 'migration.synced' then 'synced'
        when 'migration.failed' then 'failed' when 'migration.observed' then 'observed' else 'outage' end as kind,
      coalesce(e.data ->> 'reason', e.data ->> 'outcome', e.data ->> 'why', '') as name
    union all select 'role', r from jsonb_array_elements_text(coalesce(e.data -> 'role_names', '[]')) r
    union all select 'group', g from jsonb_array_elements_text(coalesce(e.data -> 'group_names', '[]')) g
  ) k
  where e.pool_id = ${poolId} and e.type in ${told}
    and e.at >= ${since} and e.id >= ${idAt(since)}::uuid
    and ${until ? sql`e.at < ${until}` : sql`true`}
  group by 1, 2, 3`

const told = sql`('migration.migrated', 'migration.synced', 'migration.failed', 'migration.observed', 'source.unavailable')`

// RFC 9562 section 5.7; a node's clock may run a little behind what it writes.
const idAt = (at: Date): string => {
  const time = Math.max(0, at.getTime() - hourMs)
    .toString(16)
    .padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`
}

const outcomesOf = (hours: readonly Hour[]): Outcomes => ({
  migrated: sumOf(hours, 'migrated'),
  synced: sumOf(hours, 'synced'),
  failed: namesOf(hours, 'failed'),
  observed: namesOf(hours, 'observed'),
})

const sumOf = (hours: readonly Hour[], wanted: string): number =>
  hours.reduce((sum, { kind, times }) => (kind === wanted ? sum + times : sum), 0)

const namesOf = (hours: readonly Hour[], wanted: string): Counted[] => {
  const sums = new Map<string, number>()
  for (const { kind, name, times } of hours) if (kind === wanted) sums.set(name, (sums.get(name) ?? 0) + times)
  return [...sums]
    .map(([name, times]) => ({ name, times }))
    .sort((a, b) => b.times - a.times || (a.name < b.name ? -1 : 1))
}

const daysOf = (at: Date, hours: readonly Hour[]): MigrationDay[] => {
  const today = Math.floor(at.getTime() / dayMs)
  return Array.from({ length: keptDays }, (_, index) => {
    const day = today - keptDays + 1 + index
    const own = hours.filter(({ hour }) => Math.floor(hour.getTime() / dayMs) === day)
    const date = new Date(day * dayMs).toISOString().slice(0, 10)
    const [migrated, synced, failed, observed] = (['migrated', 'synced', 'failed', 'observed'] as const).map((kind) =>
      sumOf(own, kind),
    )
    return { date, migrated, synced, failed, observed } as MigrationDay
  })
}

/** One failure as it may be shown: when, what the source said of itself, and the request that it happened in. */
export interface Failure {
  kind: string
  at: Date
  detail: string | null
  trace: string | null
}

/** The latest failures of a pool's source, at most so many of each kind among the last few hundred. */
export const listFailures = async (db: Db, at: Date, poolId: string, each = 3): Promise<Failure[]> => {
  const since = new Date(at.getTime() - keptDays * dayMs)
  const { rows } = await sql<Failure>`
    select kind, at, detail, trace from (
      select kind, at, detail, trace, row_number() over (partition by kind order by at desc) as place from (
        select coalesce(data ->> 'reason', data ->> 'why', '') as kind, at, data ->> 'detail' as detail, trace
        from events where pool_id = ${poolId} and type in ('migration.failed', 'source.unavailable') and at >= ${since}
        order by id desc limit 300
      ) as latest
    ) as placed where place <= ${each} order by at desc`.execute(db)
  return rows
}
