import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as clients from '../directory/clients.ts'
import { machineCertificate, strangerCertificate } from '../platform/http/certificates-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { proofKey, proofOf } from './dpop-testing.ts'
import {
  type Answer,
  ask,
  basic,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestWorkspace,
} from './fixtures-testing.ts'

const resource = 'https://api.example.org'
const bound = { tls_client_certificate_bound_access_tokens: true }
const machineOnly = {
  token_endpoint_auth_method: 'client_secret_basic' as const,
  grant_types: ['client_credentials' as const],
  redirect_uris: [],
  post_logout_redirect_uris: [],
  resources: { [resource]: ['read'] },
  ...bound,
}

let lido: TestLido
let workspace: TestWorkspace
let machine: Record<string, string>
before(async () => {
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1', CLIENT_CERT_HEADER: 'X-Client-Cert' })
  const pool = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [pool], settings: { refresh_grace_seconds: 0 } })
  await pool.user('mike@example.org')
  machine = basic('machine', await workspace.client('machine', machineOnly))
  await workspace.client('spa', bound)
})
after(() => lido.stop())

const shown = (pem: string | undefined): Record<string, string> =>
  pem === undefined ? {} : { 'X-Client-Cert': encodeURIComponent(pem) }

const thumbprint = Buffer.from(
  new X509Certificate(machineCertificate).fingerprint256.replaceAll(':', ''),
  'hex',
).toString('base64url')

const machineToken = (pem: string | undefined, issuer = workspace.issuer, headers = machine): Promise<Answer> =>
  post(`${issuer}/token`, { grant_type: 'client_credentials', resource, scope: 'read' }, { ...headers, ...shown(pem) })

test('a token is bound to the certificate of its client, which gets none without', async () => {
  const { body } = await machineToken(machineCertificate)
  assert.deepEqual(payloadOf(String(body.access_token)).cnf, { 'x5t#S256': thumbprint })
  assert.equal(body.token_type, 'Bearer')
  for (const pem of [undefined, 'x', `${machineCertificate}${strangerCertificate}`])
    assert.equal((await machineToken(pem)).body.error, 'invalid_grant', pem)
})

test('userinfo takes a bound token with its certificate only, and a refresh token of a public client is bound too', async () => {
  const signedIn = await signIn(lido, workspace, 'mike@example.org', { scope: 'openid offline_access' })
  const { body } = await redeem(workspace.issuer, signedIn, { client_id: 'spa' }, shown(machineCertificate))
  const asking = async (pem: string | undefined) => {
    const headers = { Authorization: `Bearer ${body.access_token}`, ...shown(pem) }
    return (await ask(`${workspace.issuer}/userinfo`, { headers })).status
  }
  assert.deepEqual(
    [await asking(machineCertificate), await asking(strangerCertificate), await asking(undefined)],
    [200, 401, 401],
  )
  const told = await post(`${workspace.issuer}/introspect`, { token: String(body.access_token), client_id: 'spa' })
  assert.deepEqual(told.body.cnf, { 'x5t#S256': thumbprint })
  const token = String(body.refresh_token)
  for (const pem of [strangerCertificate, undefined])
    assert.equal((await refresh(workspace.issuer, token, {}, shown(pem))).body.error, 'invalid_grant')
  assert.equal((await refresh(workspace.issuer, token, {}, shown(machineCertificate))).status, 200)
})

test('a password is worth bound tokens only, where the tokens of the client are bound', async () => {
  const passwords = { grant_types: ['password' as const], redirect_uris: [], post_logout_redirect_uris: [] }
  await workspace.client('old', { ...passwords, ...bound })
  const fields = { grant_type: 'password', client_id: 'old', username: 'mike@example.org', password, scope: 'openid' }
  const free = await post(`${workspace.issuer}/token`, fields)
  assert.deepEqual([free.status, free.body.error], [400, 'invalid_grant'], free.text)
  const { body } = await post(`${workspace.issuer}/token`, fields, shown(machineCertificate))
  const about = (pem: string) => ({ Authorization: `Bearer ${body.access_token}`, ...shown(pem) })
  const ours = await ask(`${workspace.issuer}/userinfo`, { headers: about(machineCertificate) })
  const theirs = await ask(`${workspace.issuer}/userinfo`, { headers: about(strangerCertificate) })
  assert.deepEqual([ours.status, theirs.status], [200, 401])
})

test('the admin API takes a bound token with its certificate only', async () => {
  const api = `${lido.url}/api/v1`
  const admin = await lido.services.db
    .selectFrom('workspaces')
    .select('id')
    .where('slug', '=', 'admin')
    .executeTakeFirstOrThrow()
  const made = await clients.create(lido.services.db, new Date(), admin.id, {
    ...machineOnly,
    id: 'bound',
    client_name: 'Bound',
    resources: { [api]: ['admin'] },
  })
  const fields = { grant_type: 'client_credentials', resource: api, scope: 'admin' }
  const headers = { ...basic('bound', made.secret ?? ''), ...shown(machineCertificate) }
  const { body } = await post(`${lido.url}/w/admin/token`, fields, headers)
  assert.ok(body.access_token)
  const asking = async (pem: string | undefined) =>
    (await ask(`${api}/workspaces`, { headers: { Authorization: `Bearer ${body.access_token}`, ...shown(pem) } }))
      .status
  assert.deepEqual(
    [await asking(machineCertificate), await asking(strangerCertificate), await asking(undefined)],
    [200, 401, 401],
  )
})

test('a proof of a key does not stand in for the certificate', async () => {
  const url = `${workspace.issuer}/token`
  const DPoP = await proofOf(await proofKey(), ['POST', url])
  assert.equal((await machineToken(undefined, workspace.issuer, { ...machine, DPoP })).body.error, 'invalid_grant')
})

test('where no proxy hands certificates on, a client that wants them gets no tokens rather than free ones', async () => {
  const plain = await testLido()
  try {
    const place = await makeWorkspace(plain, 'w1', { pools: [] })
    const headers = basic('machine', await place.client('machine', machineOnly))
    const { status, body } = await machineToken(machineCertificate, place.issuer, headers)
    assert.deepEqual([status, body.error], [401, 'invalid_client'])
    const told = await ask(`${place.issuer}/.well-known/openid-configuration`)
    assert.notEqual(told.body.tls_client_certificate_bound_access_tokens, true)
  } finally {
    await plain.stop()
  }
  const told = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  assert.equal(told.body.tls_client_certificate_bound_access_tokens, true)
})

test('a certificate that did not come from the proxy is none', async () => {
  const open = await testLido({ TRUSTED_PROXIES: '192.0.2.1', CLIENT_CERT_HEADER: 'X-Client-Cert' })
  try {
    const place = await makeWorkspace(open, 'w1', { pools: [] })
    const headers = basic('machine', await place.client('machine', machineOnly))
    assert.equal((await machineToken(machineCertificate, place.issuer, headers)).body.error, 'invalid_grant')
  } finally {
    await open.stop()
  }
})
