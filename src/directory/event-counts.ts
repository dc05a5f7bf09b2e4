import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/connect.ts'

export const dayMs = 86_400_000

/** How many days back are counted by the day; statistics ask for no more. */
const reachBack = 92
/** How long after its end a day is counted, in milliseconds: longer than any transaction that may still add to it. */
const settlingMs = 3_600_000
/** Ids begin with the time of their node, and many at once may run ahead of it (RFC 9562 section 6.2). */
const aheadMs = dayMs

/** The lowest id that an event of a moment can have. */
export const idAt = (ms: number): string => {
  const time = Math.max(0, ms).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`
}

/** A day (UTC) by the number of days since 1970. */
export const dateOf = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10)

/** What finds the events of a day fast: its moments and its span of ids. */
const spanOf = (day: number) => ({
  date: dateOf(day),
  from: new Date(day * dayMs),
  until: new Date((day + 1) * dayMs),
  firstId: idAt(day * dayMs),
  lastId: idAt((day + 1) * dayMs + aheadMs),
})

/**
 * Counts days that are over, the latest first, at most so many at a time, and those again that something was added to
 * since. Answers how many. Two nodes never count at once.
 */
export const countDaysThatAreOver = async (db: Db, at: Date, most = 5): Promise<number> => {
  const last = Math.floor((at.getTime() - settlingMs) / dayMs) - 1
  const days = Array.from({ length: reachBack }, (_, back) => last - back)
  const counted = new Set(await findCounted(db, days.map(dateOf)))
  const due = days.filter((day) => !counted.has(dateOf(day))).slice(0, most)
  return due.length > 0 && (await countDays(db, at, due)) ? due.length : 0
}

/** Which of some days are counted, with nothing added since. */
export const findCounted = async (db: Db, dates: readonly string[]): Promise<string[]> => {
  const { rows } = await sql<{ date: string }>`
    select to_char(d.day, 'YYYY-MM-DD') as date from event_days d
    where d.day = any(${dates}::date[]) and not exists (select from late_events l where l.day = d.day)`.execute(db)
  return rows.map(({ date }) => date)
}

/** Days as rows for a statement, with what finds the events of each fast. */
export const spansOf = (days: readonly number[]): RawBuilder<unknown> => {
  const spans = days.map(spanOf)
  return sql`unnest(
    ${spans.map(({ date }) => date)}::date[], ${spans.map(({ from }) => from)}::timestamptz[],
    ${spans.map(({ until }) => until)}::timestamptz[], ${spans.map(({ firstId }) => firstId)}::uuid[],
    ${spans.map(({ lastId }) => lastId)}::uuid[]
  ) as span (day, since, until, first_id, last_id)`
}

// What is added while this counts is either seen by the statement that counts, or its mark outlives the first: marks and
// events are committed together, and each statement sees what had been committed as it began.
const countDays = (db: Db, at: Date, days: readonly number[]): Promise<boolean> =>
  db.transaction().execute(async (trx) => {
    const dates = days.map(dateOf)
    const { rows } = await sql<{ ours: boolean }>`
      select pg_try_advisory_xact_lock(hashtext('lido.event_counts')) as ours`.execute(trx)
    if (!rows[0]?.ours) return false
    await sql`delete from late_events where day = any(${dates}::date[])`.execute(trx)
    await sql`delete from event_counts where day = any(${dates}::date[])`.execute(trx)
    await sql`
      insert into event_counts (day, type, workspace_id, pool_id, times)
      select span.day, e.type, e.workspace_id, e.pool_id, count(*)
      from ${spansOf(days)} join events e on e.id >= span.first_id and e.id < span.last_id
        and e.at >= span.since and e.at < span.until
      group by span.day, e.type, e.workspace_id, e.pool_id`.execute(trx)
    await sql`
      insert into event_days (day, counted_at) select day, ${at} from unnest(${dates}::date[]) as day
      on conflict (day) do update set counted_at = excluded.counted_at`.execute(trx)
    return true
  })
