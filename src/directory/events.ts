import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/connect.ts'

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

/** Events, the newest first, from the one before `after`. */
export const list = (
  db: Db,
  { types, workspaceId, poolId, userId, clientId, since, until, trace, story }: Filter,
  reach: Reach,
  { limit, after }: { limit: number; after: string | undefined },
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
  { workspaceId, poolId }: Pick<Filter, 'workspaceId' | 'poolId'>,
  reach: Reach,
): Promise<Day[]> => {
  const today = Math.floor(at.getTime() / dayMs)
  const first = new Date((today - days + 1) * dayMs)
  const day = sql<Date>`(at at time zone 'UTC')::date`
  const rows = await db
    .selectFrom('events')
    .select([sql<string>`to_char(${day}, 'YYYY-MM-DD')`.as('date'), 'type'])
    .select(sql<number>`count(*)::int`.as('times'))
    .where('type', '=', sql<string>`any(${Object.keys(counted)}::text[])`)
    .where(from(first))
    .$if(workspaceId !== undefined, (query) => query.where('workspaceId', '=', workspaceId ?? ''))
    .$if(poolId !== undefined, (query) => query.where('poolId', '=', poolId ?? ''))
    .where(reaches(reach))
    .groupBy([day, 'type'])
    .execute()
  const told = new Map<string, Day>()
  for (let number = today - days + 1; number <= today; number += 1) {
    const date = new Date(number * dayMs).toISOString().slice(0, 10)
    told.set(date, { date, sign_ins: 0, registrations: 0, failures: 0 })
  }
  for (const { date, type, times } of rows) {
    const counts = told.get(date)
    const column = counted[type]
    if (counts && column) counts[column] += times
  }
  return [...told.values()]
}

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
export const countPools = (
  db: Db,
  at: Date,
  days: number,
  { workspaceId, poolId }: Pick<Filter, 'workspaceId' | 'poolId'>,
  reach: Reach,
  limit = 50,
): Promise<PoolCount[]> => {
  const first = new Date((Math.floor(at.getTime() / dayMs) - days + 1) * dayMs)
  const counting = (column: string) => {
    const types = Object.keys(counted).filter((type) => counted[type] === column)
    return sql<number>`(count(*) filter (where type = any(${types}::text[])))::int`
  }
  return db
    .selectFrom('events')
    .innerJoin('pools', 'pools.id', 'events.poolId')
    .select(['pools.id as poolId', 'pools.slug', 'pools.name'])
    .select([
      counting('sign_ins').as('signIns'),
      counting('registrations').as('registrations'),
      counting('failures').as('failures'),
    ])
    .where('type', '=', sql<string>`any(${Object.keys(counted)}::text[])`)
    .where(from(first, sql.ref('events.id')))
    .$if(workspaceId !== undefined, (query) => query.where('workspaceId', '=', workspaceId ?? ''))
    .$if(poolId !== undefined, (query) => query.where('poolId', '=', poolId ?? ''))
    .where(reaches(reach))
    .groupBy(['pools.id', 'pools.slug', 'pools.name'])
    .orderBy(sql`count(*)`, 'desc')
    .orderBy('pools.slug')
    .limit(limit)
    .execute()
}

const dayMs = 86_400_000

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
const from = (at: Date, id: RawBuilder<unknown> = sql.ref('id')): RawBuilder<boolean> =>
  sql<boolean>`(at >= ${at} and ${id} >= ${idAt(at.getTime())}::uuid)`
const before = (at: Date): RawBuilder<boolean> =>
  sql<boolean>`(at < ${at} and id < ${idAt(at.getTime() + dayMs)}::uuid)`

// As the index has it.
const beginsLike = (trace: string): RawBuilder<boolean> => sql<boolean>`left(trace, 10) = left(${trace}, 10)`

const idAt = (ms: number): string => {
  const time = Math.max(0, ms).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`
}
