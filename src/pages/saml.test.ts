import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import { openBrowser } from '../browser-testing.ts'
import { poolUpstream } from '../directory/pool-upstream.ts'
import * as pools from '../directory/pools.ts'
import { openSamlIdp, type SamlIdp } from '../signin/upstreams/saml-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  codeOf,
  isSignedIn,
  makeClient,
  makePool,
  makeWorkspace,
  redeem,
  rowsOf,
  token,
  type Visit,
  visit,
} from './fixtures-testing.ts'

let lido: TestLido
let idp: SamlIdp
let connection: string
let local: string
let pool: pools.Pool

before(async () => {
  lido = await testLido()
  const { db, clock } = lido.services
  idp = openSamlIdp(clock.now)
  const settings = { ...idp.settings, verified_domains: ['example.org'] }
  pool = await pools.create(db, clock.now(), {
    slug: 'staff',
    name: 'Staff',
    kind: 'federated',
    upstream: poolUpstream.parse({ type: 'saml', settings, trust: { acr: true } }),
  })
  const { id, connections } = await makeWorkspace(lido, 'app', [{ pool }])
  connection = connections.staff ?? ''
  const other = await makeWorkspace(lido, 'other', [{ pool: await makePool(lido, 'local') }])
  local = other.connections.local ?? ''
  await makeClient(lido, id)
})
after(() => lido.stop())

/** A browser that was sent to the identity provider, and where it is. */
const sent = async (): Promise<{ browser: Visit; to: URL }> => {
  const browser = await visit(lido, 'app')
  assert.ok(browser.page.url.startsWith(idp.settings.sso_url), `${browser.page.status} ${browser.page.url}`)
  return { browser, to: new URL(browser.page.url) }
}

// Another site's form: it has that site's origin.
const post = (browser: Visit, fields: Record<string, string>) =>
  browser.post(`${lido.url}/callback/${connection}`, fields, { Origin: 'https://idp.example' })

const comeBack = async (...said: Parameters<SamlIdp['answer']> extends [URL, ...infer Rest] ? Rest : never) => {
  const { browser, to } = await sent()
  await post(browser, idp.answer(to, ...said).fields)
  return browser
}

const userCount = async () =>
  (await rowsOf<{ n: number }>(lido, `select count(*)::int as n from users where pool_id = '${pool.id}'`))[0]?.n

const claimsOf = async (browser: Visit): Promise<Record<string, unknown>> => {
  const { body } = await redeem(lido, 'app', browser)
  return JSON.parse(Buffer.from((body.id_token ?? '').split('.')[1] ?? '', 'base64url').toString())
}

test('signs somebody in by SAML, and as the same user the next time', async () => {
  const said = { nameId: 'u-1', attributes: { mail: ['ada@example.org'], givenName: ['Ada'] } }
  const first = await claimsOf(await comeBack(said))
  assert.equal(first.idp, connection)
  const again = await claimsOf(await comeBack(said))
  assert.equal(again.sub, first.sub)
  const other = await claimsOf(await comeBack({ nameId: 'u-2', attributes: { mail: ['grace@example.org'] } }))
  assert.notEqual(other.sub, first.sub)
})

test('counts a second factor that was proven there, where its word is trusted', async () => {
  const { acr, amr } = await claimsOf(await comeBack({ nameId: 'u-3', acr: 'https://refeds.org/profile/mfa' }))
  assert.equal(acr, 'urn:lido:acr:2fa')
  assert.ok((amr as string[]).includes('mfa'))
})

test('lets nobody in by a forged response, says so, and logs no word of it', async () => {
  const before = await userCount()
  const since = lido.lines.length
  const browser = await comeBack(
    { nameId: 'mallory-7', attributes: { mail: ['mallory@example.org'] } },
    { parts: ['Response'] },
  )
  assert.ok(!isSignedIn(browser))
  assert.ok(browser.page.alert, browser.page.html)
  assert.equal(await userCount(), before)
  const logged = lido.lines.slice(since).join('')
  assert.match(logged, /The assertion is not signed\./)
  assert.doesNotMatch(logged, /mallory|SAMLResponse|PHNhbWx/)
})

test('says that somebody was turned away there', async () => {
  const code = 'urn:oasis:names:tc:SAML:2.0:status:'
  const status = `<samlp:StatusCode Value="${code}Responder"><samlp:StatusCode Value="${code}AuthnFailed"/></samlp:StatusCode>`
  const browser = await comeBack({ status })
  assert.ok(!isSignedIn(browser))
  assert.ok(browser.page.alert, browser.page.html)
})

test('takes a response once: of twenty at once one signs in', async () => {
  const { browser, to } = await sent()
  const { fields } = idp.answer(to, { nameId: 'u-20' })
  const send = () =>
    fetch(`${lido.url}/callback/${connection}`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: 'https://idp.example' },
      body: new URLSearchParams(fields).toString(),
    })
  const answers = await Promise.all(Array.from({ length: 20 }, send))
  const places = answers.flatMap((answer) => answer.headers.get('Refresh')?.replace('0; url=', '') ?? [])
  const codes = new Set<string>()
  for (const place of places) {
    await browser.get(new URL(place, lido.url).href)
    if (isSignedIn(browser)) codes.add(codeOf(browser))
  }
  assert.equal(codes.size, 1)
  await post(browser, fields)
  assert.ok(!isSignedIn(browser))
})

test('takes no response under another RelayState, nor in a browser that did not begin', async () => {
  const { browser, to } = await sent()
  const { fields } = idp.answer(to, { nameId: 'u-30' })
  await post(browser, { ...fields, RelayState: 'another' })
  assert.ok(!isSignedIn(browser))
  assert.equal(browser.page.status, 410)
  const victim = Object.assign(openBrowser(lido.url), { verifier: '' })
  await post(victim, fields)
  assert.ok(!isSignedIn(victim))
})

test('takes no response that somebody was not sent for', async () => {
  const { browser, to } = await sent()
  const { SAMLResponse = '' } = idp.answer(to).fields
  await post(browser, { SAMLResponse })
  assert.equal(browser.page.status, 410)
  const other = await sent()
  await post(other.browser, { SAMLResponse, RelayState: idp.read(other.to).relayState })
  assert.ok(!isSignedIn(other.browser))
})

test('tells the other side all that it has to know', async () => {
  const address = `${lido.url}/callback/${connection}/metadata`
  const response = await fetch(address)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('Content-Type') ?? '', /^application\/samlmetadata\+xml/)
  const { publicUrl } = lido.services.config
  const xml = await response.text()
  assert.ok(xml.includes(`entityID="${publicUrl}/callback/${connection}/metadata"`))
  assert.ok(xml.includes(`Location="${publicUrl}/callback/${connection}"`))
  assert.equal((await fetch(address, { method: 'POST' })).status, 405)
  assert.equal((await fetch(address, { method: 'HEAD' })).status, 200)
})

test('has no metadata of connections that need none', async () => {
  for (const id of [local, '019aa000-0000-7000-8000-000000000000', 'x']) {
    assert.equal((await fetch(`${lido.url}/callback/${id}/metadata`)).status, 404)
  }
})

test('signing out here asks the identity provider to end its session too, and comes back to where it was going', async () => {
  const { db, clock } = lido.services
  const upstream = poolUpstream.parse({ type: 'saml', settings: idp.settings, logout: true })
  const leaving = await pools.create(db, clock.now(), { slug: 'leaving', name: 'Leaving', kind: 'federated', upstream })
  const { id, connections } = await makeWorkspace(lido, 'leaving', [{ pool: leaving }])
  await makeClient(lido, id, { post_logout_redirect_uris: ['https://app.example.test/bye'] })
  const browser = await visit(lido, 'leaving')
  const way = `${lido.url}/callback/${connections.leaving}`
  const answer = idp.answer(new URL(browser.page.url), { nameId: 'u-9' })
  await browser.post(way, answer.fields, { Origin: 'https://idp.example' })
  const { body } = await redeem(lido, 'leaving', browser)
  const to = new URLSearchParams({
    id_token_hint: String(body.id_token),
    post_logout_redirect_uri: 'https://app.example.test/bye',
    state: 'kept',
  })
  await browser.get(`${lido.url}/w/leaving/logout?${to}`)
  assert.equal(browser.page.step, 'loggedout')
  const asked = new URL(browser.page.headers.get('Refresh')?.replace('0; url=', '') ?? '')
  assert.equal(asked.origin + asked.pathname, idp.settings.slo_url, browser.page.html)
  const xml = inflateRawSync(Buffer.from(asked.searchParams.get('SAMLRequest') ?? '', 'base64')).toString()
  assert.match(xml, /<samlp:LogoutRequest /)
  assert.match(xml, />u-9<\/saml:NameID>/)
  assert.equal(await countOf(id), 0)
  const state = asked.searchParams.get('RelayState') ?? ''
  assert.ok(Buffer.byteLength(state) <= 80)
  const back = new URLSearchParams({ SAMLResponse: 'eJw=', RelayState: state })
  await browser.get(`${way}/logout?${back}`)
  assert.equal(browser.page.url, 'https://app.example.test/bye?state=kept')
})

const countOf = async (workspaceId: string) =>
  (await rowsOf(lido, `select 1 from artifacts where kind = 'Session' and workspace_id = '${workspaceId}'`)).length

test('a connection maps attributes of the assertion, and a refresh asks nobody again', async () => {
  const { db } = lido.services
  const mapping = JSON.stringify({ department: 'upstream.department', city: 'upstream.urn:city' })
  const set = { mapping, reloadClaimsAtRefresh: true }
  await db.updateTable('connections').set(set).where('id', '=', connection).execute()
  await new Promise((resolve) => setTimeout(resolve, 250))
  const browser = await visit(lido, 'app', { scope: 'openid profile' })
  const attributes = { department: ['Engines'], 'urn:city': ['London', 'Turin'] }
  await post(browser, idp.answer(new URL(browser.page.url), { nameId: 'u-mapped', attributes }).fields)
  const { body } = await redeem(lido, 'app', browser)
  const renewed = await token(lido.url, 'app', {
    ...{ grant_type: 'refresh_token', client_id: 'app', refresh_token: body.refresh_token ?? '' },
  })
  assert.equal(renewed.status, 200)
  const headers = { Authorization: `Bearer ${renewed.body.access_token}` }
  const told = (await (await fetch(`${lido.url}/w/app/userinfo`, { headers })).json()) as Record<string, unknown>
  assert.deepEqual([told.department, told.city], ['Engines', ['London', 'Turin']])
})
