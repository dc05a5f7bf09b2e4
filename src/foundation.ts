import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { type Connection, connect } from './db/connect.ts'
import { migrate } from './db/migrate.ts'
import type { Log } from './platform/log.ts'
import { randomToken } from './platform/secrets.ts'

/** What everything else stands on: a configuration with its secrets, and a database that is up to date. */
export interface Foundation {
  config: Config
  connection: Connection
  migrated: string[]
}

/** What has to be closed again, in the order of opening. */
export type Closing = (() => Promise<void>)[]

/** A foundation whose database may be behind, or away. */
export type Ground = Omit<Foundation, 'migrated'>

/** Opens the database, the embedded one where none is configured, and migrates it. */
export const openFoundation = async (
  wanted: Config,
  log: Log,
  closing: Closing,
  onStatement?: (text: string) => void,
): Promise<Foundation> => {
  const ground = await openGround(wanted, log, closing, onStatement)
  return { ...ground, migrated: await migrate(ground.connection) }
}

/** The same without migrating: nothing is connected yet where a database is configured. */
export const openGround = async (
  wanted: Config,
  log: Log,
  closing: Closing,
  onStatement?: (text: string) => void,
): Promise<Ground> => {
  const config = { ...wanted, secrets: await secretsOf(wanted) }
  const url = config.databaseUrl ?? (await openEmbedded(config, log, closing))
  const connection = connect(url, { max: 10, ...(onStatement ? { onStatement } : {}) })
  closing.push(connection.close)
  connection.pool.on('error', (error) => log.warn({ err: error }, 'a database connection broke'))
  return { config, connection }
}

/** Closes everything, the last opened first. */
export const closeAll = async (closing: Closing): Promise<void> => {
  for (const one of closing.splice(0).reverse()) await one()
}

/** Development makes its own secrets once and keeps them with its data. */
const secretsOf = async ({ secrets, dataDir }: Config): Promise<readonly string[]> => {
  if (secrets.length > 0) return secrets
  const file = join(dataDir, 'secrets')
  await mkdir(dataDir, { recursive: true })
  // `wx` lets one of two starts at once write; both read what it wrote.
  await writeFile(file, randomToken(), { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return (await readFile(file, 'utf8')).trim().split(',')
}

const openEmbedded = async ({ dataDir }: Config, log: Log, closing: Closing): Promise<string> => {
  const { startEmbedded } = await import('./db/embedded.ts')
  const embedded = await startEmbedded({
    dataDir: join(dataDir, 'postgres'),
    log: (line) => log.debug({ postgres: line }, 'postgres'),
  })
  closing.push(embedded.stop)
  return embedded.url
}
