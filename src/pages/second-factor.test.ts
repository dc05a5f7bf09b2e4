import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import * as pools from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { payloadOf } from '../oidc/fixtures-testing.ts'
import { renewCodes } from '../signin/recovery-codes.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  countOf,
  isSignedIn,
  likeness,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  rowsOf,
  token,
  type Visit,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { codeFor, codesOn, giveTotp, heldBy, movableClock, secretOn } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let required: Pool
let optional: Pool
before(async () => {
  lido = await testLido({}, { clock })
  required = await makePool(lido, 'required', { second_factor: 'required', self_registration: true })
  optional = await makePool(lido, 'optional', { second_factor: 'optional' })
  const mail = await makePool(lido, 'mail', { second_factor: 'required', second_factors: ['email_code'] })
  const off = await makePool(lido, 'off', { second_factor: 'off', identifiers: ['email', 'username'] })
  for (const pool of [required, optional, mail, off]) {
    const workspace = await makeWorkspace(lido, pool.slug, [{ pool }])
    await makeClient(lido, workspace.id)
    await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password', 'refresh_token'] })
  }
})
after(() => lido.stop())

const enterPassword = async (workspace: string, identifier: string): Promise<Visit> => {
  const browser = await visitAs(lido, workspace, identifier)
  await browser.submit({ password })
  return browser
}

/** Somebody with an authenticator, and its secret. */
const vera = async (name: string, pool = optional) => {
  const id = await makeUser(lido, pool, name)
  return { id, name, secret: await giveTotp(lido, pool, id) }
}

const grant = (workspace: string, username: string, secret = password) =>
  token(lido.url, workspace, { grant_type: 'password', client_id: 'ropc', username, password: secret, scope: 'openid' })

const claimsOf = async (workspace: string, browser: Visit) =>
  payloadOf((await redeem(lido, workspace, browser)).body.id_token ?? '')

test('whoever has no second factor gets one inside the sign-in, with recovery codes shown once', async () => {
  const id = await makeUser(lido, required, 'enrol@example.org')
  const browser = await enterPassword('required', 'enrol@example.org')
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  assert.match(browser.page.html, /<svg class="qr"/)
  const secret = secretOn(browser)
  await browser.submit({ code: '000000' })
  assert.equal(browser.page.step, 'enrol')
  assert.match(browser.page.alert ?? '', /not right/)
  assert.equal(secretOn(browser), secret)
  await browser.submit({ code: codeFor(lido, secret) })
  assert.equal(browser.page.step, 'recovery-codes', browser.page.html)
  const codes = codesOn(browser)
  assert.equal(new Set(codes).size, 10)
  const file = await browser.get(browser.link('Download as a text file'))
  assert.equal(file.headers.get('Content-Disposition'), 'attachment; filename="recovery-codes.txt"')
  for (const code of codes) assert.ok(file.html.includes(code))
  await browser.get(browser.page.url.replace('?view=download', ''))
  assert.deepEqual(codesOn(browser), codes)
  const shownAt = browser.page.url
  await browser.submit()
  assert.ok(isSignedIn(browser), browser.page.html)
  const claims = await claimsOf('required', browser)
  assert.deepEqual([claims.amr, claims.acr], [['pwd', 'otp', 'mfa'], 'urn:lido:acr:2fa'])
  assert.deepEqual(await heldBy(lido, id), ['password', 'recovery_code', 'totp'])
  await browser.get(shownAt)
  assert.equal(codesOn(browser).length, 0)
  const mail = await lido.message('enrol@example.org')
  assert.match(mail.subject, /second factor was added/)
})

test('whoever registers where a second factor is required gets one before they are let in', async () => {
  const browser = await visit(lido, 'required')
  await browser.get(browser.link('Create an account'))
  await browser.submit({ identifier: 'new@example.org', password })
  const { code } = await lido.message('new@example.org')
  await browser.submit({ code })
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  await browser.submit({ code: codeFor(lido, secretOn(browser)) })
  await browser.submit()
  const claims = await claimsOf('required', browser)
  assert.deepEqual([claims.amr, claims.acr], [['otp', 'mfa'], 'urn:lido:acr:2fa'])
})

test('neither a seed nor a recovery code is stored in plain text', async () => {
  const id = await makeUser(lido, required, 'sealed@example.org')
  const browser = await enterPassword('required', 'sealed@example.org')
  const secret = secretOn(browser)
  const before = JSON.stringify(await rowsOf(lido, 'select data from attempts'))
  await browser.submit({ code: codeFor(lido, secret) })
  const tables = ['attempts', 'credentials', 'events', 'inbox']
  const rows = await Promise.all(tables.map((table) => rowsOf(lido, `select * from ${table}`)))
  const everything = `${before}${JSON.stringify(rows)}${lido.lines.join('')}`
  for (const text of [secret, ...codesOn(browser)]) assert.ok(!everything.includes(text), text)
  assert.equal(await countOf(lido, `credentials where user_id = '${id}' and kind = 'totp'`), 1)
})

test('of twenty answers at once one enrols, and there is one authenticator', async () => {
  const id = await makeUser(lido, required, 'crowd@example.org')
  const browser = await enterPassword('required', 'crowd@example.org')
  const code = codeFor(lido, secretOn(browser))
  await atOnce(lido, browser, Array<{ code: string }>(20).fill({ code }))
  assert.deepEqual(await heldBy(lido, id), ['password', 'recovery_code', 'totp'])
  await browser.get(browser.page.url)
  assert.equal(browser.page.step, 'recovery-codes')
})

test('A12: a code of an authenticator works once, whichever door it is brought to', async () => {
  const { name, secret } = await vera('replay@example.org')
  const first = await enterPassword('optional', name)
  assert.equal(first.page.step, 'prove')
  const second = await enterPassword('optional', name)
  const code = codeFor(lido, secret)
  await first.submit({ code })
  assert.ok(isSignedIn(first), first.page.html)
  await second.submit({ code })
  assert.equal(second.page.step, 'prove')
  assert.match(second.page.alert ?? '', /used before/)
  const granted = await grant('optional', name)
  assert.deepEqual([granted.status, granted.body.error], [400, 'mfa_required'])
  const appended = await grant('optional', name, `${password}${code}`)
  assert.deepEqual([appended.status, appended.body.error], [400, 'invalid_grant'])
  await second.submit({ code: codeFor(lido, secret, 30) })
  assert.ok(isSignedIn(second))
})

test('of twenty posts of one code at once, from as many browsers, one comes in', async () => {
  const { id, name, secret } = await vera('parallel@example.org')
  const browsers = await Promise.all(Array.from({ length: 20 }, () => enterPassword('optional', name)))
  const code = codeFor(lido, secret)
  await Promise.all(browsers.map((browser) => browser.submit({ code })))
  assert.equal(browsers.filter(isSignedIn).length, 1)
  assert.equal(await countOf(lido, `events where type = 'sign_in.succeeded' and user_id = '${id}'`), 1)
})

test('twenty posts of one code from one browser are one success', async () => {
  const { name, secret } = await vera('double@example.org')
  const browser = await enterPassword('optional', name)
  const code = codeFor(lido, secret)
  const answers = await atOnce(lido, browser, Array<{ code: string }>(20).fill({ code }))
  assert.ok(answers.every(({ status }) => status === 303))
  await browser.get(browser.page.url)
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('codes older or newer than one step are refused', async () => {
  const { name, secret } = await vera('window@example.org')
  const browser = await enterPassword('optional', name)
  for (const ahead of [-90, 90]) {
    await browser.submit({ code: codeFor(lido, secret, ahead) })
    assert.ok(browser.page.alert)
  }
  await browser.submit({ code: codeFor(lido, secret, -30) })
  assert.ok(isSignedIn(browser))
})

test('a recovery code comes in the place of the authenticator, once', async () => {
  const { codes, name } = await withCodes('codes@example.org')
  const [first = '', other = ''] = codes
  const browser = await byRecoveryCode(name, first.toLowerCase().replaceAll('-', ' '))
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.match((await lido.message(name)).subject, /recovery code was used/)
  const again = await byRecoveryCode(name, first)
  assert.ok(again.page.alert)
  await again.submit({ code: other })
  assert.ok(isSignedIn(again))
})

test('of twenty posts of one recovery code, one comes in', async () => {
  const { codes, name } = await withCodes('codes-at-once@example.org')
  const browsers = await Promise.all(Array.from({ length: 20 }, () => byRecoveryCode(name)))
  await Promise.all(browsers.map((browser) => browser.submit({ code: codes[0] ?? '' })))
  assert.equal(browsers.filter(isSignedIn).length, 1)
})

test('whoever has three recovery codes left is asked to make new ones', async () => {
  const { codes, name } = await withCodes('few@example.org')
  for (const code of codes.slice(0, 6)) assert.ok(isSignedIn(await byRecoveryCode(name, code)))
  const browser = await byRecoveryCode(name, codes[6])
  assert.equal(browser.page.step, 'recovery-codes')
  assert.match(browser.page.html, /3 recovery codes left/)
  await browser.submit({ action: 'renew' })
  const renewed = codesOn(browser)
  assert.equal(renewed.length, 10)
  await browser.submit()
  assert.ok(isSignedIn(browser))
  assert.ok((await byRecoveryCode(name, codes[9])).page.alert)
  assert.ok(isSignedIn(await byRecoveryCode(name, renewed[0])))
})

test('where it is optional, whoever has none is not asked; where it is off, nobody is', async () => {
  await makeUser(lido, optional, 'none@example.org')
  assert.ok(isSignedIn(await enterPassword('optional', 'none@example.org')))
  const off = (await pools.findBySlug(lido.services.db, 'off')) as Pool
  const { name } = await vera('off@example.org', off)
  const browser = await enterPassword('off', name)
  const claims = await claimsOf('off', browser)
  assert.deepEqual([claims.amr, claims.acr], [['pwd'], 'urn:lido:acr:1fa'])
})

test('a code by mail may follow a password, and says that it is still one factor', async () => {
  const pool = (await pools.findBySlug(lido.services.db, 'mail')) as Pool
  await makeUser(lido, pool, 'mail@example.org')
  const browser = await enterPassword('mail', 'mail@example.org')
  assert.equal(browser.page.step, 'prove')
  const { code } = await lido.message('mail@example.org')
  await browser.submit({ code })
  const claims = await claimsOf('mail', browser)
  assert.deepEqual([claims.amr, claims.acr], [['pwd', 'otp'], 'urn:lido:acr:1fa'])
})

test('a code by mail follows no proof of the same mailbox: then the password is asked', async () => {
  const pool = (await pools.findBySlug(lido.services.db, 'mail')) as Pool
  await makeUser(lido, pool, 'mailbox@example.org')
  const browser = await visitAs(lido, 'mail', 'mailbox@example.org')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  const { code } = await lido.message('mailbox@example.org')
  await browser.submit({ code })
  assert.match(browser.page.html, /name="password"/)
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
})

test('a half-finished sign-in authenticates nowhere', async () => {
  const { name } = await vera('half@example.org')
  const browser = await enterPassword('optional', name)
  const pending = browser.page.url
  assert.ok(![...browser.cookies.keys()].some((cookie) => cookie.includes('session')))
  const resumed = await visit(lido, 'optional', { browser, prompt: 'none' })
  assert.equal(new URL(resumed.page.url).searchParams.get('error'), 'login_required')
  const elsewhere = await visit(lido, 'optional')
  await elsewhere.get(pending)
  assert.equal(elsewhere.page.status, 410)
  const uid = pending.split('/').at(-1)
  await browser.get(`${lido.url}/w/optional/authorize/${uid}`)
  assert.ok(!isSignedIn(browser), browser.page.url)
})

test('everything that was proven is void once everything of the account was ended', async () => {
  const { id, name, secret } = await vera('era@example.org')
  const browser = await enterPassword('optional', name)
  await users.endEverything(lido.services.db, optional.id, id)
  await browser.submit({ code: codeFor(lido, secret) })
  assert.ok(!isSignedIn(browser))
  assert.match(browser.page.html, /name="password"/)
  await browser.submit({ password })
  await browser.submit({ code: codeFor(lido, secret) })
  assert.ok(isSignedIn(browser))
})

test('A15: a reset signs nobody in, takes no second factor away, and voids what was half proven', async () => {
  const { id, name, secret } = await vera('reset@example.org')
  const half = await enterPassword('optional', name)
  const browser = await visitAs(lido, 'optional', name)
  await browser.get(browser.link('Forgot your password?'))
  await browser.submit({ identifier: name })
  const { code } = await lido.message(name)
  await browser.submit({ code, new_password: 'an entirely different secret' })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ password: 'an entirely different secret' })
  assert.match(browser.page.html, /authenticator app/)
  assert.ok((await heldBy(lido, id)).includes('totp'))
  await half.submit({ code: codeFor(lido, secret) })
  assert.ok(!isSignedIn(half))
  assert.match(half.page.html, /name="password"/)
  await browser.submit({ code: codeFor(lido, secret) })
  assert.ok(isSignedIn(browser))
})

test('A22: the password grant tells of a second factor only after the right password', async () => {
  const { name } = await vera('ropc@example.org')
  const refused = await grant('optional', name)
  assert.deepEqual([refused.status, refused.body.error], [400, 'mfa_required'])
  assert.equal(refused.body.access_token, undefined)
  assert.equal((await grant('optional', name, 'certainly wrong')).body.error, 'invalid_grant')
  assert.equal((await grant('optional', 'nobody@example.org')).body.error, 'invalid_grant')
  await makeUser(lido, required, 'must@example.org')
  assert.equal((await grant('required', 'must@example.org')).body.error, 'mfa_required')
  await makeUser(lido, optional, 'ropc-free@example.org')
  assert.equal((await grant('optional', 'ropc-free@example.org')).status, 200)
})

test('a right password buys no new tries at a second factor, and the owner hears of the first failure', async () => {
  const { name, secret } = await vera('guess@example.org')
  for (let n = 0; n < 10; n += 1) {
    const browser = await enterPassword('optional', name)
    await browser.submit({ code: '000000' })
  }
  const mails = (
    await rowsOf<{ n: number }>(lido, `select count(*)::int as n from inbox where recipient = '${name}'`)
  )[0]
  assert.match((await lido.message(name)).subject, /knows your password/)
  assert.ok((mails?.n ?? 0) <= 1)
  const locked = await visitAs(lido, 'optional', name)
  await locked.submit({ password })
  assert.match(locked.page.alert ?? '', /Too many tries/)
  clock.pass(16 * 60)
  const browser = await enterPassword('optional', name)
  await browser.submit({ code: codeFor(lido, secret) })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('a lock closes neither a code by mail nor a recovery code: the owner still comes in', async () => {
  const { codes, name } = await withCodes('locked@example.org')
  const guesser = await enterPassword('optional', name)
  for (let n = 0; n < 12; n += 1) await guesser.submit({ code: '000000' })
  assert.match(guesser.page.alert ?? '', /Too many tries/)
  const browser = await visitAs(lido, 'optional', name)
  await browser.get(browser.link('Sign in another way'))
  const sent = await countOf(lido, `inbox where recipient = '${name}'`)
  await browser.submit({ method: 'email_code' })
  await browser.submit({ code: (await lido.message(name, sent)).code })
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'recovery_code' })
  await browser.submit({ code: codes[0] ?? '' })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('what somebody holds shows only after their first proof', async () => {
  const { name } = await vera('shown@example.org')
  const known = likeness(await visitAs(lido, 'optional', name), name)
  const stranger = likeness(await visitAs(lido, 'optional', 'stranger@example.org'), 'stranger@example.org')
  assert.deepEqual(known, stranger)
})

test('nobody names a method that was not offered', async () => {
  const { name } = await vera('forced@example.org')
  const browser = await visitAs(lido, 'optional', name)
  await browser.post(`${browser.page.url}?view=another`, { ...hidden(browser), method: 'recovery_code' })
  assert.equal(browser.page.step, 'prove')
  await browser.get(browser.page.url)
  assert.doesNotMatch(browser.page.html, /recovery code/)
})

test('a pool wants another second factor than recovery codes alone', async () => {
  const only = { second_factor: 'required', second_factors: ['recovery_code'] } as const
  await assert.rejects(makePool(lido, 'codes-only', { ...only, second_factors: [...only.second_factors] }), {
    code: 'unprocessable',
  })
})

const hidden = ({ page }: Browser): Record<string, string> => ({
  csrf: page.html.match(/name="csrf" value="([^"]*)"/)?.[1] ?? '',
})

/** Somebody with an authenticator and recovery codes. */
const withCodes = async (name: string) => {
  const { id } = await vera(name)
  const codes = await renewCodes(lido.services.db, clock.now(), optional.id, id)
  return { id, name, codes }
}

const byRecoveryCode = async (name: string, code?: string): Promise<Visit> => {
  const browser = await enterPassword('optional', name)
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'recovery_code' })
  if (code !== undefined) await browser.submit({ code })
  return browser
}
