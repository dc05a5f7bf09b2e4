import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Page } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import type { Script } from './scripts.ts'

/** How many samples a script has at most, and how many of its runs are kept, and for how long. */
const most = { samples: 20, runs: 100 }
const runDays = 7

type One = Pick<Script, 'workspaceId' | 'id'>

/** An input that a script can be tried on. */
export interface Sample {
  id: string
  name: string
  input: Record<string, unknown>
  recorded: boolean
  createdAt: Date
}

/** The samples of a script, the newest first. */
export const listSamples = (db: Db, { workspaceId, id }: One): Promise<Sample[]> =>
  db
    .selectFrom('scriptSamples')
    .select(['id', 'name', 'input', 'recorded', 'createdAt'])
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .orderBy('id', 'desc')
    .execute()

/** Keeps an input to try a script on; needs a transaction. Throws `conflict` where there are as many as there may be. */
export const addSample = async (
  db: Db,
  at: Date,
  { workspaceId, id }: One,
  { name, input }: Pick<Sample, 'name' | 'input'>,
): Promise<Sample> => {
  await db
    .selectFrom('scripts')
    .select('id')
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .forNoKeyUpdate()
    .execute()
  if ((await listSamples(db, { workspaceId, id })).length >= most.samples)
    throw new Problem('conflict', { detail: `A script has ${most.samples} samples at most.` })
  const sample = { id: uuidv7(at), name, input, recorded: false, createdAt: at }
  const row = { workspaceId, scriptId: id, ...sample, input: JSON.stringify(input) }
  await db.insertInto('scriptSamples').values(row).execute()
  return sample
}

/** Deletes a sample. Throws `not_found`. */
export const removeSample = async (db: Db, { workspaceId, id }: One, sample: string): Promise<void> => {
  const { numDeletedRows } = await db
    .deleteFrom('scriptSamples')
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .where('id', '=', sample)
    .executeTakeFirst()
  if (numDeletedRows === 0n) throw new Problem('not_found')
}

/**
 * Keeps the input of a real run as a sample where an operator asked for the next one: of many runs at once, one does. It
 * takes the place of what was recorded before.
 */
export const recordSample = async (db: Db, at: Date, { workspaceId, id }: One, input: unknown): Promise<void> => {
  await sql`
    with asked as (
      update scripts set record_next = false
      where workspace_id = ${workspaceId} and id = ${id} and record_next returning id
    ), former as (
      delete from script_samples using asked
      where workspace_id = ${workspaceId} and script_id = ${id} and recorded
    )
    insert into script_samples (workspace_id, script_id, id, name, input, recorded, created_at)
    select ${workspaceId}, ${id}, ${uuidv7(at)}::uuid, 'Recorded', ${JSON.stringify(input)}::jsonb, true, ${at}
    from asked`.execute(db)
}

/** A run of a script, as operators see it. */
export interface RunRecord {
  id: string
  at: Date
  version: number
  ok: boolean
  why: string | null
  detail: string | null
  ms: number
  logs: string
  trace: string | null
  userId: string | null
  clientId: string | null
}

/** Keeps a run, for a week and among the last hundred of its script. */
export const keepRun = async (
  db: Db,
  { workspaceId, id: scriptId }: One,
  run: Omit<RunRecord, 'id'>,
): Promise<void> => {
  const expiresAt = new Date(run.at.getTime() + runDays * 86_400_000)
  await db
    .insertInto('scriptRuns')
    .values({ workspaceId, scriptId, id: uuidv7(run.at), ...run, expiresAt })
    .execute()
  await sql`
    delete from script_runs where workspace_id = ${workspaceId} and script_id = ${scriptId} and id <= (
      select id from script_runs where workspace_id = ${workspaceId} and script_id = ${scriptId}
      order by id desc offset ${most.runs} limit 1)`.execute(db)
}

/** The runs that are kept of a script, the latest first. */
export const listRuns = (db: Db, { workspaceId, id }: One, { limit, after }: Page): Promise<RunRecord[]> =>
  db
    .selectFrom('scriptRuns')
    .select(['id', 'at', 'version', 'ok', 'why', 'detail', 'ms', 'logs', 'trace', 'userId', 'clientId'])
    .where('workspaceId', '=', workspaceId)
    .where('scriptId', '=', id)
    .$if(after !== undefined, (query) => query.where('id', '<', after ?? ''))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
