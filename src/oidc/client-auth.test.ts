import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { SignJWT } from 'jose'
import { system } from '../directory/audit.ts'
import { openSecrets } from '../directory/client-secrets.ts'
import * as clients from '../directory/clients.ts'
import { derOf, machineCertificate, strangerCertificate } from '../platform/http/certificates-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { basic, eventually, makeWorkspace, post, type TestWorkspace } from './fixtures-testing.ts'
import { assertionType, makeSigner, now, type Signer, twenty } from './signer-testing.ts'

const machine = {
  grant_types: ['client_credentials' as const],
  redirect_uris: [],
  post_logout_redirect_uris: [],
}

let lido: TestLido
let workspace: TestWorkspace
let signer: Signer
let keys: Server
let served: object
let asked: string[] = []
let secrets: { basic: string; post: string; signing: string }

before(async () => {
  signer = await makeSigner('ES256')
  served = signer.jwks
  keys = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/broken') return response.writeHead(500).end()
    response.setHeader('Cache-Control', 'max-age=31536000').end(JSON.stringify(served))
  })
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  lido = await testLido({
    TRUSTED_PROXIES: '127.0.0.1',
    CLIENT_CERT_HEADER: 'Client-Cert',
    CLIENT_CERT_VERIFIED_HEADER: 'Client-Cert-Verified',
    EGRESS_ALLOW: '127.0.0.1',
  })
  // What clients register is https; the test's server has no certificate.
  const { fetch } = lido.services
  const at = `http://127.0.0.1:${(keys.address() as AddressInfo).port}`
  lido.services.fetch = (url, init) => fetch(url.replace('https://keys.example', at), init)
  workspace = await makeWorkspace(lido, 'w1', { pools: [] })
  const make = (id: string, more: object) => workspace.client(id, { ...machine, ...more })
  secrets = {
    basic: await make('basic', { token_endpoint_auth_method: 'client_secret_basic' }),
    post: await make('post', { token_endpoint_auth_method: 'client_secret_post' }),
    signing: await make('signing', { token_endpoint_auth_method: 'client_secret_jwt' }),
  }
  const remote = { token_endpoint_auth_method: 'private_key_jwt' }
  await make('remote', { ...remote, jwks_uri: 'https://keys.example/keys' })
  await make('broken', { ...remote, jwks_uri: 'https://keys.example/broken' })
  const x5c = [derOf(machineCertificate)]
  const shown = { keys: [{ kty: 'EC', crv: 'P-256', x5c, ...point }] }
  await make('self', { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: shown })
  await make('dn', { ...verified, tls_client_auth_subject_dn: 'CN=machine.example,O=Example\\, Inc.,C=DE' })
  await make('dns', { ...verified, tls_client_auth_san_dns: 'other.example' })
  await make('ip', { ...verified, tls_client_auth_san_ip: '192.0.2.7' })
  await make('foreign', { ...verified, tls_client_auth_san_dns: 'stranger.example' })
})
after(async () => {
  await lido.stop()
  keys.close()
})

const verified = { token_endpoint_auth_method: 'tls_client_auth' }

const point = {
  x: 'ru3JFCXsTaKzlVs9Na-PDYqmW2dOBzMPdNDMdBW01yg',
  y: '5IDDmjUt3bTAZeAngeQTenAFbLbFavrhC5eJnNMNVb0',
}

const tokenWith = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
  post(`${workspace.issuer}/token`, { grant_type: 'client_credentials', ...fields }, headers)

const bySecret = async (secret: string, { alg = 'HS256', jti = crypto.randomUUID() } = {}) => {
  const claims = { iss: 'signing', sub: 'signing', aud: workspace.issuer, jti, iat: now(), exp: now() + 60 }
  const key = new TextEncoder().encode(secret)
  const client_assertion = await new SignJWT(claims).setProtectedHeader({ alg }).sign(key)
  return { client_assertion, client_assertion_type: assertionType }
}

test('a client shows its secret in the header or in the body', async () => {
  assert.equal((await tokenWith({}, basic('basic', secrets.basic))).status, 200)
  assert.equal((await tokenWith({ client_id: 'post', client_secret: secrets.post })).status, 200)
})

test('a wrong secret, another client’s and none are refused in the same words', async () => {
  const answers = [
    await tokenWith({}, basic('basic', `${secrets.basic}x`)),
    await tokenWith({}, basic('basic', secrets.post)),
    await tokenWith({}, basic('nobody', secrets.basic)),
    await tokenWith({ client_id: 'basic' }),
    await tokenWith({ client_id: 'signing', client_secret: secrets.signing }),
    await tokenWith({}, basic('self', 'x')),
  ]
  for (const { status, body } of answers)
    assert.deepEqual(
      [status, body],
      [401, { error: 'invalid_client', error_description: 'client authentication failed' }],
    )
})

test('two ways at once are refused', async () => {
  const twice = await tokenWith({ client_secret: secrets.basic }, basic('basic', secrets.basic))
  assert.deepEqual([twice.status, twice.body.error], [400, 'invalid_request'])
})

test('a client signs with its secret; of twenty uses of one assertion exactly one succeeds', async () => {
  const once = await bySecret(secrets.signing)
  const answers = await twenty(() => tokenWith(once))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert(answers.every(({ status }) => status === 200 || status === 401))
  assert.equal((await tokenWith(await bySecret('x'.repeat(43)))).status, 401)
  assert.equal((await tokenWith(await bySecret(secrets.signing.padEnd(64, 'x'), { alg: 'HS512' }))).status, 401)
})

test('a public key is no secret to sign with', async () => {
  const key = JSON.stringify(signer.jwks.keys[0])
  const claims = { iss: 'remote', sub: 'remote', aud: workspace.issuer, jti: 'j', iat: now(), exp: now() + 60 }
  const sign = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' })
  const client_assertion = await sign.sign(new TextEncoder().encode(key))
  const { status, body } = await tokenWith({ client_assertion, client_assertion_type: assertionType })
  assert.deepEqual([status, body.error], [401, 'invalid_client'])
})

test('two secrets sign while one takes over, and the database holds neither as it is', async () => {
  const { db, clock, keyring } = lido.services
  const find = async () => {
    const found = await clients.find(db, workspace.id, 'signing')
    assert(found)
    return { workspaceId: workspace.id, before: found, keyring }
  }
  const { secret } = await clients.rotateSecret(db, clock.now(), await find(), system)
  await eventually(3_000, async () => assert.equal((await tokenWith(await bySecret(secret))).status, 200))
  assert.equal((await tokenWith(await bySecret(secrets.signing))).status, 200)
  const stored = JSON.stringify(await db.selectFrom('clients').selectAll().execute())
  for (const one of [secret, secrets.signing, secrets.basic]) assert(!stored.includes(one))
  const { before } = await find()
  const sealed = await db.selectFrom('clients').select('id').where('sealedSecret', 'is not', null).execute()
  assert.deepEqual(sealed, [{ id: 'signing' }])
  assert.deepEqual(openSecrets(keyring, workspace.id, before), [secret, secrets.signing])
  await clients.endOldSecret(db, clock.now(), await find(), system)
  await eventually(3_000, async () => assert.equal((await tokenWith(await bySecret(secrets.signing))).status, 401))
  assert.equal((await tokenWith(await bySecret(secret))).status, 200)
  const { before: now } = await find()
  const changed = {
    ...now.metadata,
    token_endpoint_auth_method: 'client_secret_basic' as const,
    status: 'active' as const,
  }
  await clients.update(db, clock.now(), { workspaceId: workspace.id, before: now, keyring, ...changed }, system)
  assert.deepEqual(openSecrets(keyring, workspace.id, (await find()).before), [])
  await eventually(3_000, async () => assert.equal((await tokenWith({}, basic('signing', secret))).status, 200))
})

test('keys at an address are fetched once a while, and an address that fails is left alone for one', async () => {
  asked = []
  const byKey = async (id: string) => tokenWith(await signer.assertion(workspace.issuer, id))
  const answers = await twenty(() => byKey('remote'))
  assert(answers.every(({ status }) => status === 200))
  assert.deepEqual(asked, ['/keys'])
  served = (await makeSigner()).jwks
  assert.equal((await byKey('remote')).status, 200)
  for (const { status, body, text } of await twenty(() => byKey('broken'))) {
    assert.deepEqual([status, body.error], [401, 'invalid_client'])
    assert.doesNotMatch(text, /keys\.example|500/)
  }
  assert.equal((await byKey('broken')).status, 401)
  assert.deepEqual(asked, ['/keys', '/broken'])
})

const certificate = (pem: string, said?: string) => ({
  'Client-Cert': encodeURIComponent(pem),
  ...(said ? { 'Client-Cert-Verified': said } : {}),
})

test('a client shows the certificate that it registered', async () => {
  assert.equal((await tokenWith({ client_id: 'self' }, certificate(machineCertificate))).status, 200)
  for (const headers of [{}, certificate(strangerCertificate), certificate('x')] as Record<string, string>[])
    assert.equal((await tokenWith({ client_id: 'self' }, headers)).status, 401)
})

test('a client shows a certificate with its name that the proxy has verified', async () => {
  const good = certificate(machineCertificate, 'SUCCESS')
  for (const client_id of ['dn', 'dns', 'ip']) {
    const answer = await tokenWith({ client_id }, good)
    assert.equal(answer.status, 200, `${client_id} ${answer.text}`)
    for (const headers of [certificate(machineCertificate), certificate(machineCertificate, 'FAILED:expired')])
      assert.equal((await tokenWith({ client_id }, headers)).status, 401)
    assert.equal((await tokenWith({ client_id }, certificate(strangerCertificate, 'SUCCESS'))).status, 401)
  }
  assert.equal((await tokenWith({ client_id: 'foreign' }, good)).status, 401)
})

test('a certificate in a header is nothing where no proxy is trusted', async () => {
  const plain = await testLido({
    CLIENT_CERT_HEADER: 'Client-Cert',
    CLIENT_CERT_VERIFIED_HEADER: 'Client-Cert-Verified',
  })
  try {
    workspace = await makeWorkspace(plain, 'w1', { pools: [] })
    await workspace.client('dns', { ...machine, ...(verified as object), tls_client_auth_san_dns: 'other.example' })
    assert.equal((await tokenWith({ client_id: 'dns' }, certificate(machineCertificate, 'SUCCESS'))).status, 401)
  } finally {
    await plain.stop()
  }
})
