import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Answers, Question } from './channel.ts'

/** The servers and PostgreSQL share one core, the driver has another. */
export const serverCore = 0
export const driverCore = 1

/** Whether the machine lets processes be held on one core each; elsewhere, ratios say less. */
export const canPin = ((): boolean => {
  try {
    execFileSync('taskset', ['-p', String(process.pid)], { stdio: 'ignore' })
    return process.platform === 'linux' && availableParallelism() > 1
  } catch {
    return false
  }
})()

/** Holds a process with all its threads on a core. */
export const pin = (pid: number, core: number): void => {
  if (canPin) execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' })
}

/** What is served: Lido with a channel to us, the engine alone, and the program as it is started by its users. */
export const programs = {
  lido: import.meta.resolve('./server.ts'),
  bare: import.meta.resolve('./bare.ts'),
  main: import.meta.resolve('../src/main.ts'),
}

/** A server under measurement. */
export interface Served {
  origin: string
  pid: number
  ask<Kind extends Question['ask']>(question: Extract<Question, { ask: Kind }>): Promise<Answers[Kind]>
  stop(): Promise<void>
}

/** Starts one of our files on the servers' core and waits until it says that it is ready. */
export const serve = async (
  program: keyof typeof programs,
  { env, port, flags = [] }: { env: Record<string, string>; port: number; flags?: string[] },
): Promise<Served> => {
  const child = spawnOnCore([heap, ...flags, fileURLToPath(programs[program])], {
    ...env,
    PORT: String(port),
    HOST: '127.0.0.1',
  })
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${program} ended before it was ready`)
  })
  await Promise.race([once(child, 'message'), failed])
  failed.catch(() => {})
  return {
    origin: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    ask: async (question) => {
      const answered = once(child, 'message')
      child.send(question)
      const [answer] = await answered
      return answer
    },
    stop: () => end(child),
  }
}

/** As `npm start` has it: a small young generation costs no throughput and saves a hundred megabytes. */
export const heap = '--max-semi-space-size=8'

/** Starts Node with arguments on the servers' core; its log goes where a log costs the least. */
export const spawnOnCore = (args: string[], env: Record<string, string>): ChildProcess => {
  const command = canPin ? ['taskset', '-c', String(serverCore), process.execPath] : [process.execPath]
  const [program = '', ...before] = command
  const child = spawn(program, [...before, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk
  })
  child.once('exit', (code) => {
    if (code) console.error(said)
  })
  return child
}

export const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(late)
}

/** Every process of a PostgreSQL, beginning with its postmaster. */
export const familyOf = (postmaster: number): number[] => [
  postmaster,
  ...readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statOf(Number(name))?.parent === postmaster)
    .map(Number),
]

/** Milliseconds of processor time that a PostgreSQL has used, its ended processes included. */
export const cpuOfFamily = (postmaster: number): number =>
  familyOf(postmaster).reduce((sum, pid) => {
    const stat = statOf(pid)
    return sum + (stat?.own ?? 0) + (pid === postmaster ? (stat?.ended ?? 0) : 0)
  }, 0)

export const parentOf = (pid: number): number => statOf(pid)?.parent ?? 0

/** Bytes of a process that are in memory. */
export const rssOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024

/** Milliseconds that the servers' core was busy, whoever it worked for. */
export const busyOfCore = (): number => {
  const line = new RegExp(`^cpu${serverCore} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) * tick
}

// USER_HZ is 100 on every Linux that Node runs on; proc(5) counts fields from 1 and the name may hold spaces.
const tick = 10

const statOf = (pid: number): { parent: number; own: number; ended: number } | undefined => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
      .map(Number)
    const [parent = 0, utime = 0, stime = 0, cutime = 0, cstime = 0] = [1, 11, 12, 13, 14].map((at) => fields[at])
    return { parent, own: (utime + stime) * tick, ended: (cutime + cstime) * tick }
  } catch {
    return undefined // it has ended in between
  }
}
