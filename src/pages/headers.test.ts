import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser, type Page } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redirectUri,
  rowsOf,
  visit,
} from './fixtures-testing.ts'
import { freePort } from './wire-testing.ts'

const origin = 'https://id.example.test'

interface Site {
  lido: TestLido
  /** Every cookie that was set. */
  set: string[]
}

const plain: Partial<Site> = {}
const secure: Partial<Site> = {}
const sites: [what: string, site: Partial<Site>][] = [
  ['http', plain],
  ['https', secure],
]

const open = async (env: Record<string, string>): Promise<Site> => {
  const lido = await testLido(env)
  const pool = await makePool(lido, 'residents', { self_registration: true })
  const other = await makePool(lido, 'others')
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'third', first_party: false })
  await makeClient(lido, workspace.id, {
    id: 'phone',
    application_type: 'native',
    redirect_uris: ['com.example.app:/callback', 'http://127.0.0.1/callback'],
  })
  const several = await makeWorkspace(lido, 'several', [{ pool }, { pool: other }])
  await makeClient(lido, several.id)
  await makeUser(lido, pool, 'mike@example.org')
  return { lido, set: [] }
}

const bareFetch = globalThis.fetch
before(async () => {
  const port = await freePort()
  Object.assign(plain, await open({}))
  Object.assign(secure, await open({ PUBLIC_URL: origin, PORT: String(port) }))
  // What a proxy in front does: the public address, with TLS taken off.
  globalThis.fetch = async (url, init) => {
    const response = await bareFetch(String(url).replace(origin, `http://127.0.0.1:${port}`), init)
    const site = String(url).startsWith(origin) ? secure : plain
    site.set?.push(...response.headers.getSetCookie())
    return response
  }
})
after(async () => {
  globalThis.fetch = bareFetch
  await plain.lido?.stop()
  await secure.lido?.stop()
})

const lastLink = async ({ lido }: Site): Promise<{ code: string; link: string }> => {
  const deadline = Date.now() + 5000
  while (Date.now() < deadline) {
    const [row] = await rowsOf<{ message: { code: string; link: string } }>(
      lido,
      `select message from inbox where message ->> 'link' is not null order by id desc limit 1`,
    )
    if (row) return row.message
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('no mail came')
}

/** Every page there is, by what it is. */
const walk = async (site: Site): Promise<[what: string, page: Page][]> => {
  const pages: [string, Page][] = []
  const see = (what: string, step: string, page: Page) => {
    assert.equal(page.step, step, `${what}: ${page.status} ${page.url}\n${page.html}`)
    pages.push([what, page])
  }
  const choosing = await visit(site.lido, 'several')
  see('choose', 'choose', choosing.page)

  const browser = await visit(site.lido, 'acme', { client_id: 'third', scope: 'openid email' })
  const { get, submit } = browser
  const { url } = browser.page
  see('identify', 'identify', browser.page)
  see('register', 'register', await get(`${url}?view=register`))
  see('register again', 'register', await submit({ identifier: 'bad' }))
  see('recover', 'recover', await get(`${url}?view=recover`))
  see('reset', 'recover', await submit({ identifier: 'mike@example.org' }))
  await get(`${url}?view=register`)
  see('verify', 'verify', await submit({ identifier: 'new@example.org', password }))
  await get(`${url}?view=identify`)
  see('prove', 'prove', await submit({ identifier: 'mike@example.org' }))
  see('prove again', 'prove', await submit({ password: 'wrong' }))
  see('another', 'prove', await get(`${url}?view=another`))
  see('code', 'prove', await submit({ method: 'email_code' }))
  await get(`${url}?view=another`)
  await submit({ method: 'password' })
  see('consent', 'consent', await submit({ password }))
  await submit({ decision: 'allow' })
  assert.ok(isSignedIn(browser), browser.page.url)
  see('logout', 'logout', await get(`${site.lido.url}/w/acme/logout`))
  see('logged out', 'loggedout', await submit({ logout: 'yes' }))

  await get('/w/acme/recover')
  see('forgotten', 'recover', browser.page)
  see('forgotten, code', 'recover', await submit({ identifier: 'mike@example.org' }))
  const { link } = await lastLink(site)
  assert.ok(link.startsWith(`${site.lido.url}/w/acme/recover?token=`), link)
  see('link', 'recover', await get(link))
  see('done', 'recover', await submit({ new_password: 'a fresh and secret phrase' }))

  see('expired', 'problem', await get('/w/acme/signin/unknown'))
  see('unknown workspace', 'problem', await get('/w/unknown/recover'))
  see('unknown address', 'problem', await get('/unknown'))
  see('unknown client', 'problem', await get('/w/acme/authorize?client_id=unknown'))
  const strange = await visit(site.lido, 'acme')
  see('forged', 'problem', await strange.submit({ csrf: 'x' }))
  return pages
}

const directives = (page: Page): Record<string, string[]> =>
  Object.fromEntries(
    (page.headers.get('Content-Security-Policy') ?? '').split('; ').map((one) => {
      const [name = '', ...sources] = one.split(' ')
      return [name, sources]
    }),
  )

const ofTheSignIn = new Set([
  'choose',
  'identify',
  'register',
  'verify',
  'prove',
  'another',
  'code',
  'consent',
  'reset',
])

for (const [what, site] of sites) {
  test(`every page under ${what} has the headers that it needs`, async () => {
    const here = site as Site
    for (const [name, page] of await walk(here)) {
      const policy = directives(page)
      assert.deepEqual(policy['default-src'], ["'none'"], name)
      assert.deepEqual(policy['frame-ancestors'], ["'none'"], name)
      assert.deepEqual(policy['base-uri'], ["'none'"], name)
      assert.ok(
        policy['style-src']?.some((source) => /^'nonce-[\w+/]{22,}={0,2}'$/.test(source)),
        name,
      )
      assert.deepEqual(policy['script-src'], ["'self'"], name)
      assert.doesNotMatch(page.headers.get('Content-Security-Policy') ?? '', /unsafe|http:/, name)
      assert.equal(policy['form-action']?.[0], "'self'", name)
      if (ofTheSignIn.has(name)) assert.ok(policy['form-action']?.includes(new URL(redirectUri).origin), name)
      assert.equal(page.headers.get('Cache-Control'), 'no-store', name)
      assert.equal(page.headers.get('X-Content-Type-Options'), 'nosniff', name)
      assert.equal(page.headers.get('X-Frame-Options'), 'DENY', name)
      assert.equal(page.headers.get('Cross-Origin-Opener-Policy'), 'same-origin', name)
      assert.match(page.headers.get('Content-Type') ?? '', /^text\/html; charset=utf-8$/i, name)
      const strict = name === 'link' || name.startsWith('forgotten') || name === 'done'
      assert.equal(page.headers.get('Referrer-Policy'), strict ? 'no-referrer' : 'same-origin', name)
      const hsts = page.headers.get('Strict-Transport-Security')
      if (what === 'https') assert.match(hsts ?? '', /^max-age=\d{8,}; includeSubDomains$/, name)
      else assert.equal(hsts, null, name)
      const html = page.html.replaceAll(here.lido.url, '')
      assert.doesNotMatch(
        html,
        /<script(?! type="module" src="\/assets\/[\w.-]+\?v=[\w-]{12}"><\/script>)| on\w+="| style="|https?:\/\/(?!app\.example\.test)/,
        name,
      )
    }
  })
}

const read = (line: string) => {
  const [pair = '', ...attributes] = line.split('; ')
  const [name = ''] = pair.split('=')
  const lower = attributes.map((one) => one.toLowerCase())
  const path = lower.find((one) => one.startsWith('path='))?.slice(5)
  return { name, path, has: (attribute: string) => lower.includes(attribute), lower }
}

test('every cookie is hidden from scripts, stays with its site, and has no domain', () => {
  for (const [what, site] of sites) {
    assert.ok((site.set?.length ?? 0) > 10)
    for (const line of site.set ?? []) {
      const cookie = read(line)
      assert.ok(cookie.has('httponly'), line)
      assert.ok(cookie.has('samesite=lax'), line)
      assert.ok(!cookie.lower.some((one) => one.startsWith('domain=')), line)
      assert.equal(cookie.has('secure'), what === 'https', line)
    }
  }
})

test('under https, what lasts is __Host- and the rest is __Secure-', () => {
  const cookies = (secure.set ?? []).map(read)
  const names = new Set(cookies.map(({ name }) => name.replace(/_[0-9a-f]{10}(?=$|\.)/, '')))
  assert.ok(names.has('__Host-lido_session'))
  assert.ok(names.has('__Host-lido_recover'))
  for (const { name, path } of cookies) {
    assert.match(name, /^__(Host|Secure)-/)
    if (name.startsWith('__Host-')) assert.equal(path, '/', name)
  }
})

test('under https, everything that is said is the public address', async () => {
  const { lido } = secure as Site
  const response = await fetch(`${lido.url}/w/acme/.well-known/openid-configuration`, {
    headers: { Host: 'evil.example', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': 'evil.example' },
  })
  const text = await response.text()
  assert.equal(JSON.parse(text).issuer, `${origin}/w/acme`)
  assert.doesNotMatch(text, /http:|evil|127\.0\.0\.1/)
})

test('under https, a form is taken from the public origin only', async () => {
  const { lido } = secure as Site
  for (const [from, status] of [
    ['https://id.example.test.evil.example', 403],
    ['http://id.example.test', 403],
    ['https://id.example.test:444', 403],
    [origin, 200],
  ] as const) {
    const browser = await visit(lido, 'acme')
    await browser.submit({ identifier: 'mike@example.org' }, { Origin: from })
    assert.equal(browser.page.status, status, from)
  }
})

test('a form may lead to the client that asked, whatever kind of address it has', async () => {
  const { lido } = plain as Site
  for (const [redirect, source] of [
    ['com.example.app:/callback', 'com.example.app:'],
    ['http://127.0.0.1:49152/callback', 'http://127.0.0.1:49152'],
  ] as const) {
    const { page } = await visit(lido, 'acme', { client_id: 'phone', redirect_uri: redirect })
    assert.equal(page.step, 'identify', page.html)
    assert.deepEqual(directives(page)['form-action'], ["'self'", source])
  }
})

test('a redirect after a form is a 303 that nobody keeps', async () => {
  const { lido } = plain as Site
  const browser = openBrowser(lido.url)
  await visit(lido, 'acme', { browser })
  const form = browser.page.html.match(/name="csrf" value="([^"]*)"/)?.[1] ?? ''
  const cookie = [...browser.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const response = await fetch(`${browser.page.url}?view=identify`, {
    method: 'POST',
    redirect: 'manual',
    headers: { Cookie: cookie, 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ csrf: form, identifier: 'mike@example.org' }),
  })
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('Cache-Control'), 'no-store')
})

test('the stylesheet may be kept for ever, and is named by what is in it', async () => {
  const { lido } = plain as Site
  const { page } = await visit(lido, 'acme')
  const href = page.html.match(/<link rel="stylesheet" href="([^"]*)"/)?.[1] ?? ''
  const response = await fetch(new URL(href, lido.url))
  assert.equal(response.status, 200)
  assert.match(response.headers.get('Content-Type') ?? '', /^text\/css/)
  assert.match(response.headers.get('Cache-Control') ?? '', /immutable/)
  assert.equal(response.headers.get('X-Content-Type-Options'), 'nosniff')
})
