import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import { type TestDatabase, testDatabase } from '../db/testing.ts'
import { enqueue, migrateJobs, startJobs } from './jobs.ts'
import { openLog } from './log.ts'
import { openMetrics } from './metrics.ts'

let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

const start = async (tasks: Parameters<typeof startJobs>[0]['tasks'], connectionString = database.url) => {
  const lines: string[] = []
  const metrics = openMetrics()
  const log = openLog({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const jobs = await startJobs({ connectionString, tasks, log, metrics })
  after(jobs.stop)
  return { jobs, metrics, lines }
}

const until = async (fact: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> => {
  for (const end = Date.now() + ms; !(await fact()); await setTimeout(20)) assert.ok(Date.now() < end, 'waited in vain')
}

const waiting = async (task: string): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*) from graphile_worker.jobs where task_identifier = ${task}`.execute(database.db)
  return Number(rows[0]?.count)
}

/** A way to the database that can be cut, and where who sends a certain text never gets an answer. */
const openLine = async (unanswered?: string) => {
  const { hostname, port } = new URL(database.url)
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    near.on('data', (chunk) => {
      if (unanswered && chunk.includes(unanswered)) far.unpipe(near)
    })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve))
  await listen(0)
  const own = (server.address() as AddressInfo).port
  const cut = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  after(cut)
  const url = new URL(database.url)
  url.host = `127.0.0.1:${own}`
  return { url: url.href, cut, mend: () => listen(own) }
}

test('a job runs once its transaction has committed, with its payload', async () => {
  const got: unknown[] = []
  const { jobs, metrics } = await start({
    greet: async (payload) => {
      got.push(payload)
    },
  })
  await database.db.transaction().execute(async (trx) => {
    await enqueue(trx, 'greet', { snake_case: 1, camelCase: ['ü'] })
    await setTimeout(100)
    assert.deepEqual(got, [])
  })
  await until(() => got.length === 1)
  await until(async () => (await waiting('greet')) === 0)
  await jobs.stop()
  assert.deepEqual(got, [{ snake_case: 1, camelCase: ['ü'] }])
  assert.ok((await metrics.text()).includes('lido_jobs_total{task="greet",outcome="done"} 1'))
})

test('a job of a transaction that was rolled back never existed', async () => {
  const undone = database.db.transaction().execute(async (trx) => {
    await enqueue(trx, 'undone', {})
    throw new Error('rolled back')
  })
  await assert.rejects(undone, /rolled back/)
  assert.equal(await waiting('undone'), 0)
})

test('a job that fails is tried again, and told of without its payload', async () => {
  let tries = 0
  const { jobs, metrics, lines } = await start({
    flaky: async () => {
      tries += 1
      if (tries === 1) throw new Error('mail server away')
    },
  })
  await enqueue(database.db, 'flaky', { value: 'canary-payload' })
  await until(() => tries === 2)
  await until(async () => (await waiting('flaky')) === 0)
  await jobs.stop()
  const text = await metrics.text()
  assert.ok(text.includes('lido_jobs_total{task="flaky",outcome="retry"} 1'))
  assert.ok(text.includes('lido_jobs_total{task="flaky",outcome="done"} 1'))
  const told = lines.filter((line) => line.includes('mail server away')).map((line) => JSON.parse(line))
  assert.equal(told.length, 1)
  assert.deepEqual([told[0].level, told[0].task, told[0].attempt], ['warn', 'flaky', 1])
  assert.ok(!lines.join().includes('canary-payload'))
})

test('a job that failed as often as it may is kept and told of as an error', async () => {
  const { jobs, metrics, lines } = await start({ hopeless: () => Promise.reject(new Error('never')) })
  await enqueue(database.db, 'hopeless', {}, { maxAttempts: 1 })
  await until(async () => (await metrics.text()).includes('lido_jobs_total{task="hopeless",outcome="failed"} 1'))
  await jobs.stop()
  assert.equal(await waiting('hopeless'), 1)
  assert.ok(lines.some((line) => JSON.parse(line).level === 'error'))
})

test('a job that does not end counts as failed', async () => {
  const log = openLog({ level: 'silent' })
  const metrics = openMetrics()
  const tasks = { endless: () => new Promise<void>(() => {}) }
  const jobs = await startJobs({ connectionString: database.url, tasks, log, metrics, deadlineMs: 100 })
  await enqueue(database.db, 'endless', {}, { maxAttempts: 1 })
  await until(async () => (await metrics.text()).includes('lido_jobs_total{task="endless",outcome="failed"} 1'))
  await jobs.stop()
})

test('a job can be put off, and replaced by its key', async () => {
  const runAt = new Date(Date.now() + 3_600_000)
  await enqueue(database.db, 'later', { n: 1 }, { runAt, jobKey: 'later:1' })
  await enqueue(database.db, 'later', { n: 2 }, { runAt, jobKey: 'later:1' })
  const { rows } = await sql<{ runAt: Date; maxAttempts: number; payload: unknown }>`
    select j.run_at, j.max_attempts, p.payload from graphile_worker.jobs j
    join graphile_worker._private_jobs p using (id) where task_identifier = 'later'`.execute(database.db)
  assert.deepEqual(rows, [{ runAt, maxAttempts: 25, payload: { n: 2 } }])
})

test('a job whose node died is taken over', async () => {
  await enqueue(database.db, 'orphan', {})
  await enqueue(database.db, 'orphan', {})
  await sql`update graphile_worker._private_jobs set locked_by = 'dead', attempts = 1,
    locked_at = now() - case when id % 2 = 0 then interval '91 seconds' else interval '60 seconds' end
    where task_id = (select id from graphile_worker._private_tasks where identifier = 'orphan')`.execute(database.db)
  let ran = 0
  const { jobs } = await start({
    orphan: async () => {
      ran += 1
    },
  })
  await until(async () => (await waiting('orphan')) === 1)
  await jobs.stop()
  assert.equal(ran, 1)
})

test('stopping waits for the job that is running, and takes no other', async () => {
  const done: string[] = []
  const started = Promise.withResolvers<void>()
  const { jobs } = await start({
    slow: async () => {
      started.resolve()
      await setTimeout(300)
      done.push('slow')
    },
  })
  await enqueue(database.db, 'slow', {})
  await started.promise
  await jobs.stop()
  assert.deepEqual(done, ['slow'])
  assert.equal(await waiting('slow'), 0)
  await enqueue(database.db, 'slow', {})
  await setTimeout(200)
  assert.deepEqual(done, ['slow'])
})

test('starts while the database is away, and works once it is there', async () => {
  const line = await openLine()
  line.cut()
  let ran = 0
  const { jobs, lines } = await start(
    {
      patient: async () => {
        ran += 1
      },
    },
    line.url,
  )
  await enqueue(database.db, 'patient', {})
  await setTimeout(1_500)
  assert.equal(lines.filter((text) => text.includes('cannot be worked on') && text.includes('"warn"')).length, 1)
  await line.mend()
  await until(() => ran === 1, 5_000)
  await jobs.stop()
  line.cut()
})

test('goes on after the database was away', async () => {
  const line = await openLine()
  let ran = 0
  const { jobs } = await start(
    {
      enduring: async () => {
        ran += 1
      },
    },
    line.url,
  )
  await enqueue(database.db, 'enduring', {})
  await until(() => ran === 1)
  line.cut()
  await enqueue(database.db, 'enduring', {})
  await setTimeout(3_000)
  assert.equal(ran, 1)
  await line.mend()
  await until(() => ran === 2, 8_000)
  await jobs.stop()
  line.cut()
})

test('outlives the loss of the database while a job runs', async () => {
  const line = await openLine()
  const ran: unknown[] = []
  const started = Promise.withResolvers<void>()
  const { jobs } = await start(
    {
      cut_off: async (payload) => {
        ran.push(payload)
        if (ran.length > 1) return
        started.resolve()
        await setTimeout(200)
        throw new Error('failed meanwhile')
      },
      cut_off_too: () => setTimeout(200),
    },
    line.url,
  )
  await enqueue(database.db, 'cut_off', { n: 1 })
  await enqueue(database.db, 'cut_off_too', {})
  await started.promise
  line.cut()
  await enqueue(database.db, 'cut_off', { n: 2 })
  await setTimeout(500)
  await line.mend()
  await until(() => ran.length === 2)
  assert.deepEqual(ran, [{ n: 1 }, { n: 2 }])
  await jobs.stop()
  line.cut()
})

test('stops while the connection it listens on breaks', async () => {
  const line = await openLine('LISTEN')
  const ran = Promise.withResolvers<void>()
  const { jobs } = await start({ last: async () => ran.resolve() }, line.url)
  await enqueue(database.db, 'last', {})
  await ran.promise
  const stopped = jobs.stop()
  await setTimeout(100)
  line.cut()
  await stopped
})

test('stops at once while the database is away', async () => {
  const { jobs } = await start({}, 'postgres://nobody@127.0.0.1:1/nothing')
  const begun = performance.now()
  await jobs.stop()
  assert.ok(performance.now() - begun < 2_000)
})

test('the tables can be made again without harm, and no connection is left', async () => {
  await migrateJobs(database.url)
  const { rows } = await sql`select from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'lido'`.execute(database.db)
  assert.equal(rows.length, 0)
})
