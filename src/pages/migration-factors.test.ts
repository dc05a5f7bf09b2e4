import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import * as users from '../directory/users.ts'
import { openAuthenticator } from '../signin/authenticator-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { atOnce, countOf, isSignedIn, rowsOf, visitAs } from './fixtures-testing.ts'
import { makeExternal, type Outside, openOutside, secretThere } from './outside-testing.ts'
import { optionsOn } from './passkeys-testing.ts'

let lido: TestLido
let outside: Outside
before(async () => {
  lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
afterEach(() => {
  outside.asked.length = 0
})
after(async () => {
  await lido.stop()
  await outside.close()
})

let people = 0
const newEmail = () => `factor${++people}@example.org`

const byPassword = async (slug: string, identifier: string, secret = secretThere) => {
  const browser = await visitAs(lido, slug, identifier)
  await browser.submit({ password: secret })
  return browser
}

const userBy = (poolId: string, email: string) =>
  users.findByIdentifier(lido.services.db, poolId, { kind: 'email', value: email, typed: email })

const methodsOf = async (poolId: string) =>
  (
    await rowsOf<{ data: { methods: string[] } }>(
      lido,
      `select data from events where pool_id = '${poolId}' and type = 'sign_in.succeeded' order by id`,
    )
  ).map(({ data }) => data.methods)

const sessionsOf = (poolId: string) => countOf(lido, `artifacts where kind = 'Session' and pool_id = '${poolId}'`)

const other = (code: string) => (code === '000000' ? '000001' : '000000')

test('who has a second factor there gets a passkey here as they come over, and needs it from then on', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    settings: { second_factor: 'optional', second_factors: ['passkey'] },
  })
  const email = newEmail()
  outside.add({ email, mfa: true })
  const browser = await byPassword(slug, email)
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  assert.equal((await userBy(pool.id, email))?.secondFactorDue, true)
  // Half way there is nowhere: neither here nor in another browser.
  assert.equal(await sessionsOf(pool.id), 0)
  const elsewhere = await byPassword(slug, email)
  assert.equal(elsewhere.page.step, 'enrol')
  const authenticator = openAuthenticator(lido.url)
  await browser.submit({ credential: authenticator.create(optionsOn(browser)) })
  assert.ok(isSignedIn(browser), browser.page.html)
  const again = await byPassword(slug, email)
  assert.equal(again.page.step, 'prove', again.page.html)
  assert.ok(!isSignedIn(again))
  await again.submit({ credential: authenticator.get(optionsOn(again)) })
  assert.ok(isSignedIn(again), again.page.html)
  assert.equal(outside.asked.length, 1, 'the source was asked once')
})

test('a passkey that was answered for another sign-in makes nobody come over any further', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    settings: { second_factor: 'optional', second_factors: ['passkey'] },
  })
  const [mine, theirs] = [newEmail(), newEmail()]
  for (const email of [mine, theirs]) outside.add({ email, mfa: true })
  const [browser, victim] = [await byPassword(slug, mine), await byPassword(slug, theirs)]
  const foreign = openAuthenticator(lido.url).create(optionsOn(browser))
  await victim.submit({ credential: foreign })
  assert.ok(!isSignedIn(victim))
  assert.equal(await countOf(lido, `credentials where pool_id = '${pool.id}' and kind = 'passkey'`), 0)
})

test('a pool that requires a second factor asks for a code by mail at the very first sign-in, too', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    settings: { second_factor: 'required', second_factors: ['email_code'] },
  })
  const email = newEmail()
  outside.add({ email })
  const browser = await byPassword(slug, email)
  assert.equal(browser.page.step, 'prove', browser.page.html)
  assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
  assert.equal(await sessionsOf(pool.id), 0)
  const { code } = await lido.message(email)
  await browser.submit({ code: other(code) })
  assert.ok(!isSignedIn(browser))
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.deepEqual(await methodsOf(pool.id), [['password', 'email_code']])
})

test('and by text, to a number that the source has verified', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    settings: {
      identifiers: ['email', 'mobile'],
      second_factor: 'required',
      second_factors: ['sms_code', 'totp'],
      sms_countries: ['CH'],
    },
  })
  const email = newEmail()
  outside.add({ email, phone_number: '+41794440001', phone_number_verified: true })
  const browser = await byPassword(slug, email)
  assert.match(browser.page.html, /Check your phone/, browser.page.html)
  const { code } = await lido.message('+41794440001')
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.deepEqual(await methodsOf(pool.id), [['password', 'sms_code']])
  const unproven = newEmail()
  outside.add({ email: unproven, phone_number: '+41794440002', phone_number_verified: false })
  const second = await byPassword(slug, unproven)
  assert.equal(second.page.step, 'enrol', 'a number that nobody proved is no factor')
  assert.equal(await countOf(lido, `inbox where recipient = '+41794440002'`), 0)
})

test('rule 10: a code by text brings somebody over who is still at the source, and nobody whose number is not verified', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    settings: { identifiers: ['email', 'mobile'], sign_in_methods: ['sms_code', 'password'], sms_countries: ['CH'] },
  })
  const number = '+41794440003'
  const person = outside.add({ email: newEmail(), phone_number: number, phone_number_verified: true })
  outside.people.set(number, person)
  const browser = await visitAs(lido, slug, number)
  const { code } = await lido.message(number)
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 0, 'nobody is made before the proof')
  await browser.submit({ code: other(code) })
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 0)
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  const user = await userBy(pool.id, person.email)
  assert.deepEqual([user?.authority, user?.externalId], ['migrated', person.id])
  const loose = '+41794440004'
  const stranger = outside.add({ email: newEmail(), phone_number: loose, phone_number_verified: false })
  outside.people.set(loose, stranger)
  await visitAs(lido, slug, loose)
  await visitAs(lido, slug, number)
  await lido.message(number, 1)
  assert.equal(await countOf(lido, `inbox where recipient = '${loose}'`), 0)
})

test('twenty right answers to one code at a first sign-in make one user', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    settings: { sign_in_methods: ['email_code', 'password'] },
  })
  const email = newEmail()
  outside.add({ email })
  const browser = await visitAs(lido, slug, email)
  const { code } = await lido.message(email)
  await atOnce(lido, browser, Array(20).fill({ code }))
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 1)
  await browser.get(browser.page.url)
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.equal((await methodsOf(pool.id)).length, 1)
})
