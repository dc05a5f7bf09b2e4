import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Page } from '../db/page.ts'
import type * as audit from './audit.ts'
import { dateOf, dayMs, findCounted, idAt, spansOf } from './event-counts.ts'

/** The only workspaces and pools whose events may be told, by id; undefined where all may. */
export interface Reach {
  workspaces: readonly string[] | undefined
  pools: readonly string[] | undefined
}

export interface Filter {
  types: readonly string[] | undefined
  workspaceId: string | undefined
  poolId: string | undefined
  userId: string | undefined
  clientId: string | undefined
  /** From then on. */
  since: Date | undefined
  /** Before then. */
  until: Date | undefined
  /** Of one request. */
  trace?: string | undefined
  /** What the traces of all requests of one interaction begin with. */
  story?: string | undefined
}

export interface EventRecord {
  id: string
  type: string
  workspaceId: string | null
  poolId: string | null
  userId: string | null
  clientId: string | null
  data: Record<string, unknown>
  trace: string | null
  at: Date
}

/** An event as the API and webhooks tell of it. */
export const tell = ({ id, type, workspaceId, poolId, userId, clientId, data, trace, at }: EventRecord) => ({
  id,
  type,
  workspace_id: workspaceId,
  pool_id: poolId,
  user_id: userId,
  client_id: clientId,
  data,
  trace,
  at: at.toISOString(),
})

/** Some events by their ids, in no order. */
export const findAll = (db: Db, ids: readonly string[]): Promise<EventRecord[]> =>
  db.selectFrom('events').selectAll().where('id', '=', sql<string>`any(${ids}::uuid[])`).execute()

/** Events, the newest first, from the one before `after`. */
export const list = (
  db: Db,
  { types, workspaceId, poolId, userId, clientId, since, until, trace, story }: Filter,
  reach: Reach,
  { limit, after }: Page,
): Promise<EventRecord[]> =>
  db
    .selectFrom('events')
    .selectAll()
    .$if(types !== undefined, (query) => query.where('type', '=', sql<string>`any(${types}::text[])`))
    .$if(workspaceId !== undefined, (query) => query.where('workspaceId', '=', workspaceId ?? ''))
    .$if(poolId !== undefined, (query) => query.where('poolId', '=', poolId ?? ''))
    .$if(userId !== undefined, (query) => query.where('userId', '=', userId ?? ''))
    // The index of a user's events begins with the pool.
    .$if(userId !== undefined && poolId === undefined, (query) =>
      query.where('poolId', '=', sql<string>`(select pool_id from users where id = ${userId}::uuid)`),
    )
    .$if(clientId !== undefined, (query) => query.where('clientId', '=', clientId ?? ''))
    .$if(since !== undefined, (query) => query.where(from(since ?? new Date())))
    .$if(until !== undefined, (query) => query.where(before(until ?? new Date())))
    .$if(trace !== undefined, (query) => query.where(beginsLike(trace ?? '')).where('trace', '=', trace ?? ''))
    .$if(story !== undefined, (query) => query.where(beginsLike(story ?? '')))
    .$if(after !== undefined, (query) => query.where('id', '<', after ?? ''))
    .where(reaches(reach))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()

/** The same, all of them in batches, read as fast as they are taken away. */
export const readAll = async function* (
  db: Db,
  filter: Filter,
  reach: Reach,
  batch = 500,
): AsyncIterable<EventRecord[]> {
  let after: string | undefined
  while (true) {
    const rows = await list(db, filter, reach, { limit: batch, after })
    if (rows.length > 0) yield rows
    if (rows.length < batch) return
    after = rows.at(-1)?.id
  }
}

/** Days that events stay that are many: anybody can cause refusals, and each refresh of a token is one. */
const fleetingDays = 30
const fleeting: readonly audit.Happening['type'][] = [
  'token.issued',
  'token.refused',
  'authorization.refused',
  'userinfo.refused',
  'registration.refused',
  'logout.refused',
]

/** Removes events of tokens and refusals that are old, in small batches. Answers how many rows went. */
export const forgetFleeting = async (db: Db, at: Date, batch = 500, mostBatches = 20): Promise<number> => {
  const until = idAt(at.getTime() - fleetingDays * dayMs)
  let removed = 0
  for (let round = 0; round < mostBatches; round += 1) {
    const { numAffectedRows = 0n } = await sql`
      delete from events where id in (
        select id from events where type = any(${fleeting}::text[]) and id < ${until}::uuid
        order by id limit ${batch} for update skip locked)`.execute(db)
    removed += Number(numAffectedRows)
    if (numAffectedRows < batch) break
  }
  return removed
}

/** What happened on a day (UTC). */
export interface Day {
  date: string
  sign_ins: number
  registrations: number
  failures: number
}

/** How often people signed in, registered and failed, for each of so many days up to today, the oldest first. */
export const countDays = async (
  db: Db,
  at: Date,
  days: number,
  places: Pick<Filter, 'workspaceId' | 'poolId'>,
  reach: Reach,
): Promise<Day[]> => {
  const wanted = daysUpTo(at, days)
  const { rows } = await sql<{ date: string; type: string; times: number }>`
    select to_char(day, 'YYYY-MM-DD') as date, type, sum(times)::int as times
    from (${await happened(db, wanted)}) happened
    where ${isIn(places)} and ${reaches(reach)} group by day, type`.execute(db)
  const told = new Map<string, Day>(
    wanted.map(dateOf).map((date) => [date, { date, sign_ins: 0, registrations: 0, failures: 0 }]),
  )
  for (const { date, type, times } of rows) {
    const counts = told.get(date)
    const column = counted[type]
    if (counts && column) counts[column] += times
  }
  return [...told.values()]
}

const daysUpTo = (at: Date, days: number): number[] => {
  const today = Math.floor(at.getTime() / dayMs)
  return Array.from({ length: days }, (_, index) => today - days + 1 + index)
}

/**
 * Of each of some days what is counted: by the day where that was done and nothing was added since, else event by event.
 */
const happened = async (db: Db, days: readonly number[]): Promise<RawBuilder<unknown>> => {
  const dates = await findCounted(db, days.map(dateOf))
  const rest = days.filter((day) => !dates.includes(dateOf(day)))
  const types = Object.keys(counted)
  return sql`
    select day, type, workspace_id, pool_id, times from event_counts
    where day = any(${dates}::date[]) and type = any(${types}::text[])
    union all
    select span.day, e.type, e.workspace_id, e.pool_id, 1
    from ${spansOf(rest)}
    join events e on e.type = any(${types}::text[]) and e.id >= span.first_id and e.id < span.last_id
      and e.at >= span.since and e.at < span.until`
}

const isIn = ({ workspaceId, poolId }: Pick<Filter, 'workspaceId' | 'poolId'>): RawBuilder<boolean> => sql<boolean>`(
  ${workspaceId === undefined ? sql`true` : sql`workspace_id = ${workspaceId}`}
  and ${poolId === undefined ? sql`true` : sql`pool_id = ${poolId}`})`

/** What happened in a pool within some days. */
export interface PoolCount {
  poolId: string
  slug: string
  name: string
  signIns: number
  registrations: number
  failures: number
}

/** The same by pool, the busiest first, over all the days; of pools that are gone nothing is told. */
export const countPools = async (
  db: Db,
  at: Date,
  days: number,
  places: Pick<Filter, 'workspaceId' | 'poolId'>,
  reach: Reach,
  limit = 50,
): Promise<PoolCount[]> => {
  const counting = (column: string) => {
    const types = Object.keys(counted).filter((type) => counted[type] === column)
    return sql<number>`coalesce(sum(times) filter (where type = any(${types}::text[])), 0)::int`
  }
  const { rows } = await sql<PoolCount>`
    select pools.id as pool_id, pools.slug, pools.name, ${counting('sign_ins')} as sign_ins,
      ${counting('registrations')} as registrations, ${counting('failures')} as failures
    from (${await happened(db, daysUpTo(at, days))}) happened join pools on pools.id = happened.pool_id
    where ${isIn(places)} and ${reaches(reach)}
    group by pools.id, pools.slug, pools.name order by sum(times) desc, pools.slug limit ${limit}`.execute(db)
  return rows
}

const counted: Record<string, 'sign_ins' | 'registrations' | 'failures'> = {
  'sign_in.succeeded': 'sign_ins',
  'user.registered': 'registrations',
  'sign_in.failed': 'failures',
  'sign_in.refused': 'failures',
}

// What belongs to no workspace and no pool belongs to nobody with limits.
const reaches = ({ workspaces, pools }: Reach): RawBuilder<boolean> => {
  const workspace = workspaces ? sql`(workspace_id is null or workspace_id = any(${workspaces}::uuid[]))` : sql`true`
  const pool = pools ? sql`(pool_id is null or pool_id = any(${pools}::uuid[]))` : sql`true`
  const some = workspaces || pools ? sql`(workspace_id is not null or pool_id is not null)` : sql`true`
  return sql<boolean>`(${workspace} and ${pool} and ${some})`
}

// Ids begin with the time (RFC 9562 section 5.7), so that the index on them finds a span; many at once may run ahead of it.
const from = (at: Date): RawBuilder<boolean> => sql<boolean>`(at >= ${at} and id >= ${idAt(at.getTime())}::uuid)`
const before = (at: Date): RawBuilder<boolean> =>
  sql<boolean>`(at < ${at} and id < ${idAt(at.getTime() + dayMs)}::uuid)`

// As the index has it.
const beginsLike = (trace: string): RawBuilder<boolean> => sql<boolean>`left(trace, 10) = left(${trace}, 10)`
