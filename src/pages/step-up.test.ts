import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { payloadOf } from '../oidc/fixtures-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  token,
  type Visit,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { codeFor, giveTotp, secretOn } from './second-factor-testing.ts'

const one = 'urn:lido:acr:1fa'
const two = 'urn:lido:acr:2fa'
let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  // Asked of nobody by the pool itself until they have one: what is asked here, clients ask.
  pool = await makePool(lido, 'holders', { second_factor: 'optional' })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'bank', acr_values_default: [two] })
  await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password'], acr_values_default: [two] })
  const off = await makePool(lido, 'off')
  const plain = await makeWorkspace(lido, 'plain', [{ pool: off, amr: ['custom'] }])
  await makeClient(lido, plain.id)
  const quiet = await makeWorkspace(lido, 'quiet', [{ pool: off }])
  await makeClient(lido, quiet.id)
  await makeUser(lido, off, 'ada@example.org')
})
after(() => lido.stop())

/** Signed in by password alone: somebody whose authenticator came only afterwards. */
const signedIn = async (name: string) => {
  const id = await makeUser(lido, pool, name)
  const browser = await visitAs(lido, 'acme', name)
  await browser.submit({ password })
  const claims = await claimsOf(browser)
  return { id, browser, claims, secret: await giveTotp(lido, pool, id) }
}

const claimsOf = async (browser: Visit, workspace = 'acme') => {
  const { body } = await redeem(lido, workspace, browser)
  return payloadOf(body.id_token ?? '')
}

const essential = (...values: string[]) => ({
  claims: JSON.stringify({ id_token: { acr: { essential: true, values } } }),
})

const sessionOf = ({ cookies }: Browser): string | undefined =>
  [...cookies].find(([name]) => name.startsWith('lido_session'))?.[1].value

const errorOf = ({ page }: Browser): string | null => new URL(page.url).searchParams.get('error')

test('a session that is known too little proves only what is missing, and is another one then', async () => {
  const { browser, claims, secret } = await signedIn('up@example.org')
  assert.deepEqual([claims.acr, claims.amr], [one, ['pwd']])
  const before = sessionOf(browser)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const up = await visit(lido, 'acme', { browser, acr_values: two })
  assert.equal(up.page.step, 'prove', up.page.url)
  assert.match(up.page.html, /authenticator app/)
  await up.submit({ code: codeFor(lido, secret) })
  const after = await claimsOf(up)
  assert.deepEqual([after.acr, after.amr, after.sub], [two, ['pwd', 'otp', 'mfa'], claims.sub])
  assert.ok(Number(after.auth_time) > Number(claims.auth_time))
  assert.notEqual(sessionOf(browser), before)
  // The old session id is nobody's any more.
  const [key = ''] = [...browser.cookies.keys()].filter((name) => name.startsWith('lido_session'))
  const thief = await visit(lido, 'acme')
  thief.cookies.set(key, { value: before ?? '', path: '/' })
  assert.equal(errorOf(await visit(lido, 'acme', { browser: thief, prompt: 'none' })), 'login_required')
  const again = await visit(lido, 'acme', { browser, acr_values: two })
  assert.equal((await claimsOf(again)).acr, two)
})

test('max_age asks for everything again', async () => {
  const { browser, secret } = await signedIn('age@example.org')
  await new Promise((resolve) => setTimeout(resolve, 2100))
  const again = await visit(lido, 'acme', { browser, max_age: '1', acr_values: two })
  assert.equal(again.page.step, 'identify')
  await again.submit({ identifier: 'age@example.org' })
  await again.submit({ password })
  await again.submit({ code: codeFor(lido, secret) })
  const claims = await claimsOf(again)
  assert.deepEqual([claims.acr, claims.amr], [two, ['pwd', 'otp', 'mfa']])
})

test('a client has its people prove two factors by its own default, and get the second where they have none', async () => {
  await makeUser(lido, pool, 'bank@example.org')
  const browser = await visit(lido, 'acme', { client_id: 'bank' })
  await browser.submit({ identifier: 'bank@example.org' })
  await browser.submit({ password })
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  await browser.submit({ code: codeFor(lido, secretOn(browser)) })
  await browser.submit()
  assert.ok(isSignedIn(browser))
  const fields = { grant_type: 'password', client_id: 'ropc', username: 'bank@example.org', password }
  assert.equal((await token(lido.url, 'acme', fields)).body.error, 'mfa_required')
})

test('who proved two factors is told as one where a client asks for one', async () => {
  const { browser, secret } = await signedIn('told@example.org')
  const up = await visit(lido, 'acme', { browser, acr_values: two })
  await up.submit({ code: codeFor(lido, secret) })
  const told = await visit(lido, 'acme', { browser, ...essential(one) })
  const claims = await claimsOf(told)
  assert.deepEqual([claims.acr, claims.amr], [one, ['pwd', 'otp', 'mfa']])
})

test('an essential acr is met, or the client is told that it cannot be', async () => {
  const { browser, secret } = await signedIn('essential@example.org')
  const silent = await visit(lido, 'acme', { browser, prompt: 'none', ...essential(two) })
  assert.equal(errorOf(silent), 'login_required')
  const up = await visit(lido, 'acme', { browser, ...essential(two) })
  assert.equal(up.page.step, 'prove')
  await up.submit({ code: codeFor(lido, secret) })
  assert.equal((await claimsOf(up)).acr, two)
  for (const value of ['phr', 'urn:example:gold']) {
    const unmet = await visit(lido, 'acme', { browser, ...essential(value) })
    assert.equal(errorOf(unmet), 'unmet_authentication_requirements')
    assert.ok(!isSignedIn(unmet))
  }
  assert.equal(await countOf(lido, "events where data ->> 'why' = 'unmet_authentication_requirements'"), 2)
})

test('claims and acr_values together do not make an essential acr less', async () => {
  const { browser, secret } = await signedIn('both@example.org')
  const asked = await visit(lido, 'acme', { browser, acr_values: one, ...essential('phr') })
  assert.equal(asked.page.step, 'prove')
  await asked.submit({ code: codeFor(lido, secret) })
  assert.equal(errorOf(asked), 'unmet_authentication_requirements')
})

test('a wish that nobody can meet stops nobody, and says when they really signed in', async () => {
  const browser = await visitAs(lido, 'quiet', 'ada@example.org')
  await browser.submit({ password })
  const first = await claimsOf(browser, 'quiet')
  const succeeded = "events where type = 'sign_in.succeeded'"
  const before = await countOf(lido, succeeded)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  for (const more of [{}, { prompt: 'none' }]) {
    const wished = await visit(lido, 'quiet', { browser, acr_values: two, ...more })
    const claims = await claimsOf(wished, 'quiet')
    assert.deepEqual([claims.acr, claims.amr, claims.auth_time], [one, ['pwd'], first.auth_time])
  }
  assert.equal(await countOf(lido, succeeded), before)
})

test('a session that is told in words of a connection is proven from the start', async () => {
  const browser = await visitAs(lido, 'plain', 'ada@example.org')
  await browser.submit({ password })
  assert.deepEqual((await claimsOf(browser, 'plain')).amr, ['custom'])
  const asked = await visit(lido, 'plain', { browser, acr_values: two })
  assert.equal(asked.page.step, 'identify')
})

test('a step-up that was begun is worth nothing once the session has ended', async () => {
  const { id, browser, secret } = await signedIn('ended@example.org')
  const up = await visit(lido, 'acme', { browser, acr_values: two })
  assert.equal(up.page.step, 'prove')
  await users.endEverything(lido.services.db, pool.id, id)
  await up.submit({ code: codeFor(lido, secret) })
  assert.ok(!isSignedIn(up), up.page.url)
  assert.equal(await countOf(lido, `artifacts where kind = 'Session' and user_id = '${id}'`), 0)
})

test('another person can take the step-up page over only by proving who they are', async () => {
  const { browser } = await signedIn('first@example.org')
  await makeUser(lido, pool, 'second@example.org')
  const up = await visit(lido, 'acme', { browser, acr_values: two })
  await up.get(up.link('Not you?'))
  await up.submit({ identifier: 'second@example.org' })
  assert.match(up.page.html, /name="password"/)
  await up.submit({ password })
  assert.equal(up.page.step, 'enrol')
})
