import assert from 'node:assert/strict'
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as rp from 'openid-client'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import { openBrowser } from '../browser-testing.ts'
import { derOf, machineCertificate, strangerCertificate } from '../platform/http/certificates-testing.ts'
import { sha256 } from '../platform/secrets.ts'
import { testLido } from '../testing.ts'
import { type ProofKey, proofKey, proofOf } from './dpop-testing.ts'
import { callback, makePool, makeWorkspace, password, post, type TestWorkspace } from './fixtures-testing.ts'
import { makeSigner, now, push, type Signer, twenty } from './signer-testing.ts'

let lido: AdminLido
let workspace: TestWorkspace
let signer: Signer
let rsa: Signer
let key: ProofKey
before(async () => {
  lido = await adminLido()
  signer = await makeSigner('ES256')
  rsa = await makeSigner('RS256')
  key = await proofKey()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await people.user('mike@example.org')
  const fapi = { token_endpoint_auth_method: 'private_key_jwt', id_token_signed_response_alg: 'ES256' } as const
  await workspace.client('bank', { ...fapi, jwks: signer.jwks as never, profile: 'fapi2_security' })
  await workspace.client('signed', { ...fapi, jwks: signer.jwks as never, profile: 'fapi2_message_signing' })
  await workspace.client('weak', { ...fapi, jwks: rsa.jwks as never, profile: 'fapi2_security' })
})
after(() => lido.stop())

const verifier = randomBytes(32).toString('base64url')
const wanted = {
  response_type: 'code',
  scope: 'openid offline_access',
  redirect_uri: callback,
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

const assertionOf = (id: string, changed = {}) => signer.assertion(workspace.issuer, id, changed)

const authorize = async (address: string, home = lido.url): Promise<URL> => {
  const browser = openBrowser(home)
  await browser.get(address)
  if (browser.page.step === 'identify') await browser.submit({ identifier: 'mike@example.org' })
  if (browser.page.step === 'prove') await browser.submit({ password })
  return new URL(browser.page.url)
}

const pushed = async (more: Record<string, string> = {}): Promise<string> => {
  const fields = { ...wanted, client_id: 'bank', ...more, ...(await assertionOf('bank')) }
  const { status, body, text } = await push(workspace, fields)
  assert.equal(status, 201, text)
  return `${workspace.issuer}/authorize?${new URLSearchParams({ client_id: 'bank', request_uri: String(body.request_uri) })}`
}

const codeOf = async (): Promise<string> => (await authorize(await pushed())).searchParams.get('code') ?? ''

const atToken = async (fields: Record<string, string>, by: ProofKey | undefined = key) => {
  const url = `${workspace.issuer}/token`
  const headers = by ? { DPoP: await proofOf(by, ['POST', url]) } : ({} as Record<string, string>)
  return post(url, { ...fields, ...(await assertionOf('bank')) }, headers)
}

const redeemed = (code: string, by?: ProofKey) =>
  atToken({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: callback }, by)

test('a client of the security profile goes the whole way: pushed, its key proven, its tokens bound to it', async () => {
  const at = await authorize(await pushed({ state: 's1' }))
  assert.deepEqual([at.searchParams.get('iss'), at.searchParams.get('state')], [workspace.issuer, 's1'])
  const { status, body, text } = await redeemed(at.searchParams.get('code') ?? '')
  assert.equal(status, 200, text)
  assert.equal(body.token_type, 'DPoP')
  assert.equal(decodeProtectedHeader(String(body.id_token)).alg, 'ES256')
  const url = `${workspace.issuer}/userinfo`
  const token = String(body.access_token)
  const proof = await proofOf(key, ['GET', url], { token })
  const told = await fetch(url, { headers: { Authorization: `DPoP ${token}`, DPoP: proof } })
  assert.equal(told.status, 200)
  assert.equal((await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status, 401)
})

test('what was not pushed is refused, and so is a token request without a proof', async () => {
  const direct = await authorize(
    `${workspace.issuer}/authorize?${new URLSearchParams({ ...wanted, client_id: 'bank' })}`,
  )
  assert.deepEqual([direct.searchParams.get('error'), direct.searchParams.get('code')], ['invalid_request', null])
  const code = await codeOf()
  const bare = await post(`${workspace.issuer}/token`, {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: callback,
    ...(await assertionOf('bank')),
  })
  assert.equal(bare.status, 400)
  assert.equal(bare.body.access_token, undefined)
})

test('a code lives for a minute at most', async () => {
  const code = await codeOf()
  const { db } = lido.services
  const row = await db.selectFrom('artifacts').selectAll().where('id', '=', sha256(code)).executeTakeFirstOrThrow()
  const { exp, iat } = row.payload as { exp: number; iat: number }
  assert(exp - iat <= 60)
})

test('a refresh token stays the same and goes on to be good, of twenty uses at once for each', async () => {
  const { body } = await redeemed(await codeOf())
  const token = String(body.refresh_token)
  const refresh = () => atToken({ grant_type: 'refresh_token', refresh_token: token })
  const answers = await twenty(() => refresh())
  for (const { status, body: next, text } of answers) {
    assert.equal(status, 200, text)
    assert([undefined, token].includes(next.refresh_token as string | undefined))
  }
})

test('an assertion for another server, by another algorithm or for long is refused', async () => {
  const { issuer } = workspace
  for (const changed of [
    { aud: [issuer] },
    { aud: `${issuer}/token` },
    { aud: `${issuer}/par` },
    { exp: now() + 3600 },
  ]) {
    const { status, body } = await push(workspace, {
      ...wanted,
      client_id: 'bank',
      ...(await assertionOf('bank', changed)),
    })
    assert.deepEqual([status, body.error], [401, 'invalid_client'], JSON.stringify(changed))
  }
  const weak = await push(workspace, { ...wanted, client_id: 'weak', ...(await rsa.assertion(issuer, 'weak')) })
  assert.deepEqual([weak.status, weak.body.error], [401, 'invalid_client'])
})

test('a client of message signing signs what it asks, and is answered and told by signed words', async () => {
  const unsigned = await push(workspace, { ...wanted, client_id: 'signed', ...(await assertionOf('signed')) })
  assert.deepEqual([unsigned.status, unsigned.body.error], [400, 'invalid_request'])
  for (const [what, changed] of [
    ['no not-before', { nbf: undefined }],
    ['an answer that is not signed', { response_mode: 'query' }],
  ] as const) {
    const request = await signer.request(workspace.issuer, 'signed', { ...wanted, response_mode: 'jwt', ...changed })
    const answer = await push(workspace, { client_id: 'signed', request, ...(await assertionOf('signed')) })
    assert.equal(answer.status, 400, what)
  }
})

test('openid-client speaks both profiles', async () => {
  const metadata = { id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'PS256' }
  const own = { key: signer.privateKey, kid: 'one' }
  const config = await rp.discovery(new URL(workspace.issuer), 'signed', metadata, rp.PrivateKeyJwt(own), {
    execute: [rp.allowInsecureRequests],
  })
  rp.useJwtResponseMode(config)
  const DPoP = rp.getDPoPHandle(config, await rp.randomDPoPKeyPair('ES256'))
  const pkceCodeVerifier = rp.randomPKCECodeVerifier()
  const expectedState = rp.randomState()
  const asked = await rp.buildAuthorizationUrlWithJAR(
    config,
    {
      redirect_uri: callback,
      scope: 'openid',
      state: expectedState,
      code_challenge: await rp.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    },
    own,
  )
  const address = await rp.buildAuthorizationUrlWithPAR(config, asked.searchParams, { DPoP })
  const at = await authorize(address.href)
  const checks = { pkceCodeVerifier, expectedState, idTokenExpected: true }
  const tokens = await rp.authorizationCodeGrant(config, at, checks, undefined, { DPoP })
  assert.equal(tokens.token_type, 'dpop')
  const response = at.searchParams.get('response') ?? ''
  assert.equal(decodeProtectedHeader(response).alg, 'PS256')
  const keys = createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`))
  await jwtVerify(response, keys, { issuer: workspace.issuer, audience: 'signed' })
  const introspected = await post(
    `${workspace.issuer}/introspect`,
    { token: tokens.access_token, ...(await assertionOf('signed')) },
    { Accept: 'application/token-introspection+jwt' },
  )
  const { payload, protectedHeader } = await jwtVerify(introspected.text, keys, { issuer: workspace.issuer })
  assert.equal((payload.token_introspection as { active: boolean }).active, true)
  assert.equal(protectedHeader.alg, 'PS256')
})

test('what contradicts a profile is refused, field by field', async () => {
  const good = {
    client_name: 'Bank',
    profile: 'fapi2_message_signing',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: signer.jwks,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [callback],
    id_token_signed_response_alg: 'PS256',
  }
  const made = await lido.call('POST', '/workspaces/w1/clients', { ...good, client_id: 'good' })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const wrong: [Record<string, unknown>, string][] = [
    [{ token_endpoint_auth_method: 'client_secret_basic' }, '/token_endpoint_auth_method'],
    [{ token_endpoint_auth_method: 'client_secret_jwt' }, '/token_endpoint_auth_method'],
    [{ token_endpoint_auth_method: 'none' }, '/token_endpoint_auth_method'],
    [{ id_token_signed_response_alg: 'RS256' }, '/id_token_signed_response_alg'],
    [{ token_endpoint_auth_signing_alg: 'RS256' }, '/token_endpoint_auth_signing_alg'],
    [{ request_object_signing_alg: 'RS256' }, '/request_object_signing_alg'],
    [{ authorization_signed_response_alg: 'RS256' }, '/authorization_signed_response_alg'],
    [{ userinfo_signed_response_alg: 'RS256' }, '/userinfo_signed_response_alg'],
    [{ introspection_signed_response_alg: 'RS256' }, '/introspection_signed_response_alg'],
    [{ response_types: ['code', 'code id_token'] }, '/response_types'],
    [{ require_pkce: false }, '/require_pkce'],
    [{ grant_types: ['authorization_code', 'password'] }, '/grant_types'],
    [{ redirect_uris: ['http://localhost:3000/callback'] }, '/redirect_uris'],
  ]
  for (const [changed, pointer] of wrong) {
    const { status, body } = await lido.call('PATCH', '/workspaces/w1/clients/good', changed)
    assert.equal(status, 422, JSON.stringify([changed, body]))
    const errors = (body as { errors: { pointer: string }[] }).errors.map((error) => error.pointer)
    assert(errors.includes(pointer), `${pointer} in ${errors}`)
  }
})

test('a client that shows a certificate has its tokens bound to it', async () => {
  const proxied = await testLido({ TRUSTED_PROXIES: '127.0.0.1', CLIENT_CERT_HEADER: 'Client-Cert' })
  try {
    const people = await makePool(proxied, 'p1')
    const there = await makeWorkspace(proxied, 'w1', { pools: [people] })
    await people.user('mike@example.org')
    const { kty, crv, x, y } = new X509Certificate(machineCertificate).publicKey.export({ format: 'jwk' })
    await there.client('bank', {
      profile: 'fapi2_security',
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [{ kty, crv, x, y, x5c: [derOf(machineCertificate)] }] } as never,
      id_token_signed_response_alg: 'ES256',
    })
    const shown = { 'Client-Cert': encodeURIComponent(machineCertificate) }
    const { body } = await push(there, { ...wanted, client_id: 'bank' }, shown)
    const asked = { client_id: 'bank', request_uri: String(body.request_uri) }
    const at = await authorize(`${there.issuer}/authorize?${new URLSearchParams(asked)}`, proxied.url)
    const code = at.searchParams.get('code') ?? ''
    const fields = {
      grant_type: 'authorization_code',
      client_id: 'bank',
      code,
      code_verifier: verifier,
      redirect_uri: callback,
    }
    const bare = await post(`${there.issuer}/token`, fields)
    assert.deepEqual([bare.status, bare.body.error], [401, 'invalid_client'])
    const { status, body: tokens, text } = await post(`${there.issuer}/token`, fields, shown)
    assert.equal(status, 200, text)
    const authorization = { Authorization: `Bearer ${tokens.access_token}` }
    const told = (headers: Record<string, string>) => fetch(`${there.issuer}/userinfo`, { headers })
    assert.equal((await told({ ...authorization, ...shown })).status, 200)
    const other = { 'Client-Cert': encodeURIComponent(strangerCertificate) }
    for (const headers of [authorization, { ...authorization, ...other }])
      assert.equal((await told(headers)).status, 401)
  } finally {
    await proxied.stop()
  }
})
