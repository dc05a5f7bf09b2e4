import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { errorAt, fillIn, valueAt } from './forms-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  await lido.call('POST', '/workspaces', { slug: 'club', name: 'Club' })
  const machine = { client_id: 'orders-api', client_name: 'Orders API', grant_types: ['client_credentials'] }
  const made = await lido.call('POST', '/workspaces/club/clients', machine)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  browser = await openConsole(lido)
})
after(() => lido.stop())

const at = '/console/workspaces/club/resources'
const scopes = [{ name: 'orders:read', description: { en: 'Read your orders' } }]
const read = async (id: string) => (await lido.call('GET', `/workspaces/club/resources/${id}`)).body

test('a resource is made, shown, changed and deleted', async () => {
  await browser.get('/console/workspaces/club')
  await browser.get(browser.link('Resources'))
  await fillIn(browser, `${at}/~new`, {
    name: 'Orders',
    identifier: 'https://orders.example.org',
    token_format: 'opaque',
    'introspection_client_ids.orders-api': 'true',
    scopes: JSON.stringify(scopes),
  })
  assert.match(browser.page.html, /The resource was made/)
  assert.match(browser.page.html, /orders:read: Read your orders/)
  const id = browser.page.url.split('/').at(-1) ?? ''
  const made = await read(id)
  assert.deepEqual(
    [made.identifier, made.token_format, made.introspection_client_ids, made.scopes, made.access_token_lifetime],
    ['https://orders.example.org', 'opaque', ['orders-api'], scopes, null],
  )
  await fillIn(browser, `${at}/${id}/~edit`, {
    access_token_lifetime: '600',
    token_format: 'jwt',
    signing_alg: 'ES256',
  })
  const changed = await read(id)
  assert.deepEqual(
    [changed.access_token_lifetime, changed.token_format, changed.signing_alg, changed.scopes],
    [600, 'jwt', 'ES256', scopes],
  )
  await fillIn(browser, `${at}/${id}/~delete`)
  assert.equal((await lido.call('GET', `/workspaces/club/resources/${id}`)).status, 404)
})

test('what is wrong with a resource is said at its field, and what was typed stays', async () => {
  await fillIn(browser, `${at}/~new`, { name: 'Stock', identifier: 'stock', scopes: '[{ "name": "a b" }]' })
  assert.equal(browser.page.status, 422)
  assert.notEqual(errorAt(browser, 'identifier'), '')
  assert.equal(valueAt(browser, 'identifier'), 'stock')
  await browser.post(`${at}/~new`, { name: 'Stock', identifier: 'https://stock.example.org' })
  assert.equal(browser.page.status, 403)
})

test('a viewer looks at resources and changes none', async () => {
  const { body } = await lido.call('POST', '/workspaces/club/resources', {
    identifier: 'https://a.example.org',
    name: 'A',
  })
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(`${at}/${body.id}`)
  assert.equal(viewer.page.status, 200)
  assert.doesNotMatch(viewer.page.html, /~edit|~delete/)
  await viewer.get(`${at}/${body.id}/~edit`)
  assert.equal(viewer.page.status, 403)
  const helpdesk = await openConsole(lido, { role: 'helpdesk' })
  await helpdesk.get(at)
  assert.equal(helpdesk.page.status, 403)
})
