import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type TestLido, testLido } from '../testing.ts'
import {
  callback,
  makePool,
  makeWorkspace,
  payloadOf,
  redeem,
  refresh,
  type SignedIn,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let mike: string
let nina: string
before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('second')
  await workspace.client('third-party', { first_party: false, client_name: 'Third & Party' })
  mike = await people.user('mike@example.org')
  nina = await people.user('nina@example.org')
})
after(() => lido.stop())

const email = 'mike@example.org'
const errorOf = ({ at }: SignedIn) => at.searchParams.get('error')
const idTokenOf = async (signedIn: SignedIn, client_id = 'spa') => {
  assert(signedIn.code, `${signedIn.at} ${signedIn.browser.page.html}`)
  return tokensFrom(await redeem(workspace.issuer, signedIn, { client_id })).id
}
/** Goes on to a page without answering it. */
const visit = (params: Record<string, string>, browser?: SignedIn['browser']) =>
  signIn(lido, workspace, '', params, browser).then(({ browser }) => browser.page)

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

test('prompt=none says login_required without a session, and answers with one', async () => {
  const stranger = await signIn(lido, workspace, email, { prompt: 'none' })
  assert.equal(stranger.at.origin + stranger.at.pathname, callback)
  assert.equal(errorOf(stranger), 'login_required')
  const { browser } = await signIn(lido, workspace, email)
  const again = await signIn(lido, workspace, email, { prompt: 'none' }, browser)
  assert.equal(payloadOf(await idTokenOf(again)).sub, mike)
})

test('a second client of the workspace needs no page', async () => {
  const { browser } = await signIn(lido, workspace, email)
  const second = await signIn(lido, workspace, '', { client_id: 'second' }, browser)
  const claims = payloadOf(await idTokenOf(second, 'second'))
  assert.deepEqual([claims.sub, claims.aud], [mike, 'second'])
})

test('prompt=login asks again, and the new time of it is told', async () => {
  const first = await signIn(lido, workspace, email)
  const { auth_time } = payloadOf(await idTokenOf(first))
  await pause(1100)
  const cookie = [...first.browser.cookies].find(([name]) => name.startsWith('lido_session'))?.[1].value
  const again = await signIn(lido, workspace, email, { prompt: 'login' }, first.browser)
  assert(Number(payloadOf(await idTokenOf(again)).auth_time) > Number(auth_time))
  assert.notEqual([...first.browser.cookies].find(([name]) => name.startsWith('lido_session'))?.[1].value, cookie)
})

test('prompt=login is asked once, and not got around by calling the address again', async () => {
  const { browser } = await signIn(lido, workspace, email)
  await visit({ prompt: 'login' }, browser)
  assert.equal(browser.page.step, 'identify')
  const [, uid] = browser.page.url.match(/signin\/([\w-]+)/) ?? []
  await browser.get(`/w/w1/authorize/${uid}`)
  assert.equal(new URL(browser.page.url).origin, lido.url)
})

test('max_age asks again once a sign-in is older, and auth_time tells of it', async () => {
  const { browser } = await signIn(lido, workspace, email)
  const young = await signIn(lido, workspace, '', { max_age: '3600' }, browser)
  assert.equal(typeof payloadOf(await idTokenOf(young)).auth_time, 'number')
  await pause(2100)
  const page = await visit({ max_age: '1' }, browser)
  assert.equal(page.step, 'identify')
  assert.equal(errorOf(await signIn(lido, workspace, '', { max_age: '1', prompt: 'none' }, browser)), 'login_required')
  assert.equal((await visit({ max_age: '0' }, browser)).step, 'identify')
  const done = await signIn(lido, workspace, email, { max_age: '1' }, browser)
  assert(Date.now() / 1000 - Number(payloadOf(await idTokenOf(done)).auth_time) < 5)
})

test('prompt=select_account lets somebody else in, and nothing of the first one goes along', async () => {
  const first = await tokensOf(lido, workspace, email)
  const old = new Map(first.browser.cookies)
  const other = await signIn(lido, workspace, 'nina@example.org', { prompt: 'select_account' }, first.browser)
  const claims = payloadOf(await idTokenOf(other))
  assert.equal(claims.sub, nina)
  const silent = await signIn(lido, workspace, '', { prompt: 'none' }, first.browser)
  assert.equal(payloadOf(await idTokenOf(silent)).sub, nina)
  // The first one's session is over: its cookie, and what hung on it.
  first.browser.cookies.clear()
  for (const [name, value] of old) first.browser.cookies.set(name, value)
  assert.equal(errorOf(await signIn(lido, workspace, '', { prompt: 'none' }, first.browser)), 'login_required')
  assert.equal((await userinfo(workspace.issuer, first.access)).status, 401)
  assert.equal((await refresh(workspace.issuer, first.refresh)).body.error, 'invalid_grant')
})

test('prompt=select_account lets the same person go on as well', async () => {
  const { browser } = await signIn(lido, workspace, email)
  const again = await signIn(lido, workspace, email, { prompt: 'select_account' }, browser)
  assert.equal(payloadOf(await idTokenOf(again)).sub, mike)
})

test('login_hint stands in the field, as text', async () => {
  const page = await visit({ login_hint: email })
  assert.match(
    page.html,
    /name="identifier"[^>]* value="mike@example\.org"|value="mike@example\.org"[^>]* name="identifier"/,
  )
  const odd = await visit({ login_hint: '"><script>alert(1)</script>' })
  assert.equal(odd.step, 'identify')
  assert(!odd.html.includes('<script>alert'))
})

test('ui_locales chooses the language of the pages', async () => {
  const german = await visit({ ui_locales: 'xx de-AT en' })
  assert.match(german.html, /<html[^>]* lang="de"/)
  assert.equal(german.headers.get('Content-Language'), 'de')
  assert.match((await visit({ ui_locales: 'nl' })).html, /<html[^>]* lang="en"/)
})

test('acr_values, display, claims_locales and unknown parameters are taken as wishes', async () => {
  const wishes = { acr_values: 'urn:example:gold', display: 'popup', claims_locales: 'fr', made_up: 'x', nonce: 'n-1' }
  const claims = payloadOf(await idTokenOf(await signIn(lido, workspace, email, wishes)))
  assert.deepEqual([claims.acr, claims.nonce, claims.made_up], ['urn:lido:acr:1fa', 'n-1', undefined])
})

test('an id_token_hint of somebody else is no session of theirs', async () => {
  const { id: hint } = await tokensOf(lido, workspace, 'nina@example.org')
  const { browser } = await signIn(lido, workspace, email)
  const silent = await signIn(lido, workspace, '', { prompt: 'none', id_token_hint: hint }, browser)
  assert.equal(errorOf(silent), 'login_required')
  const page = await visit({ id_token_hint: hint }, browser)
  assert.equal(page.step, 'identify')
  const own = (await tokensOf(lido, workspace, email)).id
  const known = await signIn(lido, workspace, '', { prompt: 'none', id_token_hint: own }, browser)
  assert.equal(payloadOf(await idTokenOf(known)).sub, mike)
  const forged = `${own.slice(0, -8)}AAAAAAAA`
  assert.equal(
    errorOf(await signIn(lido, workspace, '', { prompt: 'none', id_token_hint: forged }, browser)),
    'invalid_request',
  )
})

test('offline_access is given to a client of our own without a question, and outlives the session', async () => {
  const offline = await tokensOf(lido, workspace, email, { scope: 'openid offline_access' })
  const online = tokensFrom(await redeem(workspace.issuer, await signIn(lido, workspace, '', {}, offline.browser)))
  await offline.browser.get(`${workspace.issuer}/logout?client_id=spa`)
  await offline.browser.submit({ logout: 'yes' })
  assert.equal((await refresh(workspace.issuer, online.refresh)).body.error, 'invalid_grant')
  assert.equal((await userinfo(workspace.issuer, online.access)).status, 401)
  assert.equal((await refresh(workspace.issuer, offline.refresh)).status, 200)
})

test('a logout that is not confirmed keeps everything', async () => {
  const tokens = await tokensOf(lido, workspace, email)
  await tokens.browser.get(`${workspace.issuer}/logout?client_id=spa`)
  assert.equal(tokens.browser.page.step, 'logout')
  await tokens.browser.post(`${workspace.issuer}/logout/confirm`, { logout: 'yes', xsrf: 'guessed' })
  assert.equal(tokens.browser.page.status, 400)
  assert.equal((await userinfo(workspace.issuer, tokens.access)).status, 200)
})

const asThird = { client_id: 'third-party', scope: 'openid profile email' }

test('a client of somebody else is agreed to once, also for a later session', async () => {
  const first = await signIn(lido, workspace, email, asThird)
  const { browser } = first
  assert.equal(browser.page.step, 'consent')
  assert.match(browser.page.html, /Third &amp; Party/)
  await browser.submit({ decision: 'allow' })
  const code = new URL(browser.page.url).searchParams.get('code') ?? ''
  const tokens = tokensFrom(await redeem(workspace.issuer, { ...first, code }, { client_id: 'third-party' }))
  assert.equal((await userinfo(workspace.issuer, tokens.access)).body.email, email)
  const silent = await signIn(lido, workspace, '', { ...asThird, prompt: 'none' }, browser)
  assert(silent.code)
  const later = await signIn(lido, workspace, email, asThird)
  assert(later.code, later.browser.page.html)
  const more = await signIn(lido, workspace, '', { ...asThird, scope: 'openid phone', prompt: 'none' }, browser)
  assert.equal(errorOf(more), 'consent_required')
  const asked = await signIn(lido, workspace, '', { ...asThird, prompt: 'consent' }, browser)
  assert.equal(asked.browser.page.step, 'consent')
})

test('a person who refuses sends the client away empty-handed, and is asked again', async () => {
  const other = { ...asThird, scope: 'openid', state: 'kept' }
  const { browser } = await signIn(lido, workspace, 'nina@example.org', other)
  assert.equal(browser.page.step, 'consent')
  await browser.submit({ decision: 'deny' })
  const told = new URL(browser.page.url).searchParams
  assert.deepEqual([told.get('error'), told.get('state'), told.get('iss')], ['access_denied', 'kept', workspace.issuer])
  assert.equal((await visit(other, browser)).step, 'consent')
  assert.equal(errorOf(await signIn(lido, workspace, '', { ...other, prompt: 'none' }, browser)), 'consent_required')
})

test('only what was agreed to is given, and offline access only with prompt=consent', async () => {
  const without = { ...asThird, scope: 'openid offline_access' }
  const first = await signIn(lido, workspace, 'nina@example.org', without)
  await first.browser.submit({ decision: 'allow' })
  const code = new URL(first.browser.page.url).searchParams.get('code') ?? ''
  const answer = await redeem(workspace.issuer, { ...first, code }, { client_id: 'third-party' })
  assert.deepEqual([answer.body.scope, answer.body.refresh_token], ['openid', undefined])
  const asked = await signIn(lido, workspace, '', { ...without, prompt: 'consent' }, first.browser)
  assert.equal(asked.browser.page.step, 'consent')
  await asked.browser.submit({ decision: 'allow' })
  const second = new URL(asked.browser.page.url).searchParams.get('code') ?? ''
  const offline = await redeem(workspace.issuer, { ...asked, code: second }, { client_id: 'third-party' })
  assert.equal(offline.body.scope, 'openid offline_access')
  assert.equal(
    (await refresh(workspace.issuer, String(offline.body.refresh_token), { client_id: 'third-party' })).status,
    200,
  )
})

test('no consent is given by a form without its token, or by somebody else', async () => {
  const asking = await signIn(lido, workspace, 'nina@example.org', { ...asThird, scope: 'openid phone' })
  assert.equal(asking.browser.page.step, 'consent')
  const { url } = asking.browser.page
  for (const csrf of ['', 'guessed'])
    assert.equal((await asking.browser.post(url, { decision: 'allow', csrf })).status, 403)
  const { browser } = await signIn(lido, workspace, email)
  assert.equal((await browser.post(url, { decision: 'allow' })).status, 410)
  assert.equal((await browser.get(url)).status, 410)
})

test('a claim that says who has to sign in lets nobody else in', async () => {
  const claims = JSON.stringify({ id_token: { sub: { value: nina } } })
  assert.equal(errorOf(await signIn(lido, workspace, email, { claims })), 'login_required')
})
