import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../../oidc/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const path = '/workspaces/demo/keys'
const published = async (): Promise<string[]> => {
  const { keys } = (await (await fetch(`${lido.url}/w/demo/jwks`)).json()) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid).sort()
}

test('lists the keys that are published, without their private parts', async () => {
  const { status, body } = await lido.call('GET', path)
  assert.equal(status, 200, JSON.stringify(body))
  const items = body.items ?? []
  assert.deepEqual(items.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'PS256', 'RS256'])
  assert(items.every(({ state }) => state === 'signing'))
  assert.deepEqual(items.map(({ kid }) => String(kid)).sort(), await published())
  const names = ['alg', 'created_at', 'kid', 'published_until', 'signs_from', 'signs_until', 'state']
  for (const item of items) assert.deepEqual(Object.keys(item).sort(), names)
})

test('publishes new keys before they sign, and no more of them meanwhile', async () => {
  const rotated = await lido.call('POST', `${path}/rotate`)
  assert.equal(rotated.status, 201, JSON.stringify(rotated.body))
  const coming = rotated.body.items ?? []
  assert.deepEqual([coming.length, ...new Set(coming.map(({ state }) => state))], [4, 'coming'])
  await eventually(3000, async () => assert.equal((await published()).length, 8))
  assert.equal((await lido.call('POST', `${path}/rotate`)).status, 409)
  const { items = [] } = (await lido.call('GET', path)).body
  const signing = items.filter(({ state }) => state === 'signing')
  assert(signing.length === 4 && signing.every(({ signs_until }) => signs_until === coming[0]?.signs_from))
  const { db } = lido.services
  const events = await db.selectFrom('events').select('data').where('type', '=', 'keys.rotated').execute()
  assert.deepEqual(
    events.map(({ data }) => data.by),
    [{ kind: 'client', id: 'bootstrap' }],
  )
})

test('makes new keys of one algorithm alone', async () => {
  const workspace = await lido.call('POST', '/workspaces', { slug: 'one-alg', name: 'One algorithm' })
  assert.equal(workspace.status, 201)
  const at = '/workspaces/one-alg/keys'
  const rotated = await lido.call('POST', `${at}/rotate?alg=ES256`)
  assert.equal(rotated.status, 201, JSON.stringify(rotated.body))
  assert.deepEqual(
    rotated.body.items?.map(({ alg, state }) => [alg, state]),
    [['ES256', 'coming']],
  )
  const { items = [] } = (await lido.call('GET', at)).body
  assert.deepEqual(
    items.filter(({ signs_until }) => signs_until !== null).map(({ alg }) => alg),
    ['ES256'],
  )
  assert.equal((await lido.call('POST', `${at}/rotate?alg=ES256`)).status, 409)
  assert.equal((await lido.call('POST', `${at}/rotate`)).status, 409)
  assert.equal((await lido.call('POST', `${at}/rotate?alg=RS256`)).status, 201)
  assert.equal((await lido.call('POST', `${at}/rotate?alg=HS256`)).status, 422)
})

test('lists in pages', async () => {
  const kids = (await lido.list(`${path}?limit=3`)).map(({ kid }) => kid)
  assert.equal(kids.length, 8)
  assert.equal(new Set(kids).size, 8)
})

test('withdraws a key at once, and once', async () => {
  assert.equal((await lido.call('POST', '/workspaces', { slug: 'leaked', name: 'Leaked' })).status, 201)
  const at = '/workspaces/leaked/keys'
  const all = (await lido.call('GET', at)).body.items ?? []
  const { kid } = all.find(({ alg }) => alg === 'ES256') ?? {}
  assert.equal((await lido.call('POST', `/workspaces/demo/keys/${kid}/revoke`)).status, 404)
  assert.equal((await lido.call('POST', `${at}/${kid}/revoke`)).status, 204)
  assert.equal((await lido.call('POST', `${at}/${kid}/revoke`)).status, 409)
  const { items = [] } = (await lido.call('GET', at)).body
  const told = items.filter(({ alg }) => alg === 'ES256').map((one) => [one.state, one.kid === kid])
  assert.deepEqual(told.sort(), [
    ['signing', false],
    ['withdrawn', true],
  ])
})

test('a token that a revoked key signed opens nothing any more', async () => {
  const { items = [] } = (await lido.call('GET', '/workspaces/admin/keys')).body
  const { kid } = items.find(({ alg, state }) => alg === 'RS256' && state === 'signing') ?? {}
  assert.equal((await lido.call('POST', `/workspaces/admin/keys/${kid}/revoke`)).status, 204)
  await eventually(3000, async () => assert.equal((await lido.call('GET', path)).status, 401))
})
