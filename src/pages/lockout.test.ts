import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  rowsOf,
  visit,
} from './fixtures-testing.ts'
import { givePasskey, optionsOn } from './passkeys-testing.ts'
import { movableClock } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1' }, { clock })
  pool = await makePool(lido, 'residents', { sign_in_methods: ['password', 'email_code', 'passkey'] })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

const wrong = 'certainly not the password'
const home = '192.0.2.7'
const outside = '203.0.113.9'
const from = (address: string) => ({ 'X-Forwarded-For': address })

const trySecret = async (name: string, secret: string, address: string, browser?: Browser) => {
  const page = await visit(lido, 'acme', { ...(browser ? { browser } : {}), prompt: 'login' })
  await page.submit({ identifier: name }, from(address))
  await page.submit({ password: secret }, from(address))
  return page
}

const isStopped = ({ page }: Browser) => page.step === 'prove' && /Too many tries/.test(page.alert ?? '')

const lock = async (name: string) => {
  for (let n = 0; n < 10; n += 1) await trySecret(name, wrong, outside)
  assert.ok(isStopped(await trySecret(name, password, outside)), 'locked')
}

/** Somebody with a browser that they have signed in with. */
const settled = async (name: string) => {
  const id = await makeUser(lido, pool, name)
  const browser = await trySecret(name, password, home)
  assert.ok(isSignedIn(browser), browser.page.html)
  return { id, browser }
}

test('whoever locks an account from outside does not lock its owner out of a browser of theirs, nor gets in after them', async () => {
  const { browser } = await settled('mike@example.org')
  await lock('mike@example.org')
  assert.ok(isStopped(await trySecret('mike@example.org', password, home)), 'at home, in a new browser')
  assert.ok(isSignedIn(await trySecret('mike@example.org', password, home, browser)))
  assert.ok(isSignedIn(await trySecret('mike@example.org', password, outside, browser)), 'wherever it is')
  assert.ok(isStopped(await trySecret('mike@example.org', password, outside)), 'the attacker stays locked')
})

test('a browser of theirs has ten tries of its own, and a right password forgives them', async () => {
  const { browser } = await settled('tries@example.org')
  for (let n = 0; n < 9; n += 1) await trySecret('tries@example.org', wrong, home, browser)
  assert.ok(isSignedIn(await trySecret('tries@example.org', password, home, browser)))
  for (let n = 0; n < 10; n += 1) await trySecret('tries@example.org', wrong, home, browser)
  assert.ok(isStopped(await trySecret('tries@example.org', password, home, browser)))
  clock.pass(901)
  assert.ok(isSignedIn(await trySecret('tries@example.org', password, home, browser)))
})

test('a browser is known for one person, for ninety days and for one era, and cannot be made up', async () => {
  const mine = await settled('known@example.org')
  await settled('neighbour@example.org')
  await lock('neighbour@example.org')
  assert.ok(isStopped(await trySecret('neighbour@example.org', password, home, mine.browser)), 'of somebody else')

  const [[name, cookie] = ['', { value: '', path: '/' }]] = [...mine.browser.cookies].filter(([key]) =>
    key.startsWith('lido_known'),
  )
  assert.ok(cookie.value.length > 40 && cookie.value.length < 400, `${cookie.value.length}`)
  assert.ok(!lido.lines.join('').includes(cookie.value))
  await lock('known@example.org')
  mine.browser.cookies.set(name, { ...cookie, value: `${cookie.value.slice(0, -4)}AAAA` })
  assert.ok(isStopped(await trySecret('known@example.org', password, home, mine.browser)), 'made up')
  mine.browser.cookies.set(name, cookie)
  await users.endEverything(lido.services.db, pool.id, mine.id)
  assert.ok(isStopped(await trySecret('known@example.org', password, home, mine.browser)), 'of an earlier era')

  const old = await settled('old@example.org')
  clock.pass(91 * 24 * 3600)
  await lock('old@example.org')
  assert.ok(isStopped(await trySecret('old@example.org', password, home, old.browser)), 'too long ago')
})

test('twelve people who share a browser leave a cookie of bounded size, and the latest eight are known', async () => {
  let browser: Browser | undefined
  const names = Array.from({ length: 12 }, (_, n) => `kiosk-${n}@example.org`)
  for (const name of names) {
    await makeUser(lido, pool, name)
    browser = await trySecret(name, password, home, browser)
    assert.ok(isSignedIn(browser))
  }
  const [cookie] = [...(browser?.cookies ?? [])].filter(([key]) => key.startsWith('lido_known'))
  assert.ok((cookie?.[1].value.length ?? 0) < 1000)
  await lock('kiosk-11@example.org')
  await lock('kiosk-0@example.org')
  assert.ok(isSignedIn(await trySecret('kiosk-11@example.org', password, home, browser)))
  assert.ok(isStopped(await trySecret('kiosk-0@example.org', password, home, browser)))
})

test('a passkey and a new password let the owner in while others lock the account', async () => {
  const id = await makeUser(lido, pool, 'pia@example.org')
  const authenticator = await givePasskey(lido, pool, id)
  await lock('pia@example.org')
  const page = await visit(lido, 'acme')
  await page.submit({ credential: authenticator.get(optionsOn(page)) }, from(outside))
  assert.ok(isSignedIn(page), page.page.html)

  await makeUser(lido, pool, 'rita@example.org')
  await lock('rita@example.org')
  const browser = await visit(lido, 'acme')
  await browser.submit({ identifier: 'rita@example.org' }, from(home))
  await browser.get(browser.link('Forgot your password?'))
  await browser.submit({ identifier: 'rita@example.org' }, from(home))
  const { code } = await lido.message('rita@example.org')
  const fresh = 'an entirely different password'
  await browser.submit({ code, new_password: fresh }, from(home))
  assert.equal(browser.page.step, 'prove', browser.page.html)
  await lock('rita@example.org')
  await browser.submit({ password: fresh }, from(home))
  assert.ok(isSignedIn(browser), 'the browser of the recovery is known: nobody gets between')
})

test('whoever tries one password at many accounts is slowed in their network, and nobody else is', async () => {
  const { browser } = await settled('inside@example.org')
  await makeUser(lido, pool, 'victim@example.org')
  const seen = { checked: 0, stopped: 0 }
  for (let n = 0; n < 200; n += 1) {
    const tried = await trySecret(`sprayed-${n}@example.org`, wrong, `198.51.100.${n}`)
    seen[isStopped(tried) ? 'stopped' : 'checked'] += 1
  }
  assert.deepEqual(seen, { checked: 100, stopped: 100 })
  assert.ok(isStopped(await trySecret('victim@example.org', password, '198.51.100.250')))
  assert.ok(isSignedIn(await trySecret('victim@example.org', password, '198.51.101.250')), 'the network beside it')
  assert.ok(isSignedIn(await trySecret('inside@example.org', password, '198.51.100.3', browser)), 'a known browser')
  clock.pass(901)
  assert.ok(isSignedIn(await trySecret('victim@example.org', password, '198.51.100.250')), 'not for ever')
})

test('who mistypes one account often does not slow their network, and addresses from inside are no network', async () => {
  await makeUser(lido, pool, 'typo@example.org')
  for (let n = 0; n < 5; n += 1) await trySecret('typo@example.org', wrong, '2001:db8:5::1')
  const rows = await rowsOf<{ points: number }>(
    lido,
    "select points from limits where key = 'network:all:2001:db8:5::/48'",
  )
  assert.deepEqual(rows, [{ points: 1 }])
  await trySecret('typo@example.org', wrong, '10.1.2.3')
  assert.equal(await countOf(lido, "limits where key like 'network:all:10.%'"), 0)
})
