import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type TestLido, testLido } from '../testing.ts'
import { type Answer, makeWorkspace, post, type TestWorkspace } from './fixtures-testing.ts'

const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let lido: TestLido
let workspace: TestWorkspace
let mine: Awaited<ReturnType<typeof generateKeyPair>>
let other: typeof mine
let keysServer: Server
let asked = 0

before(async () => {
  mine = await generateKeyPair('ES256')
  other = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(mine.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] }
  keysServer = createServer((_request, response) => {
    asked += 1
    response.setHeader('Content-Type', 'application/jwk-set+json').end(JSON.stringify(jwks))
  })
  await new Promise<void>((resolve) => keysServer.listen(0, '127.0.0.1', resolve))
  const at = `127.0.0.1:${(keysServer.address() as AddressInfo).port}`
  lido = await testLido()
  workspace = await makeWorkspace(lido, 'w1', { pools: [] })
  const machine = {
    token_endpoint_auth_method: 'private_key_jwt',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    post_logout_redirect_uris: [],
  } as const
  const wanted = { ...machine, grant_types: [...machine.grant_types], redirect_uris: [], post_logout_redirect_uris: [] }
  await workspace.client('machine', { ...wanted, jwks } as never)
  await workspace.client('pinned', { ...wanted, jwks, token_endpoint_auth_signing_alg: 'PS256' } as never)
  await workspace.client('remote', { ...wanted, jwks_uri: `https://${at}/keys` } as never)
})
after(async () => {
  await lido.stop()
  keysServer.close()
})

/** An assertion as RFC 7523 wants it, or changed in one point. */
const assertion = async (changed: Record<string, unknown> = {}, { key = mine.privateKey, alg = 'ES256' } = {}) => {
  const now = Math.floor(Date.now() / 1000)
  const { issuer } = workspace
  const claims = { iss: 'machine', sub: 'machine', aud: issuer, jti: crypto.randomUUID(), iat: now, exp: now + 60 }
  const said = Object.fromEntries(Object.entries({ ...claims, ...changed }).filter(([, value]) => value !== undefined))
  return new SignJWT(said).setProtectedHeader({ alg, kid: 'one' }).sign(key)
}

const tokenWith = (client_assertion: string): Promise<Answer> =>
  post(`${workspace.issuer}/token`, { grant_type: 'client_credentials', client_assertion, client_assertion_type: type })

test('a client proves itself by a signed assertion', async () => {
  const answer = await tokenWith(await assertion())
  assert.equal(answer.status, 200, answer.text)
  assert.ok(answer.body.access_token)
})

test('A26: of twenty uses of one assertion exactly one succeeds, and what is not for us alone and soon over is refused', async () => {
  const once = await assertion()
  const answers = await Promise.all(Array.from({ length: 20 }, () => tokenWith(once)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  for (const { status, body } of answers)
    if (status !== 200) assert.deepEqual([status, body.error], [401, 'invalid_client'])
  const year = Math.floor(Date.now() / 1000) + 365 * 86_400
  const wrong: [string, Record<string, unknown>][] = [
    ['an audience among others', { aud: [workspace.issuer, 'https://other.example'] }],
    ['the only audience of a list', { aud: [workspace.issuer] }],
    ['the token endpoint as the audience', { aud: `${workspace.issuer}/token` }],
    ['another issuer as the audience', { aud: 'https://other.example' }],
    ['an end in a year', { exp: year }],
    ['an end that has passed', { exp: Math.floor(Date.now() / 1000) - 60 }],
    ['no end', { exp: undefined }],
    ['no subject', { sub: undefined }],
    ['no id', { jti: undefined }],
    ['another issuer', { iss: 'pinned' }],
  ]
  for (const [what, changed] of wrong) {
    const { status, body } = await tokenWith(await assertion(changed))
    assert.deepEqual([status, body.error], [401, 'invalid_client'], what)
  }
})

test('another key and another algorithm than the registered ones are refused', async () => {
  assert.equal((await tokenWith(await assertion({}, { key: other.privateKey }))).status, 401)
  assert.equal((await tokenWith(await assertion({ iss: 'pinned', sub: 'pinned' }))).status, 401)
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await assertion()).split('.')[1]}.`
  assert.equal((await tokenWith(none)).status, 401)
})

test('keys at an address that is not permitted are never fetched', async () => {
  asked = 0
  const answer = await tokenWith(await assertion({ iss: 'remote', sub: 'remote' }))
  assert.equal(answer.status, 401, answer.text)
  assert.equal(asked, 0)
  assert.ok(!answer.text.includes('127.0.0.1'))
})
