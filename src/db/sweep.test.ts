import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sweep } from './sweep.ts'
import { type TestDatabase, testDatabase } from './testing.ts'

let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

test('answers that were kept for a repeated request go once their day is over, and no others', async () => {
  const { db } = database
  const at = new Date()
  const row = (key: string, expiresAt: Date) => ({ actor: 'client:a', key, requestHash: 'h', expiresAt })
  await db
    .insertInto('idempotency')
    .values([
      ...Array.from({ length: 7 }, (_, n) => row(`old-${n}`, new Date(at.getTime() - 1 - n))),
      row('held', new Date(at.getTime() + 60_000)),
      row('kept', new Date(at.getTime() + 86_400_000)),
    ])
    .execute()
  assert.equal(await sweep(db, at, 3), 7)
  const left = await db.selectFrom('idempotency').select('key').orderBy('key').execute()
  assert.deepEqual(
    left.map(({ key }) => key),
    ['held', 'kept'],
  )
  assert.equal(await sweep(db, at), 0)
})
