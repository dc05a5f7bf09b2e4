import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { uuidv7 } from '../platform/secrets.ts'
import { type Hot, openHot } from './hot.ts'
import { sweep } from './sweep.ts'
import { type TestDatabase, testDatabase } from './testing.ts'
import { type Artifact, type AttemptRow, emptyWork, keyOf, put, type Work } from './work.ts'

let database: TestDatabase
let hot: Hot
let statements = 0
before(async () => {
  database = await testDatabase()
  const { pool } = database.connection
  const query = pool.query.bind(pool) as (...all: unknown[]) => unknown
  pool.query = ((...all: unknown[]) => {
    statements += 1
    return query(...all)
  }) as typeof pool.query
  hot = openHot(pool)
})
after(() => database.close())

const workspaceId = uuidv7()
const later = new Date(Date.now() + 60_000)
const artifact = (id: string, changes: Partial<Artifact> = {}): Artifact => ({
  workspaceId,
  id,
  kind: 'RefreshToken',
  payload: { text: id },
  expiresAt: later,
  ...changes,
})
const work = (change: (work: Work) => void): Work => {
  const made = emptyWork(new Date())
  change(made)
  return made
}
const putAll = (artifacts: Artifact[]) =>
  work((one) => {
    for (const each of artifacts) put(one, each)
  })
const store = (...artifacts: Artifact[]) => hot.commit(putAll(artifacts))
const consume = (id: string, ...puts: Artifact[]) =>
  work((one) => {
    one.consumptions.set(keyOf({ workspaceId, id }), { workspaceId, id, at: new Date() })
    for (const each of puts) put(one, each)
  })

test('of twenty that use one record, one wins, and only its other writes are kept', async () => {
  await store(artifact('once'))
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, n) => hot.commit(consume('once', artifact(`next-${n}`)))),
  )
  assert.equal(outcomes.filter((lost) => lost === undefined).length, 1)
  assert.equal(outcomes.filter((lost) => lost === 'consumed').length, 19)
  const kept = await Promise.all(outcomes.map((_, n) => hot.load(workspaceId, `next-${n}`)))
  assert.deepEqual(
    kept.map((one) => one !== undefined),
    outcomes.map((lost) => lost === undefined),
  )
})

test('the same holds between two nodes', async () => {
  const other = openHot(database.connection.pool)
  for (let round = 0; round < 10; round += 1) {
    await store(artifact(`shared-${round}`))
    const outcomes = await Promise.all([hot, other, hot, other].map((node) => node.commit(consume(`shared-${round}`))))
    assert.equal(outcomes.filter((lost) => lost === undefined).length, 1)
  }
})

test('two nodes that need the same rows in other orders both get through', async () => {
  const other = openHot(database.connection.pool)
  for (let round = 0; round < 20; round += 1) {
    const names = [`a-${round}`, `b-${round}`, `c-${round}`]
    await store(...names.map((name) => artifact(name)))
    const forth = putAll(names.map((name) => artifact(name, { payload: { from: 'forth' } })))
    const back = putAll(names.toReversed().map((name) => artifact(name, { payload: { from: 'back' } })))
    assert.deepEqual(await Promise.all([hot.commit(forth), other.commit(back)]), [undefined, undefined])
  }
})

test('an attempt is saved only over the version that it was read at', async () => {
  const row: AttemptRow = { workspaceId, id: 'attempt', version: 1, data: { step: 1 }, expiresAt: later }
  const save = (version: number) => hot.commit(work((one) => one.attempts.set('attempt', { ...row, version })))
  assert.equal(await save(1), undefined)
  const outcomes = await Promise.all([save(2), save(2), save(2)])
  assert.equal(outcomes.filter((lost) => lost === undefined).length, 1)
  assert.equal(outcomes.filter((lost) => lost === 'stale').length, 2)
})

test('a work that the database refuses does not take its company down', async () => {
  const wrong = work((one) => put(one, artifact('wrong', { poolId: 'no uuid' })))
  const [good, bad, also] = await Promise.allSettled([
    store(artifact('good')),
    hot.commit(wrong),
    store(artifact('also')),
  ])
  assert.equal(good.status, 'fulfilled')
  assert.equal(bad.status, 'rejected')
  assert.equal(also.status, 'fulfilled')
  assert.ok(await hot.load(workspaceId, 'good'))
})

test('thirty-two at once share their statements', async () => {
  statements = 0
  await Promise.all(Array.from({ length: 32 }, (_, n) => store(artifact(`many-${n}`))))
  assert.ok(statements <= 4, `${statements} statements`)
  statements = 0
  const loaded = await Promise.all(Array.from({ length: 32 }, (_, n) => hot.load(workspaceId, `many-${n}`)))
  assert.ok(statements <= 4, `${statements} statements`)
  assert.deepEqual(
    loaded.map((one) => one?.payload.text),
    Array.from({ length: 32 }, (_, n) => `many-${n}`),
  )
})

test('what has expired is swept in batches, and nothing else', async () => {
  const gone = Array.from({ length: 25 }, (_, n) => artifact(`gone-${n}`, { expiresAt: new Date(Date.now() - 1000) }))
  await store(...gone)
  assert.equal(await sweep(database.db, new Date(), 10), 25)
  assert.equal(await hot.load(workspaceId, 'gone-3'), undefined)
  assert.ok(await hot.load(workspaceId, 'many-3'))
})

test('of twenty at once on two nodes, exactly one is first; what has expired is swept', async () => {
  const other = openHot(database.connection.pool)
  for (const key of ['one', 'two', 'three']) {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? hot : other).first(key, later)))
    assert.equal(answers.filter(Boolean).length, 1, key)
  }
  statements = 0
  const many = await Promise.all(Array.from({ length: 200 }, (_, at) => hot.first(`past-${at}`, new Date(0))))
  assert.ok(many.every(Boolean))
  assert.ok(statements <= 4, `${statements} statements for 200`)
  assert.ok((await sweep(database.connection.db, new Date())) >= 200)
  assert.ok(await hot.first('past-0', later))
  assert.equal(await hot.first('one', later), false)
})
