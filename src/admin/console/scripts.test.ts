import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { errorAt, fillIn, hasForm, valueAt } from './forms-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  await lido.call('POST', '/workspaces', { slug: 'club', name: 'Club' })
  await lido.call('POST', '/pools', { slug: 'members', name: 'Members' })
  await lido.call('POST', '/workspaces/club/connections', { pool: 'members' })
  browser = await openConsole(lido)
})
after(() => lido.stop())

const at = '/console/workspaces/club/scripts'
const code = 'const postAuthentication = ({ user }) => {\n  return { claims: { plan: user.metadata.plan } }\n}'
const made = async (more: object = {}) => {
  const { body } = await lido.call('POST', '/workspaces/club/scripts', { name: 'Plans', code, ...more })
  return String(body.id)
}
const read = async (id: string) => (await lido.call('GET', `/workspaces/club/scripts/${id}`)).body

test('a script is made, shown, changed and deleted', async () => {
  await browser.get('/console/workspaces/club')
  await browser.get(browser.link('Scripts'))
  await fillIn(browser, `${at}/~new`, { name: 'First', code: code.replaceAll('\n', '\r\n') })
  assert.match(browser.page.html, /The script was made/)
  const id = browser.page.url.split('/').at(-1) ?? ''
  assert.equal((await read(id)).code, code)
  assert.match(browser.page.html, /<pre[^>]*>const postAuthentication = /)
  await fillIn(browser, `${at}/${id}/~edit`, { code: `${code}\n// two` })
  assert.equal((await read(id)).version, 2)
  await fillIn(browser, `${at}/${id}/~delete`)
  assert.equal((await lido.call('GET', `/workspaces/club/scripts/${id}`)).status, 404)
})

test('what is wrong with a script is said at its field, and the code stays', async () => {
  await fillIn(browser, `${at}/~new`, { name: '', code })
  assert.equal(browser.page.status, 422)
  assert.notEqual(errorAt(browser, 'name'), '')
  assert.match(browser.page.html, /user\.metadata\.plan/)
})

test('an older version is looked at and runs again once that is confirmed', async () => {
  const id = await made()
  await lido.call('PATCH', `/workspaces/club/scripts/${id}`, { code: `${code}\n// broken` })
  await browser.get(`${at}/${id}`)
  await browser.get(`${at}/${id}/versions/1`)
  assert.doesNotMatch(browser.page.html, /broken/)
  await browser.get(browser.link('Go back to it'))
  await browser.post(`${at}/${id}/versions/1/~rollback`, {})
  assert.equal(browser.page.status, 403)
  await fillIn(browser, `${at}/${id}/versions/1/~rollback`)
  assert.match(browser.page.html, /Version 1 runs again/)
  assert.deepEqual([(await read(id)).version, (await read(id)).code], [1, code])
  await browser.get(`${at}/${id}/versions/99`)
  assert.equal(browser.page.status, 404)
})

test('the bench runs what is typed, keeps samples, and says what is wrong', async () => {
  const id = await made()
  const bench = `${at}/${id}/~test`
  await fillIn(browser, bench)
  assert.match(browser.page.html, /It came to an answer/)
  assert.match(browser.page.html, /&quot;plan&quot;: &quot;gold&quot;/)
  await fillIn(browser, bench, { code: 'const postAuthentication = () => ({ claims: { sub: "x" } })' })
  assert.match(browser.page.html, /It failed/)
  assert.match(browser.page.html, /\/claims\/sub/)
  assert.equal((await read(id)).code, code, 'nothing of it is saved')
  await fillIn(browser, bench, { input: 'no JSON' })
  assert.equal(browser.page.status, 422)
  assert.match(errorAt(browser, 'input'), /not JSON/)
  await fillIn(browser, bench, { input: '{"user":{"metadata":{"plan":"silver"}}}', name: 'Silver', action: 'keep' })
  assert.match(browser.page.html, /The sample is kept/)
  await browser.get(`${at}/${id}`)
  assert.match(browser.page.html, /Silver/)
  const { items = [] } = (await lido.call('GET', `/workspaces/club/scripts/${id}/samples`)).body
  await browser.get(`${bench}?sample=${items[0]?.id}`)
  assert.match(valueAt(browser, 'input') ?? browser.page.html, /silver/)
  await fillIn(browser, `${at}/${id}/samples/${items[0]?.id}/~delete`)
  assert.deepEqual((await lido.call('GET', `/workspaces/club/scripts/${id}/samples`)).body.items, [])
})

test('a connection names a script and an application', async () => {
  const id = await made()
  const [connection] = (await lido.call('GET', '/workspaces/club/connections')).body.items ?? []
  const form = `/console/workspaces/club/connections/${connection?.id}/~edit`
  const application = {
    url: 'https://terms.example.org/',
    public_key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  }
  await fillIn(browser, form, {
    post_authentication_script: id,
    post_authentication_application: JSON.stringify(application),
  })
  const saved = async () => (await lido.call('GET', `/workspaces/club/connections/${connection?.id}`)).body
  assert.equal((await saved()).post_authentication_script, id, browser.page.html)
  assert.deepEqual((await saved()).post_authentication_application, { ...application, timeout_seconds: 600 })
  await fillIn(browser, form, {
    post_authentication_application: JSON.stringify({ ...application, url: 'http://terms.example.org/' }),
  })
  assert.match(errorAt(browser, 'post_authentication_application'), /https/)
  await fillIn(browser, `${at}/${id}/~delete`)
  assert.match(browser.page.html, /A connection uses this script/)
  await fillIn(browser, form, { post_authentication_script: '', post_authentication_application: '' })
  assert.deepEqual(
    [(await saved()).post_authentication_script, (await saved()).post_authentication_application],
    [null, null],
  )
})

test('a viewer sees scripts and no way to change or try them', async () => {
  const id = await made()
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(`${at}/${id}`)
  assert.equal(viewer.page.status, 200)
  assert.doesNotMatch(viewer.page.html, /~edit|~test|~delete|~rollback/)
  assert.equal(hasForm(viewer, `${at}/${id}/~test`), false)
  for (const path of ['~test', '~edit', 'versions/1/~rollback']) {
    await viewer.get(`${at}/${id}/${path}`)
    assert.equal(viewer.page.status, 403, path)
  }
  const helpdesk = await openConsole(lido, { role: 'helpdesk' })
  await helpdesk.get(`${at}/${id}`)
  assert.equal(helpdesk.page.status, 403)
})
