import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Browser, openBrowser } from '../browser-testing.ts'
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
  redeem,
  rowsOf,
  takeAsLong,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { codeFor, giveTotp } from './second-factor-testing.ts'

const settings = { default_country: 'CH', sms_countries: ['CH', 'DE'], sms_per_country_hour: 10_000 }

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1' })
  pool = await makePool(lido, 'mobiles', {
    ...settings,
    identifiers: ['email', 'mobile', 'username'],
    second_factor: 'optional',
  })
  const workspace = await makeWorkspace(lido, 'mobiles', [{ pool }])
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

const fresh = 'a fresh and secret phrase'

/** A number of nobody yet, in Switzerland. */
let count = 0
const number = () => {
  count += 1
  return `+4179${String(4_000_000 + count)}`
}

/** Where a request comes from: each sender has a share of texts of their own. */
let senders = 0
const sender = () => {
  senders += 1
  return { 'X-Forwarded-For': `192.0.${2 + (senders >> 8)}.${senders & 255}` }
}

type Door = (identifier: string, workspace?: string) => Promise<Browser>

/** Both ways to say that a password was forgotten, up to the page that waits for the code. */
const doors: Record<string, Door> = {
  'the sign-in': async (identifier, workspace = 'mobiles') => {
    const browser = await visit(lido, workspace)
    await browser.get(`${browser.page.url}?view=recover`)
    await browser.submit({ identifier }, sender())
    return browser
  },
  'the page of its own': async (identifier, workspace = 'mobiles') => {
    const browser = openBrowser(lido.url)
    await browser.get(`/w/${workspace}/recover`)
    await browser.submit({ identifier }, sender())
    return browser
  },
}
const byPage: Door = (identifier, workspace) =>
  doors['the page of its own']?.(identifier, workspace) as Promise<Browser>

const sentTo = (to: string) => countOf(lido, `inbox where recipient = '${to}'`)

/** Waits until every message that was asked for is in the inbox. */
const settled = async () => {
  for (let n = 0; n < 200; n += 1) {
    if ((await countOf(lido, 'graphile_worker._private_jobs')) === 0) return
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  assert.fail('messages are still waiting')
}

const signsIn = async (identifier: string, secret: string): Promise<boolean> => {
  const browser = await visitAs(lido, 'mobiles', identifier)
  await browser.submit({ password: secret })
  return isSignedIn(browser)
}

for (const [door, open] of Object.entries(doors)) {
  test(`whoever has a mobile number alone sets a new password by a text from ${door}, and is not signed in by it`, async () => {
    const mobile = number()
    await makeUser(lido, pool, mobile)
    const browser = await open(mobile)
    assert.match(browser.page.html, /Use another number/)
    assert.doesNotMatch(browser.page.html, /spam/i)
    const { code, text, link } = await lido.message(mobile)
    assert.match(text, new RegExp(`^${code} is your code to set a new password.*\\n\\n@\\S+ #${code}$`, 's'))
    assert.equal(link, null, 'no link goes by text')
    await browser.submit({ code, new_password: 'short' })
    assert.match(browser.page.html, /id="error-new_password"/)
    await browser.submit({ code, new_password: fresh })
    assert.ok(!isSignedIn(browser))
    assert.ok(![...browser.cookies.keys()].some((key) => key.includes('session')), 'a reset makes no session')
    assert.ok(!(await signsIn(mobile, password)))
    assert.ok(await signsIn(mobile, fresh))
    const told = await lido.message(mobile, 1)
    assert.match(told.text, /password .* was changed/)
    assert.ok(!told.text.includes(fresh))
  })

  test(`A16: nobody can tell from ${door} whose number it is`, async () => {
    const people: [who: string, make: (mobile: string) => Promise<unknown>, texts: number][] = [
      ['known', (mobile) => makeUser(lido, pool, mobile), 2],
      ['unknown', async () => {}, 0],
      ['disabled', (mobile) => makeUser(lido, pool, mobile, { status: 'inactive' }), 0],
      ['unproven', (mobile) => makeUser(lido, pool, mobile, { verified: false }), 0],
      ['never let in', (mobile) => makeUser(lido, pool, mobile, { status: 'new', verified: false }), 0],
      ['without password', (mobile) => makeUser(lido, pool, mobile, { password: null }), 2],
    ]
    const seen = []
    for (const [who, make, texts] of people) {
      const mobile = number()
      await make(mobile)
      const browser = await open(mobile)
      const pages = [likeness(browser, mobile)]
      await browser.submit({ code: '000000', new_password: fresh })
      pages.push(likeness(browser, mobile))
      await browser.submit({ action: 'resend' })
      pages.push(likeness(browser, mobile))
      await settled()
      assert.equal(await sentTo(mobile), texts, who)
      seen.push({ who, pages })
    }
    for (const { who, pages } of seen) assert.deepEqual(pages, seen[0]?.pages, who)
  })
}

test('A16: forgetting takes a stranger’s number as long as a known one', () =>
  takeAsLong(['known', 'unknown', 'disabled', 'unproven'], async (who) => {
    const mobile = number()
    const more = { status: who === 'disabled' ? 'inactive' : 'active', verified: who !== 'unproven' } as const
    if (who !== 'unknown') await makeUser(lido, pool, mobile, more)
    const browser = openBrowser(lido.url)
    await browser.get('/w/mobiles/recover')
    const from = sender()
    return () => browser.submit({ identifier: mobile }, from)
  }))

test('whoever has both gets it where they said, and the mailbox hears of a password that was set by text', async () => {
  const mobile = number()
  await makeUser(lido, pool, 'both@example.org', { aliases: [mobile, 'both'] })
  await byPage('both')
  assert.match((await lido.message('both@example.org')).subject, /Reset your password/)
  await settled()
  assert.equal(await sentTo(mobile), 0)
  const browser = await byPage(mobile)
  const { code } = await lido.message(mobile)
  await browser.submit({ code, new_password: fresh })
  assert.match((await lido.message('both@example.org', 1)).subject, /was changed/)
  await settled()
  assert.equal(await sentTo(mobile), 1)
})

test('whoever goes by a username and has a number alone gets the text, and the page is that of any username', async () => {
  const mobile = number()
  await makeUser(lido, pool, mobile, { aliases: ['texted'] })
  const known = await byPage('texted')
  const unknown = await byPage('nobody')
  assert.deepEqual(likeness(known, 'texted'), likeness(unknown, 'nobody'))
  const { code } = await lido.message(mobile)
  await known.submit({ code, new_password: fresh })
  assert.ok(await signsIn('texted', fresh))
})

test('A03, A05: a reset by text ends every session, every grant, other codes and the tries that were counted', async () => {
  const mobile = number()
  const id = await makeUser(lido, pool, mobile)
  const attacker = await visitAs(lido, 'mobiles', mobile)
  await attacker.submit({ password })
  const { body } = await redeem(lido, 'mobiles', attacker)
  const older = await byPage(mobile)
  const { code: olderCode } = await lido.message(mobile)
  const owner = await byPage(mobile)
  const { code } = await lido.message(mobile, 1)
  await owner.submit({ code, new_password: fresh })
  assert.match(owner.page.html, /Your new password is set/)
  await visit(lido, 'mobiles', { browser: attacker })
  assert.equal(attacker.page.step, 'identify', 'the session is over')
  const asked = { grant_type: 'refresh_token', client_id: 'app', refresh_token: body.refresh_token ?? 'none' }
  assert.equal((await token(lido.url, 'mobiles', asked)).body.error, 'invalid_grant')
  await older.submit({ code: olderCode, new_password: 'the phrase of somebody else' })
  assert.match(older.page.alert ?? '', /no longer valid/)
  assert.equal(await countOf(lido, `artifacts where user_id = '${id}' and kind in ('Session', 'Grant')`), 0)
  assert.equal(await countOf(lido, `events where user_id = '${id}' and type = 'user.recovered'`), 1)
})

test('A15: a reset by text asks for the second factor all the same, and takes none away', async () => {
  const mobile = number()
  const id = await makeUser(lido, pool, mobile)
  const secret = await giveTotp(lido, pool, id)
  const browser = await doors['the sign-in']?.(mobile)
  assert.ok(browser)
  const { code } = await lido.message(mobile)
  await browser.submit({ code, new_password: fresh })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ password: fresh })
  assert.equal(isSignedIn(browser), false)
  assert.match(browser.page.html, /authenticator app/)
  await browser.submit({ code: codeFor(lido, secret) })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('A15: where a text is the second factor none sets a password: one phone would be both', async () => {
  const strict = await makePool(lido, 'strict', {
    ...settings,
    identifiers: ['email', 'mobile'],
    second_factor: 'required',
    second_factors: ['sms_code', 'totp'],
  })
  await makeWorkspace(lido, 'strict', [{ pool: strict }])
  const [alone, both] = [number(), number()]
  await makeUser(lido, strict, alone)
  await makeUser(lido, strict, 'strict@example.org', { aliases: [both] })
  const pages = []
  for (const mobile of [alone, both, number()]) pages.push(likeness(await byPage(mobile, 'strict'), mobile))
  assert.deepEqual(pages[0], pages[2])
  assert.deepEqual(pages[1], pages[2])
  assert.ok((await lido.message('strict@example.org')).link, 'the mailbox gets a mail, as it is no factor')
  await settled()
  assert.equal((await sentTo(alone)) + (await sentTo(both)), 0)
})

test('A04: an unproven mailbox takes no account whose number is proven, and an unproven number none at all', async () => {
  const [mobile, claimed] = [number(), number()]
  await makeUser(lido, pool, 'claimed@example.org', { aliases: [mobile] })
  await rowsOf(lido, `update identifiers set verified_at = null where value = 'claimed@example.org' returning value`)
  await makeUser(lido, pool, 'owner@example.org', { aliases: [claimed] })
  await rowsOf(lido, `update identifiers set verified_at = null where value = '${claimed}' returning value`)
  await byPage('claimed@example.org')
  await byPage(claimed)
  await settled()
  assert.equal((await sentTo('claimed@example.org')) + (await sentTo(mobile)), 0)
  assert.equal((await sentTo('owner@example.org')) + (await sentTo(claimed)), 0)
})

test('a number that was taken from the account meanwhile sets no password', async () => {
  const mobile = number()
  const id = await makeUser(lido, pool, 'moved@example.org', { aliases: [mobile] })
  const browser = await byPage(mobile)
  const { code } = await lido.message(mobile)
  await rowsOf(lido, `delete from identifiers where user_id = '${id}' and kind = 'mobile' returning value`)
  await browser.submit({ code, new_password: fresh })
  assert.ok(!(await signsIn('moved@example.org', fresh)))
  assert.ok(await signsIn('moved@example.org', password))
})

test('A10: six wrong codes end a code by text, and another browser cannot use it', async () => {
  const mobile = number()
  await makeUser(lido, pool, mobile)
  const browser = await byPage(mobile)
  const { code } = await lido.message(mobile)
  const elsewhere = await byPage(number())
  await elsewhere.submit({ code, new_password: fresh })
  assert.ok(elsewhere.page.alert)
  for (let n = 1; n <= 6; n += 1)
    await browser.submit({ code: String((Number(code) + n) % 1e6).padStart(6, '0'), new_password: fresh }, sender())
  await browser.submit({ code, new_password: fresh })
  assert.match(browser.page.alert ?? '', /no longer valid/)
  assert.ok(await signsIn(mobile, password))
})

test('A11: of twenty uses of one code by text at once one succeeds, and fifty wrong ones end it', async () => {
  const mobile = number()
  await makeUser(lido, pool, mobile)
  const browser = await byPage(mobile)
  const { code } = await lido.message(mobile)
  const tries = Array.from({ length: 20 }, (_, n) => ({ code, new_password: `${fresh} ${n}` }))
  const answers = await atOnce(lido, browser, tries)
  const done = await Promise.all(answers.map(async (answer) => /password is set/.test(await answer.text())))
  assert.equal(done.filter(Boolean).length, 1)
  assert.ok(await signsIn(mobile, `${fresh} ${done.indexOf(true)}`))

  const again = await byPage(mobile)
  const { code: right } = await lido.message(mobile, 2)
  const wrong = (n: number) => String((Number(right) + n + 1) % 1e6).padStart(6, '0')
  await atOnce(
    lido,
    again,
    Array.from({ length: 50 }, (_, n) => ({ code: wrong(n), new_password: fresh })),
  )
  await again.submit({ code: right, new_password: fresh })
  assert.match(again.page.alert ?? '', /no longer valid/)
})

test('texts are counted with those of every other feature, and what is used up shows for a stranger as well', async () => {
  const [mobile, nobody] = [number(), number()]
  await makeUser(lido, pool, mobile)
  const alerts = async (typed: string) => {
    const seen = []
    for (let n = 0; n < 12; n += 1) seen.push(Boolean((await byPage(typed)).page.alert))
    return seen
  }
  assert.deepEqual(await alerts(mobile), [...Array(10).fill(false), true, true])
  assert.deepEqual(await alerts(nobody), [...Array(10).fill(false), true, true])
  await settled()
  assert.equal(await sentTo(mobile), 10)
})

test('a username spends the share of the number that it hides, and no page tells', async () => {
  const mobile = number()
  await makeUser(lido, pool, mobile, { aliases: ['hidden'] })
  for (let n = 0; n < 12; n += 1) assert.equal((await byPage('hidden')).page.alert, undefined)
  await settled()
  assert.equal(await sentTo(mobile), 10)
})

test('a number of a country that is not served gets no text, and its page says what a mail’s does', async () => {
  await makeUser(lido, pool, '+33612340001', { aliases: ['abroad@example.org'] })
  const known = await byPage('+33612340001')
  const unknown = await byPage('+33612340002')
  assert.deepEqual(likeness(known, '+33612340001'), likeness(unknown, '+33612340002'))
  assert.ok((await lido.message('abroad@example.org')).link)
  await settled()
  assert.equal(await sentTo('+33612340001'), 0)
})

test('neither the code nor the new password is in the log or in an event', async () => {
  const mobile = number()
  const id = await makeUser(lido, pool, mobile)
  const browser = await byPage(mobile)
  const { code } = await lido.message(mobile)
  const secret = 'canary of a new password'
  await browser.submit({ code, new_password: secret })
  assert.ok(await signsIn(mobile, secret))
  const events = JSON.stringify(await rowsOf(lido, `select data from events where user_id = '${id}'`))
  for (const canary of [secret, mobile]) {
    assert.ok(!lido.lines.join('\n').includes(canary), 'the log has it')
    assert.ok(!events.includes(canary), 'an event has it')
  }
  assert.ok(!events.includes(String(code)))
})
