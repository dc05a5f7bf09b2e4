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
const secrets = new Map<string, string>()
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
    const each = ['userinfo', 'introspection', 'authorization'].flatMap((what) => [
      [`${what}_encrypted_response_alg`, alg],
      [`${what}_encrypted_response_enc`, enc],
    ])
    const secret = await workspace.client(`all-by-${alg.replace('+', '-')}`, {
      jwks,
      token_endpoint_auth_method: 'client_secret_basic',
      userinfo_signed_response_alg: 'ES256',
      introspection_signed_response_alg: 'PS256',
      authorization_signed_response_alg: 'EdDSA',
      ...Object.fromEntries(each),
    })
    secrets.set(alg, secret)
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

/** What is in an encrypted JWT of ours, signed within. */
const opened = async (jwt: string, [alg, enc]: (typeof methods)[number], audience: string) => {
  const key = keys.get(alg)
  assert(key)
  const { cty, kid, ...header } = headerOf(jwt)
  assert.deepEqual([header.alg, header.enc, cty, kid], [alg, enc, 'JWT', 'enc'])
  const { plaintext } = await compactDecrypt(jwt, key)
  const { issuer } = workspace
  return jwtVerify(new TextDecoder().decode(plaintext), jwksOf(), { issuer, audience })
}

test('answers, userinfo and introspection that are encrypted open with the key of their client', async () => {
  for (const method of methods) {
    const client_id = `all-by-${method[0].replace('+', '-')}`
    const mine = basic(client_id, secrets.get(method[0]) ?? '')
    const asked = { client_id, scope: 'openid email', state: 's1', response_mode: 'jwt' }
    const signedIn = await signIn(lido, workspace, 'mike@example.org', asked)
    const response = await opened(signedIn.at.searchParams.get('response') ?? '', method, client_id)
    assert.deepEqual([response.payload.state, response.protectedHeader.alg], ['s1', 'EdDSA'])
    const code = String(response.payload.code)
    const { access } = tokensFrom(await redeem(workspace.issuer, { ...signedIn, code }, {}, mine))
    const told = await ask(`${workspace.issuer}/userinfo`, { headers: { Authorization: `Bearer ${access}` } })
    assert.match(told.headers.get('Content-Type') ?? '', /^application\/jwt/)
    const userinfo = await opened(told.text, method, client_id)
    assert.deepEqual([userinfo.payload.email, userinfo.protectedHeader.alg], ['mike@example.org', 'ES256'])
    const accept = { ...mine, Accept: 'application/token-introspection+jwt' }
    const looked = await post(`${workspace.issuer}/introspect`, { token: access }, accept)
    assert.match(looked.headers.get('Content-Type') ?? '', /^application\/token-introspection\+jwt/)
    const introspection = await opened(looked.text, method, client_id)
    assert.equal((introspection.payload.token_introspection as { active: boolean }).active, true)
    assert.equal(introspection.protectedHeader.alg, 'PS256')
    // RFC 9701 section 5: a client that wants it encrypted gets it in no other way.
    const plain = await post(
      `${workspace.issuer}/introspect`,
      { token: access },
      { ...mine, Accept: 'application/json' },
    )
    assert.deepEqual([plain.status, plain.body.error, 'active' in plain.body], [400, 'invalid_request', false])
  }
})

test('refusals are encrypted, too, and without a key that fits nothing goes out as it is', async () => {
  const client_id = 'all-by-ECDH-ES'
  const refused = await signIn(lido, workspace, '', { client_id, response_mode: 'jwt', prompt: 'none' })
  const { payload } = await opened(refused.at.searchParams.get('response') ?? '', methods[1], client_id)
  assert.equal(payload.error, 'login_required')
  const { publicKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), use: 'sig', alg: 'ES256', kid: 'sig' }] } as never
  await workspace.client('keyless', {
    jwks,
    userinfo_encrypted_response_alg: 'RSA-OAEP-256',
    userinfo_signed_response_alg: 'RS256',
    authorization_encrypted_response_alg: 'RSA-OAEP-256',
  })
  const asked = { client_id: 'keyless', scope: 'openid email' }
  const signedIn = await signIn(lido, workspace, 'mike@example.org', asked)
  const { access } = tokensFrom(await redeem(workspace.issuer, signedIn, { client_id: 'keyless' }))
  const told = await ask(`${workspace.issuer}/userinfo`, { headers: { Authorization: `Bearer ${access}` } })
  assert(told.status >= 400 && told.status < 500, String(told.status))
  assert.doesNotMatch(told.text, /mike@example/)
  const { browser } = await signIn(lido, workspace, 'mike@example.org', { ...asked, response_mode: 'jwt' })
  assert.equal(browser.page.step, 'problem')
  assert.equal(new URL(browser.page.url).origin, lido.url)
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
