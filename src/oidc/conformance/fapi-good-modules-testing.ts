import assert from 'node:assert/strict'
import { now } from '../signer-testing.ts'
import { verifyDiscovery } from './discovery-testing.ts'
import { type FapiModule, goesThrough, refusedAt, said, unproven } from './fapi-module-testing.ts'
import { visitAddress } from './fapi-testing.ts'

/** A well-behaved client. */
export const goodModules: FapiModule[] = [
  {
    name: 'discovery-end-point-verification',
    says: 'discovery tells PAR, PKCE by S256, iss in the answer, private_key_jwt, and algorithms of the profile',
    run: async (suite) => {
      await verifyDiscovery(suite)
      const { metadata } = suite
      assert.deepEqual(metadata.code_challenge_methods_supported, ['S256'])
      assert.equal(metadata.authorization_response_iss_parameter_supported, true)
      for (const [field, value] of [
        ['token_endpoint_auth_methods_supported', 'private_key_jwt'],
        ['token_endpoint_auth_signing_alg_values_supported', 'PS256'],
        ['dpop_signing_alg_values_supported', 'ES256'],
        ['request_object_signing_alg_values_supported', 'PS256'],
        ['authorization_signing_alg_values_supported', 'PS256'],
        ['response_modes_supported', 'jwt'],
      ] as const)
        assert((metadata[field] as string[]).includes(value), field)
    },
  },
  {
    name: 'happy-flow',
    says: 'two clients go the whole way, and neither key is good for the token of the other',
    run: async (suite) => {
      const [one, other] = [await suite.whole(suite.first), await suite.whole(suite.second)]
      assert.equal(one.returned.answer.get('iss'), suite.issuer)
      assert.equal(one.returned.answer.get('state'), 's1')
      assert.equal((await suite.resource(String(one.body.access_token), suite.second.key)).status, 401)
      assert.equal((await suite.resource(String(other.body.access_token), suite.first.key)).status, 401)
    },
  },
  {
    name: 'user-rejects-authentication',
    says: 'whoever does not agree is sent back with access_denied',
    run: async (suite) => {
      const { answer, code } = await visitAddress(suite, suite.first, await suite.pushed(suite.first), 'deny')
      assert.deepEqual([answer.get('error'), answer.get('state'), code], ['access_denied', 's1', ''])
    },
  },
  {
    name: 'ensure-authorization-request-without-state-success',
    says: 'without a state there is none in the answer',
    run: async (suite) => {
      const { returned } = await suite.whole(suite.first, { params: { state: '' } })
      assert.equal(returned.answer.get('state'), null)
    },
  },
  goesThrough('ensure-authorization-request-without-nonce-success', 'a nonce is not needed', { params: { nonce: '' } }),
  goesThrough('ensure-authorization-request-with-64-char-nonce-success', 'a nonce of 64 characters comes back', {
    params: { nonce: 'n'.repeat(64) },
  }),
  goesThrough('ensure-authorization-request-with-long-nonce', 'one of 384 characters, too', {
    params: { nonce: 'n'.repeat(384) },
  }),
  {
    name: 'ensure-authorization-request-with-long-state',
    says: 'a state of 1000 characters comes back whole',
    run: async (suite) => {
      const { returned } = await suite.whole(suite.first, { params: { state: 's'.repeat(1000) } })
      assert.equal(returned.answer.get('state'), 's'.repeat(1000))
    },
  },
  goesThrough('ensure-other-scope-order-succeeds', 'scopes come in any order', {
    params: { scope: 'offline_access openid' },
  }),
  {
    name: 'test-claims-parameter-identity-claims',
    says: 'asking for every claim by the claims parameter does no harm; they are told, besides those of the scopes',
    run: async (suite) => {
      const names = (suite.metadata.claims_supported as string[]).filter((name) => name !== 'acr')
      const userinfo = Object.fromEntries(names.map((name) => [name, { essential: true }]))
      const params = { claims: JSON.stringify({ userinfo }), scope: 'openid email' }
      const { body } = await suite.whole(suite.first, { params })
      const told = (await suite.resource(String(body.access_token), suite.first.key)).body
      assert.deepEqual(['email' in told, 'name' in told], [true, true])
    },
  },
  {
    name: 'access-token-type-header-case-sensitivity',
    says: 'the resource takes the token type in any case',
    run: async (suite) => {
      const { body } = await suite.whole(suite.first)
      const token = String(body.access_token)
      for (const type of ['dpop', 'DPOP', 'dPoP']) {
        const { status } = await suite.resource(token, suite.first.key, {
          headers: { Authorization: `${type} ${token}` },
        })
        assert.equal(status, 200, type)
      }
    },
  },
  goesThrough('check-dpop-proof-nbf-exp', 'a proof may say nbf and exp', () => ({
    claims: { nbf: now(), exp: now() + 60 },
  })),
  goesThrough('ensure-dpopproof-with-iat-10seconds-before-succeeds', 'a proof may be 10 seconds old', () => ({
    claims: { iat: now() - 10 },
  })),
  goesThrough('ensure-dpopproof-with-iat-10seconds-after-succeeds', 'a proof may be 10 seconds early', () => ({
    claims: { iat: now() + 10 },
  })),
  {
    name: 'ensure-dpopproof-at-par-endpoint-binding-success',
    says: 'a code that a proof at PAR has bound is redeemed by the same key',
    run: async (suite) => {
      await suite.whole(suite.first, { proof: suite.first.key })
    },
  },
  {
    name: 'ensure-dpop-auth-code-binding-success',
    says: 'a code that dpop_jkt has bound is redeemed by the same key',
    run: async (suite) => {
      await suite.whole(suite.first, { params: { dpop_jkt: suite.first.key.thumbprint }, proof: suite.first.key })
    },
  },
  {
    name: 'refresh-token',
    says: 'a refresh token is good for its client with an assertion and a proof, and for nobody else',
    run: async (suite) => {
      const { first, second } = suite
      const { body } = await suite.whole(first)
      const fields = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
      refusedAt(...said(await suite.token(second, fields)), [400, 'invalid_grant'])
      refusedAt(...said(await suite.token(first, { ...fields, client_assertion: '' })), unproven)
      refusedAt(...said(await suite.token(first, fields, { proof: undefined })), [
        400,
        'invalid_request',
        'invalid_dpop_proof',
        'invalid_grant',
      ])
      const answer = await suite.token(first, fields)
      assert.equal(answer.status, 200, answer.text)
      assert.equal((await suite.resource(String(answer.body.access_token), first.key)).status, 200)
    },
  },
]
