import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { clientMetadata } from '../../directory/client-metadata.ts'
import { keepDocument } from '../../directory/registrations.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  for (const slug of ['acme', 'other'])
    await lido.call('POST', '/workspaces', { slug, name: slug, registration: { mode: 'token' } })
})
after(() => lido.stop())

const path = '/workspaces/acme/registration-tokens'

const register = (token: unknown, slug = 'acme') =>
  fetch(`${lido.url}/w/${slug}/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ client_name: 'App', redirect_uris: ['https://app.example/callback'] }),
  })

test('a token is shown once, lets so many clients in, and is listed with what is left', async () => {
  const made = await lido.call('POST', path, { name: 'Partner', uses: 2, expires_in_days: 30 })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const { id, token } = made.body
  assert.equal(made.headers.get('Location'), `/api/v1${path}/${id}`)
  assert.match(String(token), /^[\w-]{43}$/)
  const registered = await register(token)
  assert.equal(registered.status, 201)
  const read = await lido.call('GET', `${path}/${id}`)
  assert.deepEqual([read.body.name, read.body.uses_left, 'token' in read.body], ['Partner', 1, false])
  const list = await lido.call('GET', path)
  assert.deepEqual(
    list.body.items?.map((item) => [item.id, 'token' in item]),
    [[id, false]],
  )
  const { client_id } = (await registered.json()) as { client_id: string }
  const client = await lido.call('GET', `/workspaces/acme/clients/${client_id}`)
  assert.equal(client.body.registered_by, 'registration')
  const events = await lido.call('GET', `/events?type=client.created&client=${client_id}`)
  const [event] = events.body.items ?? []
  assert.deepEqual(event?.data, { by: { kind: 'client', id: client_id }, name: 'App', registration_token: id })
})

test('a revoked token lets nobody in, and an event tells of it', async () => {
  const { body } = await lido.call('POST', path, { name: 'Short' })
  assert.equal((await lido.call('DELETE', `${path}/${body.id}`)).status, 204)
  assert.equal((await register(body.token)).status, 401)
  assert.equal((await lido.call('GET', `${path}/${body.id}`)).status, 404)
  for (const type of ['registration_token.created', 'registration_token.deleted']) {
    const events = (await lido.call('GET', `/events?type=${type}`)).body.items ?? []
    assert.ok(events.length > 0, type)
    assert.equal(JSON.stringify(events).includes(String(body.token)), false)
  }
})

test('a token of another workspace is not found, and opens nothing here', async () => {
  const { body } = await lido.call('POST', '/workspaces/other/registration-tokens', { name: 'Other', uses: null })
  assert.equal((await lido.call('GET', `${path}/${body.id}`)).status, 404)
  assert.equal((await lido.call('DELETE', `${path}/${body.id}`)).status, 404)
  assert.equal((await register(body.token)).status, 401)
  assert.equal((await register(body.token, 'other')).status, 201)
})

test('refuses what is no number of uses or days, by its pointer, and whoever may only read', async () => {
  for (const [more, pointer] of [
    [{ uses: 0 }, '/uses'],
    [{ expires_in_days: 0 }, '/expires_in_days'],
    [{ expires_in_days: 366 }, '/expires_in_days'],
    [{ name: '' }, '/name'],
    [{ token: 'chosen' }, '/token'],
  ] as const) {
    const { status, body } = await lido.call('POST', path, { name: 'Wrong', ...more })
    assert.equal(status, 422)
    assert.equal((body.errors as { pointer: string }[])[0]?.pointer, pointer)
  }
  const reader = { Authorization: `Bearer ${await lido.token('clients:read')}` }
  assert.equal((await lido.call('POST', path, { name: 'No' }, reader)).status, 403)
  assert.equal((await lido.call('GET', path, undefined, reader)).status, 200)
})

test('the admin workspace stays with clients that operators made', async () => {
  for (const registration of [{ mode: 'open' }, { mode: 'token' }, { client_id_documents: 'on' }]) {
    const { status, body } = await lido.call('PATCH', '/workspaces/admin', { registration })
    assert.equal(status, 422, JSON.stringify(body))
  }
})

test('refuses policies that say nothing sensible, by their pointers', async () => {
  const wrong: [object, string][] = [
    [{ mode: 'maybe' }, '/registration/mode'],
    [{ grant_types: ['password'] }, '/registration/grant_types/0'],
    [{ grant_types: [] }, '/registration/grant_types'],
    [{ scopes: ['admin'] }, '/registration/scopes/0'],
    [{ client_id_hosts: ['https://app.example'] }, '/registration/client_id_hosts/0'],
    [{ resources: { api: [] } }, '/registration/resources/api'],
    [{ first_party: true }, '/registration/first_party'],
  ]
  for (const [registration, pointer] of wrong) {
    const { status, body } = await lido.call('PATCH', '/workspaces/acme', { registration })
    assert.deepEqual([status, (body.errors as { pointer: string }[])[0]?.pointer], [422, pointer])
  }
})

test('a client that a document brought is listed, read, switched off and deleted by its address', async () => {
  const { body: acme } = await lido.call('GET', '/workspaces/acme')
  const { db, clock } = lido.services
  const id = 'https://app.example.org/client.json'
  const metadata = clientMetadata.parse({ client_name: 'App', redirect_uris: ['https://app.example.org/cb'] })
  const brought = { id, metadata: { ...metadata, token_endpoint_auth_method: 'none' as const } }
  await Promise.all(Array.from({ length: 20 }, () => keepDocument(db, clock.now(), String(acme.id), brought)))
  const at = `/workspaces/acme/clients/${encodeURIComponent(id)}`
  const read = await lido.call('GET', at)
  assert.deepEqual([read.status, read.body.registered_by], [200, 'document'])
  assert.equal((await lido.call('PATCH', at, { status: 'inactive' })).body.status, 'inactive')
  assert.equal(
    (await lido.call('GET', `/events?type=client.created&client=${encodeURIComponent(id)}`)).body.items?.length,
    1,
  )
  const written = { client_id: id, client_name: 'Forged', redirect_uris: ['https://evil.example/cb'] }
  assert.equal((await lido.call('POST', '/workspaces/acme/clients', written)).status, 422)
  assert.equal((await lido.call('DELETE', at)).status, 204)
})

test('a resource that the policy gives to such clients stays', async () => {
  const identifier = 'https://mcp.example.org/mcp'
  const { body } = await lido.call('POST', '/workspaces/acme/resources', { identifier, name: 'MCP' })
  await lido.call('PATCH', '/workspaces/acme', { registration: { resources: { [identifier]: [] } } })
  assert.equal((await lido.call('DELETE', `/workspaces/acme/resources/${body.id}`)).status, 409)
  await lido.call('PATCH', '/workspaces/acme', { registration: { resources: { [identifier]: null } } })
  assert.equal((await lido.call('DELETE', `/workspaces/acme/resources/${body.id}`)).status, 204)
})
