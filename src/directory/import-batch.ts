import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import * as credentials from './credentials.ts'
import * as members from './group-members.ts'
import { type FoundRole, findRoles, giveRoles, nameOf, type Reach, refusalsOf } from './import-roles.ts'
import { type ImportedRow, type ImportedUser, misfits } from './import-rows.ts'
import * as operators from './operators.ts'
import { isKeptElsewhere, type Pool } from './pools.ts'
import * as changes from './user-changes.ts'
import * as userIdentifiers from './user-identifiers.ts'
import * as records from './user-records.ts'
import * as users from './users.ts'

/** What became of a row, or in a dry run would become. */
export interface Outcome {
  number: number
  is: 'created' | 'updated' | 'skipped' | 'failed'
  reasons?: string[]
}

interface Run extends Reach {
  id: string
  dryRun: boolean
  onDuplicate: 'skip' | 'update' | 'fail'
  withGroups: boolean
  by: audit.By
}

interface Numbered {
  number: number
  read: ImportedRow
}

/**
 * Makes or changes the users of some rows; needs a transaction. Stops before a row that clashes with one above it, so
 * that the next batch finds that one's user: the answer tells how far it came. Throws `conflict` where somebody took an
 * identifier in the meantime.
 */
export const applyRows = async (db: Db, at: Date, pool: Pool, run: Run, rows: Numbered[]): Promise<Outcome[]> => {
  const batch = untilClash(rows)
  const wanted = batch.flatMap(({ read }) => (read.is === 'user' ? [read.user] : []))
  const known = await findKnown(db, pool.id, run, wanted)
  const groups = await findGroups(db, pool.id, wanted)
  const named = wanted.flatMap(({ roles }) => roles)
  const roles = await findRoles(db, pool.id, run, named)
  const outcomes: Outcome[] = []
  const made: Made[] = []
  for (const { number, read } of batch) {
    const plan = await planFor(db, pool, run, { read, known, groups, roles })
    if (plan.is === 'create') made.push(plan.made)
    if (plan.is === 'update' && !run.dryRun) await change(db, at, plan, run.by)
    outcomes.push({ number, ...outcomeOf(plan) })
  }
  if (run.dryRun) await see(db, pool.id, run.id, made)
  else await createAll(db, at, pool.id, made, run.by)
  return outcomes
}

interface Made {
  user: ImportedUser
  groups: string[]
  roles: FoundRole[]
}

type Plan =
  | { is: 'create'; made: Made }
  | { is: 'update'; before: records.UserRecord | undefined; made: Made }
  | { is: 'skip' }
  | { is: 'fail'; reasons: string[] }

const outcomeOf = (plan: Plan): Omit<Outcome, 'number'> => {
  if (plan.is === 'fail') return { is: 'failed', reasons: plan.reasons }
  return { is: ({ create: 'created', update: 'updated', skip: 'skipped' } as const)[plan.is] }
}

const fail = (...reasons: string[]): Plan => ({ is: 'fail', reasons })

interface Around {
  read: ImportedRow
  /** Users by what they go by; null is one that a dry run would have made. */
  known: Map<string, string | null>
  /** Ids by path. */
  groups: Map<string, string>
  /** By name. */
  roles: Map<string, FoundRole>
}

const planFor = async (db: Db, pool: Pool, run: Run, { read, known, groups, roles }: Around): Promise<Plan> => {
  if (read.is === 'faulty') return fail(...read.reasons)
  const { user } = read
  if (user.groups.length > 0 && !run.withGroups) return fail('This import may not put users into groups')
  const missing = user.groups.filter((path) => !groups.has(path))
  if (missing.length > 0) return fail(...missing.slice(0, 10).map((path) => `There is no group ${path.slice(0, 100)}`))
  const refusals = refusalsOf(run, user.roles, roles)
  if (refusals.length > 0) return fail(...refusals)
  const made = {
    user,
    groups: user.groups.flatMap((path) => groups.get(path) ?? []),
    roles: user.roles.flatMap((one) => roles.get(nameOf(one)) ?? []),
  }
  const owners = new Set(keysOf(user).flatMap((key) => known.get(key) ?? (known.has(key) ? [null] : [])))
  if (owners.size === 0) {
    const reasons = await misfits(pool, user)
    return reasons.length > 0 ? fail(...reasons) : { is: 'create', made }
  }
  if (run.onDuplicate === 'skip') return { is: 'skip' }
  if (run.onDuplicate === 'fail') return fail('Somebody of the pool goes by this already')
  if (owners.size > 1) return fail('The identifiers belong to different users')
  const [owner = null] = owners
  if (owner === null) return { is: 'update', before: undefined, made }
  return planChange(db, pool, owner, made)
}

const planChange = async (db: Db, pool: Pool, id: string, made: Made): Promise<Plan> => {
  const { user } = made
  const before = await records.findForUpdate(db, pool.id, id)
  if (!before || before.status === 'deleted') throw new Problem('conflict')
  if (await operators.isOperator(db, pool.id, id)) return fail('This is an operator, who is changed by operators only')
  if (isKeptElsewhere(pool, before)) return fail('What is known of them is their source’s to change')
  const merged = {
    ...user,
    profile: { ...before.profile, ...user.profile },
    metadata: { ...before.metadata, ...user.metadata },
  }
  const reasons = await misfits(pool, merged)
  return reasons.length > 0 ? fail(...reasons) : { is: 'update', before, made: { ...made, user: merged } }
}

const change = async (
  db: Db,
  at: Date,
  { before, made: { user, groups, roles } }: Extract<Plan, { is: 'update' }>,
  by: audit.By,
): Promise<void> => {
  if (!before) return
  const { poolId, id } = before
  const status = user.status === undefined || user.status === 'new' ? before.status : user.status
  const identifiers = mergedIdentifiers(before, user)
  await changes.update(db, at, before, { ...user, status, identifiers }, by)
  if (!(await members.join(db, at, poolId, id, groups))) throw new Problem('conflict')
  await giveRoles(
    db,
    at,
    poolId,
    roles.map((role) => ({ userId: id, role })),
    by,
  )
  if (user.externalId !== undefined) await users.setExternalId(db, poolId, id, user.externalId)
  if (user.passwordHash === undefined) return
  await credentials.setPassword(db, at, poolId, id, user.passwordHash)
  await users.endEverything(db, poolId, id)
  const data = { by, must_change: false }
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.password_set', data })
}

/** What a user went by stays; what was proven stays so. */
const mergedIdentifiers = ({ identifiers: old }: records.UserRecord, { identifiers: told }: ImportedUser) => {
  const fresh = told.filter((one) => !old.some(({ kind, value }) => kind === one.kind && value === one.value))
  const kept = old.map((one) => {
    const again = told.find(({ kind, value }) => kind === one.kind && value === one.value)
    return { ...one, typed: again?.typed ?? one.value, verified: one.verified || again?.verified === true }
  })
  return [...kept, ...fresh]
}

const createAll = async (db: Db, at: Date, poolId: string, made: Made[], by: audit.By): Promise<void> => {
  if (made.length === 0) return
  const all = made.map((one) => ({ ...one, id: uuidv7(at) }))
  await db
    .insertInto('users')
    .values(
      all.map(({ id, user: { status = 'active', profile, metadata, externalId = null } }) => ({
        poolId,
        id,
        status,
        profile: JSON.stringify(profile),
        metadata: JSON.stringify(metadata),
        externalId,
        createdAt: at,
        updatedAt: at,
      })),
    )
    .execute()
  await createIdentifiers(db, at, poolId, all)
  const hashes = all.flatMap(({ id: userId, user: { passwordHash: hash } }) =>
    hash === undefined
      ? []
      : [{ poolId, id: uuidv7(at), userId, kind: 'password', data: JSON.stringify(credentials.newPassword(at, hash)) }],
  )
  if (hashes.length > 0) await db.insertInto('credentials').values(hashes).execute()
  const members = all.flatMap(({ id: userId, groups }) =>
    groups.map((groupId) => ({ poolId, groupId, userId, createdAt: at })),
  )
  if (members.length > 0) await db.insertInto('groupMembers').values(members).execute()
  const events = all.map(({ id: userId, user }) => {
    const data = { by, name: user.identifiers[0]?.typed ?? '' }
    return { about: { poolId, userId }, happening: { type: 'user.created' as const, data } }
  })
  await audit.recordMany(db, at, events)
  const given = all.flatMap(({ id: userId, roles }) => roles.map((role) => ({ userId, role })))
  await giveRoles(db, at, poolId, given, by)
}

const createIdentifiers = async (db: Db, at: Date, poolId: string, all: (Made & { id: string })[]): Promise<void> => {
  const named = all.flatMap(({ id: userId, user }) => user.identifiers.map((one) => ({ ...one, userId })))
  const added = await userIdentifiers.insert(db, at, poolId, named)
  if (added.length < named.length) throw new Problem('conflict')
}

/** Notes who a dry run would have made. */
const see = async (db: Db, poolId: string, importId: string, made: Made[]): Promise<void> => {
  const rows = made.flatMap(({ user }) => namesOf(user).map((name) => ({ poolId, importId, ...name })))
  if (rows.length > 0) await db.insertInto('importSeen').values(rows).execute()
}

const untilClash = (rows: Numbered[]): Numbered[] => {
  const seen = new Set<string>()
  const clash = rows.findIndex(({ read }) => {
    const keys = read.is === 'user' ? keysOf(read.user) : []
    const again = keys.some((key) => seen.has(key))
    for (const key of keys) seen.add(key)
    return again
  })
  return clash === -1 ? rows : rows.slice(0, clash)
}

const namesOf = ({ identifiers, externalId }: ImportedUser): { kind: string; value: string }[] => [
  ...identifiers.map(({ kind, value }) => ({ kind, value })),
  ...(externalId === undefined ? [] : [{ kind: 'external_id', value: externalId }]),
]

const keyOf = ({ kind, value }: { kind: string; value: string }): string => `${kind}:${value}`
const keysOf = (user: ImportedUser): string[] => namesOf(user).map(keyOf)

const findKnown = async (
  db: Db,
  poolId: string,
  { id, dryRun }: Run,
  wanted: ImportedUser[],
): Promise<Around['known']> => {
  const names = JSON.stringify(wanted.flatMap(namesOf))
  // The pool and the import are asked for like the names, not as constants: a planner that has not counted a new pool yet
  // takes it for empty, and would compare every name with everybody in it.
  const { rows } = await sql<{ kind: string; value: string; userId: string | null }>`
    with asked as materialized (
      select ${poolId}::uuid as pool_id, ${id}::uuid as import_id, kind, value
      from jsonb_to_recordset(${names}::jsonb) as t (kind text, value text)
    )
    select n.kind, n.value, n.user_id from asked join identifiers n
      on n.pool_id = asked.pool_id and n.kind = asked.kind and n.value = asked.value
    union all
    select asked.kind, asked.value, u.id from asked join users u
      on asked.kind = 'external_id' and u.pool_id = asked.pool_id and u.external_id = asked.value
    union all
    select s.kind, s.value, null from asked join import_seen s
      on ${dryRun} and s.pool_id = asked.pool_id and s.import_id = asked.import_id
        and s.kind = asked.kind and s.value = asked.value
  `.execute(db)
  return new Map(rows.map(({ userId, ...name }) => [keyOf(name), userId]))
}

const findGroups = async (db: Db, poolId: string, wanted: ImportedUser[]): Promise<Around['groups']> => {
  const paths = [...new Set(wanted.flatMap(({ groups }) => groups))]
  if (paths.length === 0) return new Map()
  const { rows } = await sql<{ id: string; path: string }>`
    with recursive down as (
      select id, '/' || name as path from groups where pool_id = ${poolId} and parent_id is null
      union all
      select g.id, down.path || '/' || g.name from down join groups g on g.pool_id = ${poolId} and g.parent_id = down.id
    ) select id, path from down where path = any(${paths}::text[])`.execute(db)
  return new Map(rows.map(({ id, path }) => [path, id]))
}
