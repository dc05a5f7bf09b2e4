import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Browser, openBrowser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  cookieOf,
  hiddenOf,
  isSignedIn,
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
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'residents', { self_registration: true })
  const other = await makePool(lido, 'others')
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'third', first_party: false })
  const several = await makeWorkspace(lido, 'several', [{ pool }, { pool: other }])
  await makeClient(lido, several.id)
  await makeUser(lido, pool, 'mike@example.org')
  await makeUser(lido, pool, 'eve@example.org')
})
after(() => lido.stop())

const signedIn = async (identifier: string, browser?: Browser) => {
  const here = await visit(lido, 'acme', { prompt: 'login', ...(browser ? { browser } : {}) })
  await here.submit({ identifier })
  await here.submit({ password })
  assert.ok(isSignedIn(here), here.page.html)
  return here
}

const sessionOf = ({ cookies }: Browser) => {
  const found = [...cookies].find(([name]) => name.startsWith('lido_session'))
  assert.ok(found)
  return { name: found[0], value: found[1].value }
}

/** Whether a session cookie is worth anything. */
const isAlive = async (name: string, value: string): Promise<boolean> => {
  const browser = openBrowser(lido.url)
  browser.cookies.set(name, { value, path: '/' })
  await visit(lido, 'acme', { browser, prompt: 'none' })
  return isSignedIn(browser)
}

test('A29: a session id that was there before the sign-in is worth nothing after it', async () => {
  const { name } = sessionOf(await signedIn('mike@example.org'))
  const victim = openBrowser(lido.url)
  victim.cookies.set(name, { value: 'an-id-that-the-attacker-chose-000000000000', path: '/' })
  await signedIn('mike@example.org', victim)
  assert.notEqual(sessionOf(victim).value, 'an-id-that-the-attacker-chose-000000000000')
  assert.ok(await isAlive(name, sessionOf(victim).value))
  assert.ok(!(await isAlive(name, 'an-id-that-the-attacker-chose-000000000000')))
})

test("A29: the attacker's own live session, planted in a browser, does not become the victim's", async () => {
  const attacker = sessionOf(await signedIn('eve@example.org'))
  const victim = openBrowser(lido.url)
  victim.cookies.set(attacker.name, { value: attacker.value, path: '/' })
  await signedIn('mike@example.org', victim)
  assert.notEqual(sessionOf(victim).value, attacker.value)
  assert.ok(!(await isAlive(attacker.name, attacker.value)))
})

test('A29: signing in again makes a new id, and the old one is dead', async () => {
  const browser = await signedIn('mike@example.org')
  const before = sessionOf(browser)
  await signedIn('mike@example.org', browser)
  assert.notEqual(sessionOf(browser).value, before.value)
  assert.ok(!(await isAlive(before.name, before.value)))
  assert.ok(await isAlive(before.name, sessionOf(browser).value))
})

test('A29: a sign-in cannot be gone on with in a browser that has not begun it', async () => {
  const attacker = await visitAs(lido, 'acme', 'eve@example.org')
  const victim = openBrowser(lido.url)
  await victim.get(attacker.page.url)
  assert.deepEqual([victim.page.status, victim.page.step], [410, 'problem'])
  const form = { ...hiddenOf(attacker.page.html), password }
  await victim.post(attacker.page.url, form)
  assert.deepEqual([victim.page.status, victim.page.step], [410, 'problem'])
  const own = await visitAs(lido, 'acme', 'mike@example.org')
  await own.post(attacker.page.url, form)
  assert.deepEqual([own.page.status, own.page.step], [410, 'problem'])
})

test("A29: the cookie of one sign-in does not open another one's address", async () => {
  const attacker = await visitAs(lido, 'acme', 'eve@example.org')
  const victim = await visitAs(lido, 'acme', 'mike@example.org')
  const path = new URL(victim.page.url).pathname
  const tossed = openBrowser(lido.url)
  for (const [name, { value }] of attacker.cookies) tossed.cookies.set(`${name.split('@')[0]}@${path}`, { value, path })
  await tossed.get(victim.page.url)
  assert.deepEqual([tossed.page.status, tossed.page.step], [410, 'problem'])
})

test('A29: a cookie without its signature opens nothing', async () => {
  const { page, cookies } = await visitAs(lido, 'acme', 'eve@example.org')
  const forged = openBrowser(lido.url)
  const path = new URL(page.url).pathname
  forged.cookies.set(`lido_interaction@${path}`, { value: path.split('/').at(-1) ?? '', path })
  await forged.get(page.url)
  assert.equal(forged.page.status, 410)
  const signature = [...cookies].find(([name]) => name.startsWith('lido_interaction.sig'))?.[1].value ?? ''
  forged.cookies.set(`lido_interaction.sig@${path}`, {
    value: signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
    path,
  })
  await forged.get(page.url)
  assert.equal(forged.page.status, 410)
})

test('A29: where a finished sign-in goes on is of no use in another browser', async () => {
  const attacker = await visitAs(lido, 'acme', 'eve@example.org')
  const response = await fetch(attacker.page.url, {
    method: 'POST',
    redirect: 'manual',
    headers: { Cookie: cookieOf(attacker), 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ ...hiddenOf(attacker.page.html), password }),
  })
  const resume = response.headers.get('Location') ?? ''
  assert.match(resume, /\/w\/acme\/authorize\//)
  const victim = openBrowser(lido.url)
  await victim.get(resume)
  assert.ok(!isSignedIn(victim))
  assert.equal(victim.page.step, 'problem')
  assert.equal(victim.page.status, 400)
})

interface Form {
  browser: Browser
  answer: Record<string, string>
  /** Whether the answer counted. */
  counted(): boolean
}

/** Every form of ours that changes something, up to the moment of sending it. */
const forms: Record<string, () => Promise<Form>> = {
  choose: async () => {
    const browser = await visit(lido, 'several')
    return { browser, answer: { pool: pool.id }, counted: () => browser.page.step === 'identify' }
  },
  identify: async () => {
    const browser = await visit(lido, 'acme')
    return { browser, answer: { identifier: 'mike@example.org' }, counted: () => browser.page.step === 'prove' }
  },
  password: async () => {
    const browser = await visitAs(lido, 'acme', 'mike@example.org')
    return { browser, answer: { password }, counted: () => isSignedIn(browser) }
  },
  'another way': async () => {
    const browser = await visitAs(lido, 'acme', 'mike@example.org')
    await browser.get(browser.link('Sign in another way'))
    return { browser, answer: { method: 'email_code' }, counted: () => /Check your email/.test(browser.page.html) }
  },
  register: async () => {
    const browser = await visit(lido, 'acme')
    await browser.get(browser.link('Create an account'))
    const answer = { identifier: 'forged@example.org', password }
    return { browser, answer, counted: () => browser.page.step === 'verify' }
  },
  'forgotten, in the sign-in': async () => {
    const browser = await visit(lido, 'acme')
    await browser.get(`${browser.page.url}?view=recover`)
    return {
      browser,
      answer: { identifier: 'mike@example.org' },
      counted: () => /New password/.test(browser.page.html),
    }
  },
  forgotten: async () => {
    const browser = openBrowser(lido.url)
    await browser.get('/w/acme/recover')
    return {
      browser,
      answer: { identifier: 'mike@example.org' },
      counted: () => /New password/.test(browser.page.html),
    }
  },
  'new password by link': async () => {
    await makeUser(lido, pool, 'linked@example.org')
    const browser = openBrowser(lido.url)
    await browser.get('/w/acme/recover')
    await browser.submit({ identifier: 'linked@example.org' })
    await browser.get((await lido.message('linked@example.org')).link)
    const answer = { new_password: 'a fresh and secret phrase' }
    return { browser, answer, counted: () => /password is set/.test(browser.page.html) }
  },
  consent: async () => {
    const browser = await visit(lido, 'acme', { client_id: 'third', scope: 'openid email' })
    await browser.submit({ identifier: 'mike@example.org' })
    await browser.submit({ password })
    assert.equal(browser.page.step, 'consent', browser.page.html)
    return { browser, answer: { decision: 'allow' }, counted: () => isSignedIn(browser) }
  },
}

const form = 'application/x-www-form-urlencoded'
const encoded = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

/**
 * Everything that is stored, as one text; jobs that ran meanwhile and the clean-up are not of this, nor are events of what
 * was refused, which are written a moment later.
 */
const stored = async (): Promise<string> => {
  const tables = ['users', 'identifiers', 'credentials', 'consents', 'events', 'artifacts', 'attempts', 'challenges']
  const texts = [...tables, 'limits'].map((name) => {
    const where = name === 'events' ? "where type not like '%.refused'" : ''
    return `(select string_agg(t::text, ',' order by t::text) from ${name} t ${where})`
  })
  const [row] = await rowsOf<{ all: string }>(lido, `select concat_ws('|', ${texts.join()}) as all`)
  return row?.all ?? ''
}

for (const [name, open] of Object.entries(forms)) {
  test(`A30: "${name}" is taken from its own page only`, async () => {
    const { browser, answer, counted } = await open()
    const hidden = hiddenOf(browser.page.html)
    const action = browser.page.html.match(/<form method="post" action="([^"]*)"/)?.[1] ?? ''
    const url = new URL(action.replaceAll('&amp;', '&'), browser.page.url)
    const strange = hiddenOf((await visit(lido, 'acme')).page.html).csrf ?? ''
    const page = { Cookie: cookieOf(browser), Origin: lido.url, 'Content-Type': form, Accept: 'text/html' }
    const good = { ...hidden, ...answer }
    const attacks: [what: string, status: number[], headers: Record<string, string>, body: string][] = [
      ['no token', [403], page, encoded({ ...good, csrf: '' })],
      [
        'no field for it',
        [403],
        page,
        encoded(Object.fromEntries(Object.entries(good).filter(([key]) => key !== 'csrf'))),
      ],
      ["another sign-in's token", [403], page, encoded({ ...good, csrf: strange })],
      ['a token cut short', [403], page, encoded({ ...good, csrf: hidden.csrf?.slice(1) ?? '' })],
      ['another origin', [403], { ...page, Origin: 'https://evil.example' }, encoded(good)],
      ['an origin that begins alike', [403], { ...page, Origin: `${lido.url}.evil.example` }, encoded(good)],
      ['another site', [403], { ...page, Origin: 'null', 'Sec-Fetch-Site': 'cross-site' }, encoded(good)],
      ['a neighbour of the same site', [403], { ...page, 'Sec-Fetch-Site': 'same-site' }, encoded(good)],
      ['plain text', [415], { ...page, 'Content-Type': 'text/plain' }, encoded(good)],
      ['JSON', [415], { ...page, 'Content-Type': 'application/json' }, JSON.stringify(good)],
      ['JSON as plain text', [415], { ...page, 'Content-Type': 'text/plain' }, JSON.stringify(good)],
      ['several parts', [415], { ...page, 'Content-Type': 'multipart/form-data; boundary=x' }, '--x--'],
      ['no type', [415], { ...page, 'Content-Type': '' }, encoded(good)],
      ['no cookie', [403, 410], { ...page, Cookie: '' }, encoded(good)],
    ]
    const before = await stored()
    for (const [what, statuses, headers, body] of attacks) {
      const response = await fetch(url, { method: 'POST', redirect: 'manual', headers, body })
      assert.ok(statuses.includes(response.status), `${what}: ${response.status}`)
      assert.match(await response.text(), /data-step="problem"/)
    }
    assert.equal(await stored(), before)
    await browser.submit(answer)
    assert.ok(counted(), browser.page.html)
  })
}

test('A30: nobody is signed out by another site', async () => {
  const browser = await signedIn('mike@example.org')
  const { name, value } = sessionOf(browser)
  await browser.get(`${lido.url}/w/acme/logout`)
  assert.match(browser.page.html, /Sign out\?/)
  const action = new URL(browser.page.html.match(/<form method="post" action="([^"]*)"/)?.[1] ?? '', browser.page.url)
  for (const xsrf of ['', 'nonsense']) {
    await browser.post(action.href, { logout: 'yes', ...(xsrf ? { xsrf } : {}) })
    assert.equal(browser.page.status, 400)
    assert.ok(await isAlive(name, value))
  }
  await browser.get(`${lido.url}/w/acme/logout`)
  await browser.submit({ logout: 'yes' })
  assert.ok(!(await isAlive(name, value)))
})

test('nothing changes on a GET, whatever it carries', async () => {
  const browser = await visitAs(lido, 'acme', 'mike@example.org')
  const { url } = browser.page
  const before = await stored()
  const views = ['identify', 'register', 'another', 'recover', 'choose', 'nonsense', '__proto__']
  for (const view of views)
    await browser.get(`${url}?view=${view}&password=${password}&action=resend&method=email_code`)
  for (const path of ['recover', 'recover?identifier=mike@example.org', 'recover?token=nonsense'])
    await browser.get(`/w/acme/${path}`)
  assert.equal(await stored(), before)
})
