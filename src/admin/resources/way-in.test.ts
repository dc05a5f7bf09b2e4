import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator, type SignedIn } from '../operators-testing.ts'

let lido: AdminLido
let owner: SignedIn
let admin: SignedIn
before(async () => {
  lido = await adminLido()
  owner = await operator(lido, 'owner@example.org', { role: 'owner' })
  admin = await operator(lido, 'admin@example.org', { role: 'admin' })
})
after(() => lido.stop())

const pool = '/pools/administrators'
const connection = async () => {
  const { items = [] } = (await lido.call('GET', '/workspaces/admin/connections')).body
  return `/workspaces/admin/connections/${items.find((one) => one.pool === 'administrators')?.id}`
}

test('nobody takes the pool of administrators away from under the operators', async () => {
  for (const patch of [{ slug: 'elsewhere' }, { status: 'inactive' }, { sign_in_methods: ['email_code'] }]) {
    const { status, body } = await owner.call('PATCH', `${pool}?accept_conflicts=true`, patch)
    assert.equal(status, 422, JSON.stringify(patch))
    const [field] = Object.keys(patch)
    assert.deepEqual((body.errors as { pointer: string }[])[0]?.pointer, `/${field}`)
  }
  const widened = { name: 'Us', sign_in_methods: ['password', 'email_code'] }
  assert.equal((await owner.call('PATCH', pool, widened)).status, 200)
  assert.equal((await lido.call('DELETE', pool)).status, 409)
  assert.equal((await owner.call('GET', '/operators')).status, 200)
})

test('how operators sign in is changed by nobody who may not change operators', async () => {
  const words = { en: { subject: 'Click here' } }
  for (const [method, path, body] of [
    ['PATCH', pool, { second_factor: 'off' }],
    ['DELETE', pool, undefined],
    ['PATCH', '/workspaces/admin', { name: 'Elsewhere' }],
    ['DELETE', '/workspaces/admin', undefined],
    ['PUT', '/workspaces/admin/messages/code', { words }],
    ['DELETE', '/workspaces/admin/messages/code', undefined],
    ['POST', '/workspaces/admin/keys/rotate', undefined],
    ['POST', '/workspaces/admin/keys/any/revoke', undefined],
    ['POST', '/workspaces/admin/webhooks', { name: 'Ours', url: 'https://elsewhere.example/', types: ['*'] }],
    ['POST', '/workspaces/admin/resources', { identifier: 'https://elsewhere.example/api', name: 'Ours' }],
  ] as const)
    assert.equal((await admin.call(method, path, body)).status, 403, `${method} ${path}`)
  assert.equal((await owner.call('PATCH', '/workspaces/admin', { name: 'Administration' })).status, 200)
})

test('the connection by which operators sign in stays open, offered and there', async () => {
  const path = await connection()
  for (const patch of [{ enabled: false }, { hidden: true }])
    assert.equal((await owner.call('PATCH', path, patch)).status, 422, JSON.stringify(patch))
  assert.equal((await owner.call('DELETE', path)).status, 409)
  assert.equal((await owner.call('PATCH', path, { name: 'Operators' })).status, 200)
  assert.equal(await connection(), path)
})

test('nobody who may not change operators leads them elsewhere by their address, or changes a script of theirs', async () => {
  const issuer = 'https://idp.example'
  const upstream = { type: 'oidc', settings: { issuer, client_id: 'lido', authentication: 'none' } }
  const elsewhere = { slug: 'elsewhere', name: 'Elsewhere', kind: 'federated', upstream }
  assert.equal((await admin.call('POST', '/pools', elsewhere)).status, 201)
  const connections = '/workspaces/admin/connections'
  const wanted = { pool: 'elsewhere', hidden: true }
  const domains = ['example.org']
  assert.equal((await admin.call('POST', connections, { ...wanted, domains })).status, 403)
  const made = await owner.call('POST', connections, wanted)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const one = `${connections}/${made.body.id}`
  assert.equal((await admin.call('PATCH', one, { domains })).status, 403)
  assert.equal((await admin.call('DELETE', one)).status, 403)
  assert.equal((await admin.call('PATCH', await connection(), { name: 'Us' })).status, 403)
  assert.equal((await admin.call('GET', one)).status, 200)
  assert.equal((await owner.call('DELETE', one)).status, 204)
  const code = 'const mapping = ({ mapped }) => mapped'
  const script = await owner.call('POST', '/workspaces/admin/scripts', { name: 'Ours', point: 'mapping', code })
  const at = `/workspaces/admin/scripts/${script.body.id}`
  assert.equal((await admin.call('PATCH', at, { name: 'Theirs' })).status, 403)
  assert.equal((await admin.call('POST', `${at}/rollback`, { version: 1 })).status, 403)
  assert.equal((await admin.call('DELETE', at)).status, 403)
  assert.equal((await owner.call('DELETE', at)).status, 204)
})

test('the hashes of operators go to nobody who may not change operators', async () => {
  assert.equal((await admin.call('GET', `${pool}/exports?hashes=true`)).status, 403)
  assert.equal((await admin.call('GET', `${pool}/exports`)).status, 200)
  assert.equal((await owner.call('GET', `${pool}/exports?hashes=true`)).status, 200)
})
