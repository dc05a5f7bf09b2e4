import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Browser, openBrowser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import { fixedClock } from '../platform/clock.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  codeOf,
  cookieOf,
  countOf,
  hiddenOf,
  isSignedIn,
  likeness,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  rowsOf,
  takeAsLong,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { requestText, speak } from './wire-testing.ts'

let lido: TestLido
let pool: Pool
const clock = fixedClock(new Date())
before(async () => {
  lido = await testLido({}, { clock })
  pool = await makePool(lido, 'residents', { self_registration: true, identifiers: ['email', 'username'] })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

const fresh = 'a fresh and secret phrase'

type Door = (identifier: string) => Promise<Browser>

/** Both ways to say that a password was forgotten, up to the page that waits for the code. */
const doors: Record<string, Door> = {
  'the sign-in': async (identifier) => {
    const browser = await visit(lido, 'acme')
    await browser.get(`${browser.page.url}?view=recover`)
    await browser.submit({ identifier })
    return browser
  },
  'the page of its own': async (identifier) => {
    const browser = openBrowser(lido.url)
    await browser.get('/w/acme/recover')
    await browser.submit({ identifier })
    return browser
  },
}
const byPage: Door = (identifier) => doors['the page of its own']?.(identifier) as Promise<Browser>

const signsIn = async (identifier: string, secret: string): Promise<boolean> => {
  const browser = await visitAs(lido, 'acme', identifier)
  await browser.submit({ password: secret })
  return isSignedIn(browser)
}

/** Asks for a recovery and answers what the mail says. */
const ask = async (email: string, since = 0) => {
  const browser = await byPage(email)
  return { browser, ...(await lido.message(email, since)) }
}

const people: [who: string, make: (name: string) => Promise<unknown>][] = [
  ['existing', (name) => makeUser(lido, pool, name)],
  ['missing', async () => {}],
  ['disabled', (name) => makeUser(lido, pool, name, { status: 'inactive' })],
  ['unproven', (name) => makeUser(lido, pool, name, { status: 'new', verified: false })],
  ['no-password', (name) => makeUser(lido, pool, name, { password: null })],
]

for (const [door, open] of Object.entries(doors)) {
  test(`A16: nobody can tell who exists from ${door}`, async () => {
    const seen = []
    for (const [who, make] of people) {
      const name = `some-${who}-${door.replaceAll(' ', '')}@example.org`
      await make(name)
      const browser = await open(name)
      assert.equal(browser.page.step, 'recover', browser.page.html)
      const waiting = likeness(browser, name)
      await browser.submit({ code: '000000', new_password: fresh })
      const wrong = likeness(browser, name)
      await browser.submit({ action: 'resend' })
      seen.push({ who, pages: [waiting, wrong, likeness(browser, name)] })
    }
    for (const { who, pages } of seen) assert.deepEqual(pages, seen[0]?.pages, who)
  })

  test(`a password is set by the code of ${door}, and never signs in by itself`, async () => {
    const name = `code-${door.replaceAll(' ', '')}@example.org`
    await makeUser(lido, pool, name)
    const browser = await open(name)
    const { code } = await lido.message(name)
    await browser.submit({ code, new_password: 'short' })
    assert.match(browser.page.html, /id="error-new_password"[^>]*>Use 12 characters or more/)
    await browser.submit({ code, new_password: fresh })
    assert.ok(!isSignedIn(browser))
    assert.equal(
      [...browser.cookies.keys()].filter((key) => key.includes('session')).length,
      0,
      'a reset makes no session (security.md 34)',
    )
    assert.ok(!(await signsIn(name, password)))
    assert.ok(await signsIn(name, fresh))
    const { subject } = await lido.message(name, 1)
    assert.match(subject, /was changed/)
  })
}

test('A16: forgetting takes a stranger as long as somebody known', () =>
  takeAsLong(['known', 'unknown', 'disabled'], async (who, n) => {
    const name = `${who}-${n}@example.org`
    if (who !== 'unknown') await makeUser(lido, pool, name, { status: who === 'known' ? 'active' : 'inactive' })
    const browser = openBrowser(lido.url)
    await browser.get('/w/acme/recover')
    return () => browser.submit({ identifier: name })
  }))

test('a link works in any browser, and looking at it uses nothing up', async () => {
  await makeUser(lido, pool, 'link@example.org')
  const { link } = await ask('link@example.org')
  const before = await rowsOf(lido, `select * from challenges order by id`)
  for (let n = 0; n < 3; n += 1) {
    const scanner = openBrowser(lido.url)
    const page = await scanner.get(link)
    assert.equal(page.status, 200)
    assert.equal(page.headers.get('Referrer-Policy'), 'no-referrer')
  }
  assert.deepEqual(await rowsOf(lido, `select * from challenges order by id`), before)
  const elsewhere = openBrowser(lido.url)
  await elsewhere.get(link)
  await elsewhere.submit({ new_password: 'short' })
  assert.match(elsewhere.page.alert ?? '', /12 characters or more/)
  await elsewhere.submit({ new_password: fresh })
  assert.equal(elsewhere.page.status, 200)
  assert.match(elsewhere.page.html, /Your new password is set/)
  assert.ok(await signsIn('link@example.org', fresh))
  await elsewhere.get(link)
  assert.deepEqual([elsewhere.page.status, elsewhere.page.step], [410, 'problem'])
})

test('a link of one workspace is no link of another', async () => {
  const other = await makeWorkspace(lido, 'other', [{ pool: await makePool(lido, 'others') }])
  assert.ok(other.id)
  await makeUser(lido, pool, 'foreign@example.org')
  const { link } = await ask('foreign@example.org')
  const browser = openBrowser(lido.url)
  await browser.get(link.replace('/w/acme/', '/w/other/'))
  assert.equal(browser.page.status, 410)
  await browser.get(`${link}x`)
  assert.equal(browser.page.status, 410)
})

test('A14: of two requests, the newer ends the older, whichever of both is used', async () => {
  await makeUser(lido, pool, 'two@example.org')
  const old = await ask('two@example.org')
  const young = await ask('two@example.org', 1)
  const browser = openBrowser(lido.url)
  await browser.get(young.link)
  await browser.submit({ new_password: fresh })
  assert.match(browser.page.html, /Your new password is set/)
  await browser.get(old.link)
  assert.equal(browser.page.status, 410)
  await old.browser.submit({ code: old.code, new_password: 'the phrase of somebody else' })
  assert.match(old.browser.page.alert ?? '', /no longer valid/)
  assert.ok(await signsIn('two@example.org', fresh))
})

test('A14: asking again in the same browser ends the first code and link', async () => {
  await makeUser(lido, pool, 'again@example.org')
  const { browser, code, link } = await ask('again@example.org')
  await browser.submit({ action: 'resend' })
  const newer = await lido.message('again@example.org', 1)
  await browser.submit({ code, new_password: fresh })
  assert.ok(browser.page.alert)
  const elsewhere = openBrowser(lido.url)
  await elsewhere.get(link)
  assert.equal(elsewhere.page.status, 410)
  await browser.submit({ code: newer.code, new_password: fresh })
  assert.match(browser.page.html, /Your new password is set/)
})

test('A14: of twenty uses of one link at once, one succeeds', async () => {
  await makeUser(lido, pool, 'parallel@example.org')
  const { link } = await ask('parallel@example.org')
  const browser = openBrowser(lido.url)
  await browser.get(link)
  const tries = Array.from({ length: 20 }, (_, n) => ({ new_password: `${fresh} ${n}` }))
  const answers = await atOnce(lido, browser, tries)
  const statuses = answers.map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join())
  assert.equal(statuses.filter((status) => status === 410).length, 19)
  assert.ok(await signsIn('parallel@example.org', `${fresh} ${statuses.indexOf(200)}`))
})

test('A14: of twenty uses of one code at once, one succeeds', async () => {
  await makeUser(lido, pool, 'codes@example.org')
  const { browser, code } = await ask('codes@example.org')
  const tries = Array.from({ length: 20 }, (_, n) => ({ code, new_password: `${fresh} ${n}` }))
  const answers = await atOnce(lido, browser, tries)
  const done = await Promise.all(answers.map(async (answer) => /password is set/.test(await answer.text())))
  assert.equal(done.filter(Boolean).length, 1)
  assert.ok(await signsIn('codes@example.org', `${fresh} ${done.indexOf(true)}`))
})

test('A14: a link and a code end with their time', async () => {
  await makeUser(lido, pool, 'late@example.org')
  const { browser, code, link } = await ask('late@example.org')
  clock.advance(10 * 60_000)
  await browser.submit({ code, new_password: fresh })
  assert.match(browser.page.alert ?? '', /no longer valid/)
  await browser.get(link)
  assert.equal(browser.page.status, 410)
  assert.ok(await signsIn('late@example.org', password))
})

test('A10: six wrong codes end the code', async () => {
  await makeUser(lido, pool, 'guess@example.org')
  const { browser, code } = await ask('guess@example.org')
  for (let n = 1; n <= 6; n += 1)
    await browser.submit({ code: String((Number(code) + n) % 1e6).padStart(6, '0'), new_password: fresh })
  await browser.submit({ code, new_password: fresh })
  assert.match(browser.page.alert ?? '', /no longer valid/)
  assert.ok(await signsIn('guess@example.org', password))
})

test('a code is good in the browser that asked for it only', async () => {
  await makeUser(lido, pool, 'bound@example.org')
  const victim = await ask('bound@example.org')
  const attacker = await byPage('bound@example.org')
  await lido.message('bound@example.org', 1)
  await attacker.submit({ code: victim.code, new_password: fresh })
  assert.ok(attacker.page.alert)
  assert.ok(await signsIn('bound@example.org', password))
})

test('A03: a reset ends every session, every grant and every sign-in that is half done', async () => {
  const id = await makeUser(lido, pool, 'owner@example.org')
  const attacker = await visitAs(lido, 'acme', 'owner@example.org')
  await attacker.submit({ password })
  const { body } = await redeem(lido, 'acme', attacker)
  const ready = await visitAs(lido, 'acme', 'owner@example.org')
  const [finished] = await atOnce(lido, ready, [{ password }])
  const resume = finished?.headers.get('Location') ?? ''
  const coded = await visitAs(lido, 'acme', 'owner@example.org')
  await coded.submit({ password })
  const code = codeOf(coded)

  const { link } = await ask('owner@example.org')
  const owner = openBrowser(lido.url)
  await owner.get(link)
  await owner.submit({ new_password: fresh })
  assert.match(owner.page.html, /Your new password is set/)

  await visit(lido, 'acme', { browser: attacker })
  assert.equal(attacker.page.step, 'identify', 'the session is over')
  const refreshed = await token(lido.url, 'acme', {
    grant_type: 'refresh_token',
    client_id: 'app',
    refresh_token: body.refresh_token ?? 'none',
  })
  assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant'])
  const asked = { Authorization: `Bearer ${body.access_token}` }
  const info = await fetch(`${lido.url}/w/acme/userinfo`, { headers: asked })
  assert.equal(info.status, 401)
  assert.equal((await redeem(lido, 'acme', coded)).status, 400, `the code ${code} is over`)
  await ready.get(resume)
  assert.ok(!isSignedIn(ready), 'a sign-in with the old password cannot be finished')
  assert.equal(await countOf(lido, `artifacts where user_id = '${id}' and kind in ('Session', 'Grant')`), 0)
})

test('A04: what an unproven owner added is gone when the mailbox is proven', async () => {
  const id = await makeUser(lido, pool, 'trojan@example.org', { verified: false })
  await rowsOf(
    lido,
    `insert into credentials (pool_id, id, user_id, kind, data)
     values ('${pool.id}', gen_random_uuid(), '${id}', 'totp', '{}') returning id`,
  )
  const { link } = await ask('trojan@example.org')
  const owner = openBrowser(lido.url)
  await owner.get(link)
  await owner.submit({ new_password: fresh })
  assert.equal(await countOf(lido, `credentials where user_id = '${id}'`), 1)
  assert.ok(await signsIn('trojan@example.org', fresh))
})

test('A15: what else an account proves itself with survives a reset', async () => {
  const id = await makeUser(lido, pool, 'vera@example.org')
  await rowsOf(
    lido,
    `insert into credentials (pool_id, id, user_id, kind, data)
     values ('${pool.id}', gen_random_uuid(), '${id}', 'totp', '{}') returning id`,
  )
  const { link } = await ask('vera@example.org')
  const browser = openBrowser(lido.url)
  await browser.get(link)
  await browser.submit({ new_password: fresh })
  assert.equal(await countOf(lido, `credentials where user_id = '${id}' and kind = 'totp'`), 1)
})

test('somebody who goes by a username gets the mail at the address of the account', async () => {
  await makeUser(lido, pool, 'named@example.org', { aliases: ['named'] })
  await byPage('named')
  const { link } = await lido.message('named@example.org')
  assert.ok(link)
})

test('the way back: another address on the first page is taken', async () => {
  await makeUser(lido, pool, 'right@example.org')
  const browser = openBrowser(lido.url)
  await browser.get('/w/acme/recover')
  const form = hiddenOf(browser.page.html)
  await browser.submit({ identifier: 'wrogn@example.org' })
  await browser.post('/w/acme/recover', { ...form, identifier: 'right@example.org' })
  assert.match(browser.page.html, /right@example\.org/)
  const { code } = await lido.message('right@example.org')
  await browser.submit({ code, new_password: fresh })
  assert.match(browser.page.html, /Your new password is set/, browser.page.html)
})

const hosts: [what: string, line: (path: string) => string, headers: [string, string][]][] = [
  ['a foreign Host', (path) => `POST ${path}`, [['Host', 'evil.example']]],
  ['a Host with a fake user', (path) => `POST ${path}`, [['Host', 'evil.example:fake@localhost']]],
  [
    'X-Forwarded-Host',
    (path) => `POST ${path}`,
    [
      ['Host', 'localhost'],
      ['X-Forwarded-Host', 'evil.example'],
    ],
  ],
  [
    'Forwarded',
    (path) => `POST ${path}`,
    [
      ['Host', 'localhost'],
      ['Forwarded', 'host=evil.example;proto=http'],
    ],
  ],
  [
    'X-Forwarded-Proto',
    (path) => `POST ${path}`,
    [
      ['Host', 'localhost'],
      ['X-Forwarded-Proto', 'javascript'],
    ],
  ],
  ['a target in absolute form', (path) => `POST http://evil.example${path}`, [['Host', 'evil.example']]],
  [
    'two Hosts',
    (path) => `POST ${path}`,
    [
      ['Host', 'localhost'],
      ['Host', 'evil.example'],
    ],
  ],
  ['two slashes', (path) => `POST //evil.example${path}`, [['Host', 'localhost']]],
]
for (const [what, line, headers] of hosts) {
  test(`A13: ${what} never shows in a mail`, async () => {
    const name = `host-${what.replace(/\W+/g, '-').toLowerCase()}@example.org`
    await makeUser(lido, pool, name)
    const browser = openBrowser(lido.url)
    await browser.get('/w/acme/recover')
    const body = new URLSearchParams({ ...hiddenOf(browser.page.html), identifier: name }).toString()
    const { status, headers: answered } = await speak(
      lido.url,
      requestText(
        line('/w/acme/recover'),
        [...headers, ['Cookie', cookieOf(browser)], ['Content-Type', 'application/x-www-form-urlencoded']],
        body,
      ),
    )
    if (status !== 303) {
      assert.ok([400, 404].includes(status), String(status))
      return
    }
    assert.doesNotMatch(answered.location ?? '', /evil/)
    const { text, html, link } = await lido.message(name)
    assert.ok(link.startsWith(`${lido.url}/w/acme/recover?token=`), link)
    assert.doesNotMatch(text + html, /evil/)
  })
}
