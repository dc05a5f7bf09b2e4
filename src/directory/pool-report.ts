import { isDeepStrictEqual } from 'node:util'
import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { type Check, checksOf, type Person } from './pool-checks.ts'
import { shownSettings } from './pool-secrets.ts'
import type { Pool } from './pools.ts'

/** What a change of a pool would do to the users who are there. */
export interface Report {
  changes: { field: string; before: unknown; after: unknown }[]
  /** Active and new users with a conflict, each counted once. */
  usersTouched: number
  conflicts: Conflict[]
}

export interface Conflict {
  kind: Check['kind']
  /** The field of the pool that brings it about. */
  field: string
  detail: string
  count: number
  /** The first of them by id. */
  sample: { user: string; reason: string }[]
}

const batchSize = 1_000
const mostSampled = 20

/**
 * Tells what a change would conflict with, and changes nothing. Users are read only where something changed that they
 * could conflict with, a thousand at a time.
 */
export const reportOf = async (db: Db, before: Pool, after: Pool): Promise<Report> => {
  const changes = changesOf(before, after)
  const checks = checksOf(before, after)
  const found = checks.map((check) => ({ check, count: 0, sample: [] as Conflict['sample'] }))
  let usersTouched = 0
  for await (const people of readPeople(db, before.id, checks)) {
    const touched = new Set<string>()
    for (const one of found) {
      const reasons = await one.check.find(db, people)
      for (const [user, reason] of reasons) {
        touched.add(user)
        if (one.sample.length < mostSampled) one.sample.push({ user, reason })
      }
      one.count += reasons.size
    }
    usersTouched += touched.size
  }
  const conflicts = found.filter(({ count }) => count > 0).map(conflictOf)
  return { changes, usersTouched, conflicts }
}

const conflictOf = ({
  check,
  count,
  sample,
}: {
  check: Check
  count: number
  sample: Conflict['sample']
}): Conflict => ({
  kind: check.kind,
  field: check.field,
  detail: check.tell(count === 1 ? '1 user' : `${count} users`),
  count,
  sample,
})

const changesOf = (before: Pool, after: Pool): Report['changes'] => {
  const [old, wanted] = [fieldsOf(before), fieldsOf(after)]
  return Object.keys({ ...old, ...wanted })
    .map((field) => ({ field, before: Reflect.get(old, field), after: Reflect.get(wanted, field) }))
    .filter(({ before, after }) => !isDeepStrictEqual(before, after))
}

const fieldsOf = ({ slug, name, description, color, kind, status, settings, source, upstream }: Pool) => ({
  slug,
  name,
  description,
  color,
  kind,
  status,
  ...settings,
  source: source && { ...source, ...shownSettings(source.settings) },
  upstream: upstream && { ...upstream, ...shownSettings(upstream.settings) },
})

/** The active and new users of a pool, with what the checks need of them. */
const readPeople = async function* (db: Db, poolId: string, checks: Check[]): AsyncIterable<Person[]> {
  if (checks.length === 0) return
  for (let after: string | undefined; ; ) {
    const people: Person[] = await readBatch(db, poolId, checks, after)
    if (people.length > 0) yield people
    if (people.length < batchSize) return
    after = people.at(-1)?.id
  }
}

const readBatch = async (db: Db, poolId: string, checks: Check[], after: string | undefined): Promise<Person[]> => {
  const needed = new Set(checks.flatMap(({ needs }) => needs))
  const columns = Object.entries(parts).map(([name, { value, empty }]) =>
    needed.has(name as keyof typeof parts) ? value : empty,
  )
  // By exclusion, so that the walk is along the primary key: an index by status would have to be sorted for every batch.
  const { rows } = await sql<Person>`
    select u.id, u.status, ${sql.join(columns)} from users u
    where u.pool_id = ${poolId} and u.status not in ('inactive', 'deleted')
      and ${after === undefined ? sql`true` : sql`u.id > ${after}`}
    order by u.id limit ${batchSize}`.execute(db)
  return rows
}

const parts: Record<Check['needs'][number], { value: RawBuilder<unknown>; empty: RawBuilder<unknown> }> = {
  profile: { value: sql`u.profile`, empty: sql`'{}'::jsonb as profile` },
  metadata: { value: sql`u.metadata`, empty: sql`'{}'::jsonb as metadata` },
  identifiers: {
    value: sql`coalesce((select jsonb_agg(jsonb_build_object('kind', n.kind, 'value', n.value, 'typed', n.typed,
        'verified', n.verified_at is not null))
      from identifiers n where n.pool_id = u.pool_id and n.user_id = u.id), '[]') as identifiers`,
    empty: sql`'[]'::jsonb as identifiers`,
  },
  credentials: {
    value: sql`array(select c.kind from credentials c where c.pool_id = u.pool_id and c.user_id = u.id) as credentials`,
    empty: sql`'{}'::text[] as credentials`,
  },
}
