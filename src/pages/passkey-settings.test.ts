import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as credentials from '../directory/credentials.ts'
import * as passkeys from '../directory/passkeys.ts'
import type { Pool } from '../directory/pools.ts'
import * as changes from '../directory/user-changes.ts'
import { findForUpdate } from '../directory/user-records.ts'
import { type TestLido, testLido } from '../testing.ts'
import { countOf, isSignedIn, makeClient, makePool, makeUser, makeWorkspace, visit } from './fixtures-testing.ts'
import { givePasskey, optionsOn } from './passkeys-testing.ts'
import { giveTotp } from './second-factor-testing.ts'

let lido: TestLido
before(async () => {
  lido = await testLido()
})
after(() => lido.stop())

let count = 0
const someone = async (pool: Pool, secret: string | null = 'correct horse battery staple') => {
  count += 1
  return makeUser(lido, pool, `someone-${count}@example.org`, { password: secret })
}
const idsOf = async (pool: Pool, userId: string) => {
  const held = await credentials.list(lido.services.db, pool.id, userId)
  return (kind: string) => held.filter((one) => one.kind === kind).map(({ id }) => id)
}
const remove = (pool: Pool, userId: string, id = '') =>
  lido.services.db
    .transaction()
    .execute((trx) => passkeys.removeFactor(trx, lido.services.clock.now(), pool, userId, id))

test('a workspace may take passkeys of a domain above and of other origins, and no others', async () => {
  const pool = await makePool(lido, 'domains', { sign_in_methods: ['password', 'passkey'] })
  const shop = 'http://shop.localhost:4000'
  const workspace = await makeWorkspace(lido, 'domains', [{ pool }], { passkeys: { origins: [shop] } })
  await makeClient(lido, workspace.id)
  const key = await givePasskey(lido, pool, await someone(pool))
  for (const [origin, comesIn] of [
    [shop, true],
    ['http://shop.localhost:4001', false],
    ['http://evil.localhost:4000', false],
  ] as const) {
    const browser = await visit(lido, 'domains')
    const credential = key.get(optionsOn(browser), { origin })
    const csrf = browser.page.html.match(/name="csrf" value="([^"]*)"/)?.[1] ?? ''
    await browser.post(`${browser.page.url}?view=identify`, { csrf, credential })
    assert.equal(isSignedIn(browser), comesIn, origin)
  }
})

test('where an RP ID has origins elsewhere, it lists them; nothing is said of any other', async () => {
  const related = ['https://b.example', 'https://a.example']
  await makeWorkspace(lido, 'related', [], { passkeys: { rp_id: 'localhost', related_origins: related } })
  const answer = await fetch(`${lido.url}/.well-known/webauthn`)
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('Content-Type') ?? '', /^application\/json/)
  assert.deepEqual(await answer.json(), { origins: related.toSorted() })
  const elsewhere = await fetch(`${lido.url.replace('localhost', '127.0.0.1')}/.well-known/webauthn`)
  assert.equal(elsewhere.status, 404)
  const posted = await fetch(`${lido.url}/.well-known/webauthn`, { method: 'POST' })
  assert.equal(posted.status, 405)
})

test('somebody has several passkeys by name, and renames their own only', async () => {
  const pool = await makePool(lido, 'several', { sign_in_methods: ['password', 'passkey'] })
  const { db } = lido.services
  const [id, other] = [await someone(pool), await someone(pool)]
  for (const name of ['Phone', 'Laptop']) await givePasskey(lido, pool, id, { name })
  const [phone] = await passkeys.list(db, pool.id, id)
  assert.ok(phone)
  assert.equal(await passkeys.rename(db, pool.id, id, phone.id, `  Old\u0000\nphone${'x'.repeat(80)} `), true)
  assert.equal(await passkeys.rename(db, pool.id, other, phone.id, 'Mine'), false)
  const names = (await passkeys.list(db, pool.id, id)).map(({ name }) => name)
  assert.deepEqual(names, [`Old phone${'x'.repeat(51)}`, 'Laptop'])
  assert.deepEqual(await passkeys.list(db, pool.id, other), [])
})

test('the last second factor stays where one is required, the others go', async () => {
  const pool = await makePool(lido, 'must', {
    second_factor: 'required',
    second_factors: ['passkey', 'totp', 'recovery_code'],
  })
  const id = await someone(pool)
  await givePasskey(lido, pool, id)
  await giveTotp(lido, pool, id)
  const ids = await idsOf(pool, id)
  assert.equal(await remove(pool, id, ids('totp')[0]), 'removed')
  assert.equal(await remove(pool, id, ids('passkey')[0]), 'last_factor')
  assert.equal(await remove(pool, id, ids('totp')[0]), 'absent')
  assert.equal(await remove(pool, await someone(pool), ids('passkey')[0]), 'absent')
  assert.equal(await countOf(lido, `events where user_id = '${id}' and type = 'user.credential_removed'`), 1)
})

test('a factor that something sent can stand in for may go', async () => {
  const pool = await makePool(lido, 'mail-too', {
    second_factor: 'required',
    second_factors: ['passkey', 'email_code'],
  })
  const id = await someone(pool)
  await givePasskey(lido, pool, id)
  assert.equal(await remove(pool, id, (await idsOf(pool, id))('passkey')[0]), 'removed')
})

test('the last way to sign in stays, also where both of two are removed at once', async () => {
  const pool = await makePool(lido, 'only', { sign_in_methods: ['passkey'] })
  const id = await someone(pool, null)
  for (const name of ['Phone', 'Laptop']) await givePasskey(lido, pool, id, { name })
  const ids = (await idsOf(pool, id))('passkey')
  const outcomes = await Promise.all(ids.map((one) => remove(pool, id, one)))
  assert.deepEqual(outcomes.toSorted(), ['last_way', 'removed'])
})

test('a deleted user leaves no passkey, and nobody ever has their handle again', async () => {
  const { db, clock } = lido.services
  const pool = await makePool(lido, 'gone', { sign_in_methods: ['password', 'passkey'] })
  const id = await someone(pool)
  const { handle } = await givePasskey(lido, pool, id)
  const record = await findForUpdate(db, pool.id, id)
  assert.ok(record)
  await changes.remove(db, clock.now(), record, { kind: 'system' })
  assert.equal(await countOf(lido, `credentials where user_id = '${id}'`), 0)
  const again = await givePasskey(lido, pool, await someone(pool))
  assert.notEqual(again.handle, handle)
})
