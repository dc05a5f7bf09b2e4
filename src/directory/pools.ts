import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { poolSlug } from './operators.ts'
import { checkMove, checkOutside } from './pool-rules.ts'
import { shownSettings } from './pool-secrets.ts'
import { checkSettings, type PoolSettings, poolSettings } from './pool-settings.ts'
import { type PoolSource, poolSource } from './pool-source.ts'
import { type PoolUpstream, poolUpstream } from './pool-upstream.ts'
import { refuseSecond } from './taken.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)

export const newPool = z.object({
  /** Given where something of it had to be sealed before it is made. */
  id: z.uuid().optional(),
  slug,
  name: z.string().min(1).max(200),
  description: z.string().max(1000).default(''),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/)
    .default('#1f6feb'),
  kind: z.enum(['local', 'external', 'federated']).default('local'),
  settings: poolSettings.prefault({}),
  source: poolSource.nullable().default(null),
  upstream: poolUpstream.nullable().default(null),
})

/** A directory of users, with its settings complete. */
export interface Pool {
  id: string
  slug: string
  name: string
  description: string
  color: string
  kind: 'local' | 'external' | 'federated'
  status: 'active' | 'inactive'
  settings: PoolSettings
  /** Where the users of an external pool live; its secrets are sealed. */
  source: PoolSource | null
  /** Where the users of a federated pool prove who they are; its secrets are sealed. */
  upstream: PoolUpstream | null
  createdAt: Date
  updatedAt: Date
}

type PoolRow = Omit<Pool, 'settings' | 'source' | 'upstream'> & {
  settings: unknown
  source: unknown
  upstream: unknown
}

export const poolFrom = (row: PoolRow): Pool => ({
  id: row.id,
  slug: row.slug,
  name: row.name,
  description: row.description,
  color: row.color,
  kind: row.kind,
  status: row.status,
  settings: poolSettings.parse(row.settings),
  source: row.source ? poolSource.parse(row.source) : null,
  upstream: row.upstream ? poolUpstream.parse(row.upstream) : null,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
})

/** Whether a pool's people stay where they live: their passwords, and what is known of them, are not kept here. */
export const staysElsewhere = ({ source }: Pick<Pool, 'source'>): boolean => source?.mode === 'sync'

/** Whether what is known of a user is their source's to change, and not ours. */
export const isKeptElsewhere = (pool: Pick<Pool, 'source'>, { authority }: { authority: string }): boolean =>
  staysElsewhere(pool) && authority === 'linked'

/** Makes a pool. Throws `conflict` where the slug is taken, `unprocessable` where its schema cannot be used. */
export const create = async (
  db: Db,
  at: Date,
  input: z.input<typeof newPool>,
  by: audit.By = audit.system,
): Promise<Pool> => {
  const { id = uuidv7(at), settings, source, upstream, ...pool } = newPool.parse(input)
  await checkSettings(settings)
  checkOutside({ ...pool, settings, source, upstream })
  const row = await db
    .insertInto('pools')
    .values({
      id,
      ...pool,
      settings: JSON.stringify(settings),
      source: source && JSON.stringify(source),
      upstream: upstream && JSON.stringify(upstream),
    })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .returningAll()
    .executeTakeFirstOrThrow(() => new Problem('conflict', { detail: `A pool with the slug "${pool.slug}" exists.` }))
  await audit.record(db, at, { poolId: row.id }, { type: 'pool.created', data: { by, name: pool.name } })
  return poolFrom(row)
}

type Change = z.input<typeof newPool> & { status: Pool['status'] }

/** What a pool would be with every setting at once. Throws `unprocessable` where the settings cannot be used. */
export const changedBy = async (before: Pool, { status, ...input }: Change): Promise<Pool> => {
  const { settings, id: _id, ...pool } = newPool.parse(input)
  await checkSettings(settings)
  checkOutside({ ...pool, settings })
  return { ...before, ...pool, status, settings }
}

type Ways = Pick<Pool, 'slug' | 'status'> & { settings: Pick<PoolSettings, 'identifiers' | 'sign_in_methods'> }

/** What of a change would lock operators out: what they may sign in with is added to, and never taken away. */
export const lockouts = (before: Ways, { slug, status, settings }: Ways): { pointer: string; detail: string }[] => {
  if (before.slug !== poolSlug) return []
  const taken = (['identifiers', 'sign_in_methods'] as const).flatMap((field) => {
    const kept = new Set<string>(settings[field])
    return before.settings[field]
      .filter((value) => !kept.has(value))
      .map((value) => ({ pointer: `/${field}`, detail: `Administrators may need "${value}" to sign in: it stays` }))
  })
  return [
    ...(slug === poolSlug ? [] : [{ pointer: '/slug', detail: 'The pool of administrators keeps its slug' }]),
    ...(status === 'active' ? [] : [{ pointer: '/status', detail: 'The pool of administrators stays active' }]),
    ...taken,
  ]
}

/** Every setting at once; an event tells what changed. Throws as `create` does, and `conflict` where somebody was quicker. */
export const update = async (db: Db, at: Date, before: Pool, input: Change, by: audit.By): Promise<Pool> => {
  const { slug, name, description, color, kind, status, settings, source, upstream } = await changedBy(before, input)
  const errors = lockouts(before, { slug, status, settings })
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
  await checkMove(db, before.id, before, { kind, source, upstream, settings })
  const pool = { slug, name, description, color, kind, status }
  const row = await db
    .updateTable('pools')
    .set({
      ...pool,
      settings: JSON.stringify(settings),
      source: source && JSON.stringify(source),
      upstream: upstream && JSON.stringify(upstream),
      updatedAt: nextVersion(at, before),
    })
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returningAll()
    .executeTakeFirstOrThrow(overtaken)
    .catch(refuseTaken(pool.slug))
  const after = poolFrom(row)
  const data = { by, ...audit.difference(told(before), told(after)) }
  await audit.record(db, at, { poolId: row.id }, { type: 'pool.updated', data })
  return after
}

/** A pool as events may tell of it: without its secrets, which are only named. */
const told = ({ source, upstream, ...pool }: Pool) => ({
  ...pool,
  source: source && { ...source, ...shownSettings(source.settings) },
  upstream: upstream && { ...upstream, ...shownSettings(upstream.settings) },
})

/**
 * Deletes a pool with everyone in it. Throws `conflict` while it is connected to a workspace, and for the pool of
 * administrators: no owner would be left.
 */
export const remove = async (db: Db, at: Date, { id, slug, name }: Pool, by: audit.By): Promise<void> => {
  if (slug === poolSlug) throw new Problem('conflict', { detail: 'The pool of administrators cannot be deleted.' })
  const connected = await db.selectFrom('connections').select('id').where('poolId', '=', id).executeTakeFirst()
  if (connected)
    throw new Problem('conflict', { detail: 'The pool is connected to a workspace. Remove its connections first.' })
  await db.deleteFrom('pools').where('id', '=', id).execute()
  await audit.record(db, at, { poolId: id }, { type: 'pool.deleted', data: { by, name } })
}

/** Pools by id, from the first after `after`; only those in `among` where that is given. */
export const list = async (
  db: Db,
  { among, ...page }: Page & { among: readonly string[] | undefined },
): Promise<Pool[]> => {
  const rows = await db
    .selectFrom('pools')
    .selectAll()
    .$if(among !== undefined, (query) => query.where('id', '=', sql<string>`any(${among}::uuid[])`))
    .$call(pageBy('id', page))
    .execute()
  return rows.map(poolFrom)
}

export const findById = async (db: Db, id: string): Promise<Pool | undefined> => {
  const row = await db.selectFrom('pools').selectAll().where('id', '=', id).executeTakeFirst()
  return row && poolFrom(row)
}

export const findBySlug = async (db: Db, wanted: string): Promise<Pool | undefined> => {
  const row = await db.selectFrom('pools').selectAll().where('slug', '=', wanted).executeTakeFirst()
  return row && poolFrom(row)
}

/** The first workspace that a pool is connected to, by id; only those in `among` where that is given. */
export const findHome = async (
  db: Db,
  poolId: string,
  among: ReadonlySet<string> | undefined,
): Promise<string | undefined> => {
  const row = await db
    .selectFrom('connections')
    .innerJoin('workspaces', 'workspaces.id', 'connections.workspaceId')
    .select('workspaceId')
    .where('poolId', '=', poolId)
    .where('enabled', '=', true)
    .where('workspaces.status', '=', 'active')
    .$if(among !== undefined, (query) =>
      query.where('workspaceId', '=', sql<string>`any(${[...(among ?? [])]}::uuid[])`),
    )
    .orderBy('connections.id')
    .executeTakeFirst()
  return row?.workspaceId
}

/** The slugs of the pools that a method is set for. */
export const listBySignInMethod = async (db: Db, method: string): Promise<string[]> => {
  const rows = await db
    .selectFrom('pools')
    .select('slug')
    .where(sql<boolean>`(settings -> 'sign_in_methods')::jsonb @> ${JSON.stringify([method])}::jsonb`)
    .orderBy('slug')
    .execute()
  return rows.map((row) => row.slug)
}

const refuseTaken = (taken: string) => refuseSecond(`A pool with the slug "${taken}" exists.`)
