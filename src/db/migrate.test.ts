import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { type Connection, connect } from './connect.ts'
import { jobsVersion, migrate, pendingMigrations } from './migrate.ts'
import { dropDatabase, testDatabase } from './testing.ts'

/** A database with nothing in it, and as many connections to it as nodes want to start. */
const emptyDatabase = async (
  t: TestContext,
  nodes: number,
  onStatement?: (text: string) => void,
): Promise<Connection[]> => {
  const { url, connection, close } = await testDatabase()
  const name = `lido_test_${randomBytes(8).toString('hex')}`
  await connection.pool.query(`create database ${name} template template0`)
  const empty = new URL(url)
  empty.pathname = name
  const connections = Array.from({ length: nodes }, () =>
    connect(empty.href, { max: 2, onStatement, statementTimeout: 10_000 }),
  )
  t.after(async () => {
    await Promise.all(connections.map((connection) => connection.close()))
    await dropDatabase(connection.pool, name)
    await close()
  })
  return connections
}

test('of many nodes that start at once, one migrates and the others wait', async (t) => {
  const nodes = await emptyDatabase(t, 5)
  const applied = await Promise.all(nodes.map(migrate))
  const names = applied.flat()
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.includes(jobsVersion))
  assert.ok(names.length > 1)
  for (const { db } of nodes) assert.deepEqual(await pendingMigrations(db), [])
})

test('names what is pending, in a new database and after an update of the job queue', async (t) => {
  const [node] = await emptyDatabase(t, 1)
  assert.ok(node)
  const all = await pendingMigrations(node.db)
  assert.deepEqual(await migrate(node), all)
  await sql`comment on schema graphile_worker is 'graphile-worker 0.0.1'`.execute(node.db)
  assert.deepEqual(await pendingMigrations(node.db), [jobsVersion])
  assert.deepEqual(await migrate(node), [jobsVersion])
})

test('asks one statement where nothing is pending', async (t) => {
  const texts: string[] = []
  const [node] = await emptyDatabase(t, 1, (text) => texts.push(text))
  assert.ok(node)
  await migrate(node)
  texts.length = 0
  assert.deepEqual(await migrate(node), [])
  assert.equal(texts.length, 1)
})

test('leaves a database alone that is ahead of this program', async () => {
  const { connection, db, close } = await testDatabase()
  await connection.pool.query(`insert into kysely_migration (name, timestamp) values ('99991231-later', '9999-12-31')`)
  assert.deepEqual(await pendingMigrations(db), [])
  assert.deepEqual(await migrate(connection), [])
  await close()
})
