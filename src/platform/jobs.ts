import { EventEmitter } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { Job, Logger, Runner, WorkerEvents } from 'graphile-worker'
import { type Kysely, sql } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

interface EnqueueOptions {
  /** 25 by default: about three days, with pauses from seconds to hours. */
  maxAttempts?: number
  runAt?: Date
  /** A job that waits under the same key is replaced. */
  jobKey?: string
}

/** Puts a job into the outbox; in a transaction, it runs where and only where that commits. */
export const enqueue = async <Database>(
  db: Kysely<Database>,
  task: string,
  payload: object,
  { maxAttempts, runAt, jobKey }: EnqueueOptions = {},
): Promise<void> => {
  await sql`select from graphile_worker.add_job(
    ${task}::text,
    payload => ${JSON.stringify(payload)}::json,
    run_at => ${runAt ?? null}::timestamptz,
    max_attempts => ${maxAttempts ?? null}::int,
    job_key => ${jobKey ?? null}::text
  )`.execute(db)
}

interface JobsOptions {
  connectionString: string
  /** A job may run more than once, as a node may die before it can say that it is done. What throws is tried again. */
  tasks: Record<string, (payload: unknown) => Promise<void>>
  log: Log
  metrics: Metrics
  /** Jobs that this process runs at once; 2 by default. */
  concurrency?: number
  /** Milliseconds after which a job counts as failed; a minute by default, and never more. */
  deadlineMs?: number
}

/**
 * Works on the outbox, and goes on trying where the database is away. `stop` waits for what is running, for ten seconds
 * at most.
 */
export const startJobs = async (options: JobsOptions): Promise<{ stop(): Promise<void> }> => {
  const { run, Logger } = await import('graphile-worker')
  const { default: pg } = await import('pg')
  const logger = new Logger(() => (level, message, meta) => {
    // A job that failed is told once, by `countJobs`; what else is passed along holds payloads.
    if (!meta?.failure) options.log[level === 'error' || level === 'warning' ? 'warn' : 'debug'](message)
  })
  const stopping = new AbortController()
  const working = keepWorking(stopping.signal, options.log, async () => {
    const pool = openPool(new pg.Pool(poolSettings(options.connectionString)))
    try {
      await work(run, pool, logger, options, stopping.signal)
    } finally {
      await atMost(2_000, pool.end())
    }
  })
  return {
    async stop() {
      stopping.abort()
      await atMost(10_000, working)
    },
  }
}

/** Makes the tables of the outbox, or brings them up to date; they have a schema of their own. */
export const migrateJobs = async (connectionString: string): Promise<void> => {
  const { Logger, runMigrations } = await import('graphile-worker')
  const { default: pg } = await import('pg')
  const pgPool = openPool(new pg.Pool({ connectionString, max: 1 }))
  try {
    await runMigrations({ pgPool, logger: new Logger(() => () => {}) })
  } finally {
    await pgPool.end()
  }
}

const poolSettings = (connectionString: string) => ({
  connectionString,
  max: 3,
  application_name: 'lido jobs',
  connectionTimeoutMillis: 5_000,
  query_timeout: 10_000,
  keepAlive: true,
})

// A connection that breaks tells its pool or, where it is lent out, itself; unheard, either would end the process.
const openPool = (pool: Pool): Pool =>
  pool
    .on('error', () => {})
    .on('connect', (client) => {
      client.on('error', () => {})
      forgiveSecondRelease(client)
    })

// The worker gives the connection it listens on back twice where that breaks while it stops, and hears no error.
const forgiveSecondRelease = (client: PoolClient): void => {
  let release = client.release
  Object.defineProperty(client, 'release', {
    get: () => release,
    set(give: PoolClient['release']) {
      let given = false
      release = (broken) => {
        if (!given) give(broken)
        given = true
      }
    },
  })
}

const pauseMs = 1_000

/** Tells of an outage once, when it begins. */
const keepWorking = async (stop: AbortSignal, log: Log, attempt: () => Promise<void>): Promise<void> => {
  for (let failures = 0; !stop.aborted; failures += 1) {
    const began = performance.now()
    const error = await attempt().catch((error: unknown) => error)
    if (stop.aborted) return
    if (performance.now() - began > 60_000) failures = 0
    log[failures === 0 ? 'warn' : 'debug']({ err: error }, 'the outbox cannot be worked on; trying again')
    await setTimeout(pauseMs, undefined, { signal: stop }).catch(() => {})
  }
}

/** Works until it is told to stop, or until the worker ends or has lost the database. */
const work = async (
  run: typeof import('graphile-worker').run,
  pgPool: Pool,
  logger: Logger,
  { tasks, log, metrics, concurrency = 2, deadlineMs = longestMs }: JobsOptions,
  stop: AbortSignal,
): Promise<void> => {
  const events: WorkerEvents = new EventEmitter()
  countJobs(events, log, metrics)
  const lost = losses(events)
  const taskList = withDeadlines(tasks, Math.min(deadlineMs, longestMs))
  const runner = await run({ pgPool, logger, events, taskList, concurrency, preset, noHandleSignals: true })
  const ended = runner.promise.catch(() => {})
  const freeing = setInterval(() => freeJobsOfTheDead(pgPool).catch(() => {}), 30_000)
  try {
    await freeJobsOfTheDead(pgPool)
    await Promise.race([ended, lost, aborted(stop)])
  } finally {
    clearInterval(freeing)
    await atMost(10_000, stopRunner(runner))
  }
}

// Unless it gathers them, the worker waits neither for a job's outcome to be written nor for the error where it cannot:
// a stop would lose the outcome, and an outage of the database would end the process.
const preset = { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } }

const stopRunner = async (runner: Runner): Promise<void> => {
  await runner.stop().catch(() => {})
  await runner.promise.catch(() => {})
}

const countJobs = (events: WorkerEvents, log: Log, metrics: Metrics): void => {
  events.on('job:success', ({ job }) => metrics.job(job.task_identifier, 'done'))
  events.on('job:error', ({ job, error }) => {
    const last = job.attempts >= job.max_attempts
    metrics.job(job.task_identifier, last ? 'failed' : 'retry')
    log[last ? 'error' : 'warn']({ ...nameOf(job), err: error }, last ? 'job failed for good' : 'job failed')
  })
}

const nameOf = ({ id, task_identifier, attempts }: Job) => ({ job: id, task: task_identifier, attempt: attempts })

/** Resolves when the worker has asked for a job in vain three times in a row: its connections may be dead. */
const losses = (events: WorkerEvents): Promise<void> =>
  new Promise((resolve) => {
    let misses = 0
    const found = () => {
      misses = 0
    }
    events.on('worker:getJob:empty', found).on('job:start', found)
    events.on('worker:getJob:error', () => {
      misses += 1
      if (misses >= 3) resolve()
    })
  })

const longestMs = 60_000

const withDeadlines = (tasks: JobsOptions['tasks'], ms: number): JobsOptions['tasks'] =>
  Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, (payload) => withDeadline(task(payload), ms)]))

const withDeadline = async (running: Promise<void>, ms: number): Promise<void> => {
  const cancel = new AbortController()
  const late = setTimeout(ms, undefined, cancel).then(() => {
    throw new Error('The job took too long')
  })
  try {
    await Promise.race([running, late])
  } finally {
    cancel.abort()
    late.catch(() => {})
  }
}

// Left alone, a job that was running when its node died stays locked for four hours, and the code in it expires. No
// live job is this old, as each has its deadline.
const freeJobsOfTheDead = (pool: Pool) =>
  pool.query(`update graphile_worker._private_jobs set locked_at = null, locked_by = null
    where locked_at < now() - interval '90 seconds'`)

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Waits for something, but not for longer, and for nothing that would keep the process alive. */
const atMost = (ms: number, something: Promise<unknown>): Promise<unknown> =>
  Promise.race([something.catch(() => {}), setTimeout(ms, undefined, { ref: false })])
