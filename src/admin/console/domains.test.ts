import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sendTo } from '../../oidc/raw-testing.ts'
import { type DnsDouble, dnsDouble } from '../../platform/dns-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, fill } from './record-form-testing.ts'

let dns: DnsDouble
let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  dns = await dnsDouble()
  lido = await adminLido({ DNS_SERVERS: dns.server })
  browser = await openConsole(lido)
})
after(async () => {
  await lido.stop()
  await dns.stop()
})

const at = '/console/workspaces/demo/domains'
const take = async (title: string) => {
  await browser.get(browser.link(title))
  const csrf = csrfOf(browser.page.html)
  await browser.post(browser.page.url, {})
  assert.equal(browser.page.status, 403)
  await browser.post(browser.page.url, { csrf })
}

test('a domain is named, verified, made primary and deleted', async () => {
  await fill(browser, `${at}/~new`, { host: 'not a host' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-host"/)
  assert.match(browser.page.html, /value="not a host"/)
  await fill(browser, `${at}/~new`, { host: 'login.acme.localhost' })
  assert.match(browser.page.html, /The domain was made/)
  const { href } = new URL(browser.page.url)
  assert.match(browser.page.html, /Not verified/)
  const [name, value] = [...browser.page.html.matchAll(/<td><code tabindex="0">([^<]+)</g)].map(
    ([, text]) => text ?? '',
  )
  assert.equal(name, '_lido-challenge.login.acme.localhost')
  lido.services.fetch = () => Promise.reject(new Error('nobody is there'))
  await take('Check both records')
  assert.match(browser.page.html, /There is no TXT record yet. The address does not lead here yet/)
  await take('Verify')
  assert.match(browser.page.alert ?? '', /_lido-challenge.login.acme.localhost has no TXT record yet/)
  dns.zone[name] = [value ?? '']
  lido.services.fetch = async (url) => {
    const { pathname, host } = new URL(url)
    const { status, text } = await sendTo(lido.url, { path: pathname, headers: { Host: host } })
    return { status, headers: {}, text: () => text, json: () => undefined }
  }
  await browser.get(href)
  await take('Check both records')
  assert.match(browser.page.html, /The TXT record names this workspace. The address leads here/)
  assert.match(browser.page.html, /Not verified/)
  await take('Verify')
  assert.match(browser.page.html, /The domain is this workspace’s/)
  assert.throws(() => browser.link('Verify'))
  await take('Make primary')
  assert.match(browser.page.html, /is the primary address/)
  const { body } = await lido.call('GET', '/workspaces/demo')
  assert.match(String(body.issuer), /^http:\/\/login\.acme\.localhost/)
  await take('Make primary no more')
  await browser.get(browser.link('Delete the domain'))
  await browser.post(browser.page.url, { csrf: csrfOf(browser.page.html) })
  assert.equal((await lido.call('GET', '/workspaces/demo/domains')).body.items?.length, 0)
})

test('a viewer sees domains, and is offered and allowed no change', async () => {
  await fill(browser, `${at}/~new`, { host: 'seen.acme.localhost' })
  const { href } = new URL(browser.page.url)
  const viewer = await openConsole(lido, { role: 'viewer' })
  for (const page of [at, href]) {
    await viewer.get(page)
    assert.equal(viewer.page.status, 200, page)
    assert.doesNotMatch(viewer.page.html, /~new|~delete|~verify|~check|~activate|~primary/)
  }
  for (const page of [`${at}/~new`, `${href}/~verify`, `${href}/~check`, `${href}/~activate`, `${href}/~primary`]) {
    await viewer.get(page)
    assert.equal(viewer.page.status, 403)
    await viewer.post(page, { csrf: 'x' })
    assert.equal(viewer.page.status, 403)
  }
})

test('the page of a connection says what the other side has to know at every address that answers', async () => {
  const settings = { issuer: 'https://id.partner.example', client_id: 'lido', client_secret: 'shared with the partner' }
  const upstream = { type: 'oidc', settings }
  const pool = await lido.call('POST', '/pools', { slug: 'partner', name: 'Partner', kind: 'federated', upstream })
  assert.equal(pool.status, 201, JSON.stringify(pool.body))
  const local = await lido.call('POST', '/pools', { slug: 'here', name: 'Here' })
  const connect = async (name: string) =>
    (await lido.call('POST', '/workspaces/demo/connections', { pool: name })).body.id
  const [away, home] = [await connect('partner'), await connect(String(local.body.slug))]
  const domain = async (host: string) => (await lido.call('POST', '/workspaces/demo/domains', { host })).body.id
  await domain('pending.acme.localhost')
  const active = await domain('active.acme.localhost')
  assert.equal((await lido.call('POST', `/workspaces/demo/domains/${active}/activate`)).status, 200)
  const { port } = new URL(lido.url)
  for (const one of [browser, await openConsole(lido, { role: 'viewer' })]) {
    await one.get(`/console/workspaces/demo/connections/${away}`)
    assert.equal(one.page.status, 200, one.page.html)
    for (const origin of [lido.url, `http://active.acme.localhost:${port}`]) {
      assert(one.page.html.includes(`>${origin}/callback/${away}<`), origin)
      assert(one.page.html.includes(`>${origin}/callback/${away}/logout<`), origin)
    }
    assert.doesNotMatch(one.page.html, /pending\.acme|\/metadata/)
    await one.get(`/console/workspaces/demo/connections/${home}`)
    assert.doesNotMatch(one.page.html, /\/callback\//)
  }
})
