import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, fill, shownIn } from './record-form-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  browser = await openConsole(lido)
})
after(() => lido.stop())

test('a workspace is made, shown with its addresses, and changed', async () => {
  await fill(browser, '/console/workspaces/~new', {
    name: 'Acme',
    slug: 'acme',
    'branding.links': 'Privacy = https://a.example/p?x=1',
  })
  assert.match(browser.page.html, /The workspace was made/)
  assert.match(browser.page.html, /\/w\/acme\/\.well-known\/openid-configuration/)
  for (const tab of ['Clients', 'Connections', 'Keys']) assert.ok(browser.link(tab))
  await fill(browser, '/console/workspaces/acme/~edit', {
    'lifetimes.access_token': '600',
    'lifetimes.pushed_request': '120',
    'branding.color': '#0a7d4f',
  })
  assert.match(browser.page.html, /The workspace was changed/)
  assert.match(browser.page.html, /10 minutes/)
  const { body } = await lido.call('GET', '/workspaces/acme')
  assert.deepEqual(body.branding, {
    logo: null,
    color: '#0a7d4f',
    links: [{ label: 'Privacy', href: 'https://a.example/p?x=1' }],
  })
  assert.equal((body.lifetimes as Record<string, number>).access_token, 600)
  assert.equal((body.lifetimes as Record<string, number>).pushed_request, 120)
})

test('a wrong value is said at its field, and what was typed stays', async () => {
  await fill(browser, '/console/workspaces/acme/~edit', {
    name: '',
    'branding.color': 'green',
    'branding.links': 'Privacy = https://a.example/p\nTerms = http://a.example/t',
  })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-name"[^>]*>This is needed/)
  await fill(browser, '/console/workspaces/acme/~edit', {
    'branding.color': 'green',
    'branding.links': 'Privacy = https://a.example/p\nTerms = http://a.example/t',
  })
  assert.match(browser.page.html, /id="error-branding\.color"/)
  assert.match(browser.page.html, /id="error-branding\.links"[^>]*>Line 2: /)
  assert.match(browser.page.html, /value="green"/)
  assert.match(browser.page.html, /Terms = http:\/\/a\.example\/t/)
})

test('what is emptied falls back to what it is without being said', async () => {
  await fill(browser, '/console/workspaces/acme/~edit', { 'branding.links': '', 'lifetimes.access_token': '' })
  const { body } = await lido.call('GET', '/workspaces/acme')
  assert.deepEqual((body.branding as { links: unknown }).links, [])
  assert.equal((body.lifetimes as Record<string, number>).access_token, 3600)
})

test('the admin workspace is not offered for deletion, and another one is', async () => {
  await browser.get('/console/workspaces/admin')
  assert.doesNotMatch(browser.page.html, /Delete the workspace/)
  await browser.get('/console/workspaces/acme')
  assert.match(browser.page.html, /Delete the workspace/)
  await browser.get('/console/workspaces/admin/~delete')
  await browser.post('/console/workspaces/admin/~delete', { csrf: csrfOf(browser.page.html) })
  assert.match(browser.page.alert ?? '', /cannot be deleted/)
})

test('pools are connected in order; one that is connected is not offered again', async () => {
  const { body: pool } = await lido.call('POST', '/pools', { slug: 'staff', name: 'Staff' })
  const at = '/console/workspaces/acme/connections'
  await browser.get(`${at}/~new`)
  assert.match(browser.page.html, /<option value="staff"/)
  await fill(browser, `${at}/~new`, {
    pool: 'staff',
    position: '2',
    mapping: 'department = metadata.department',
    domains: 'a.example\nb.example',
  })
  assert.match(browser.page.html, /The connection was made/)
  const { items = [] } = (await lido.call('GET', '/workspaces/acme/connections')).body
  const [{ id, created_at: _c, updated_at: _u, ...made } = {}] = items
  assert.deepEqual(made, {
    pool: 'staff',
    pool_id: pool.id,
    name: 'Staff',
    position: 2,
    hidden: false,
    domains: ['a.example', 'b.example'],
    amr: null,
    mapping: { department: 'metadata.department' },
    reload_claims_at_refresh: false,
    context_cache_seconds: null,
    post_authentication_script: null,
    post_authentication_application: null,
    enabled: true,
  })
  await browser.get(`${at}/~new`)
  assert.doesNotMatch(browser.page.html, /<option value="staff"/)
  await fill(browser, `${at}/${id}/~edit`, { domains: '', mapping: '', position: '1', hidden: 'true' })
  const { body } = await lido.call('GET', `/workspaces/acme/connections/${id}`)
  assert.deepEqual([body.domains, body.mapping, body.position, body.hidden], [[], {}, 1, true])
  await fill(browser, `${at}/${id}/~edit`, { domains: 'not a domain', mapping: 'sub = email' })
  assert.match(browser.page.html, /id="error-domains"[^>]*>Line 1: /)
  assert.match(browser.page.html, /id="error-mapping"[^>]*>sub: /)
  await browser.get(`${at}/${id}/~delete`)
  await browser.post(`${at}/${id}/~delete`, { csrf: csrfOf(browser.page.html) })
  assert.equal((await lido.call('GET', `/workspaces/acme/connections/${id}`)).status, 404)
})

test('keys are shown by what they do, and changed over one algorithm at a time', async () => {
  const at = '/console/workspaces/acme/keys'
  await browser.get(at)
  assert.equal(browser.page.html.match(/Signs now/g)?.length, 4)
  await browser.get(browser.link('Rotate ES256'))
  const csrf = csrfOf(browser.page.html)
  await browser.post(`${at}/~rotate`, { alg: 'ES256' })
  assert.equal(browser.page.status, 403)
  await browser.post(`${at}/~rotate`, { csrf, alg: 'ES256' })
  assert.match(browser.page.html, /New keys are published/)
  assert.equal(browser.page.html.match(/Published, and signs soon/g)?.length, 1)
  assert.throws(() => browser.link('Rotate ES256'))
  await browser.post(`${at}/~rotate`, { csrf, alg: 'ES256' })
  assert.match(browser.page.alert ?? '', /New keys sign from/)
})

test('a key that leaked is revoked, and another one signs in its place', async () => {
  const at = '/console/workspaces/acme/keys'
  await browser.get(at)
  const href = browser.page.html.match(/href="([^"]+)">Revoke RS256 /)?.[1]
  assert(href)
  await browser.get(href)
  const csrf = csrfOf(browser.page.html)
  await browser.post(href, {})
  assert.equal(browser.page.status, 403)
  await browser.post(href, { csrf })
  assert.match(browser.page.html, /The key is withdrawn/)
  assert.doesNotMatch(browser.page.html, new RegExp(href))
  assert.equal(browser.page.html.match(/Signs now/g)?.length, 4)
  await browser.post(href, { csrf })
  assert.match(browser.page.alert ?? '', /withdrawn already/)
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(href)
  assert.equal(viewer.page.status, 403)
})

test('a viewer sees it all, and is offered and allowed no change', async () => {
  const viewer = await openConsole(lido, { role: 'viewer' })
  for (const at of ['', '/connections', '/keys', '/clients']) {
    await viewer.get(`/console/workspaces/acme${at}`)
    assert.equal(viewer.page.status, 200)
    assert.doesNotMatch(viewer.page.html, /~new|~edit|~delete|~rotate|~revoke/)
  }
  for (const path of ['/~edit', '/connections/~new', '/clients/~new', '/keys/~rotate']) {
    await viewer.get(`/console/workspaces/acme${path}`)
    assert.equal(viewer.page.status, 403)
  }
  await viewer.get('/console/workspaces/acme')
  await viewer.post('/console/workspaces/acme/keys/~rotate', { csrf: csrfOf(viewer.page.html) })
  assert.equal(viewer.page.status, 403)
})

test('the preview is drawn with what is typed, in a frame of this console alone, and does nothing', async () => {
  const at = '/console/workspaces/acme/~preview'
  await browser.get('/console/workspaces/acme/~edit')
  assert.match(browser.page.headers.get('Content-Security-Policy') ?? '', /frame-src 'self'/)
  assert.match(browser.page.headers.get('Content-Security-Policy') ?? '', /frame-ancestors 'none'/)
  const typed = { ...shownIn(browser.page.html), name: 'Acme & Söhne', 'branding.color': '#7a1fa2' }
  await browser.post(at, { ...typed, 'preview.page': 'register' })
  assert.equal(browser.page.step, 'register')
  assert.match(browser.page.html, /Acme &amp; Söhne/)
  assert.match(browser.page.html, /--brand:#7a1fa2/)
  const policy = browser.page.headers.get('Content-Security-Policy') ?? ''
  for (const part of [/frame-ancestors 'self'/, /script-src 'none'/, /form-action 'none'/, /; sandbox$/])
    assert.match(policy, part)
  assert.equal(browser.page.headers.get('X-Frame-Options'), 'SAMEORIGIN')
  await browser.post(at, { ...typed, 'branding.color': '#7a1' })
  assert.match(browser.page.html, /--brand:#0a7d4f/)
  assert.match(browser.page.html, /Acme &amp; Söhne/)
  await browser.get(at)
  assert.equal(browser.page.step, 'identify')
  await browser.post(at, { name: 'no token' })
  assert.equal(browser.page.status, 403)
  assert.equal((await lido.call('GET', '/workspaces/acme')).body.name, 'Acme')
})
