import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import { sql } from 'kysely'
import { openBrowser } from '../browser-testing.ts'
import { sha256 } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  callback,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  redeem,
  type TestWorkspace,
} from './fixtures-testing.ts'
import { makeSigner, push, twenty } from './signer-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
let other: TestWorkspace
let secret: string
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  other = await makeWorkspace(lido, 'w2', { pools: [people] })
  secret = await workspace.client('web', { token_endpoint_auth_method: 'client_secret_basic' })
  await workspace.client('spa')
  await workspace.client('strict', { require_pushed_authorization_requests: true })
  await other.client('spa')
  await people.user('mike@example.org')
})
after(() => lido.stop())

const verifier = randomBytes(32).toString('base64url')
const wanted = {
  response_type: 'code',
  scope: 'openid',
  redirect_uri: callback,
  state: 's1',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

const pushed = async (client_id = 'spa', where = workspace): Promise<string> => {
  const { status, body, text } = await push(where, { ...wanted, client_id })
  assert.equal(status, 201, text)
  return String(body.request_uri)
}

const addressOf = (request_uri: string, client_id = 'spa', where = workspace) =>
  `${where.issuer}/authorize?${new URLSearchParams({ client_id, request_uri })}`

const visit = async (address: string, browser = openBrowser(lido.url)) => {
  await browser.get(address)
  return browser
}

const finish = async (browser: ReturnType<typeof openBrowser>) => {
  if (browser.page.step === 'identify') await browser.submit({ identifier: 'mike@example.org' })
  if (browser.page.step === 'prove') await browser.submit({ password })
  return new URL(browser.page.url)
}

test('a pushed request is a sign-in like any other, and its answer names the issuer', async () => {
  const { status, body, headers } = await push(workspace, { ...wanted, client_id: 'web' }, basic('web', secret))
  assert.equal(status, 201)
  assert.equal(headers.get('Cache-Control'), 'no-store')
  const uri = String(body.request_uri)
  assert.match(uri, /^urn:ietf:params:oauth:request_uri:[\w-]{22,}$/)
  assert(Number(body.expires_in) >= 5 && Number(body.expires_in) <= 600)
  const at = await finish(await visit(addressOf(uri, 'web')))
  assert.deepEqual([at.searchParams.get('iss'), at.searchParams.get('state')], [workspace.issuer, 's1'])
  const signedIn = { code: at.searchParams.get('code') ?? '', verifier }
  assert.equal((await redeem(workspace.issuer, signedIn, {}, basic('web', secret))).status, 200)
})

test('offline access is what was pushed, and nothing that stands beside its address', async () => {
  const scopeOf = async (scope: string, beside: string) => {
    const { body } = await push(workspace, { ...wanted, scope, client_id: 'spa' })
    const at = await finish(await visit(`${addressOf(String(body.request_uri))}&scope=${encodeURIComponent(beside)}`))
    return (await redeem(workspace.issuer, { code: at.searchParams.get('code') ?? '', verifier })).body.scope
  }
  assert.equal(await scopeOf('openid', 'openid offline_access'), 'openid')
  assert.equal(await scopeOf('openid offline_access', 'openid'), 'openid offline_access')
})

test('whoever has a secret has to show it where requests are pushed', async () => {
  for (const headers of [{}, basic('web', 'wrong')] as Record<string, string>[]) {
    const answer = await push(workspace, { ...wanted, client_id: 'web' }, headers)
    assert.deepEqual([answer.status, answer.body.error], [401, 'invalid_client'])
  }
})

test('what is pushed is looked at at once', async () => {
  const wrong: [Record<string, string>, string][] = [
    [{ redirect_uri: 'https://evil.example/callback' }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ code_challenge: '' }, 'invalid_request'],
    [{ request_uri: await pushed() }, 'request_uri_not_supported'],
  ]
  for (const [changed, error] of wrong) {
    const { status, body } = await push(workspace, { ...wanted, client_id: 'spa', ...changed })
    assert.deepEqual([status, body.error], [400, error], JSON.stringify(changed))
  }
})

test('A28: a request belongs to one client of one workspace', async () => {
  for (const address of [addressOf(await pushed(), 'strict'), addressOf(await pushed(), 'spa', other)]) {
    const { page } = await visit(address)
    assert.equal(new URL(page.url).origin, lido.url)
    assert(page.status >= 400, String(page.status))
    assert.equal(page.step, 'problem')
  }
})

test('A28: it may be visited twice before somebody has signed in, and finished once', async () => {
  const address = addressOf(await pushed())
  const [one, two] = [await visit(address), await visit(address)]
  assert.deepEqual([one.page.step, two.page.step], ['identify', 'identify'])
  assert((await finish(one)).searchParams.get('code'))
  const late = await finish(two)
  assert.equal(late.searchParams.get('code'), null)
  const again = await visit(address)
  assert.equal(again.page.step, 'problem')
})

test('of twenty browsers that finish one request at once exactly one gets a code', async () => {
  const address = addressOf(await pushed())
  const browsers = await twenty(async () => {
    const browser = openBrowser(lido.url)
    await finish(await visit(addressOf(await pushed()), browser))
    return browser
  })
  const ends = await Promise.all(browsers.map(async (browser) => new URL((await visit(address, browser)).page.url)))
  assert.equal(ends.filter((at) => at.searchParams.has('code')).length, 1)
  assert(browsers.every(({ page }) => page.status < 500))
})

test('A28: an expired request is refused, though a sign-in that it began in time goes on and uses it up', async () => {
  const uri = await pushed()
  const [one, two] = [await visit(addressOf(uri)), await visit(addressOf(uri))]
  const id = sha256(uri.split(':').at(-1) ?? '')
  await sql`update artifacts set payload = jsonb_set(payload, '{exp}', '1') where id = ${id}`.execute(lido.services.db)
  assert.equal((await visit(addressOf(uri))).page.step, 'problem')
  const ends = [await finish(one), await finish(two)]
  assert.equal(ends.filter((at) => at.searchParams.has('code')).length, 1)
})

test('a client that has to push is refused without, also what came in pieces', async () => {
  const { page } = await visit(
    `${workspace.issuer}/authorize?${new URLSearchParams({ ...wanted, client_id: 'strict' })}`,
  )
  const at = new URL(page.url)
  assert.deepEqual([at.searchParams.get('error'), at.searchParams.get('code')], ['invalid_request', null])
  // What stands beside a pushed request counts for nothing.
  const uri = await pushed('strict')
  const beside = `&${new URLSearchParams({ redirect_uri: 'https://evil.example/', state: 'other', scope: 'openid email' })}`
  const end = await finish(await visit(addressOf(uri, 'strict') + beside))
  assert.deepEqual([end.origin + end.pathname, end.searchParams.get('state')], [callback, 's1'])
})

test('a pushed request lasts as long as its workspace says, and a signed one no longer than it says itself', async () => {
  const people = await makePool(lido, 'patient')
  await people.user('pat@example.org')
  const { jwks, request } = await makeSigner()
  for (const [slug, pushed_request] of [
    ['quick', 5],
    ['slow', 600],
  ] as const) {
    const where = await makeWorkspace(lido, slug, { pools: [people], settings: { lifetimes: { pushed_request } } })
    await where.client('spa')
    await where.client('signing', { jwks: jwks as never })
    const { body } = await push(where, { ...wanted, client_id: 'spa' })
    assert.equal(body.expires_in, pushed_request)
    const sign = (seconds: number) =>
      request(where.issuer, 'signing', { ...wanted, exp: Math.floor(Date.now() / 1000) + seconds })
    const long = await push(where, { client_id: 'signing', request: await sign(3000) })
    assert.deepEqual([long.status, long.body.expires_in], [201, pushed_request], long.text)
    const short = await push(where, { client_id: 'signing', request: await sign(40) })
    assert(Number(short.body.expires_in) <= Math.min(40, pushed_request) && Number(short.body.expires_in) >= 5)
    const halves = await push(where, { client_id: 'signing', request: await sign(40.5) })
    assert(Number.isInteger(halves.body.expires_in), halves.text)
    const uri = String(body.request_uri)
    const later = await visit(addressOf(await aged(uri, 300), 'spa', where))
    assert.equal(later.page.step, pushed_request > 300 ? 'identify' : 'problem')
    const latest = await visit(addressOf(await aged(uri, 310), 'spa', where))
    assert.equal(latest.page.step, 'problem')
  }
})

/** As if a pushed request had come so many seconds earlier. */
const aged = async (uri: string, seconds: number): Promise<string> => {
  const { db } = lido.services
  const id = sha256(uri.split(':').at(-1) ?? '')
  const { payload } = await db.selectFrom('artifacts').select('payload').where('id', '=', id).executeTakeFirstOrThrow()
  const { request, exp } = payload as { request: string; exp: number }
  const said = payloadOf(request) as Record<'iat' | 'nbf' | 'exp', number>
  const older = { iat: said.iat - seconds, nbf: said.nbf - seconds, exp: said.exp - seconds }
  const aging = { ...payload, exp: exp - seconds, request: new UnsecuredJWT({ ...said, ...older }).encode() }
  await sql`update artifacts set payload = ${JSON.stringify(aging)}::jsonb where id = ${id}`.execute(db)
  return uri
}

test('nothing is fetched for a request by reference', async () => {
  const { jwks } = await makeSigner()
  await workspace.client('signing', { jwks: jwks as never })
  const { page } = await visit(addressOf('https://app.example/request.jwt', 'signing'))
  assert.equal(new URL(page.url).origin, lido.url)
  assert.match(page.html, /request_uri_not_supported/)
})
