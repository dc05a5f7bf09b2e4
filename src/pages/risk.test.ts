import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import type * as pools from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
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
} from './fixtures-testing.ts'
import { codeFor, giveTotp, movableClock } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let folder: string
const at: Record<string, pools.Pool> = {}
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lido-risk-'))
  const file = join(folder, 'geoip.csv')
  await writeFile(
    file,
    'network,country,latitude,longitude\n192.0.2.0/24,CH,47.37,8.54\n198.51.100.0/24,CH,47.56,7.59\n203.0.113.0/24,JP,35.69,139.69\n',
  )
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1', GEOIP_FILE: file }, { clock })
  await open('quiet', {})
  await open('told', { risk: { medium: 'notice', high: 'notice' } })
  await open('asked', {
    risk: { medium: 'second_factor', high: 'second_factor' },
    identifiers: ['email', 'username'],
    second_factor: 'optional',
    remember_device_days: 30,
  })
  await open('strict', {
    risk: { medium: 'second_factor', high: 'second_factor' },
    second_factor: 'required',
    second_factors: ['totp'],
    sign_in_methods: ['password'],
  })
  await open('refusing', { risk: { medium: 'notice', high: 'refuse' } })
})
after(async () => {
  await lido.stop()
  await rm(folder, { recursive: true })
})

const open = async (slug: string, settings: Parameters<typeof makePool>[2]) => {
  const pool = await makePool(lido, slug, settings)
  const workspace = await makeWorkspace(lido, slug, [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password'] })
  at[slug] = pool
}

const poolOf = (slug: string): pools.Pool => {
  const pool = at[slug]
  assert.ok(pool)
  return pool
}

const home = '192.0.2.7'
const town = '198.51.100.7'
const tokyo = '203.0.113.7'
const from = (address: string) => ({ 'X-Forwarded-For': address })
const wrong = 'certainly not the password'

const enter = async (slug: string, name: string, address: string, browser?: Browser, secret = password) => {
  const page = await visit(lido, slug, { ...(browser ? { browser } : {}), prompt: 'login' })
  await page.submit({ identifier: name }, from(address))
  await page.submit({ password: secret }, from(address))
  return page
}

/** Somebody who has signed in at home before. */
const settled = async (slug: string, name: string, more: Parameters<typeof makeUser>[3] = {}) => {
  const id = await makeUser(lido, poolOf(slug), name, more)
  const browser = await enter(slug, name, home)
  assert.ok(isSignedIn(browser), browser.page.html)
  return { id, browser }
}

const verdicts = (id: string, type = 'sign_in.succeeded') =>
  rowsOf<{ risk: { level: string; reasons: string[] } | null }>(
    lido,
    `select data -> 'risk' as risk from events where user_id = '${id}' and type = '${type}' order by id`,
  ).then((rows) => rows.map(({ risk }) => risk))

const messages = async (to: string): Promise<{ subject: string; text: string }[]> => {
  const response = await fetch(`${lido.url}/dev/inbox.json?to=${encodeURIComponent(to)}`)
  return (await response.json()) as { subject: string; text: string }[]
}

test('a pool that allows whatever comes judges nothing and keeps nothing', async () => {
  const { id } = await settled('quiet', 'ada@example.org')
  assert.ok(isSignedIn(await enter('quiet', 'ada@example.org', tokyo)))
  assert.deepEqual(await verdicts(id), [null, null])
  assert.equal(await countOf(lido, `places where user_id = '${id}'`), 0)
  assert.deepEqual(await messages('ada@example.org'), [])
})

test('a new browser is told of by mail, a known one is not, and each verdict is in its event', async () => {
  const { id, browser } = await settled('told', 'bea@example.org')
  assert.ok(isSignedIn(await enter('told', 'bea@example.org', home, browser)))
  assert.ok(isSignedIn(await enter('told', 'bea@example.org', town, browser)))
  assert.deepEqual(await messages('bea@example.org'), [])
  assert.ok(isSignedIn(await enter('told', 'bea@example.org', tokyo)))
  const told = await lido.message('bea@example.org')
  assert.match(told.subject, /New sign-in/)
  assert.match(told.text, /Japan, 203\.0\.113\.0\/24/)
  assert.match(told.text, /\/w\/told\/account/)
  assert.deepEqual(await verdicts(id), [
    { level: 'low', reasons: [] },
    { level: 'low', reasons: [] },
    { level: 'low', reasons: ['new_network', 'known_device'] },
    { level: 'high', reasons: ['new_device', 'new_country', 'impossible_travel'] },
  ])
})

test('of where people sign in from a network and its country are kept, the latest twenty, for ninety days', async () => {
  const { id, browser } = await settled('told', 'cleo@example.org')
  for (let n = 0; n < 25; n += 1)
    assert.ok(isSignedIn(await enter('told', 'cleo@example.org', `2001:db8:${n}::1`, browser)))
  assert.ok(isSignedIn(await enter('told', 'cleo@example.org', home, browser)))
  const rows = await rowsOf<{ network: string; country: string | null; days: number }>(
    lido,
    `select network, country, (extract(epoch from expires_at - at) / 86400)::int as days from places where user_id = '${id}' order by at desc`,
  )
  assert.equal(rows.length, 20)
  assert.deepEqual(rows[0], { network: '192.0.2.0/24', country: 'CH', days: 90 })
  assert.deepEqual(rows[19]?.network, '2001:db8:6::/48')
  assert.equal((await verdicts(id)).at(-1)?.reasons.join(), 'new_network,known_device', 'home was left behind')
  const whole = JSON.stringify(await rowsOf(lido, `select * from places where user_id = '${id}'`))
  assert.ok(!whole.includes(home))
  clock.pass(91 * 24 * 3600)
  assert.ok(isSignedIn(await enter('told', 'cleo@example.org', tokyo)))
  assert.deepEqual((await verdicts(id)).at(-1)?.reasons, ['new_device'], 'what has expired counts no more')
})

test('twenty sign-ins of one person at once keep one place each network', async () => {
  const id = await makeUser(lido, poolOf('told'), 'dora@example.org')
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, n) => enter('told', 'dora@example.org', n % 2 ? home : town)),
  )
  assert.ok(all.every(isSignedIn))
  assert.equal(await countOf(lido, `places where user_id = '${id}'`), 2)
})

test('who is doubted proves a second factor that they have, even in a browser that is spared it', async () => {
  const { id } = await settled('asked', 'eva@example.org')
  const secret = await giveTotp(lido, poolOf('asked'), id)
  const browser = await enter('asked', 'eva@example.org', home)
  assert.equal(browser.page.step, 'prove')
  assert.doesNotMatch(browser.page.html, /name="remember"/, 'not while it is doubted')
  await browser.submit({ code: codeFor(lido, secret) }, from(home))
  assert.ok(isSignedIn(browser))
  clock.pass(30)
  const known = await enter('asked', 'eva@example.org', home, browser)
  await known.submit({ code: codeFor(lido, secret), remember: 'true' }, from(home))
  assert.ok(isSignedIn(known))
  assert.ok(isSignedIn(await enter('asked', 'eva@example.org', home, known)), 'remembered')
  clock.pass(60)
  const far = await enter('asked', 'eva@example.org', tokyo, known)
  assert.equal(far.page.step, 'prove', 'too fast')
  await far.submit({ code: codeFor(lido, secret) }, from(tokyo))
  assert.ok(isSignedIn(far))
  assert.deepEqual((await verdicts(id)).at(-1), {
    level: 'medium',
    reasons: ['new_country', 'impossible_travel', 'known_device'],
  })
})

test('who is doubted and has no second factor proves their mailbox, and enrols nothing', async () => {
  const { id } = await settled('asked', 'fay@example.org')
  const browser = await enter('asked', 'fay@example.org', home)
  assert.equal(browser.page.step, 'prove', browser.page.html)
  assert.match(browser.page.html, /Check your email/)
  assert.doesNotMatch(browser.page.html, /view=another|name="remember"/, 'there is no other way')
  const { code } = await lido.message('fay@example.org')
  await browser.submit({ code }, from(home))
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.ok(isSignedIn(await enter('asked', 'fay@example.org', home, browser)), 'known from then on')
  assert.equal(await countOf(lido, `credentials where user_id = '${id}' and kind <> 'password'`), 0)
})

test('a mailbox settles the doubt and is not the second factor that a pool requires', async () => {
  const id = await makeUser(lido, poolOf('strict'), 'gwen@example.org')
  await lido.services.db.updateTable('users').set({ lastSignInAt: clock.now() }).where('id', '=', id).execute()
  const browser = await enter('strict', 'gwen@example.org', tokyo)
  assert.equal(browser.page.step, 'prove', 'no authenticator for a thief')
  await browser.submit({ code: (await lido.message('gwen@example.org')).code }, from(tokyo))
  assert.equal(browser.page.step, 'enrol', browser.page.html)
})

test('who is doubted and could prove nothing more is refused as if the password were wrong', async () => {
  await settled('asked', 'hugo')
  const browser = await enter('asked', 'hugo', home)
  assert.equal(browser.page.step, 'prove')
  assert.match(browser.page.alert ?? '', /not right|do not match|wrong/i)
})

test('what is refused looks like a wrong password, counts like one, and its owner is told what to do', async () => {
  const name = 'iris@example.org'
  const { id } = await settled('refusing', name)
  const guessed = await enter('refusing', name, tokyo, undefined, wrong)
  const refused = await enter('refusing', name, tokyo)
  assert.deepEqual(likeness(refused, name), likeness(guessed, name))
  const told = await lido.message(name)
  assert.match(told.subject, /was refused/)
  assert.match(told.text, /Japan[\s\S]*\/w\/refusing\/recover/)
  await enter('refusing', name, tokyo)
  assert.equal((await messages(name)).length, 1, 'once an hour')
  const points = await rowsOf<{ points: number }>(lido, `select points from limits where key like 'account:%${id}'`)
  assert.deepEqual(points, [{ points: 3 }])
  const [verdict] = await verdicts(id, 'sign_in.refused')
  assert.deepEqual(verdict, { level: 'high', reasons: ['new_device', 'new_country', 'impossible_travel'] })
  const trail = await rowsOf<{ last: { why: string; ok: boolean; risk: object } }>(
    lido,
    `select data -> 'trail' -> -1 as last from attempts where data -> 'risk' ->> 'does' = 'refuse' and identifier_value = '${name}'`,
  )
  assert.deepEqual([trail[0]?.last.why, trail[0]?.last.ok, trail[0]?.last.risk], ['risk', false, verdict])
})

test('a refused answer costs as many statements as a wrong one', async () => {
  const name = 'ines@example.org'
  await settled('refusing', name)
  const costOf = async (secret: string) => {
    const browser = await visit(lido, 'refusing')
    await browser.submit({ identifier: name }, from(tokyo))
    lido.statements.length = 0
    await browser.submit({ password: secret }, from(tokyo))
    assert.equal(browser.page.step, 'prove')
    // What sends a message works beside the request.
    return lido.statements.filter((text) => !/"inbox"|"wordings"/.test(text))
  }
  await costOf(wrong)
  const first = await costOf(password)
  const again = await costOf(password)
  const guessed = await costOf(wrong)
  assert.deepEqual(first, guessed)
  assert.deepEqual(again, guessed)
})

test('judging a sign-in costs no statement', async () => {
  const costOf = async (slug: string) => {
    const { browser } = await settled(slug, 'olga@example.org')
    lido.statements.length = 0
    assert.ok(isSignedIn(await enter(slug, 'olga@example.org', town, browser)))
    return lido.statements.length
  }
  assert.equal(await costOf('told'), await costOf('quiet'))
})

test('a password that others know counts where something else is odd', async () => {
  const common = 'password1234'
  const { passwords, db } = lido.services
  const { id, browser } = await settled('told', 'pat@example.org')
  const data = JSON.stringify({ hash: await passwords.hash(common) })
  await db.updateTable('credentials').set({ data }).where('userId', '=', id).execute()
  assert.ok(isSignedIn(await enter('told', 'pat@example.org', home, browser, common)))
  assert.ok(isSignedIn(await enter('told', 'pat@example.org', town, undefined, common)))
  assert.deepEqual((await verdicts(id)).slice(1), [
    { level: 'low', reasons: [] },
    { level: 'high', reasons: ['new_device', 'new_network', 'breached_password'] },
  ])
})

test('whoever goes on guessing after a refusal learns no more, and is locked out in the end', async () => {
  const name = 'jane@example.org'
  await settled('refusing', name)
  for (let n = 0; n < 10; n += 1) await enter('refusing', name, tokyo)
  assert.match((await enter('refusing', name, tokyo)).page.alert ?? '', /Too many tries/)
  assert.equal((await messages(name)).length, 1)
})

test('a refused owner sets a new password in that browser, and is in', async () => {
  const name = 'kate@example.org'
  const { browser: own } = await settled('refusing', name)
  const browser = await enter('refusing', name, tokyo)
  assert.ok(!isSignedIn(browser))
  const sent = (await messages(name)).length
  await browser.get(browser.link('Forgot your password?'))
  await browser.submit({ identifier: name }, from(tokyo))
  const { code } = await lido.message(name, Math.max(1, sent))
  await browser.submit({ code, new_password: 'an entirely different password' }, from(tokyo))
  await browser.submit({ password: 'an entirely different password' }, from(tokyo))
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.ok(!isSignedIn(await enter('refusing', name, home, own)), 'the old password is no more')
})

test('the password grant is judged by its network: it is told that more is due, or refused', async () => {
  const grant = (workspace: string, username: string, address: string) =>
    token(
      lido.url,
      workspace,
      { grant_type: 'password', client_id: 'ropc', username, password, scope: 'openid' },
      from(address),
    )
  await settled('asked', 'lena@example.org')
  assert.equal((await grant('asked', 'lena@example.org', home)).status, 200)
  assert.equal((await grant('asked', 'lena@example.org', tokyo)).body.error, 'mfa_required')
  const { id } = await settled('refusing', 'mona@example.org')
  const failures = `insert into limits values ('account:${poolOf('refusing').id}:${id}', 6, now() + interval '1 year') returning key`
  await rowsOf(lido, failures)
  const refused = await grant('refusing', 'mona@example.org', tokyo)
  assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant'])
  assert.deepEqual((await verdicts(id, 'sign_in.refused'))[0]?.reasons, [
    'new_country',
    'impossible_travel',
    'account_failures',
  ])
})

test('settings that nobody could meet, or that are milder the greater the risk, are refused with a reason', async () => {
  const cases: [settings: Parameters<typeof makePool>[2], pointer: string, detail: RegExp][] = [
    [{ risk: { medium: 'notice' } }, '/risk/high', /more mildly/],
    [{ risk: { medium: 'refuse', high: 'second_factor' } }, '/risk/high', /more mildly/],
    [
      { risk: { high: 'second_factor' }, identifiers: ['username'], sign_in_methods: ['password'] },
      '/risk',
      /prove anything more/,
    ],
    [{ risk: { high: 'refuse' }, sign_in_methods: ['email_code'] }, '/risk', /way back/],
    [{ risk: { high: 'refuse' }, identifiers: ['username'] }, '/risk', /way back/],
  ]
  for (const [settings, pointer, detail] of cases)
    await assert.rejects(
      makePool(lido, 'never', settings),
      (error: { errors: { pointer: string; detail: string }[] }) => {
        assert.equal(error.errors[0]?.pointer, pointer)
        assert.match(error.errors[0]?.detail ?? '', detail)
        return true
      },
    )
})

test('a file that cannot be read is named at the start', async () => {
  const path = join(folder, 'wrong.csv')
  await writeFile(path, '192.0.2.0/24,CH\nnot a range\n')
  await assert.rejects(testLido({ GEOIP_FILE: path }), /GEOIP_FILE: .*wrong\.csv cannot be used: line 2/)
})
