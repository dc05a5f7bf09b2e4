import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  callback,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

let lido: TestLido
let people: TestPool
let strangers: TestPool
let workspace: TestWorkspace
let mike: string
let web: Record<string, string>
let ropc: Record<string, string>
let twin: Record<string, string>
const twice = 'https://app.example/second'

before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  strangers = await makePool(lido, 'p2')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('two', { redirect_uris: [callback, twice] })
  const confidential = { token_endpoint_auth_method: 'client_secret_basic' as const }
  const grants = ['authorization_code' as const, 'refresh_token' as const, 'client_credentials' as const]
  web = basic('web', await workspace.client('web', confidential))
  twin = basic('twin', await workspace.client('twin', { ...confidential, grant_types: grants }))
  ropc = basic('ropc', await workspace.client('ropc', { ...confidential, grant_types: ['password', 'refresh_token'] }))
  mike = await people.user('mike@example.org')
  await strangers.user('stranger@example.org')
})
after(() => lido.stop())

const email = 'mike@example.org'

test('A21: a request without a PKCE challenge by S256 is refused, whoever asks', async () => {
  const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
  const wrong: Record<string, string>[] = [
    { code_challenge: '', code_challenge_method: '' },
    { code_challenge: '' },
    { code_challenge_method: '' },
    { code_challenge_method: 'plain' },
    { code_challenge_method: 's256' },
    { code_challenge_method: 'S512' },
    { code_challenge: 'short' },
    { code_challenge: `${challenge}=` },
    { code_challenge: `${challenge.slice(1)}+` },
  ]
  for (const client_id of ['spa', 'web'])
    for (const more of wrong) {
      const { browser, at } = await signIn(lido, workspace, email, { client_id, ...more })
      assert.equal(at.origin + at.pathname, callback, browser.page.html)
      assert.equal(at.searchParams.get('error'), 'invalid_request', JSON.stringify(more))
      assert.equal(at.searchParams.get('code'), null)
    }
})

test('A21: a code is redeemed with its own verifier only', async () => {
  const signedIn = await signIn(lido, workspace, email)
  const other = authorizeUrl(lido.url, 'w1', {})
  const challenge = new URL(other.url).searchParams.get('code_challenge') ?? ''
  for (const verifier of [
    '',
    other.verifier,
    challenge,
    `${signedIn.verifier}x`,
    signedIn.verifier.slice(0, -1),
    'short',
  ]) {
    const { status, body } = await redeem(workspace.issuer, { ...signedIn, verifier })
    assert.equal(status, 400)
    assert.match(String(body.error), /^invalid_(grant|request)$/)
  }
  const fields = { grant_type: 'authorization_code', code: signedIn.code, redirect_uri: callback, client_id: 'spa' }
  assert.equal((await post(`${workspace.issuer}/token`, fields)).body.error, 'invalid_grant')
  assert.equal((await redeem(workspace.issuer, signedIn)).status, 200)
})

test('a code is bound to the redirect_uri that it was asked with', async () => {
  const signedIn = await signIn(lido, workspace, email, { client_id: 'two' })
  for (const redirect_uri of [twice, `${callback}/`, 'https://evil.example/'])
    assert.equal(
      (await redeem(workspace.issuer, signedIn, { client_id: 'two', redirect_uri })).body.error,
      'invalid_grant',
    )
  const none = await redeem(workspace.issuer, signedIn, { client_id: 'two', redirect_uri: '' })
  assert.deepEqual([none.status, none.body.error], [400, 'invalid_request'])
  assert.equal((await redeem(workspace.issuer, signedIn, { client_id: 'two' })).status, 200)
})

test('A24: a code, a refresh token and an access token are worth nothing to another client', async () => {
  const signedIn = await signIn(lido, workspace, email, { client_id: 'web' })
  for (const [more, headers] of [
    [{ client_id: 'spa' }, {}],
    [{}, twin],
  ] as const)
    assert.equal((await redeem(workspace.issuer, signedIn, more, headers)).body.error, 'invalid_grant')
  const tokens = tokensFrom(await redeem(workspace.issuer, signedIn, {}, web))
  for (const [more, headers] of [
    [{ client_id: 'spa' }, {}],
    [{}, twin],
  ] as const) {
    assert.equal((await refresh(workspace.issuer, tokens.refresh, more, headers)).body.error, 'invalid_grant')
    for (const token of [tokens.access, tokens.refresh]) {
      const seen = await post(`${workspace.issuer}/introspect`, { token, ...more }, headers)
      assert.deepEqual([seen.status, seen.body], [200, { active: false }])
      assert.equal((await post(`${workspace.issuer}/revoke`, { token, ...more }, headers)).status, 200)
    }
  }
  assert.equal((await userinfo(workspace.issuer, tokens.access)).status, 200)
  assert.equal((await refresh(workspace.issuer, tokens.refresh, {}, web)).status, 200)
})

test('A24: what one workspace issued is worth nothing in another', async () => {
  const other = await makeWorkspace(lido, 'w2', { pools: [people] })
  await other.client('spa')
  const signedIn = await signIn(lido, workspace, email)
  assert.equal((await redeem(other.issuer, signedIn)).body.error, 'invalid_grant')
  const tokens = tokensFrom(await redeem(workspace.issuer, signedIn))
  assert.equal((await refresh(other.issuer, tokens.refresh)).body.error, 'invalid_grant')
  assert.equal((await userinfo(other.issuer, tokens.access)).status, 401)
  assert.deepEqual((await post(`${other.issuer}/introspect`, { token: tokens.access, client_id: 'spa' })).body, {
    active: false,
  })
  const { at } = await signIn(lido, other, email, { id_token_hint: tokens.id, prompt: 'none' }, signedIn.browser)
  assert.equal(at.searchParams.get('error'), 'invalid_request')
})

test('a client that has a secret must show it everywhere', async () => {
  const signedIn = await signIn(lido, workspace, email, { client_id: 'web' })
  const { code, verifier: code_verifier } = signedIn
  const requests: [string, Record<string, string>][] = [
    ['token', { grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier }],
    ['token', { grant_type: 'client_credentials' }],
    ['introspect', { token: 'x' }],
    ['revoke', { token: 'x' }],
  ]
  const bearer = { Authorization: web.Authorization?.replace('Basic ', 'Bearer ') ?? '' }
  for (const headers of [{}, bearer, basic('web', 'wrong'), basic('nobody', 'x')])
    for (const [path, fields] of requests) {
      const id = 'Authorization' in headers ? {} : { client_id: 'web' }
      const { status, body } = await post(`${workspace.issuer}/${path}`, { ...fields, ...id } as typeof fields, headers)
      assert.match(`${status} ${body.error}`, /^(401 invalid_client|400 invalid_request)$/)
    }
  assert.equal((await redeem(workspace.issuer, signedIn, {}, web)).status, 200)
})

test('a refresh may ask for less, never for more', async () => {
  const tokens = await tokensOf(lido, workspace, email, { scope: 'openid email' })
  const less = await refresh(workspace.issuer, tokens.refresh, { scope: 'openid' })
  assert.equal(less.body.scope, 'openid')
  assert.equal((await userinfo(workspace.issuer, String(less.body.access_token))).body.email, undefined)
  const more = await refresh(workspace.issuer, String(less.body.refresh_token), { scope: 'openid email profile' })
  assert.equal(more.body.error, 'invalid_scope')
  const all = await refresh(workspace.issuer, String(less.body.refresh_token))
  assert.equal(all.body.scope, 'openid email')
})

test('only a grant type that the client registered for is open to it', async () => {
  for (const [grant_type, headers] of [
    ['password', web],
    ['client_credentials', web],
    ['authorization_code', ropc],
    ['urn:ietf:params:oauth:grant-type:device_code', web],
    ['urn:ietf:params:oauth:grant-type:token-exchange', web],
    ['urn:openid:params:grant-type:ciba', web],
  ] as const) {
    const { status, body } = await post(
      `${workspace.issuer}/token`,
      { grant_type, code: 'x', username: email, password },
      headers,
    )
    assert.deepEqual([status, body.error], [400, 'unauthorized_client'], grant_type)
  }
  for (const grant_type of ['implicit', 'urn:ietf:params:oauth:grant-type:jwt-bearer', '__proto__', 'constructor']) {
    const { status, body } = await post(`${workspace.issuer}/token`, { grant_type }, web)
    assert.deepEqual([status, body.error], [400, 'unsupported_grant_type'], grant_type)
  }
  const { at } = await signIn(lido, workspace, email, { client_id: 'ropc' })
  assert.equal(at.origin + at.pathname, callback)
  assert.deepEqual([at.searchParams.get('error'), at.searchParams.get('code')], ['invalid_request', null])
})

const byPassword = (username: string, secret: string, headers = ropc) =>
  post(
    `${workspace.issuer}/token`,
    { grant_type: 'password', username, password: secret, scope: 'openid email' },
    headers,
  )

test('A22: the password grant lets in who is in, by the client that was opted in for it', async () => {
  const answer = await byPassword(' MIKE@example.org ', password)
  const tokens = tokensFrom(answer)
  const { sub, amr, aud } = payloadOf(tokens.id)
  assert.deepEqual({ sub, amr, aud }, { sub: mike, amr: ['pwd'], aud: 'ropc' })
  assert.equal((await userinfo(workspace.issuer, tokens.access)).body.email, email)
  const next = tokensFrom(await refresh(workspace.issuer, tokens.refresh, {}, ropc))
  assert.equal((await userinfo(workspace.issuer, next.access)).body.sub, mike)
})

test('A22: whoever is not let in by the password grant gets the same words', async () => {
  const disabled = await people.user('dis@example.org')
  await lido.services.db.updateTable('users').set({ status: 'inactive' }).where('id', '=', disabled).execute()
  const fresh = await people.user('new@example.org')
  await lido.services.db.updateTable('users').set({ status: 'new' }).where('id', '=', fresh).execute()
  const answers = [
    await byPassword(email, 'wrong wrong wrong'),
    await byPassword('nobody@example.org', password),
    await byPassword('stranger@example.org', password),
    await byPassword('dis@example.org', password),
    await byPassword('new@example.org', password),
    await byPassword('not an address', password),
    await byPassword(`${email}\r\nX: y`, password),
  ]
  for (const { status, text } of answers) assert.deepEqual([status, text], [400, answers[0]?.text])
  assert.equal(answers[0]?.body.error, 'invalid_grant')
  for (const secret of ['', 'x'.repeat(1025)])
    assert.match(String((await byPassword(email, secret)).status), /^40[01]$/)
  assert.equal((await byPassword(email, password, basic('ropc', 'wrong'))).status, 401)
})

test('A22: the password grant closes for an account that is guessed at, and tells nobody', async () => {
  await people.user('guessed@example.org')
  const guesses = []
  for (let guess = 0; guess < 10; guess += 1)
    guesses.push(await byPassword('guessed@example.org', `guess number ${guess}`))
  const right = await byPassword('guessed@example.org', password)
  assert.deepEqual([right.status, right.text], [400, guesses[0]?.text])
})
