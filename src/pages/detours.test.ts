import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import { openAccount } from './account-testing.ts'
import {
  atOnce,
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  rowsOf,
  type Visit,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { codeFor, giveTotp, heldBy, movableClock, secretOn } from './second-factor-testing.ts'

const two = 'urn:lido:acr:2fa'
const clock = movableClock()
let lido: TestLido
let strict: Pool
let mixed: Pool
let growing: Pool
before(async () => {
  lido = await testLido({}, { clock })
  const lax = await makePool(lido, 'lax', { second_factor: 'off', sign_in_methods: ['password', 'passkey'] })
  strict = await makePool(lido, 'strict', { second_factor: 'required' })
  mixed = await makePool(lido, 'mixed', {
    sign_in_methods: ['password', 'passkey'],
    second_factor: 'optional',
    second_factors: ['email_code', 'totp', 'passkey'],
  })
  growing = await makePool(lido, 'growing', { second_factor: 'optional', second_factors: ['totp'] })
  const corner = await makeWorkspace(lido, 'corner', [
    { pool: lax },
    { pool: strict, hidden: true, domains: ['strict.example.org'] },
  ])
  await makeClient(lido, corner.id)
  for (const pool of [strict, mixed, growing]) {
    const workspace = await makeWorkspace(lido, pool.slug, [{ pool }])
    await makeClient(lido, workspace.id)
    await makeClient(lido, workspace.id, { id: 'bank', acr_values_default: [two] })
  }
})
after(() => lido.stop())

/** Somebody with an authenticator whose password is proven, and whose second factor is not. */
const half = async (workspace: string, pool: Pool, name: string): Promise<Visit & { secret: string; id: string }> => {
  const id = await makeUser(lido, pool, name)
  const secret = await giveTotp(lido, pool, id)
  const browser = await visitAs(lido, workspace, name)
  await browser.submit({ password })
  return Object.assign(Object.create(browser), { secret, id })
}

test('whoever is half signed in to one pool does not come in by the policy of another', async () => {
  for (const [n, wrong] of [{ identifier: '' }, { identifier: 'not an address' }, { credential: '{}' }].entries()) {
    const browser = await half('corner', strict, `half-${n}@strict.example.org`)
    assert.equal(browser.page.step, 'prove', browser.page.html)
    const { csrf = '' } = hiddenOf(browser.page.html)
    await browser.post(`${browser.page.url}?view=identify`, { csrf, ...(wrong as object) })
    assert.ok(!isSignedIn(browser), JSON.stringify(wrong))
    await browser.get(browser.page.url.split('?')[0] ?? '')
    assert.ok(!isSignedIn(browser), JSON.stringify(wrong))
  }
})

test('a session that is not fresh gets nobody another factor: everything is proven again before', async () => {
  const name = 'lunch@example.org'
  const id = await makeUser(lido, growing, name)
  const browser = await visitAs(lido, 'growing', name)
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
  const soon = await visit(lido, 'growing', { browser, acr_values: two })
  assert.equal(soon.page.step, 'enrol', 'a fresh one does')
  clock.pass(11 * 60)
  const later = await visit(lido, 'growing', { browser, acr_values: two })
  assert.equal(later.page.step, 'identify', later.page.html)
  await later.submit({ identifier: name })
  await later.submit({ password })
  await later.submit({ code: codeFor(lido, secretOn(later)) })
  assert.deepEqual((await heldBy(lido, id)).includes('totp'), true)
})

test('a mailbox does not get a passkey for somebody who has an authenticator', async () => {
  const browser = await half('mixed', mixed, 'mailbox@example.org')
  const { code } = await lido.message('mailbox@example.org')
  await browser.submit({ code, passkeys: 'able' })
  assert.ok(isSignedIn(browser), browser.page.html)
  const more = await visit(lido, 'mixed', { browser, acr_values: 'phr' })
  await more.submit({ method: 'email_code' })
  await more.submit({ code: (await lido.message('mailbox@example.org', 1)).code })
  assert.match(more.page.html, /authenticator app/)
  await more.submit({ code: codeFor(lido, browser.secret) })
  assert.equal(more.page.step, 'enrol', more.page.html)
})

test('a factor that is got while everything of its owner ends is not kept', async () => {
  const name = 'race@example.org'
  const id = await makeUser(lido, strict, name)
  const browser = await visitAs(lido, 'strict', name)
  await browser.submit({ password })
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  const code = codeFor(lido, secretOn(browser))
  const { db } = lido.services
  const sent = await db.transaction().execute(async (trx) => {
    await sql`update users set era = era + 1 where id = ${id}`.execute(trx)
    const answer = browser.submit({ code })
    // Either it waits for this transaction, or it is done by now.
    await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 1000))])
    return { answer }
  })
  await sent.answer
  assert.ok(!isSignedIn(browser))
  assert.deepEqual(await heldBy(lido, id), ['password'])
})

test('a second address is proven beside one that is proven already', async () => {
  const name = 'both@example.org'
  const id = await makeUser(lido, growing, name)
  await sql`insert into identifiers (pool_id, kind, value, user_id, typed)
    values (${growing.id}, 'email', 'other@example.org', ${id}, 'other@example.org')`.execute(lido.services.db)
  const at = await openAccount(lido, name, { workspace: 'growing' })
  await at.open('/identifiers')
  await at.open(at.link('Confirm').replace(/^.*\/account/, ''))
  await at.submit()
  const { code } = await lido.message('other@example.org')
  await at.submit({ code })
  const rows = await rowsOf<{ value: string; proven: boolean }>(
    lido,
    `select value, verified_at is not null as proven from identifiers where user_id = '${id}' order by value`,
  )
  assert.deepEqual(
    rows.map(({ value, proven }) => [value, proven]),
    [
      ['both@example.org', true],
      ['other@example.org', true],
    ],
  )
})

test('of many codes of an authenticator tried at once, few are looked at', async () => {
  const browser = await half('strict', strict, 'burst@example.org')
  const guesses = Array.from({ length: 100 }, (_, n) => ({ code: String(n * 7919).padStart(6, '0') }))
  await atOnce(lido, browser, guesses)
  const [row] = await rowsOf<{ looked: number }>(
    lido,
    `select count(*)::int as looked from events where user_id = '${browser.id}' and data ->> 'why' = 'wrong'`,
  )
  assert.ok((row?.looked ?? 100) <= 20, `${row?.looked} were looked at`)
})

test('no request gets in to a client by less than the client always wants', async () => {
  const name = 'bank@example.org'
  await makeUser(lido, growing, name)
  const acr = (values: string[], essential = false) => JSON.stringify({ id_token: { acr: { values, essential } } })
  const wishes = [
    { acr_values: 'urn:lido:acr:1fa' },
    { claims: acr(['urn:lido:acr:1fa'], true) },
    { claims: acr(['nonsense']) },
  ]
  for (const wish of wishes) {
    const browser = await visit(lido, 'growing', { client_id: 'bank', ...wish })
    await browser.submit({ identifier: name })
    await browser.submit({ password })
    assert.equal(browser.page.step, 'enrol', JSON.stringify(wish))
    const known = await visitAs(lido, 'growing', name)
    await known.submit({ password })
    assert.ok(isSignedIn(known))
    const again = await visit(lido, 'growing', { browser: known, client_id: 'bank', ...wish })
    assert.equal(again.page.step, 'enrol', JSON.stringify(wish))
  }
})

test('nobody is asked for a proof at their account that no page would take from them', async () => {
  const pool = await makePool(lido, 'texted', {
    identifiers: ['email', 'mobile'],
    sign_in_methods: ['password', 'sms_code'],
    second_factor: 'off',
  })
  await makeWorkspace(lido, 'texted', [{ pool }])
  await makeUser(lido, pool, 'texted@example.org', { aliases: ['+4915112345678'] })
  const at = await openAccount(lido, 'texted@example.org', { workspace: 'texted' })
  const page = await at.open('/password')
  assert.deepEqual([page.status, new URL(page.url).pathname], [200, '/w/texted/account/password'], page.html)
})
