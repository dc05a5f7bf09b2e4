import type pg from 'pg'
import { commitAll, type Lost } from './commit.ts'
import { gather } from './gather.ts'
import { type AttemptRow, isEmpty, type Work } from './work.ts'

/** A person as the hot path needs them; credentials come along only with an attempt. */
export interface Account {
  poolId: string
  id: string
  status: 'new' | 'active' | 'inactive' | 'deleted'
  /** Who checks their password: this program, their source, or this program since they came over from it. */
  authority: 'local' | 'linked' | 'migrated'
  /** What their source or upstream calls them for good. */
  externalId: string | null
  /** Whether they have to prove a second factor although their pool does not ask everybody for one. */
  secondFactorDue: boolean
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  updatedAt: Date
  /** How often everything of theirs was ended. */
  era: number
  /** When they are deleted, as they asked; signing in is a change of mind. */
  deletesAt?: Date | null
  identifiers: { kind: 'email' | 'mobile' | 'username'; value: string; typed: string; verified: boolean }[]
  credentials: { id: string; kind: string; data: Record<string, unknown> }[]
  /** When they signed in before; null for never. */
  lastSignInAt?: Date | null
  /** Where they signed in from before, the latest first; only with an attempt. */
  places?: Place[]
}

/** A network that somebody signed in from; `at` as RFC 3339. */
export interface Place {
  network: string
  country: string | null
  latitude: number | null
  longitude: number | null
  at: string
}

/** One artifact with everything that the request around it will ask for next. */
export interface Loaded {
  id: string
  kind: string
  payload: Record<string, unknown>
  consumedAt: Date | null
  successor: string | null
  expiresAt: Date
  grant: { payload: Record<string, unknown>; expiresAt: Date } | undefined
  session: { payload: Record<string, unknown>; expiresAt: Date } | undefined
  attempt: AttemptRow | undefined
  account: Account | undefined
}

export interface Hot {
  /** An artifact by the hash of what its holder presented. */
  load(workspaceId: string, id: string): Promise<Loaded | undefined>
  /** An interaction by the hash of its uid, with the attempt that goes with it. */
  loadInteraction(workspaceId: string, id: string): Promise<Loaded | undefined>
  /** A session by the uid that tokens remember it by. */
  loadByUid(workspaceId: string, uid: string): Promise<Loaded | undefined>
  /** The points of those counters of `limits` that have any and are not over. */
  points(keys: readonly string[], at: Date): Promise<{ key: string; points: number }[]>
  /** Whether something is seen for the first time, of twenty at once for one; remembered until then. */
  first(key: string, until: Date): Promise<boolean>
  /** Writes all of a work in one durable statement, or nothing of it. */
  commit(work: Work): Promise<Lost>
}

/**
 * Settings for the connections of this module. Its statements have one plan that is right: from index to index.
 * PostgreSQL would plan them anew each time, which costs more than running them, or keep a plan that reads whole tables,
 * made while those were small, and run it until it looks at their size again a minute later.
 */
export const hotSettings = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
}

/** Opens the gathered reads and grouped commits over a pool; docs/decisions/004-grouped-commits.md says why. */
export const openHot = (pool: pg.Pool): Hot => {
  const loader = (sql: string) =>
    gather<Wanted, Loaded | undefined>({ lanes: 2, most: 128, run: (wanted) => loadAll(pool, sql, wanted) })
  const token = loader(tokenSql)
  const interaction = loader(interactionSql)
  const session = loader(sessionSql)
  const seeFirst = gather<Once, boolean>({
    lanes: 2,
    most: 128,
    keys: ({ key }) => [key],
    run: (wanted) => insertFirsts(pool, wanted),
  })
  const commitOne = gather<Work, Lost>({ lanes: 2, most: 64, keys: keysOf, run: (works) => commitAll(pool, works) })
  return {
    load: (workspaceId, key) => token({ workspaceId, key }),
    loadInteraction: (workspaceId, key) => interaction({ workspaceId, key }),
    loadByUid: (workspaceId, key) => session({ workspaceId, key }),
    points: async (keys, at) => (await pool.query<{ key: string; points: number }>(pointsSql, [keys, at])).rows,
    first: (key, until) => seeFirst({ key, until }),
    commit: async (work) => (isEmpty(work) ? undefined : commitOne(work)),
  }
}

/** What may come once. */
interface Once {
  key: string
  until: Date
}

// In the order of their keys, so that two nodes with the same ones cannot block each other.
const firstsSql = `
insert into seen_once (key, expires_at)
select key, expires_at from unnest($1::text[], $2::timestamptz[]) as wanted (key, expires_at) order by key
on conflict do nothing returning key`

const insertFirsts = async (pool: pg.Pool, wanted: Once[]): Promise<boolean[]> => {
  const { rows } = await pool.query<{ key: string }>(firstsSql, [
    wanted.map(({ key }) => key),
    wanted.map(({ until }) => until),
  ])
  const inserted = new Set(rows.map(({ key }) => key))
  return wanted.map(({ key }) => inserted.has(key))
}

/** What is looked for: the hash of what was presented, or a session's uid. */
interface Wanted {
  workspaceId: string
  key: string
}

const wantedRows = 'unnest($1::uuid[], $2::text[]) with ordinality as wanted (workspace_id, key, position)'

const artifactColumns = `wanted.position::int as position, a.id, a.kind, a.payload, a.consumed_at, a.successor,
  a.expires_at, a.user_id as owner_id, a.era as artifact_era`

const userColumns = `u.pool_id, u.id as user_id, u.status, u.authority, u.external_id, u.second_factor_due,
  u.profile, u.metadata, u.updated_at, u.era, u.deletes_at, u.last_sign_in_at,
  (select jsonb_agg(jsonb_build_object('kind', n.kind, 'value', n.value, 'typed', n.typed,
    'verified', n.verified_at is not null) order by n.created_at, n.value)
    from identifiers n where n.pool_id = u.pool_id and n.user_id = u.id) as identifiers`

// A token, code or session with its grant, the session that it hangs on, and its user.
const tokenSql = `
select ${artifactColumns}, ${userColumns},
  g.payload as grant_payload, g.expires_at as grant_expires_at,
  s.payload as session_payload, s.expires_at as session_expires_at
from ${wantedRows}
join artifacts a on a.workspace_id = wanted.workspace_id and a.id = wanted.key
left join artifacts g on g.workspace_id = a.workspace_id and g.id = a.grant_id
left join artifacts s on s.workspace_id = a.workspace_id and s.uid = a.session_uid and s.kind = 'Session'
left join users u on u.pool_id = a.pool_id and u.id = a.user_id`

// An interaction with its attempt, and whoever goes by the attempt's identifier or has just signed in.
const interactionSql = `
select ${artifactColumns}, ${userColumns},
  t.id as attempt_id, t.version, t.pool_id as attempt_pool_id, t.identifier_kind, t.identifier_value,
  t.data as attempt_data, t.expires_at as attempt_expires_at,
  (select jsonb_agg(jsonb_build_object('id', c.id, 'kind', c.kind, 'data', c.data) order by c.id)
    from credentials c where c.pool_id = u.pool_id and c.user_id = u.id) as credentials,
  (select jsonb_agg(jsonb_build_object('network', p.network, 'country', p.country, 'latitude', p.latitude,
    'longitude', p.longitude, 'at', p.at) order by p.at desc)
    from places p where p.pool_id = u.pool_id and p.user_id = u.id) as places
from ${wantedRows}
join artifacts a on a.workspace_id = wanted.workspace_id and a.id = wanted.key
left join attempts t on t.workspace_id = a.workspace_id and t.id = a.id
left join identifiers i on i.pool_id = t.pool_id and i.kind = t.identifier_kind and i.value = t.identifier_value
left join users u on u.pool_id = coalesce(a.pool_id, i.pool_id) and u.id = coalesce(a.user_id, i.user_id)`

const sessionSql = `
select ${artifactColumns}, ${userColumns}
from ${wantedRows}
join artifacts a on a.workspace_id = wanted.workspace_id and a.uid = wanted.key and a.kind = 'Session'
left join users u on u.pool_id = a.pool_id and u.id = a.user_id`

const pointsSql = 'select key, points from limits where key = any($1) and resets_at > $2'

const loadAll = async (pool: pg.Pool, sql: string, wanted: Wanted[]): Promise<(Loaded | undefined)[]> => {
  const { rows } = await pool.query<LoadedRow>(sql, [
    wanted.map(({ workspaceId }) => workspaceId),
    wanted.map(({ key }) => key),
  ])
  const found: (Loaded | undefined)[] = wanted.map(() => undefined)
  for (const row of rows) if (isLive(row)) found[row.position - 1] = loadedFrom(row, wanted[row.position - 1] as Wanted)
  return found
}

// What a request made of a user while everything of theirs was ended may have been stored only afterwards.
const isLive = ({ owner_id, artifact_era, era }: LoadedRow): boolean => owner_id === null || artifact_era === era

interface LoadedRow {
  position: number
  id: string
  kind: string
  payload: Record<string, unknown>
  consumed_at: Date | null
  successor: string | null
  expires_at: Date
  owner_id: string | null
  artifact_era: number
  grant_payload?: Record<string, unknown> | null
  grant_expires_at: Date
  session_payload?: Record<string, unknown> | null
  session_expires_at: Date
  attempt_id?: string | null
  version: number
  attempt_pool_id: string | null
  identifier_kind: string | null
  identifier_value: string | null
  attempt_data: Record<string, unknown>
  attempt_expires_at: Date
  pool_id: string
  user_id: string | null
  status: Account['status']
  authority: Account['authority']
  external_id: string | null
  second_factor_due: boolean
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  updated_at: Date
  era: number
  deletes_at: Date | null
  identifiers: Account['identifiers'] | null
  credentials?: Account['credentials'] | null
  last_sign_in_at: Date | null
  places?: Place[] | null
}

const loadedFrom = (row: LoadedRow, { workspaceId }: Wanted): Loaded => ({
  id: row.id,
  kind: row.kind,
  payload: row.payload,
  consumedAt: row.consumed_at,
  successor: row.successor,
  expiresAt: row.expires_at,
  grant: row.grant_payload ? { payload: row.grant_payload, expiresAt: row.grant_expires_at } : undefined,
  session: row.session_payload ? { payload: row.session_payload, expiresAt: row.session_expires_at } : undefined,
  attempt: row.attempt_id ? attemptFrom(row, workspaceId) : undefined,
  account: row.user_id ? accountFrom(row, row.user_id) : undefined,
})

const attemptFrom = (row: LoadedRow, workspaceId: string): AttemptRow => ({
  workspaceId,
  id: row.id,
  version: row.version,
  poolId: row.attempt_pool_id ?? undefined,
  identifierKind: row.identifier_kind ?? undefined,
  identifierValue: row.identifier_value ?? undefined,
  data: row.attempt_data,
  expiresAt: row.attempt_expires_at,
})

const accountFrom = (row: LoadedRow, id: string): Account => ({
  poolId: row.pool_id,
  id,
  status: row.status,
  authority: row.authority,
  externalId: row.external_id,
  secondFactorDue: row.second_factor_due,
  profile: row.profile,
  metadata: row.metadata,
  updatedAt: row.updated_at,
  era: row.era,
  deletesAt: row.deletes_at,
  identifiers: row.identifiers ?? [],
  credentials: row.credentials ?? [],
  lastSignInAt: row.last_sign_in_at,
  ...(row.places === undefined ? {} : { places: row.places ?? [] }),
})

const keysOf = (work: Work): string[] => [
  ...work.puts.keys(),
  ...work.drops.keys(),
  ...work.consumptions.keys(),
  ...[...work.attempts.keys()].map((key) => `attempt:${key}`),
  ...work.signedIn.map(({ userId }) => `user:${userId}`),
]
