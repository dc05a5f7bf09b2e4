import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTHeaderParameters, SignJWT } from 'jose'
import * as workspaces from '../directory/workspaces.ts'
import { proofKey, proofOf } from '../oidc/dpop-testing.ts'
import { engineKeys } from '../oidc/engine-keys.ts'
import * as keys from '../oidc/keys.ts'
import { type AdminLido, adminLido } from './fixtures-testing.ts'

let lido: AdminLido
let api: string
let issuer: string
let ours: (JWK & { kid: string; alg: string })[]
let elsewhere: typeof ours
let canary: Server
let canaryUrl: string
let asked = 0

before(async () => {
  canary = createServer((_request, response) => {
    asked += 1
    response.end('{}')
  })
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve))
  canaryUrl = `http://127.0.0.1:${(canary.address() as AddressInfo).port}`
  // The canary may be called, so that nothing but the program's own caution keeps it silent.
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1/32' })
  api = `${lido.url}/api/v1`
  issuer = `${lido.url}/w/admin`
  await lido.call('POST', '/workspaces', { slug: 'acme', name: 'Acme' })
  ours = await keysOf('admin')
  elsewhere = await keysOf('acme')
})
after(async () => {
  await lido.stop()
  canary.close()
})

const keysOf = async (slug: string): Promise<typeof ours> => {
  const { db, keyring, clock } = lido.services
  const workspace = await workspaces.findBySlug(db, slug)
  assert.ok(workspace)
  return engineKeys(await keys.load(db, keyring, clock.now(), workspace.id)).keys as typeof ours
}

const now = () => Math.floor(Date.now() / 1000)
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

const claims = (changed: object = {}): Record<string, unknown> => ({
  iss: issuer,
  aud: api,
  sub: 'bootstrap',
  client_id: 'bootstrap',
  scope: 'admin',
  jti: crypto.randomUUID(),
  iat: now(),
  exp: now() + 300,
  ...changed,
})

/** A token by one of our own keys, or by any other, with whatever header. */
const signed = async (
  said: Record<string, unknown> = claims(),
  header: Partial<JWTHeaderParameters> = {},
  key: JWK = keyBy('RS256'),
): Promise<string> => {
  const alg = String(key.alg)
  const all = { alg, typ: 'at+jwt', kid: key.kid, ...header } as JWTHeaderParameters
  return new SignJWT(said).setProtectedHeader(all).sign(await importJWK(key, alg))
}

const keyBy = (wanted: string, among = ours) => {
  const found = among.find(({ alg }) => alg === wanted)
  assert.ok(found)
  return found
}

const ask = async (url: string, token: string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${token}`, ...headers } })
  return { status: response.status, text: await response.text(), challenge: response.headers.get('WWW-Authenticate') }
}

const forgeries = async (): Promise<[string, string][]> => {
  const body = encode(claims())
  const strange = await generateKeyPair('RS256', { extractable: true })
  const foreign = { ...(await exportJWK(strange.privateKey)), alg: 'RS256', kid: keyBy('RS256').kid }
  const open = await exportJWK(strange.publicKey)
  const { kty = '', n = '', e = '' } = keyBy('RS256')
  const publicKey = createPublicKey({ key: { kty, n, e }, format: 'jwk' })
  const hmac = (secret: string | Buffer) => {
    const text = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: keyBy('RS256').kid })}.${body}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const [head, , signature] = (await signed()).split('.')
  return [
    ['no algorithm', `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`],
    ['no algorithm, in another case', `${encode({ alg: 'nOnE', typ: 'at+jwt' })}.${body}.`],
    ['no signature', `${head}.${body}.`],
    ['a changed body', `${head}.${encode(claims({ scope: 'admin more' }))}.${signature}`],
    ['an HMAC by the public key as PEM', hmac(publicKey.export({ type: 'spki', format: 'pem' }))],
    ['an HMAC by the public key as DER', hmac(publicKey.export({ type: 'spki', format: 'der' }))],
    ['an HMAC by the public key as JWK', hmac(JSON.stringify({ kty, n, e }))],
    ['an HMAC by nothing', hmac('')],
    ['another key under our id', await signed(claims(), {}, foreign)],
    ['another key in the header', await signed(claims(), { jwk: open }, foreign)],
    ['another key at an address', await signed(claims(), { jku: `${canaryUrl}/jwks` }, foreign)],
    ['a certificate at an address', await signed(claims(), { x5u: `${canaryUrl}/cert` }, foreign)],
    ['an issuer at an address', await signed(claims({ iss: canaryUrl }), {}, foreign)],
    ['a key that is a file', await signed(claims(), { kid: '../../dev/null' }, foreign)],
    ['a key that is a question', await signed(claims(), { kid: "' or 1=1 --" }, foreign)],
    ['a key that is a lookalike', await signed(claims(), { kid: '__proto__' }, foreign)],
    ['a key of another workspace', await signed(claims(), {}, keyBy('RS256', elsewhere))],
    ['a key for something else', await signed(claims(), { kid: keyBy('ES256').kid }, keyBy('RS256'))],
    ['one that has expired', await signed(claims({ exp: now() - 60 }))],
    ['one that never expires', await signed(claims({ exp: undefined }))],
    ['one that is not yet good', await signed(claims({ nbf: now() + 600 }))],
    ['another audience', await signed(claims({ aud: 'https://other.example' }))],
    ['no audience', await signed(claims({ aud: undefined }))],
    ['another issuer', await signed(claims({ iss: `${lido.url}/w/acme` }))],
    ['no issuer', await signed(claims({ iss: undefined }))],
    ['an ID token', await signed(claims({ nonce: 'n' }), { typ: 'JWT' })],
    ['an ID token without a type', await signed(claims(), { typ: undefined } as never)],
    ['a logout token', await signed(claims({ events: {} }), { typ: 'logout+jwt' })],
    ['an introspection', await signed(claims(), { typ: 'token-introspection+jwt' })],
    ['a client that is not there', await signed(claims({ client_id: 'nobody', sub: 'nobody' }))],
    ['a person who is not there', await signed(claims({ sub: crypto.randomUUID() }))],
    ['one that is bound to a key', await signed(claims({ cnf: { jkt: 'x' } }))],
    ['one that is bound to a certificate', await signed(claims({ cnf: { 'x5t#S256': 'x' } }))],
    ['one that is bound to something new', await signed(claims({ cnf: { other: 'x' } }))],
    ['something critical', `${encode({ alg: 'RS256', typ: 'at+jwt', crit: ['x'], x: 1 })}.${body}.${signature}`],
    ['no token', 'x'],
    ['points alone', '..'],
    ['very much', `${'a'.repeat(6000)}.b.c`],
  ]
}

test('A25: the admin API takes no token but its own, and asks nobody about any', async () => {
  assert.equal((await ask(`${api}/workspaces`, await signed())).status, 200)
  for (const alg of ['ES256', 'EdDSA', 'PS256'])
    assert.equal((await ask(`${api}/workspaces`, await signed(claims(), {}, keyBy(alg)))).status, 200, alg)
  asked = 0
  for (const [what, token] of await forgeries()) {
    const { status, text, challenge } = await ask(`${api}/workspaces`, token)
    assert.equal(status, what.startsWith('a person') ? 403 : 401, `${what}: ${text}`)
    if (status === 401) assert.match(challenge ?? '', /^Bearer, DPoP/, what)
    assert.ok(!text.includes(token), what)
  }
  assert.equal(asked, 0)
})

test('A25: userinfo takes no token that anybody could make, not even by our own keys', async () => {
  asked = 0
  for (const [what, token] of [...(await forgeries()), ['one as we make them', await signed()]]) {
    const { status, text } = await ask(`${issuer}/userinfo`, String(token))
    assert.equal(status, 401, `${what}: ${text}`)
  }
  assert.equal(asked, 0)
})

test('A27: the admin API takes a bound token only with a proof for it, and never as a bearer token', async () => {
  const key = await proofKey()
  const other = await proofKey()
  const url = `${api}/workspaces`
  const at = `${issuer}/token`
  const response = await fetch(at, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from('bootstrap:a-bootstrap-secret-that-only-this-test-knows').toString('base64')}`,
      DPoP: await proofOf(key, ['POST', at]),
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'admin', resource: api }),
  })
  const { access_token: token, token_type: type } = (await response.json()) as Record<string, string>
  assert.ok(token && type === 'DPoP')
  const send = async (proof: string | undefined, scheme = 'DPoP', path = url) =>
    (await ask(path, '', { Authorization: `${scheme} ${token}`, ...(proof ? { DPoP: proof } : {}) })).status
  const good = (claims = {}) => proofOf(key, ['GET', url], { token, claims })
  assert.equal(await send(await good()), 200)
  assert.equal(await send(await good(), 'dpop', `${url}?limit=1`), 200)
  for (const seconds of [-10, 10]) assert.equal(await send(await good({ iat: now() + seconds })), 200)
  const once = await good()
  const statuses = await Promise.all(Array.from({ length: 20 }, () => send(once)))
  assert.equal(statuses.filter((status) => status === 200).length, 1, String(statuses))
  const wrong: [string, Promise<number>][] = [
    ['as a bearer token', send(undefined, 'Bearer')],
    ['as a bearer token with a proof', send(await good(), 'Bearer')],
    ['without a proof', send(undefined)],
    ['by another key', send(await proofOf(other, ['GET', url], { token }))],
    ['by another key in the header', send(await proofOf(key, ['GET', url], { token, header: { jwk: other.jwk } }))],
    ['for another token', send(await proofOf(key, ['GET', url], { token: 'x' }))],
    ['for no token', send(await proofOf(key, ['GET', url]))],
    ['for another method', send(await proofOf(key, ['POST', url], { token }))],
    ['for another address', send(await proofOf(key, ['GET', `${api}/pools`], { token }))],
    ['of ten minutes ago', send(await good({ iat: now() - 600 }))],
    ['of nobody knows when', send(await good({ iat: undefined }))],
    ['without an id', send(await good({ jti: undefined }))],
    ['of another type', send(await proofOf(key, ['GET', url], { token, header: { typ: 'JWT' } }))],
    [
      'with a private key',
      send(await proofOf(key, ['GET', url], { token, header: { jwk: await exportJWK(key.privateKey) } })),
    ],
    ['that is none', send('x')],
    ['that are two', send(`${await good()}, ${await good()}`)],
  ]
  for (const [what, status] of wrong) assert.equal(await status, 401, what)
  const free = await lido.token()
  const unbound = { Authorization: `DPoP ${free}`, DPoP: await proofOf(key, ['GET', url], { token: free }) }
  assert.equal((await ask(url, '', unbound)).status, 401)
})
