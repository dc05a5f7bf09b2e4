import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import * as credentials from '../directory/credentials.ts'
import * as changes from '../directory/user-changes.ts'
import * as records from '../directory/user-records.ts'
import * as users from '../directory/users.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  countOf,
  isSignedIn,
  likeness,
  makeClient,
  makeUser,
  password,
  rowsOf,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { changePool, makeExternal, type Outside, openOutside, secretThere } from './outside-testing.ts'

let lido: TestLido
let outside: Outside

before(async () => {
  lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
afterEach(() => {
  outside.instead = undefined
  outside.latency = 0
  outside.asked.length = 0
})
after(async () => {
  await lido.stop()
  await outside.close()
})

let people = 0
const newEmail = () => `person${++people}@example.org`

const byPassword = async (slug: string, identifier: string, secret: string) => {
  const browser = await visitAs(lido, slug, identifier)
  await browser.submit({ password: secret })
  return browser
}

const userBy = async (poolId: string, email: string) => {
  const found = await users.findByIdentifier(lido.services.db, poolId, { kind: 'email', value: email, typed: email })
  return found
}

const eventsOf = (poolId: string, type: string) =>
  rowsOf<{ data: Record<string, unknown> }>(
    lido,
    `select data from events where pool_id = '${poolId}' and type = '${type}' order by id`,
  )

test('rule 1: an identifier is one person however it is typed, and the source gets it both ways', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const typed = ` ${email.toUpperCase()} `
  assert.ok(isSignedIn(await byPassword(slug, typed, secretThere)))
  assert.deepEqual(
    outside.asked.map((one) => [one.identifier, one.typed]),
    [[email, email.toUpperCase()]],
  )
  assert.ok(await userBy(pool.id, email))
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  assert.equal(outside.asked.length, 1)
})

test('rule 2: who has come over never reaches the source again, and an old password there opens nothing here', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  const person = outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  const user = await userBy(pool.id, email)
  assert.equal(user?.authority, 'migrated')
  const own = await lido.services.passwords.hash('a password that was chosen here')
  await credentials.setPassword(lido.services.db, new Date(), pool.id, user?.id ?? '', own)
  person.password = 'changed there meanwhile, too'
  outside.asked.length = 0
  for (const secret of [secretThere, person.password]) assert.ok(!isSignedIn(await byPassword(slug, email, secret)))
  assert.ok(isSignedIn(await byPassword(slug, email, 'a password that was chosen here')))
  assert.equal(outside.asked.length, 0)
})

test('rule 3: who was deleted does not come back from the source, by no door and no other identifier, until it is lifted', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { settings: { identifiers: ['email', 'username'] } })
  const email = newEmail()
  const person = outside.add({ email, username: 'tomb.stone' })
  outside.people.set('tomb.stone', person)
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  const user = await userBy(pool.id, email)
  await lido.services.db.transaction().execute(async (trx) => {
    const record = await records.findForUpdate(trx, pool.id, user?.id ?? '')
    assert.ok(record)
    await changes.remove(trx, new Date(), record, { kind: 'system' })
  })
  outside.asked.length = 0
  assert.ok(!isSignedIn(await byPassword(slug, email, secretThere)))
  assert.ok(!isSignedIn(await byPassword(slug, 'tomb.stone', secretThere)))
  assert.equal(outside.asked.length, 0, 'nobody asks about them')
  outside.people.set('renamed@example.org', { ...person, email: 'renamed@example.org', username: undefined })
  assert.ok(!isSignedIn(await byPassword(slug, 'renamed@example.org', secretThere)))
  assert.equal(await userBy(pool.id, 'renamed@example.org'), undefined)
})

test('rule 4: fifty first sign-ins at once make one user and fifty sessions', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  outside.latency = 30
  const browsers = await Promise.all(Array.from({ length: 50 }, () => visitAs(lido, slug, email)))
  await Promise.all(browsers.map((browser) => browser.submit({ password: secretThere })))
  assert.deepEqual(browsers.map(isSignedIn), Array(50).fill(true))
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 1)
  assert.equal((await eventsOf(pool.id, 'migration.migrated')).length, 1)
})

test('rule 4: twenty answers to one form at once make one user', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const browser = await visitAs(lido, slug, email)
  await atOnce(
    lido,
    browser,
    Array.from({ length: 20 }, () => ({ password: secretThere })),
  )
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 1)
})

const outages: [string, () => { status: number; body?: string }][] = [
  ['an error', () => ({ status: 500 })],
  ['too many requests', () => ({ status: 429 })],
  ['half a body', () => ({ status: 200, body: '{"id":"x","email":' })],
  ['a page', () => ({ status: 200, body: '<!doctype html><h1>Welcome</h1>' })],
  ['wrong types', () => ({ status: 200, body: JSON.stringify({ id: 5, email: ['x'], roles: 'all' }) })],
  ['somebody else', () => ({ status: 200, body: JSON.stringify({ id: 'other', email: 'other@example.org' }) })],
]
for (const [name, instead] of outages)
  test(`rule 5: a source that answers with ${name} says "try again", and counts as no failure`, async () => {
    const { slug, pool } = await makeExternal(lido, outside)
    const email = newEmail()
    outside.add({ email })
    outside.instead = instead
    for (let n = 0; n < 12; n += 1) {
      const browser = await visitAs(lido, slug, email)
      await browser.submit({ password: secretThere })
      assert.match(browser.page.html, /not available for some accounts/)
      if (n >= 4) break
    }
    assert.equal(await countOf(lido, `limits where key like 'account:${pool.id}:%'`), 0)
    assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 0)
    assert.ok((await eventsOf(pool.id, 'migration.failed')).length >= 5)
  })

test('rule 5: a source that is down trips a breaker, raises an event and a metric, and is not asked for a while', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  outside.instead = () => ({ status: 500 })
  for (let n = 0; n < 8; n += 1) {
    const browser = await visitAs(lido, slug, email)
    await browser.submit({ password: secretThere })
    assert.match(browser.page.html, /not available for some accounts/)
  }
  assert.equal(outside.asked.length, 5)
  assert.equal((await eventsOf(pool.id, 'source.unavailable')).length, 1)
  assert.match(await lido.services.metrics.text(), /lido_source_calls_total\{call="check",outcome="unavailable"\} \d+/)
})

test('rule 5: a source that never answers is waited for three seconds at most', async () => {
  const { slug } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  outside.hang()
  const browser = await visitAs(lido, slug, email)
  const began = performance.now()
  await browser.submit({ password: secretThere })
  outside.hang()
  assert.ok(performance.now() - began < 4_500)
  assert.match(browser.page.html, /not available for some accounts/)
})

test('rule 6: our own lock comes before the source, which hears no guess any more; it gets the person’s address', async () => {
  const { slug } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  for (let n = 0; n < 10; n += 1) await byPassword(slug, email, 'a wrong guess')
  assert.equal(outside.asked.length, 10)
  assert.equal(outside.asked[0]?.ip, '127.0.0.1')
  const browser = await byPassword(slug, email, secretThere)
  assert.match(browser.page.html, /Too many tries/)
  assert.equal(outside.asked.length, 10)
})

/** How long something takes that nobody disturbs: what else this machine does is in the slower answers. */
const undisturbed = (times: number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 4)] ?? 0

test('rule 7 and A17: unknown, wrong, only there, come over, made here and closed look alike and take as long', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  outside.latency = 60
  const there = newEmail()
  outside.add({ email: there })
  const moved = newEmail()
  outside.add({ email: moved })
  assert.ok(isSignedIn(await byPassword(slug, moved, secretThere)))
  const made = newEmail()
  await makeUser(lido, pool, made)
  const closed = newEmail()
  await makeUser(lido, pool, closed, { status: 'inactive' })
  for (let n = 0; n < 20; n += 1) await byPassword(slug, newEmail(), 'warm up')
  const times = new Map<string, number[]>()
  const words = new Set<string>()
  for (let n = 0; n < 9; n += 1)
    for (const [kind, who] of Object.entries({ there, moved, made, closed, nobody: newEmail() })) {
      const browser = await visitAs(lido, slug, who)
      const began = performance.now()
      await browser.submit({ password: 'a wrong guess' })
      times.set(kind, [...(times.get(kind) ?? []), performance.now() - began])
      words.add(browser.page.html.match(/role="alert"[^>]*>([^<]*)/)?.[1] ?? '')
    }
  assert.equal(words.size, 1, [...words].join())
  const each = [...times].map(([kind, all]) => [kind, undisturbed(all)] as const)
  const values = each.map(([, value]) => value)
  assert.ok(Math.max(...values) - Math.min(...values) < 10, JSON.stringify(each))
})

test('rule 8: a second factor there is never dropped: one is got here before anybody comes in', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email, mfa: true })
  const browser = await byPassword(slug, email, secretThere)
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  const user = await userBy(pool.id, email)
  assert.equal(user?.secondFactorDue, true)
  const again = await byPassword(slug, email, secretThere)
  assert.equal(again.page.step, 'enrol')
})

test('rule 8: a pool may refuse who has a second factor there, or take the password for enough', async () => {
  const email = newEmail()
  outside.add({ email, mfa: true })
  const refusing = await makeExternal(lido, outside, { source: { second_factor_there: 'refuse' } })
  assert.match((await byPassword(refusing.slug, email, secretThere)).page.html, /not right/)
  assert.equal(await userBy(refusing.pool.id, email), undefined)
  const taking = await makeExternal(lido, outside, { source: { second_factor_there: 'accept_password' } })
  assert.ok(isSignedIn(await byPassword(taking.slug, email, secretThere)))
})

test('rule 9: a password that must change there lets in once, to a new one set here at once', async () => {
  const { slug } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email, must_change: true })
  const browser = await byPassword(slug, email, secretThere)
  assert.equal(browser.page.step, 'change', browser.page.html)
  await browser.submit({ new_password: 'a password that was chosen here' })
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.ok(isSignedIn(await byPassword(slug, email, 'a password that was chosen here')))
  assert.ok(!isSignedIn(await byPassword(slug, email, secretThere)))
  assert.equal(outside.asked.length, 1)
})

test('rule 9: who has to reset their password there resets it here by their verified address, and is come over then', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  outside.instead = ({ call }) => (call === 'check' ? { status: 409 } : undefined)
  const browser = await byPassword(slug, email, secretThere)
  assert.match(browser.page.html, /not right/)
  await recoverAs(browser, email)
  assert.ok(isSignedIn(await byPassword(slug, email, 'a password that was chosen here')))
  assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
})

type Opened = Awaited<ReturnType<typeof visit>>

const recoverAs = async (browser: Opened, email: string) => {
  await browser.get(`${browser.page.url.split('?')[0]}?view=recover`)
  await browser.submit({ identifier: email })
  const { code } = await lido.message(email)
  await browser.submit({ code, new_password: 'a password that was chosen here' })
}

test('rule 10: forgot password brings somebody over by our own message, and makes the user only after the proof', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const browser = await visitAs(lido, slug, email)
  await browser.get(`${browser.page.url.split('?')[0]}?view=recover`)
  await browser.submit({ identifier: email })
  const { code } = await lido.message(email)
  assert.equal(await userBy(pool.id, email), undefined)
  await browser.submit({ code, new_password: 'a password that was chosen here' })
  const user = await userBy(pool.id, email)
  assert.equal(user?.authority, 'migrated')
  assert.equal(user?.identifiers[0]?.verified, true)
  outside.asked.length = 0
  assert.ok(isSignedIn(await byPassword(slug, email, 'a password that was chosen here')))
  assert.equal(outside.asked.length, 0)
})

test('rule 10: the link of that message does the same on another device', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const browser = await visitAs(lido, slug, email)
  await browser.get(`${browser.page.url.split('?')[0]}?view=recover`)
  await browser.submit({ identifier: email })
  const { link } = await lido.message(email)
  const other = await visit(lido, slug)
  await other.get(link)
  await other.submit({ new_password: 'a password that was chosen here' })
  assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
  assert.ok(isSignedIn(await byPassword(slug, email, 'a password that was chosen here')))
})

for (const method of ['email_code', 'magic_link'] as const)
  test(`rule 10: ${method} brings somebody over who is still at the source`, async () => {
    const { slug, pool } = await makeExternal(lido, outside, { settings: { sign_in_methods: [method, 'password'] } })
    const email = newEmail()
    outside.add({ email })
    const browser = await visitAs(lido, slug, email)
    const { code, link } = await lido.message(email)
    assert.equal(await userBy(pool.id, email), undefined)
    if (method === 'email_code') await browser.submit({ code })
    else {
      await browser.get(link)
      await browser.submit({})
    }
    assert.ok(isSignedIn(browser), browser.page.html)
    assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
  })

test('rule 10: signing up with an address that is still at the source brings that person over', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { settings: { self_registration: true } })
  const email = newEmail()
  const { id } = outside.add({ email })
  const browser = await visit(lido, slug)
  await browser.get(`${browser.page.url.split('?')[0]}?view=register`)
  await browser.submit({ identifier: email, password: 'a password that was chosen here' })
  const { code } = await lido.message(email)
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 0)
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  const user = await userBy(pool.id, email)
  assert.deepEqual([user?.authority, user?.externalId], ['migrated', id])
  assert.ok(isSignedIn(await byPassword(slug, email, 'a password that was chosen here')))
})

test('rule 10 and A16: asking for a reset looks the same and takes as long for everybody', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  outside.latency = 60
  const moved = newEmail()
  await makeUser(lido, pool, moved)
  const closed = newEmail()
  await makeUser(lido, pool, closed, { status: 'inactive' })
  const ask = async (email: string) => {
    const browser = await visit(lido, slug)
    await browser.get(`${browser.page.url.split('?')[0]}?view=recover`)
    const began = performance.now()
    await browser.submit({ identifier: email })
    const took = performance.now() - began
    assert.equal(browser.page.step, 'recover')
    return { took, html: browser.page.html.replaceAll(email, 'NAME').match(/<h1[^>]*>.*?<\/h1>/s)?.[0] }
  }
  for (let n = 0; n < 20; n += 1) await ask(newEmail())
  const times = new Map<string, number[]>()
  const pages = new Set<unknown>()
  for (let n = 0; n < 9; n += 1) {
    const there = newEmail()
    outside.add({ email: there })
    for (const [kind, who] of Object.entries({ there, moved, closed, nobody: newEmail() })) {
      const { took, html } = await ask(who)
      pages.add(html)
      times.set(kind, [...(times.get(kind) ?? []), took])
    }
  }
  assert.equal(pages.size, 1)
  const each = [...times].map(([kind, all]) => [kind, undisturbed(all)] as const)
  const values = each.map(([, value]) => value)
  assert.ok(Math.max(...values) - Math.min(...values) < 10, JSON.stringify(each))
})

test('rule 11: an unverified address there stays unverified here, and takes nothing over', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { settings: { identifiers: ['username', 'email'] } })
  const email = newEmail()
  const owner = await makeUser(lido, pool, email)
  const thief = outside.add({ email, email_verified: false, username: 'thief', id: 'there|thief' })
  outside.people.set('thief', thief)
  assert.ok(isSignedIn(await byPassword(slug, 'thief', secretThere)))
  assert.equal((await userBy(pool.id, email))?.id, owner)
  outside.people.delete(email)
  const lonely = newEmail()
  outside.add({ email: lonely, email_verified: false })
  assert.ok(isSignedIn(await byPassword(slug, lonely, secretThere)))
  assert.equal((await userBy(pool.id, lonely))?.identifiers[0]?.verified, false)
})

test('A02: who registered an address that they never proved gets nothing when its owner comes from the source', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { settings: { self_registration: true } })
  const email = newEmail()
  const attacker = await visit(lido, slug)
  await attacker.get(`${attacker.page.url.split('?')[0]}?view=register`)
  await attacker.submit({ identifier: email, password: 'the password of the attacker' })
  outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  const { code } = await lido.message(email)
  await attacker.submit({ code })
  assert.ok(!isSignedIn(attacker), attacker.page.html)
  assert.ok(!isSignedIn(await byPassword(slug, email, 'the password of the attacker')))
  assert.equal((await userBy(pool.id, email))?.externalId, outside.people.get(email)?.id)
})

test('A02: an unverified address there does not take over what somebody registered here', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { settings: { self_registration: true } })
  const email = newEmail()
  const person = await visit(lido, slug)
  await person.get(`${person.page.url.split('?')[0]}?view=register`)
  await person.submit({ identifier: email, password: 'a password that was chosen here' })
  outside.add({ email, email_verified: false })
  const ghost = await byPassword(slug, email, secretThere)
  assert.ok(!isSignedIn(ghost))
  const { code } = await lido.message(email)
  await person.submit({ code })
  assert.ok(isSignedIn(person), person.page.html)
  assert.equal((await userBy(pool.id, email))?.externalId, null)
})

test('rule 12: a weak password is taken once, and then has to be changed; a pool may let it pass', async () => {
  const email = newEmail()
  outside.add({ email, password: 'password' })
  const asking = await makeExternal(lido, outside)
  assert.equal((await byPassword(asking.slug, email, 'password')).page.step, 'change')
  assert.equal((await byPassword(asking.slug, email, 'password')).page.step, 'change')
  const accepting = await makeExternal(lido, outside, { source: { weak_passwords: 'accept' } })
  assert.ok(isSignedIn(await byPassword(accepting.slug, email, 'password')))
})

test('rule 18: no password reaches a log, an event or an attempt', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  const secret = 'a canary that sings in no log'
  outside.add({ email, password: secret })
  assert.ok(isSignedIn(await byPassword(slug, email, secret)))
  const other = newEmail()
  outside.add({ email: other, password: secret })
  outside.instead = () => ({ status: 500 })
  await byPassword(slug, other, secret)
  assert.ok(!lido.lines.join('\n').includes(secret))
  for (const table of ['events', 'attempts', 'challenges'])
    assert.equal(await countOf(lido, `${table} t where t::text like '%${secret}%'`), 0)
  const [row] = await rowsOf<{ source: string; external_id: string; migrated_at: Date }>(
    lido,
    `select source, external_id, migrated_at from users where pool_id = '${pool.id}'`,
  )
  assert.equal(row?.source, 'http')
  const kept = row as unknown as { externalId?: string; migratedAt?: Date }
  assert.ok(kept.externalId ?? row?.external_id)
  assert.ok(kept.migratedAt ?? row?.migrated_at)
})

test('rule 19: while observing everything is tried and told, and nothing is written', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { source: { observe: true } })
  const email = newEmail()
  outside.add({ email })
  assert.match((await byPassword(slug, email, secretThere)).page.html, /not right/)
  assert.equal(await countOf(lido, `users where pool_id = '${pool.id}'`), 0)
  assert.deepEqual(
    (await eventsOf(pool.id, 'migration.observed')).map(({ data }) => data.outcome),
    ['ok'],
  )
})

test('rule 19: a kill switch stops all calls to the source', async () => {
  const { slug } = await makeExternal(lido, outside, { source: { paused: true } })
  const email = newEmail()
  outside.add({ email })
  assert.match((await byPassword(slug, email, secretThere)).page.html, /not available for some accounts/)
  assert.equal(outside.asked.length, 0)
})

for (const [how, source, instead] of [
  ['is paused', { paused: true }, undefined],
  ['is down', {}, () => ({ status: 500 })],
] as const)
  test(`while a source ${how}, no refused password tells who has come over, who has not, and whom nobody knows`, async () => {
    const { slug, pool, workspace } = await makeExternal(lido, outside)
    await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password'] })
    const moved = newEmail()
    outside.add({ email: moved })
    assert.ok(isSignedIn(await byPassword(slug, moved, secretThere)))
    const there = newEmail()
    outside.add({ email: there })
    const own = newEmail()
    await makeUser(lido, pool, own)
    const closed = newEmail()
    await makeUser(lido, pool, closed, { status: 'inactive' })
    await changePool(lido, pool.id, { source: { ...pool.source, ...source } as typeof pool.source })
    outside.instead = instead
    const seen = new Set<string>()
    const granted = new Set<string>()
    // Also once our own lock has closed whoever is guessed at.
    for (let n = 0; n < 12; n += 1)
      for (const who of [there, moved, own, closed, newEmail()]) {
        const browser = await byPassword(slug, who, 'a wrong guess')
        seen.add(JSON.stringify(likeness(browser, who)))
        if (n % 4 > 0) continue
        const form = { grant_type: 'password', client_id: 'ropc', username: who, password: 'a guess', scope: 'openid' }
        const { status, body } = await token(lido.url, slug, form)
        granted.add(`${status} ${JSON.stringify(body)}`)
      }
    assert.equal(seen.size, 1, [...seen].join('\n\n'))
    assert.match([...seen].join(), /not available for some accounts/)
    assert.equal(granted.size, 1, [...granted].join())
    const right = newEmail()
    await makeUser(lido, pool, right)
    assert.ok(isSignedIn(await byPassword(slug, right, password)), 'a right password works as ever')
  })

test('a name that the source fails at does not make another tell whether they have come over', async () => {
  const { slug } = await makeExternal(lido, outside)
  const moved = newEmail()
  outside.add({ email: moved })
  assert.ok(isSignedIn(await byPassword(slug, moved, secretThere)))
  const there = newEmail()
  outside.add({ email: there })
  const poison = newEmail()
  outside.instead = ({ identifier }) => (identifier === poison ? { status: 500 } : undefined)
  for (const who of [moved, there, newEmail()]) {
    await byPassword(slug, poison, 'any')
    for (let n = 0; n < 2; n += 1)
      assert.match((await byPassword(slug, who, 'a wrong guess')).page.html, /not available for some accounts/)
  }
})

test('a user who was made here signs in by what is known here, and their source is not asked', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  await makeUser(lido, pool, email)
  outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email, password)))
  assert.ok(!isSignedIn(await byPassword(slug, email, secretThere)))
  assert.equal(outside.asked.length, 0)
})

test('a pool that synchronised migrates its people at their next sign-in once it is told to', async () => {
  const { slug, pool } = await makeExternal(lido, outside, {
    source: { mode: 'sync' },
    settings: { sign_in_methods: ['password'] },
  })
  const email = newEmail()
  outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  assert.equal((await userBy(pool.id, email))?.authority, 'linked')
  const { source } = pool
  assert.ok(source)
  await changePool(lido, pool.id, { source: { ...source, mode: 'migrate' } })
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
  outside.asked.length = 0
  assert.ok(isSignedIn(await byPassword(slug, email, secretThere)))
  assert.equal(outside.asked.length, 0)
})
