import assert from 'node:assert/strict'
import { exportJWK } from 'jose'
import { sha256 } from '../../platform/secrets.ts'
import { proofKey, proofOf } from '../dpop-testing.ts'
import { ask } from '../fixtures-testing.ts'
import { makeSigner, now } from '../signer-testing.ts'
import { expire, type FapiModule, neverCode, refusedAt, said, unproven, type Wanted } from './fapi-module-testing.ts'
import type { Change, FapiSuite } from './fapi-testing.ts'

const atToken = (
  name: string,
  says: string,
  change: (suite: FapiSuite) => Promise<Parameters<FapiSuite['redeemed']>[2]>,
  wanted: Wanted,
): FapiModule => ({
  name,
  says,
  run: async (suite) => {
    const { code } = await suite.code(suite.first)
    refusedAt(...said(await suite.redeemed(suite.first, code, await change(suite))), wanted)
  },
})

/** The key that a code is bound to is the one that it is redeemed by. */
const bound = (name: string, says: string, by: (suite: FapiSuite) => Change): FapiModule => ({
  name,
  says,
  run: async (suite) => {
    const { code } = await suite.code(suite.first, by(suite))
    const answer = await suite.redeemed(suite.first, code, { proof: await proofKey() })
    refusedAt(...said(answer), [400, 'invalid_grant', 'invalid_dpop_proof', 'invalid_request'])
  },
})

/** At the token endpoint, and of whoever asks there. */
export const tokenModules: FapiModule[] = [
  {
    name: 'ensure-mismatched-dpop-jkt-fails',
    says: 'a dpop_jkt that is not of the key at PAR is refused',
    run: async (suite) => {
      const change = { params: { dpop_jkt: (await proofKey()).thumbprint }, proof: suite.first.key }
      await neverCode(suite, change, ['invalid_request', 'invalid_dpop_proof'])
    },
  },
  bound(
    'ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt',
    'another key than at PAR is refused',
    (suite) => ({
      proof: suite.first.key,
    }),
  ),
  bound(
    'ensure-token-endpoint-fails-with-mismatched-dpop-jkt',
    'another key than dpop_jkt names is refused',
    (suite) => ({
      params: { dpop_jkt: suite.first.key.thumbprint },
    }),
  ),
  {
    name: 'ensure-client-id-in-token-endpoint',
    says: 'the ID of another client beside the assertion of this one is refused',
    run: async (suite) => {
      const { code } = await suite.code(suite.first)
      const answer = await suite.redeemed(suite.first, code, { fields: { client_id: suite.second.id } })
      assert(answer.status === 400 || answer.status === 401, answer.text)
    },
  },
  atToken('ensure-holder-of-key-required', 'without a proof there is no token', async () => ({ proof: undefined }), [
    400,
    'invalid_request',
    'invalid_dpop_proof',
    'invalid_grant',
  ]),
  {
    name: 'ensure-authorization-code-is-bound-to-client',
    says: 'a code is of no use to another client',
    run: async (suite) => {
      const { code } = await suite.code(suite.first)
      refusedAt(...said(await suite.redeemed(suite.second, code)), [400, 'invalid_grant'])
    },
  },
  {
    name: 'attempt-reuse-authorization-code-after-one-second',
    says: 'a code is refused the second time, and its tokens end',
    run: async (suite) => {
      const { body, returned } = await suite.whole(suite.first)
      await new Promise((resolve) => setTimeout(resolve, 1000))
      refusedAt(...said(await suite.redeemed(suite.first, returned.code)), [400, 'invalid_grant'])
      assert.equal((await suite.resource(String(body.access_token), suite.first.key)).status, 401)
    },
  },
  {
    name: 'ensure-token-endpoint-fails-with-expired-auth-code',
    says: 'a code lives a minute, and is refused after it',
    run: async (suite) => {
      const { code } = await suite.code(suite.first)
      await expire(suite, code)
      refusedAt(...said(await suite.redeemed(suite.first, code)), [400, 'invalid_grant'])
    },
  },
  {
    name: 'ensure-signed-client-assertion-with-RS256-fails',
    says: 'an assertion by RS256 is refused, though the key is the client’s own',
    run: async (suite) => {
      const signer = await makeSigner('RS256')
      const client = await suite.client({
        profile: suite.signed ? 'fapi2_message_signing' : 'fapi2_security',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: signer.jwks,
        id_token_signed_response_alg: 'PS256',
        require_pkce: true,
      })
      const answer = await suite.push({ ...client, signer, key: suite.first.key })
      refusedAt(...said(answer), unproven)
    },
  },
  atToken(
    'ensure-client-assertion-in-token-endpoint',
    'without an assertion there is no token',
    async () => ({ fields: { client_assertion: '', client_assertion_type: '' } }),
    unproven,
  ),
  atToken(
    'ensure-client-assertion-with-exp-is-5-minutes-in-past-fails',
    'an assertion that is over is refused',
    async () => ({ assertion: { exp: now() - 300 } }),
    unproven,
  ),
  atToken(
    'ensure-client-assertion-with-wrong-aud-fails',
    'an assertion for somebody else is refused',
    async () => ({ assertion: { aud: 'https://other.example' } }),
    unproven,
  ),
  atToken(
    'ensure-client-assertion-with-no-sub-fails',
    'an assertion that names nobody is refused',
    async () => ({ assertion: { sub: undefined as never } }),
    unproven,
  ),
  atToken(
    'ensure-pkce-code-verifier-required',
    'a code without its verifier is refused',
    async () => ({ fields: { code_verifier: '' } }),
    [400, 'invalid_grant', 'invalid_request'],
  ),
  atToken(
    'incorrect-pkce-code-verifier-rejected',
    'a code with another verifier is refused',
    async () => ({ fields: { code_verifier: 'x'.repeat(43) } }),
    [400, 'invalid_grant'],
  ),
  {
    name: 'dpop-negative-tests',
    says: 'the resource refuses a proof that lies in any point',
    run: async (suite) => {
      const { key } = suite.first
      const token = String((await suite.whole(suite.first)).body.access_token)
      const address = String(suite.metadata.userinfo_endpoint)
      const refused = (status: number, what: string) => assert(status === 400 || status === 401, `${what} ${status}`)
      const wrong = [{ htm: 'POST' }, { htu: `${address}x` }, { iat: now() - 3600 }, { iat: now() + 3600 }]
      const missing = ['htm', 'htu', 'iat', 'jti', 'ath'].map((name) => ({ [name]: undefined }))
      for (const claims of [...wrong, ...missing, { ath: sha256('x') }])
        refused((await suite.resource(token, key, { claims })).status, JSON.stringify(claims))
      refused((await suite.resource(token, undefined)).status, 'no proof')
      refused((await suite.resource(token, await proofKey())).status, 'another key')
      const bearer = { Authorization: `Bearer ${token}` }
      refused((await suite.resource(token, key, { headers: bearer })).status, 'Bearer')
      const secret = await exportJWK(key.privateKey)
      for (const header of [{ typ: 'jwt' }, { typ: undefined }, { jwk: undefined }, { jwk: secret }]) {
        const proof = await proofOf(key, ['GET', address], { token, header })
        refused((await suite.resource(token, undefined, { headers: { DPoP: proof } })).status, JSON.stringify(header))
      }
      const good = await proofOf(key, ['GET', address], { token })
      for (const DPoP of [`${good}, ${good}`, 'nonsense', `${good.slice(0, -8)}AAAAAAAA`])
        refused((await suite.resource(token, undefined, { headers: { DPoP } })).status, DPoP)
      const more = { claims: { foo: 'bar' } }
      assert.equal((await suite.resource(token, key, more)).status, 200, 'what nobody knows does no harm')
      const again = await proofOf(key, ['GET', address], { token })
      const twice = { Authorization: `DPoP ${token}`, DPoP: again }
      const statuses = [await ask(address, { headers: twice }), await ask(address, { headers: twice })]
      assert.deepEqual(
        statuses.map(({ status }) => status),
        [200, 401],
      )
      const query = await proofOf(key, ['GET', address], { token, claims: { htu: `${address}?a=b#c` } })
      const fine = { Authorization: `DPoP ${token}`, DPoP: query }
      assert.equal((await ask(address, { headers: fine })).status, 200, 'query and fragment do not count')
    },
  },
]
