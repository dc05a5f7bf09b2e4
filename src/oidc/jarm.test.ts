import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, type JWTVerifyResult, jwtVerify } from 'jose'
import { type TestLido, testLido } from '../testing.ts'
import { callback, makePool, makeWorkspace, redeem, signIn, type TestWorkspace } from './fixtures-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('eddsa', { authorization_signed_response_alg: 'EdDSA' })
  await people.user('mike@example.org')
})
after(() => lido.stop())

const open = (response: string, audience = 'spa'): Promise<JWTVerifyResult> =>
  jwtVerify(response, createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`)), { issuer: workspace.issuer, audience })

test('an answer in a JWT is signed for its client alone, and soon over', async () => {
  const params = { response_mode: 'jwt', state: 's1' }
  const signedIn = await signIn(lido, workspace, 'mike@example.org', params)
  assert.deepEqual([...signedIn.at.searchParams.keys()], ['response'])
  const { payload, protectedHeader } = await open(signedIn.at.searchParams.get('response') ?? '')
  assert.equal(protectedHeader.alg, 'RS256')
  assert.equal(payload.state, 's1')
  assert(Number(payload.exp) - Date.now() / 1000 <= 600)
  const code = { code: String(payload.code), verifier: signedIn.verifier }
  assert.equal((await redeem(workspace.issuer, code)).status, 200)
})

test('it comes in the query, the fragment or a form, as the client asks, by the algorithm that it registered', async () => {
  const asked = { client_id: 'eddsa', prompt: 'none' }
  const { browser } = await signIn(lido, workspace, 'mike@example.org', { client_id: 'eddsa' })
  for (const response_mode of ['query.jwt', 'fragment.jwt', 'form_post.jwt']) {
    const { at } = await signIn(lido, workspace, '', { ...asked, response_mode }, browser)
    const response =
      at.searchParams.get('response') ??
      new URLSearchParams(at.hash.slice(1)).get('response') ??
      browser.page.html.match(/name="response" value="([\w.-]+)"/)?.[1] ??
      ''
    const { payload, protectedHeader } = await open(response, 'eddsa')
    assert.deepEqual([typeof payload.code, protectedHeader.alg], ['string', 'EdDSA'], response_mode)
  }
})

test('a refusal comes in a JWT too', async () => {
  const { at } = await signIn(lido, workspace, '', { response_mode: 'query.jwt', prompt: 'none', state: 's2' })
  assert.equal(at.origin + at.pathname, callback)
  const { payload } = await open(at.searchParams.get('response') ?? '')
  assert.deepEqual([payload.error, payload.state], ['login_required', 's2'])
})
