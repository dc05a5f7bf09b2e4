import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { snippetsFor } from './pages/snippets.ts'
import { csrfOf, fill, shownIn } from './record-form-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  browser = await openConsole(lido)
})
after(() => lido.stop())

const at = '/console/workspaces/demo/clients'
const api = '/workspaces/demo/clients'
const secretIn = (html: string): string => html.match(/<dt>Secret<\/dt><dd><code[^>]*>([^<]+)</)?.[1] ?? ''

/** Whether the token endpoint takes a secret; it has no grant for this client, so a good one is told so. */
const isGood = async (id: string, secret: string): Promise<boolean> => {
  const response = await fetch(`${lido.url}/w/demo/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code: 'none', redirect_uri: 'https://a.example/cb' }),
  })
  const { error } = (await response.json()) as { error: string }
  return error !== 'invalid_client'
}

test('a client is made, and its secret is shown this once', async () => {
  await fill(browser, `${at}/~new`, {
    client_name: 'Shop',
    client_id: 'shop',
    redirect_uris: 'https://a.example/cb',
    'grant_types.refresh_token': 'true',
    'scope.openid': 'true',
    'scope.email': 'true',
    resources: 'https://api.example = orders:read orders:write',
  })
  assert.match(browser.page.html, /Copy the secret now/)
  assert.equal(browser.page.headers.get('Cache-Control'), 'no-store')
  const secret = secretIn(browser.page.html)
  assert.ok(await isGood('shop', secret))
  for (const path of [at, `${at}/shop`, `${at}/shop/~edit`]) {
    await browser.get(path)
    assert.equal(browser.page.status, 200)
    assert.ok(!browser.page.html.includes(secret))
  }
  const { body } = await lido.call('GET', `${api}/shop`)
  assert.equal(body.scope, 'openid email')
  assert.deepEqual(body.grant_types, ['authorization_code', 'refresh_token'])
  assert.deepEqual(body.resources, { 'https://api.example': ['orders:read', 'orders:write'] })
  assert.equal(body.connections, null)
})

test('connections are chosen from those of the workspace; none ticked are all', async () => {
  const { items = [] } = (await lido.call('GET', '/workspaces/demo/connections')).body
  const id = String(items[0]?.id)
  await fill(browser, `${at}/shop/~edit`, { [`connections.${id}`]: 'true' })
  assert.deepEqual((await lido.call('GET', `${api}/shop`)).body.connections, [id])
  await fill(browser, `${at}/shop/~edit`, { [`connections.${id}`]: null, 'scope.openid': null, 'scope.email': null })
  const { body } = await lido.call('GET', `${api}/shop`)
  assert.equal(body.connections, null)
  assert.equal(body.scope, undefined)
})

test('saving a form that was not touched changes nothing', async () => {
  const then = (await lido.call('GET', `${api}/shop`)).body
  await fill(browser, `${at}/shop/~edit`, {})
  const now = (await lido.call('GET', `${api}/shop`)).body
  assert.deepEqual({ ...now, updated_at: null }, { ...then, updated_at: null })
})

test('what is wrong is said at its field, and what was typed stays', async () => {
  await fill(browser, `${at}/shop/~edit`, { redirect_uris: 'https://a.example/cb\nhttp://b.example/cb' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-redirect_uris"[^>]*>Line 2: http is for loopback/)
  assert.equal(shownIn(browser.page.html).redirect_uris, 'https://a.example/cb\nhttp://b.example/cb')
})

test('a rotated secret leaves the one before good until it is ended', async () => {
  const { body } = await lido.call('POST', `${api}/shop/secret`)
  const first = String(body.client_secret)
  await browser.get(`${at}/shop/~rotate`)
  const csrf = csrfOf(browser.page.html)
  await browser.post(`${at}/shop/~rotate`, {})
  assert.equal(browser.page.status, 403)
  await browser.post(`${at}/shop/~rotate`, { csrf })
  const second = secretIn(browser.page.html)
  assert.deepEqual([await isGood('shop', first), await isGood('shop', second)], [true, true])
  await browser.get(`${at}/shop`)
  await browser.get(browser.link('End the old secret'))
  await browser.post(`${at}/shop/~end-old`, { csrf })
  assert.match(browser.page.html, /The old secret was ended/)
  assert.deepEqual([await isGood('shop', first), await isGood('shop', second)], [false, true])
  assert.throws(() => browser.link('End the old secret'))
})

test('a client that begins to have a secret is shown it this once', async () => {
  await fill(browser, `${at}/~new`, {
    client_name: 'Page',
    client_id: 'page',
    redirect_uris: 'https://a.example/cb',
    token_endpoint_auth_method: 'none',
  })
  assert.match(browser.page.html, /The client was made/)
  assert.doesNotMatch(browser.page.html, /Copy the secret|Rotate the secret/)
  assert.match(browser.page.html, /oidc-client-ts/)
  await fill(browser, `${at}/page/~edit`, { token_endpoint_auth_method: 'client_secret_basic' })
  assert.ok(await isGood('page', secretIn(browser.page.html)))
})

test('what touches a secret or ends a client needs a fresh proof and the right to it', async () => {
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(`${at}/shop`)
  assert.doesNotMatch(viewer.page.html, /~rotate|~edit|~delete|~end-old/)
  const csrf = csrfOf(viewer.page.html)
  for (const path of ['~rotate', '~end-old', '~delete', '~edit']) {
    await viewer.get(`${at}/shop/${path}`)
    assert.equal(viewer.page.status, 403)
    await viewer.post(`${at}/shop/${path}`, { csrf })
    assert.equal(viewer.page.status, 403)
  }
  await lido.services.db
    .updateTable('consoleSessions')
    .set({ provedAt: new Date(Date.now() - 11 * 60_000) })
    .execute()
  await browser.get(`${at}/shop/~rotate`)
  assert.match(browser.page.url, /\/w\/admin\/signin\//)
})

const base = {
  client_id: 'abc',
  application_type: 'web',
  redirect_uris: ["https://a.example/it's/back"],
  post_logout_redirect_uris: [],
  grant_types: ['authorization_code'],
  token_endpoint_auth_method: 'client_secret_basic',
  id_token_signed_response_alg: 'RS256',
}
const codeOf = (changes: object) =>
  Object.fromEntries(
    snippetsFor({ ...base, ...changes }, 'https://id.example/w/acme').map(({ title, code }) => [title, code]),
  )

test('the snippets are chosen by what the client is', () => {
  const titles = (changes: object) => Object.keys(codeOf(changes))
  assert.deepEqual(titles({}), ['Node: openid-client', 'Java: Spring Boot', 'C#: ASP.NET Core', 'Python: Authlib'])
  assert.deepEqual(titles({ token_endpoint_auth_method: 'none' }), ['Browser: oidc-client-ts'])
  assert.deepEqual(titles({ token_endpoint_auth_method: 'none', application_type: 'native' }), ['Node: openid-client'])
  assert.deepEqual(titles({ grant_types: ['client_credentials'], redirect_uris: [] })[2], 'C#: .NET')
})

test('a snippet names the client as it is, and its secret by the environment only', () => {
  for (const code of Object.values(codeOf({ client_secret: 'told-once' }))) {
    assert.match(code, /https:\/\/id\.example\/w\/acme/)
    assert.match(code, /"abc"/)
    assert.match(code, /it's\/back/)
    assert.match(code, /OIDC_CLIENT_SECRET|Oidc:ClientSecret/)
    assert.doesNotMatch(code, /told-once/)
  }
})

test('what the Spring snippet says is read as YAML', () => {
  const { spring } = parse(codeOf({})['Java: Spring Boot'] ?? '')
  const { registration, provider } = spring.security.oauth2.client
  assert.equal(provider.lido['issuer-uri'], 'https://id.example/w/acme')
  assert.equal(registration.lido['client-id'], 'abc')
  assert.equal(registration.lido['redirect-uri'], "https://a.example/it's/back")
  assert.deepEqual(registration.lido.scope, ['openid', 'profile', 'email'])
})

test('what its ID tokens tell, and what is encrypted for it, are chosen by the form and shown', async () => {
  await browser.get(`${at}/shop`)
  assert.match(browser.page.html, /Who it is; the rest is at userinfo/)
  await fill(browser, `${at}/shop/~edit`, { id_token_claims: 'scopes', userinfo_encrypted_response_alg: 'ECDH-ES' })
  assert.match(browser.page.html, /id="error-userinfo_encrypted_response_alg"[^>]*>This needs the public keys/)
  const key = { kty: 'OKP', crv: 'X25519', x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo', use: 'enc' }
  await fill(browser, `${at}/shop/~edit`, {
    jwks: JSON.stringify({ keys: [key] }),
    id_token_claims: 'scopes',
    userinfo_encrypted_response_alg: 'ECDH-ES',
    userinfo_encrypted_response_enc: 'A256GCM',
  })
  assert.match(browser.page.html, /Also what its scopes let it know/)
  const { body } = await lido.call('GET', `${api}/shop`)
  assert.deepEqual(
    [body.id_token_claims, body.userinfo_encrypted_response_alg, body.userinfo_encrypted_response_enc],
    ['scopes', 'ECDH-ES', 'A256GCM'],
  )
})

test('a client of a profile is made by the form, with its public keys as JSON', async () => {
  const key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid: 'one', use: 'sig' }
  const fields = {
    client_name: 'Bank',
    client_id: 'bank',
    redirect_uris: 'https://bank.example/cb',
    token_endpoint_auth_method: 'private_key_jwt',
    id_token_signed_response_alg: 'ES256',
    profile: 'fapi2_security',
  }
  await fill(browser, `${at}/~new`, { ...fields, jwks: 'not JSON' })
  assert.match(browser.page.html, /not JSON/)
  assert.equal((await lido.call('GET', `${api}/bank`)).status, 404)
  await fill(browser, `${at}/~new`, { ...fields, jwks: JSON.stringify({ keys: [{ ...key, d: 'private' }] }) })
  assert.match(browser.page.html, /A private key is not for us/)
  await fill(browser, `${at}/~new`, { ...fields, jwks: JSON.stringify({ keys: [key] }) })
  const { body } = await lido.call('GET', `${api}/bank`)
  assert.deepEqual(body.jwks, { keys: [key] })
  assert.equal(body.client_secret, undefined)
  await browser.get(`${at}/bank`)
  assert.match(browser.page.html, /FAPI 2.0 Security Profile/)
  assert.doesNotMatch(browser.page.html, /~rotate|LIDO_CLIENT_SECRET|client_secret:/)
  await fill(browser, `${at}/bank/~edit`, { client_name: 'The bank' })
  assert.deepEqual((await lido.call('GET', `${api}/bank`)).body, {
    ...body,
    client_name: 'The bank',
    updated_at: (await lido.call('GET', `${api}/bank`)).body.updated_at,
  })
})
