import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Connection, connect } from '../src/db/connect.ts'
import { discardEmbedded, startEmbedded } from '../src/db/embedded.ts'
import { migrate } from '../src/db/migrate.ts'
import { cpuOfFamily, familyOf, parentOf, pin, serverCore } from './processes.ts'

/** A PostgreSQL of the bench's own: durable, migrated, on the servers' core, and gone with `stop`. */
export interface Database extends Connection {
  /** Milliseconds of processor time so far. */
  cpu(): number
  stop(): Promise<void>
}

export const openDatabase = async (): Promise<Database> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lido-bench-'))
  const { url, stop } = await startEmbedded({ dataDir, log: () => {}, settings })
  const connection = await openMigrated(url)
  const postmaster = await findPostmaster(connection)
  for (const pid of familyOf(postmaster)) pin(pid, serverCore)
  return {
    ...connection,
    cpu: () => cpuOfFamily(postmaster),
    stop: async () => {
      await connection.close()
      await stop()
      await discardEmbedded(dataDir)
    },
  }
}

/** Makes another database on the same server; `stop` only lets go of it. */
export const openAnother = async ({ pool, url, cpu }: Database, name: string): Promise<Database> => {
  await pool.query(`create database ${name}`)
  const address = new URL(url)
  address.pathname = `/${name}`
  const connection = await openMigrated(address.href)
  return { ...connection, cpu, stop: connection.close }
}

const openMigrated = async (url: string): Promise<Connection> => {
  const connection = connect(url, { statementTimeout: 0 })
  await migrate(connection)
  return connection
}

const settings = { synchronous_commit: 'on', fsync: 'on', shared_buffers: '512MB', max_wal_size: '4GB' }

const findPostmaster = async ({ pool }: Connection): Promise<number> => {
  const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid')
  return parentOf(rows[0]?.pid ?? 0)
}
