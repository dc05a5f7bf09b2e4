import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type TestLido, testLido } from '../testing.ts'
import * as audit from './audit.ts'
import { countDaysThatAreOver, dateOf, dayMs } from './event-counts.ts'
import * as events from './events.ts'

let lido: TestLido
let places: { workspaceId: string; poolId: string }
before(async () => {
  lido = await testLido()
  const { db } = lido.services
  const workspace = await db.selectFrom('workspaces').select('id').where('slug', '=', 'demo').executeTakeFirstOrThrow()
  const pool = await db.selectFrom('pools').select('id').where('slug', '=', 'people').executeTakeFirstOrThrow()
  places = { workspaceId: workspace.id, poolId: pool.id }
})
after(() => lido.stop())

const now = new Date()
const everywhere = { workspaces: undefined, pools: undefined }
const happenings: audit.Happening[] = [
  { type: 'sign_in.succeeded', data: { methods: ['password'] } },
  { type: 'sign_in.failed', data: { method: 'password', why: 'wrong' } },
  { type: 'sign_in.refused', data: { why: 'inactive' } },
  { type: 'user.registered', data: { identifier_kind: 'email' } },
  { type: 'session.ended', data: {} },
]
const add = (day: number, index: number, about: audit.About = places) => {
  const happening = happenings[index % happenings.length]
  assert.ok(happening)
  return audit.record(lido.services.db, new Date(now.getTime() - day * dayMs), about, happening)
}

const told = async (reach: events.Reach = everywhere, place: Partial<typeof places> = {}) => {
  const where = { workspaceId: place.workspaceId, poolId: place.poolId }
  const { db } = lido.services
  return [await events.countDays(db, now, 30, where, reach), await events.countPools(db, now, 30, where, reach)]
}

const all = async () => [
  await told(),
  await told(everywhere, { workspaceId: places.workspaceId }),
  await told(everywhere, { poolId: places.poolId }),
  await told({ workspaces: [places.workspaceId], pools: undefined }),
  await told({ workspaces: undefined, pools: [] }),
]

const countAll = async () => {
  while ((await countDaysThatAreOver(lido.services.db, now, 50)) > 0);
}

test('counts are the same whether days that are over are counted or not, with what came late', async () => {
  const { db } = lido.services
  for (let index = 0; index < 120; index += 1)
    await add(index % 33, index, index % 7 === 0 ? { poolId: places.poolId } : places)
  const before = await all()
  assert.ok(JSON.stringify(before).includes('"sign_ins":'))
  await countAll()
  const { times } = await db
    .selectFrom('eventCounts')
    .select(({ fn }) => fn.sum<number>('times').as('times'))
    .executeTakeFirstOrThrow()
  assert.ok(Number(times) > 90)
  assert.deepEqual(await all(), before)

  await add(4, 0)
  await add(4, 1)
  const withLate = await all()
  assert.notDeepEqual(withLate, before)
  const day = (which: unknown[]) =>
    (which[0] as events.Day[]).find(({ date }) => date === dateOf(Math.floor(now.getTime() / dayMs) - 4))
  assert.equal(day(withLate[0] ?? [])?.sign_ins, (day(before[0] ?? [])?.sign_ins ?? 0) + 1)
  await countAll()
  assert.deepEqual(await db.selectFrom('lateEvents').selectAll().execute(), [])
  assert.deepEqual(await all(), withLate)
})

test('what commits after its day was counted is counted too', async () => {
  const { db } = lido.services
  const before = await told()
  let during: unknown
  await db.transaction().execute(async (trx) => {
    await audit.record(trx, new Date(now.getTime() - 6 * dayMs), places, {
      type: 'sign_in.succeeded',
      data: { methods: [] },
    })
    await countAll()
    await db
      .deleteFrom('eventDays')
      .where('day', '=', dateOf(Math.floor(now.getTime() / dayMs) - 6))
      .execute()
    await countAll()
    during = await told()
  })
  assert.deepEqual(during, before)
  const since = await told()
  assert.notDeepEqual(since, before)
  await countAll()
  assert.deepEqual(await told(), since)
})

test('twenty that count at once count once', async () => {
  const { db } = lido.services
  const before = await told()
  await db.deleteFrom('eventDays').execute()
  await Promise.all(Array.from({ length: 20 }, () => countDaysThatAreOver(db, now, 3)))
  await countAll()
  assert.deepEqual(await told(), before)
})

test('a day is counted an hour after its end, and never today', async () => {
  const { db } = lido.services
  await db.deleteFrom('eventDays').execute()
  const midnight = new Date(Math.floor(now.getTime() / dayMs) * dayMs)
  await countDaysThatAreOver(db, new Date(midnight.getTime() + 1_800_000), 1)
  const days = await db.selectFrom('eventDays').selectAll().execute()
  assert.equal(days.length, 1)
  await countDaysThatAreOver(db, new Date(midnight.getTime() + 3_700_000), 1)
  const { rows } = { rows: await db.selectFrom('eventDays').selectAll().execute() }
  assert.equal(rows.length, 2)
})
