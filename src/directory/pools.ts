import { sql } from 'kysely'
import { z } from 'zod'
import { type Db, isUniqueViolation } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { schemaFault } from './profiles.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)

/** What an operator may set for a pool; stored as it is typed, with every default filled in when read. */
export const poolSettings = z.object({
  identifiers: z
    .array(z.enum(['email', 'mobile', 'username']))
    .min(1)
    .default(['email']),
  sign_in_methods: z
    .array(z.enum(['password', 'email_code']))
    .min(1)
    .default(['password', 'email_code']),
  self_registration: z.boolean().default(false),
  user_schema: z.record(z.string(), z.unknown()).default({ type: 'object', properties: {}, required: [] }),
  metadata_schema: z.record(z.string(), z.unknown()).default({}),
  password_policy: z.strictObject({ min_length: z.int().min(8).max(128).default(12) }).prefault({}),
  code_policy: z
    .strictObject({
      length: z.int().min(6).max(10).default(6),
      lifetime_seconds: z.int().min(60).max(600).default(600),
      attempts: z.int().min(1).max(5).default(5),
    })
    .prefault({}),
})
export type PoolSettings = z.infer<typeof poolSettings>

export const newPool = z.object({
  slug,
  name: z.string().min(1).max(200),
  description: z.string().max(1000).default(''),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/)
    .default('#1f6feb'),
  kind: z.literal('local').default('local'),
  settings: poolSettings.prefault({}),
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
  createdAt: Date
  updatedAt: Date
}

export const poolFrom = (row: Omit<Pool, 'settings'> & { settings: unknown }): Pool => ({
  id: row.id,
  slug: row.slug,
  name: row.name,
  description: row.description,
  color: row.color,
  kind: row.kind,
  status: row.status,
  settings: poolSettings.parse(row.settings),
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
})

/** Makes a pool. Throws `conflict` where the slug is taken, `unprocessable` where its schema cannot be used. */
export const create = async (
  db: Db,
  at: Date,
  input: z.input<typeof newPool>,
  by: audit.By = audit.system,
): Promise<Pool> => {
  const { settings, ...pool } = newPool.parse(input)
  await checkSchema(settings)
  const row = await db
    .insertInto('pools')
    .values({ id: uuidv7(at), ...pool, settings: JSON.stringify(settings) })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: `A pool with the slug "${pool.slug}" exists.` })
  await audit.record(db, at, { poolId: row.id }, { type: 'pool.created', data: { by, name: pool.name } })
  return poolFrom(row)
}

const checkSchema = async ({ user_schema }: PoolSettings): Promise<void> => {
  const detail = await schemaFault(user_schema)
  if (detail) throw new Problem('unprocessable', { errors: [{ pointer: '/user_schema', detail }] })
}

/** Every setting at once; an event tells what changed. Throws as `create` does, and `conflict` where somebody was quicker. */
export const update = async (
  db: Db,
  at: Date,
  before: Pool,
  input: z.input<typeof newPool> & { status: Pool['status'] },
  by: audit.By,
): Promise<Pool> => {
  const { settings, ...pool } = newPool.parse(input)
  await checkSchema(settings)
  const row = await db
    .updateTable('pools')
    .set({ ...pool, status: input.status, settings: JSON.stringify(settings), updatedAt: nextVersion(at, before) })
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returningAll()
    .executeTakeFirst()
    .catch(refuseTaken(pool.slug))
  if (!row) throw overtaken()
  const after = poolFrom(row)
  const data = { by, ...audit.difference(before, after) }
  await audit.record(db, at, { poolId: row.id }, { type: 'pool.updated', data })
  return after
}

/** Deletes a pool with everyone in it. Throws `conflict` while it is connected to a workspace. */
export const remove = async (db: Db, at: Date, { id, name }: Pool, by: audit.By): Promise<void> => {
  const connected = await db.selectFrom('connections').select('id').where('poolId', '=', id).executeTakeFirst()
  if (connected)
    throw new Problem('conflict', { detail: 'The pool is connected to a workspace. Remove its connections first.' })
  await db.deleteFrom('pools').where('id', '=', id).execute()
  await audit.record(db, at, { poolId: id }, { type: 'pool.deleted', data: { by, name } })
}

/** Pools by id, from the first after `after`; only those in `among` where that is given. */
export const list = async (
  db: Db,
  { limit, after, among }: { limit: number; after: string | undefined; among: readonly string[] | undefined },
): Promise<Pool[]> => {
  const rows = await db
    .selectFrom('pools')
    .selectAll()
    .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
    .$if(among !== undefined, (query) => query.where('id', '=', sql<string>`any(${among}::uuid[])`))
    .orderBy('id')
    .limit(limit)
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

const refuseTaken = (taken: string) => (error: unknown) => {
  if (isUniqueViolation(error)) throw new Problem('conflict', { detail: `A pool with the slug "${taken}" exists.` })
  throw error
}
