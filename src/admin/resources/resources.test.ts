import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  for (const slug of ['acme', 'other']) await lido.call('POST', '/workspaces', { slug, name: slug })
})
after(() => lido.stop())

const path = '/workspaces/acme/resources'
let made = 0
const make = async (more: object = {}) => {
  made += 1
  return lido.make(path, { identifier: `https://api${made}.example.org/`, name: 'API', ...more })
}

test('makes, reads, changes and deletes a resource, and an event tells of each', async () => {
  const scopes = [{ name: 'orders:read', description: { en: 'Read orders', de: 'Bestellungen lesen' } }]
  const { id, ...rest } = await make({ identifier: 'https://orders.example.org', scopes, token_format: 'opaque' })
  assert.deepEqual(
    { ...rest, created_at: 0, updated_at: 0 },
    {
      identifier: 'https://orders.example.org',
      name: 'API',
      scopes,
      token_format: 'opaque',
      signing_alg: 'RS256',
      access_token_lifetime: null,
      introspection_client_ids: [],
      authorization_details_types: [],
      created_at: 0,
      updated_at: 0,
    },
  )
  const changed = await lido.call('PATCH', `${path}/${id}`, { access_token_lifetime: 60, token_format: null })
  assert.deepEqual([changed.body.access_token_lifetime, changed.body.token_format], [60, 'jwt'])
  assert.equal((await lido.call('GET', `${path}/${id}`)).body.access_token_lifetime, 60)
  assert.equal(
    (await lido.call('GET', path)).body.items?.some((item) => item.id === id),
    true,
  )
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 204)
  assert.equal((await lido.call('GET', `${path}/${id}`)).status, 404)
  for (const type of ['resource.created', 'resource.updated', 'resource.deleted'])
    assert.ok((await lido.call('GET', `/events?type=${type}`)).body.items?.length, type)
})

test('refuses what is no identifier, what is named twice and what no schema is, by its pointer', async () => {
  const wrong: [object, string][] = [
    [{ identifier: 'api' }, '/identifier'],
    [{ identifier: 'https://api.example.org/#x' }, '/identifier'],
    [{ identifier: 'https://api.example.org/a b' }, '/identifier'],
    [{ scopes: [{ name: 'a b' }] }, '/scopes/0/name'],
    [{ scopes: [{ name: 'a' }, { name: 'a' }] }, '/scopes'],
    [{ scopes: [{ name: 'a', description: { xx: 'A' } }] }, '/scopes/0/description/xx'],
    [{ signing_alg: 'HS256' }, '/signing_alg'],
    [{ signing_alg: 'none' }, '/signing_alg'],
    [{ access_token_lifetime: 5 }, '/access_token_lifetime'],
    [
      { authorization_details_types: [{ type: 'a', schema: { type: 'nothing' } }] },
      '/authorization_details_types/0/schema',
    ],
    [{ other: 1 }, '/other'],
  ]
  for (const [more, pointer] of wrong) {
    const body = { identifier: 'https://wrong.example.org', name: 'Wrong', ...more }
    const answer = await lido.call('POST', path, body)
    assert.equal(answer.status, 422, JSON.stringify([more, answer.body]))
    assert.equal((answer.body.errors as { pointer: string }[])[0]?.pointer, pointer, JSON.stringify(answer.body))
  }
  await make({ authorization_details_types: [{ type: 'payment' }] })
  const taken = {
    identifier: 'https://two.example.org',
    name: 'Two',
    authorization_details_types: [{ type: 'payment' }],
  }
  assert.equal((await lido.call('POST', path, taken)).status, 422)
})

test('of twenty with one identifier, one is made', async () => {
  const body = { identifier: 'https://once.example.org', name: 'Once' }
  const answers = await Promise.all(Array.from({ length: 20 }, () => lido.call('POST', path, body)))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, ...Array.from({ length: 19 }, () => 409)])
})

test('of twenty changes to one version, one is taken', async () => {
  const { id } = await make()
  const headers = { 'If-Match': (await lido.call('GET', `${path}/${id}`)).headers.get('ETag') ?? '' }
  const asked = Array.from({ length: 20 }, (_, n) => lido.call('PATCH', `${path}/${id}`, { name: `${n}` }, headers))
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 1)
  assert.ok(statuses.every((status) => [200, 409, 412].includes(status)))
})

test('a resource that a client names stays', async () => {
  const { id, identifier } = await make()
  const client = { client_name: 'M', grant_types: ['client_credentials'], resources: { [String(identifier)]: [] } }
  const { body } = await lido.call('POST', '/workspaces/acme/clients', client)
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 409)
  await lido.call('DELETE', `/workspaces/acme/clients/${body.client_id}`)
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 204)
})

test('another workspace does not know a resource', async () => {
  const { id } = await make()
  for (const [method, body] of [['GET'], ['PATCH', { name: 'Mine' }], ['DELETE']] as const)
    assert.equal((await lido.call(method, `/workspaces/other/resources/${id}`, body)).status, 404, method)
})

test('nobody describes the admin API itself, and only who may change operators touches its workspace', async () => {
  for (const identifier of [
    `${lido.url}/api/v1`,
    `${lido.url}/x/../api/v1`,
    `${lido.url.replace('http', 'HTTP')}/api/v1`,
  ]) {
    const answer = await lido.call('POST', '/workspaces/admin/resources', { identifier, name: 'Mine' })
    assert.equal(answer.status, 422, JSON.stringify(answer.body))
  }
  const admin = await operator(lido, 'admin@example.org', { role: 'admin' })
  const own = { identifier: 'https://x.example.org', name: 'X' }
  assert.equal((await admin.call('POST', '/workspaces/admin/resources', own)).status, 403)
  assert.equal((await admin.call('POST', path, own)).status, 201)
  const viewer = await operator(lido, 'viewer@example.org', { role: 'viewer' })
  assert.equal((await viewer.call('GET', path)).status, 200)
  assert.equal((await viewer.call('POST', path, own)).status, 403)
  const helpdesk = await operator(lido, 'helpdesk@example.org', { role: 'helpdesk' })
  assert.equal((await helpdesk.call('GET', path)).status, 403)
})
