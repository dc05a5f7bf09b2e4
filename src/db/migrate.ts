import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Migration, type MigrationProvider, Migrator, sql } from 'kysely'
import { type Connection, connect, type Db } from './connect.ts'

/** Where the migrations are, one file each, applied in the order of their names. */
export const migrationsFolder = fileURLToPath(new URL('../../migrations/', import.meta.url))

/**
 * Brings a database up to date, and gives the names of what was applied. Of many nodes that start at once, one does it
 * and the others wait. A database that is ahead of this program is left as it is.
 */
export const migrate = async ({ db, url }: Pick<Connection, 'db' | 'url'>): Promise<string[]> => {
  if ((await pendingMigrations(db)).length === 0) return []
  const own = connect(url, { max: 2, statementTimeout: 0, applicationName: 'lido migrate' })
  try {
    return await own.db.connection().execute(async (lock) => {
      await sql`select pg_advisory_lock(${lockId})`.execute(lock)
      return await migrateAlone(own)
    })
  } finally {
    // With its connection, the lock goes too.
    await own.close()
  }
}

/** What `migrate` would apply: one cheap statement and a look into a folder. */
export const pendingMigrations = async (db: Db): Promise<string[]> => {
  const [wanted, applied] = await Promise.all([listMigrations(), listApplied(db)])
  return [...wanted, jobsVersion].filter((name) => !applied.has(name))
}

const lockId = '7236269310041974'

/** The job queue, which brings migrations of its own with each version. */
export const jobsVersion = `graphile-worker ${createRequire(import.meta.url)('graphile-worker/package.json').version}`

const migrateAlone = async ({ db, url }: Connection): Promise<string[]> => {
  const pending = await pendingMigrations(db)
  const { error, results = [] } = await new Migrator({ db, provider }).migrateToLatest()
  if (error) throw error
  const applied = results.map(({ migrationName }) => migrationName)
  if (!pending.includes(jobsVersion)) return applied
  const { migrateJobs } = await import('../platform/jobs.ts')
  await migrateJobs(url)
  await sql`comment on schema graphile_worker is ${sql.lit(jobsVersion)}`.execute(db)
  return [...applied, jobsVersion]
}

const listMigrations = async (): Promise<string[]> =>
  (await readdir(migrationsFolder))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
    .map((name) => name.slice(0, -'.ts'.length))
    .sort()

const provider: MigrationProvider = {
  async getMigrations() {
    const migrations: Record<string, Migration> = {}
    for (const name of await listMigrations())
      migrations[name] = await import(new URL(`${name}.ts`, pathToFileURL(migrationsFolder)).href)
    return migrations
  },
}

const listApplied = async (db: Db): Promise<Set<string>> => {
  try {
    const { rows } = await sql<{ name: string }>`
      select name from kysely_migration
      union all
      select obj_description(to_regnamespace('graphile_worker'), 'pg_namespace')`.execute(db)
    return new Set(rows.map(({ name }) => name))
  } catch (error) {
    const undefinedTable = '42P01'
    if ((error as { code?: string }).code === undefinedTable) return new Set()
    throw error
  }
}
