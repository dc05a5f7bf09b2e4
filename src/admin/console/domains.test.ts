import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sendTo } from '../../oidc/raw-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, fill } from './record-form-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  browser = await openConsole(lido)
})
after(() => lido.stop())

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
  lido.services.fetch = () => Promise.reject(new Error('nobody is there'))
  await take('Verify')
  assert.match(browser.page.alert ?? '', /does not lead here yet/)
  lido.services.fetch = async (url) => {
    const { pathname, host } = new URL(url)
    const { status, text } = await sendTo(lido.url, { path: pathname, headers: { Host: host } })
    return { status, headers: {}, text: () => text, json: () => undefined }
  }
  await browser.get(href)
  await take('Verify')
  assert.match(browser.page.html, /The domain leads here/)
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
    assert.doesNotMatch(viewer.page.html, /~new|~delete|~verify|~activate|~primary/)
  }
  for (const page of [`${at}/~new`, `${href}/~verify`, `${href}/~activate`, `${href}/~primary`]) {
    await viewer.get(page)
    assert.equal(viewer.page.status, 403)
    await viewer.post(page, { csrf: 'x' })
    assert.equal(viewer.page.status, 403)
  }
})
