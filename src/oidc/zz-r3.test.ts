import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { basic, callback, makePool, makeWorkspace, password, payloadOf, post, redeem, userinfo, ask, type TestWorkspace } from './fixtures-testing.ts'
import { makeSigner, push } from './signer-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await people.user('mike@example.org')
})
after(() => lido.stop())
const verifier = randomBytes(32).toString('base64url')
const wanted = {
  response_type: 'code',
  redirect_uri: callback,
  state: 's1',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}
const finish = async (url: string) => {
  const browser = openBrowser(lido.url)
  await browser.get(url)
  if (browser.page.step === 'identify') await browser.submit({ identifier: 'mike@example.org' })
  if (browser.page.step === 'prove') await browser.submit({ password })
  return new URL(browser.page.url)
}
test('password grant of bound client', async () => {
  const s = await workspace.client('pw', { token_endpoint_auth_method: 'client_secret_basic', grant_types: ['password', 'refresh_token'], redirect_uris: [], dpop_bound_access_tokens: true })
  const a = await post(`${workspace.issuer}/token`, { grant_type: 'password', username: 'mike@example.org', password, scope: 'openid' }, basic('pw', s))
  console.log('PW', a.status, a.text.slice(0, 200))
})
test('offline via par outer', async () => {
  await workspace.client('spa')
  for (const [inner, outer] of [['openid', 'openid offline_access'], ['openid offline_access', ''], ['openid', '']]) {
    const p = await push(workspace, { ...wanted, scope: inner as string, client_id: 'spa' })
    const at = await finish(`${workspace.issuer}/authorize?${new URLSearchParams({ client_id: 'spa', request_uri: String(p.body.request_uri), ...(outer ? { scope: outer } : {}) })}`)
    const r = await redeem(workspace.issuer, { code: at.searchParams.get('code') ?? '', verifier })
    console.log('PAR', inner, '|', outer, '=>', r.status, r.body.scope, r.body.error_description, String(at))
  }
})
test('fapi by certificate without header', async () => {
  await workspace.client('fc', { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'a.example', profile: 'fapi2_security' } as never).catch((e) => console.log('refused', e.message))
  const a = await ask(`${workspace.issuer}/authorize?${new URLSearchParams({ ...wanted, client_id: 'fc', scope: 'openid' })}`)
  console.log('FC', a.status, a.headers.get('location'))
  const b = await post(`${workspace.issuer}/token`, { grant_type: 'authorization_code', code: 'x', client_id: 'fc' })
  console.log('FC', b.status, b.text)
})
test('discovery', async () => {
  const d = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  console.log(JSON.stringify(d.body, null, 1))
})
test('odd', async () => {
  const tries: [string, string, Record<string, string>, Record<string, string>?][] = [
    ['POST', '/token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: '#abc', client_id: 'spa' }],
    ['POST', '/token', { grant_type: 'refresh_token', refresh_token: '\u0000x', client_id: 'spa' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', claims: '{"id_token":{"acr":{"values":"x"}}}' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', claims: '[]' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', claims: '{"id_token":[]}' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', authorization_details: '{}' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', request: 'a.b.c' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', request: 'a.b.c.d.e' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', request: 'bnVsbA.bnVsbA.x' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', resource: 'x' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', max_age: '99999999999999999999' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid', id_token_hint: 'bnVsbA.bnVsbA.x' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid' }, { DPoP: 'bnVsbA.bnVsbA.x' }],
    ['POST', '/par', { ...wanted, client_id: 'spa', scope: 'openid' }, { DPoP: Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } })).toString('base64url') + '.e30.AAAA' }],
    ['POST', '/token', { grant_type: 'authorization_code', code: 'x' }, { Authorization: 'Basic %%%%' }],
    ['POST', '/token', { grant_type: 'authorization_code', code: 'x' }, { Authorization: `Basic ${Buffer.from('%zz:%zz').toString('base64')}` }],
    ['POST', '/token', { grant_type: 'authorization_code', code: 'x', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: 'bnVsbA.bnVsbA.x' }],
    ['POST', '/introspect', { token: 'bnVsbA.bnVsbA.x', client_id: 'spa' }],
    ['POST', '/revoke', { token: '\u0000', client_id: 'spa' }],
    ['POST', '/revoke', { token: 'x'.repeat(50000), client_id: 'spa' }],
    ['POST', '/token', { grant_type: '__proto__', client_id: 'spa' }],
    ['POST', '/token', { grant_type: 'constructor', client_id: '__proto__' }],
    ['POST', '/device_authorization', { client_id: 'spa' }],
    ['POST', '/backchannel', { client_id: 'spa' }],
    ['POST', '/device', { user_code: 'x', xsrf: 'y' }],
    ['POST', '/device', { user_code: '\u0000', xsrf: 'y', abort: 'yes' }],
    ['POST', '/logout/confirm', { xsrf: 'y' }],
    ['POST', '/logout', { id_token_hint: 'bnVsbA.bnVsbA.x' }],
    ['GET', '/logout?id_token_hint=bnVsbA.bnVsbA.x', {}],
    ['GET', '/logout?client_id=https://x.example/a&post_logout_redirect_uri=x', {}],
    ['GET', '/device?user_code[]=1', {}],
    ['GET', '/device/abc', {}],
    ['GET', '/authorize/abc', {}],
    ['GET', '/userinfo', {}, { Authorization: 'DPoP x' }],
    ['GET', '/userinfo', {}, { Authorization: 'Bearer bnVsbA.bnVsbA.x' }],
    ['PUT', '/register/x', {}, { Authorization: 'Bearer x' }],
    ['PATCH', '/token', {}],
    ['DELETE', '/authorize', {}],
  ]
  for (const [method, path, fields, headers = {}] of tries) {
    const a = await ask(`${workspace.issuer}${path}`, { method, headers, ...(method === 'GET' ? {} : { body: new URLSearchParams(fields) }) })
    if (a.status >= 500) console.log('!!! 500', method, path, JSON.stringify(fields).slice(-120), a.text.slice(0, 200))
    else console.log(a.status, method, path.slice(0, 40), a.body.error ?? '', String(a.body.error_description ?? '').slice(0, 80))
  }
})
