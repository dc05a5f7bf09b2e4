import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../directory/pools.ts'
import { sha256 } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  codeOf,
  countOf,
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  rowsOf,
  type TokenAnswer,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'residents', { self_registration: true })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeUser(lido, pool, 'ada@example.org')
  await makeUser(lido, pool, 'bob@example.org', { password: 'the own password of bob' })
})
after(() => lido.stop())

const succeeded = (email: string) =>
  countOf(
    lido,
    `events e join identifiers i using (user_id) where i.value = '${email}' and e.type = 'sign_in.succeeded'`,
  )

test('a double click on the last step is one sign-in, wherever its second answer is followed', async () => {
  await makeUser(lido, pool, 'double@example.org')
  const browser = await visitAs(lido, 'acme', 'double@example.org')
  const dispatcher = browser.page.url
  const answers = await atOnce(lido, browser, [{ password }, { password }])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [303, 303],
  )
  await browser.get(new URL(answers[1]?.headers.get('Location') ?? '', dispatcher).href)
  assert.equal((await redeem(lido, 'acme', browser)).status, 200)
  assert.equal(await succeeded('double@example.org'), 1)
})

test('finishing twice leads to the same place, and to an explanation once that was followed', async () => {
  await makeUser(lido, pool, 'twice@example.org')
  const browser = await visitAs(lido, 'acme', 'twice@example.org')
  const { url } = browser.page
  const form = { ...hiddenOf(browser.page.html), password }
  const [first] = await atOnce(lido, browser, [{ password }])
  const [again] = await atOnce(lido, browser, [{ password }])
  assert.equal(again?.headers.get('Location'), first?.headers.get('Location'))
  await browser.get(url)
  assert.ok(isSignedIn(browser))
  assert.equal(await succeeded('twice@example.org'), 1)
  await browser.post(url, form)
  assert.deepEqual([browser.page.status, browser.page.step], [410, 'problem'])
  await browser.get(url)
  assert.deepEqual([browser.page.status, browser.page.step], [410, 'problem'])
  assert.match(browser.page.html, /Go back to the application/)
})

test('two sign-ins in two tabs of one browser do not disturb each other', async () => {
  const one = await visitAs(lido, 'acme', 'ada@example.org')
  const first = { url: one.page.url, form: hiddenOf(one.page.html) }
  const two = await visit(lido, 'acme', { browser: one })
  await two.submit({ identifier: 'ada@example.org' })
  await two.submit({ password })
  const code = codeOf(two)
  await one.post(first.url, { ...first.form, password })
  assert.ok(isSignedIn(one), one.page.html)
  assert.notEqual(codeOf(one), code)
})

test('of two tabs on one sign-in, neither answers for what the other asks', async () => {
  const browser = await visitAs(lido, 'acme', 'ada@example.org')
  const tab = { url: browser.page.url, form: hiddenOf(browser.page.html) }
  await browser.get(browser.link('Not you?'))
  await browser.submit({ identifier: 'bob@example.org' })
  await browser.post(tab.url, { ...tab.form, password: 'the own password of bob' })
  assert.equal(browser.page.step, 'prove', 'the password was typed for ada')
  assert.match(browser.page.html, /bob@example\.org/)
  assert.equal(browser.page.alert, undefined, 'and is not counted as a wrong one of bob')
  await browser.submit({ password: 'the own password of bob' })
  assert.ok(isSignedIn(browser))
})

test('the way back: another address on the first page is taken, wherever the sign-in had come to', async () => {
  const browser = await visit(lido, 'acme')
  const identify = { url: new URL('?view=identify', browser.page.url).href, form: hiddenOf(browser.page.html) }
  await browser.submit({ identifier: 'nobody@example.org' })
  await browser.submit({ password })
  assert.ok(browser.page.alert)
  await browser.post(identify.url, { ...identify.form, identifier: 'ada@example.org' })
  assert.equal(browser.page.step, 'prove')
  assert.equal(browser.page.alert, undefined)
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
})

test('the way back: a password page that was left for a registration is not taken for the code', async () => {
  const browser = await visitAs(lido, 'acme', 'ada@example.org')
  const prove = { url: browser.page.url, form: hiddenOf(browser.page.html) }
  await browser.get(`${prove.url}?view=register`)
  await browser.submit({ identifier: 'newcomer@example.org', password })
  assert.equal(browser.page.step, 'verify')
  await browser.post(prove.url, { ...prove.form, password })
  assert.equal(browser.page.step, 'verify')
  assert.equal(browser.page.alert, undefined)
  await browser.submit({ code: (await lido.message('newcomer@example.org')).code })
  assert.ok(isSignedIn(browser))
})

test('a reload shows the same step, sends nothing again and counts nothing', async () => {
  const browser = await visitAs(lido, 'acme', 'ada@example.org')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  const { code } = await lido.message('ada@example.org')
  const sent = async () => [await countOf(lido, 'challenges'), await countOf(lido, 'inbox')]
  const before = await sent()
  for (let n = 0; n < 3; n += 1) await browser.get(browser.page.url)
  assert.equal(browser.page.step, 'prove')
  assert.deepEqual(await sent(), before)
  await browser.submit({ code })
  assert.ok(isSignedIn(browser))
})

test('a double click on sending the code again leaves one code that works', async () => {
  await makeUser(lido, pool, 'resend@example.org')
  const browser = await visitAs(lido, 'acme', 'resend@example.org')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  await lido.message('resend@example.org')
  await atOnce(lido, browser, [{ action: 'resend' }, { action: 'resend' }])
  const { code: newest } = await lido.message('resend@example.org', 2)
  const response = await fetch(`${lido.url}/dev/inbox.json?to=resend@example.org`)
  const codes = ((await response.json()) as { code: string }[]).map(({ code }) => code)
  assert.equal(codes[0], newest)
  for (const code of codes) {
    if (isSignedIn(browser)) break
    await browser.get(browser.page.url)
    await browser.submit({ code })
  }
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('an interaction that has expired ends in a page that says so', async () => {
  const browser = await visitAs(lido, 'acme', 'ada@example.org')
  const { url } = browser.page
  const form = { ...hiddenOf(browser.page.html), password }
  await rowsOf(
    lido,
    `update artifacts set payload = payload || '{"exp": 1}' where kind = 'Interaction' and
      id = '${sha256(new URL(url).pathname.split('/').at(-1) ?? '')}' returning id`,
  )
  for (const look of [() => browser.get(url), () => browser.post(url, form)]) {
    const page = await look()
    assert.deepEqual([page.status, page.step], [410, 'problem'])
    assert.match(page.html, /Go back to the application/)
  }
})

test('a sign-in whose account is disabled half way ends in an explanation', async () => {
  const id = await makeUser(lido, pool, 'going@example.org')
  const browser = await visitAs(lido, 'acme', 'going@example.org')
  await rowsOf(lido, `update users set status = 'inactive' where id = '${id}' returning id`)
  await browser.submit({ password })
  assert.ok(!isSignedIn(browser))
  assert.equal(browser.page.step, 'prove')
})

const meanwhile: [what: string, change: (id: string) => string][] = [
  ['the account is disabled', (id) => `update users set status = 'inactive' where id = '${id}' returning id`],
  ['the account is deleted', (id) => `delete from users where id = '${id}' returning id`],
]
for (const [what, change] of meanwhile) {
  test(`nobody is signed in where ${what} after the last step`, async () => {
    const name = `${what.replaceAll(' ', '-')}@example.org`
    const id = await makeUser(lido, pool, name)
    const browser = await visitAs(lido, 'acme', name)
    const [finished] = await atOnce(lido, browser, [{ password }])
    await rowsOf(lido, change(id))
    await browser.get(finished?.headers.get('Location') ?? '')
    assert.ok(!isSignedIn(browser))
    assert.ok(browser.page.status < 500, browser.page.html)
  })
}

test('somebody else can sign in to a browser that has a session, and is nobody but themselves', async () => {
  const browser = await visitAs(lido, 'acme', 'ada@example.org')
  await browser.submit({ password })
  const ada = subjectOf(await redeem(lido, 'acme', browser))
  const other = await visit(lido, 'acme', { browser, prompt: 'login' })
  assert.equal(browser.page.step, 'identify', browser.page.html)
  await browser.submit({ identifier: 'bob@example.org' })
  await browser.submit({ password: 'the own password of bob' })
  const bob = subjectOf(await redeem(lido, 'acme', other))
  assert.notEqual(bob, ada)
  const next = await visit(lido, 'acme', { browser })
  assert.equal(subjectOf(await redeem(lido, 'acme', next)), bob)
})

const subjectOf = ({ body }: TokenAnswer): string =>
  JSON.parse(Buffer.from(body.id_token?.split('.')[1] ?? '', 'base64url').toString()).sub
