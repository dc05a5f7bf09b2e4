import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { system } from '../directory/audit.ts'
import * as resources from '../directory/resources.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  eventually,
  headerOf,
  makePool,
  makeWorkspace,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

const orders = 'https://orders.example.org'
const stock = 'https://stock.example.org/'
const plain = 'https://plain.example.org'
const hidden = 'https://hidden.example.org'

let lido: TestLido
let pool: TestPool
let workspace: TestWorkspace
let machine: Record<string, string>
let api: Record<string, string>
const machineOnly = {
  token_endpoint_auth_method: 'client_secret_basic' as const,
  grant_types: ['client_credentials' as const],
  redirect_uris: [],
  post_logout_redirect_uris: [],
}

before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [pool] })
  await pool.user('mike@example.org')
  const scopes = ['read', 'write', 'admin'].map((name) => ({ name }))
  await make({ identifier: orders, name: 'Orders', scopes, access_token_lifetime: 120 })
  const opaque = { token_format: 'opaque' as const, introspection_client_ids: ['stock-api'] }
  await make({ identifier: stock, name: 'Stock', scopes, ...opaque })
  await make({ identifier: hidden, name: 'Hidden', scopes })
  const allowed = { [orders]: ['read', 'write', 'unknown'], [stock]: ['read'], [plain]: ['anything'] }
  machine = basic('machine', await workspace.client('machine', { ...machineOnly, resources: allowed }))
  api = basic('stock-api', await workspace.client('stock-api', machineOnly))
  await workspace.client('spa', { resources: allowed })
})
after(() => lido.stop())

const make = (input: Parameters<typeof resources.create>[3], workspaceId = workspace.id) =>
  lido.services.db
    .transaction()
    .execute((trx) => resources.create(trx, lido.services.clock.now(), workspaceId, input, system))

const machineToken = (more: Record<string, string>) =>
  post(`${workspace.issuer}/token`, { grant_type: 'client_credentials', ...more }, machine)

const introspect = (token: string, headers: Record<string, string>) =>
  post(`${workspace.issuer}/introspect`, { token }, headers)

test('a token for a resource is as the resource says: format, algorithm, lifetime and scopes', async () => {
  for (const signing_alg of ['RS256', 'ES256', 'EdDSA', 'PS256'] as const) {
    const identifier = `https://${signing_alg.toLowerCase()}.example.org`
    await make({ identifier, name: signing_alg, signing_alg, scopes: [{ name: 'a' }] })
    const secret = await workspace.client(`m-${signing_alg}`, { ...machineOnly, resources: { [identifier]: ['a'] } })
    const answer = await eventually(3000, async () => {
      const told = await post(
        `${workspace.issuer}/token`,
        { grant_type: 'client_credentials', resource: identifier, scope: 'a' },
        basic(`m-${signing_alg}`, secret),
      )
      assert.equal(headerOf(String(told.body.access_token)).alg, signing_alg)
      return told
    })
    const keys = createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`))
    const expected = { issuer: workspace.issuer, audience: identifier, typ: 'at+jwt', algorithms: [signing_alg] }
    const { payload } = await jwtVerify(String(answer.body.access_token), keys, expected)
    assert.deepEqual([payload.client_id, payload.sub, payload.scope], [`m-${signing_alg}`, `m-${signing_alg}`, 'a'])
    assert.ok(payload.jti && payload.iat && payload.exp)
  }
  const { body } = await machineToken({ resource: orders, scope: 'read write admin unknown' })
  // `admin` is not the client's, and `unknown` not the resource's.
  assert.deepEqual([body.scope, body.expires_in], ['read write', 120])
  const { exp, iat } = payloadOf(String(body.access_token))
  assert.equal(Number(exp) - Number(iat), 120)
})

test('a client gets nothing for a resource that it does not name, and a resource without a record works as its clients say', async () => {
  for (const resource of [
    hidden,
    'https://other.example.org',
    `${orders}/`,
    `${orders}?x`,
    'constructor',
    `${orders}#x`,
  ])
    assert.equal((await machineToken({ resource, scope: 'read' })).body.error, 'invalid_target', resource)
  const { body } = await machineToken({ resource: plain, scope: 'anything else' })
  assert.equal(body.scope, 'anything')
  assert.deepEqual(headerOf(String(body.access_token)).alg, 'RS256')
})

test('an opaque token tells its own resource what it means, and nobody else', async () => {
  const { body } = await machineToken({ resource: stock, scope: 'read' })
  const token = String(body.access_token)
  assert.equal(token.includes('.'), false)
  const told = await introspect(token, api)
  assert.deepEqual(
    [told.body.active, told.body.aud, told.body.scope, told.body.client_id, told.body.iss],
    [true, stock, 'read', 'machine', workspace.issuer],
  )
  assert.equal((await introspect(token, machine)).body.active, true)
  const stranger = basic('stranger', await workspace.client('stranger', machineOnly))
  assert.deepEqual((await introspect(token, stranger)).body, { active: false })
  // Tokens for nobody in particular are not the resource's business.
  const own = await tokensOf(lido, workspace, 'mike@example.org')
  assert.deepEqual((await introspect(own.access, api)).body, { active: false })
  assert.deepEqual((await introspect(own.refresh, api)).body, { active: false })
  assert.equal((await userinfo(workspace.issuer, token)).status, 401)
})

test('whoever does not authenticate asks for nobody, also where the resource names it', async () => {
  const open = 'https://open.example.org'
  const opaque = { token_format: 'opaque' as const, introspection_client_ids: ['anyone', 'stock-api'] }
  await make({ identifier: open, name: 'Open', scopes: [{ name: 'read' }], ...opaque })
  await workspace.client('anyone')
  const own = await workspace.client('own', { ...machineOnly, resources: { [open]: ['read'] } })
  const { body } = await eventually(5_000, async () => {
    const answer = await post(
      `${workspace.issuer}/token`,
      { grant_type: 'client_credentials', resource: open, scope: 'read' },
      basic('own', own),
    )
    assert.doesNotMatch(String(answer.body.access_token), /\./, answer.text)
    return answer
  })
  const token = String(body.access_token)
  const asked = await post(`${workspace.issuer}/introspect`, { token, client_id: 'anyone' })
  assert.deepEqual(asked.body, { active: false })
  assert.equal((await post(`${workspace.issuer}/introspect`, { token }, api)).body.active, true)
})

test('an opaque token of a person ends with the person and with the client', async () => {
  const id = await pool.user('vera@example.org')
  await workspace.client('shop', { resources: { [stock]: ['read'] } })
  const params = { client_id: 'shop', resource: stock, scope: 'openid offline_access read' }
  const { access } = await tokensOf(lido, workspace, 'vera@example.org', params)
  const told = await introspect(access, api)
  assert.deepEqual([told.body.active, told.body.sub, told.body.scope], [true, id, 'read'], told.text)
  assert.equal(typeof told.body.auth_time, 'number')
  const { db } = lido.services
  const client = db.updateTable('clients').where('workspaceId', '=', workspace.id).where('id', '=', 'shop')
  await client.set({ status: 'inactive' }).execute()
  await eventually(3000, async () => assert.deepEqual((await introspect(access, api)).body, { active: false }))
  await client.set({ status: 'active' }).execute()
  await eventually(3000, async () => assert.equal((await introspect(access, api)).body.active, true))
  await db.updateTable('users').set({ status: 'inactive' }).where('id', '=', id).execute()
  assert.deepEqual((await introspect(access, api)).body, { active: false })
})

test('a person’s token for a resource says how they have proven who they are', async () => {
  const params = { resource: orders, scope: 'openid offline_access read write' }
  const { access, refresh: token } = await tokensOf(lido, workspace, 'mike@example.org', params)
  const said = payloadOf(access)
  assert.deepEqual([said.aud, said.scope, said.acr, said.amr], [orders, 'read write', 'urn:lido:acr:1fa', ['pwd']])
  assert.equal(typeof said.auth_time, 'number')
  const again = payloadOf(tokensFrom(await refresh(workspace.issuer, token)).access)
  assert.deepEqual([again.auth_time, again.acr, again.amr], [said.auth_time, said.acr, said.amr])
  assert.notEqual(again.jti, said.jti)
  // It is no token for userinfo, and an ID token is none for anything.
  assert.equal((await userinfo(workspace.issuer, access)).status, 401)
})

test('a refresh narrows resource and scope, and never widens them', async () => {
  const { code, verifier, at } = await signIn(lido, workspace, 'mike@example.org', {
    resource: orders,
    scope: 'openid offline_access read',
  })
  assert.ok(code, at.href)
  const first = await redeem(workspace.issuer, { code, verifier }, { resource: orders })
  const { refresh: token } = tokensFrom(first)
  for (const [more, error] of [
    [{ resource: stock }, 'invalid_target'],
    [{ resource: hidden }, 'invalid_target'],
    [{ scope: 'openid read write' }, 'invalid_scope'],
  ] as const)
    assert.equal((await refresh(workspace.issuer, token, more)).body.error, error)
  const narrowed = await refresh(workspace.issuer, token, { resource: orders, scope: 'openid' })
  assert.equal(narrowed.status, 200, narrowed.text)
  assert.equal(payloadOf(String(narrowed.body.access_token)).scope, undefined)
})

test('a resource that changes is another one for the next token, on every node', async () => {
  const { id } = await make({ identifier: 'https://moving.example.org', name: 'Moving', scopes: [{ name: 'a' }] })
  const allowed = { 'https://moving.example.org': ['a'] }
  const headers = basic('mover', await workspace.client('mover', { ...machineOnly, resources: allowed }))
  const ask = () =>
    post(
      `${workspace.issuer}/token`,
      { grant_type: 'client_credentials', resource: 'https://moving.example.org' },
      headers,
    )
  await eventually(3000, async () => assert.match(String((await ask()).body.access_token), /\./))
  const { db, clock } = lido.services
  const before = await resources.find(db, workspace.id, id)
  assert.ok(before)
  const wished = { ...resources.settingsOf(before), token_format: 'opaque' as const }
  await db.transaction().execute((trx) => resources.update(trx, clock.now(), before, wished, system))
  await eventually(5000, async () => assert.doesNotMatch(String((await ask()).body.access_token), /\./))
})

test('the resources of another workspace are nothing here', async () => {
  const other = await makeWorkspace(lido, 'w2', { pools: [] })
  const identifier = 'https://foreign.example.org'
  await make({ identifier, name: 'Foreign', token_format: 'opaque', introspection_client_ids: ['spy'] }, other.id)
  const secret = await other.client('m', { ...machineOnly, resources: { [identifier]: [] } })
  const spy = basic('spy', await workspace.client('spy', machineOnly))
  const { body } = await post(
    `${other.issuer}/token`,
    { grant_type: 'client_credentials', resource: identifier },
    basic('m', secret),
  )
  assert.ok(body.access_token)
  assert.deepEqual((await introspect(String(body.access_token), spy)).body, { active: false })
  const foreign = await post(`${other.issuer}/introspect`, { token: String(body.access_token) }, spy)
  assert.equal(foreign.status, 401)
})
