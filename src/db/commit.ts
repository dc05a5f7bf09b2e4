import type pg from 'pg'
import { isDeadlock } from './connect.ts'
import { type AttemptRow, type EventRow, keyOf, type Work } from './work.ts'

/** Why a work was not written: somebody else was first. Nothing of it is in the database then. */
export type Lost = 'consumed' | 'stale' | 'gone' | undefined

// One statement, so one durable commit: first what may be lost (single use, attempt versions, sessions that go on),
// then all the rest of the works that won. Rows are locked in key order, so that two nodes with the same rows cannot
// block each other. Parts that no work needs are left out: even empty, each costs.
const partsOf = {
  consumptions: `wanted as (
  select * from jsonb_to_recordset($1::jsonb -> 'consumptions')
    as x (unit int, workspace_id uuid, id text, at timestamptz, successor text)
), locked as (
  select a.workspace_id, a.id from artifacts a join wanted w on w.workspace_id = a.workspace_id and w.id = a.id
  where a.consumed_at is null order by a.workspace_id, a.id for update of a
), consumed as (
  update artifacts a set consumed_at = w.at, successor = w.successor
  from wanted w join locked l on l.workspace_id = w.workspace_id and l.id = w.id
  where a.workspace_id = w.workspace_id and a.id = w.id and a.consumed_at is null
  returning w.unit
)`,
  attempts: `tried as (
  select * from jsonb_to_recordset($1::jsonb -> 'attempts') as x (unit int, workspace_id uuid, id text, version int,
    pool_id uuid, identifier_kind text, identifier_value text, data jsonb, expires_at timestamptz)
), attempted as (
  insert into attempts (workspace_id, id, version, pool_id, identifier_kind, identifier_value, data, expires_at)
  select workspace_id, id, version, pool_id, identifier_kind, identifier_value, data, expires_at from tried
  on conflict (workspace_id, id) do update set version = excluded.version, pool_id = excluded.pool_id,
    identifier_kind = excluded.identifier_kind, identifier_value = excluded.identifier_value, data = excluded.data
  where attempts.version = excluded.version - 1
  returning workspace_id, id
)`,
  puts: `put as (
  select * from jsonb_to_recordset($1::jsonb -> 'puts') as x (unit int, workspace_id uuid, id text, kind text,
    payload jsonb, grant_id text, uid text, session_uid text, pool_id uuid, user_id uuid, client_id text,
    expires_at timestamptz, era int, continues text, user_code text)
)`,
  continuations: `held as (
  select a.workspace_id, a.id from artifacts a join put on put.workspace_id = a.workspace_id and put.continues = a.id
  order by a.workspace_id, a.id for update of a
)`,
}

const losses = {
  consumptions: "select w.unit, 'consumed' as why from wanted w where w.unit not in (select unit from consumed)",
  attempts: `select t.unit, 'stale' as why from tried t
  where not exists (select from attempted d where d.workspace_id = t.workspace_id and d.id = t.id)`,
  continuations: `select p.unit, 'gone' as why from put p where p.continues is not null
    and not exists (select from held h where h.workspace_id = p.workspace_id and h.id = p.continues)`,
}

const writes = {
  puts: (won: string) => `stored as (
  insert into artifacts (workspace_id, id, kind, payload, grant_id, uid, session_uid, pool_id, user_id, client_id,
    expires_at, era, user_code)
  select workspace_id, id, kind, payload, grant_id, uid, session_uid, pool_id, user_id, client_id, expires_at,
    coalesce(era, 0), user_code
  from put x where ${won}
  on conflict (workspace_id, id) do update set payload = excluded.payload, pool_id = excluded.pool_id,
    grant_id = coalesce(excluded.grant_id, artifacts.grant_id), user_id = excluded.user_id, expires_at = excluded.expires_at, era = excluded.era
)`,
  drops: (won: string) => `dropped as (
  delete from artifacts a using jsonb_to_recordset($1::jsonb -> 'drops') as x (unit int, workspace_id uuid, id text)
  where a.workspace_id = x.workspace_id and a.id = x.id and ${won}
)`,
  events: (won: string) => `logged as (
  insert into events (id, type, workspace_id, pool_id, user_id, client_id, data, trace, at)
  select id, type, workspace_id, pool_id, user_id, client_id, data, trace, at
  from jsonb_to_recordset($1::jsonb -> 'events') as x (unit int, id uuid, type text, workspace_id uuid, pool_id uuid,
    user_id uuid, client_id text, data jsonb, trace text, at timestamptz)
  where ${won}
)`,
  signed_in: (won: string) => `seen as (
  update users u set last_sign_in_at = x.at
  from jsonb_to_recordset($1::jsonb -> 'signed_in') as x (unit int, pool_id uuid, user_id uuid, at timestamptz)
  where u.pool_id = x.pool_id and u.id = x.user_id and ${won}
)`,
  // Of each user the latest twenty are kept, this one among them.
  places: (won: string) => `placed as (
  select * from jsonb_to_recordset($1::jsonb -> 'places') as x (unit int, pool_id uuid, user_id uuid, network text,
    country text, latitude real, longitude real, at timestamptz, expires_at timestamptz)
  where ${won}
), came as (
  insert into places as p (pool_id, user_id, network, country, latitude, longitude, at, expires_at)
  select pool_id, user_id, network, country, latitude, longitude, at, expires_at from placed
  on conflict (pool_id, user_id, network) do update set country = excluded.country, latitude = excluded.latitude,
    longitude = excluded.longitude, at = excluded.at, expires_at = excluded.expires_at
), left_behind as (
  delete from places p using placed x
  where p.pool_id = x.pool_id and p.user_id = x.user_id and p.network <> x.network and p.network not in (
    select o.network from places o where o.pool_id = x.pool_id and o.user_id = x.user_id and o.network <> x.network
    order by o.at desc limit 19)
)`,
  forgiven: (won: string) => `forgiven as (
  delete from limits l using jsonb_to_recordset($1::jsonb -> 'forgiven') as x (unit int, key text)
  where l.key = x.key and ${won}
)`,
  charges: () => `charged as (
  insert into limits as l (key, points, resets_at)
  select key, count(*), max(resets_at) from jsonb_to_recordset($1::jsonb -> 'charges')
    as x (key text, resets_at timestamptz)
  group by key order by key
  on conflict (key) do update set
    points = case when l.resets_at <= ($1::jsonb ->> 'at')::timestamptz then excluded.points else l.points + excluded.points end,
    resets_at = case when l.resets_at <= ($1::jsonb ->> 'at')::timestamptz then excluded.resets_at else l.resets_at end
)`,
}

type Part = keyof typeof partsOf | keyof typeof writes

const namesOf = <Parts extends object>(parts: Parts) => Object.keys(parts) as (keyof Parts & Part)[]

const sqlOf = (has: ReadonlySet<Part>): string => {
  const losing = namesOf(losses).filter((name) => has.has(name))
  const won = losing.length > 0 ? 'x.unit not in (select unit from lost)' : 'true'
  const parts = [
    ...namesOf(partsOf).flatMap((name) => (has.has(name) ? [partsOf[name]] : [])),
    ...(losing.length > 0 ? [`lost as (\n${losing.map((name) => losses[name]).join('\nunion all\n')}\n)`] : []),
    ...namesOf(writes).flatMap((name) => (has.has(name) ? [writes[name](won)] : [])),
  ]
  return `with ${parts.join(', ')}\nselect unit, why from ${losing.length > 0 ? 'lost' : '(values (0, null)) none (unit, why) where false'}`
}

const made = new Map<string, string>()

/** The statement for works that have these parts; made once, so that every connection can prepare it. */
const statementFor = (has: ReadonlySet<Part>): string => {
  const key = [...has].sort().join()
  const known = made.get(key) ?? sqlOf(has)
  made.set(key, known)
  return known
}

/** Writes works, each all or nothing, in one durable statement; an `Error` in the answer is of that one work. */
export const commitAll = async (pool: pg.Pool, works: Work[]): Promise<(Lost | Error)[]> => {
  try {
    return await commitTogether(pool, works)
  } catch (error) {
    // One work that the database refuses must not take its company down.
    if (works.length === 1 || isDeadlock(error)) throw error
    const outcomes: (Lost | Error)[] = []
    for (const work of works)
      outcomes.push(...(await commitTogether(pool, [work]).catch((refused: Error) => [refused])))
    return outcomes
  }
}

const commitTogether = async (pool: pg.Pool, works: Work[], triesLeft = 3): Promise<Lost[]> => {
  try {
    const { rows } = await pool.query<{ unit: number; why: Lost }>(statementFor(partsIn(works)), [documentOf(works)])
    const outcomes: Lost[] = works.map(() => undefined)
    for (const { unit, why } of rows) outcomes[unit] = why
    return outcomes
  } catch (error) {
    if (isDeadlock(error) && triesLeft > 1) return commitTogether(pool, works, triesLeft - 1)
    throw error
  }
}

const partsIn = (works: readonly Work[]): Set<Part> => {
  const puts = works.flatMap((work) => [...work.puts.values()])
  const some = (size: (work: Work) => number) => works.some((work) => size(work) > 0)
  const has: Record<Part, boolean> = {
    consumptions: some((work) => work.consumptions.size),
    attempts: some((work) => work.attempts.size),
    puts: puts.length > 0,
    continuations: puts.some(({ continues }) => continues !== undefined),
    drops: some((work) => work.drops.size),
    events: some((work) => work.events.length),
    signed_in: some((work) => work.signedIn.length),
    places: some((work) => work.places.length),
    forgiven: some((work) => work.forgiven.length),
    charges: some((work) => work.charges.length),
  }
  return new Set((Object.keys(has) as Part[]).filter((name) => has[name]))
}

const documentOf = (works: Work[]): string => {
  const all = <One, Row>(rows: (work: Work) => Iterable<One>, row: (one: One) => Row) =>
    works.flatMap((work, unit) => Array.from(rows(work), (one) => ({ unit, ...row(one) })))
  const byKey = <Row extends { workspace_id: string; id: string }>(rows: Row[]) =>
    rows.sort((one, other) => (keyOfRow(one) < keyOfRow(other) ? -1 : 1))
  return JSON.stringify({
    consumptions: all(
      (work) => work.consumptions.values(),
      (one) => ({ workspace_id: one.workspaceId, id: one.id, at: one.at, successor: one.successor }),
    ),
    attempts: byKey(all((work) => work.attempts.values(), attemptDocument)),
    puts: byKey(
      all(
        (work) => work.puts.values(),
        (one) => ({
          workspace_id: one.workspaceId,
          id: one.id,
          kind: one.kind,
          payload: one.payload,
          grant_id: one.grantId,
          uid: one.uid,
          session_uid: one.sessionUid,
          pool_id: one.poolId,
          user_id: one.userId,
          client_id: one.clientId,
          expires_at: one.expiresAt,
          user_code: one.userCode,
          era: one.era,
          continues: one.continues,
        }),
      ),
    ),
    drops: byKey(
      all(
        (work) => work.drops.values(),
        (one) => ({ workspace_id: one.workspaceId, id: one.id }),
      ),
    ),
    events: all((work) => work.events, eventDocument),
    signed_in: all(
      (work) => work.signedIn,
      (one) => ({ pool_id: one.poolId, user_id: one.userId, at: one.at }),
    ),
    places: all(
      (work) => work.places,
      (one) => ({
        pool_id: one.poolId,
        user_id: one.userId,
        network: one.network,
        country: one.country,
        latitude: one.latitude,
        longitude: one.longitude,
        at: one.at,
        expires_at: one.expiresAt,
      }),
    ),
    at: works.flatMap((work) => work.charges).at(-1)?.at,
    charges: all(
      (work) => work.charges,
      (one) => ({ key: one.key, resets_at: one.resetsAt }),
    ),
    forgiven: all(
      (work) => work.forgiven,
      (key) => ({ key }),
    ),
  })
}

const keyOfRow = (row: { workspace_id: string; id: string }) => keyOf({ workspaceId: row.workspace_id, id: row.id })

const attemptDocument = (one: AttemptRow) => ({
  workspace_id: one.workspaceId,
  id: one.id,
  version: one.version,
  pool_id: one.poolId,
  identifier_kind: one.identifierKind,
  identifier_value: one.identifierValue,
  data: one.data,
  expires_at: one.expiresAt,
})

const eventDocument = (one: EventRow) => ({
  id: one.id,
  type: one.type,
  workspace_id: one.workspaceId,
  pool_id: one.poolId,
  user_id: one.userId,
  client_id: one.clientId,
  data: one.data,
  trace: one.trace,
  at: one.at,
})
