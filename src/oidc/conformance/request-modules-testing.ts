import assert from 'node:assert/strict'
import { openBrowser } from '../../browser-testing.ts'
import { makeSigner, now } from '../signer-testing.ts'
import type { Module } from './core-modules-testing.ts'
import { answerPages, callback, challenge, checkAnswer, email, type Params, type Suite } from './suite-testing.ts'

/** A request object that nobody signed (OpenID Connect Core 1.0 section 6.1). */
const unsigned = (claims: Record<string, unknown>): string =>
  `${[{ alg: 'none' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`

/** One that the suite cannot be sure of to be taken has to be refused in the words of section 3.1.2.6. */
const refused = async (suite: Suite, params: Params, errors: string[]): Promise<void> => {
  const { answer, code } = await suite.visit(await suite.client(), params)
  assert(errors.includes(answer.get('error') ?? ''), String(answer))
  assert.deepEqual([answer.get('state'), code], ['a-state', ''])
}

/** Signs in, and asks again in the same browser. */
const twice = async (suite: Suite, first: Params, second: (hint: string) => Params) => {
  const client = await suite.client()
  const before = await suite.flow(client, first)
  await new Promise((resolve) => setTimeout(resolve, 2100))
  const after = await suite.flow(client, second(before.idToken), { browser: before.browser })
  return { before, after }
}

/** A parameter that may be anything, as far as it does no harm. */
const harmless = (
  name: string,
  says: string,
  params: Params,
  check: (suite: Suite, claims: object) => void = () => {},
) => ({
  name,
  says,
  run: async (suite: Suite) => {
    const { claims } = await suite.flow(await suite.client(), params)
    check(suite, claims)
  },
})

/** Of the basic plan: what a request may say. */
export const requestModules: Module[] = [
  harmless('oidcc-display-page', 'display=page does no harm', { display: 'page' }),
  harmless('oidcc-display-popup', 'display=popup does no harm', { display: 'popup' }),
  {
    name: 'oidcc-prompt-login',
    says: 'prompt=login asks again, and auth_time is later',
    run: async (suite) => {
      const { before, after } = await twice(suite, {}, () => ({ prompt: 'login' }))
      assert(after.steps.includes('prove'))
      assert.equal(after.claims.sub, before.claims.sub)
      assert(Number(after.claims.auth_time) > Number(before.claims.auth_time))
    },
  },
  {
    name: 'oidcc-prompt-none-not-logged-in',
    says: 'prompt=none without a session is refused at the client',
    run: (suite) =>
      refused(suite, { prompt: 'none' }, ['login_required', 'interaction_required', 'account_selection_required']),
  },
  {
    name: 'oidcc-prompt-none-logged-in',
    says: 'prompt=none with a session asks nothing, and tells of the same sign-in',
    run: async (suite) => {
      const { before, after } = await twice(suite, {}, () => ({ prompt: 'none' }))
      assert.deepEqual(after.steps, [])
      assert.equal(after.claims.sub, before.claims.sub)
      assert.equal(after.claims.auth_time, before.claims.auth_time)
    },
  },
  {
    name: 'oidcc-max-age-1',
    says: 'max_age=1 asks again after more than a second, and auth_time is there and later',
    run: async (suite) => {
      const { before, after } = await twice(suite, {}, () => ({ max_age: '1' }))
      assert(after.steps.includes('prove'))
      assert.equal(after.claims.sub, before.claims.sub)
      assert(Number(after.claims.auth_time) > Number(before.claims.iat))
    },
  },
  {
    name: 'oidcc-max-age-10000',
    says: 'max_age=10000 asks nothing, and auth_time is that of the first sign-in',
    run: async (suite) => {
      const { before, after } = await twice(suite, { max_age: '10000' }, () => ({ max_age: '10000' }))
      assert.deepEqual(after.steps, [])
      assert.deepEqual([after.claims.sub, after.claims.auth_time], [before.claims.sub, before.claims.auth_time])
      assert.equal(typeof before.claims.auth_time, 'number')
    },
  },
  harmless('oidcc-ensure-request-with-unknown-parameter-succeeds', 'a parameter nobody knows does no harm', {
    extra: 'foobar',
  }),
  {
    name: 'oidcc-id-token-hint',
    says: 'prompt=none with the ID token of this session asks nothing',
    run: async (suite) => {
      const { before, after } = await twice(suite, {}, (id_token_hint) => ({ prompt: 'none', id_token_hint }))
      assert.deepEqual(after.steps, [])
      assert.equal(after.claims.sub, before.claims.sub)
    },
  },
  {
    name: 'oidcc-login-hint',
    says: 'a login_hint does no harm, and is written where somebody says who they are',
    run: async (suite) => {
      const client = await suite.client()
      const browser = openBrowser(suite.lido.url)
      const { page } = await suite.visit(client, { login_hint: email }, browser)
      assert.match(page.html, new RegExp(email))
      await answerPages(browser)
      await suite.flow(client, { login_hint: 'buffy@suite.example' })
    },
  },
  harmless('oidcc-ui-locales', 'ui_locales does no harm, also where no such language is spoken', {
    ui_locales: 'se',
  }),
  harmless('oidcc-claims-locales', 'claims_locales does no harm', { claims_locales: 'se' }),
  harmless(
    'oidcc-ensure-request-with-acr-values-succeeds',
    'an acr_values nobody knows does no harm; the acr is one of those that discovery tells',
    { acr_values: '1 2' },
    ({ metadata }, claims) =>
      assert((metadata.acr_values_supported as unknown[]).includes((claims as { acr?: unknown }).acr)),
  ),
  {
    name: 'oidcc-idtoken-unsigned',
    says: 'skipped by the suite where discovery tells of no ID tokens by `none`; here no client can ask for them',
    run: async (suite) => {
      assert(!(suite.metadata.id_token_signing_alg_values_supported as string[]).includes('none'))
      const { status } = await suite.lido.call('POST', '/workspaces/conformance/clients', {
        client_name: 'None',
        redirect_uris: [callback],
        id_token_signed_response_alg: 'none',
      })
      assert.equal(status, 422)
    },
  },
  {
    name: 'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported',
    says: 'a request_uri of the client is refused as not supported, as discovery says',
    run: async (suite) => {
      assert.equal(suite.metadata.request_uri_parameter_supported, false)
      await refused(suite, { request_uri: 'https://suite.example/request' }, ['request_uri_not_supported'])
    },
  },
  {
    name: 'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported',
    says: 'skipped by the suite where discovery tells of no `none`; here such a request object is refused',
    run: async (suite) => {
      assert(!(suite.metadata.request_object_signing_alg_values_supported as string[]).includes('none'))
      await refused(suite, { request: unsigned({ state: 'a-state', scope: 'openid' }) }, [
        'request_not_supported',
        'invalid_request_object',
      ])
    },
  },
  {
    name: 'oidcc-ensure-request-object-with-redirect-uri',
    says: 'the redirect_uri of the request object is the one that counts; signed, for `none` is not supported',
    run: async (suite) => {
      const signer = await makeSigner('RS256')
      const client = await suite.client({ jwks: signer.jwks })
      const claims = { iss: client.id, aud: suite.issuer, client_id: client.id, exp: now() + 60, iat: now() }
      const asked = { response_type: 'code', scope: 'openid', state: 's', nonce: 'n', redirect_uri: callback }
      const request = await signer.sign({ ...claims, jti: crypto.randomUUID(), ...asked })
      const returned = await suite.authorize(client, { request, redirect_uri: 'https://suite.example/bad', state: 's' })
      checkAnswer(returned, suite, 's')
      assert.equal((await suite.redeem(client, returned.code)).status, 200)
    },
  },
  {
    name: 'oidcc-ensure-request-with-valid-pkce-succeeds',
    says: 'a challenge by S256 and its verifier go through, and another verifier does not',
    run: async (suite) => {
      const client = await suite.client()
      const verifier = 'a-verifier-of-the-suite-that-is-long-enough-for-it'
      for (const [sent, status] of [
        [verifier, 200],
        [`${verifier}x`, 400],
      ] as const) {
        const { code } = await suite.authorize(client, challenge(verifier))
        assert.equal((await suite.redeem(client, code, { code_verifier: sent })).status, status)
      }
    },
  },
]
