import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { randomToken } from '../platform/secrets.ts'
import type { Actor } from './access.ts'
import { type AdminLido, adminLido } from './fixtures-testing.ts'
import { once } from './idempotency.ts'
import { resources } from './resources/index.ts'
import type { Route } from './route.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const route = resources.find(({ name }) => name === 'createPool') as Route
const actor: Actor = { kind: 'client', id: 'a', scopes: new Set(), workspaces: undefined, pools: undefined }
const done = { body: { id: 'made' } }

/** Asks with a key at a moment so many seconds from now. */
const ask = (key: string, seconds: number, run: () => Promise<typeof done>, request: unknown = {}) => {
  const clock = { now: () => new Date(Date.now() + seconds * 1000) }
  return once({ ...lido.services, clock }, actor, { key, route, request }, run)
}
const never = (): Promise<never> => new Promise(() => {})
const refused = (status: number) => (error: { status?: number }) => error.status === status

test('a request that died with its key gives it back after a minute, to one of twenty', async () => {
  const key = randomToken(6)
  // As `kill -9` leaves it: nothing is answered, and nobody holds the key any more.
  const until = new Date(Date.now() + 60_000)
  const hash = await hashOf({})
  await lido.services.db
    .insertInto('idempotency')
    .values({ actor: 'client:a', key, requestHash: hash, expiresAt: until })
    .execute()
  await assert.rejects(
    ask(key, 0, async () => done),
    refused(409),
  )
  let runs = 0
  const run = async () => {
    runs += 1
    return done
  }
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => ask(key, 61, run)))
  assert.equal(runs, 1)
  for (const answer of answers)
    assert.ok(answer.status === 'fulfilled' ? answer.value.body : refused(409)(answer.reason), JSON.stringify(answer))
  assert.deepEqual(await ask(key, 62, never), done, 'and its answer is kept')
  assert.deepEqual(await ask(key, 86_000, never), done, 'for a day')
  let again = false
  await ask(key, 90_000, async () => {
    again = true
    return done
  })
  assert.ok(again, 'after which the key is free')
})

test('a request that is under way keeps its key, however long it takes', async (context) => {
  const key = randomToken(6)
  context.mock.timers.enable({ apis: ['setInterval'] })
  let finish: (answer: typeof done) => void = () => {}
  let seconds = 0
  const clock = { now: () => new Date(Date.now() + seconds * 1000) }
  const asked = { key, route, request: {} }
  const first = once(
    { ...lido.services, clock },
    actor,
    asked,
    () =>
      new Promise((resolve) => {
        finish = resolve
      }),
  )
  while (seconds < 300) {
    await heldUntil(key, (seconds + 59) * 1000)
    await assert.rejects(once({ ...lido.services, clock }, actor, asked, never), refused(409))
    seconds += 20
    context.mock.timers.tick(20_000)
  }
  finish(done)
  assert.deepEqual(await first, done)
  assert.deepEqual(await ask(key, 300, never), done)
})

test('a request that fails leaves its key free, and another request cannot use one that is taken', async () => {
  const key = randomToken(6)
  const fail = () => Promise.reject(new Error('broken'))
  await assert.rejects(ask(key, 0, fail), /broken/)
  assert.deepEqual(await ask(key, 0, async () => done), done)
  await assert.rejects(ask(key, 0, never, { other: true }), refused(422))
})

const hashOf = async (request: unknown): Promise<string> => {
  const key = randomToken(6)
  await ask(key, 0, async () => done, request)
  const { db } = lido.services
  const row = await db.selectFrom('idempotency').select('requestHash').where('key', '=', key).executeTakeFirstOrThrow()
  return row.requestHash
}

const heldUntil = async (key: string, ms: number): Promise<void> => {
  const wanted = Date.now() + ms - 1000
  for (const deadline = Date.now() + 5_000; Date.now() < deadline; ) {
    const row = await lido.services.db
      .selectFrom('idempotency')
      .select('expiresAt')
      .where('key', '=', key)
      .executeTakeFirst()
    if (row && row.expiresAt.getTime() >= wanted) return
  }
  throw new Error('The key is not held.')
}
