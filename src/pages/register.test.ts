import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
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
  redeem,
  type Visit,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'residents', {
    self_registration: true,
    user_schema: { type: 'object', properties: { given_name: { type: 'string', title: 'Given name' } }, required: [] },
  })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  const typed = await makePool(lido, 'typed', { self_registration: true, user_schema: everyType })
  const other = await makeWorkspace(lido, 'typed', [{ pool: typed }])
  await makeClient(lido, other.id)
  const closed = await makePool(lido, 'beyond', { self_registration: true, user_schema: beyondForms })
  await makeClient(lido, (await makeWorkspace(lido, 'beyond', [{ pool: closed }])).id)
})
after(() => lido.stop())

const everyType = {
  type: 'object',
  properties: {
    given_name: { type: 'string', title: 'Given name', minLength: 2, maxLength: 10 },
    age: { type: 'integer', title: 'Age', minimum: 18, maximum: 120 },
    height: { type: 'number', title: 'Height', multipleOf: 0.5 },
    news: { type: 'boolean', title: 'Send me news' },
    plan: { type: 'string', title: 'Plan', enum: ['free', 'paid'] },
    floor: { type: 'integer', title: 'Floor', enum: [1, 2, 3] },
    born: { type: 'string', format: 'date', title: 'Born' },
    contact: { type: 'string', format: 'email', title: 'Contact' },
    site: { type: 'string', format: 'uri', title: 'Site' },
    plate: { type: 'string', pattern: '^[A-Z]{2}[0-9]+$', title: 'Plate' },
    nickname: { type: ['string', 'null'], title: 'Nickname' },
    badge: { type: 'string', readOnly: true, title: 'Badge' },
    size: { enum: ['small', 'large'], title: 'Size' },
    birthdate: { type: 'string', format: 'date', title: 'Date of birth' },
  },
  required: ['given_name', 'plan', 'badge'],
}

const beyondForms = {
  type: 'object',
  properties: { tags: { type: 'array', items: { type: 'string' } } },
  required: ['tags'],
}

const openForm = async (workspace = 'acme'): Promise<Visit> => {
  const browser = await visit(lido, workspace)
  await browser.get(browser.link('Create an account'))
  assert.equal(browser.page.step, 'register')
  return browser
}

const fill = async (identifier: string, more: Record<string, string> = {}): Promise<Visit> => {
  const browser = await openForm()
  await browser.submit({ identifier, password, ...more })
  return browser
}

const find = (email: string) =>
  users.findByIdentifier(lido.services.db, pool.id, { kind: 'email', value: email, typed: email })

const signIn = async (email: string, secret: string): Promise<Visit> => {
  const browser = await visitAs(lido, 'acme', email)
  await browser.submit({ password: secret })
  return browser
}

const claimsOf = async (browser: Visit, workspace = 'acme'): Promise<Record<string, unknown>> => {
  const { body } = await redeem(lido, workspace, browser)
  return JSON.parse(Buffer.from(body.id_token?.split('.')[1] ?? '', 'base64url').toString())
}

const wrongFields = ({ page }: Browser): string[] =>
  [...page.html.matchAll(/<(?:input|select)[^>]*aria-invalid="true"[^>]*>/g)].map(
    ([tag]) => tag.match(/ name="([^"]*)"/)?.[1] ?? '',
  )

test('A18: a taken address meets the same screen, its owner a mail, and no code ever fits', async () => {
  await makeUser(lido, pool, 'mike@example.org')
  const taken = await fill('mike@example.org')
  const free = await fill('nora@example.org')
  assert.equal(taken.page.step, 'verify')
  assert.deepEqual(likeness(taken, 'mike@example.org'), likeness(free, 'nora@example.org'))
  const mail = await lido.message('mike@example.org')
  assert.match(mail.subject, /You already have an account/)
  assert.equal(mail.code, null)
  const { code } = await lido.message('nora@example.org')
  await taken.submit({ code })
  assert.equal(taken.page.step, 'verify')
  const wrong = await fill('otto@example.org')
  await wrong.submit({ code })
  assert.equal(taken.page.alert, wrong.page.alert)
  assert.ok(isSignedIn(await signIn('mike@example.org', password)))
})

test('an enumeration without a type is a choice, and a birthday is filled in by the browser', async () => {
  const { html } = (await openForm('typed')).page
  assert.match(html, /<select[^>]*name="size"/)
  assert.match(html, /<input type="date"[^>]*autocomplete="bday"[^>]*name="birthdate"/)
})

test('a fault that no field can show is told of all the same', async () => {
  const browser = await openForm('beyond')
  await browser.submit({ identifier: 'beyond@example.org', password })
  assert.equal(browser.page.step, 'register')
  assert.equal(browser.page.alert, 'Please check your answers.')
})

test('A18: asking for another code looks the same for a taken address', async () => {
  await makeUser(lido, pool, 'resent@example.org')
  const pages = []
  for (const address of ['resent@example.org', 'resent-free@example.org']) {
    const browser = await fill(address)
    await browser.submit({ action: 'resend' })
    pages.push(likeness(browser, address))
  }
  assert.deepEqual(pages[0], pages[1])
})

test('A01, A02: twenty registrations of one address make one user, who is whoever proves the mailbox', async () => {
  const email = 'twenty@example.org'
  const rivals = await Promise.all(Array.from({ length: 20 }, () => openForm()))
  await Promise.all(
    rivals.map((browser, index) =>
      browser.submit({ identifier: email, given_name: `Rival ${index}`, password: `rival ${index} ${password}` }),
    ),
  )
  assert.ok(rivals.every(({ page }) => page.status === 200))
  const rows = await countOf(lido, `identifiers where value = '${email}'`)
  assert.equal(rows, 1)
  const waiting = rivals.filter(({ page }) => page.step === 'verify')
  assert.ok(waiting.length > 1)
  const { code, winner } = await whoseCode(email, waiting)
  assert.ok(code)
  assert.ok(isSignedIn(winner))
  const claims = await claimsOf(winner)
  const index = rivals.indexOf(winner)
  assert.equal((await find(email))?.profile.given_name, `Rival ${index}`)
  assert.equal(claims.sub, (await find(email))?.id)
  assert.ok(isSignedIn(await signIn(email, `rival ${index} ${password}`)))
  for (const [other] of rivals.entries())
    if (other !== index && other < 4) assert.ok(!isSignedIn(await signIn(email, `rival ${other} ${password}`)))
})

/** The newest code in the mailbox is good in exactly one of the browsers. */
const whoseCode = async (email: string, waiting: Visit[]) => {
  const { code } = await lido.message(email, waiting.length - 1)
  for (const browser of waiting) {
    await browser.submit({ code })
    if (browser.page.step !== 'verify') return { code, winner: browser }
  }
  throw new Error('the code fitted nobody')
}

test('A01: what a stranger left with an unproven registration is gone when the owner registers', async () => {
  const email = 'victim@example.org'
  const attacker = await fill(email, { given_name: 'Mallory', password: 'the password of the attacker' })
  assert.equal(attacker.page.step, 'verify')
  await lido.message(email)
  const owner = await fill(email, { given_name: 'Vic' })
  const { code } = await lido.message(email, 1)
  await owner.submit({ code })
  assert.ok(isSignedIn(owner), owner.page.html)
  assert.deepEqual((await find(email))?.profile, { given_name: 'Vic' })
  assert.equal((await find(email))?.credentials.length, 1)
  assert.ok(!isSignedIn(await signIn(email, 'the password of the attacker')))
  assert.ok(isSignedIn(await signIn(email, password)))
  await attacker.submit({ code })
  assert.equal(attacker.page.step, 'verify')
  await attacker.submit({ action: 'resend' })
  assert.match((await lido.message(email, 2)).subject, /already have an account/)
})

test('A28-like binding: the code of one browser is of no use in another', async () => {
  const email = 'bound@example.org'
  const first = await fill(email)
  const { code: one } = await lido.message(email)
  const second = await fill(email)
  const { code: two } = await lido.message(email, 1)
  await first.submit({ code: two })
  assert.equal(first.page.step, 'verify')
  await second.submit({ code: one })
  assert.equal(second.page.step, 'verify')
  await second.submit({ code: two })
  assert.ok(isSignedIn(second))
})

test('a new code ends the old one, and is good itself', async () => {
  const browser = await fill('again@example.org')
  const { code: old } = await lido.message('again@example.org')
  await browser.submit({ action: 'resend' })
  assert.equal(browser.page.step, 'verify')
  assert.match(browser.page.html, /A new code is on its way/)
  const { code } = await lido.message('again@example.org', 1)
  await browser.submit({ code: old })
  assert.equal(browser.page.step, 'verify')
  await browser.submit({ code: ` ${code.slice(0, 3)}-${code.slice(3)} ` })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('a mistyped address can be corrected, and what else was typed is kept', async () => {
  const browser = await fill('mistpyed@example.org', { given_name: 'Mia' })
  await browser.submit({ action: 'correct' })
  assert.equal(browser.page.step, 'register')
  assert.match(browser.page.html, /value="mistpyed@example\.org"/)
  assert.match(browser.page.html, /value="Mia"/)
  assert.doesNotMatch(browser.page.html, new RegExp(password))
  const { code: stray } = await lido.message('mistpyed@example.org')
  await browser.submit({ identifier: 'mistyped@example.org', password })
  const { code } = await lido.message('mistyped@example.org')
  await browser.submit({ code: stray === code ? '' : stray })
  assert.equal(browser.page.step, 'verify')
  await browser.submit({ code })
  assert.ok(isSignedIn(browser))
  assert.equal((await find('mistpyed@example.org'))?.status, 'new')
  assert.equal((await find('mistyped@example.org'))?.status, 'active')
})

test('A10: after five wrong codes the right one is refused, and a new one is needed', async () => {
  const browser = await fill('guess@example.org')
  const { code } = await lido.message('guess@example.org')
  for (const wrong of wrongCodes(code, 6)) await browser.submit({ code: wrong })
  await browser.submit({ code })
  assert.equal(browser.page.step, 'verify')
  assert.match(browser.page.alert ?? '', /no longer valid/)
  await browser.submit({ action: 'resend' })
  await browser.submit({ code: (await lido.message('guess@example.org', 1)).code })
  assert.ok(isSignedIn(browser))
})

const wrongCodes = (code: string, n: number) =>
  Array.from({ length: n }, (_, index) => String((Number(code) + index + 1) % 1_000_000).padStart(6, '0'))

test('A11: fifty wrong codes at once kill the code', async () => {
  const browser = await fill('race-wrong@example.org')
  const { code } = await lido.message('race-wrong@example.org')
  const answers = await atOnce(
    lido,
    browser,
    wrongCodes(code, 50).map((wrong) => ({ code: wrong })),
  )
  assert.ok(answers.every(({ status }) => status === 303))
  await browser.submit({ code })
  assert.equal(browser.page.step, 'verify')
  assert.equal((await find('race-wrong@example.org'))?.status, 'new')
})

test('A11: twenty right codes at once are one registration', async () => {
  const email = 'race-right@example.org'
  const browser = await fill(email)
  const { code } = await lido.message(email)
  const answers = await atOnce(
    lido,
    browser,
    Array.from({ length: 20 }, () => ({ code })),
  )
  assert.ok(answers.every(({ status }) => status === 303))
  assert.equal((await find(email))?.status, 'active')
  const rows = await countOf(lido, `events where type = 'user.registered' and user_id = '${(await find(email))?.id}'`)
  assert.equal(rows, 1)
  await browser.get(browser.page.url)
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('every type of a schema is drawn as its own field, with its title, bounds and choices', async () => {
  const { page } = await openForm('typed')
  const tag = (name: string) => page.html.match(new RegExp(`<(?:input|select)[^>]* name="${name}"[^>]*>`))?.[0] ?? ''
  assert.match(tag('given_name'), /type="text".* minlength="2" maxlength="10"/)
  assert.match(tag('given_name'), / required/)
  assert.match(tag('given_name'), /autocomplete="given-name"/)
  assert.match(tag('age'), /type="number".* min="18" max="120"/)
  assert.match(tag('height'), /type="number"/)
  assert.match(tag('news'), /type="checkbox"/)
  assert.match(tag('plan'), /<select/)
  assert.match(tag('floor'), /<select/)
  assert.match(page.html, /<option value="paid">paid<\/option>/)
  assert.match(tag('born'), /type="date"/)
  assert.match(tag('contact'), /type="email"/)
  assert.match(tag('site'), /type="url"/)
  const order = [...page.html.matchAll(/<label for="field-([a-z_]+)"/g)].map(([, name]) => name)
  const own = Object.keys(everyType.properties).filter((name) => name !== 'badge')
  assert.deepEqual(order, ['identifier', ...own, 'password'], 'what is for operators to set is not asked for')
})

test('a profile is taken as the types of its schema, and comes back in the claims', async () => {
  const browser = await openForm('typed')
  const typed = {
    given_name: 'Ada',
    age: '36',
    height: '170.5',
    news: 'true',
    plan: 'paid',
    floor: '2',
    born: '1815-12-10',
    contact: 'ada@example.org',
    site: 'https://example.org/ada',
    plate: 'LO42',
    nickname: 'Countess',
    badge: 'gold',
    status: 'inactive',
    role: 'admin',
  }
  await browser.submit({ identifier: 'typed@example.org', password, ...typed })
  assert.equal(browser.page.step, 'verify', browser.page.html)
  await browser.submit({ code: (await lido.message('typed@example.org')).code })
  assert.ok(isSignedIn(browser), browser.page.html)
  const { sub } = await claimsOf(browser, 'typed')
  const user = await users.findById(lido.services.db, String(sub))
  assert.equal(user?.status, 'active')
  assert.deepEqual(user?.profile, {
    given_name: 'Ada',
    age: 36,
    height: 170.5,
    news: true,
    plan: 'paid',
    floor: 2,
    born: '1815-12-10',
    contact: 'ada@example.org',
    site: 'https://example.org/ada',
    plate: 'LO42',
    nickname: 'Countess',
  })
})

const faults: [name: string, values: Record<string, string>, marked: string[]][] = [
  ['what is required', { plan: '' }, ['plan']],
  ['a text too short', { given_name: 'A' }, ['given_name']],
  ['a text too long', { given_name: 'A'.repeat(11) }, ['given_name']],
  ['a whole number with a fraction', { age: '36.5' }, ['age']],
  ['a number too small', { age: '17' }, ['age']],
  ['a number too large', { age: '121' }, ['age']],
  ['no number at all', { age: 'old' }, ['age']],
  ['a number that is not finite', { height: 'Infinity' }, ['height']],
  ['a number in another base', { age: '0x24' }, ['age']],
  ['a number off its steps', { height: '1.3' }, ['height']],
  ['a choice that is not offered', { plan: 'gold' }, ['plan']],
  ['a number that is not offered', { floor: '4' }, ['floor']],
  ['a date that is none', { born: '1990-13-31' }, ['born']],
  ['an email that is none', { contact: 'ada' }, ['contact']],
  ['an address that is none', { site: 'javascript' }, ['site']],
  ['a pattern that does not fit', { plate: 'lo42' }, ['plate']],
  ['an identifier that is none', { identifier: 'nobody' }, ['identifier']],
  ['no password', { password: '' }, ['password']],
  ['a short password', { password: 'eleven char' }, ['password']],
  ['a password of the address', { password: 'wrong@example.org' }, ['password']],
  ['a password of one letter', { password: 'aaaaaaaaaaaaaaaa' }, ['password']],
  ['a password over 1,024 bytes', { password: 'long enough '.repeat(90) }, ['password']],
  ['several things at once', { age: '17', plan: 'gold', password: 'short' }, ['age', 'plan', 'password']],
]
for (const [name, values, marked] of faults) {
  test(`marks ${name}, keeps what was typed and registers nobody`, async () => {
    const browser = await openForm('typed')
    const good = { identifier: 'wrong@example.org', given_name: 'Ada', plan: 'free', password }
    await browser.submit({ ...good, ...values })
    assert.equal(browser.page.status, 200)
    assert.equal(browser.page.step, 'register')
    assert.deepEqual(wrongFields(browser), marked, browser.page.html)
    assert.ok(browser.page.alert)
    if (!('given_name' in values)) assert.match(browser.page.html, /value="Ada"/)
    for (const secret of [password, values.password ?? '']) {
      if (secret && secret !== good.identifier) assert.ok(!browser.page.html.includes(secret), 'a password was drawn')
    }
    const rows = await countOf(lido, `identifiers where value = 'wrong@example.org'`)
    assert.equal(rows, 0)
  })
}

test('a field named like something that every object has is refused, and nothing is merged', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', '__defineGetter__']) {
    const browser = await openForm()
    await browser.submit({ identifier: 'proto@example.org', password, [name]: 'x' })
    assert.equal(browser.page.status, 400, name)
  }
  assert.equal(await find('proto@example.org'), undefined)
  assert.equal(({} as Record<string, unknown>).x, undefined)
})

test('a pool that is closed to registration registers nobody, whatever is posted', async () => {
  const closed = await makePool(lido, 'closed')
  const workspace = await makeWorkspace(lido, 'closed', [{ pool: closed }])
  await makeClient(lido, workspace.id)
  const browser = await visit(lido, 'closed')
  assert.throws(() => browser.link('Create an account'))
  const csrf = browser.page.html.match(/name="csrf" value="([^"]*)"/)?.[1] ?? ''
  await browser.post(`${browser.page.url}?view=register`, { csrf, identifier: 'nobody@example.org', password })
  assert.equal(browser.page.status, 200)
  const rows = await countOf(lido, `users where pool_id = '${closed.id}'`)
  assert.equal(rows, 0)
})
