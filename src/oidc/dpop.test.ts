import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose'
import * as openid from 'openid-client'
import { type TestLido, testLido } from '../testing.ts'
import { type ProofKey, proofKey, proofOf } from './dpop-testing.ts'
import {
  type Answer,
  anotherNode,
  ask,
  basic,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  post,
  signIn,
  type TestWorkspace,
} from './fixtures-testing.ts'

const api = 'https://api.example.org'

let lido: TestLido
let workspace: TestWorkspace
let at: string
let mine: ProofKey
let other: ProofKey
let machine: Record<string, string>

before(async () => {
  lido = await testLido()
  const pool = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [pool], settings: { refresh_grace_seconds: 0 } })
  await pool.user('mike@example.org')
  at = `${workspace.issuer}/token`
  mine = await proofKey()
  other = await proofKey()
  const machineOnly = {
    token_endpoint_auth_method: 'client_secret_basic' as const,
    grant_types: ['client_credentials' as const],
    redirect_uris: [],
    post_logout_redirect_uris: [],
    resources: { [api]: ['read'] },
  }
  machine = basic('machine', await workspace.client('machine', machineOnly))
  await workspace.client('spa')
  await workspace.client('bound', { dpop_bound_access_tokens: true })
})
after(() => lido.stop())

const machineToken = (proof: string | undefined, url = at): Promise<Answer> =>
  post(
    url,
    { grant_type: 'client_credentials', resource: api, scope: 'read' },
    { ...machine, ...(proof ? { DPoP: proof } : {}) },
  )

const redeem = async (key: ProofKey | undefined, params: Record<string, string> = {}): Promise<Answer> => {
  const { code, verifier } = await signIn(lido, workspace, 'mike@example.org', params)
  const fields = {
    grant_type: 'authorization_code',
    client_id: params.client_id ?? 'spa',
    code,
    code_verifier: verifier,
    redirect_uri: 'https://app.example/callback',
  }
  return post(at, fields, key ? { DPoP: await proofOf(key, ['POST', at]) } : {})
}

const askUserinfo = async (token: string, proof: string | undefined, scheme = 'DPoP') =>
  ask(`${workspace.issuer}/userinfo`, {
    headers: { Authorization: `${scheme} ${token}`, ...(proof ? { DPoP: proof } : {}) },
  })

test('a proof binds a token to its key, in the token and in what introspection says', async () => {
  for (const alg of ['ES256', 'EdDSA', 'PS256']) {
    const key = await proofKey(alg)
    const answer = await machineToken(await proofOf(key, ['POST', at]))
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.token_type, 'DPoP')
    assert.deepEqual(payloadOf(String(answer.body.access_token)).cnf, { jkt: key.thumbprint })
  }
  const { body } = await redeem(mine, { scope: 'openid offline_access' })
  assert.equal(body.token_type, 'DPoP')
  const told = await post(`${workspace.issuer}/introspect`, { token: String(body.access_token), client_id: 'spa' })
  assert.deepEqual([told.body.cnf, told.body.token_type], [{ jkt: mine.thumbprint }, 'DPoP'])
})

test('A27: at the token endpoint every proof is refused that is not for this request, of now, and by its own key', async () => {
  const now = Math.floor(Date.now() / 1000)
  const claims = async (changed: Record<string, unknown>) => proofOf(mine, ['POST', at], { claims: changed })
  const header = async (changed: Record<string, unknown>) => proofOf(mine, ['POST', at], { header: changed })
  const [head, body, signature] = (await proofOf(mine, ['POST', at])).split('.')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const symmetric = await new SignJWT({ htm: 'POST', htu: at, iat: now, jti: 'x' })
    .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk: { kty: 'oct', k: encode({ a: 1 }) } as never })
    .sign(Buffer.from(encode({ a: 1 }), 'base64url'))
  const wrong: [string, string][] = [
    ['another method', await claims({ htm: 'GET' })],
    ['another address', await claims({ htu: `${workspace.issuer}/userinfo` })],
    [
      'another host',
      await claims({ htu: at.replace('localhost', 'evil.example').replace('127.0.0.1', 'evil.example') }),
    ],
    ['no address', await claims({ htu: undefined })],
    ['no method', await claims({ htm: undefined })],
    ['no id', await claims({ jti: undefined })],
    ['no time', await claims({ iat: undefined })],
    ['ten minutes ago', await claims({ iat: now - 600 })],
    ['two minutes ago', await claims({ iat: now - 120 })],
    ['in two minutes', await claims({ iat: now + 120 })],
    ['an end that has passed', await claims({ exp: now - 60 })],
    ['a nonce that is not ours', await claims({ nonce: 'x'.repeat(43) })],
    ['another type', await header({ typ: 'JWT' })],
    ['no key', await header({ jwk: undefined })],
    ['another key', await header({ jwk: other.jwk })],
    ['a private key', await header({ jwk: await exportJWK(mine.privateKey) })],
    ['an extension that is critical', await header({ crit: ['x'], x: 1 }).catch(() => 'x.y.z')],
    ['no algorithm', `${encode({ alg: 'none', typ: 'dpop+jwt', jwk: mine.jwk })}.${body}.`],
    ['a changed body', `${head}.${encode({ htm: 'POST', htu: at, iat: now, jti: 'z' })}.${signature}`],
    ['a symmetric key', symmetric],
    ['two proofs', `${await claims({})}, ${await claims({})}`],
    ['no proof at all', 'x'],
  ]
  for (const [what, proof] of wrong) {
    const { status, body: told } = await machineToken(proof)
    assert.equal(status, 400, what)
    assert.ok(['invalid_dpop_proof', 'use_dpop_nonce'].includes(String(told.error)), `${what}: ${told.error}`)
  }
  for (const seconds of [-10, 10])
    assert.equal((await machineToken(await claims({ iat: now + seconds }))).status, 200, `${seconds}`)
  for (const htu of [`${at}?x=1`, `${at}#x`]) assert.equal((await machineToken(await claims({ htu }))).status, 200, htu)
})

test('A27: of twenty uses of one proof exactly one succeeds, and a node that was not asked knows of it', async () => {
  const once = await proofOf(mine, ['POST', at])
  const answers = await Promise.all(Array.from({ length: 20 }, () => machineToken(once)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  for (const { status, body } of answers)
    if (status !== 200) assert.deepEqual([status, body.error], [400, 'invalid_grant'])
  const node = await anotherNode(lido)
  try {
    assert.equal((await machineToken(once, `${node.issuer(workspace)}/token`)).status, 400)
  } finally {
    await node.stop()
  }
})

test('a client with a wrong clock goes on by a nonce, which is the same on every node and is no good for ever', async () => {
  const slow = { iat: Math.floor(Date.now() / 1000) - 3600 }
  const refused = await machineToken(await proofOf(mine, ['POST', at], { claims: slow }))
  assert.deepEqual([refused.status, refused.body.error], [400, 'use_dpop_nonce'])
  const nonce = refused.headers.get('DPoP-Nonce')
  assert.ok(nonce)
  const node = await anotherNode(lido)
  try {
    for (const url of [at, `${node.issuer(workspace)}/token`]) {
      const proof = await proofOf(mine, ['POST', at], { claims: { ...slow, nonce } })
      assert.equal((await machineToken(proof, url)).status, 200, url)
    }
  } finally {
    await node.stop()
  }
  const elsewhere = await makeWorkspace(lido, 'w2', { pools: [] })
  const secret = await elsewhere.client('m', {
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    post_logout_redirect_uris: [],
  })
  const url = `${elsewhere.issuer}/token`
  const proof = await proofOf(mine, ['POST', url], { claims: { nonce } })
  const foreign = await post(url, { grant_type: 'client_credentials' }, { ...basic('m', secret), DPoP: proof })
  assert.equal(foreign.body.error, 'use_dpop_nonce')
})

test('A27: userinfo takes a bound token only with a proof for it, and never as a bearer token', async () => {
  const { body } = await redeem(mine, { scope: 'openid' })
  const token = String(body.access_token)
  const url = `${workspace.issuer}/userinfo`
  const good = (more = {}) => proofOf(mine, ['GET', url], { token, ...more })
  assert.equal((await askUserinfo(token, await good())).status, 200)
  const once = await good()
  const replayed = await Promise.all(Array.from({ length: 20 }, () => askUserinfo(token, once)))
  assert.equal(replayed.filter(({ status }) => status === 200).length, 1)
  const wrong: [string, Promise<Answer>][] = [
    ['as a bearer token', askUserinfo(token, undefined, 'Bearer')],
    ['as a bearer token with a proof', askUserinfo(token, await good(), 'Bearer')],
    ['without a proof', askUserinfo(token, undefined)],
    ['by another key', askUserinfo(token, await proofOf(other, ['GET', url], { token }))],
    ['for another token', askUserinfo(token, await proofOf(mine, ['GET', url], { token: 'x' }))],
    ['for no token', askUserinfo(token, await proofOf(mine, ['GET', url]))],
    ['for another method', askUserinfo(token, await proofOf(mine, ['POST', url], { token }))],
    ['for another address', askUserinfo(token, await proofOf(mine, ['GET', at], { token }))],
  ]
  for (const [what, asked] of wrong) {
    const { status, headers } = await asked
    assert.ok(status === 401 || status === 400, `${what}: ${status}`)
    assert.ok(headers.get('WWW-Authenticate'), what)
  }
  const free = String((await redeem(undefined, { scope: 'openid' })).body.access_token)
  assert.equal((await askUserinfo(free, await proofOf(mine, ['GET', url], { token: free }))).status, 401)
})

test('A27: a refresh token of a public client is of use only to its key', async () => {
  const { body } = await redeem(mine, { scope: 'openid offline_access' })
  const asking = (key: ProofKey | undefined) => async () =>
    post(
      at,
      { grant_type: 'refresh_token', client_id: 'spa', refresh_token: String(body.refresh_token) },
      key ? { DPoP: await proofOf(key, ['POST', at]) } : {},
    )
  for (const key of [other, undefined]) assert.equal((await asking(key)()).body.error, 'invalid_grant')
  const next = await asking(mine)()
  assert.deepEqual([next.status, next.body.token_type], [200, 'DPoP'], next.text)
  // Who holds the token and not the key cannot end the family of whoever has both.
  const stolen = { grant_type: 'refresh_token', client_id: 'spa', refresh_token: String(next.body.refresh_token) }
  assert.equal((await post(at, stolen)).status, 400)
  const on = await post(at, stolen, { DPoP: await proofOf(mine, ['POST', at]) })
  assert.equal(on.status, 200, on.text)
})

test('a code that was asked for a key is redeemed by that key alone (RFC 9449 section 10)', async () => {
  const params = { scope: 'openid', dpop_jkt: mine.thumbprint }
  for (const key of [other, undefined]) assert.equal((await redeem(key, params)).body.error, 'invalid_grant')
  assert.equal((await redeem(mine, params)).status, 200)
})

test('a pushed request with a proof is redeemed by its key alone', async () => {
  const url = `${workspace.issuer}/par`
  const { challenge, verifier } = await pkce()
  const fields = {
    client_id: 'spa',
    response_type: 'code',
    scope: 'openid',
    redirect_uri: 'https://app.example/callback',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  }
  const wrong = await post(url, { ...fields, dpop_jkt: other.thumbprint }, { DPoP: await proofOf(mine, ['POST', url]) })
  assert.equal(wrong.status, 400, wrong.text)
  for (const [key, status] of [
    [other, 400],
    [mine, 200],
  ] as const) {
    const pushed = await post(url, fields, { DPoP: await proofOf(mine, ['POST', url]) })
    assert.equal(pushed.status, 201, pushed.text)
    const { code } = await signIn(lido, workspace, 'mike@example.org', { request_uri: String(pushed.body.request_uri) })
    const redeeming = { grant_type: 'authorization_code', client_id: 'spa', code, code_verifier: verifier }
    const answer = await post(
      at,
      { ...redeeming, redirect_uri: fields.redirect_uri },
      { DPoP: await proofOf(key, ['POST', at]) },
    )
    assert.equal(answer.status, status, answer.text)
  }
})

test('a client whose tokens are bound gets none without a proof', async () => {
  assert.equal((await redeem(undefined, { client_id: 'bound' })).body.error, 'invalid_grant')
  assert.equal((await redeem(mine, { client_id: 'bound' })).status, 200)
})

test('a password is worth bound tokens only, where the tokens of the client are bound', async () => {
  const passwords = { grant_types: ['password' as const, 'refresh_token' as const], redirect_uris: [] }
  await workspace.client('old', { ...passwords, post_logout_redirect_uris: [], dpop_bound_access_tokens: true })
  const fields = {
    grant_type: 'password',
    client_id: 'old',
    username: 'mike@example.org',
    password,
    scope: 'openid offline_access',
  }
  const free = await post(at, fields)
  assert.deepEqual([free.status, free.body.error], [400, 'invalid_grant'], free.text)
  const proof = await proofOf(mine, ['POST', at])
  const { body } = await post(at, fields, { DPoP: proof })
  assert.equal(body.token_type, 'DPoP')
  const token = String(body.access_token)
  assert.equal((await askUserinfo(token, undefined, 'Bearer')).status, 401)
  const shown = await proofOf(mine, ['GET', `${workspace.issuer}/userinfo`], { token })
  assert.equal((await askUserinfo(token, shown)).status, 200)
  assert.equal((await post(at, fields, { DPoP: proof })).status, 400, 'a proof is of use once')
  const again = { grant_type: 'refresh_token', client_id: 'old', refresh_token: String(body.refresh_token) }
  const stolen = await post(at, again, { DPoP: await proofOf(other, ['POST', at]) })
  assert.deepEqual([stolen.status, stolen.body.error], [400, 'invalid_grant'], stolen.text)
  assert.equal((await post(at, again, { DPoP: await proofOf(mine, ['POST', at]) })).status, 200)
})

test('a page of another origin may send a proof, and reads the nonce', async () => {
  const Origin = 'https://app.example'
  for (const url of [at, `${workspace.issuer}/userinfo`]) {
    const asking = { Origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'dpop' }
    const { headers } = await ask(url, { method: 'OPTIONS', headers: asking })
    assert.equal(headers.get('Access-Control-Allow-Headers'), 'dpop', url)
  }
  const fields = { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'spa' }
  const answer = await post(at, fields, { Origin, DPoP: await proofOf(mine, ['POST', at]) })
  assert.match(answer.headers.get('Access-Control-Expose-Headers') ?? '', /dpop-nonce/i)
  assert.ok(answer.headers.get('DPoP-Nonce'))
})

test('what is remembered of proofs ends', async () => {
  const { db, clock } = lido.services
  for (let n = 0; n < 20; n += 1) await machineToken(await proofOf(mine, ['POST', at]))
  const { latest } = await db
    .selectFrom('seenOnce')
    .select(({ fn }) => fn.max('expiresAt').as('latest'))
    .executeTakeFirstOrThrow()
  assert.ok(latest && latest.getTime() - clock.now().getTime() <= 301_000, String(latest))
})

const pkce = async () => {
  const verifier = `${crypto.randomUUID()}${crypto.randomUUID()}`
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  return { verifier, challenge: Buffer.from(digest).toString('base64url') }
}

test('a client library goes on by itself where its clock is wrong', async () => {
  const secret = await workspace.client('library', {
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    post_logout_redirect_uris: [],
    resources: { [api]: ['read'] },
  })
  const execute = [openid.allowInsecureRequests]
  const open = (more: object) => {
    const metadata = { client_secret: secret, ...more }
    return openid.discovery(new URL(workspace.issuer), 'library', metadata, undefined, { execute })
  }
  const config = await open({})
  const keys = await openid.randomDPoPKeyPair('ES256')
  const { thumbprint } = await fromPair(keys)
  const good = openid.getDPoPHandle(config, keys)
  for (let n = 0; n < 2; n += 1) {
    const told = await openid.clientCredentialsGrant(config, { resource: api, scope: 'read' }, { DPoP: good })
    assert.deepEqual(payloadOf(told.access_token).cnf, { jkt: thumbprint })
  }
  const late = await open({ [openid.clockSkew]: -3600 })
  const slow = openid.getDPoPHandle(late, keys)
  const told = await openid.clientCredentialsGrant(late, { resource: api, scope: 'read' }, { DPoP: slow })
  assert.equal(told.token_type, 'dpop')
})

const fromPair = async ({ publicKey }: openid.CryptoKeyPair) => {
  const jwk = await exportJWK(publicKey)
  return { thumbprint: await calculateJwkThumbprint(jwk) }
}
