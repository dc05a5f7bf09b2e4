import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import { post } from '../fixtures-testing.ts'
import { makeSigner, now } from '../signer-testing.ts'
import { goodModules } from './fapi-good-modules-testing.ts'
import { type FapiModule, goesThrough, pushRefused, refusedAt, said } from './fapi-module-testing.ts'
import { requestModules } from './fapi-request-modules-testing.ts'
import { type FapiSuite, openFapi } from './fapi-testing.ts'
import { tokenModules } from './fapi-token-modules-testing.ts'
import { callback, challenge } from './suite-testing.ts'

/**
 * `fapi2-message-signing-final-test-plan` with `client_auth_type=private_key_jwt`, `sender_constrain=dpop`,
 * `openid=openid_connect`, `fapi_profile=plain_fapi`, `fapi_request_method=signed_non_repudiation`,
 * `fapi_response_mode=jarm`: the modules of the security profile again, each request signed and each answer in a JWT, and
 * those of the request object.
 */
let suite: FapiSuite
before(async () => {
  suite = await openFapi(true)
})
after(() => suite.stop())

const refusedObject = (name: string, says: string, object: () => Record<string, unknown>): FapiModule =>
  pushRefused(name, says, async () => ({ object: object() }), 'invalid_request_object', 'invalid_request')

const about = () => ({
  iss: suite.first.id,
  aud: suite.issuer,
  client_id: suite.first.id,
  nbf: now(),
  exp: now() + 60,
  response_type: 'code',
  response_mode: 'jwt',
  scope: 'openid',
  redirect_uri: callback,
  ...challenge('a-verifier-of-the-suite-that-is-long-enough-for-it'),
})

/** Pushes a request object as it is. */
const pushObject = async (request: string) => {
  const { first, issuer, metadata } = suite
  const fields = { client_id: first.id, request, ...(await first.signer.assertion(issuer, first.id)) }
  const answer = await post(String(metadata.pushed_authorization_request_endpoint), fields)
  refusedAt(...said(answer), [400, 'invalid_request_object', 'invalid_request'])
}

const objectModules: FapiModule[] = [
  {
    name: 'ensure-request-object-with-multiple-aud-succeeds',
    says: 'a list of audiences with the issuer in it is taken',
    run: async () => {
      await suite.whole(suite.first, { object: { aud: [suite.issuer, 'https://other.example'] } })
    },
  },
  goesThrough(
    'ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted',
    'a client may be 8 seconds ahead',
    () => ({ object: { nbf: now() + 8, iat: now() + 8 } }),
  ),
  refusedObject('ensure-request-object-without-exp-fails', 'it has to end', () => ({ exp: undefined })),
  refusedObject('ensure-request-object-without-nbf-fails', 'it has to begin', () => ({ nbf: undefined })),
  refusedObject('ensure-expired-request-object-fails', 'one that is over is refused', () => ({ exp: now() - 300 })),
  refusedObject('ensure-request-object-with-bad-aud-fails', 'one for somebody else is refused', () => ({
    aud: 'https://other.example',
  })),
  refusedObject('ensure-request-object-with-exp-over-60-fails', 'one for more than an hour is refused', () => ({
    exp: now() + 70 * 60,
  })),
  refusedObject('ensure-request-object-with-nbf-over-60-fails', 'one that began over an hour ago is refused', () => ({
    nbf: now() - 70 * 60,
  })),
  {
    name: 'ensure-signed-request-object-with-RS256-fails',
    says: 'one that is signed by RS256 is refused',
    run: async () => {
      const signer = await makeSigner('RS256')
      await pushObject(await signer.request(suite.issuer, suite.first.id, about()))
    },
  },
  {
    name: 'ensure-request-object-signature-algorithm-is-not-none',
    says: 'one that nobody signed is refused',
    run: () => pushObject(new UnsecuredJWT(about()).encode()),
  },
  {
    name: 'ensure-request-object-with-invalid-signature-fails',
    says: 'one whose signature does not fit is refused',
    run: async () => {
      const request = await suite.first.signer.request(suite.issuer, suite.first.id, about())
      await pushObject(`${request.slice(0, -8)}${request.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA'}`)
    },
  },
  {
    name: 'ensure-matching-key-in-authorization-request',
    says: 'one that another client signed is refused',
    run: async () => pushObject(await suite.second.signer.request(suite.issuer, suite.first.id, about())),
  },
  {
    name: 'ensure-unsigned-request-at-par-endpoint-fails',
    says: 'what is pushed without a signature is refused',
    run: async () => {
      const { first, issuer, metadata } = suite
      const { iss: _iss, aud: _aud, nbf: _nbf, exp: _exp, ...plain } = about()
      const fields = { ...plain, ...(await first.signer.assertion(issuer, first.id)) }
      const answer = await post(String(metadata.pushed_authorization_request_endpoint), fields)
      refusedAt(...said(answer), [400, 'invalid_request', 'invalid_request_object'])
    },
  },
  refusedObject('par-authorization-request-containing-request_uri', 'a request_uri within is refused', () => ({
    request_uri: 'urn:ietf:params:oauth:request_uri:x',
  })),
]

for (const { name, says, run } of [...goodModules, ...requestModules, ...tokenModules, ...objectModules])
  test(`fapi2-security-profile-final-${name}: ${says}`, () => run(suite))

test('introspection is answered in a JWT that the profile knows (FAPI 2.0 Message Signing section 5.5)', async () => {
  const { body } = await suite.whole(suite.first)
  const proven = await suite.first.signer.assertion(suite.issuer, suite.first.id)
  const { headers } = await post(
    String(suite.metadata.introspection_endpoint),
    { token: String(body.access_token), ...proven },
    { Accept: 'application/token-introspection+jwt' },
  )
  assert.match(headers.get('Content-Type') ?? '', /^application\/token-introspection\+jwt/)
})
