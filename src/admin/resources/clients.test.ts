import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { basic, eventually, post } from '../../oidc/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const path = '/workspaces/demo/clients'
const web = { client_name: 'Web', redirect_uris: ['https://web.example/callback'] }
const resource = 'https://api.example'
const machine = {
  client_name: 'Machine',
  grant_types: ['client_credentials'],
  resources: { [resource]: ['things:read'] },
}

const make = (body: object) => lido.make(path, body)

const pointersOf = (body: Record<string, unknown>) =>
  ((body.errors ?? []) as { pointer: string }[]).map(({ pointer }) => pointer).sort()

/** Whether a secret opens the token endpoint. */
const opens = async (id: string, secret: unknown): Promise<boolean> => {
  const fields = { grant_type: 'client_credentials', scope: 'things:read', resource }
  const { status, text } = await post(`${lido.url}/w/demo/token`, fields, basic(id, String(secret)))
  assert(status === 200 || status === 401, text)
  return status === 200
}

test('registers a client, reads, changes and deletes it', async () => {
  const made = await lido.call('POST', path, { client_id: 'web', ...web })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), '/api/v1/workspaces/demo/clients/web')
  const { client_secret, ...rest } = made.body
  assert(String(client_secret).length >= 43)
  assert.deepEqual((await lido.call('GET', `${path}/web`)).body, rest)
  const patch = { scope: 'openid email', logo_uri: 'https://web.example/logo.svg', status: 'inactive' }
  const changed = await lido.call('PATCH', `${path}/web`, patch)
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.deepEqual(changed.body, { ...rest, ...patch, updated_at: changed.body.updated_at })
  const back = await lido.call('PATCH', `${path}/web`, { scope: null, logo_uri: null, status: 'active' })
  assert.deepEqual(back.body, { ...rest, updated_at: back.body.updated_at })
  assert.equal((await lido.call('DELETE', `${path}/web`)).status, 204)
  assert.equal((await lido.call('GET', `${path}/web`)).status, 404)
})

test('a deleted client never gets a successor of the same id', async () => {
  await make({ client_id: 'gone', ...web })
  await lido.call('DELETE', `${path}/gone`)
  assert.equal((await lido.call('POST', path, { client_id: 'gone', ...web })).status, 409)
  assert.equal((await lido.call('GET', `${path}/gone`)).status, 404)
})

test('two secrets are good while one takes over', async () => {
  const { client_id, client_secret: first } = await make(machine)
  const id = String(client_id)
  assert(await opens(id, first))
  const rotate = async () => {
    const { status, body } = await lido.call('POST', `${path}/${id}/secret`)
    assert.equal(status, 201, JSON.stringify(body))
    assert.equal(body.old_secret_valid, true)
    return body.client_secret
  }
  const second = await rotate()
  await eventually(3000, async () => assert(await opens(id, second)))
  assert(await opens(id, first))
  const third = await rotate()
  await eventually(3000, async () => assert(await opens(id, third)))
  assert(await opens(id, second))
  assert(!(await opens(id, first)))
  assert(!(await opens(id, `${third} `)) && !(await opens(id, 'x')))
  assert.equal((await lido.call('DELETE', `${path}/${id}/secret`)).status, 204)
  await eventually(3000, async () => assert(!(await opens(id, second))))
  assert(await opens(id, third))
  assert.equal((await lido.call('DELETE', `${path}/${id}/secret`)).status, 404)
  assert.equal((await lido.call('GET', `${path}/${id}`)).body.old_secret_valid, false)
})

test('no secret and no hash of one is told, kept or written down', async () => {
  const { client_id, client_secret } = await make(machine)
  const rotated = (await lido.call('POST', `${path}/${client_id}/secret`)).body.client_secret
  const read = JSON.stringify((await lido.call('GET', `${path}/${client_id}`)).body)
  assert(!read.includes('secret_hash') && !read.includes('client_secret"'))
  const { db } = lido.services
  const stored = JSON.stringify([
    await db.selectFrom('clients').selectAll().execute(),
    await db.selectFrom('events').selectAll().execute(),
    lido.lines,
  ])
  for (const secret of [client_secret, rotated]) assert(!stored.includes(String(secret)))
  const events = await db
    .selectFrom('events')
    .select(['type', 'data'])
    .where('clientId', '=', String(client_id))
    .execute()
  assert.deepEqual(events.map(({ type }) => type).sort(), ['client.created', 'client.secret_rotated'])
  assert.deepEqual(events[1]?.data.by, { kind: 'client', id: 'bootstrap' })
})

test('a client that begins to need a secret gets one, and loses it again', async () => {
  const { client_id, client_secret } = await make({ ...web, token_endpoint_auth_method: 'none' })
  assert.equal(client_secret, undefined)
  assert.equal((await lido.call('POST', `${path}/${client_id}/secret`)).status, 409)
  const closed = await lido.call('PATCH', `${path}/${client_id}`, { token_endpoint_auth_method: 'client_secret_post' })
  assert(String(closed.body.client_secret).length >= 43)
  const open = await lido.call('PATCH', `${path}/${client_id}`, { token_endpoint_auth_method: 'none' })
  assert.equal(open.body.client_secret, undefined)
  assert.equal((await lido.call('POST', `${path}/${client_id}/secret`)).status, 409)
})

test('takes only addresses that people can be sent to', async () => {
  const refused = {
    web: [
      ...[
        '/callback',
        'web.example/callback',
        'https:web.example',
        'https://web.example/#',
        'https://*.example/callback',
      ],
      ...['http://web.example/callback', 'com.example.app:/callback', 'javascript:alert(1)', 'https://a@web.example/'],
      ...[
        'https://web.example/a b',
        'https://web.example\\@evil.example/',
        'https://wéb.example/',
        'HTTPS://web.example/',
      ],
    ],
    native: ['http://web.example/', 'https://localhost/', 'app:/callback', 'javascript:alert(1)', 'data:text/html,x'],
  }
  for (const [application_type, uris] of Object.entries(refused)) {
    for (const field of ['redirect_uris', 'post_logout_redirect_uris']) {
      const wrong = { ...web, application_type, [field]: uris }
      const { status, body } = await lido.call('POST', path, wrong)
      assert.equal(status, 422)
      assert.deepEqual(pointersOf(body), uris.map((_, index) => `/${field}/${index}`).sort())
    }
  }
  const taken = {
    web: ['https://web.example/callback?a=b', 'http://localhost:3000/callback', 'http://127.0.0.1/', 'http://[::1]:1/'],
    native: ['com.example.app:/callback', 'http://127.0.0.1/callback', 'https://app.example/callback'],
  }
  for (const [application_type, redirect_uris] of Object.entries(taken)) {
    const { client_id } = await make({ ...web, application_type, redirect_uris, token_endpoint_auth_method: 'none' })
    for (const uri of redirect_uris) {
      const query = new URLSearchParams({ client_id: String(client_id), redirect_uri: uri, response_type: 'none' })
      const answer = await fetch(`${lido.url}/w/demo/authorize?${query}`, { redirect: 'manual' })
      assert(answer.headers.get('Location')?.startsWith(uri), `${answer.status} ${uri}`)
    }
  }
})

test('refuses what does not fit together, and what does not work', async () => {
  const faults = async (body: object) => {
    const answer = await lido.call('POST', path, body)
    assert.equal(answer.status, 422, JSON.stringify(answer.body))
    return pointersOf(answer.body)
  }
  assert.deepEqual(await faults({ client_name: 'Nowhere' }), ['/redirect_uris'])
  assert.deepEqual(await faults({ ...machine, token_endpoint_auth_method: 'none' }), ['/token_endpoint_auth_method'])
  assert.deepEqual(await faults({ ...machine, grant_types: ['refresh_token'] }), ['/grant_types'])
  assert.deepEqual(await faults({ ...web, scope: 'openid everything' }), ['/scope'])
  assert.deepEqual(await faults({ ...web, client_id: '../up' }), ['/client_id'])
  assert.deepEqual(await faults({ ...web, connections: ['0190f5e8-0000-7000-8000-000000000000'] }), ['/connections/0'])
  assert.deepEqual(await faults({ ...web, resources: { 'https://api.example/#a': [] } }), [
    '/resources/https:~1~1api.example~1#a',
  ])
  assert.deepEqual(await faults({ ...web, backchannel_logout_uri: 'http://web.example/out' }), [
    '/backchannel_logout_uri',
  ])
  assert.deepEqual(await faults({ ...web, initiate_login_uri: 'http://web.example/in' }), ['/initiate_login_uri'])
  const unknown = { frontchannel_logout_uri: 'https://web.example/out', client_secret: 'mine', secret_hash: 'x' }
  assert.deepEqual(
    await faults({ ...web, ...unknown }),
    Object.keys(unknown)
      .map((name) => `/${name}`)
      .sort(),
  )
})

test('says what each grant type needs', async () => {
  const [device, exchange, ciba] = [
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'urn:openid:params:grant-type:ciba',
  ]
  const client_name = 'Grants'
  const open = { token_endpoint_auth_method: 'none' }
  await make({ client_name, grant_types: [device, 'refresh_token'], ...open })
  const policy = { resources: [resource], subjects: 'any' }
  const api = { resources: { [resource]: ['things:read'] } }
  await make({ client_name, grant_types: [exchange], ...api, token_exchange: policy })
  await make({ client_name, grant_types: [ciba], backchannel_token_delivery_mode: 'poll' })
  const wrong: [object, string][] = [
    [{ grant_types: [exchange] }, '/token_exchange'],
    [{ grant_types: [device], token_exchange: policy, ...api }, '/token_exchange'],
    [{ grant_types: [exchange], token_exchange: policy }, '/token_exchange'],
    [{ grant_types: [exchange], ...api, token_exchange: { ...policy, delegation: false } }, '/token_exchange'],
    [{ grant_types: [exchange], ...api, token_exchange: policy, ...open }, '/token_endpoint_auth_method'],
    [{ grant_types: [ciba] }, '/backchannel_token_delivery_mode'],
    [{ grant_types: [device], backchannel_token_delivery_mode: 'poll' }, '/backchannel_token_delivery_mode'],
    [{ grant_types: [ciba], backchannel_token_delivery_mode: 'ping' }, '/backchannel_client_notification_endpoint'],
    [{ grant_types: [ciba], backchannel_token_delivery_mode: 'poll', ...open }, '/token_endpoint_auth_method'],
  ]
  for (const [body, pointer] of wrong) {
    const answer = await lido.call('POST', path, { client_name, ...body })
    assert.deepEqual([answer.status, pointersOf(answer.body)], [422, [pointer]], JSON.stringify(body))
  }
})

test('a client of another workspace is not there', async () => {
  const { client_id } = await make(web)
  for (const [method, end, body] of [
    ['GET', '', undefined],
    ['PATCH', '', { client_name: 'Mine' }],
    ['DELETE', '', undefined],
    ['POST', '/secret', undefined],
    ['DELETE', '/secret', undefined],
  ] as const)
    assert.equal((await lido.call(method, `/workspaces/admin/clients/${client_id}${end}`, body)).status, 404)
  assert.equal((await lido.call('GET', '/workspaces/nowhere/clients')).status, 404)
})

test('nobody promotes themselves by a client of this API', async () => {
  const api = { [`${lido.url}/api/v1`]: ['admin'] }
  const weak = { Authorization: `Bearer ${await lido.token('clients:write')}` }
  const calls = [
    ['POST', '/workspaces/admin/clients', { ...machine, resources: api }],
    ['PATCH', '/workspaces/admin/clients/bootstrap', { client_name: 'Mine' }],
    ['POST', '/workspaces/admin/clients/bootstrap/secret', undefined],
    ['DELETE', '/workspaces/admin/clients/bootstrap', undefined],
  ] as const
  for (const [method, to, body] of calls) assert.equal((await lido.call(method, to, body, weak)).status, 403, method)
  const limited = await operator(lido, 'limited@example.org', { role: 'admin' })
  for (const [method, to, body] of calls) assert.equal((await limited.call(method, to, body)).status, 403, method)
  const own = { ...machine, resources: { [`${lido.url}/api/v1`]: ['clients:write'] } }
  assert.equal((await lido.call('POST', '/workspaces/admin/clients', own, weak)).status, 201)
})

test('nobody takes the console away from the operators, or leads its sign-ins elsewhere', async () => {
  const at = '/workspaces/admin/clients/console'
  assert.equal((await lido.call('PATCH', at, { redirect_uris: ['https://evil.example/cb'] })).status, 409)
  assert.equal((await lido.call('POST', `${at}/secret`)).status, 409)
  assert.equal((await lido.call('DELETE', at)).status, 409)
  assert.deepEqual((await lido.call('GET', at)).body.redirect_uris, [`${lido.url}/console/callback`])
})

test('an operator with limits does not open a client to pools that do not exist for them', async () => {
  const [pool, hidden] = [
    await lido.call('POST', '/pools', { slug: 'mine', name: 'Mine' }),
    await lido.call('POST', '/pools', { slug: 'hidden', name: 'Hidden' }),
  ]
  await lido.call('POST', '/workspaces', { slug: 'both', name: 'Both' })
  const connections: unknown[] = []
  for (const { body } of [pool, hidden])
    connections.push((await lido.call('POST', '/workspaces/both/connections', { pool: body.id })).body.id)
  const made = { ...web, client_id: 'narrow', connections: connections.slice(1) }
  assert.equal((await lido.call('POST', '/workspaces/both/clients', made)).status, 201)
  const limited = await operator(lido, 'narrow@example.org', { role: 'admin', pools: [String(pool.body.id)] })
  const to = '/workspaces/both/clients/narrow'
  assert.equal((await limited.call('PATCH', to, { connections: null })).status, 422)
  assert.equal((await limited.call('PATCH', to, { connections })).status, 200)
  assert.equal((await lido.call('PATCH', to, { connections: null })).status, 200)
})

test('lists in pages, with cursors of its own workspace', async () => {
  for (const client_id of ['b', 'a', 'c']) await make({ ...web, client_id })
  const ids: unknown[] = []
  let cursor: unknown
  do {
    const { body } = await lido.call('GET', `${path}?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
    ids.push(...(body.items ?? []).map(({ client_id }) => client_id))
    if (body.next_cursor)
      assert.equal((await lido.call('GET', `/workspaces/admin/clients?cursor=${body.next_cursor}`)).status, 400)
    cursor = body.next_cursor
  } while (cursor)
  assert(['a', 'b', 'c', 'demo'].every((id) => ids.includes(id)))
  assert.equal(new Set(ids).size, ids.length)
})
