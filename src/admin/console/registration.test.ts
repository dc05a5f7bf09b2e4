import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, fill } from './record-form-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
const at = '/console/workspaces/acme/registration-tokens'
before(async () => {
  lido = await adminLido()
  await lido.call('POST', '/workspaces', { slug: 'acme', name: 'Acme' })
  browser = await openConsole(lido)
})
after(() => lido.stop())

test('the policy of a workspace is set in its form, and read on its page', async () => {
  await fill(browser, '/console/workspaces/acme/~edit', {
    'registration.mode': 'token',
    'registration.client_id_documents': 'on',
    'registration.resources': 'https://mcp.example.com = tools',
    'registration.expire_unused_days': '30',
  })
  assert.match(browser.page.html, /Whoever has a registration token/)
  assert.match(browser.page.html, /Taken from any host/)
  assert.match(browser.page.html, /after 30 days without a token/)
  const { registration } = (await lido.call('GET', '/workspaces/acme')).body as {
    registration: Record<string, unknown>
  }
  assert.deepEqual(
    [registration.mode, registration.client_id_documents, registration.resources, registration.expire_unused_days],
    ['token', 'on', { 'https://mcp.example.com': ['tools'] }, 30],
  )
  await fill(browser, '/console/workspaces/acme/~edit', { 'registration.per_hour': '0' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-registration\.per_hour"/)
})

test('a token is made, shown once, listed and revoked', async () => {
  await fill(browser, `${at}/~new`, { name: 'Partner', uses: '3' })
  const [, token = ''] = browser.page.html.match(/<code class="secret"[^>]*>([\w-]+)<\/code>/) ?? []
  const answer = await fetch(`${lido.url}/w/acme/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ redirect_uris: ['https://app.example/callback'] }),
  })
  assert.equal(answer.status, 201)
  await browser.get(at)
  assert.match(browser.page.html, /Partner/)
  assert.doesNotMatch(browser.page.html, new RegExp(token))
  const [made] = (await lido.call('GET', '/workspaces/acme/registration-tokens')).body.items ?? []
  assert.equal(made?.uses_left, 2)
  await browser.get(`${at}/${made?.id}`)
  assert.match(browser.page.html, /Clients left/)
  await browser.get(`${at}/${made?.id}/~delete`)
  await browser.post(`${at}/${made?.id}/~delete`, { csrf: csrfOf(browser.page.html) })
  assert.deepEqual((await lido.call('GET', '/workspaces/acme/registration-tokens')).body.items, [])
})

test('a wrong value is said at its field, a form without its token is refused, and a viewer sees no button', async () => {
  await fill(browser, `${at}/~new`, { name: 'Typed', uses: '0' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-uses"/)
  assert.match(browser.page.html, /value="Typed"/)
  await browser.post(`${at}/~new`, { name: 'Forged' })
  assert.equal(browser.page.status, 403)
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(at)
  assert.equal(viewer.page.status, 200)
  assert.doesNotMatch(viewer.page.html, /~new/)
  await viewer.get(`${at}/~new`)
  assert.equal(viewer.page.status, 403)
})
