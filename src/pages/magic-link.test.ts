import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  cookieOf,
  countOf,
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  rowsOf,
  type Visit,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'linked', { sign_in_methods: ['magic_link', 'password', 'email_code'] })
  const workspace = await makeWorkspace(lido, 'linked', [{ pool }])
  await makeClient(lido, workspace.id)
  const other = await makeWorkspace(lido, 'elsewhere', [{ pool: await makePool(lido, 'elsewhere') }])
  await makeClient(lido, other.id)
})
after(() => lido.stop())

/** Somebody who has asked for a link, in the browser that they began in. */
const begin = async (name: string, since = 0) => {
  const email = `${name}@example.org`
  const id = since === 0 ? await makeUser(lido, pool, email) : ''
  const browser = await visitAs(lido, 'linked', email)
  const { link, text } = await lido.message(email, since)
  return { id, email, browser, link, text }
}

const codeOn = (html: string) => /<p class="shown-code" dir="ltr">(\d{6})</.exec(html)?.[1]

const signedIn = (id: string) => countOf(lido, `events where user_id = '${id}' and type = 'sign_in.succeeded'`)

/** A browser that never was here. */
const stranger = () => openBrowser(lido.url)

test('in the browser that began, the link and one click sign in', async () => {
  const { id, browser, link, text } = await begin('same')
  assert.match(link, new RegExp(`^${lido.url}/w/linked/verify/[0-9a-f]{32}[\\w-]{43}$`))
  assert.ok(text.includes(link))
  await browser.get(link)
  assert.equal(browser.page.step, 'prove')
  assert.equal(codeOn(browser.page.html), undefined)
  assert.match(browser.page.html, /same@<wbr>example\.org|same@example\.org/)
  await browser.submit()
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.equal(await signedIn(id), 1)
})

test('on another device, the link shows a code that only the browser that began can use', async () => {
  const { id, browser, link } = await begin('other')
  const phone = stranger()
  await phone.get(link)
  assert.equal(phone.page.status, 200)
  assert.doesNotMatch(phone.page.html, /<form/)
  const code = codeOn(phone.page.html) ?? assert.fail(phone.page.html)
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.equal(await signedIn(id), 1)
  await phone.get(link)
  assert.equal(phone.page.status, 410)
})

test('a scanner that opens the link and posts to it over and over uses nothing up', async () => {
  const { browser, link } = await begin('scanned')
  const scanner = stranger()
  for (let n = 0; n < 10; n += 1) await scanner.get(link)
  const posts: Record<string, string>[] = [
    {},
    { token: link.split('/').at(-1) ?? '' },
    { code: codeOn(scanner.page.html) ?? '' },
  ]
  for (const fields of posts) {
    await scanner.post(link, fields)
    assert.equal(scanner.page.status, 405)
  }
  const heads = await fetch(link, { method: 'HEAD' })
  assert.equal(heads.status, 405)
  await browser.get(link)
  await browser.submit()
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('a sign-in that somebody else began is not signed in by the victim opening and clicking', async () => {
  const { id, browser: attacker, link } = await begin('phished')
  const victim = stranger()
  await victim.get(link)
  assert.ok(codeOn(victim.page.html))
  // Whatever the victim's browser sends, it has no cookie of the attacker's sign-in.
  await victim.post(attacker.page.url, { ...hiddenOf(attacker.page.html), token: link.split('/').at(-1) ?? '' })
  assert.equal(victim.page.status, 410)
  await attacker.get(attacker.page.url)
  assert.equal(attacker.page.step, 'prove')
  await attacker.submit({ code: '000000' })
  assert.equal(isSignedIn(attacker), false)
  assert.equal(await signedIn(id), 0)
})

test('a victim with a sign-in of their own still sees only the code of the other', async () => {
  const { browser: attacker, link, email } = await begin('crossed')
  const victim = await visitAs(lido, 'linked', email)
  await lido.message(email, 1)
  await victim.get(link)
  assert.ok(codeOn(victim.page.html), 'the link belongs to the other browser')
  assert.doesNotMatch(victim.page.html, /<form/)
  await attacker.get(attacker.page.url)
  assert.equal(attacker.page.step, 'prove')
})

test('a link works once, in one browser, and twenty clicks at once are one sign-in', async () => {
  const { id, browser, link } = await begin('clicks')
  const signin = browser.page.url
  await browser.get(link)
  const action = /<form method="post" action="([^"]*)"/.exec(browser.page.html)?.[1] ?? assert.fail()
  assert.equal(new URL(action, lido.url).href, signin)
  const page = { ...browser.page, url: signin }
  const clicking = { ...browser, cookies: browser.cookies, page }
  const answers = await atOnce(
    lido,
    clicking,
    Array.from({ length: 20 }, () => ({})),
  )
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [303])
  assert.equal(await signedIn(id), 1)
})

test('five wrong codes end the code and the link', async () => {
  const { browser, link } = await begin('guessed')
  const phone = stranger()
  await phone.get(link)
  const code = Number(codeOn(phone.page.html))
  for (let n = 1; n <= 5; n += 1) await browser.submit({ code: String((code + n) % 1e6).padStart(6, '0') })
  await browser.get(link)
  await browser.submit()
  assert.equal(isSignedIn(browser), false)
})

test('a new link ends the old one', async () => {
  const { browser, link: old, email } = await begin('renewed')
  await browser.submit({ action: 'resend' })
  assert.match(browser.page.html, /A new link is on its way/)
  const { link } = await lido.message(email, 1)
  await browser.get(old)
  assert.equal(browser.page.status, 410)
  assert.match(browser.page.html, /This link can no longer be used/)
  await browser.get(link)
  await browser.submit()
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('where the sign-in went on another way meanwhile, the link leads no further', async () => {
  const { browser, link } = await begin('switched')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'password' })
  await browser.get(link)
  assert.doesNotMatch(browser.page.html, /<form/)
})

test('a token that was made up, shortened, of another workspace or over is one and the same page', async () => {
  const { link } = await begin('odd')
  const token = link.split('/').at(-1) ?? ''
  const odd = [`${token}A`, token.slice(0, -1), 'x', token.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))]
  for (const path of [...odd.map((one) => `linked/verify/${one}`), `elsewhere/verify/${token}`]) {
    const browser = stranger()
    await browser.get(`/w/${path}`)
    assert.equal(browser.page.status, 410, path)
    assert.match(browser.page.html, /This link can no longer be used/)
  }
})

test('its pages tell nobody their address, are never kept and load nothing from elsewhere', async () => {
  const { browser, link } = await begin('headers')
  const phone = stranger()
  for (const one of [browser, phone]) {
    await one.get(link)
    assert.equal(one.page.headers.get('Referrer-Policy'), 'no-referrer')
    assert.match(one.page.headers.get('Cache-Control') ?? '', /no-store/)
    assert.doesNotMatch(one.page.html, /(?:src|href)="https?:/)
  }
})

test('nothing that is stored or logged gives the link or its code away', async () => {
  const { link } = await begin('kept')
  const phone = stranger()
  await phone.get(link)
  const token = link.split('/').at(-1) ?? assert.fail()
  const code = codeOn(phone.page.html) ?? assert.fail()
  const tables = (
    await rowsOf<{ name: string }>(
      lido,
      `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
        where table_schema in ('public', 'graphile_worker') and table_type = 'BASE TABLE' and table_name <> 'inbox'`,
    )
  ).map(({ name }) => name)
  assert.ok(tables.length > 20)
  for (const table of tables) {
    const rows = JSON.stringify(await rowsOf(lido, `select * from ${table} t`))
    assert.ok(!rows.includes(token), table)
    assert.ok(!new RegExp(`"${code}"`).test(rows), table)
  }
  assert.ok(!lido.lines.join('\n').includes(token))
})

test('the browser of a stranger is remembered as that of everybody', async () => {
  const person = await begin('remembered')
  const unknown: Visit = await visit(lido, 'linked')
  await unknown.submit({ identifier: 'nobody@example.org' })
  const names = (browser: Visit) =>
    [...browser.cookies.keys()].map((name) => name.replace(/(signin|authorize)\/.*/, '')).sort()
  assert.deepEqual(names(unknown), names(person.browser))
  assert.match(cookieOf(unknown, `${lido.url}/w/linked/verify/x`), /lido_links=/)
})
