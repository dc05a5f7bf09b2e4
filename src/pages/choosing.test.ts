import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  rowsOf,
  visit,
} from './fixtures-testing.ts'

let lido: TestLido
let staff: Pool
let guests: Pool
let partners: Pool
before(async () => {
  lido = await testLido()
  staff = await makePool(lido, 'staff')
  guests = await makePool(lido, 'guests', { self_registration: true })
  partners = await makePool(lido, 'partners')
  await makeUser(lido, staff, 'sam@staff.example')
  await makeUser(lido, guests, 'sam@staff.example', { password: 'another password of sam' })
  await makeUser(lido, guests, 'gil@example.org')
  await makeUser(lido, partners, 'pat@partner.example')
})
after(() => lido.stop())

const workspaceWith = async (slug: string, links: Parameters<typeof makeWorkspace>[2]) => {
  const workspace = await makeWorkspace(lido, slug, links)
  await makeClient(lido, workspace.id)
  return workspace
}

const offered = (html: string): string[] =>
  [...html.matchAll(/<button[^>]* name="pool" value="[^"]*"[\s\S]*?class="choice-name"[^>]*>([^<]*)</g)].map(
    ([, name]) => name ?? '',
  )

test('one connection is no choice', async () => {
  await workspaceWith('one', [{ pool: staff }])
  const browser = await visit(lido, 'one')
  assert.equal(browser.page.step, 'identify')
  assert.ok(!browser.page.html.includes('Pool staff'))
})

test('several connections are a choice, in their order, and each has its own people', async () => {
  await workspaceWith('several', [
    { pool: guests, position: 2 },
    { pool: staff, position: 1 },
  ])
  const browser = await visit(lido, 'several')
  assert.equal(browser.page.step, 'choose')
  assert.deepEqual(offered(browser.page.html), ['Pool staff', 'Pool guests'])
  await browser.submit({ pool: staff.id })
  assert.equal(browser.page.step, 'identify')
  await browser.submit({ identifier: 'sam@staff.example' })
  await browser.submit({ password: 'another password of sam' })
  assert.equal(browser.page.step, 'prove', 'the password of another pool')
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
})

test('a pool that is not offered cannot be chosen', async () => {
  for (const pool of [partners.id, 'nonsense', '', "' or 1=1"]) {
    const browser = await visit(lido, 'several')
    await browser.submit({ pool })
    assert.equal(browser.page.step, 'choose')
    assert.ok(browser.page.alert)
  }
})

test('the choice can be changed on the way back, and nothing of the first one stays', async () => {
  const browser = await visit(lido, 'several')
  const choice = browser.page.url
  await browser.submit({ pool: staff.id })
  await browser.submit({ identifier: 'gil@example.org' })
  assert.equal(browser.page.step, 'prove')
  await browser.get(`${choice}?view=choose`)
  assert.equal(browser.page.step, 'choose')
  await browser.submit({ pool: guests.id })
  assert.equal(browser.page.step, 'prove', 'the address is known already')
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
})

test('the domain of an address tells the pool, and another domain is asked to choose', async () => {
  await workspaceWith('realms', [
    { pool: staff, domains: ['staff.example'] },
    { pool: partners, domains: ['partner.example'] },
    { pool: guests },
  ])
  const browser = await visit(lido, 'realms')
  assert.equal(browser.page.step, 'identify')
  await browser.submit({ identifier: 'SAM@Staff.Example' })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ password: 'another password of sam' })
  assert.equal(browser.page.step, 'prove')
  await browser.get(browser.link('Not you?'))
  await browser.submit({ identifier: 'pat@partner.example' })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser), browser.page.html)

  const guest = await visit(lido, 'realms')
  await guest.submit({ identifier: 'gil@example.org' })
  assert.equal(guest.page.step, 'choose')
  await guest.submit({ pool: guests.id })
  assert.equal(guest.page.step, 'prove')
  await guest.submit({ password })
  assert.ok(isSignedIn(guest))
})

test('a corrected address is not held to the pool that the first one led to', async () => {
  const browser = await visit(lido, 'realms')
  await browser.submit({ identifier: 'sam@staff.example' })
  await browser.get(browser.link('Not you?'))
  await browser.submit({ identifier: 'gil@example.org' })
  assert.equal(browser.page.step, 'choose', browser.page.html)
})

test('a domain that only ends alike is another domain', async () => {
  for (const identifier of ['sam@notstaff.example', 'sam@staff.example.evil.example', 'sam@sub.staff.example']) {
    const browser = await visit(lido, 'realms')
    await browser.submit({ identifier })
    assert.equal(browser.page.step, 'choose', identifier)
  }
})

test('a hidden connection is never shown, and is found by its domain', async () => {
  await workspaceWith('hidden', [{ pool: guests }, { pool: staff, hidden: true, domains: ['staff.example'] }])
  const browser = await visit(lido, 'hidden')
  assert.equal(browser.page.step, 'identify')
  assert.ok(!browser.page.html.includes('Pool staff'))
  await browser.submit({ identifier: 'sam@staff.example' })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
})

test('beside a hidden connection, everybody else comes in through the one that shows', async () => {
  const browser = await visit(lido, 'hidden')
  await browser.submit({ identifier: 'gil@example.org' })
  assert.equal(browser.page.step, 'prove', browser.page.html)
  await browser.submit({ password })
  assert.ok(isSignedIn(browser), browser.page.html)
  const newcomer = await visit(lido, 'hidden')
  assert.ok(newcomer.link('Create an account'))
})

test('a hidden connection without a domain does not keep others from the one that shows', async () => {
  await workspaceWith('plain', [{ pool: guests }, { pool: staff, hidden: true }])
  const browser = await visit(lido, 'plain')
  assert.equal(browser.page.step, 'identify', browser.page.html)
  await browser.submit({ identifier: 'gil@example.org' })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('where every connection is hidden, an unknown domain gets an answer that helps', async () => {
  await workspaceWith('veiled', [
    { pool: staff, hidden: true, domains: ['staff.example'] },
    { pool: partners, hidden: true, domains: ['partner.example'] },
  ])
  const browser = await visit(lido, 'veiled')
  await browser.submit({ identifier: 'gil@example.org' })
  assert.equal(browser.page.step, 'identify', browser.page.html)
  assert.ok(browser.page.alert)
  await browser.submit({ identifier: 'pat@partner.example' })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
})

test("a client's connections are the only ones its people come through", async () => {
  const workspace = await workspaceWith('narrow', [{ pool: staff }, { pool: guests }])
  const only = { id: 'staff-only', connections: [workspace.connections.staff ?? ''] }
  await makeClient(lido, workspace.id, only)
  const browser = await visit(lido, 'narrow', { client_id: 'staff-only' })
  assert.equal(browser.page.step, 'identify', 'one connection is no choice')
  await browser.submit({ identifier: 'gil@example.org' })
  await browser.submit({ password })
  assert.equal(browser.page.step, 'prove')
  const form = hiddenOf(browser.page.html)
  await browser.post(`${browser.page.url}?view=choose`, { ...form, pool: guests.id })
  await browser.submit({ password })
  assert.ok(!isSignedIn(browser))
})

test("a session of another pool's person does not count for a client that is closed to them", async () => {
  const browser = await visit(lido, 'narrow')
  await browser.submit({ pool: guests.id })
  await browser.submit({ identifier: 'gil@example.org' })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
  await visit(lido, 'narrow', { browser })
  assert.ok(isSignedIn(browser), 'the session counts where it may')
  await visit(lido, 'narrow', { browser, client_id: 'staff-only' })
  assert.equal(browser.page.step, 'identify', browser.page.html)
})

test('where no connection is open, nobody is asked for anything', async () => {
  const workspace = await workspaceWith('shut', [{ pool: staff }])
  await rowsOf(lido, `update connections set enabled = false where workspace_id = '${workspace.id}' returning id`)
  await until(async () => (await visit(lido, 'shut')).page.step === 'problem')
  const { page } = await visit(lido, 'shut')
  assert.equal(page.status, 404)
  assert.match(page.html, /nothing here/)
})

test('a connection that closes in the middle of a sign-in ends it', async () => {
  const workspace = await workspaceWith('closing', [{ pool: staff }, { pool: guests }])
  const browser = await visit(lido, 'closing')
  await browser.submit({ pool: staff.id })
  await browser.submit({ identifier: 'sam@staff.example' })
  assert.equal(browser.page.step, 'prove')
  await rowsOf(
    lido,
    `update connections set enabled = false where pool_id = '${staff.id}' and
    workspace_id = '${workspace.id}' returning id`,
  )
  await until(async () => (await visit(lido, 'closing')).page.step === 'identify')
  await browser.submit({ password })
  assert.ok(!isSignedIn(browser))
  assert.equal(browser.page.step, 'identify', browser.page.html)
  await browser.submit({ identifier: 'gil@example.org' })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser), browser.page.html)
})

const until = async (happens: () => Promise<boolean>) => {
  const deadline = Date.now() + 3000
  while (!(await happens())) {
    assert.ok(Date.now() < deadline, 'it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}
