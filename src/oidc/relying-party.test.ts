import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  callback,
  goodbye,
  headerOf,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  type TestWorkspace,
} from './fixtures-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
let mike: string
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  mike = await people.user('Mike@example.org')
})
after(() => lido.stop())

const resource = 'https://api.example/v1'
const discover = (id: string, auth: oidc.ClientAuth) =>
  oidc.discovery(new URL(workspace.issuer), id, undefined, auth, { execute: [oidc.allowInsecureRequests] })

/** Signs in as an application does, and answers its tokens. */
const signInWith = async (
  config: oidc.Configuration,
  browser = openBrowser(lido.url),
  more: Record<string, string> = {},
) => {
  const verifier = oidc.randomPKCECodeVerifier()
  const state = oidc.randomState()
  const nonce = oidc.randomNonce()
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: 'openid profile email offline_access',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...more,
  })
  await browser.get(url.href)
  if (browser.page.step === 'identify') {
    await browser.submit({ identifier: 'mike@example.org' })
    await browser.submit({ password })
  }
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return oidc.authorizationCodeGrant(config, new URL(browser.page.url), checks)
}

const ended = { error: 'invalid_grant' }

test('a public client signs in, reads the claims, refreshes, and gives its tokens back', async () => {
  await workspace.client('spa')
  const config = await discover('spa', oidc.None())
  const tokens = await signInWith(config)
  const claims = tokens.claims()
  assert(claims)
  assert.equal(claims.iss, workspace.issuer)
  assert.equal(claims.sub, mike)
  assert.equal(claims.aud, 'spa')
  assert.deepEqual(claims.amr, ['pwd'])
  assert.equal(claims.acr, 'urn:lido:acr:1fa')
  assert.equal(claims.idp, workspace.connections[0])
  assert.equal(typeof claims.auth_time, 'number')
  assert.equal(claims.email, undefined)
  const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
  assert.equal(info.email, 'Mike@example.org')
  assert.equal(info.email_verified, true)
  assert.equal(info.name, 'Mike Miller')
  assert.equal(info.phone_number, undefined)
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '')
  assert.equal(next.claims()?.sub, mike)
  assert.equal(next.claims()?.auth_time, claims.auth_time)
  assert.notEqual(next.refresh_token, tokens.refresh_token)
  await oidc.tokenRevocation(config, next.refresh_token ?? '')
  await assert.rejects(oidc.refreshTokenGrant(config, next.refresh_token ?? ''), ended)
  await assert.rejects(oidc.fetchUserInfo(config, next.access_token, mike), { status: 401 })
})

for (const [method, authOf] of [
  ['client_secret_basic', oidc.ClientSecretBasic],
  ['client_secret_post', oidc.ClientSecretPost],
] as const)
  test(`a confidential client by ${method} signs in and asks about its tokens`, async () => {
    const id = `web-${method}`
    const secret = await workspace.client(id, { token_endpoint_auth_method: method })
    const config = await discover(id, authOf(secret))
    const tokens = await signInWith(config)
    const seen = await oidc.tokenIntrospection(config, tokens.access_token)
    assert.equal(seen.active, true)
    assert.equal(seen.sub, mike)
    assert.equal(seen.client_id, id)
    assert.equal(seen.iss, workspace.issuer)
    assert.equal(seen.scope, 'openid profile email offline_access')
    assert.equal((await oidc.tokenIntrospection(config, tokens.refresh_token ?? '')).active, true)
    await oidc.tokenRevocation(config, tokens.access_token)
    assert.deepEqual(await oidc.tokenIntrospection(config, tokens.access_token), { active: false })
    const wrong = await discover(id, authOf(`${secret}x`))
    await assert.rejects(signInWith(wrong), { status: 401 })
  })

test('a client that signs people out with an ID token of the session gets the person back at once', async () => {
  await workspace.client('leaving')
  const config = await discover('leaving', oidc.None())
  const browser = openBrowser(lido.url)
  const tokens = await signInWith(config, browser)
  const hint = { id_token_hint: tokens.id_token ?? '', post_logout_redirect_uri: goodbye, state: 'a b&c' }
  await browser.get(oidc.buildEndSessionUrl(config, hint).href)
  const back = new URL(browser.page.url)
  assert.equal(back.origin + back.pathname, goodbye)
  assert.deepEqual([...back.searchParams], [['state', 'a b&c']])
  await assert.rejects(signInWith(config, browser, { prompt: 'none' }), { error: 'login_required' })
})

test('where nobody is signed in, logging out leads on at once, by no script', async () => {
  await workspace.client('left')
  const browser = openBrowser(lido.url)
  const leave = { client_id: 'left', post_logout_redirect_uri: goodbye, state: 'x y' }
  await browser.get(`/w/${workspace.slug}/logout?${new URLSearchParams(leave)}`)
  const back = new URL(browser.page.url)
  assert.equal(back.origin + back.pathname, goodbye)
  assert.deepEqual([...back.searchParams], [['state', 'x y']])
  await browser.get(`${lido.url}/w/${workspace.slug}/logout`)
  assert.equal(browser.page.step, 'loggedout')
  assert.match(browser.page.headers.get('Content-Security-Policy') ?? '', /default-src 'none'/)
})

test('a machine gets a JWT for its resource, and nothing without one it may ask for', async () => {
  const secret = await workspace.client('machine', {
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    post_logout_redirect_uris: [],
    resources: { [resource]: ['read', 'write'] },
  })
  const config = await discover('machine', oidc.ClientSecretBasic(secret))
  const tokens = await oidc.clientCredentialsGrant(config, { resource, scope: 'read' })
  const { kid, ...header } = headerOf(tokens.access_token)
  assert.deepEqual(header, { alg: 'RS256', typ: 'at+jwt' })
  assert.equal(typeof kid, 'string')
  const { iss, aud, scope, client_id, sub } = payloadOf(tokens.access_token)
  assert.deepEqual(
    { iss, aud, scope, client_id, sub },
    { iss: workspace.issuer, aud: resource, scope: 'read', client_id: 'machine', sub: 'machine' },
  )
  await assert.rejects(oidc.clientCredentialsGrant(config, { resource: 'https://other.example', scope: 'read' }), {
    error: 'invalid_target',
  })
  const opaque = await oidc.clientCredentialsGrant(config)
  assert.equal((await oidc.tokenIntrospection(config, opaque.access_token)).active, true)
})

for (const alg of ['RS256', 'ES256', 'EdDSA', 'PS256'] as const)
  test(`an ID token is signed by ${alg} where the client wants that`, async () => {
    await workspace.client(`by-${alg}`, { id_token_signed_response_alg: alg })
    const config = await oidc.discovery(
      new URL(workspace.issuer),
      `by-${alg}`,
      { id_token_signed_response_alg: alg },
      oidc.None(),
      { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks] },
    )
    const tokens = await signInWith(config)
    assert.equal(headerOf(tokens.id_token ?? '').alg, alg)
  })
