import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { connect, isConnectionFailure, isDeadlock, isUniqueViolation } from './connect.ts'
import { type TestDatabase, testDatabase } from './testing.ts'

let database: TestDatabase
before(async () => {
  database = await testDatabase()
  await database.connection.pool.query('create table things (id int primary key, name text unique, note jsonb)')
})
after(() => database.close())

const prepared = async (): Promise<string[]> => {
  const { rows } = await database.connection.pool.query('select statement from pg_prepared_statements')
  return rows.map(({ statement }) => statement)
}

test('reads bigints, times and documents as the program means them', async () => {
  const { rows } = await database.connection.pool.query(
    `select 7::bigint as count, 9223372036854775807 as huge, now() as now, '{"a_b": [1]}'::jsonb as doc`,
  )
  assert.equal(rows[0].count, 7)
  assert.equal(rows[0].huge, '9223372036854775807')
  assert.ok(rows[0].now instanceof Date)
  assert.deepEqual(rows[0].doc, { a_b: [1] })
})

test('turns names of columns into ours, and leaves the keys inside documents alone', async () => {
  const { rows } = await sql`select 1 as some_number, '{"inner_key": {"deep_key": 1}}'::jsonb as some_doc`.execute(
    database.db,
  )
  assert.deepEqual(rows, [{ someNumber: 1, someDoc: { inner_key: { deep_key: 1 } } }])
})

test('names a statement when it comes again, in both ways of asking', async () => {
  const { pool } = connect(database.url, { max: 1 })
  const text = 'select $1::int + 41 as answer'
  const names = async () =>
    (await pool.query(`select count(*) from pg_prepared_statements where statement = $1`, [text])).rows[0].count
  await pool.query(text, [1])
  assert.equal(await names(), 0)
  for (let i = 0; i < 3; i++) assert.equal((await pool.query(text, [1])).rows[0].answer, 42)
  const client = await pool.connect()
  assert.equal((await client.query(text, [2])).rows[0].answer, 43)
  client.release()
  assert.equal(await names(), 1)
  await pool.end()
})

test('never names several statements at once, nor what steers a transaction, nor a definition', async () => {
  for (let i = 0; i < 3; i++) {
    await database.connection.pool.query('select 1; select 2', [])
    await database.connection.pool.query('create table if not exists things ()', [])
    await database.db.transaction().execute((trx) => sql`select 'inside'`.execute(trx))
  }
  const statements = (await prepared()).join('\n')
  assert.doesNotMatch(statements, /select 2|create table|begin|commit/)
  assert.match(statements, /inside/)
})

test('leaves alone what has a name already', async () => {
  for (let i = 0; i < 2; i++)
    await database.connection.pool.query({ name: 'mine', text: 'select 7 as seven', values: [] })
  const { rows } = await database.connection.pool.query(
    `select name from pg_prepared_statements where statement = 'select 7 as seven'`,
  )
  assert.deepEqual(rows, [{ name: 'mine' }])
})

test('goes on with a named statement whose table changed under it', async () => {
  const { pool, close } = connect(database.url, { max: 1 })
  await pool.query('create table changing (a int)')
  for (let i = 0; i < 3; i++) await pool.query('select * from changing', [])
  const client = await pool.connect()
  await client.query('alter table changing add column b int')
  assert.equal((await client.query('select * from changing', [])).fields.length, 2)
  client.release()
  await pool.query('alter table changing add column c int')
  assert.equal((await pool.query('select * from changing', [])).fields.length, 3)
  await close()
})

test('counts statements, and not what steers a transaction', async () => {
  const texts: string[] = []
  const { db, pool, close } = connect(database.url, { onStatement: (text) => texts.push(text) })
  await db.transaction().execute(async (trx) => {
    await sql`select 1`.execute(trx)
    await sql`select 2`.execute(trx)
  })
  await pool.query('select 3')
  assert.deepEqual(texts, ['select 1', 'select 2', 'select 3'])
  await close()
})

test('survives connections that end while idle and while lent out', async () => {
  const idleErrors: Error[] = []
  const { db, pool, close } = connect(database.url, { max: 2, onIdleError: (error) => idleErrors.push(error) })
  const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'lido' and pid <> pg_backend_pid()`
  await pool.query('select 1')
  const inTransaction = db.transaction().execute(async (trx) => {
    await sql`select 1`.execute(trx)
    await database.connection.pool.query(end)
    await sql`select 2`.execute(trx)
  })
  await assert.rejects(inTransaction, (error) => isConnectionFailure(error))
  await pool.query('select 1')
  await database.connection.pool.query(end)
  while (idleErrors.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal((await pool.query('select 5 as five')).rows[0].five, 5)
  await close()
})

test('says within three seconds that a database is away', async () => {
  const hanging = createServer(() => {}).listen(0, '127.0.0.1')
  await new Promise((resolve) => hanging.once('listening', resolve))
  const { port } = hanging.address() as { port: number }
  const refused = connect('postgresql://lido:x@127.0.0.1:1/lido')
  const silent = connect(`postgresql://lido:x@127.0.0.1:${port}/lido`, { max: 1 })
  const began = Date.now()
  const errors = await Promise.all(
    [refused, silent, silent].map(({ db }) =>
      sql`select 1`.execute(db).then(
        () => assert.fail(),
        (error: unknown) => error,
      ),
    ),
  )
  assert.ok(Date.now() - began < 3000)
  assert.deepEqual(errors.map(isConnectionFailure), [true, true, true])
  await Promise.all([refused.close(), silent.close()])
  hanging.close()
})

test('gives up a statement that takes too long, and can go on with the connection', async () => {
  const { pool, close } = connect(database.url, { max: 1, statementTimeout: 100 })
  await assert.rejects(pool.query('select pg_sleep(5)'), (error) => isConnectionFailure(error))
  assert.equal((await pool.query('select 1 as one')).rows[0].one, 1)
  await close()
})

test('lends nobody a connection whose server process does not answer', async () => {
  const { pool, close } = connect(database.url, { max: 1, statementTimeout: 1 })
  const client = await pool.connect()
  await client.query('set statement_timeout = 0')
  await assert.rejects(client.query('select pg_sleep(2)'), /Query read timeout/)
  client.release()
  assert.equal((await pool.query('select 1 as one')).rows[0].one, 1)
  await close()
})

test('knows a taken name from other errors, by its constraint', async () => {
  const insert = (id: number, name: string) =>
    database.connection.pool.query('insert into things (id, name) values ($1, $2)', [id, name])
  await insert(1, 'a')
  const error = await insert(2, 'a').then(
    () => assert.fail(),
    (error: unknown) => error,
  )
  assert.equal(isUniqueViolation(error), true)
  assert.equal(isUniqueViolation(error, 'things_name_key'), true)
  assert.equal(isUniqueViolation(error, 'things_pkey'), false)
  assert.equal(isUniqueViolation(new Error('wrapped', { cause: error }), 'things_name_key'), true)
  assert.equal(isConnectionFailure(error), false)
  assert.equal(isUniqueViolation(undefined), false)
})

test('knows transactions that met', () => {
  assert.equal(isDeadlock(Object.assign(new Error(), { code: '40P01' })), true)
  assert.equal(isDeadlock(Object.assign(new Error(), { code: '40001' })), true)
  assert.equal(isDeadlock(Object.assign(new Error(), { code: '23505' })), false)
})
