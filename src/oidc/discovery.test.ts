import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type TestLido, testLido } from '../testing.ts'
import {
  anotherNode,
  ask,
  callback,
  eventually,
  makePool,
  makeWorkspace,
  payloadOf,
  post,
  type SignedIn,
  signIn,
  type TestWorkspace,
  type Tokens,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

interface Discovered {
  [name: string]: unknown
  response_modes_supported: string[]
  scopes_supported: string[]
  grant_types_supported: string[]
  claims_supported: string[]
  id_token_signing_alg_values_supported: string[]
}

const wrapping = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW']
const encrypting = ['A256GCM', 'A128GCM', 'A256CBC-HS512', 'A128CBC-HS256']

let lido: TestLido
let workspace: TestWorkspace
let told: Discovered
let mike: Tokens & { browser: SignedIn['browser'] }
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await people.user('mike@example.org')
  told = (await ask(`${workspace.issuer}/.well-known/openid-configuration`)).body as unknown as Discovered
  mike = await tokensOf(lido, workspace, 'mike@example.org')
})
after(() => lido.stop())

test('discovery lists what there is, at the addresses that clients may rely on', () => {
  const { issuer } = workspace
  const { claims_supported: _claims, scopes_supported: _scopes, ...rest } = told
  assert.deepEqual(rest, {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/logout`,
    introspection_endpoint: `${issuer}/introspect`,
    revocation_endpoint: `${issuer}/revoke`,
    acr_values_supported: ['urn:lido:acr:1fa', 'urn:lido:acr:2fa', 'phr'],
    backchannel_logout_session_supported: true,
    backchannel_logout_supported: true,
    prompt_values_supported: ['none', 'login', 'consent', 'select_account'],
    authorization_response_iss_parameter_supported: true,
    authorization_encryption_alg_values_supported: wrapping,
    authorization_encryption_enc_values_supported: encrypting,
    authorization_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA', 'PS256'],
    claim_types_supported: ['normal'],
    claims_parameter_supported: true,
    code_challenge_methods_supported: ['S256'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'PS256', 'RS256'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    id_token_encryption_alg_values_supported: wrapping,
    id_token_encryption_enc_values_supported: encrypting,
    id_token_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA', 'PS256'],
    introspection_encryption_alg_values_supported: wrapping,
    introspection_encryption_enc_values_supported: encrypting,
    introspection_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA', 'PS256'],
    pushed_authorization_request_endpoint: `${issuer}/par`,
    request_object_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    response_modes_supported: ['form_post', 'fragment', 'query', 'jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'],
    response_types_supported: ['code'],
    subject_types_supported: ['public', 'pairwise'],
    token_endpoint_auth_methods_supported: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      'client_secret_jwt',
    ],
    token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'],
    userinfo_encryption_alg_values_supported: wrapping,
    userinfo_encryption_enc_values_supported: encrypting,
    userinfo_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA', 'PS256'],
    ui_locales_supported: ['en', 'de', 'fr', 'es', 'ja', 'ar'],
  })
})

test('discovery and keys may be read from any origin, and kept a while', async () => {
  for (const path of ['.well-known/openid-configuration', '.well-known/oauth-authorization-server', 'jwks']) {
    const address = `${workspace.issuer}/${path}`
    for (const headers of [{}, { Origin: 'https://app.example' }] as Record<string, string>[]) {
      const answer = await ask(address, { headers })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('Access-Control-Allow-Origin'), '*')
      assert.equal(answer.headers.get('Cache-Control'), 'public, max-age=300')
      assert.equal(answer.headers.get('Set-Cookie'), null)
    }
    const head = await ask(address, { method: 'HEAD' })
    assert.deepEqual([head.status, head.text], [200, ''])
  }
})

test('every algorithm that is listed has a key', async () => {
  const { keys } = (await ask(`${workspace.issuer}/jwks`)).body as unknown as { keys: { alg: string }[] }
  assert.deepEqual(keys.map(({ alg }) => alg).sort(), [...told.id_token_signing_alg_values_supported].sort())
})

test('every endpoint that is listed answers, and knows what it is asked', async () => {
  const { issuer } = workspace
  assert.equal((await userinfo(issuer, mike.access)).status, 200)
  assert.equal((await post(`${issuer}/introspect`, { token: mike.access, client_id: 'spa' })).body.active, true)
  assert.equal((await post(`${issuer}/revoke`, { token: 'unknown', client_id: 'spa' })).status, 200)
  assert.equal((await ask(`${issuer}/logout`)).status, 200)
  for (const grant_type of told.grant_types_supported) {
    const { status, body } = await post(`${issuer}/token`, { grant_type, client_id: 'spa' })
    assert.equal(status, 400)
    assert.notEqual(body.error, 'unsupported_grant_type', grant_type)
  }
})

test('every response mode that is listed works, and no other', async () => {
  const asked = { prompt: 'none', state: '"<&>"' }
  for (const response_mode of told.response_modes_supported) {
    const { at, browser } = await signIn(lido, workspace, '', { ...asked, response_mode }, mike.browser)
    if (response_mode.includes('jwt')) {
      const sent = at.searchParams.get('response') ?? new URLSearchParams(at.hash.slice(1)).get('response')
      const jwt = sent ?? browser.page.html.match(/name="response" value="([\w.-]+)"/)?.[1] ?? ''
      const { code, iss, aud, state } = payloadOf(jwt)
      assert.deepEqual([typeof code, iss, aud, state], ['string', workspace.issuer, 'spa', asked.state], response_mode)
      continue
    }
    if (response_mode === 'form_post') {
      assert.match(browser.page.html, /<form method="post" action="https:\/\/app\.example\/callback" data-send>/)
      assert.match(browser.page.html, /name="code" value="[\w-]+"/)
      assert.match(browser.page.html, /name="state" value="&quot;&lt;&amp;&gt;&quot;"/)
      assert.equal(browser.page.headers.get('Cache-Control'), 'no-store')
      continue
    }
    assert.equal(at.origin + at.pathname, callback)
    const answer = response_mode === 'fragment' ? new URLSearchParams(at.hash.slice(1)) : at.searchParams
    assert(answer.get('code'))
    assert.deepEqual([answer.get('iss'), answer.get('state')], [workspace.issuer, asked.state])
  }
  for (const response_mode of ['web_message', 'web_message.jwt', 'other']) {
    const { at } = await signIn(lido, workspace, '', { ...asked, response_mode }, mike.browser)
    assert.deepEqual([at.searchParams.get('error'), at.searchParams.get('code')], ['unsupported_response_mode', null])
  }
})

test('every scope that is listed is given, every claim that is told is listed', async () => {
  const scope = told.scopes_supported.join(' ')
  const signedIn = await tokensOf(lido, workspace, 'mike@example.org', { scope })
  const seen = await post(`${workspace.issuer}/introspect`, { token: signedIn.access, client_id: 'spa' })
  assert.deepEqual(String(seen.body.scope).split(' ').sort(), [...told.scopes_supported].sort())
  const protocol = ['aud', 'exp', 'iat', 'nonce', 'at_hash', 'c_hash']
  const claims = { ...payloadOf(signedIn.id), ...(await userinfo(workspace.issuer, signedIn.access)).body }
  const unlisted = Object.keys(claims).filter(
    (name) => !told.claims_supported.includes(name) && !protocol.includes(name),
  )
  assert.deepEqual(unlisted, [])
  for (const name of [
    'sub',
    'idp',
    'amr',
    'acr',
    'auth_time',
    'sid',
    'iss',
    'email',
    'email_verified',
    'name',
    'updated_at',
  ])
    assert(name in claims, name)
})

test('a session has one sid at a client, in every token of it', async () => {
  const { sid } = payloadOf(mike.id)
  assert.equal(typeof sid, 'string')
  const next = await post(`${workspace.issuer}/token`, {
    grant_type: 'refresh_token',
    refresh_token: mike.refresh,
    client_id: 'spa',
  })
  assert.equal(payloadOf(String(next.body.id_token)).sid, sid)
})

test('what is not listed is not there', async () => {
  const { issuer } = workspace
  const paths = ['request', 'register', 'reg', 'ciba', 'challenge']
  for (const path of [
    ...paths,
    'auth',
    'me',
    'session/end',
    'token/introspection',
    'token/revocation',
    'interaction/x',
  ])
    for (const method of ['GET', 'POST']) {
      const { status } = await ask(`${issuer}/${path}`, { method })
      assert.equal(status, 404, `${method} ${path}`)
    }
})

test('a page of another origin may use the endpoints where the client is at home there, and nowhere else', async () => {
  const from = async (Origin: string) =>
    post(`${workspace.issuer}/token`, { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'spa' }, { Origin })
  const own = await from('https://app.example')
  assert.deepEqual(
    [own.body.error, own.headers.get('Access-Control-Allow-Origin')],
    ['invalid_grant', 'https://app.example'],
  )
  assert.equal(own.headers.get('Access-Control-Allow-Credentials'), 'true')
  for (const origin of ['https://evil.example', 'https://app.example.evil.example', 'null']) {
    const other = await from(origin)
    assert.deepEqual([other.status, other.headers.get('Access-Control-Allow-Origin')], [400, null])
    assert.equal(other.headers.get('Access-Control-Allow-Credentials'), null)
  }
  const { headers } = await ask(`${workspace.issuer}/authorize`, { headers: { Origin: 'https://app.example' } })
  assert.equal(headers.get('Access-Control-Allow-Origin'), null)
})

const documentOf = async (issuer: string, name = 'openid-configuration') =>
  (await ask(`${issuer}/.well-known/${name}`)).body as unknown as Discovered

/** What of it depends on the clients of a workspace. */
const dependent = (document: Discovered) =>
  Object.fromEntries(
    Object.entries(document).filter(([name]) =>
      /^(grant_types|response_types)_supported$|^device_|^backchannel_(authentication|token|user)/.test(name),
    ),
  )

const plain = { grant_types_supported: ['authorization_code'], response_types_supported: ['code'] }

test('what only some clients use is listed as soon as there is one, on every node, and no longer than that', async () => {
  const people = await makePool(lido, 'used')
  const used = await makeWorkspace(lido, 'used', { pools: [people] })
  const neighbour = await makeWorkspace(lido, 'unused', { pools: [people] })
  const other = await anotherNode(lido)
  const { issuer } = used
  const everywhere = [issuer, other.issuer(used)]
  const lists = async (wanted: Record<string, unknown>) =>
    eventually(5_000, async () => {
      for (const where of everywhere)
        for (const name of ['openid-configuration', 'oauth-authorization-server'])
          assert.deepEqual(dependent(await documentOf(where, name)), wanted, `${where} ${name}`)
      const inserted = `${lido.url}/.well-known/oauth-authorization-server/w/used`
      assert.deepEqual(dependent((await ask(inserted)).body as unknown as Discovered), wanted)
    })
  try {
    await lists(plain)
    await used.client('machine', {
      grant_types: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_method: 'client_secret_basic',
      token_exchange: { resources: [], subjects: 'own', delegation: true },
    })
    const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
    await lists({ ...plain, grant_types_supported: ['authorization_code', 'client_credentials', exchange] })
    const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code'
    const ciba = 'urn:openid:params:grant-type:ciba'
    await used.client('tv', { grant_types: [deviceCode, 'refresh_token'], redirect_uris: [] })
    await used.client('till', {
      grant_types: [ciba, 'password'],
      token_endpoint_auth_method: 'client_secret_basic',
      backchannel_token_delivery_mode: 'poll',
    })
    await used.client('certified', { response_types: ['code', 'code id_token'] })
    await lists({
      grant_types_supported: [
        'authorization_code',
        'implicit',
        'refresh_token',
        'client_credentials',
        deviceCode,
        ciba,
        'password',
        exchange,
      ],
      response_types_supported: ['code', 'code id_token'],
      device_authorization_endpoint: `${issuer}/device_authorization`,
      backchannel_authentication_endpoint: `${issuer}/backchannel`,
      backchannel_authentication_request_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      backchannel_token_delivery_modes_supported: ['poll'],
      backchannel_user_code_parameter_supported: false,
    })
    const { db } = lido.services
    await db.updateTable('clients').set({ status: 'inactive' }).where('workspaceId', '=', used.id).execute()
    await lists(plain)
    assert.deepEqual(dependent(await documentOf(neighbour.issuer)), plain)
  } finally {
    await other.stop()
  }
})

test('the same is told however its address is spelt, and to whoever asks for the head alone', async () => {
  const people = await makePool(lido, 'spelt')
  const { issuer } = await makeWorkspace(lido, 'spelt', { pools: [people] })
  const at = `${issuer}/.well-known/openid-configuration`
  const length = String(JSON.stringify(await documentOf(issuer)).length)
  for (const address of [`${at}/`, at.replace('openid', 'OpenID')]) {
    const { body } = await ask(address)
    assert.deepEqual(dependent(body as unknown as Discovered), plain, address)
  }
  const head = await fetch(at, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), length)
  const keys = await fetch(`${issuer}/jwks/`)
  assert.match(keys.headers.get('content-type') ?? '', /^application\/jwk-set\+json/)
})

test('what applications may register as is listed before the first one has', async () => {
  const people = await makePool(lido, 'registering')
  const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code' as const
  const grant_types = ['authorization_code' as const, deviceCode]
  for (const [slug, registration, isOpen] of [
    ['by-token', { mode: 'token' as const, grant_types }, true],
    ['open', { mode: 'open' as const, grant_types }, true],
    ['documents', { client_id_documents: 'on' as const, grant_types }, true],
    ['shut', { grant_types }, false],
  ] as const) {
    const where = await makeWorkspace(lido, slug, { pools: [people], settings: { registration } })
    const open = {
      ...plain,
      grant_types_supported: ['authorization_code', deviceCode],
      device_authorization_endpoint: `${where.issuer}/device_authorization`,
    }
    assert.deepEqual(dependent(await documentOf(where.issuer)), isOpen ? open : plain, slug)
  }
})

test('discovery asks the database once for what its clients use, and sign-ins do not ask at all', async () => {
  const people = await makePool(lido, 'asking')
  const where = await makeWorkspace(lido, 'asking', { pools: [people] })
  await where.client('spa')
  await people.user('quick@example.org')
  await tokensOf(lido, where, 'quick@example.org')
  const looks = () => lido.statements.filter((text) => text.includes("'grantTypes' as what")).length
  const before = looks()
  await tokensOf(lido, where, 'quick@example.org')
  assert.equal(looks(), before)
  await Promise.all(Array.from({ length: 20 }, () => documentOf(where.issuer)))
  await documentOf(where.issuer)
  assert.equal(looks(), before + 1)
})
