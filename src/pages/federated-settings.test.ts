import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import { certify } from '../signin/upstreams/certificate-testing.ts'
import { comeFrom, makeFederated, makeWorld } from './federated-testing.ts'
import { isSignedIn, makePool, makeUser, rowsOf } from './fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
})
after(() => lido.stop())

test('an upstream keeps its issuer and type once people came from there, and lets its secrets be changed', async () => {
  const { here } = await makeWorld(lido)
  const patch = (upstream: Record<string, unknown>) => lido.call('PATCH', `/pools/${here.id}`, { upstream })
  const settings = { issuer: `${lido.url}/w/upstream`, client_id: 'here', authentication: 'none' }
  const free = await patch({ settings: { issuer: 'https://id.example.test' } })
  assert.equal(free.status, 200, JSON.stringify(free.body))
  assert.equal((await patch({ settings })).status, 200)
  const browser = await comeFrom(lido, 'app')
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.equal((await patch({ settings: { issuer: 'https://evil.example.test' } })).status, 409)
  const google = await patch({ type: 'google', settings: { client_id: 'x', client_secret: 'y' } })
  assert.notEqual(google.status, 200)
  const changed = await patch({ settings: { client_secret: 'another secret', authentication: 'client_secret_basic' } })
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.ok(!JSON.stringify(changed.body).includes('another secret'))
  assert.ok(
    !JSON.stringify(await rowsOf(lido, `select upstream from pools where id = '${here.id}'`)).includes('another'),
  )
  const tried = await lido.call('POST', `/pools/${here.id}/upstream/test`, {})
  assert.equal(tried.status, 200, JSON.stringify(tried.body))
})

test('an upstream that only links came from becomes no other one, not even by way of another kind of pool', async () => {
  const here = await makeFederated(lido, 'only-links')
  const home = await makePool(lido, 'only-links-home')
  const user = await makeUser(lido, home, 'ada@example.org')
  const link = { poolId: here.id, subject: 'ada', homePoolId: home.id, userId: user }
  await lido.services.db
    .insertInto('links')
    .values({ ...link, linkedAt: lido.services.clock.now() })
    .execute()
  const patch = (body: Record<string, unknown>) => lido.call('PATCH', `/pools/${here.id}`, body)
  assert.equal((await patch({ upstream: { settings: { issuer: 'https://evil.example.test' } } })).status, 409)
  assert.equal((await patch({ kind: 'local', upstream: null })).status, 409)
})

test('what tells accounts of SAML apart stays once people came', async () => {
  const settings = {
    entity_id: 'https://idp.example.test',
    sso_url: 'https://idp.example.test/sso',
    certificates: [certify().certificate],
  }
  const body = { slug: 'by-saml', name: 'By SAML', kind: 'federated', upstream: { type: 'saml', settings } }
  const made = await lido.call('POST', '/pools', body)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const patch = (changed: object) => lido.call('PATCH', '/pools/by-saml', { upstream: { settings: changed } })
  assert.equal((await patch({ subject_attribute: 'uid' })).status, 200)
  const home = await makePool(lido, 'by-saml-home')
  const user = await makeUser(lido, home, 'ada@example.org')
  await lido.services.db
    .insertInto('links')
    .values({ poolId: String(made.body.id), subject: 'ada', homePoolId: home.id, userId: user, linkedAt: new Date() })
    .execute()
  assert.equal((await patch({ subject_attribute: 'displayName' })).status, 409)
  assert.equal((await patch({ subject_attribute: null })).status, 409)
  assert.equal((await patch({ subject_attribute: 'uid', force_authn: true })).status, 200)
})
