import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as users from '../directory/users.ts'
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
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Awaited<ReturnType<typeof makePool>>
before(async () => {
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1' })
  pool = await makePool(lido, 'mobiles', {
    identifiers: ['email', 'mobile'],
    sign_in_methods: ['sms_code', 'password', 'email_code'],
    self_registration: true,
    default_country: 'CH',
    sms_countries: ['CH', 'DE', 'LI'],
    sms_per_country_hour: 40,
  })
  const workspace = await makeWorkspace(lido, 'mobiles', [{ pool }])
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

const texts = (to: string) => countOf(lido, `inbox where recipient = '${to}'`)

/** Waits until every message that was asked for is in the inbox. */
const settled = async () => {
  for (let n = 0; n < 200; n += 1) {
    if ((await countOf(lido, 'graphile_worker._private_jobs')) === 0) return
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  assert.fail('messages are still waiting')
}

const from = (n: number) => ({ 'X-Forwarded-For': `192.0.2.${n}` })

test('a number is one person however it is typed, and the code comes with what phones fill in by', async () => {
  await makeUser(lido, pool, '+41791110001')
  let since = 0
  for (const typed of ['+41 79 111 00 01', '079 111 00 01', '０７９ １１１ ００ ０１']) {
    const browser = await visitAs(lido, 'mobiles', typed)
    assert.match(browser.page.html, /Check your phone/)
    assert.match(browser.page.html, /autocomplete="one-time-code"/)
    const { code, text } = await lido.message('+41791110001', since)
    since += 1
    assert.match(text, new RegExp(`^${code} .*\\n\\n@(localhost|127\\.0\\.0\\.1) #${code}$`, 's'))
    await browser.submit({ code: `${code.slice(0, 3)} ${code.slice(3)}` })
    assert.ok(isSignedIn(browser), browser.page.html)
  }
  const events = await rowsOf<{ data: { methods: string[] } }>(
    lido,
    `select data from events where type = 'sign_in.succeeded'`,
  )
  assert.deepEqual(events[0]?.data.methods, ['sms_code'])
})

test('what looks like a number and is none is told so at its field', async () => {
  for (const typed of ['079 111', '+41 44 111 00 01', '+1 555 555 0100', '00000000000']) {
    const browser = await visit(lido, 'mobiles')
    await browser.submit({ identifier: typed })
    assert.equal(browser.page.step, 'identify')
    assert.match(browser.page.alert ?? '', /Enter a mobile number/, typed)
  }
  const browser = await visit(lido, 'mobiles')
  await browser.submit({ identifier: 'ada@' })
  assert.match(browser.page.alert ?? '', /Enter an email address/)
})

test('a number that was never verified gets nothing, and its page says what every page says', async () => {
  await makeUser(lido, pool, '+41791110002', { verified: false })
  const claimed = await visitAs(lido, 'mobiles', '+41791110002')
  const unknown = await visitAs(lido, 'mobiles', '+41791110003')
  assert.deepEqual(likeness(claimed, '+41791110002'), likeness(unknown, '+41791110003'))
  await settled()
  assert.equal((await texts('+41791110002')) + (await texts('+41791110003')), 0)
})

test('a number of a country that is not served gets nothing, and nobody is offered a text there', async () => {
  await makeUser(lido, pool, '+33612345678')
  const browser = await visitAs(lido, 'mobiles', '+33612345678')
  assert.doesNotMatch(browser.page.html, /Check your phone/)
  await browser.get(browser.link('Sign in another way'))
  assert.doesNotMatch(browser.page.html, /Text me a code/)
  await settled()
  assert.equal(await texts('+33612345678'), 0)
})

test('whoever typed an email gets the text at their verified number', async () => {
  await makeUser(lido, pool, 'texted@example.org', { aliases: ['+41791110004'] })
  const browser = await visitAs(lido, 'mobiles', 'texted@example.org')
  const { code } = await lido.message('+41791110004')
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
})

const register = async (identifier: string, headers: Record<string, string> = {}) => {
  const browser = await visit(lido, 'mobiles')
  await browser.get(browser.link('Create an account'))
  assert.match(browser.page.html, />Email or mobile</)
  await browser.submit({ identifier, password }, headers)
  return browser
}

test('somebody registers with a mobile number, which a code by text message proves', async () => {
  const browser = await register('079 222 00 01')
  assert.equal(browser.page.step, 'verify', browser.page.html)
  assert.match(browser.page.html, /Check your phone/)
  assert.match(browser.page.html, /Use another number/)
  const { code, text } = await lido.message('+41792220001')
  assert.match(text, /create an account/)
  await browser.submit({ code: code === '000000' ? '000001' : '000000' })
  assert.equal(browser.page.step, 'verify')
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  const user = await users.findByIdentifier(lido.services.db, pool.id, {
    kind: 'mobile',
    value: '+41792220001',
    typed: '',
  })
  assert.equal(user?.status, 'active')
  assert.deepEqual(
    user?.identifiers.map(({ kind, value, verified }) => [kind, value, verified]),
    [['mobile', '+41792220001', true]],
  )
})

test('A18: a taken number meets the same page, and its owner is told', async () => {
  await makeUser(lido, pool, '+41792220002')
  const taken = await register('+41792220002')
  const free = await register('+41792220003')
  assert.deepEqual(likeness(taken, '+41792220002'), likeness(free, '+41792220003'))
  const { text, code } = await lido.message('+41792220002')
  assert.match(text, /already have an account/)
  assert.equal(code, null)
})

test('a number of a country that is not served cannot be registered, and the field says why', async () => {
  const browser = await register('+33 6 12 34 56 79')
  assert.equal(browser.page.step, 'register')
  assert.match(browser.page.alert ?? '', /cannot send text messages to numbers of this country/)
  assert.equal(await countOf(lido, `identifiers where value = '+33612345679'`), 0)
})

test('twenty resends at once send no more texts than one sender may ask for, and the page says how long to wait', async () => {
  await makeUser(lido, pool, '+41793330001')
  const browser = await visitAs(lido, 'mobiles', '+41793330001')
  const answers = await atOnce(
    lido,
    browser,
    Array.from({ length: 20 }, () => ({ action: 'resend' })),
  )
  assert.ok(answers.every(({ status }) => status === 303))
  await settled()
  assert.equal(await texts('+41793330001'), 5)
  await browser.submit({ action: 'resend' })
  const unknown = await visitAs(lido, 'mobiles', '+41793330002')
  for (let n = 0; n < 6; n += 1) await unknown.submit({ action: 'resend' })
  assert.match(browser.page.alert ?? '', /Too many messages were asked for\. Try again in 60 minutes/)
  assert.deepEqual(likeness(browser, '+41793330001'), likeness(unknown, '+41793330002'))
  assert.equal(await texts('+41793330002'), 0)
})

test('one number gets ten texts an hour over all features and senders', async () => {
  await makeUser(lido, pool, '+4915112340001')
  const seen: (string | undefined)[] = []
  for (let n = 1; n <= 6; n += 1) {
    const browser = await visit(lido, 'mobiles')
    await browser.submit({ identifier: '+4915112340001' }, from(n))
    await browser.submit({ action: 'resend' }, from(n))
    seen.push(browser.page.alert)
  }
  const late = await register('+4915112340001', from(9))
  assert.match(late.page.alert ?? '', /Too many messages/)
  await settled()
  assert.equal(await texts('+4915112340001'), 10)
  assert.equal(seen.filter(Boolean).length, 1)
})

test('one country gets no more texts an hour than the pool allows, whoever asks and whoever is asked for', async () => {
  const number = (n: number) => `+42366023${4_000 + n}`
  const before = await countOf(lido, 'inbox')
  const people = Array.from({ length: 45 }, (_, n) => number(n))
  for (const one of people.slice(0, 3)) await makeUser(lido, pool, one)
  let refused = 0
  for (const [n, one] of people.entries()) {
    const browser = await visit(lido, 'mobiles')
    await browser.submit({ identifier: one }, from(n + 100))
    if (/Too many messages/.test(browser.page.alert ?? '')) refused += 1
  }
  assert.equal(refused, 5)
  await settled()
  assert.equal((await countOf(lido, 'inbox')) - before, 3)
})

test('what only the account has used up shows on no page: it says that a code is on its way, and sends none', async () => {
  const id = await makeUser(lido, pool, 'spent@example.org', { aliases: ['+41793330009'] })
  const far = new Date(Date.now() + 3_600_000).toISOString()
  await rowsOf(
    lido,
    `insert into limits (key, points, resets_at) values ('messages of account:${pool.id}:${id}', 60, '${far}') returning key`,
  )
  const spent = await visitAs(lido, 'mobiles', 'spent@example.org')
  const unknown = await visitAs(lido, 'mobiles', 'sport@example.org')
  assert.deepEqual(likeness(spent, 'spent@example.org'), likeness(unknown, 'sport@example.org'))
  await settled()
  assert.equal(await texts('+41793330009'), 0)
})

test('an address that nobody has proven opens no account that somebody has', async () => {
  await makeUser(lido, pool, '+41793330011', { aliases: ['claimed@example.org', 'own@example.org'] })
  await rowsOf(lido, `update identifiers set verified_at = null where value = 'claimed@example.org' returning value`)
  for (const [address, mails] of [
    ['claimed@example.org', 0],
    ['own@example.org', 1],
  ] as const) {
    const browser = await visitAs(lido, 'mobiles', address)
    await browser.get(browser.link('Sign in another way'))
    await browser.submit({ method: 'email_code' })
    assert.equal(browser.page.step, 'prove')
    await settled()
    assert.equal(await countOf(lido, `inbox where recipient = '${address}'`), mails, address)
  }
})

test('a text is a second factor beside the password', async () => {
  const strict = await makePool(lido, 'strict', {
    identifiers: ['email', 'mobile'],
    sign_in_methods: ['password'],
    second_factor: 'required',
    second_factors: ['sms_code', 'totp'],
  })
  const workspace = await makeWorkspace(lido, 'strict', [{ pool: strict }])
  await makeClient(lido, workspace.id)
  const id = await makeUser(lido, strict, 'two@example.org', { aliases: ['+41793330012'] })
  const browser = await visitAs(lido, 'strict', 'two@example.org')
  await browser.submit({ password })
  assert.match(browser.page.html, /Check your phone/, browser.page.html)
  const { code } = await lido.message('+41793330012')
  await browser.submit({ code: code === '000000' ? '000001' : '000000' })
  assert.equal(isSignedIn(browser), false)
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  const [event] = await rowsOf<{ data: { methods: string[] } }>(
    lido,
    `select data from events where type = 'sign_in.succeeded' and user_id = '${id}'`,
  )
  assert.deepEqual(event?.data.methods, ['password', 'sms_code'])
})
