import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { clientMetadata } from '../directory/client-metadata.ts'
import * as workspaces from '../directory/workspaces.ts'
import { type TestLido, testLido } from '../testing.ts'
import { makeClient, makePool, makeUser, makeWorkspace, password, type Visit, visit } from './fixtures-testing.ts'

// Each would show in an answer as something else than itself, if anything read it.
const payloads = [
  '{{7*7}}',
  '{{range.constructor("return 7*7")()}}',
  '{% include "/etc/passwd" %}',
  '<script>alert(49)</script>',
  '"><img src=x onerror=alert(49)>',
  "'; --></style><svg/onload=alert(49)>",
  '{7*7} #{7*7} <%= 7*7 %>',
]
const all = payloads.join(' ')

let lido: TestLido
let poolId: string
before(async () => {
  lido = await testLido()
  const pool = await makePool(lido, 'residents', {
    self_registration: true,
    user_schema: {
      type: 'object',
      properties: {
        given_name: { type: 'string', title: all, description: all },
        plan: { type: 'string', title: 'Plan', enum: payloads },
      },
    },
  })
  poolId = pool.id
  const other = await makePool(lido, 'others')
  const branding = { links: payloads.slice(0, 6).map((label) => ({ label, href: 'https://example.org/"><b>' })) }
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }, { pool: other }], { branding })
  await makeClient(lido, workspace.id, { client_name: all, first_party: false })
  await makeUser(lido, pool, 'mike@example.org')
  const { db } = lido.services
  await db.updateTable('workspaces').set({ name: all }).where('id', '=', workspace.id).execute()
  await db.updateTable('connections').set({ name: all }).where('workspaceId', '=', workspace.id).execute()
  await db.updateTable('pools').set({ description: all }).where('id', 'in', [pool.id, other.id]).execute()
})
after(() => lido.stop())

/** Nothing that was put in is read as a template or as markup, wherever a page or a mail shows it. */
const isLiteral = (html: string, where: string) => {
  assert.doesNotMatch(
    html,
    /<script(?! type="module" src="\/assets\/)|<svg|<img src=x|<b>|onerror=alert\(49\)>/i,
    where,
  )
  const told = html.replace(/<style[\s\S]*?<\/style>|nonce="[^"]*"|value="[^"]*"|\/signin\/[\w-]+|action="[^"]*"/g, '')
  assert.doesNotMatch(told.replace(/alert\(49\)/g, ''), /\b49\b/, where)
  assert.doesNotMatch(html, /root:/, where)
}

const policyOf = ({ page }: Visit) => page.headers.get('Content-Security-Policy') ?? ''

const check = (browser: Visit, where: string, shown: boolean = true) => {
  const { html } = browser.page
  isLiteral(html, where)
  if (shown) assert.ok(html.includes('{{7*7}}') && html.includes('&lt;script&gt;alert(49)&lt;/script&gt;'), where)
  assert.doesNotMatch(policyOf(browser), /unsafe|\*/, where)
  assert.match(policyOf(browser), /default-src 'none'/, where)
  const nonce = policyOf(browser).match(/'nonce-([^']+)'/)?.[1]
  for (const [tag] of html.matchAll(/<style[^>]*>/g)) assert.ok(tag.includes(`nonce="${nonce}"`), where)
  assert.doesNotMatch(html, / style="| on[a-z]+="/, where)
}

test('A37: what operators typed is shown as it is, on every page of the sign-in', async () => {
  const browser = await visit(lido, 'acme')
  check(browser, 'choose')
  await browser.submit({ pool: poolId })
  check(browser, 'identify')
  await browser.get(browser.link('Create an account'))
  check(browser, 'register')
  await browser.submit({ identifier: 'bad', given_name: all, plan: 'none of them', password: 'short' })
  check(browser, 'register with faults')
  assert.ok(browser.page.html.includes('value="{{7*7}} {{range.constructor(&quot;return 7*7&quot;)()}}'))
  await browser.submit({ identifier: all, given_name: all, password })
  check(browser, 'register with a bad address')
})

test('A37: what people typed is shown as it is, on pages and in mails', async () => {
  const browser = await visit(lido, 'acme')
  await browser.submit({ pool: poolId })
  await browser.submit({ identifier: all })
  check(browser, 'identify with what was typed')
  const { url } = browser.page
  await browser.get(`${url.split('?')[0]}?view=register`)
  const name = "o'{{7*7}}<b>@example.org"
  await browser.submit({ identifier: name, given_name: all, password })
  check(browser, 'a strange address')
  await browser.submit({ identifier: "o'{{7*7}}@example.org", given_name: all, password })
  assert.equal(browser.page.step, 'verify')
  check(browser, 'verify')
  const mail = await lido.message("o'{{7*7}}@example.org")
  isLiteral(mail.html, 'mail')
  assert.ok(mail.html.includes('{{7*7}}'))
  assert.ok(mail.text.includes('<script>alert(49)</script>'), 'a text is a text')
  assert.doesNotMatch(mail.subject, /[\r\n]/)
  await browser.submit({ code: mail.code })
  assert.equal(browser.page.step, 'consent', browser.page.html)
  check(browser, 'consent')
})

test('A37: a hint that comes with the address is shown as it is', async () => {
  const browser = await visit(lido, 'acme', { login_hint: all, ui_locales: `${all} en` })
  await browser.submit({ pool: poolId })
  check(browser, 'hint')
})

test('A37: an error page repeats what was asked as text only', async () => {
  for (const parameter of ['client_id', 'redirect_uri', 'scope', 'prompt', 'response_type']) {
    const browser = await visit(lido, 'acme', { [parameter]: all })
    if (browser.page.step) check(browser, parameter)
    else assert.ok(browser.page.url.startsWith('https://app.example.test/callback?error='), parameter)
  }
  const browser = await visit(lido, 'acme')
  for (const path of [
    `/w/${encodeURIComponent(all)}`,
    `/${encodeURIComponent(all)}`,
    '/w/acme/recover?token=%7B%7B7*7%7D%7D',
  ]) {
    await browser.get(path)
    check(browser, path, false)
  }
})

test('A37: the page to sign out and its end show an application as it is', async () => {
  const browser = await signIn('mike@example.org')
  await browser.get('/w/acme/logout')
  check(browser, 'logout')
  await browser.submit({ logout: 'yes' })
  check(browser, 'logged out')
})

const signIn = async (identifier: string): Promise<Visit> => {
  const browser = await visit(lido, 'acme')
  await browser.submit({ pool: poolId })
  await browser.submit({ identifier })
  check(browser, 'prove')
  await browser.submit({ password })
  return browser
}

const refused: [what: string, branding: Record<string, unknown>][] = [
  ['a javascript: logo', { logo: 'javascript:alert(49)' }],
  ['a data: logo with markup', { logo: 'data:text/html,<script>alert(49)</script>' }],
  ['a logo without TLS', { logo: 'http://example.org/logo.png' }],
  ['a javascript: link', { links: [{ label: 'x', href: 'javascript:alert(49)' }] }],
  ['a colour that is more than a colour', { color: '#123456;background:url(//evil.example)' }],
  ['a colour by function', { color: 'url(//evil.example)' }],
  ['a colour that ends the style', { color: '</style><script>' }],
]
for (const [what, branding] of refused) {
  test(`A37: ${what} is refused`, async () => {
    const { db, clock } = lido.services
    const settings = { branding } as Parameters<typeof workspaces.create>[2]['settings']
    await assert.rejects(workspaces.create(db, clock.now(), { slug: 'refused', name: 'Refused', settings }))
  })
}

test('A37: addresses of a client that are no web addresses are refused', async () => {
  for (const field of ['logo_uri', 'client_uri', 'policy_uri', 'tos_uri'] as const) {
    const metadata = { client_name: 'Evil', [field]: 'javascript:alert(49)' }
    assert.throws(() => clientMetadata.parse(metadata), field)
  }
})

test('A37: every page has a nonce of its own', async () => {
  const nonces = new Set()
  for (let n = 0; n < 5; n += 1) nonces.add(policyOf(await visit(lido, 'acme')).match(/'nonce-([^']+)'/)?.[1])
  assert.equal(nonces.size, 5)
  for (const nonce of nonces) assert.ok(Buffer.from(String(nonce), 'base64').length >= 16)
})
