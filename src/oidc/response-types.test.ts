import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  callback,
  makePool,
  makeWorkspace,
  password,
  redeem,
  signIn,
  type TestWorkspace,
} from './fixtures-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
let secret: string
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('hybrid', { response_types: ['code', 'code id_token', 'id_token'] })
  secret = await workspace.client('lenient', { token_endpoint_auth_method: 'client_secret_basic', require_pkce: false })
  await people.user('mike@example.org')
})
after(() => lido.stop())

const told = ({ hash }: URL) => new URLSearchParams(hash.slice(1))

const without = { code_challenge: '', code_challenge_method: '' }

test('only `code` is answered, unless an operator has opened a client to ID tokens through the browser', async () => {
  for (const response_type of ['id_token', 'code id_token', 'token', 'id_token token', 'code token', 'none']) {
    const { at } = await signIn(lido, workspace, 'mike@example.org', { response_type, nonce: 'n1' })
    const answer = at.searchParams.get('error') ?? told(at).get('error')
    assert.match(String(answer), /^(invalid_request|unsupported_response_type)$/, response_type)
  }
})

test('a token never goes through the browser, also at a client that is open to ID tokens', async () => {
  for (const response_type of ['token', 'id_token token', 'code token', 'code id_token token']) {
    const { at } = await signIn(lido, workspace, 'mike@example.org', {
      client_id: 'hybrid',
      response_type,
      nonce: 'n1',
    })
    assert.equal(told(at).get('access_token'), null)
    assert.equal(at.searchParams.get('error') ?? told(at).get('error'), 'unsupported_response_type', response_type)
  }
})

test('a hybrid answer comes in the fragment, its code hashed in the ID token', async () => {
  const asked = { client_id: 'hybrid', response_type: 'code id_token', nonce: 'n1' }
  const signedIn = await signIn(lido, workspace, 'mike@example.org', asked)
  assert.equal(signedIn.at.search, '')
  const code = told(signedIn.at).get('code') ?? ''
  const keys = createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`))
  const audience = { issuer: workspace.issuer, audience: 'hybrid' }
  const { payload } = await jwtVerify(told(signedIn.at).get('id_token') ?? '', keys, audience)
  const half = createHash('sha256').update(code).digest().subarray(0, 16).toString('base64url')
  assert.deepEqual([payload.nonce, payload.c_hash], ['n1', half])
  const redeemed = await redeem(workspace.issuer, { ...signedIn, code }, { client_id: 'hybrid' })
  assert.equal(redeemed.status, 200)
})

test('an ID token through the browser needs a nonce, and is never in the query', async () => {
  const asked = { client_id: 'hybrid', response_type: 'id_token' }
  const { at } = await signIn(lido, workspace, '', asked)
  assert.equal(told(at).get('error'), 'invalid_request')
  const query = await signIn(lido, workspace, 'mike@example.org', { ...asked, nonce: 'n1', response_mode: 'query' })
  assert.doesNotMatch(query.at.href, /id_token=/)
  const fine = await signIn(lido, workspace, 'mike@example.org', { ...asked, nonce: 'n1' })
  assert(told(fine.at).get('id_token'))
})

test('an answer in a form goes on by a button, on a page of ours that loads nothing but its own', async () => {
  const { browser } = await signIn(lido, workspace, 'mike@example.org', { response_mode: 'form_post', state: '"><b>' })
  const { html, headers, step, status } = browser.page
  assert.deepEqual([step, status], ['formpost', 200])
  const policy = headers.get('Content-Security-Policy') ?? ''
  assert.match(policy, /form-action 'self' https:\/\/app\.example/)
  assert.match(policy, /script-src 'self'/)
  assert.match(html, new RegExp(`<form method="post" action="${callback}"`))
  assert.match(html, /<button type="submit"/)
  assert.match(html, /name="state" value="&quot;&gt;&lt;b&gt;"/)
  assert.doesNotMatch(html, /<script>/)
  assert.equal(headers.get('Cache-Control'), 'no-store')
})

test('a refusal in a form is one too', async () => {
  const { browser } = await signIn(lido, workspace, '', { response_mode: 'form_post', prompt: 'none' })
  assert.equal(browser.page.step, 'formpost')
  assert.match(browser.page.html, /name="error" value="login_required"/)
})

test('A21: PKCE is for everybody, but for a client with a secret that an operator has let off', async () => {
  const { at } = await signIn(lido, workspace, 'mike@example.org', without)
  assert.deepEqual([at.searchParams.get('error'), at.searchParams.get('code')], ['invalid_request', null])
  const signedIn = await signIn(lido, workspace, 'mike@example.org', { ...without, client_id: 'lenient' })
  const { code } = signedIn
  const own = basic('lenient', secret)
  const stray = await redeem(workspace.issuer, signedIn, {}, own)
  assert.deepEqual([stray.status, stray.body.error], [400, 'invalid_grant'], 'a verifier without a challenge')
  const again = await signIn(lido, workspace, '', { ...without, client_id: 'lenient' }, signedIn.browser)
  assert.notEqual(again.code, code)
  assert.equal((await redeem(workspace.issuer, { ...again, verifier: '' }, {}, own)).status, 200)
})

test('A21: plain, a challenge without its verifier and a wrong verifier are refused', async () => {
  for (const client_id of ['spa', 'lenient']) {
    const own = client_id === 'lenient' ? basic('lenient', secret) : ({} as Record<string, string>)
    const plain = await signIn(lido, workspace, 'mike@example.org', { client_id, code_challenge_method: 'plain' })
    assert.equal(plain.at.searchParams.get('error'), 'invalid_request')
    for (const verifier of ['', 'x'.repeat(43)]) {
      const signedIn = await signIn(lido, workspace, 'mike@example.org', { client_id })
      assert(signedIn.code)
      const { status, body } = await redeem(workspace.issuer, { ...signedIn, verifier }, {}, own)
      assert.deepEqual([status, body.error], [400, 'invalid_grant'], `${client_id} ${verifier}`)
    }
  }
})

test('A20: an address that is not registered is never gone to, whatever the prompt and the kind of answer', async () => {
  const kinds: Record<string, string>[] = [
    {},
    { response_mode: 'form_post' },
    { response_mode: 'jwt' },
    { response_type: 'id_token' },
  ]
  for (const more of kinds) {
    const asked = { prompt: 'none', redirect_uri: 'https://evil.example/callback', ...more }
    const { at, browser } = await signIn(lido, workspace, '', asked)
    assert.deepEqual([at.origin, browser.page.status, browser.page.step], [lido.url, 400, 'problem'])
    assert.doesNotMatch(browser.page.html, /action="https:\/\/evil/)
  }
})

test('somebody who signs in by the pages ends at a form where one was asked for', async () => {
  const asked = { response_mode: 'form_post', prompt: 'login' }
  const { browser } = await signIn(lido, workspace, 'mike@example.org', asked)
  if (browser.page.step === 'prove') await browser.submit({ password })
  assert.equal(browser.page.step, 'formpost')
  assert.match(browser.page.html, /name="iss"/)
})
