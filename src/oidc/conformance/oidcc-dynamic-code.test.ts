import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { Fetch } from '../../platform/fetch.ts'
import { type Answer, ask, headerOf } from '../fixtures-testing.ts'
import { makeSigner, now, type Signer } from '../signer-testing.ts'
import { verifyDiscovery } from './discovery-testing.ts'
import { callback, challenge, openSuite, type Params, type Suite, type SuiteClient } from './suite-testing.ts'

/**
 * `oidcc-dynamic-certification-test-plan` with `response_type=code`: clients register themselves and authenticate by
 * `private_key_jwt`. They use PKCE, which only an operator lets a client off. Lido has no
 * `request_uri` of a client: oidcc-request-uri-unsigned and oidcc-request-uri-signed-rs256 hold that it is refused.
 */
let suite: Suite
let signer: Signer
const site = 'https://suite.example'
const served = new Map<string, unknown>()
/** What the suite serves to the provider. */
const fetchAtSuite: Fetch = async (url) => {
  const document = served.get(new URL(url).pathname)
  const headers = { 'content-type': 'application/json', 'cache-control': 'max-age=1' }
  const text = JSON.stringify(document ?? {})
  return { status: document ? 200 : 404, headers, text: () => text, json: () => JSON.parse(text) as unknown }
}
before(async () => {
  const registration = { mode: 'open', per_hour: 1000, per_hour_and_network: 1000 } as const
  suite = await openSuite({ settings: { registration }, fetch: fetchAtSuite })
  signer = await makeSigner('RS256')
})
after(() => suite.stop())

const register = (fields: Record<string, unknown>): Promise<Answer> =>
  ask(String(suite.metadata.registration_endpoint), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      client_name: 'The suite',
      redirect_uris: [callback],
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...('jwks_uri' in fields ? {} : { jwks: signer.jwks }),
      ...fields,
    }),
  })

const registered = async (
  fields: Record<string, unknown> = {},
): Promise<{ client: SuiteClient; body: Answer['body'] }> => {
  const { status, body, text } = await register(fields)
  assert.equal(status, 201, text)
  return { client: { id: String(body.client_id), secret: '', proves: (sent) => ({ fields: sent, headers: {} }) }, body }
}

const verifier = 'a-verifier-of-the-suite-that-is-long-enough-for-it'

const redeem = async (client: SuiteClient, code: string, more: Params = {}, by = signer, assertion = {}) =>
  suite.redeem(client, code, {
    code_verifier: verifier,
    ...(await by.assertion(suite.issuer, client.id, assertion)),
    ...more,
  })

/** The whole flow of a client that has registered itself. */
const flow = async (client: SuiteClient, params: Params = {}, by = signer) => {
  const returned = await suite.authorize(client, { ...challenge(verifier), ...params })
  assert(returned.code, `${returned.page.url} ${returned.page.html}`)
  const { redirect_uri } = params
  const answer = await redeem(client, returned.code, redirect_uri ? { redirect_uri } : {}, by)
  assert.equal(answer.status, 200, answer.text)
  const idToken = String(answer.body.id_token)
  const claims = await suite.checkIdToken(client, idToken, { nonce: 'a-nonce' })
  return { ...returned, body: answer.body, access: String(answer.body.access_token), idToken, claims }
}

const isAtPage = async (client: SuiteClient, params: Params): Promise<void> => {
  const { page, address } = await suite.visit(client, params)
  assert.deepEqual([page.status, page.step, address], [400, 'problem', undefined])
}

test('oidcc-idtoken-rs256: a client that asks for RS256 gets it', async () => {
  const { client } = await registered({ id_token_signed_response_alg: 'RS256' })
  assert.equal(headerOf((await flow(client)).idToken).alg, 'RS256')
})

test('oidcc-idtoken-unsigned: a client that asks for `none` is refused, as discovery says', async () => {
  const { status, body } = await register({ id_token_signed_response_alg: 'none' })
  assert.deepEqual([status, body.error], [400, 'invalid_client_metadata'])
})

test('oidcc-userinfo-rs256: userinfo is a JWT by RS256 for a client that asks so', async () => {
  const { client } = await registered({ userinfo_signed_response_alg: 'RS256' })
  const { access, claims } = await flow(client)
  const { headers, text } = await suite.userinfo(access)
  assert.match(headers.get('Content-Type') ?? '', /^application\/jwt/)
  const keys = createRemoteJWKSet(new URL(String(suite.metadata.jwks_uri)))
  const { payload } = await jwtVerify(text, keys, { issuer: suite.issuer, audience: client.id, algorithms: ['RS256'] })
  assert.equal(payload.sub, claims.sub)
})

test('oidcc-ensure-redirect-uri-in-authorization-request: a request without redirect_uri gets a page', async () => {
  await isAtPage((await registered()).client, { redirect_uri: '', ...challenge(verifier) })
})

test('oidcc-redirect-uri-query-OK: a query that is registered comes back with the answer', async () => {
  const redirect_uri = `${callback}?foo=bar`
  const { client } = await registered({ redirect_uris: [redirect_uri] })
  const { address } = await flow(client, { redirect_uri })
  assert.equal(address?.searchParams.get('foo'), 'bar')
})

test('oidcc-redirect-uri-query-mismatch: another query than the registered one gets a page', async () => {
  const { client } = await registered({ redirect_uris: [`${callback}?foo=bar`] })
  await isAtPage(client, { redirect_uri: `${callback}?bar=foo`, ...challenge(verifier) })
})

test('oidcc-redirect-uri-query-added: a query that is not registered gets a page', async () => {
  await isAtPage((await registered()).client, { redirect_uri: `${callback}?foo=bar`, ...challenge(verifier) })
})

test('oidcc-redirect-uri-regfrag: an address with a fragment cannot be registered', async () => {
  const { status, body } = await register({ redirect_uris: [`${callback}#foo`] })
  assert.equal(status, 400)
  assert.match(String(body.error), /^invalid_(redirect_uri|client_metadata)$/)
})

test('oidcc-discovery-endpoint-verification: discovery has everything, and tells where clients register', async () => {
  await verifyDiscovery(suite)
  assert.equal(suite.metadata.registration_endpoint, `${suite.issuer}/register`)
})

test('oidcc-server: the whole flow, by a client that has registered itself', async () => {
  const { client, body } = await registered()
  assert(body.registration_access_token && body.registration_client_uri && body.client_id_issued_at)
  assert.equal(body.token_endpoint_auth_method, 'private_key_jwt')
  const { access, claims } = await flow(client)
  assert.equal((await suite.userinfo(access)).body.sub, claims.sub)
})

for (const [name, field, value] of [
  ['oidcc-registration-logo-uri', 'logo_uri', 'https://suite.example/logo.png'],
  ['oidcc-registration-policy-uri', 'policy_uri', 'https://suite.example/policy'],
  ['oidcc-registration-tos-uri', 'tos_uri', 'https://suite.example/terms'],
] as const)
  test(`${name}: it is registered, and somebody who signs in is asked for consent`, async () => {
    const { client, body } = await registered({ [field]: value })
    assert.equal(body[field], value)
    const { steps, page } = await suite.authorize(client, challenge(verifier))
    assert(steps.includes('consent'), page.url)
  })

test('oidcc-registration-jwks-uri: keys may be at an address of the client', async () => {
  served.set('/jwks', signer.jwks)
  const { client } = await registered({ jwks_uri: `${site}/jwks` })
  await flow(client)
})

test('oidcc-registration-sector-uri: a sector that names the address makes subjects of its own', async () => {
  served.set('/sector', [callback])
  const { client } = await registered({ subject_type: 'pairwise', sector_identifier_uri: `${site}/sector` })
  const { claims } = await flow(client)
  assert.notEqual(claims.sub, (await flow((await registered()).client)).claims.sub)
})

test('oidcc-registration-sector-bad: a sector that does not name the address is refused', async () => {
  served.set('/bad', ['https://other.example/callback'])
  const { status, body } = await register({ subject_type: 'pairwise', sector_identifier_uri: `${site}/bad` })
  assert.deepEqual([status, body.error], [400, 'invalid_client_metadata'])
})

test('oidcc-server-rotate-keys: there is a new key after a rotation, and the old ones are still told', async () => {
  const kids = async () =>
    ((await ask(String(suite.metadata.jwks_uri))).body as unknown as { keys: { kid: string }[] }).keys.map(
      ({ kid }) => kid,
    )
  const before = await kids()
  const { status, body } = await suite.lido.call('POST', '/workspaces/conformance/keys/rotate', {})
  assert(status < 300, JSON.stringify(body))
  const after = await kids()
  assert(after.length > before.length)
  for (const kid of before) assert(after.includes(kid))
})

test('oidcc-refresh-token-rp-key-rotation: a client goes on with new keys of its address', async (context) => {
  served.set('/rotating', signer.jwks)
  const { client } = await registered({ jwks_uri: `${site}/rotating` })
  const { body } = await flow(client, { scope: 'openid offline_access', prompt: 'consent' })
  const next = await makeSigner('RS256')
  // The engine keeps a client's keys for a minute at least.
  const real = Date.now
  context.mock.method(Date, 'now', () => real() + 61_000)
  const renamed = { keys: next.jwks.keys.map((key) => ({ ...key, kid: 'two' })) }
  served.set('/rotating', renamed)
  const claims = {
    iss: client.id,
    sub: client.id,
    aud: suite.issuer,
    jti: crypto.randomUUID(),
    iat: now(),
    exp: now() + 60,
  }
  const fields = {
    grant_type: 'refresh_token',
    refresh_token: String(body.refresh_token),
    client_assertion: await next.sign(claims, { kid: 'two' } as never),
    code: '',
    code_verifier: '',
    redirect_uri: '',
  }
  const answer = await redeem(client, '', fields)
  assert.equal(answer.status, 200, answer.text)
})

for (const name of ['oidcc-request-uri-unsigned', 'oidcc-request-uri-signed-rs256'])
  test(`${name}: refused as not supported, as discovery says`, async () => {
    const { client } = await registered()
    const asked = { request_uri: `${site}/request`, ...challenge(verifier) }
    const { answer, code } = await suite.visit(client, asked)
    assert.deepEqual([answer.get('error'), code], ['request_uri_not_supported', ''])
  })

test('oidcc-ensure-request-object-with-redirect-uri: the redirect_uri of the request object is the one that counts', async () => {
  const { client } = await registered()
  const asked = { response_type: 'code', scope: 'openid', state: 's', redirect_uri: callback, ...challenge(verifier) }
  const request = await signer.request(suite.issuer, client.id, asked)
  const { code, answer } = await suite.authorize(client, { request, redirect_uri: 'https://suite.example/bad' })
  assert(code)
  assert.equal(answer.get('state'), 's')
})

test('oidcc-refresh-token: a client that has registered itself gets one, and new tokens for it', async () => {
  const { client } = await registered()
  const { body, claims } = await flow(client, { scope: 'openid offline_access', prompt: 'consent' })
  const fields = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
  const answer = await redeem(client, '', { ...fields, code: '', code_verifier: '', redirect_uri: '' })
  assert.equal(answer.status, 200, answer.text)
  const again = await suite.checkIdToken(client, String(answer.body.id_token), { nonce: 'a-nonce' })
  assert.equal(again.sub, claims.sub)
})

test('oidcc-ensure-client-assertion-with-iss-aud-succeeds: an assertion for the issuer is taken', async () => {
  const { client } = await registered()
  const { code } = await suite.authorize(client, challenge(verifier))
  assert.equal((await redeem(client, code, {}, signer, { aud: suite.issuer })).status, 200)
})
