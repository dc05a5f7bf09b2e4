import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Connection, connect, type Db } from './connect.ts'
import { discardEmbedded, type Embedded, startEmbedded } from './embedded.ts'
import { jobsVersion, migrate, migrationsFolder } from './migrate.ts'

/** A migrated, empty database of a test's own. */
export interface TestDatabase {
  url: string
  connection: Connection
  db: Db
  /** Closes the connection and drops the database. */
  close(): Promise<void>
}

/** Makes a database for a test, cloned from a migrated template; takes some 30 ms. */
export const testDatabase = async (): Promise<TestDatabase> => {
  const server = await testServer()
  const template = await ensureTemplate(server)
  const name = `lido_test_${randomBytes(8).toString('hex')}`
  await administer(server, (client) => client.query(`create database ${name} template ${template} strategy file_copy`))
  const url = urlOf(server, name)
  const connection = connect(url, { statementTimeout: 10_000 })
  const close = async () => {
    await connection.close()
    await administer(server, (client) => dropDatabase(client, name))
  }
  return { url, connection, db: connection.db, close }
}

/** Starts a PostgreSQL for a run of tests, in a new folder, and makes the template. `stop` leaves nothing of it. */
export const startTestServer = async (): Promise<Embedded> => {
  const folders = await temporaryFolders()
  for (const folder of folders) await discardAbandoned(folder)
  const server = await startInOneOf(folders)
  await ensureTemplate(server.url).catch(async (error) => {
    await server.stop()
    throw error
  })
  return server
}

const startInOneOf = async ([folder = tmpdir(), ...others]: string[]): Promise<Embedded> => {
  const dataDir = await mkdtemp(join(folder, folderPrefix))
  try {
    const { url, stop } = await startEmbedded({ dataDir, log: () => {}, settings })
    const stopAndDelete = async () => {
      await stop()
      await discardEmbedded(dataDir)
    }
    return { url, stop: stopAndDelete }
  } catch (error) {
    await discardEmbedded(dataDir)
    if (others.length === 0) throw error
    return startInOneOf(others)
  }
}

/** Memory first, where there is enough of it: a database is cloned in 10 ms there, and in 300 ms on a slow disk. */
const temporaryFolders = async (): Promise<string[]> => {
  const memory = await statfs('/dev/shm').catch(() => undefined)
  const enough = memory && memory.bavail * memory.bsize > 2 ** 30
  return [...(enough ? ['/dev/shm'] : []), tmpdir()]
}

const folderPrefix = 'lido-test-'

// What is lost when the machine fails was for a test anyway.
const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  max_connections: '200',
  shared_buffers: '64MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum: 'off',
  io_method: 'sync',
  min_wal_size: '32MB',
  max_wal_size: '128MB',
}

let server: Promise<string> | undefined

/** The server of this run of tests; where a file is run alone, one that ends with the process. */
const testServer = (): Promise<string> => {
  server ??= process.env.LIDO_TEST_PG_URL ? Promise.resolve(process.env.LIDO_TEST_PG_URL) : startOwnServer()
  return server
}

const startOwnServer = async (): Promise<string> => {
  const { url, stop } = await startTestServer()
  process.once('beforeExit', stop)
  return url
}

/** Deletes the servers of runs that were killed. One that is younger than a minute may be on its way up. */
const discardAbandoned = async (parent: string): Promise<void> => {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(folderPrefix)) continue
    const folder = join(parent, name)
    const { uid, mtimeMs } = await stat(folder).catch(() => ({ uid: -1, mtimeMs: 0 }))
    if (uid !== process.getuid?.() || Date.now() - mtimeMs < 60_000) continue
    await discardEmbedded(folder).catch(() => {}) // another run is at it
  }
}

const templates = new Map<string, Promise<string>>()

const ensureTemplate = (server: string): Promise<string> => {
  const template = templates.get(server) ?? makeTemplate(server)
  templates.set(server, template)
  return template
}

const makeTemplate = async (server: string): Promise<string> => {
  const name = `lido_template_${await fingerprint()}`
  await administer(server, async (client) => {
    // Held until this connection ends; whoever waited finds the template made.
    await client.query('select pg_advisory_lock(7236269310041975)')
    const { rowCount } = await client.query('select from pg_database where datname = $1 and datistemplate', [name])
    if (rowCount) return
    await client.query(`drop database if exists ${name} with (force)`)
    await client.query(`create database ${name}`)
    const connection = connect(urlOf(server, name), { statementTimeout: 60_000 })
    try {
      await migrate(connection)
    } finally {
      await connection.close()
    }
    await client.query(`alter database ${name} with is_template true allow_connections false`)
  })
  return name
}

/** Changes with whatever a migration does. */
const fingerprint = async (): Promise<string> => {
  const hash = createHash('sha256').update(jobsVersion)
  for (const name of (await readdir(migrationsFolder)).sort())
    hash.update(`${name}\n`).update(await readFile(join(migrationsFolder, name)))
  return hash.digest('hex').slice(0, 12)
}

/** Waits for connections that are closing just now; one that is not is cut off. */
export const dropDatabase = async (client: pg.ClientBase | pg.Pool, name: string): Promise<void> => {
  const dropped = client.query(`drop database if exists ${name}`)
  await dropped.catch(() => client.query(`drop database if exists ${name} with (force)`))
}

const administer = async (server: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> => {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

const urlOf = (server: string, database: string): string => {
  const url = new URL(server)
  url.pathname = `/${database}`
  return url.href
}
