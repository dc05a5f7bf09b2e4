import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../directory/pools.ts'
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
  rowsOf,
  takeAsLong,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1' })
  pool = await makePool(lido, 'residents', { identifiers: ['email', 'username'] })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password', 'refresh_token'] })
})
after(() => lido.stop())

const wrong = 'certainly not the password'

const fail = async (identifier: string, times = 1) => {
  const browser = await visitAs(lido, 'acme', identifier)
  for (let n = 0; n < times; n += 1) await browser.submit({ password: wrong })
  return browser
}

const signIn = async (identifier: string, secret = password) => {
  const browser = await visitAs(lido, 'acme', identifier)
  await browser.submit({ password: secret })
  return browser
}

const grant = (username: string, secret: string) =>
  token(lido.url, 'acme', { grant_type: 'password', client_id: 'ropc', username, password: secret, scope: 'openid' })

const points = async (key: string): Promise<number> =>
  (await rowsOf<{ points: number }>(lido, `select points from limits where key like '${key}'`))[0]?.points ?? 0

const people: [who: string, make: (name: string) => Promise<unknown>][] = [
  ['wrong-password', (name) => makeUser(lido, pool, name)],
  ['unknown', async () => {}],
  ['no-password', (name) => makeUser(lido, pool, name, { password: null })],
  ['disabled', (name) => makeUser(lido, pool, name, { status: 'inactive' })],
  ['deleted', (name) => makeUser(lido, pool, name, { status: 'deleted' })],
  ['unproven', (name) => makeUser(lido, pool, name, { status: 'new', verified: false })],
]

test('A17: nobody can tell who exists from the page, its status or its headers', async () => {
  const seen = []
  for (const [who, make] of people) {
    const name = `some-${who}@example.org`
    await make(name)
    const browser = await visitAs(lido, 'acme', name)
    const asked = likeness(browser, name)
    await browser.submit({ password: wrong })
    const refused = likeness(browser, name)
    await browser.get(browser.link('Sign in another way'))
    const others = likeness(browser, name)
    await browser.submit({ method: 'email_code' })
    const waiting = likeness(browser, name)
    await browser.submit({ code: '000000' })
    const guessed = likeness(browser, name)
    await browser.submit({ action: 'resend' })
    seen.push({ who, pages: [asked, refused, others, waiting, guessed, likeness(browser, name)] })
  }
  for (const { who, pages } of seen) assert.deepEqual(pages, seen[0]?.pages, who)
})

test('A17: nobody can tell who exists from the password grant', async () => {
  const answers = []
  for (const [who, make] of people) {
    const name = `grant-${who}@example.org`
    await make(name)
    const { status, body } = await grant(name, wrong)
    answers.push({ status, body })
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0])
  assert.deepEqual([answers[0]?.status, answers[0]?.body.error], [400, 'invalid_grant'])
})

test('A17: the right password of somebody disabled, deleted or unproven is like a wrong one', async () => {
  for (const who of ['disabled', 'deleted', 'unproven', 'no-password']) {
    const browser = await signIn(`some-${who}@example.org`)
    assert.equal(browser.page.step, 'prove', who)
    assert.match(browser.page.alert ?? '', /details are not right/)
  }
})

test('A17: a stranger costs the time of a wrong password', () =>
  takeAsLong(['known', 'unknown', 'disabled'], async (who, n) => {
    const name = `${who}-${n}@example.org`
    if (who !== 'unknown') await makeUser(lido, pool, name, { status: who === 'known' ? 'active' : 'inactive' })
    const browser = await visitAs(lido, 'acme', name)
    return () => browser.submit({ password: wrong })
  }))

test('A23: the page by email, by username and the password grant share one counter', async () => {
  const id = await makeUser(lido, pool, 'mike@example.org', { aliases: ['mike'] })
  const owner = await visitAs(lido, 'acme', 'mike@example.org')
  await owner.get(owner.link('Sign in another way'))
  await owner.submit({ method: 'email_code' })
  await fail('mike@example.org', 4)
  await fail('MIKE', 3)
  for (let n = 0; n < 2; n += 1) assert.equal((await grant('mike', wrong)).body.error, 'invalid_grant')
  assert.ok(isSignedIn(await signIn('mike')), 'nine failures are too few')
  assert.equal(await points(`account:%${id}`), 0)

  await fail('mike@example.org', 4)
  await fail('mike', 3)
  for (let n = 0; n < 3; n += 1) await grant('mike@example.org', wrong)
  const locked = await signIn('mike')
  assert.equal(locked.page.step, 'prove')
  const { status, body } = await grant('mike', password)
  assert.deepEqual([status, body.error], [400, 'invalid_grant'])

  const stranger = await fail('mikey', 11)
  assert.deepEqual(likeness(locked, 'mike'), likeness(stranger, 'mikey'))
  assert.match(locked.page.alert ?? '', /Too many tries/)

  const { code } = await lido.message('mike@example.org')
  await owner.submit({ code })
  assert.ok(isSignedIn(owner), 'a code by mail is the way back in')
  assert.ok(isSignedIn(await signIn('mike')), 'and forgives')
})

test('A10: wrong codes count for the account as well', async () => {
  const id = await makeUser(lido, pool, 'coded@example.org')
  const browser = await visitAs(lido, 'acme', 'coded@example.org')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  const { code } = await lido.message('coded@example.org')
  for (let n = 1; n <= 6; n += 1)
    await browser.submit(
      { code: String((Number(code) + n) % 1e6).padStart(6, '0') },
      { 'X-Forwarded-For': `192.0.2.${n}` },
    )
  await browser.submit({ code })
  assert.equal(browser.page.step, 'prove')
  assert.match(browser.page.alert ?? '', /no longer valid/)
  assert.ok((await points(`account:%${id}`)) >= 6)
})

test('A16: fifty wrong passwords at once count fifty, and close the account', async () => {
  const id = await makeUser(lido, pool, 'fifty@example.org')
  const browser = await visitAs(lido, 'acme', 'fifty@example.org')
  const tries = Array.from({ length: 50 }, (_, n) => ({ password: `${wrong} ${n}` }))
  const answers = await atOnce(lido, browser, tries)
  assert.ok(answers.every(({ status }) => status === 303))
  const failed = `events where user_id = '${id}' and type = 'sign_in.failed'`
  assert.equal(await countOf(lido, failed), 50, 'every failure is an event')
  const checked = await countOf(lido, `${failed} and data ->> 'why' = 'wrong'`)
  assert.equal(await points(`account:%${id}`), checked)
  assert.ok(checked >= 10)
  const locked = await signIn('fifty@example.org')
  assert.equal(locked.page.step, 'prove')
})

test('a right password is not lost to wrong ones beside it', async () => {
  await makeUser(lido, pool, 'beside@example.org')
  const browser = await visitAs(lido, 'acme', 'beside@example.org')
  const tries = [wrong, wrong, password, wrong, wrong].map((secret) => ({ password: secret }))
  const answers = await atOnce(lido, browser, tries)
  assert.ok(answers.every(({ status }) => status === 303))
  await browser.get(browser.page.url)
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('A11: of twenty right codes at once one counts, and the person is in', async () => {
  const id = await makeUser(lido, pool, 'codes@example.org')
  const browser = await visitAs(lido, 'acme', 'codes@example.org')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  const { code } = await lido.message('codes@example.org')
  const answers = await atOnce(
    lido,
    browser,
    Array.from({ length: 20 }, () => ({ code })),
  )
  assert.ok(answers.every(({ status }) => status === 303))
  await browser.get(browser.page.url)
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.equal(await countOf(lido, `events where user_id = '${id}' and type = 'sign_in.succeeded'`), 1)
})

test('one address that fails too often is stopped, everybody else is not', async () => {
  await makeUser(lido, pool, 'near@example.org')
  const from = (address: string) => ({ 'X-Forwarded-For': address })
  const tryFrom = async (address: string, secret: string) => {
    const browser = await visitAs(lido, 'acme', 'near@example.org')
    await browser.submit({ password: secret }, from(address))
    return browser
  }
  await tryFrom('2001:db8:7:7::1', wrong)
  assert.equal(await points('address:all:2001:db8:7:7'), 1)
  await rowsOf(lido, `update limits set points = 1499 where key = 'address:all:2001:db8:7:7' returning key`)
  await tryFrom('2001:db8:7:7:aaaa::2', wrong)
  const stopped = await tryFrom('2001:db8:7:7:bbbb::3', password)
  assert.equal(stopped.page.step, 'prove')
  assert.match(stopped.page.alert ?? '', /Too many tries/)
  assert.ok(isSignedIn(await tryFrom('2001:db8:7:8::1', password)))
  await rowsOf(lido, `update limits set resets_at = now() where key = 'address:all:2001:db8:7:7' returning key`)
  assert.ok(isSignedIn(await tryFrom('2001:db8:7:7::1', password)))
})

/** Keeps every place in the queue of hashes taken, until told to let go. */
const fillQueue = () => {
  let filling = true
  const keep = async () => {
    while (filling) await lido.services.passwords.hash(password).catch(() => {})
  }
  const kept = Array.from({ length: 65 }, keep)
  return async () => {
    filling = false
    await Promise.all(kept)
  }
}

test('where too many hashes wait, the answer is 503 with Retry-After and costs no try', async () => {
  const id = await makeUser(lido, pool, 'queue@example.org')
  const browser = await visitAs(lido, 'acme', 'queue@example.org')
  const drain = fillQueue()
  await browser.submit({ password })
  assert.equal(browser.page.status, 503)
  assert.match(browser.page.headers.get('Retry-After') ?? '', /^\d+$/)
  assert.equal(browser.page.step, 'problem')
  const { status, headers } = await grant('queue@example.org', password)
  assert.equal(status, 503)
  assert.match(headers.get('Retry-After') ?? '', /^\d+$/)
  await drain()
  assert.equal(await points(`account:%${id}`), 0)
  assert.ok(isSignedIn(await signIn('queue@example.org')))
})

test('an address that a stranger names is believed from a trusted proxy only', async () => {
  const open = await testLido()
  try {
    const browser = await visit(open, 'demo', { client_id: 'demo', redirect_uri: `${open.url}/demo/callback` })
    await browser.submit({ identifier: 'nobody@example.org' })
    await browser.submit({ password: wrong }, { 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9' })
    const keys = await rowsOf<{ key: string }>(open, `select key from limits where key like 'address:%'`)
    assert.deepEqual(keys, [{ key: 'address:all:127.0.0.1' }])
  } finally {
    await open.stop()
  }
})
