import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import { comeFrom, makeWorld } from './federated-testing.ts'
import { isSignedIn, rowsOf } from './fixtures-testing.ts'

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
