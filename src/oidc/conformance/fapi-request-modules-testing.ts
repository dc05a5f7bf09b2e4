import assert from 'node:assert/strict'
import { openBrowser } from '../../browser-testing.ts'
import { ask } from '../fixtures-testing.ts'
import { makeSigner, now } from '../signer-testing.ts'
import {
  expire,
  type FapiModule,
  goesThrough,
  neverCode,
  pushRefused,
  refusedAt,
  said,
  unproven,
} from './fapi-module-testing.ts'
import { type FapiSuite, visitAddress } from './fapi-testing.ts'
import { callback, challenge, type Params, readAnswer } from './suite-testing.ts'

const verifierOf = challenge('a-verifier-of-the-suite-that-is-long-enough-for-it')

/** What stands beside a pushed request counts for nothing. */
const ignoredOutside = (
  name: string,
  says: string,
  params: Params,
  more: Params,
  state: string | null,
): FapiModule => ({
  name,
  says,
  run: async (suite) => {
    const { answer, code } = await visitAddress(suite, suite.first, await suite.pushed(suite.first, { params }, more))
    assert.equal(answer.get('state'), state)
    const { body } = await suite.redeemed(suite.first, code)
    await suite.checkIdToken(suite.first, String(body.id_token), { nonce: 'n1', alg: 'PS256' })
  },
})

/** Goes to an address, and is not let in. */
const notLetIn = async (suite: FapiSuite, address: string, errors: string[]): Promise<void> => {
  const { page, answer, code } = await visitAddress(suite, suite.first, address)
  assert.equal(code, '')
  if (answer.get('error')) assert(errors.includes(answer.get('error') ?? ''), String(answer))
  else assert.deepEqual([page.status, page.step], [400, 'problem'])
}

/** At PAR and at the authorization endpoint. */
export const requestModules: FapiModule[] = [
  ignoredOutside(
    'ensure-different-nonce-inside-and-outside-request-object',
    'another nonce beside it is ignored',
    {},
    { nonce: 'other' },
    's1',
  ),
  ignoredOutside(
    'ensure-different-state-inside-and-outside-request-object',
    'another state beside it is ignored',
    {},
    { state: 'other' },
    's1',
  ),
  ignoredOutside(
    'state-only-outside-request-object-not-used',
    'a state that only stands beside it is ignored',
    { state: '' },
    { state: 'other' },
    null,
  ),
  pushRefused(
    'ensure-request-object-without-redirect-uri-fails',
    'without a redirect_uri it is refused',
    { params: { redirect_uri: '' } },
    'invalid_request',
    'invalid_request_object',
  ),
  pushRefused(
    'plain-fapi-tolerate-unregistered-redirect-uri',
    'an address that is not registered is refused, also where it is pushed',
    { params: { redirect_uri: `${callback}/other` } },
    'invalid_request',
    'invalid_redirect_uri',
    'invalid_request_object',
  ),
  {
    name: 'ensure-unsigned-authorization-request-without-using-par-fails',
    says: 'what was not pushed is refused',
    run: async (suite) => {
      const plain = { response_type: 'code', scope: 'openid', state: 's1', redirect_uri: callback, ...verifierOf }
      const asked = { client_id: suite.first.id, ...plain }
      const address = `${suite.metadata.authorization_endpoint}?${new URLSearchParams(asked)}`
      await notLetIn(suite, address, ['invalid_request'])
    },
  },
  {
    name: 'ensure-redirect-uri-in-authorization-request',
    says: 'a redirect_uri beside the request does not stand in for the one that is missing',
    run: async (suite) => {
      const change = { params: { redirect_uri: '' }, ...(suite.signed ? { beside: { redirect_uri: callback } } : {}) }
      await neverCode(suite, change, ['invalid_request', 'invalid_request_object'])
    },
  },
  pushRefused(
    'ensure-response-type-code-idtoken-fails',
    'an ID token through the browser is refused',
    { params: { response_type: 'code id_token' } },
    'unsupported_response_type',
    'unauthorized_client',
    'invalid_request',
  ),
  pushRefused(
    'ensure-response-type-token-fails',
    'a token through the browser is refused',
    { params: { response_type: 'token' } },
    'unsupported_response_type',
    'unauthorized_client',
    'invalid_request',
  ),
  {
    name: 'ensure-invalid-client-assertions-fail',
    says: 'an assertion is for the issuer alone, of this client, not over, and signed by its key',
    run: async (suite) => {
      const { first, second, metadata, issuer } = suite
      const { token_endpoint, pushed_authorization_request_endpoint: par } = metadata as Record<string, string>
      for (const assertion of [
        { aud: String(par) },
        { aud: String(token_endpoint) },
        { aud: [issuer, String(par)] },
        { exp: now() - 300 },
        { iss: second.id },
        { sub: second.id },
        { exp: undefined as never },
        { jti: undefined as never },
      ])
        refusedAt(...said(await suite.push(first, { assertion })), unproven)
      refusedAt(...said(await suite.push(first, { by: await makeSigner('PS256') })), unproven)
      assert.equal((await suite.push(first)).status, 201)
    },
  },
  {
    name: 'par-ensure-reused-request-uri-prior-to-auth-completion-succeeds',
    says: 'an address that was looked at and left is still good',
    run: async (suite) => {
      const address = await suite.pushed(suite.first)
      const looked = openBrowser(suite.lido.url)
      await looked.get(address)
      assert.equal(looked.page.step, 'identify')
      assert((await visitAddress(suite, suite.first, address)).code)
    },
  },
  {
    name: 'par-attempt-reuse-request_uri',
    says: 'an address that gave a code gives no other',
    run: async (suite) => {
      const address = await suite.pushed(suite.first)
      assert((await visitAddress(suite, suite.first, address)).code)
      await notLetIn(suite, address, ['invalid_request_uri', 'invalid_request'])
    },
  },
  {
    name: 'par-attempt-to-use-expired-request_uri',
    says: 'an address that is over is refused',
    run: async (suite) => {
      const address = await suite.pushed(suite.first)
      await expire(suite, new URL(address).searchParams.get('request_uri')?.split(':').at(-1) ?? '')
      await notLetIn(suite, address, ['invalid_request_uri', 'invalid_request'])
    },
  },
  {
    name: 'par-attempt-to-use-request_uri-for-different-client',
    says: 'what one client has pushed is refused for another',
    run: async (suite) => {
      const address = new URL(await suite.pushed(suite.first))
      address.searchParams.set('client_id', suite.second.id)
      await notLetIn(suite, address.href, ['invalid_request_uri', 'invalid_request', 'invalid_request_object'])
    },
  },
  pushRefused(
    'par-authorization-request-containing-request_uri-form-param',
    'a request_uri in what is pushed is refused',
    { beside: { request_uri: 'urn:ietf:params:oauth:request_uri:x' } },
    'invalid_request',
    'request_uri_not_supported',
  ),
  {
    name: 'par-attempt-invalid-http-method',
    says: 'nothing but POST is taken',
    run: async ({ metadata }) => {
      const address = String(metadata.pushed_authorization_request_endpoint)
      for (const method of ['PUT', 'GET', 'DELETE']) {
        const { status } = await ask(address, { method })
        assert(status >= 400 && status < 500, `${method} ${status}`)
      }
    },
  },
  pushRefused(
    'par-ensure-pkce-required',
    'without a challenge it is refused',
    { params: { code_challenge: '', code_challenge_method: '' } },
    'invalid_request',
  ),
  pushRefused(
    'par-plain-pkce-rejected',
    'a challenge that is the verifier is refused',
    { params: { code_challenge_method: 'plain' } },
    'invalid_request',
  ),
  {
    name: 'par-without-duplicate-parameters',
    says: 'client_id and request_uri are all that the browser has to bring',
    run: async (suite) => {
      const address = new URL(await suite.pushed(suite.first))
      assert.deepEqual([...address.searchParams.keys()], ['client_id', 'request_uri'])
      const browser = openBrowser(suite.lido.url)
      await browser.get(address.href)
      assert.equal(readAnswer(browser.page).page.step, 'identify')
    },
  },
  goesThrough(
    'par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted',
    'a client may be 8 seconds ahead',
    () => ({ assertion: { iat: now() + 8, nbf: now() + 8 } }),
  ),
  pushRefused(
    'par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails',
    'a client that is more than a minute ahead is refused',
    async () => ({ assertion: { iat: now() + 70, nbf: now() + 70, exp: now() + 130 } }),
    'invalid_client',
    'invalid_request',
  ),
]
