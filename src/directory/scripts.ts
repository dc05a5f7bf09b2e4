import { sql } from 'kysely'
import { z } from 'zod'
import { type Db, isForeignKeyViolation } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'
import { lockWorkspace } from './workspaces.ts'

/** Where a script can run. */
export const points = ['post_authentication', 'mapping'] as const
export type Point = (typeof points)[number]

/** The function that a script of a point defines. */
export const functionOf: Record<Point, string> = { post_authentication: 'postAuthentication', mapping: 'mapping' }

/** How many scripts a workspace has at most, and how many versions a script. */
const most = { scripts: 50, versions: 50 }

/** What an operator may set for a script. */
export const scriptSettings = z.strictObject({
  name: z.string().min(1).max(200),
  code: z
    .string()
    .min(1)
    .max(65_536)
    .refine((code) => Buffer.byteLength(code) <= 65_536, 'This is longer than 64 KB')
    .describe('JavaScript that defines the function of its point: `postAuthentication` or `mapping`'),
  enabled: z.boolean().default(true).describe('Switched off, sign-ins go on as if there were no script'),
  on_failure: z
    .enum(['deny', 'continue'])
    .default('deny')
    .describe('What becomes of a sign-in where the script fails: it is refused, or goes on without it'),
  record_next: z.boolean().default(false).describe('Keep the input of the next real run as a sample, once'),
})

export const newScript = scriptSettings.extend({
  point: z.enum(points).default('post_authentication').describe('Where it runs'),
})

/** A script with the code of its current version. */
export interface Script {
  workspaceId: string
  id: string
  name: string
  point: Point
  enabled: boolean
  onFailure: 'deny' | 'continue'
  version: number
  recordNext: boolean
  code: string
  createdAt: Date
  updatedAt: Date
}

/** Makes a script; needs a transaction. Throws `conflict` where the workspace has as many as it may. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  input: z.input<typeof newScript>,
  by: audit.By,
): Promise<Script> => {
  const { code, on_failure: onFailure, record_next: recordNext, ...script } = newScript.parse(input)
  await lockWorkspace(db, workspaceId)
  const { n } = await db
    .selectFrom('scripts')
    .select(({ fn }) => fn.countAll<string>().as('n'))
    .where('workspaceId', '=', workspaceId)
    .executeTakeFirstOrThrow()
  if (Number(n) >= most.scripts)
    throw new Problem('conflict', { detail: `A workspace has ${most.scripts} scripts at most.` })
  const id = uuidv7(at)
  const row = { workspaceId, id, ...script, onFailure, recordNext, version: 1, createdAt: at, updatedAt: at }
  await db.insertInto('scripts').values(row).execute()
  await keepVersion(db, at, { workspaceId, id, number: 1, code }, by)
  await audit.record(db, at, { workspaceId }, { type: 'script.created', data: { by, name: script.name, script: id } })
  return { ...row, code }
}

/**
 * Every setting at once; other code becomes a new version. Needs a transaction. Throws `conflict` where somebody was
 * quicker.
 */
export const update = async (
  db: Db,
  at: Date,
  before: Script,
  input: z.input<typeof scriptSettings>,
  by: audit.By,
): Promise<Script> => {
  const { code, on_failure: onFailure, record_next: recordNext, name, enabled } = scriptSettings.parse(input)
  const { workspaceId, id } = before
  const version = code === before.code ? before.version : (await newestVersion(db, before)) + 1
  const set = { name, enabled, onFailure, recordNext, version, updatedAt: nextVersion(at, before) }
  await write(db, before, set)
  if (version !== before.version) await keepVersion(db, at, { workspaceId, id, number: version, code }, by)
  const after = { ...before, ...set, code }
  const { code: _c, ...was } = before
  const { code: _d, ...is } = after
  const data = { by, name, script: id, ...audit.difference(was, is) }
  await audit.record(db, at, { workspaceId }, { type: 'script.updated', data })
  return after
}

/** Makes an older version the current one; needs a transaction. Throws `not_found` where it is not kept. */
export const rollBack = async (db: Db, at: Date, before: Script, version: number, by: audit.By): Promise<Script> => {
  const { workspaceId, id, name } = before
  const kept = await db
    .selectFrom('scriptVersions')
    .select('code')
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .where('number', '=', version)
    .executeTakeFirstOrThrow(() => new Problem('not_found'))
  const set = { version, updatedAt: nextVersion(at, before) }
  await write(db, before, set)
  const data = { by, name, before: { version: before.version }, after: { version } }
  await audit.record(db, at, { workspaceId }, { type: 'script.rolled_back', data })
  return { ...before, ...set, code: kept.code }
}

const write = async (
  db: Db,
  before: Script,
  set: Partial<Pick<Script, 'name' | 'enabled' | 'onFailure' | 'recordNext' | 'version'>> & { updatedAt: Date },
): Promise<void> => {
  await db
    .updateTable('scripts')
    .set(set)
    .where('workspaceId', '=', before.workspaceId)
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returning('id')
    .executeTakeFirstOrThrow(overtaken)
}

/** Deletes a script with everything kept of it; needs a transaction. Throws `conflict` where it is in use. */
export const remove = async (
  db: Db,
  at: Date,
  { workspaceId, id, name }: Pick<Script, 'workspaceId' | 'id' | 'name'>,
  by: audit.By,
): Promise<void> => {
  const { rows } = await sql<{ slug: string }>`
    select slug from pools
    where source #>> '{mapping,script}' = ${id} or upstream #>> '{mapping,script}' = ${id} limit 1`.execute(db)
  if (rows[0]) throw new Problem('conflict', { detail: `The mapping of the pool "${rows[0].slug}" uses this script.` })
  await db
    .deleteFrom('scripts')
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .execute()
    .catch((error) => {
      if (isForeignKeyViolation(error)) throw new Problem('conflict', { detail: 'A connection uses this script.' })
      throw error
    })
  await audit.record(db, at, { workspaceId }, { type: 'script.deleted', data: { by, name, script: id } })
}

/** A script of a workspace; undefined where there is none. */
export const find = (db: Db, workspaceId: string, id: string): Promise<Script | undefined> =>
  scripts(db).where('scripts.workspaceId', '=', workspaceId).where('scripts.id', '=', id).executeTakeFirst()

/** A workspace's scripts by id, from the one after `after`. */
export const list = (db: Db, workspaceId: string, page: Page): Promise<Script[]> =>
  scripts(db).where('scripts.workspaceId', '=', workspaceId).$call(pageBy('scripts.id', page)).execute()

/** What all scripts are called. */
export const listNames = (db: Db): Promise<Pick<Script, 'id' | 'name' | 'workspaceId'>[]> =>
  db.selectFrom('scripts').select(['id', 'name', 'workspaceId']).orderBy('id').execute()

/** The mapping script of a pool, which belongs to a workspace that the pool is connected to. */
export const findMapping = (db: Db, poolId: string, id: string): Promise<Script | undefined> =>
  scripts(db)
    .innerJoin('connections', 'connections.workspaceId', 'scripts.workspaceId')
    .where('connections.poolId', '=', poolId)
    .where('scripts.id', '=', id)
    .where('point', '=', 'mapping')
    .executeTakeFirst()

/** The pools whose mapping a script has the last word on, and whether they give what is of other pools, too. */
export const poolsMappedBy = async (db: Db, id: string): Promise<{ id: string; slug: string; reach: string }[]> => {
  const { rows } = await sql<{ id: string; slug: string; reach: string }>`
    select id, slug, coalesce(source #>> '{mapping,reach}', upstream #>> '{mapping,reach}', 'everything') as reach
    from pools where source #>> '{mapping,script}' = ${id} or upstream #>> '{mapping,script}' = ${id} order by id`.execute(
    db,
  )
  return rows
}

/** The ids of the pools whose people a script is told of: by a connection, or by their mapping. */
export const poolsToldOf = async (
  db: Db,
  { workspaceId, id }: Pick<Script, 'workspaceId' | 'id'>,
): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    select pool_id as id from connections where workspace_id = ${workspaceId} and post_authentication_script = ${id}
    union select id from pools
    where source #>> '{mapping,script}' = ${id} or upstream #>> '{mapping,script}' = ${id}`.execute(db)
  return rows.map((row) => row.id)
}

const scripts = (db: Db) =>
  db
    .selectFrom('scripts')
    .innerJoin('scriptVersions', (join) =>
      join
        .onRef('scriptVersions.workspaceId', '=', 'scripts.workspaceId')
        .onRef('scriptVersions.scriptId', '=', 'scripts.id')
        .onRef('scriptVersions.number', '=', 'scripts.version'),
    )
    .select(['scripts.workspaceId', 'scripts.id', 'scripts.name', 'point', 'scripts.enabled', 'onFailure', 'version'])
    .select(['recordNext', 'code', 'scripts.createdAt', 'scripts.updatedAt'])

/** One save of a script. */
export interface Version {
  number: number
  code: string
  writtenBy: Record<string, unknown>
  createdAt: Date
}

/** The versions that are kept, the newest first. */
export const listVersions = (db: Db, { workspaceId, id }: Pick<Script, 'workspaceId' | 'id'>): Promise<Version[]> =>
  db
    .selectFrom('scriptVersions')
    .select(['number', 'code', 'writtenBy', 'createdAt'])
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .orderBy('number', 'desc')
    .execute()

const newestVersion = async (db: Db, { workspaceId, id }: Script): Promise<number> => {
  const row = await db
    .selectFrom('scriptVersions')
    .select(({ fn }) => fn.max('number').as('newest'))
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .executeTakeFirst()
  return row?.newest ?? 0
}

// The oldest give way; what was just saved is the one in use.
const keepVersion = async (
  db: Db,
  at: Date,
  { workspaceId, id, number, code }: { workspaceId: string; id: string; number: number; code: string },
  by: audit.By,
): Promise<void> => {
  const row = { workspaceId, scriptId: id, number, code, writtenBy: JSON.stringify(by), createdAt: at }
  await db.insertInto('scriptVersions').values(row).execute()
  await db
    .deleteFrom('scriptVersions')
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .where('number', '<=', number - most.versions)
    .execute()
}
