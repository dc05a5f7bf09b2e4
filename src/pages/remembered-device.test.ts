import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import * as credentials from '../directory/credentials.ts'
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
  rowsOf,
  visit,
} from './fixtures-testing.ts'
import { codeFor, giveTotp, movableClock } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let pool: Pool
let other: Pool
before(async () => {
  lido = await testLido({}, { clock })
  const settings = { second_factor: 'optional', remember_device_days: 30 } as const
  pool = await makePool(lido, 'holders', settings)
  other = await makePool(lido, 'others', settings)
  const strict = await makePool(lido, 'strict', { second_factor: 'optional' })
  for (const one of [pool, other, strict]) {
    const workspace = await makeWorkspace(lido, one.slug, [{ pool: one }])
    await makeClient(lido, workspace.id)
  }
})
after(() => lido.stop())

const day = 24 * 60 * 60

const enter = async (browser: Browser | undefined, name: string, workspace = 'holders', more: object = {}) => {
  const page = await visit(lido, workspace, { ...(browser ? { browser } : {}), prompt: 'login', ...more })
  await page.submit({ identifier: name })
  await page.submit({ password })
  return page
}

/** Somebody whose browser was remembered. */
const remembered = async (name: string, where = pool) => {
  const id = await makeUser(lido, where, name)
  const secret = await giveTotp(lido, where, id)
  const browser = await enter(undefined, name, where.slug)
  assert.match(browser.page.html, /type="checkbox"[^>]* name="remember"/)
  await browser.submit({ code: codeFor(lido, secret), remember: 'true' })
  assert.ok(isSignedIn(browser), browser.page.html)
  return { id, name, secret, browser }
}

test('a browser that was remembered is not asked again, and claims nothing for that', async () => {
  const { browser, name } = await remembered('ada@example.org')
  const again = await enter(browser, name)
  assert.ok(isSignedIn(again), again.page.html)
  const claims = payloadOf((await redeem(lido, 'holders', again)).body.id_token ?? '')
  assert.deepEqual([claims.amr, claims.acr], [['pwd'], 'urn:lido:acr:1fa'])
  assert.equal((await enter(undefined, name)).page.step, 'prove')
})

test('it never stands in for a factor that the client asks for', async () => {
  const { browser, name } = await remembered('asked@example.org')
  const again = await enter(browser, name, 'holders', { acr_values: 'urn:lido:acr:2fa' })
  assert.equal(again.page.step, 'prove')
})

test('only a browser that asked for it is remembered, and only where the pool remembers any', async () => {
  const id = await makeUser(lido, pool, 'plain@example.org')
  const secret = await giveTotp(lido, pool, id)
  const browser = await enter(undefined, 'plain@example.org')
  await browser.submit({ code: codeFor(lido, secret), remember: '' })
  assert.equal((await enter(browser, 'plain@example.org')).page.step, 'prove')
  const [strict] = await rowsOf<Pool>(lido, "select * from pools where slug = 'strict'")
  assert.ok(strict)
  const pia = await makeUser(lido, strict, 'pia@example.org')
  const key = await giveTotp(lido, strict, pia)
  const asking = await enter(undefined, 'pia@example.org', 'strict')
  assert.doesNotMatch(asking.page.html, /name="remember"/)
  await asking.submit({ code: codeFor(lido, key), remember: 'true' })
  assert.equal((await enter(asking, 'pia@example.org', 'strict')).page.step, 'prove')
})

test('it is forgotten after its days, on a reset or sign-out everywhere, and when it is taken away', async () => {
  const ended = await remembered('ended@example.org')
  await users.endEverything(lido.services.db, pool.id, ended.id)
  assert.equal((await enter(ended.browser, ended.name)).page.step, 'prove')

  const revoked = await remembered('revoked@example.org')
  const [device] = (await credentials.list(lido.services.db, pool.id, revoked.id)).filter(
    ({ kind }) => kind === 'device',
  )
  assert.equal(await credentials.remove(lido.services.db, pool.id, revoked.id, device?.id ?? ''), 'device')
  assert.equal((await enter(revoked.browser, revoked.name)).page.step, 'prove')

  const old = await remembered('old@example.org')
  clock.pass(29 * day)
  assert.ok(isSignedIn(await enter(old.browser, old.name)))
  clock.pass(2 * day)
  assert.equal((await enter(old.browser, old.name)).page.step, 'prove')
})

test('it is good for one person of one pool', async () => {
  const { browser, name } = await remembered('bound@example.org')
  const neighbour = await remembered('neighbour@example.org')
  const cookies = [...browser.cookies].filter(([key]) => key.startsWith('lido_device'))
  const [[, theirs] = ['', { value: '', path: '/' }]] = cookies
  const [[own] = ['']] = [...neighbour.browser.cookies].filter(([key]) => key.startsWith('lido_device'))
  neighbour.browser.cookies.set(own, theirs)
  assert.equal((await enter(neighbour.browser, neighbour.name)).page.step, 'prove')

  const twin = await makeUser(lido, other, name)
  await giveTotp(lido, other, twin)
  const carried = await enter(undefined, name, 'others')
  for (const [key, value] of cookies) carried.cookies.set(key, value)
  assert.equal((await enter(carried, name, 'others')).page.step, 'prove')
})

test('of the browsers of one person the latest twenty are remembered', async () => {
  const { id } = await remembered('many@example.org')
  const { db, clock: time } = lido.services
  const forgetBefore = new Date(0)
  for (let n = 0; n < 25; n += 1)
    await credentials.addDevice(db, time.now(), pool.id, id, { hash: `hash ${n}`, era: 0, forgetBefore })
  assert.equal(await countOf(lido, `credentials where user_id = '${id}' and kind = 'device'`), 20)
})

test('its token is stored only as a hash, in a cookie that scripts cannot read', async () => {
  const { browser, id } = await remembered('hashed@example.org')
  const [[, { value }] = ['', { value: '' }]] = [...browser.cookies].filter(([key]) => key.startsWith('lido_device'))
  assert.ok(value.length >= 43)
  const rows = JSON.stringify(await rowsOf(lido, `select data from credentials where user_id = '${id}'`))
  assert.ok(!rows.includes(value) && !lido.lines.join('').includes(value))
})
