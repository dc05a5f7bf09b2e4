import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { openReceiver, type Receiver } from '../resources/webhook-receiver-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { errorAt, fillIn, valueAt } from './forms-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
let receiver: Receiver
before(async () => {
  receiver = await openReceiver()
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1/32' })
  await lido.call('POST', '/workspaces', { slug: 'club', name: 'Club' })
  browser = await openConsole(lido)
})
after(async () => {
  await lido?.stop()
  await receiver.close()
})

const at = '/console/workspaces/club/webhooks'
const api = '/workspaces/club/webhooks'
const newest = async () => (await lido.call('GET', api)).body.items?.at(-1) as Record<string, unknown> & { id: string }
const csrfOn = ({ page }: ConsoleBrowser) => page.html.match(/name="csrf" value="([^"]*)"/)?.[1] ?? ''

test('a webhook is made and shows its secret once; it is changed, its secret rotated, and deleted', async () => {
  await browser.get('/console/workspaces/club')
  await browser.get(browser.link('Webhooks'))
  await fillIn(browser, `${at}/~new`, { name: 'Shop', url: receiver.url, types: 'user.*\nclient.created' })
  const secret = browser.page.html.match(/whsec_[A-Za-z0-9+/=]+/)?.[0]
  assert.ok(secret, browser.page.html)
  const { id, types } = await newest()
  assert.deepEqual(types, ['user.*', 'client.created'])
  await browser.get(`${at}/${id}`)
  assert.equal(browser.page.status, 200)
  assert.doesNotMatch(browser.page.html, /whsec_/)
  await fillIn(browser, `${at}/${id}/~edit`, { name: 'The shop' })
  assert.equal((await newest()).name, 'The shop')
  await fillIn(browser, `${at}/${id}/~rotate`)
  assert.match(browser.page.html, /whsec_/)
  assert.equal((await newest()).old_secret_valid, true)
  await fillIn(browser, `${at}/${id}/~end-old`)
  assert.equal((await newest()).old_secret_valid, false)
  await fillIn(browser, `${at}/${id}/~delete`)
  assert.equal((await lido.call('GET', `${api}/${id}`)).status, 404)
})

test('a trial is sent, and dead letters are listed and sent again', async () => {
  const made = await lido.call('POST', api, { name: 'Trial', url: receiver.url, types: ['*'] })
  const id = String(made.body.id)
  receiver.answer = () => ({ status: 500 })
  await browser.get(`${at}/${id}`)
  await browser.post(`${at}/${id}/~test`, { csrf: csrfOn(browser) })
  const had = receiver.taken.length
  await receiver.wait(had + 1)
  const { db } = lido.services
  await receiver.settled(async () => {
    const items = (await lido.call('GET', `${api}/${id}/deliveries`)).body.items ?? []
    return items.length > 0 && items.every(({ why }) => why === 'refused')
  })
  await db.updateTable('webhookDeliveries').set({ state: 'dead', attempts: 10 }).where('webhookId', '=', id).execute()
  receiver.answer = () => ({ status: 204 })
  await browser.get(`${at}/${id}?state=dead`)
  assert.match(browser.page.html, /webhook\.tested/)
  assert.match(browser.page.html, /500, refused/)
  const replay = browser.page.html.match(/action="([^"]*\/deliveries\/[^"]*\/~replay)"/)?.[1] ?? ''
  await browser.post(replay, { csrf: csrfOn(browser) })
  assert.match(browser.page.html, /on its way again/)
  await receiver.settled(async () => {
    const { body } = await lido.call('GET', `${api}/${id}/deliveries?state=delivered`)
    return (body.items ?? []).length === 1
  })
  await browser.post(`${at}/${id}/~replay`, { csrf: 'forged' })
  assert.equal(browser.page.status, 403)
})

test('what is wrong with a webhook is said at its field, and what was typed stays', async () => {
  await fillIn(browser, `${at}/~new`, { name: 'Stock', url: 'stock', types: '*' })
  assert.equal(browser.page.status, 422)
  assert.notEqual(errorAt(browser, 'url'), '')
  assert.equal(valueAt(browser, 'url'), 'stock')
  await browser.post(`${at}/~new`, { name: 'Stock', url: 'https://stock.example.org', types: '*' })
  assert.equal(browser.page.status, 403)
})

test('a viewer looks at webhooks and changes none; who may see some pools only makes none', async () => {
  const { id } = await newest()
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(`${at}/${id}`)
  assert.equal(viewer.page.status, 200)
  assert.doesNotMatch(viewer.page.html, /~edit|~delete|~replay|~test|~rotate/)
  const helpdesk = await openConsole(lido, { role: 'helpdesk' })
  await helpdesk.get(at)
  assert.equal(helpdesk.page.status, 403)
  const pool = (await lido.call('POST', '/pools', { slug: 'members', name: 'Members' })).body.id
  const limited = await openConsole(lido, { role: 'admin', pools: [String(pool)] })
  await fillIn(limited, `${at}/~new`, { name: 'Spy', url: receiver.url, types: '*' })
  assert.equal(limited.page.status, 403)
})
