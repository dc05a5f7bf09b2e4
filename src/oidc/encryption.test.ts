import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type CryptoKey, compactDecrypt, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { type TestLido, testLido } from '../testing.ts'
import {
  ask,
  basic,
  headerOf,
  makePool,
  makeWorkspace,
  post,
  redeem,
  signIn,
  type TestWorkspace,
  tokensFrom,
} from './fixtures-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
const keys = new Map<string, CryptoKey>()
const methods = [
  ['RSA-OAEP-256', 'A256GCM'],
  ['ECDH-ES', 'A128GCM'],
  ['ECDH-ES+A256KW', 'A256CBC-HS512'],
] as const

before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await people.user('mike@example.org')
  for (const [alg, enc] of methods) {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    keys.set(alg, privateKey)
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), use: 'enc', alg, kid: 'enc' }] } as never
    await workspace.client(`by-${alg.replace('+', '-')}`, {
      jwks,
      id_token_encrypted_response_alg: alg,
      id_token_encrypted_response_enc: enc,
    })
  }
})
after(() => lido.stop())

const jwksOf = () => createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`))

test('an ID token that is encrypted opens with the key of its client, and is signed within', async () => {
  for (const [alg, enc] of methods) {
    const client_id = `by-${alg.replace('+', '-')}`
    const signedIn = await signIn(lido, workspace, 'mike@example.org', { client_id })
    const { id } = tokensFrom(await redeem(workspace.issuer, signedIn, { client_id }))
    const key = keys.get(alg)
    assert(key)
    assert.deepEqual([headerOf(id).alg, headerOf(id).enc], [alg, enc])
    const { plaintext } = await compactDecrypt(id, key)
    const { issuer } = workspace
    await jwtVerify(new TextDecoder().decode(plaintext), jwksOf(), { issuer, audience: client_id })
  }
})

test('userinfo is a signed JWT for a client that registered an algorithm for it', async () => {
  await workspace.client('told', { userinfo_signed_response_alg: 'ES256' })
  const signedIn = await signIn(lido, workspace, 'mike@example.org', { client_id: 'told', scope: 'openid email' })
  const { access } = tokensFrom(await redeem(workspace.issuer, signedIn, { client_id: 'told' }))
  const answer = await ask(`${workspace.issuer}/userinfo`, { headers: { Authorization: `Bearer ${access}` } })
  assert.match(answer.headers.get('Content-Type') ?? '', /^application\/jwt/)
  const { payload, protectedHeader } = await jwtVerify(answer.text, jwksOf(), {
    issuer: workspace.issuer,
    audience: 'told',
  })
  assert.deepEqual([payload.email, protectedHeader.alg], ['mike@example.org', 'ES256'])
})

test('introspection is a signed JWT for whoever asks for one (RFC 9701)', async () => {
  const secret = await workspace.client('looking', {
    token_endpoint_auth_method: 'client_secret_basic',
    introspection_signed_response_alg: 'PS256',
  })
  const mine = basic('looking', secret)
  const signedIn = await signIn(lido, workspace, 'mike@example.org', { client_id: 'looking' })
  const { access } = tokensFrom(await redeem(workspace.issuer, signedIn, {}, mine))
  const plain = await post(`${workspace.issuer}/introspect`, { token: access }, mine)
  assert.equal(plain.body.active, true)
  const asked = { ...mine, Accept: 'application/token-introspection+jwt' }
  const { text, headers } = await post(`${workspace.issuer}/introspect`, { token: access }, asked)
  assert.match(headers.get('Content-Type') ?? '', /^application\/token-introspection\+jwt/)
  const { payload, protectedHeader } = await jwtVerify(text, jwksOf(), {
    issuer: workspace.issuer,
    audience: 'looking',
    typ: 'token-introspection+jwt',
  })
  assert.equal((payload.token_introspection as { active: boolean }).active, true)
  assert.equal(protectedHeader.alg, 'PS256')
  assert.equal(payload.exp, undefined)
})

test('ID tokens are signed by the algorithm that the client registered', async () => {
  for (const alg of ['RS256', 'ES256', 'EdDSA', 'PS256'] as const) {
    const client_id = `signed-by-${alg}`
    await workspace.client(client_id, { id_token_signed_response_alg: alg })
    const signedIn = await signIn(lido, workspace, 'mike@example.org', { client_id })
    const { id } = tokensFrom(await redeem(workspace.issuer, signedIn, { client_id }))
    const { protectedHeader } = await jwtVerify(id, jwksOf(), { issuer: workspace.issuer, audience: client_id })
    assert.equal(protectedHeader.alg, alg)
  }
})
