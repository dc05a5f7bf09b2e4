import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { openBrowser } from '../browser-testing.ts'
import * as credentials from '../directory/credentials.ts'
import type { Pool } from '../directory/pools.ts'
import { renewCodes } from '../signin/recovery-codes.ts'
import { type TestLido, testLido } from '../testing.ts'
import { openAccount } from './account-testing.ts'
import {
  countOf,
  isSignedIn,
  likeness,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  rowsOf,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { givePasskey, optionsOn } from './passkeys-testing.ts'
import { codeFor, giveTotp, heldBy, movableClock } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let pool: Pool
let strict: Pool
before(async () => {
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1' }, { clock })
  pool = await makePool(lido, 'acme', {
    identifiers: ['email', 'username', 'mobile'],
    sign_in_methods: ['password', 'email_code', 'passkey'],
    second_factor: 'optional',
    second_factors: ['totp', 'passkey', 'recovery_code'],
  })
  strict = await makePool(lido, 'strict', { second_factor: 'required', second_factors: ['passkey', 'totp'] })
  for (const one of [pool, strict]) {
    const workspace = await makeWorkspace(lido, one.slug, [{ pool: one }])
    await makeClient(lido, workspace.id)
    await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password', 'refresh_token'] })
  }
})
after(() => lido.stop())

const fresh = 'a fresh and secret phrase'
const wrong = 'certainly not the password'

const grant = (workspace: string, username: string, secret: string, client = 'ropc') =>
  token(lido.url, workspace, { grant_type: 'password', client_id: client, username, password: secret, scope: 'openid' })

const points = async (id: string): Promise<number> =>
  (await rowsOf<{ points: number }>(lido, `select points from limits where key = 'account:${pool.id}:${id}'`))[0]
    ?.points ?? 0

/** Asks for a new password and sets it by the code of the mail, as the owner of the mailbox does. */
const recover = async (email: string, since = 0) => {
  const owner = openBrowser(lido.url)
  await owner.get('/w/acme/recover')
  await owner.submit({ identifier: email })
  await owner.submit({ code: (await lido.message(email, since)).code, new_password: fresh })
  assert.match(owner.page.html, /Your new password is set/)
}

test('A04: the passkey, authenticator and recovery codes of who never proved the address let nobody in after its owner came', async () => {
  const email = 'trojan@example.org'
  const id = await makeUser(lido, pool, email, { verified: false })
  const key = await givePasskey(lido, pool, id)
  await giveTotp(lido, pool, id)
  await renewCodes(lido.services.db, lido.services.clock.now(), pool.id, id)
  const held = await visit(lido, 'acme')
  const waiting = key.get(optionsOn(held))
  await recover(email)
  assert.deepEqual(await heldBy(lido, id), ['password'])

  await held.post(held.page.url.replace(/(\?.*)?$/, '?view=identify'), {
    csrf: /name="csrf" value="([^"]*)"/.exec(held.page.html)?.[1] ?? '',
    credential: waiting,
  })
  assert.equal(isSignedIn(held), false, 'an assertion that was made before')
  const named = await visitAs(lido, 'acme', email)
  await named.submit({ password: fresh })
  assert.ok(isSignedIn(named), 'the owner is asked for nothing that the attacker added')
  const again = await visitAs(lido, 'acme', email)
  await again.submit({ password })
  assert.equal(isSignedIn(again), false, 'the password of the attacker')
})

test('A04: a mailbox that nobody proved takes no account whose number its owner did prove', async () => {
  const email = 'claimed@example.org'
  await makeUser(lido, pool, '+41796660001', { aliases: [email] })
  await rowsOf(lido, `update identifiers set verified_at = null where value = '${email}' returning value`)
  const browser = openBrowser(lido.url)
  await browser.get('/w/acme/recover')
  await browser.submit({ identifier: email })
  await browser.submit({ code: '000000', new_password: fresh })
  assert.equal(await countOf(lido, `inbox where recipient = '${email}'`), 0)
  assert.equal(await countOf(lido, `challenges where data ->> 'address' = '${email}'`), 0)
})

test('A10: six wrong codes from six addresses and two browsers end the code, and count for the account', async () => {
  const email = 'guessed@example.org'
  const id = await makeUser(lido, pool, email)
  const first = await visitAs(lido, 'acme', email)
  await first.get(first.link('Sign in another way'))
  await first.submit({ method: 'email_code' })
  const { code } = await lido.message(email)
  const second = openBrowser(lido.url)
  for (const [name, cookie] of first.cookies) second.cookies.set(name, { ...cookie })
  await second.get(first.page.url)
  for (let n = 1; n <= 6; n += 1) {
    const guess = String((Number(code) + n) % 1e6).padStart(6, '0')
    await (n % 2 ? first : second).submit({ code: guess }, { 'X-Forwarded-For': `192.0.2.${n}` })
  }
  for (const browser of [first, second]) {
    await browser.submit({ code })
    assert.equal(isSignedIn(browser), false)
    assert.match(browser.page.alert ?? '', /no longer valid/)
  }
  assert.ok((await points(id)) >= 6)
  await first.submit({ action: 'resend' })
  await first.submit({ code: (await lido.message(email, 1)).code })
  assert.ok(isSignedIn(first), 'a new code is what is needed')
})

test('A12: a code of an authenticator that was taken at the sign-in proves nothing at the account, nor the other way round', async () => {
  const name = 'replay@example.org'
  const id = await makeUser(lido, pool, name)
  const secret = await giveTotp(lido, pool, id)
  const at = await openAccount(lido, name, { secret })
  const code = codeFor(lido, secret)
  const fields = { identifier: name }
  clock.pass(601)
  await at.get('/w/acme/account/password')
  await at.submit(fields)
  await at.submit({ password })
  assert.equal(at.page.step, 'prove', at.page.html)
  await at.submit({ code })
  assert.equal(at.page.step, 'prove', 'the code of the sign-in')
  const next = codeFor(lido, secret)
  await at.submit({ code: next })
  assert.equal(at.page.step, 'account', at.page.html)
  const browser = await visitAs(lido, 'acme', name)
  await browser.submit({ password })
  await browser.submit({ code: next })
  assert.equal(isSignedIn(browser), false, 'the code of the account')
  assert.equal((await grant('acme', name, `${password}${next}`)).body.error, 'invalid_grant')
  assert.equal((await grant('acme', name, password)).body.error, 'mfa_required')
})

test('A14: a link and a code to set a password end when the password is changed', async () => {
  const email = 'changed@example.org'
  await makeUser(lido, pool, email)
  const browser = openBrowser(lido.url)
  await browser.get('/w/acme/recover')
  await browser.submit({ identifier: email })
  const { code, link } = await lido.message(email)
  const at = await openAccount(lido, email, { path: '/password' })
  await at.submit({ password, new_password: 'chosen by the owner themselves' })
  assert.match(at.page.html, /You are signed out everywhere else/)
  await browser.submit({ code, new_password: fresh })
  assert.match(browser.page.alert ?? '', /no longer valid/)
  await browser.get(link)
  assert.equal(browser.page.status, 410)
  await openAccount(lido, email, { password: 'chosen by the owner themselves' })
})

test('A17: somebody with an imported password, one with none and a stranger meet the same pages and the same words', async () => {
  const people = ['imported', 'none', 'unknown'].map((who) => `some-${who}@example.org`)
  const [imported = '', none = ''] = people
  const id = await makeUser(lido, pool, imported)
  const { db } = lido.services
  await credentials.setPassword(db, lido.services.clock.now(), pool.id, id, await bcryptHash(password, 4))
  await makeUser(lido, pool, none, { password: null })
  const seen = []
  for (const name of people) {
    const browser = await visitAs(lido, 'acme', name)
    const pages = [likeness(browser, name)]
    await browser.submit({ password: wrong })
    pages.push(likeness(browser, name))
    const { status, body } = await grant('acme', name, wrong)
    seen.push({ pages, status, body })
  }
  for (const one of seen) assert.deepEqual(one, seen[0])
  const owner = await visitAs(lido, 'acme', imported)
  await owner.submit({ password })
  assert.ok(isSignedIn(owner), 'the imported password is good')
})

test('A22: the password grant gives no token to whoever has a passkey, must have a second factor or has no password', async () => {
  const pia = await makeUser(lido, pool, 'pia@example.org')
  await givePasskey(lido, pool, pia)
  assert.equal((await grant('acme', 'pia@example.org', password)).body.error, 'mfa_required')
  await makeUser(lido, strict, 'must@example.org')
  assert.equal((await grant('strict', 'must@example.org', password)).body.error, 'mfa_required')
  const bare = await makeUser(lido, pool, 'bare@example.org', { password: null })
  await givePasskey(lido, pool, bare)
  assert.equal((await grant('acme', 'bare@example.org', password)).body.error, 'invalid_grant')
  const { status, body } = await grant('acme', 'pia@example.org', password, 'app')
  assert.deepEqual([status, body.error, body.access_token], [400, 'unauthorized_client', undefined])
  for (const id of [pia, bare])
    assert.equal(await countOf(lido, `artifacts where user_id = '${id}' and kind in ('AccessToken', 'Grant')`), 0)
})

test('A23: the grant, the page and the proof at the account share one counter by email, username and number', async () => {
  const [email, username, mobile] = ['mike@example.org', 'mike', '+41796660002']
  const id = await makeUser(lido, pool, email, { aliases: [username, mobile] })
  const at = await openAccount(lido, email)
  clock.pass(601)
  const names = [email, username, mobile, email, username]
  const elsewhere = { 'X-Forwarded-For': '198.51.100.7' }
  for (const name of names.slice(0, 4)) assert.equal((await grant('acme', name, wrong)).body.error, 'invalid_grant')
  for (const name of names.slice(0, 3)) {
    const browser = await visitAs(lido, 'acme', name)
    await browser.submit({ password: wrong }, elsewhere)
    assert.match(browser.page.alert ?? '', /details are not right/, name)
  }
  assert.equal(await points(id), 7)
  await at.get('/w/acme/account/password')
  await at.submit({ identifier: mobile })
  for (let n = 0; n < 3; n += 1) await at.submit({ password: wrong })
  assert.equal(at.page.step, 'prove')
  assert.equal(await points(id), 10)

  for (const name of names) {
    const { status, body } = await grant('acme', name, password)
    assert.deepEqual([status, body.error], [400, 'invalid_grant'], name)
    const browser = await visitAs(lido, 'acme', name)
    await browser.submit({ password }, elsewhere)
    assert.equal(isSignedIn(browser), false, name)
    assert.match(browser.page.alert ?? '', /Too many tries/, name)
  }
})
