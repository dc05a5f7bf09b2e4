import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import { openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { callback, makePool, makeWorkspace, password, redeem, type TestWorkspace } from './fixtures-testing.ts'
import { makeSigner, now, push, type Signer } from './signer-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
let mine: Signer
let other: Signer
before(async () => {
  lido = await testLido()
  mine = await makeSigner('ES256')
  other = await makeSigner('ES256')
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  const jwks = mine.jwks as never
  await workspace.client('signing', { jwks })
  await workspace.client('strict', { jwks, require_signed_request_object: true })
  await workspace.client('pinned', { jwks, request_object_signing_alg: 'PS256' })
  await workspace.client('keyless')
  await people.user('mike@example.org')
})
after(() => lido.stop())

const verifier = randomBytes(32).toString('base64url')
const wanted = {
  response_type: 'code',
  scope: 'openid',
  redirect_uri: callback,
  state: 'signed',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

const requestFor = (client: string, changed: Record<string, unknown> = {}, by = mine) =>
  by.request(workspace.issuer, client, { ...wanted, ...changed })

/** Where a browser ends that asks so, signed in where it is let in. */
const authorize = async (fields: Record<string, string>): Promise<URL & { step?: string | undefined }> => {
  const browser = openBrowser(lido.url)
  await browser.get(`${workspace.issuer}/authorize?${new URLSearchParams(fields)}`)
  if (browser.page.step === 'identify') await browser.submit({ identifier: 'mike@example.org' })
  if (browser.page.step === 'prove') await browser.submit({ password })
  return Object.assign(new URL(browser.page.url), { step: browser.page.step })
}

test('a signed request is a sign-in, and what stands beside it counts for nothing', async () => {
  const beside = { client_id: 'signing', state: 'plain', redirect_uri: 'https://evil.example/', response_type: 'code' }
  const at = await authorize({ ...beside, request: await requestFor('signing') })
  assert.deepEqual([at.origin + at.pathname, at.searchParams.get('state')], [callback, 'signed'])
  const code = { code: at.searchParams.get('code') ?? '', verifier }
  assert.equal((await redeem(workspace.issuer, code, { client_id: 'signing' })).status, 200)
})

test('nobody adds offline access beside a signed request, and what it asks for itself is kept', async () => {
  const scopeOf = async (signed: string, beside: string) => {
    const request = await requestFor('signing', { scope: signed })
    const at = await authorize({ client_id: 'signing', scope: beside, request })
    const code = { code: at.searchParams.get('code') ?? '', verifier }
    return (await redeem(workspace.issuer, code, { client_id: 'signing' })).body.scope
  }
  assert.equal(await scopeOf('openid', 'openid offline_access'), 'openid')
  assert.equal(await scopeOf('openid offline_access', 'openid'), 'openid offline_access')
})

test('a signed request with what no column takes is refused', async () => {
  for (const state of ['\u0000', '\ud800']) {
    const at = await authorize({ client_id: 'signing', request: await requestFor('signing', { state }) })
    assert.deepEqual([at.origin + at.pathname, at.searchParams.get('error')], [callback, 'invalid_request'])
  }
})

test('a signed request may be pushed', async () => {
  const { status, body, text } = await push(workspace, { client_id: 'strict', request: await requestFor('strict') })
  assert.equal(status, 201, text)
  const at = await authorize({ client_id: 'strict', request_uri: String(body.request_uri) })
  assert(at.searchParams.get('code'))
})

test('a client that has to sign is refused without', async () => {
  const at = await authorize({ ...wanted, client_id: 'strict' })
  assert.deepEqual([at.searchParams.get('error'), at.searchParams.get('code')], ['invalid_request', null])
  const { status, body } = await push(workspace, { ...wanted, client_id: 'strict' })
  assert.deepEqual([status, body.error], [400, 'invalid_request'])
})

test('a request that is not soon over, not from this client, not for us alone or not well signed is refused', async () => {
  const none = new UnsecuredJWT({ ...wanted, iss: 'signing', aud: workspace.issuer, client_id: 'signing' })
    .setExpirationTime(now() + 60)
    .encode()
  const [head = '', , signature = ''] = (await requestFor('signing')).split('.')
  const body = Buffer.from(JSON.stringify({ ...wanted, scope: 'openid email' })).toString('base64url')
  const wrong: [string, string, string][] = [
    ['another key', 'signing', await requestFor('signing', {}, other)],
    ['no signature', 'signing', none],
    ['other words than were signed', 'signing', `${head}.${body}.${signature}`],
    ['another issuer', 'signing', await requestFor('signing', { iss: 'strict' })],
    ['another client', 'signing', await requestFor('signing', { client_id: 'strict' })],
    ['several audiences', 'signing', await requestFor('signing', { aud: [workspace.issuer, 'https://other.example'] })],
    ['another audience', 'signing', await requestFor('signing', { aud: 'https://other.example' })],
    ['no audience', 'signing', await requestFor('signing', { aud: undefined })],
    ['no end', 'signing', await requestFor('signing', { exp: undefined })],
    ['an end that has passed', 'signing', await requestFor('signing', { exp: now() - 60 })],
    ['an end that is far', 'signing', await requestFor('signing', { exp: now() + 4000 })],
    ['a beginning to come', 'signing', await requestFor('signing', { nbf: now() + 600, exp: now() + 700 })],
    ['another algorithm than the pinned one', 'pinned', await requestFor('pinned')],
    ['a request within a request', 'signing', await requestFor('signing', { request: 'x.y.z' })],
    ['a client without keys', 'keyless', await requestFor('keyless')],
    ['no request at all', 'signing', 'nonsense'],
  ]
  for (const [what, client_id, request] of wrong) {
    const at = await authorize({ client_id, request, redirect_uri: callback, response_type: 'code' })
    assert.equal(at.searchParams.get('code'), null, what)
    const answer = await push(workspace, { client_id, request })
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    assert.match(String(answer.body.error), /^invalid_request(_object)?$/, what)
  }
})

test('an address that is not registered is no way out, whoever signed it', async () => {
  const at = await authorize({
    client_id: 'signing',
    request: await requestFor('signing', { redirect_uri: 'https://evil.example/' }),
  })
  assert.deepEqual([at.origin, at.step], [lido.url, 'problem'])
})
