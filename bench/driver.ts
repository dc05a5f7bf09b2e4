import { join } from 'node:path'
import type { Database } from './database.ts'
import { busyOfCore, type Served } from './processes.ts'
import type { Operation, Target, Worker } from './worker.ts'

/** A server with what is needed to drive and to watch it. */
export interface Subject extends Target {
  server: Served
  /** Where the server keeps everything; the bare engine has none. */
  database: Database | undefined
}

/** What is measured. */
export interface Task {
  name: string
  operation: Operation
  /** Whether passwords are really hashed. */
  hashing?: boolean
}

/** What a server did with one operation, so many at once. Times are in milliseconds. */
export interface Measured {
  count: number
  failed: number
  error: string | undefined
  perSecond: number
  p50: number
  p95: number
  p99: number
  /** Processor time an operation, in the server and in PostgreSQL. */
  cpu: number
  databaseCpu: number
  statements: number
  /** Bytes of the server at the end. */
  rss: number
  /** The part of the servers' core that others took: in a quiet run next to nothing. */
  disturbed: number
}

/**
 * Measures an operation on each subject in turn, slice by slice, so that whatever else the machine does meets them
 * alike. Each slice lasts so many milliseconds, after a shorter one that is not counted.
 */
export const measure = async (subjects: Subject[], task: Task, atOnce: number, plan: Plan): Promise<Measured[]> => {
  const sums = subjects.map(() => emptySum())
  for (let slice = 0; slice < plan.slices; slice += 1) {
    for (const [index, subject] of subjects.entries()) {
      const sum = sums[index]
      if (sum) await runSlice(subject, task, atOnce, plan, sum)
    }
  }
  return sums.map(summarise)
}

interface Plan {
  slices: number
  milliseconds: number
  /** A folder for a CPU profile of each server's last slice. */
  profile?: string | undefined
}

interface Sum {
  latencies: number[]
  failed: number
  error: string | undefined
  elapsed: number
  cpu: number
  databaseCpu: number
  statements: number
  rss: number
  busy: number
}

const emptySum = (): Sum => ({
  latencies: [],
  failed: 0,
  error: undefined,
  elapsed: 0,
  cpu: 0,
  databaseCpu: 0,
  statements: 0,
  rss: 0,
  busy: 0,
})

const runSlice = async (subject: Subject, task: Task, atOnce: number, plan: Plan, sum: Sum) => {
  const { name, operation, hashing = false } = task
  await subject.server.ask({ ask: 'hash', on: false })
  const workers: Worker[] = []
  for (let n = 0; n < atOnce; n += 1) workers.push(await operation(subject, n, atOnce))
  await subject.server.ask({ ask: 'hash', on: hashing })
  try {
    await drive(workers, plan.milliseconds / 4, emptySum())
    if (plan.profile) await subject.server.ask({ ask: 'profile', file: undefined })
    const before = await readTotals(subject)
    await drive(workers, plan.milliseconds, sum)
    const after = await readTotals(subject)
    const file = plan.profile && join(plan.profile, `${name}-${subject.name}.cpuprofile`)
    if (file) await subject.server.ask({ ask: 'profile', file })
    sum.cpu += after.cpu - before.cpu
    sum.databaseCpu += after.databaseCpu - before.databaseCpu
    sum.statements += after.statements - before.statements
    sum.busy += after.busy - before.busy
    sum.rss = after.rss
  } finally {
    await Promise.all(workers.map((worker) => worker.close()))
  }
}

const readTotals = async ({ server, database }: Subject) => ({
  ...(await server.ask({ ask: 'usage' })),
  databaseCpu: database?.cpu() ?? 0,
  busy: busyOfCore(),
})

/** Lets every worker go on until the time is over; what is under way then is still counted. */
export const drive = async (
  workers: Worker[],
  milliseconds: number,
  sum: Pick<Sum, 'latencies' | 'failed' | 'error' | 'elapsed'>,
): Promise<void> => {
  const began = performance.now()
  const until = began + milliseconds
  await Promise.all(workers.map((worker) => loop(worker, until, sum)))
  sum.elapsed += performance.now() - began
}

const loop = async ({ once }: Worker, until: number, sum: Pick<Sum, 'latencies' | 'failed' | 'error'>) => {
  for (let began = performance.now(); began < until; began = performance.now()) {
    try {
      await once()
      sum.latencies.push(performance.now() - began)
    } catch (error) {
      sum.failed += 1
      sum.error ??= String(error)
    }
  }
}

const summarise = (sum: Sum): Measured => {
  const count = Math.max(1, sum.latencies.length)
  return {
    count: sum.latencies.length,
    failed: sum.failed,
    error: sum.error,
    perSecond: (sum.latencies.length / sum.elapsed) * 1000,
    ...percentilesOf(sum.latencies),
    cpu: sum.cpu / count,
    databaseCpu: sum.databaseCpu / count,
    statements: sum.statements / count,
    rss: sum.rss,
    disturbed: Math.max(0, sum.busy - sum.cpu - sum.databaseCpu) / sum.elapsed,
  }
}

export const percentilesOf = (latencies: number[]) => {
  const sorted = Float64Array.from(latencies).sort()
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}
