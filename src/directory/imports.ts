import { sql } from 'kysely'
import { z } from 'zod'
import { type Db, isUniqueViolation } from '../db/connect.ts'
import { enqueue } from '../platform/jobs.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import * as audit from './audit.ts'
import { applyRows, type Outcome } from './import-batch.ts'
import type { Reach } from './import-roles.ts'
import { type RawRow, readRow } from './import-rows.ts'
import * as pools from './pools.ts'
import type { PresetName } from './presets/preset.ts'

/** How an import is to be done. */
export interface ImportOptions extends Reach {
  /** Everything is checked and counted, and nobody is made or changed. */
  dryRun: boolean
  /** What becomes of a row whose user is there already. */
  onDuplicate: 'skip' | 'update' | 'fail'
  /** Whether rows may put users into groups. */
  withGroups: boolean
  /** Whose file it is, where it is another system's. */
  preset: PresetName | null
}

/** What is told of a row, by its number. */
export interface Told {
  row: number
  reasons: string[]
}

/**
 * An import with how far it is; `errors` are those of the first thousand rows that failed, `warnings` of those that came in
 * without something, and `leftOut` the fields that nothing here is called by.
 */
export interface Import extends ImportOptions {
  poolId: string
  id: string
  state: 'receiving' | 'running' | 'done'
  rows: number
  position: number
  created: number
  updated: number
  skipped: number
  failed: number
  warned: number
  errors: Told[]
  warnings: Told[]
  leftOut: { field: string; rows: number }[]
  createdAt: Date
  finishedAt: Date | null
}

type Worker = Pick<Services, 'db' | 'clock'>

const mostRows = 1_000_000
const mostErrors = 1_000
const mostFields = 300
const batchRows = 200
const keptDays = 30

/**
 * Takes in the rows of an import and starts it; nothing of them is in memory longer than a few hundred take to write.
 * Throws `unprocessable` where there is no row, `too_large` where there are too many; what reading them throws ends it.
 */
export const start = async (
  { db, clock }: Worker,
  poolId: string,
  options: ImportOptions,
  rows: AsyncIterable<RawRow>,
  by: audit.By,
): Promise<Import> => {
  const at = clock.now()
  const id = uuidv7(at)
  const startedBy = JSON.stringify(by)
  const expiresAt = inDays(at, 1)
  await db
    .insertInto('imports')
    .values({ poolId, id, state: 'receiving', ...options, startedBy, createdAt: at, expiresAt })
    .execute()
  try {
    const { count, leftOut } = await receive(db, poolId, id, rows)
    if (count === 0) throw new Problem('unprocessable', { detail: 'There is no row to import.' })
    await db.transaction().execute(async (trx) => {
      await trx
        .updateTable('imports')
        .set({ state: 'running', rows: count, leftOut: JSON.stringify(leftOut), expiresAt: inDays(at, keptDays) })
        .where('poolId', '=', poolId)
        .where('id', '=', id)
        .execute()
      const data = { by, import: id, rows: count, dry_run: options.dryRun }
      await audit.record(trx, at, { poolId }, { type: 'import.started', data })
      await enqueue(trx, 'import_users', { pool: poolId, id })
    })
  } catch (error) {
    await db.deleteFrom('imports').where('poolId', '=', poolId).where('id', '=', id).execute()
    throw error
  }
  return get(db, poolId, id)
}

/** An import of a pool. Throws `not_found`. */
export const get = async (db: Db, poolId: string, id: string): Promise<Import> => {
  const asked = imports(db).where('poolId', '=', poolId).where('id', '=', id)
  return asked.executeTakeFirstOrThrow(() => new Problem('not_found'))
}

/** Imports of a pool, the newest first, before the one called `before`. */
export const list = (
  db: Db,
  poolId: string,
  { limit, before }: { limit: number; before: string | undefined },
): Promise<Import[]> =>
  imports(db)
    .where('poolId', '=', poolId)
    .$if(before !== undefined, (query) => query.where('id', '<', before ?? ''))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()

/**
 * The job that works on an import, batch by batch. It gives way to itself before its deadline; one that dies goes on
 * after the last batch that was committed.
 */
export const importUsers =
  (services: Worker, budgetMs = 20_000) =>
  async (payload: unknown): Promise<void> => {
    const { pool, id } = z.object({ pool: z.uuid(), id: z.uuid() }).parse(payload)
    const began = performance.now()
    while (performance.now() - began < budgetMs) if (!(await workOn(services, pool, id))) return
    await enqueue(services.db, 'import_users', { pool, id })
  }

/** Works on the next batch of an import; answers whether there is more. */
export const workOn = async (services: Worker, poolId: string, id: string): Promise<boolean> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await services.db.transaction().execute((trx) => workAlone(trx, services.clock.now(), poolId, id))
    } catch (error) {
      // Somebody took one of the identifiers in between, which the next try sees.
      if (tries === 3 || !(isUniqueViolation(error) || error instanceof Problem)) throw error
    }
  }
}

const workAlone = async (db: Db, at: Date, poolId: string, id: string): Promise<boolean> => {
  // A plan that was made while the tables were small would read them whole for each batch, until they are counted again.
  await sql`set local enable_seqscan = off`.execute(db)
  const run = await db
    .selectFrom('imports')
    .selectAll()
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .where('state', '=', 'running')
    .forUpdate()
    .executeTakeFirst()
  const pool = await pools.findById(db, poolId)
  if (!run || !pool) return false
  const waiting = await db
    .selectFrom('importRows')
    .select(['number', 'row'])
    .where('poolId', '=', poolId)
    .where('importId', '=', id)
    .where('number', '>', run.position)
    .orderBy('number')
    .limit(batchRows)
    .execute()
  const rows = waiting.map(({ number, row }) => ({ number, read: readRow(pool, row as unknown as RawRow) }))
  const by = run.startedBy as unknown as audit.By
  const outcomes = await applyRows(db, at, pool, { ...run, by }, rows)
  const position = outcomes.at(-1)?.number ?? run.rows
  await db
    .deleteFrom('importRows')
    .where('poolId', '=', poolId)
    .where('importId', '=', id)
    .where('number', '<=', position)
    .execute()
  const done = position >= run.rows
  const counts = countsOf(run, outcomes)
  const errors = outcomes.flatMap(({ number, is, reasons = [] }) => (is === 'failed' ? [{ row: number, reasons }] : []))
  const warnings = warningsOf(waiting as unknown as { number: number; row: RawRow }[], outcomes)
  const warned = run.warned + warnings.length
  await db
    .updateTable('imports')
    .set({ position, ...counts, warned })
    .$if(done, (query) => query.set({ state: 'done', finishedAt: at, expiresAt: inDays(at, keptDays) }))
    .$if(adds(run.errors, errors), (query) => query.set({ errors: withMore(run.errors, errors) }))
    .$if(adds(run.warnings, warnings), (query) => query.set({ warnings: withMore(run.warnings, warnings) }))
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
  if (done) {
    await db.deleteFrom('importSeen').where('poolId', '=', poolId).where('importId', '=', id).execute()
    await audit.record(db, at, { poolId }, { type: 'import.finished', data: { by, import: id, ...counts } })
  }
  return !done
}

const countsOf = (run: Pick<Import, Outcome['is']>, outcomes: Outcome[]) => {
  const plus = (is: Outcome['is']) => run[is] + outcomes.filter((one) => one.is === is).length
  return { created: plus('created'), updated: plus('updated'), skipped: plus('skipped'), failed: plus('failed') }
}

/** Of the rows that came in, those that came without something. */
const warningsOf = (waiting: { number: number; row: RawRow }[], outcomes: Outcome[]): Told[] => {
  const made = new Set(outcomes.flatMap(({ number, is }) => (is === 'created' || is === 'updated' ? [number] : [])))
  return waiting.flatMap(({ number, row }) =>
    row.is === 'row' && row.warnings && made.has(number) ? [{ row: number, reasons: row.warnings }] : [],
  )
}

const adds = (told: Told[], more: Told[]): boolean => more.length > 0 && told.length < mostErrors
const withMore = (told: Told[], more: Told[]): string => JSON.stringify([...told, ...more].slice(0, mostErrors))

/** Counts in how many rows a field was left out; a file whose rows all have others takes no more memory for that. */
const counter = () => {
  const counts = new Map<string, number>()
  return {
    add: (names: string[]) => {
      for (const name of names) {
        const field = counts.has(name) || counts.size < mostFields ? name.slice(0, 100) : 'others'
        counts.set(field, (counts.get(field) ?? 0) + 1)
      }
    },
    counted: () => [...counts].map(([field, rows]) => ({ field, rows })).sort((one, other) => other.rows - one.rows),
  }
}

const receive = async (
  db: Db,
  poolId: string,
  importId: string,
  rows: AsyncIterable<RawRow>,
): Promise<{ count: number; leftOut: Import['leftOut'] }> => {
  const fields = counter()
  let count = 0
  let batch: { number: number; row: string }[] = []
  let characters = 0
  const write = async () => {
    await sql`
      insert into import_rows (pool_id, import_id, number, "row")
      select ${poolId}, ${importId}, number, text::jsonb
      from unnest(${batch.map(({ number }) => number)}::int[], ${batch.map(({ row }) => row)}::text[]) as t (number, text)
    `.execute(db)
    batch = []
    characters = 0
  }
  for await (const raw of rows) {
    count += 1
    if (count > mostRows) throw new Problem('too_large', { detail: `An import has at most ${mostRows} rows.` })
    if (raw.is === 'row') fields.add(raw.leftOut ?? [])
    const row = JSON.stringify({ ...raw, leftOut: undefined })
    batch.push({ number: count, row })
    characters += row.length
    if (batch.length === 500 || characters > 1_000_000) await write()
  }
  if (batch.length > 0) await write()
  return { count, leftOut: fields.counted() }
}

const imports = (db: Db) =>
  db
    .selectFrom('imports')
    .select(['poolId', 'id', 'state', 'dryRun', 'onDuplicate', 'withGroups', 'withRoles', 'withTenants', 'ofPoolOnly'])
    .select(['preset', 'rows', 'position', 'created', 'updated', 'skipped', 'failed', 'warned'])
    .select(['errors', 'warnings', 'leftOut', 'createdAt', 'finishedAt'])

const inDays = (at: Date, days: number): Date => new Date(at.getTime() + days * 86_400_000)
