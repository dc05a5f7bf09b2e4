import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { uuidv7 } from '../platform/secrets.ts'
import { type Behind, openBehind } from './behind.ts'
import type { Kind } from './few.ts'
import { type TestDatabase, testDatabase } from './testing.ts'
import type { EventRow } from './work.ts'

let database: TestDatabase
let behind: Behind | undefined
let statements = 0
/** What a statement fails with instead. */
let broken: Error | undefined
const troubles: number[] = []
const began = Date.parse('2026-05-01T00:00:00Z')
let now = began

before(async () => {
  database = await testDatabase()
})
after(() => database.close())
afterEach(async () => {
  broken = undefined
  await behind?.close()
  await database.connection.pool.query('delete from events')
  troubles.length = 0
})

const open = (more: Partial<Parameters<typeof openBehind>[0]> = {}): Behind => {
  const pool = {
    query: async (text: string, values: unknown[]) => {
      statements += 1
      if (broken) throw broken
      return database.connection.pool.query(text, values)
    },
  } as unknown as typeof database.connection.pool
  statements = 0
  now = began
  behind = openBehind({ pool, now: () => new Date(now), onTrouble: (_error, rows) => troubles.push(rows), ...more })
  return behind
}

const workspaceId = uuidv7()
const rowOf = (data: Record<string, unknown> = {}, type = 'token.issued'): EventRow => {
  const at = new Date(now)
  return { id: uuidv7(at), type, workspaceId, clientId: 'machine', data, at }
}
const kindOf = (endpoint: string, pace = { rate: 1, burst: 3 }): Kind => ({
  type: 'token.refused',
  workspaceId,
  data: { endpoint, error: 'invalid_client' },
  pace,
})
const kept = () => database.connection.db.selectFrom('events').selectAll().orderBy('id').execute()
const leftOut = async () => (await kept()).map(({ data }) => data.left_out ?? 0)
const eventually = async (holds: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; !(await holds()); tries += 1) {
    assert.ok(tries < 200, 'it never came to hold')
    await setTimeout(10)
  }
}

const away = Object.assign(new Error('the database is away'), { code: 'ECONNREFUSED' })

test('what is added is written a moment later, many at once', async () => {
  const { add } = open()
  for (let n = 0; n < 300; n += 1) add(rowOf({ n }))
  assert.equal(statements, 0)
  await eventually(async () => (await kept()).length === 300)
  assert.equal(statements, 1)
})

test('a full batch does not wait, and what comes meanwhile is the next one', async () => {
  const { add } = open({ every: 60_000, most: 100 })
  for (let n = 0; n < 250; n += 1) add(rowOf({ n }))
  await eventually(async () => (await kept()).length === 250)
  assert.equal(statements, 3)
})

test('closing writes what is left', async () => {
  const { add, close } = open({ every: 60_000 })
  for (let n = 0; n < 1_200; n += 1) add(rowOf({ n }))
  await close()
  assert.equal((await kept()).length, 1_200)
  assert.deepEqual(troubles, [])
})

test('while the database is away events wait, as many as there is room for, and the next one tells of the others', async () => {
  const { add } = open({ every: 5, most: 100, room: 250 })
  broken = away
  for (let n = 0; n < 400; n += 1) add(rowOf({ n }))
  await eventually(async () => troubles.length > 0)
  broken = undefined
  await eventually(async () => (await kept()).length >= 250)
  add(rowOf())
  await eventually(async () => (await leftOut()).at(-1) !== 0)
  const events = await kept()
  const told = (await leftOut()).reduce((sum: number, count) => sum + Number(count), 0)
  assert.equal(events.length + told, 401)
})

test('what the database refuses for good does not keep others waiting, and is told of', async () => {
  const { add } = open({ every: 1 })
  add({ ...rowOf(), data: { text: '\0' } })
  await eventually(async () => troubles.length === 3)
  add(rowOf())
  await eventually(async () => (await kept()).length === 1)
  assert.deepEqual(await leftOut(), [1])
})

test('a statement that was done although its answer was lost leaves no event twice', async () => {
  const { pool } = database.connection
  let answered = false
  const losing = {
    query: async (text: string, values: unknown[]) => {
      await pool.query(text, values)
      if (answered) return
      answered = true
      throw away
    },
  } as unknown as typeof pool
  const { add } = open({ every: 1, pool: losing })
  for (let n = 0; n < 10; n += 1) add(rowOf({ n }))
  await eventually(async () => troubles.length === 1)
  await setTimeout(50)
  assert.equal((await kept()).length, 10)
})

test('of a flood of one kind few are written; the next one tells how many were left out, and other kinds are not hindered', async () => {
  const { addOneOf } = open({ every: 1 })
  for (let n = 0; n < 1_000; n += 1) addOneOf(kindOf('/token'), rowOf({ endpoint: '/token' }, 'token.refused'))
  addOneOf(kindOf('/par'), rowOf({ endpoint: '/par' }, 'token.refused'))
  await eventually(async () => (await kept()).length === 4)
  assert.deepEqual(await leftOut(), [0, 0, 0, 0])
  now += 1_000
  addOneOf(kindOf('/token'), rowOf({ endpoint: '/token' }, 'token.refused'))
  addOneOf(kindOf('/token'), rowOf({ endpoint: '/token' }, 'token.refused'))
  await eventually(async () => (await kept()).length === 5)
  assert.deepEqual(await leftOut(), [0, 0, 0, 0, 997])
})

test('what was left out is told of although nothing of its kind comes any more, and when the program ends', async () => {
  const { addOneOf, leaveOut, close } = open({ every: 1, tellEvery: 20 })
  for (let n = 0; n < 10; n += 1) addOneOf(kindOf('/token'), rowOf({ endpoint: '/token' }, 'token.refused'))
  await eventually(async () => (await kept()).length === 4)
  const last = (await kept()).at(-1)
  assert.deepEqual([last?.type, last?.workspaceId, last?.clientId], ['token.refused', workspaceId, null])
  assert.deepEqual(last?.data, { endpoint: '/token', error: 'invalid_client', left_out: 7 })
  leaveOut(kindOf('/par'), new Date(now))
  await close()
  assert.deepEqual((await kept()).at(-1)?.data, { endpoint: '/par', error: 'invalid_client', left_out: 1 })
})

test('however many kinds come, no more than some are told apart, and all are counted', async () => {
  const { leaveOut, addOneOf, close } = open()
  for (let n = 0; n < 5_000; n += 1) leaveOut(kindOf(`/${n}`), new Date(now))
  addOneOf(kindOf('/another'), rowOf({ endpoint: '/another' }, 'token.refused'))
  await close()
  const events = await kept()
  assert.equal(events.length, 501)
  assert.equal(
    (await leftOut()).reduce((sum: number, count) => sum + Number(count), 0),
    5_000,
  )
})

test('all kinds together leave no more than some events, and the counts of the others', async () => {
  const { addOneOf, close } = open()
  for (let n = 0; n < 10; n += 1)
    for (let kind = 0; kind < 100; kind += 1)
      addOneOf(kindOf(`/${kind}`, { rate: 1, burst: 60 }), rowOf({ endpoint: `/${kind}` }, 'token.refused'))
  await close()
  const events = await kept()
  assert.ok(events.length <= 120 + 100, `${events.length}`)
  const told = (await leftOut()).reduce((sum: number, count) => sum + Number(count), 0)
  const own = events.filter(({ clientId }) => clientId !== null).length
  assert.deepEqual([own, told + own], [120, 1_000])
})
