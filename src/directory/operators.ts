import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import * as audit from './audit.ts'
import type { IdentifierKind } from './identifiers.ts'
import { nextVersion } from './version.ts'

export type OperatorRole = 'owner' | 'admin' | 'helpdesk' | 'viewer'

/** The pool whose users may be operators. */
export const poolSlug = 'administrators'

/** A user of the administrators' pool who may operate; limited to some workspaces and pools where those are named. */
export interface Operator {
  poolId: string
  userId: string
  role: OperatorRole
  workspaces: string[] | null
  pools: string[] | null
}

/** An operator by the `sub` of their token; undefined for anyone else and for whoever is not active. */
export const find = (db: Db, userId: string): Promise<Operator | undefined> =>
  db
    .selectFrom('operators')
    .innerJoin('users', (join) =>
      join.onRef('users.poolId', '=', 'operators.poolId').onRef('users.id', '=', 'operators.userId'),
    )
    .select(['operators.poolId', 'operators.userId', 'role', 'workspaces', 'pools'])
    .where('operators.userId', '=', userId)
    .where('status', '=', 'active')
    .executeTakeFirst()

/** An operator as other operators see one. */
export interface OperatorRecord extends Operator {
  status: 'new' | 'active' | 'inactive'
  identifiers: { kind: IdentifierKind; value: string; verified: boolean }[]
  createdAt: Date
  updatedAt: Date
}

/** Whether anybody is an operator. */
export const exist = async (db: Db): Promise<boolean> => (await records(db).limit(1).executeTakeFirst()) !== undefined

/** Operators by user id, after the one called `after`. */
export const list = async (db: Db, poolId: string, page: Page): Promise<OperatorRecord[]> =>
  records(db).where('operators.poolId', '=', poolId).$call(pageBy('operators.userId', page)).execute()

/** An operator, active or not. Throws `not_found`. */
export const get = (db: Db, poolId: string, userId: string): Promise<OperatorRecord> =>
  records(db)
    .where('operators.poolId', '=', poolId)
    .where('operators.userId', '=', userId)
    .executeTakeFirstOrThrow(() => new Problem('not_found'))

/** What an operator may do, and where: everywhere where `workspaces` or `pools` is null. */
export type Grant = Pick<Operator, 'role' | 'workspaces' | 'pools'>
type Limits = Pick<Operator, 'workspaces' | 'pools'>

/**
 * Makes a user an operator, or changes what they may; needs a transaction. `check` sees the operator as they are once
 * nobody else can change them. Throws `not_found` where there is no such user, `unprocessable` where the limits name what is
 * not there, `conflict` where no owner would be left.
 */
export const put = async (
  db: Db,
  at: Date,
  { poolId, userId }: { poolId: string; userId: string },
  grant: Grant,
  by: audit.By,
  check: (before: OperatorRecord | undefined) => void,
): Promise<OperatorRecord> => {
  await lock(db)
  const before = await records(db)
    .where('operators.poolId', '=', poolId)
    .where('operators.userId', '=', userId)
    .executeTakeFirst()
  check(before)
  if (before?.role === 'owner' && grant.role !== 'owner') await keepAnOwner(db, poolId, userId)
  if (!before) await hold(db, poolId, userId)
  await refuseStrangers(db, grant)
  await db
    .insertInto('operators')
    .values({ poolId, userId, ...grant, createdAt: at, updatedAt: at })
    .onConflict((conflict) =>
      conflict
        .columns(['poolId', 'userId'])
        .doUpdateSet({ ...grant, updatedAt: before ? nextVersion(at, before) : at }),
    )
    .execute()
  const after = await get(db, poolId, userId)
  const data = { by, ...(before ? audit.difference(before, after) : { after: { ...grant } }) }
  await audit.record(db, at, { poolId, userId }, { type: before ? 'operator.updated' : 'operator.created', data })
  return after
}

/**
 * Makes an operator a plain user again; needs a transaction. Throws `not_found`, and `conflict` where no owner would be
 * left.
 */
export const remove = async (
  db: Db,
  at: Date,
  { poolId, userId }: { poolId: string; userId: string },
  by: audit.By,
): Promise<void> => {
  await lock(db)
  const { role, workspaces, pools } = await get(db, poolId, userId)
  await keepAnOwner(db, poolId, userId)
  await db.deleteFrom('operators').where('poolId', '=', poolId).where('userId', '=', userId).execute()
  const data = { by, before: { role, workspaces, pools } }
  await audit.record(db, at, { poolId, userId }, { type: 'operator.deleted', data })
}

/** The scopes of the admin API, two a resource, and `admin` for all of them. A new resource is a name here. */
const resources = [
  'workspaces',
  'clients',
  'connections',
  'keys',
  'scripts',
  'resources',
  'webhooks',
  'pools',
  'users',
  'groups',
  'invitations',
  'imports',
  'exports',
  'migration',
  'tenants',
  'roles',
  'operators',
  'events',
  'stats',
] as const

export const allScopes: string[] = ['admin', ...resources.flatMap((name) => [`${name}:read`, `${name}:write`])]

/** What a role may do at most. */
export const scopesOf = (role: OperatorRole): ReadonlySet<string> => roles[role]

const reading = resources.map((name) => `${name}:read`)

const roles: Record<OperatorRole, ReadonlySet<string>> = {
  owner: new Set(allScopes),
  admin: new Set(allScopes.filter((scope) => scope !== 'admin' && scope !== 'operators:write')),
  helpdesk: new Set([
    'users:read',
    'users:write',
    'invitations:read',
    'invitations:write',
    'groups:read',
    'pools:read',
  ]),
  viewer: new Set(reading),
}

/** Lets one transaction at a time change operators: of two owners who remove each other, the second finds it is the last. */
export const lock = async (db: Db): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtext('lido.operators'))`.execute(db)
}

/** Whether somebody is an operator, whatever they may do. */
export const isOperator = async (db: Db, poolId: string, userId: string): Promise<boolean> =>
  (await roleOf(db, poolId, userId)) !== undefined

/**
 * Throws `conflict` where this user is the only owner who can sign in. Of two owners who go at once, the second waits
 * here, and then finds that they are the last.
 */
export const keepAnOwner = async (db: Db, poolId: string, userId: string): Promise<void> => {
  if ((await roleOf(db, poolId, userId)) !== 'owner') return
  await lock(db)
  const other = await db
    .selectFrom('operators')
    .innerJoin('users', (join) =>
      join.onRef('users.poolId', '=', 'operators.poolId').onRef('users.id', '=', 'operators.userId'),
    )
    .select('users.id')
    .where('role', '=', 'owner')
    .where('users.status', '=', 'active')
    .where('users.id', '<>', userId)
    .executeTakeFirst()
  if (!other) throw new Problem('conflict', { detail: 'This is the last owner. Make somebody else an owner first.' })
}

const roleOf = async (db: Db, poolId: string, userId: string): Promise<OperatorRole | undefined> => {
  const row = await db
    .selectFrom('operators')
    .select('role')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .executeTakeFirst()
  return row?.role
}

/** Limits without what is gone meanwhile; what is limited to nothing is left nothing. */
export const stillThere = async (db: Db, { workspaces, pools }: Limits): Promise<Limits> => ({
  workspaces: workspaces && (await known(db, 'workspaces', workspaces)),
  pools: pools && (await known(db, 'pools', pools)),
})

/** Throws `unprocessable` where limits name what is not there. */
export const refuseStrangers = async (db: Db, { workspaces, pools }: Limits): Promise<void> => {
  const errors = [
    ...(await strangersOf(db, 'workspaces', workspaces ?? [])),
    ...(await strangersOf(db, 'pools', pools ?? [])),
  ]
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

const strangersOf = async (db: Db, table: 'workspaces' | 'pools', ids: readonly string[]) => {
  const there = new Set(await known(db, table, ids))
  return ids.flatMap((id, index) =>
    there.has(id) ? [] : [{ pointer: `/${table}/${index}`, detail: 'There is nothing with this id' }],
  )
}

const known = async (db: Db, table: 'workspaces' | 'pools', ids: readonly string[]): Promise<string[]> => {
  if (ids.length === 0) return []
  const rows = await db.selectFrom(table).select('id').where('id', 'in', ids).execute()
  return rows.map(({ id }) => id)
}

const hold = async (db: Db, poolId: string, userId: string): Promise<void> => {
  await db
    .selectFrom('users')
    .select('id')
    .where('poolId', '=', poolId)
    .where('id', '=', userId)
    .where('status', '<>', 'deleted')
    .forKeyShare()
    .executeTakeFirstOrThrow(() => new Problem('not_found'))
}

const records = (db: Db) =>
  db
    .selectFrom('operators')
    .innerJoin('users', (join) =>
      join.onRef('users.poolId', '=', 'operators.poolId').onRef('users.id', '=', 'operators.userId'),
    )
    .select(['operators.poolId', 'operators.userId', 'role', 'workspaces', 'pools'])
    .select(['operators.createdAt', 'operators.updatedAt'])
    .select(sql<OperatorRecord['status']>`users.status`.as('status'))
    .select(
      sql<OperatorRecord['identifiers']>`coalesce((select jsonb_agg(jsonb_build_object('kind', n.kind,
        'value', n.value, 'verified', n.verified_at is not null) order by n.created_at, n.value)
        from identifiers n where n.pool_id = users.pool_id and n.user_id = users.id), '[]')`.as('identifiers'),
    )
    .where('users.status', '<>', 'deleted')
