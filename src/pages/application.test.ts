import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, exportJWK, generateKeyPair, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  cookieOf,
  countOf,
  isSignedIn,
  makeClient,
  password,
  redeem,
  redirectUri,
  rowsOf,
  token,
} from './fixtures-testing.ts'
import { claimsOf, makePlace, signInAda } from './scripts-testing.ts'

let lido: TestLido
const key = await generateKeyPair('EdDSA', { extractable: true })
const public_key = (await exportJWK(key.publicKey)) as Record<string, unknown>

/** A real application on this machine: it checks whom it is sent, and answers as `answer` says. */
let answer: { verdict: string; reason?: string; data?: object } = { verdict: 'continue' }
const server = createServer(async (request, response) => {
  const { searchParams } = new URL(request.url ?? '', origin())
  const sent = searchParams.get('token') ?? ''
  const { iss = '' } = claimsOf(sent) as { iss?: string }
  const keys = createRemoteJWKSet(new URL(`${iss}/jwks`))
  const { payload } = await jwtVerify(sent, keys, { audience: origin(), typ: 'post-authentication+jwt' })
  const verdict = await signed({ jti: payload.jti, ...answer }, iss)
  response.writeHead(303, { Location: `${payload.return_to}?verdict=${verdict}` }).end()
})
const origin = () => `http://localhost:${(server.address() as AddressInfo).port}`

const signed = (claims: JWTPayload, audience: string, more: { key?: typeof key.privateKey; exp?: number } = {}) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'EdDSA' })
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(more.exp ?? Math.floor(Date.now() / 1000) + 300)
    .sign(more.key ?? key.privateKey)

before(async () => {
  lido = await testLido()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
after(async () => {
  await lido.stop()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const place = (more: object = {}) =>
  makePlace(lido, { application: { url: `${origin()}/terms?lang=en`, public_key }, ...more })

/** Where a page sends a browser next, without going there. */
const next = async (browser: { page: { url: string }; cookies: unknown }, url = browser.page.url) => {
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { Cookie: cookieOf(browser as never, url), Accept: 'text/html' },
  })
  return { status: response.status, to: response.headers.get('Location') ?? '', text: await response.text() }
}

/** A browser that was sent away, with the address of its sign-in, and what the application was told. */
const sentAway = async (slug: string) => {
  const browser = await signInAda(lido, slug)
  assert.ok(browser.page.url.startsWith(origin()), `${browser.page.url}\n${browser.page.html}`)
  const told = claimsOf(new URL(browser.page.url).searchParams.get('token') ?? '')
  return { browser, told, back: String(told.return_to) }
}

const issuer = (slug: string) => `${lido.url}/w/${slug}`

test('whoever proved who they are goes to the application and comes back with what it says', async () => {
  answer = { verdict: 'continue', data: { terms: '2026-11' } }
  const { slug, user } = await place()
  const { browser, told, back } = await sentAway(slug)
  assert.equal(told.sub, user)
  assert.equal(told.aud, origin())
  assert.equal(told.client_id, 'app')
  assert.equal(new URL(browser.page.url).searchParams.get('lang'), 'en')
  assert.ok(Number(told.exp) - Number(told.iat) <= 600)
  const response = await fetch(browser.page.url, { redirect: 'manual' })
  await browser.get(response.headers.get('Location') ?? '')
  assert.ok(back.startsWith(issuer(slug)))
  const { body } = await redeem(lido, slug, browser)
  assert.equal(claimsOf(body.id_token).terms, '2026-11')
  const renewed = await token(lido.url, slug, {
    grant_type: 'refresh_token',
    client_id: 'app',
    refresh_token: body.refresh_token ?? '',
  })
  assert.equal(claimsOf(renewed.body.id_token).terms, '2026-11')
})

test('going back or reloading sends them again, under the same id, until it is answered', async () => {
  const { slug } = await place()
  const { browser, told, back } = await sentAway(slug)
  for (let n = 0; n < 3; n += 1) {
    const again = await next(browser, back)
    assert.equal(again.status, 303)
    assert.equal(claimsOf(new URL(again.to).searchParams.get('token') ?? '').jti, told.jti)
  }
})

test('a sign-in is not done before the application says so', async () => {
  const { slug, workspace } = await place()
  const { browser, back } = await sentAway(slug)
  await browser.get(back.replace('/signin/', '/authorize/'))
  assert.ok(!isSignedIn(browser))
  assert.equal(await countOf(lido, `events where workspace_id = '${workspace.id}' and type = 'sign_in.succeeded'`), 0)
})

test('a verdict is used once, also when it comes twenty times at once', async () => {
  const { slug, workspace } = await place()
  const { browser, told, back } = await sentAway(slug)
  const verdict = await signed({ jti: String(told.jti), verdict: 'continue', data: {} }, issuer(slug))
  await Promise.all(Array.from({ length: 20 }, () => next(browser, `${back}?verdict=${verdict}`)))
  assert.equal(await countOf(lido, `events where workspace_id = '${workspace.id}' and type = 'sign_in.succeeded'`), 1)
  await browser.get(`${back}?verdict=${verdict}`)
  assert.ok(isSignedIn(browser), browser.page.html)
  const { status } = await redeem(lido, slug, browser)
  assert.equal(status, 200)
})

test('a verdict of another sign-in, of another key, too late, unsigned or for another workspace is refused', async () => {
  const { slug, workspace } = await place()
  const { browser, told, back } = await sentAway(slug)
  const other = await sentAway(slug)
  const stranger = await generateKeyPair('EdDSA')
  const good = { jti: String(told.jti), verdict: 'continue' }
  const none = [{ alg: 'none' }, { ...good, aud: issuer(slug), exp: Math.floor(Date.now() / 1000) + 300, iat: 1 }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const symmetric = await new SignJWT(good)
    .setProtectedHeader({ alg: 'HS256' })
    .setAudience(issuer(slug))
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(Buffer.from(String(public_key.x), 'base64url'))
  const wrong = {
    'another sign-in': await signed({ ...good, jti: String(other.told.jti) }, issuer(slug)),
    'another key': await signed(good, issuer(slug), { key: stranger.privateKey }),
    'too late': await signed(good, issuer(slug), { exp: Math.floor(Date.now() / 1000) - 60 }),
    'another workspace': await signed(good, `${lido.url}/w/admin`),
    'unknown word': await signed({ ...good, verdict: 'admin' }, issuer(slug)),
    'reserved claim': await signed({ ...good, data: { sub: 'boss' } }, issuer(slug)),
    'no verdict': 'x',
    'our own token': new URL(browser.page.url).searchParams.get('token') ?? '',
    unsigned: `${none}.`,
    symmetric,
  }
  for (const [what, verdict] of Object.entries(wrong)) {
    const refused = await next(browser, `${back}?verdict=${verdict}`)
    assert.equal(refused.status, 400, `${what}: ${refused.status} ${refused.to}`)
  }
  assert.equal(await countOf(lido, `events where workspace_id = '${workspace.id}' and type = 'sign_in.succeeded'`), 0)
  await browser.get(`${back}?verdict=${await signed(good, issuer(slug))}`)
  assert.ok(isSignedIn(browser), 'the right one is still taken')
})

test('another browser cannot use a verdict', async () => {
  const { slug } = await place()
  const { told, back } = await sentAway(slug)
  const verdict = await signed({ jti: String(told.jti), verdict: 'continue' }, issuer(slug))
  const stranger = openBrowser(lido.url)
  await stranger.get(`${back}?verdict=${verdict}`)
  assert.equal(stranger.page.step, 'problem')
  const victim = await signInAda(lido, slug)
  const lured = await next(victim, `${back}?verdict=${verdict}`)
  assert.equal(lured.status, 410)
})

test('the time for an answer ends', async () => {
  const { slug, workspace } = await place()
  const { browser, told, back } = await sentAway(slug)
  await rowsOf(
    lido,
    `update attempts set data = jsonb_set(data, '{application,until}', '1') where workspace_id = '${workspace.id}'`,
  )
  const verdict = await signed({ jti: String(told.jti), verdict: 'continue' }, issuer(slug))
  assert.equal((await next(browser, `${back}?verdict=${verdict}`)).status, 400)
  const again = await next(browser, back)
  assert.notEqual(claimsOf(new URL(again.to).searchParams.get('token') ?? '').jti, told.jti)
})

test('a cancel goes back to the client, and a denial says why', async () => {
  const { slug } = await place()
  const gone = await sentAway(slug)
  const cancel = await signed({ jti: String(gone.told.jti), verdict: 'cancel' }, issuer(slug))
  await gone.browser.get(`${gone.back}?verdict=${cancel}`)
  assert.ok(gone.browser.page.url.startsWith(redirectUri), gone.browser.page.html)
  assert.equal(new URL(gone.browser.page.url).searchParams.get('error'), 'access_denied')
  const denied = await sentAway(slug)
  const deny = await signed({ jti: String(denied.told.jti), verdict: 'deny', reason: 'No <i>terms</i>' }, issuer(slug))
  await denied.browser.get(`${denied.back}?verdict=${deny}`)
  assert.equal(denied.browser.page.step, 'denied')
  assert.match(denied.browser.page.html, /No &lt;i&gt;terms&lt;\/i&gt;/)
  await denied.browser.submit({})
  assert.equal(new URL(denied.browser.page.url).searchParams.get('error'), 'access_denied')
})

test('nothing in an address says where people go', async () => {
  const { slug } = await place()
  const { browser, told, back } = await sentAway(slug)
  const lure = `${back}?return_to=https://evil.example/&redirect_uri=https://evil.example/&url=//evil.example`
  assert.ok((await next(browser, lure)).to.startsWith(`${origin()}/terms`))
  const forged = await signed(
    { jti: String(told.jti), verdict: 'continue', return_to: 'https://evil.example/' },
    issuer(slug),
  )
  const after = await next(browser, `${back}?verdict=${forged}&return_to=https://evil.example/`)
  assert.ok(after.to.startsWith(issuer(slug)), after.to)
})

test('with a script, those go to the application whom it sends there', async () => {
  const code =
    "const postAuthentication = ({ client }) => ({ redirect: client.id === 'app', claims: { by: 'script' } })"
  const { slug, workspace } = await place({ code })
  await makeClient(lido, workspace.id, { id: 'other' })
  answer = { verdict: 'continue', data: { terms: 'yes' } }
  const { browser } = await sentAway(slug)
  const response = await fetch(browser.page.url, { redirect: 'manual' })
  await browser.get(response.headers.get('Location') ?? '')
  const { body } = await redeem(lido, slug, browser)
  assert.deepEqual([claimsOf(body.id_token).by, claimsOf(body.id_token).terms], ['script', 'yes'])
})

test('the password grant says that a page is needed', async () => {
  const { slug } = await place({ client: { grant_types: ['password'] } })
  const fields = { grant_type: 'password', client_id: 'app', username: 'ada@example.org', password }
  assert.equal((await token(lido.url, slug, fields)).body.error, 'interaction_required')
})

test('the page before lets its form lead to the application', async () => {
  const { visitAs } = await import('./fixtures-testing.ts')
  const { slug } = await place()
  const browser = await visitAs(lido, slug, 'ada@example.org')
  const policy = browser.page.headers.get('Content-Security-Policy') ?? ''
  assert.match(policy, new RegExp(`form-action [^;]*${origin()}`))
})
