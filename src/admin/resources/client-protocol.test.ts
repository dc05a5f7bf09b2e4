import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
let key: JWK
let jwks: { keys: JWK[] }
before(async () => {
  lido = await adminLido()
  const { publicKey } = await generateKeyPair('ES256', { extractable: true })
  key = await exportJWK(publicKey)
  jwks = { keys: [key] }
})
after(() => lido.stop())

const path = '/workspaces/demo/clients'
const callback = 'https://app.example/callback'

const make = (more: object) =>
  lido.call('POST', path, {
    client_name: 'Application',
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [callback],
    ...more,
  })

const pointersOf = ({ body }: { body: unknown }) =>
  ((body as { errors?: { pointer: string }[] }).errors ?? []).map(({ pointer }) => pointer)

test('what does not fit together in how a client speaks is refused at the field', async () => {
  const byKey = { token_endpoint_auth_method: 'private_key_jwt' }
  const byName = { token_endpoint_auth_method: 'tls_client_auth' }
  const pairedDevice = {
    ...byKey,
    subject_type: 'pairwise',
    jwks_uri: 'https://app.example/keys',
    sector_identifier_uri: 'https://app.example/sector',
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
  }
  const wrong: [object, string][] = [
    [byKey, '/token_endpoint_auth_method'],
    [{ token_endpoint_auth_method: 'self_signed_tls_client_auth' }, '/token_endpoint_auth_method'],
    [byName, '/token_endpoint_auth_method'],
    [
      { ...byName, tls_client_auth_san_dns: 'a.example', tls_client_auth_san_ip: '192.0.2.1' },
      '/token_endpoint_auth_method',
    ],
    [{ token_endpoint_auth_signing_alg: 'ES256' }, '/token_endpoint_auth_signing_alg'],
    [{ ...byKey, jwks, token_endpoint_auth_signing_alg: 'HS256' }, '/token_endpoint_auth_signing_alg'],
    [
      { token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'RS256' },
      '/token_endpoint_auth_signing_alg',
    ],
    [{ jwks, jwks_uri: 'https://app.example/keys' }, '/jwks_uri'],
    [{ jwks_uri: 'http://app.example/keys' }, '/jwks_uri'],
    [{ token_endpoint_auth_method: 'none', require_pkce: false }, '/require_pkce'],
    [{ request_object_signing_alg: 'ES256' }, '/request_object_signing_alg'],
    [{ require_signed_request_object: true }, '/require_signed_request_object'],
    [{ id_token_encrypted_response_alg: 'ECDH-ES' }, '/id_token_encrypted_response_alg'],
    [{ jwks, id_token_encrypted_response_enc: 'A256GCM' }, '/id_token_encrypted_response_enc'],
    ...['userinfo', 'introspection', 'authorization'].flatMap((what): [object, string][] => [
      [{ [`${what}_encrypted_response_alg`]: 'ECDH-ES' }, `/${what}_encrypted_response_alg`],
      [{ jwks, [`${what}_encrypted_response_alg`]: 'RSA-OAEP-256' }, `/${what}_encrypted_response_alg`],
      [{ jwks, [`${what}_encrypted_response_alg`]: 'RSA1_5' }, `/${what}_encrypted_response_alg`],
      [{ jwks, [`${what}_encrypted_response_alg`]: 'dir' }, `/${what}_encrypted_response_alg`],
      [{ jwks, [`${what}_encrypted_response_enc`]: 'A256GCM' }, `/${what}_encrypted_response_enc`],
    ]),
    [
      { jwks: { keys: [{ ...key, use: 'sig' }] }, id_token_encrypted_response_alg: 'ECDH-ES' },
      '/id_token_encrypted_response_alg',
    ],
    [
      { jwks: { keys: [{ ...key, alg: 'ES256' }] }, userinfo_encrypted_response_alg: 'ECDH-ES' },
      '/userinfo_encrypted_response_alg',
    ],
    [{ id_token_claims: 'all' }, '/id_token_claims'],
    [{ response_types: ['token'] }, '/response_types/0'],
    [{ response_types: ['code', 'id_token'], redirect_uris: ['http://localhost/cb'] }, '/response_types'],
    [{ response_types: ['code', 'id_token'], redirect_uris: ['https://localhost/cb'] }, '/response_types'],
    [{ userinfo_signed_response_alg: 'none' }, '/userinfo_signed_response_alg'],
    [{ userinfo_signed_response_alg: 'HS256' }, '/userinfo_signed_response_alg'],
    [{ subject_type: 'pairwise', grant_types: ['client_credentials'], redirect_uris: [] }, '/sector_identifier_uri'],
    [{ ...pairedDevice, token_endpoint_auth_method: 'client_secret_basic' }, '/token_endpoint_auth_method'],
    [{ ...pairedDevice, jwks_uri: undefined, jwks }, '/subject_type'],
    [{ ...pairedDevice, sector_identifier_uri: undefined }, '/sector_identifier_uri'],
  ]
  for (const [more, pointer] of wrong) {
    const answer = await make(more)
    assert.equal(answer.status, 422, JSON.stringify([more, answer.body]))
    assert(pointersOf(answer).includes(pointer), `${JSON.stringify(more)}: ${pointersOf(answer)}`)
  }
})

test('keys that nobody can use, and private ones, are refused', async () => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const weak = await generateKeyPair('RS256', { extractable: true, modulusLength: 2048 })
  const { n = '', ...rsa } = await exportJWK(weak.publicKey)
  const wrong: unknown[] = [
    await exportJWK(privateKey),
    { kty: 'oct', k: 'c2VjcmV0' },
    { ...key, x: 'AAAA' },
    { ...key, x: undefined },
    { ...key, kid: 7 },
    { ...key, crv: 'secp256k1' },
    { ...rsa, n: n.slice(0, 170) },
    { kty: 'RSA' },
    {},
    'x',
  ]
  for (const one of wrong) {
    const { status, body } = await make({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [one] } })
    assert.equal(status, 422, JSON.stringify([one, body]))
    assert.doesNotMatch(JSON.stringify(body), /"d"|c2VjcmV0/)
  }
  for (const whole of [{ keys: [] }, {}, [], { keys: [key], more: 1 }])
    assert.equal((await make({ jwks: whole })).status, 422)
})

test('every way to authenticate can be registered, and the engine reads each of them', async () => {
  const ways: [object, boolean][] = [
    [{ token_endpoint_auth_method: 'client_secret_basic' }, true],
    [{ token_endpoint_auth_method: 'client_secret_post' }, true],
    [{ token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'HS256' }, true],
    [{ token_endpoint_auth_method: 'private_key_jwt', jwks, token_endpoint_auth_signing_alg: 'ES256' }, false],
    [{ token_endpoint_auth_method: 'none' }, false],
  ]
  for (const [more, secret] of ways) {
    const { status, body } = await make(more)
    assert.equal(status, 201, JSON.stringify(body))
    assert.equal(typeof body.client_secret === 'string', secret)
    const asked = { client_id: String(body.client_id), response_type: 'code', redirect_uri: callback, scope: 'openid' }
    const answer = await fetch(`${lido.url}/w/demo/authorize?${new URLSearchParams(asked)}`, { redirect: 'manual' })
    const location = answer.headers.get('Location') ?? ''
    assert(location.startsWith(callback), `${JSON.stringify(more)}: ${answer.status} ${location}`)
    assert.match(location, /error_description=[^&]*PKCE/)
  }
})

test('a client that begins to sign with its secret gets a new one, shown this once', async () => {
  const { body } = await make({ client_id: 'changing' })
  const changed = await lido.call('PATCH', `${path}/changing`, { token_endpoint_auth_method: 'client_secret_jwt' })
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.equal(typeof changed.body.client_secret, 'string')
  assert.notEqual(changed.body.client_secret, body.client_secret)
  const again = await lido.call('PATCH', `${path}/changing`, { client_name: 'Other' })
  assert.equal(again.body.client_secret, undefined)
  const rotated = await lido.call('POST', `${path}/changing/secret`)
  assert.equal(rotated.status, 201)
  assert.equal(rotated.body.old_secret_valid, true)
  const listed = JSON.stringify((await lido.call('GET', path)).body)
  const events = JSON.stringify((await lido.call('GET', '/events?client=changing')).body)
  for (const secret of [body.client_secret, changed.body.client_secret, rotated.body.client_secret])
    for (const text of [listed, events, lido.lines.join('\n')]) assert(!text.includes(String(secret)))
})
