import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import { system } from '../directory/audit.ts'
import { deviceGrant } from '../directory/client-metadata.ts'
import * as domains from '../directory/domains.ts'
import * as workspaces from '../directory/workspaces.ts'
import {
  callback,
  eventually,
  goodbye,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  type TestWorkspace,
} from '../oidc/fixtures-testing.ts'
import { fetchAt } from '../oidc/raw-testing.ts'
import { makeSigner } from '../oidc/signer-testing.ts'
import { type TestLido, testLido } from '../testing.ts'

const email = 'mike@example.org'
let lido: TestLido
let shop: TestWorkspace
/** Where the workspace is the same issuer by another name. */
let origin: string
/** The fetch of somebody whose DNS leads every host here. */
let reach: typeof fetch
before(async () => {
  lido = await testLido()
  reach = fetchAt(lido.url)
  const people = await makePool(lido, 'p1')
  await people.user(email)
  const settings = { registration: { mode: 'open', grant_types: ['authorization_code', 'refresh_token'] } } as const
  shop = await makeWorkspace(lido, 'shop', {
    pools: [people],
    settings: { registration: { ...settings.registration, grant_types: [...settings.registration.grant_types] } },
  })
  for (const id of ['spa', 'strict']) await shop.client(id, { require_pushed_authorization_requests: id === 'strict' })
  await shop.client('tv', { grant_types: [deviceGrant], redirect_uris: [] })
  const { db, clock, config } = lido.services
  const workspace = await workspaces.findById(db, shop.id)
  assert(workspace)
  origin = await db.transaction().execute(async (trx) => {
    const added = await domains.add(trx, clock.now(), { config, workspace, host: 'login.shop.localhost' }, system)
    return (await domains.activate(trx, clock.now(), added, 'operator', system)).origin
  })
  await eventually(5000, async () => assert.equal((await read(`${origin}/jwks`)).status, 200))
})
after(() => lido.stop())

/** Both addresses of the workspace; whatever is true at one is true at the other. */
const both = () => [origin, shop.issuer]

interface Read {
  status: number
  body: Record<string, unknown>
}

const read = async (url: string, init: RequestInit = {}): Promise<Read> => {
  const response = await reach(url, init)
  const text = await response.text()
  const isJson = response.headers.get('Content-Type')?.includes('json')
  return { status: response.status, body: isJson ? JSON.parse(text) : {} }
}

const form = (url: string, fields: Record<string, string>): Promise<Read> =>
  read(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })

const asJson = (method: string, token: string | undefined, body?: object): RequestInit => ({
  method,
  headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
  ...(body ? { body: JSON.stringify(body) } : {}),
})

const pkce = () => {
  const verifier = randomBytes(32).toString('base64url')
  const code_challenge = createHash('sha256').update(verifier).digest('base64url')
  return { verifier, challenge: { code_challenge, code_challenge_method: 'S256' } }
}

/** Goes through a sign-in that begins at an address; answers where the browser ends. */
const signIn = async (url: string, browser = openBrowser(new URL(url).origin, reach)) => {
  await browser.get(url)
  if (browser.page.step === 'identify') await browser.submit({ identifier: email })
  if (browser.page.step === 'prove') await browser.submit({ password })
  if (browser.page.step === 'consent') await browser.submit({ decision: 'allow' })
  return { browser, at: new URL(browser.page.url) }
}

const redeem = (issuer: string, fields: Record<string, string>) =>
  form(`${issuer}/token`, { grant_type: 'authorization_code', redirect_uri: callback, ...fields })

const authorize = async (issuer: string, client_id: string) => {
  const { verifier, challenge } = pkce()
  const wanted = { client_id, redirect_uri: callback, response_type: 'code', scope: 'openid', ...challenge }
  const { at, browser } = await signIn(`${issuer}/authorize?${new URLSearchParams(wanted)}`)
  return { at, browser, code: at.searchParams.get('code') ?? '', code_verifier: verifier }
}

test('an application registers at a domain, is told addresses there, signs people in and ends its registration', async () => {
  for (const issuer of both()) {
    const { body: document } = await read(`${issuer}/.well-known/openid-configuration`)
    assert.equal(document.registration_endpoint, `${issuer}/register`)
    const preflight = await reach(`${issuer}/register`, { method: 'OPTIONS', headers: { Origin: 'https://a.example' } })
    assert.equal(preflight.headers.get('Access-Control-Allow-Origin'), '*')
    const wanted = { client_name: 'The app', redirect_uris: [callback], token_endpoint_auth_method: 'none' }
    const { status, body } = await read(String(document.registration_endpoint), asJson('POST', undefined, wanted))
    assert.equal(status, 201, JSON.stringify(body))
    const id = String(body.client_id)
    const manage = String(body.registration_client_uri)
    assert.equal(manage, `${issuer}/register/${id}`)

    const { code, code_verifier, at } = await authorize(issuer, id)
    assert.equal(at.searchParams.get('iss'), issuer)
    const tokens = await redeem(issuer, { client_id: id, code, code_verifier })
    assert.equal(tokens.status, 200, JSON.stringify(tokens.body))
    assert.equal(payloadOf(String(tokens.body.id_token)).iss, issuer)

    const token = String(body.registration_access_token)
    assert.equal((await read(manage, asJson('GET', token))).body.client_name, 'The app')
    const change = { ...wanted, client_id: id, client_name: 'Another name' }
    const changed = await read(manage, asJson('PUT', token, change))
    assert.equal(changed.status, 200, JSON.stringify(changed.body))
    assert.equal(changed.body.registration_client_uri, manage)
    // It is one registration: the other address manages it as well, and speaks of itself.
    const other = both().find((one) => one !== issuer)
    const next = String(changed.body.registration_access_token)
    const there = await read(`${other}/register/${id}`, asJson('GET', next))
    assert.deepEqual(
      [there.body.client_name, there.body.registration_client_uri],
      ['Another name', `${other}/register/${id}`],
    )
    assert.equal((await read(manage, asJson('DELETE', next))).status, 204)
    assert.equal((await read(`${other}/register/${id}`, asJson('GET', next))).status, 401)
  }
})

test('a request that is pushed to one address is a sign-in there, and its answer is from there', async () => {
  for (const issuer of both()) {
    const { verifier, challenge } = pkce()
    const wanted = { client_id: 'strict', redirect_uri: callback, response_type: 'code', scope: 'openid', ...challenge }
    const pushed = await form(`${issuer}/par`, wanted)
    assert.equal(pushed.status, 201, JSON.stringify(pushed.body))
    const asked = { client_id: 'strict', request_uri: String(pushed.body.request_uri) }
    const { at, browser } = await signIn(`${issuer}/authorize?${new URLSearchParams(asked)}`)
    assert.equal(at.searchParams.get('iss'), issuer, browser.page.html)
    const sent = { client_id: 'strict', code: at.searchParams.get('code') ?? '', code_verifier: verifier }
    const { body } = await redeem(issuer, sent)
    assert.equal(payloadOf(String(body.id_token)).iss, issuer)
    // It was made for this issuer, and is none at the other address.
    const other = both().find((one) => one !== issuer)
    const again = await form(`${issuer}/par`, { ...wanted, ...pkce().challenge })
    const crossed = { client_id: 'strict', request_uri: String(again.body.request_uri) }
    const lost = await signIn(`${other}/authorize?${new URLSearchParams(crossed)}`)
    assert.equal(lost.at.searchParams.has('code'), false)
    assert(lost.browser.page.status < 500, String(lost.browser.page.status))
    // What is not pushed is refused there, too.
    const { challenge: more } = pkce()
    const plain = await signIn(`${issuer}/authorize?${new URLSearchParams({ ...wanted, ...more })}`)
    assert.equal(plain.at.searchParams.get('error'), 'invalid_request')
  }
})

test('a client that authenticates by a key names the issuer that it asks, and no other address of it', async () => {
  const signer = await makeSigner()
  await shop.client('signing', { token_endpoint_auth_method: 'private_key_jwt', jwks: signer.jwks as never })
  for (const issuer of both())
    for (const named of both()) {
      const { challenge } = pkce()
      const wanted = {
        client_id: 'signing',
        redirect_uri: callback,
        response_type: 'code',
        scope: 'openid',
        ...challenge,
      }
      const { status } = await form(`${issuer}/par`, { ...wanted, ...(await signer.assertion(named, 'signing')) })
      assert.equal(status, named === issuer ? 201 : 401, `${named} at ${issuer}`)
    }
})

test('a device that begins at one address is let in and polls at either', async () => {
  for (const issuer of both())
    for (const entered of both())
      for (const polled of both()) {
        const begun = await form(`${issuer}/device_authorization`, { client_id: 'tv', scope: 'openid' })
        assert.equal(begun.status, 200, JSON.stringify(begun.body))
        const { device_code, user_code, verification_uri, verification_uri_complete } = begun.body
        assert.equal(verification_uri, `${issuer}/device`)
        assert.equal(verification_uri_complete, `${issuer}/device?user_code=${user_code}`)
        const browser = openBrowser(new URL(entered).origin, reach)
        await browser.get(`${entered}/device`)
        await browser.submit({ user_code: String(user_code) })
        if (browser.page.step === 'identify') await browser.submit({ identifier: email })
        if (browser.page.step === 'prove') await browser.submit({ password })
        assert.equal(browser.page.step, 'device-confirm', browser.page.html)
        await browser.submit({ decision: 'allow' })
        assert(browser.page.url.startsWith(entered), browser.page.url)
        const asked = { grant_type: deviceGrant, device_code: String(device_code), client_id: 'tv' }
        const { status, body } = await form(`${polled}/token`, asked)
        assert.equal(status, 200, JSON.stringify(body))
        assert.equal(payloadOf(String(body.id_token)).iss, polled)
      }
})

test('a logout ends the session of its own address, by a hint of its own, and leaves the other one', async () => {
  const signedIn = new Map<string, { browser: ReturnType<typeof openBrowser>; hint: string }>()
  for (const issuer of both()) {
    const { browser, code, code_verifier } = await authorize(issuer, 'spa')
    const { body } = await redeem(issuer, { client_id: 'spa', code, code_verifier })
    signedIn.set(issuer, { browser, hint: String(body.id_token) })
  }
  const silent = async (issuer: string) => {
    const { challenge } = pkce()
    const wanted = { client_id: 'spa', redirect_uri: callback, response_type: 'code', scope: 'openid', prompt: 'none' }
    const asked = `${issuer}/authorize?${new URLSearchParams({ ...wanted, ...challenge })}`
    return (await signIn(asked, signedIn.get(issuer)?.browser)).at.searchParams.has('code')
  }
  const leave = async (issuer: string, hint: string) => {
    const { browser } = signedIn.get(issuer) ?? assert.fail()
    await browser.get(
      `${issuer}/logout?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: goodbye })}`,
    )
    return browser.page.url
  }
  const [one = '', two = ''] = both()
  const hintOf = (issuer: string) => signedIn.get(issuer)?.hint ?? ''
  assert.notEqual(await leave(one, hintOf(two)), goodbye)
  assert.deepEqual([await silent(one), await silent(two)], [true, true])
  assert.equal(await leave(one, hintOf(one)), goodbye)
  assert.deepEqual([await silent(one), await silent(two)], [false, true])
  assert.equal(await leave(two, hintOf(two)), goodbye)
  assert.equal(await silent(two), false)
})

test('none of it was an error of ours', () => {
  assert.deepEqual(
    lido.lines.filter((line) => JSON.parse(line).level >= 50),
    [],
  )
})
