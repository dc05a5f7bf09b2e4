import { randomBytes } from 'node:crypto'
import { chown, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { createCluster, findPlace, findRunning, hasCluster, launch, type Postmaster, shutDown } from './cluster.ts'

export interface EmbeddedOptions {
  /** Made where it is missing; nothing else belongs in it. */
  dataDir: string
  log: (line: string) => void
  /** PostgreSQL's own settings, for a server that is started now; one that runs already keeps what it has. */
  settings?: Record<string, string>
}

export interface Embedded {
  url: string
  /** Lets go of the server; the last process to do so shuts it down. May be called twice. */
  stop(): Promise<void>
}

/**
 * Starts the PostgreSQL that lives in a folder, or finds it running: for another process, or left by one that was killed.
 * Throws where it cannot be brought to answer. docs/decisions/002-embedded-database.md says how it holds together.
 */
export const startEmbedded = async ({ dataDir, log, settings = {} }: EmbeddedOptions): Promise<Embedded> => {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const folder = await realpath(dataDir)
  const users = openLock(join(folder, 'users.lock'))
  try {
    const find = async () => {
      const memory = await recall(folder)
      const running = (await untilSettled(memory.home)) ?? (await bringUp(folder, memory, users, settings, log))
      users.tryTogether()
      return [memory, running] as const
    }
    // A server that was killed a moment ago may still look alive, and hang up; the second look sees that it is gone.
    const url = await alone(folder, async () =>
      greet(...(await find())).catch(async () => {
        await setTimeout(1000)
        return greet(...(await find()))
      }),
    )
    let stopped: Promise<void> | undefined
    const stop = () => {
      stopped ??= leave(folder, users, ({ home }) => shutDown(home))
      return stopped
    }
    return { url, stop }
  } catch (error) {
    users.close()
    throw error
  }
}

/** Shuts down and deletes the PostgreSQL of a folder, with the folder; false, and nothing done, where it is in use. */
export const discardEmbedded = async (dataDir: string): Promise<boolean> => {
  const folder = await realpath(dataDir)
  let discarded = false
  await leave(folder, openLock(join(folder, 'users.lock')), async ({ home }) => {
    await shutDown(home)
    for (const gone of new Set([home, folder])) await rm(gone, { recursive: true, force: true, maxRetries: 10 })
    discarded = true
  })
  return discarded
}

const user = 'lido'
const database = 'lido'

/** What a folder knows of its server. `home` is where the cluster is: the folder itself, where PostgreSQL can enter it. */
interface Memory {
  password: string
  port: number
  home: string
}

const bringUp = async (
  folder: string,
  memory: Memory,
  users: Lock,
  settings: Record<string, string>,
  log: EmbeddedOptions['log'],
): Promise<Postmaster> => {
  // Whoever uses it has a server that we do not see, on the other side of a container's wall perhaps: two servers on the
  // same files would ruin them.
  if (!users.tryAlone())
    throw new Error(`${folder} is in use, but its PostgreSQL does not run here: stop its users first`)
  const place = await findPlace(memory.home)
  memory.home = place.home
  await remember(folder, memory)
  if (!(await hasCluster(place.home))) {
    const reason = place.home === folder ? '' : `: it may not run as root, and whom it runs as may not enter ${folder}`
    log(`Setting up a PostgreSQL in ${place.home}${reason}`)
    await createCluster(place, user, memory.password, settings.fsync !== 'off')
  }
  for (let tries = 1; ; tries++) {
    memory.port = await freePort(memory.port)
    try {
      const running = await launch(place, memory.port, settings)
      users.release()
      await remember(folder, memory)
      log(`PostgreSQL listens on 127.0.0.1:${memory.port}, its data is in ${place.home}`)
      return running
    } catch (error) {
      // Somebody took the port; or the processes of a server that was killed have not all noticed yet.
      if (tries === 5) throw error
      await setTimeout(300)
    }
  }
}

/** Waits for a server that is on its way up or down. */
const untilSettled = async (home: string): Promise<Postmaster | undefined> => {
  for (const until = Date.now() + 60_000; Date.now() < until; await setTimeout(25)) {
    const running = await findRunning(home)
    if (!running || running.ready) return running
  }
  throw new Error(`The PostgreSQL in ${home} neither comes up nor ends`)
}

/** Asks for the password's worth, and makes the database where a server is new. */
const greet = async ({ password, home }: Memory, { pid, port }: Postmaster): Promise<string> => {
  const url = `postgresql://${user}:${password}@127.0.0.1:${port}`
  const client = new pg.Client({
    connectionString: `${url}/postgres`,
    connectionTimeoutMillis: 5000,
    query_timeout: 20_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database])
    if (!rowCount) await client.query(`create database ${database}`)
    return `${url}/${database}`
  } catch (cause) {
    throw new Error(`The PostgreSQL in ${home} (process ${pid}) does not let us in`, { cause })
  } finally {
    await client.end()
  }
}

const recall = async (folder: string): Promise<Memory> => {
  const text = await readFile(join(folder, 'server.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  const memory: Memory = text
    ? JSON.parse(text)
    : { password: randomBytes(24).toString('base64url'), port: 0, home: folder }
  return (await hasCluster(memory.home)) ? memory : { ...memory, home: folder }
}

const remember = async (folder: string, memory: Memory): Promise<void> => {
  const path = join(folder, 'server.json')
  await writeFile(`${path}.draft`, JSON.stringify(memory), { mode: 0o600, flush: true })
  // A start as root now and then does not lock out whose folder it is.
  const { uid, gid } = await stat(folder)
  if (process.getuid?.() === 0) await chown(`${path}.draft`, uid, gid)
  await rename(`${path}.draft`, path)
}

/** The preferred port where it is free, else one that the system chooses. */
const freePort = (preferred: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', preferred ? () => resolve(freePort(0)) : reject)
    server.listen(preferred, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : preferred))
    })
  })

interface Lock {
  tryAlone(): boolean
  tryTogether(): boolean
  release(): void
  close(): void
}

// SQLite's lock on an empty file: the kernel lets go of it when its holder ends, however that happens, so that no file
// with a process's number in it has to be believed.
const openLock = (path: string): Lock => {
  const file = new DatabaseSync(path, { timeout: 0 })
  const release = () => {
    if (file.isTransaction) file.exec('rollback')
  }
  const attempt = (statements: string): boolean => {
    try {
      file.exec(statements)
      return true
    } catch (error) {
      release()
      if ((error as { errcode?: number }).errcode === 5) return false // SQLITE_BUSY
      throw error
    }
  }
  return {
    tryAlone: () => attempt('begin exclusive'),
    tryTogether: () => attempt('begin; select 1 from sqlite_master'),
    release,
    close: () => file.close(),
  }
}

/** Does what only one process may do at a time: start and stop. */
const alone = async <Result>(folder: string, work: () => Promise<Result>): Promise<Result> => {
  const lock = openLock(join(folder, 'start.lock'))
  try {
    for (const until = Date.now() + 120_000; !lock.tryAlone(); await setTimeout(25))
      if (Date.now() > until) throw new Error(`Another process keeps starting or stopping the PostgreSQL in ${folder}`)
    return await work()
  } finally {
    lock.close()
  }
}

const leave = async (folder: string, users: Lock, whenLast: (memory: Memory) => Promise<void>): Promise<void> => {
  try {
    await alone(folder, async () => {
      users.release()
      if (users.tryAlone()) await whenLast(await recall(folder))
    })
  } finally {
    users.close()
  }
}
