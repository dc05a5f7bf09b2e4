import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl, type Browser, openBrowser } from '../browser-testing.ts'
import { system } from '../directory/audit.ts'
import * as domains from '../directory/domains.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import * as pools from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import {
  anotherNode,
  callback,
  eventually,
  goodbye,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  type TestWorkspace,
  tokensOf,
} from '../oidc/fixtures-testing.ts'
import { fetchAt, sendTo } from '../oidc/raw-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { hiddenOf } from './fixtures-testing.ts'
import { givePasskey, optionsOn } from './passkeys-testing.ts'

const email = 'mike@example.org'
let lido: TestLido
let shop: TestWorkspace
let other: TestWorkspace
let port: string
/** The fetch of somebody whose DNS leads every host here. */
let reach: typeof fetch
before(async () => {
  lido = await testLido()
  port = new URL(lido.url).port
  reach = fetchAt(lido.url)
  const people = await makePool(lido, 'p1')
  await people.user(email)
  shop = await makeWorkspace(lido, 'shop', { pools: [people] })
  other = await makeWorkspace(lido, 'other', { pools: [people] })
  for (const workspace of [shop, other]) await workspace.client('spa')
})
after(() => lido.stop())

const recordOf = async ({ id }: TestWorkspace) => {
  const workspace = await workspaces.findById(lido.services.db, id)
  assert(workspace)
  return workspace
}

/** Gives a workspace a domain that it answers at; answers its origin. */
const give = async (workspace: TestWorkspace, host: string, { active = true, primary = false } = {}) => {
  const { db, clock, config } = lido.services
  const at = clock.now()
  const domain = await db.transaction().execute(async (trx) => {
    const added = await domains.add(trx, at, { config, workspace: await recordOf(workspace), host }, system)
    if (active) await domains.activate(trx, at, added, 'operator', system)
    if (primary) await domains.setPrimary(trx, at, { ...added, state: 'active' }, true, system)
    return added
  })
  if (active) await eventually(5000, async () => assert.equal((await discovery(domain.origin)).status, 200))
  return domain
}

const discovery = (origin: string, headers: Record<string, string> = {}) =>
  reach(`${origin}/.well-known/openid-configuration`, { headers })

const json = async (response: Response): Promise<Record<string, unknown>> => JSON.parse((await response.text()) || '{}')

const post = (url: string, fields: Record<string, string>) =>
  reach(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })

/** Signs in at a domain; the browser ends at the client's address. */
const signInAt = async (origin: string, params: Record<string, string> = {}, browser = openBrowser(origin, reach)) => {
  const made = authorizeUrl(origin, 'shop', { client_id: 'spa', redirect_uri: callback, ...params })
  await browser.get(`${origin}/authorize${new URL(made.url).search}`)
  if (browser.page.step === 'identify') await browser.submit({ identifier: email })
  if (browser.page.step === 'prove') await browser.submit({ password })
  const at = new URL(browser.page.url)
  return { browser, at, code: at.searchParams.get('code') ?? '', verifier: made.verifier }
}

const redeemAt = (issuer: string, { code, verifier }: { code: string; verifier: string }) =>
  post(`${issuer}/token`, {
    grant_type: 'authorization_code',
    client_id: 'spa',
    redirect_uri: callback,
    code,
    code_verifier: verifier,
  })

const tokensAt = async (origin: string): Promise<Record<string, string> & { browser: Browser }> => {
  const signedIn = await signInAt(origin)
  assert(signedIn.code, signedIn.browser.page.html)
  const answer = await redeemAt(origin, signedIn)
  const body = await answer.text()
  assert.equal(answer.status, 200, body)
  return { ...JSON.parse(body), browser: signedIn.browser }
}

test('a workspace is an issuer of its own at its domain: sign-in, tokens, userinfo, account and logout', async () => {
  const { origin } = await give(shop, 'login.shop.localhost')
  assert.equal(origin, `http://login.shop.localhost:${port}`)
  const document = await json(await discovery(origin))
  assert.equal(document.issuer, origin)
  const addresses = Object.entries(document).filter(([name]) => name.endsWith('_endpoint') || name === 'jwks_uri')
  assert(addresses.length > 5)
  for (const [name, address] of addresses) {
    assert.equal(new URL(String(address)).origin, origin, name)
    assert(!String(address).includes('/w/'), name)
  }

  const tokens = await tokensAt(origin)
  assert.equal(payloadOf(tokens.id_token ?? '').iss, origin)
  const told = await reach(`${origin}/userinfo`, { headers: { Authorization: `Bearer ${tokens.access_token}` } })
  assert.equal(told.status, 200)
  const { browser } = tokens
  assert([...browser.cookies.values()].every(({ path }) => !path.startsWith('/w/')))
  const again = await signInAt(origin, { prompt: 'none' }, browser)
  assert(again.code)
  assert.equal(again.at.searchParams.get('iss'), origin)
  await browser.get(`${origin}/account`)
  assert.equal(browser.page.status, 200)
  assert.equal(browser.page.url, `${origin}/account`)
  assert(!browser.page.html.includes('/w/shop'))
  assert.match(browser.page.html, /href="\/account\/\w+"/)
  const leaving = { id_token_hint: tokens.id_token ?? '', post_logout_redirect_uri: goodbye }
  await browser.get(`${origin}/logout?${new URLSearchParams(leaving)}`)
  if (browser.page.url.startsWith(origin)) await browser.submit()
  assert.equal(browser.page.url, goodbye)
  assert.equal((await signInAt(origin, { prompt: 'none' }, browser)).at.searchParams.get('error'), 'login_required')
})

test('nothing else of the program is at a domain', async () => {
  const { origin } = await give(shop, 'alone.shop.localhost')
  for (const path of [
    '/w/shop/.well-known/openid-configuration',
    '/w/other/jwks',
    '/w/shop/account',
    '/api/v1/openapi.json',
  ])
    assert.equal((await reach(origin + path)).status, 404, path)
  for (const path of ['/console', '/dev/inbox', '/demo', '/healthz', '/readyz', '/metrics', '/'])
    assert.equal((await reach(origin + path)).status, 404, path)
  assert.equal((await sendTo(lido.url, { path: '/healthz' })).status, 200)
})

test('the old address goes on as the issuer that it was, and tokens of both are good at both', async () => {
  const { origin } = await give(shop, 'moving.shop.localhost')
  const old = await tokensOf(lido, shop, email)
  assert.equal(payloadOf(old.id).iss, shop.issuer)
  const moved = await tokensAt(origin)
  for (const token of [old.access, moved.access_token])
    for (const issuer of [shop.issuer, origin])
      assert.equal((await reach(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${token}` } })).status, 200)
  const refreshed = await post(`${origin}/token`, {
    grant_type: 'refresh_token',
    client_id: 'spa',
    refresh_token: old.refresh,
  })
  const body = await json(refreshed)
  assert.equal(refreshed.status, 200, JSON.stringify(body))
  assert.equal(payloadOf(String(body.id_token)).iss, origin)
})

test('A13: whatever a request says of its host beside a domain, it is told configured addresses', async () => {
  const { origin } = await give(shop, 'told.shop.localhost')
  const lies: Record<string, string>[] = [
    { Host: 'evil.example' },
    { Host: `told.shop.localhost.evil.example:${port}` },
    { Host: `evil.told.shop.localhost:${port}` },
    { Host: 'told.shop.localhost:1' },
    { Host: `told.shop.localhost:${port}@evil.example` },
    { 'X-Forwarded-Host': `told.shop.localhost:${port}` },
    { Forwarded: `host=told.shop.localhost:${port}` },
    { 'X-Host': 'told.shop.localhost' },
  ]
  for (const headers of lies) {
    const told = await sendTo(lido.url, { path: '/w/shop/.well-known/openid-configuration', headers })
    if (told.status === 400) continue
    assert.equal(told.status, 200, JSON.stringify(headers))
    assert.equal(JSON.parse(told.text).issuer, shop.issuer)
    assert.equal((await sendTo(lido.url, { path: '/jwks', headers })).status, 404, JSON.stringify(headers))
  }
  const beside: Record<string, string>[] = [
    { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https' },
    { Forwarded: 'host=evil.example;proto=https' },
    { 'X-Forwarded-Host': new URL(lido.url).host },
  ]
  for (const headers of beside) {
    assert.equal((await json(await discovery(origin, headers))).issuer, origin)
    const params = { client_id: 'spa', redirect_uri: callback }
    const asked = await reach(`${origin}/authorize${new URL(authorizeUrl(origin, 'shop', params).url).search}`, {
      headers,
    })
    assert.equal(new URL(asked.headers.get('Location') ?? '', origin).origin, origin)
    assert(!JSON.stringify([...asked.headers]).includes('evil'))
  }
  const upper = await sendTo(lido.url, { path: '/jwks', headers: { Host: `TOLD.shop.LOCALHOST:${port}` } })
  assert.equal(upper.status, 200)
})

test('a proxy that is trusted may name a domain that is active, and no other host', async () => {
  const { origin } = await give(shop, 'proxied.shop.localhost')
  const node = await anotherNode({
    ...lido,
    services: { ...lido.services, config: { ...lido.services.config, trustedProxies: ['127.0.0.1'] } },
  })
  try {
    const path = '/.well-known/openid-configuration'
    const via = (named: string) =>
      sendTo(node.url, { path, headers: { Host: 'lido.internal', 'X-Forwarded-Host': named } })
    const told = await via(new URL(origin).host)
    assert.equal(told.status, 200)
    assert.equal(JSON.parse(told.text).issuer, origin)
    assert.equal((await via('evil.example')).status, 404)
    // PUBLIC_URL is answered as itself, whatever somebody lets a proxy pass on.
    const home = { Host: new URL(lido.url).host, 'X-Forwarded-Host': new URL(origin).host }
    assert.equal((await sendTo(node.url, { path, headers: home })).status, 404)
  } finally {
    await node.stop()
  }
})

test('a domain that is not verified answers nobody, and belongs to whoever verifies it first', async () => {
  const { db, clock } = lido.services
  const pending = await give(shop, 'wanted.shop.localhost', { active: false })
  const rival = await give(other, 'wanted.shop.localhost', { active: false })
  assert.equal((await discovery(pending.origin)).status, 404)
  const told = await Promise.allSettled(
    [pending, rival, pending, rival].map((one) =>
      db.transaction().execute((trx) => domains.activate(trx, clock.now(), one, 'operator', system)),
    ),
  )
  const active = await db
    .selectFrom('domains')
    .select('workspaceId')
    .where('host', '=', pending.host)
    .where('state', '=', 'active')
    .execute()
  assert.equal(active.length, 1)
  assert(told.some(({ status }) => status === 'rejected'))
})

test('a domain leads to its own workspace alone', async () => {
  const [mine, theirs] = [await give(shop, 'mine.localhost'), await give(other, 'theirs.localhost')]
  const tokens = await tokensAt(mine.origin)
  const refused = await reach(`${theirs.origin}/userinfo`, {
    headers: { Authorization: `Bearer ${tokens.access_token}` },
  })
  assert.equal(refused.status, 401)
  const { code, verifier } = await signInAt(mine.origin)
  assert.equal((await redeemAt(theirs.origin, { code, verifier })).status, 400)
  assert.equal((await redeemAt(mine.origin, { code, verifier })).status, 200)
})

test('a page that was begun at one address is not gone on with at another', async () => {
  const [one, two] = [await give(shop, 'one.shop.localhost'), await give(shop, 'two.shop.localhost')]
  const browser = openBrowser(one.origin, reach)
  const params = { client_id: 'spa', redirect_uri: callback }
  await browser.get(`${one.origin}/authorize${new URL(authorizeUrl(one.origin, 'shop', params).url).search}`)
  assert.equal(browser.page.step, 'identify')
  const elsewhere = openBrowser(two.origin, reach)
  await elsewhere.get(browser.page.url.replace(one.origin, two.origin))
  assert.equal(elsewhere.page.step, 'problem')
  // Nor is a form taken that a page of the other one sent.
  await browser.submit({ identifier: email }, { Origin: two.origin })
  assert.equal(browser.page.status, 403)
})

test('on every node a domain that is deleted answers nobody within five seconds', async () => {
  const { db, clock } = lido.services
  const node = await anotherNode(lido)
  try {
    const domain = await give(shop, 'gone.shop.localhost')
    const asking = { path: '/jwks', headers: { Host: new URL(domain.origin).host } }
    assert.equal((await sendTo(node.url, asking)).status, 200)
    await db.transaction().execute((trx) => domains.remove(trx, clock.now(), domain, system))
    for (const url of [lido.url, node.url])
      await eventually(5000, async () => assert.equal((await sendTo(url, asking)).status, 404))
  } finally {
    await node.stop()
  }
})

test('a client hears of the end of a session from the issuer that it knows', async () => {
  await shop.client('hearing', { backchannel_logout_uri: 'https://hearing.example/logout' })
  const heard: string[] = []
  lido.services.fetch = async (_url, init) => {
    heard.push(new URLSearchParams(String(init?.body)).get('logout_token') ?? '')
    return { status: 200, headers: {}, text: () => '', json: () => undefined }
  }
  const { origin } = await give(shop, 'hearing.shop.localhost')
  const { browser } = await signInAt(origin, { client_id: 'hearing' })
  await browser.get(`${origin}/logout`)
  await browser.submit({ logout: 'yes' })
  await eventually(10_000, async () => assert.equal(heard.length, 1))
  assert.equal(payloadOf(heard[0] ?? '').iss, origin)
})

test('links in mails lead to the address that the person used', async () => {
  const { origin } = await give(shop, 'mailed.shop.localhost')
  const browser = openBrowser(origin, reach)
  await browser.get(`${origin}/recover`)
  await browser.submit({ identifier: email })
  const { text } = (await lido.message(email)) as unknown as { text: string }
  assert(text.includes(`${origin}/recover?token=`), text)
  assert(!text.includes(lido.url))
})

test('a workspace speaks of its primary domain as its own, and goes with its name', async () => {
  const { origin } = await give(other, 'primary.localhost', { primary: true })
  assert.equal((await recordOf(other)).origin, origin)
  const { db, clock } = lido.services
  const before = await recordOf(other)
  const input = { slug: 'renamed', name: 'Renamed', settings: before.settings, status: 'active' as const }
  await db.transaction().execute((trx) => workspaces.update(trx, clock.now(), before, input, system))
  await eventually(5000, async () => assert.equal((await json(await discovery(origin))).issuer, origin))
  await eventually(5000, async () => assert.equal((await sendTo(lido.url, { path: '/w/other/jwks' })).status, 404))
  assert.equal((await reach(`${origin}/jwks`)).status, 200)
})

test('a passkey of the old address is good at the domain, and at no domain of another workspace', async () => {
  const { db, clock } = lido.services
  const settings = { sign_in_methods: ['password', 'passkey'] as ('password' | 'passkey')[] }
  const pool = await pools.create(db, clock.now(), { slug: 'keys', name: 'Keys', settings })
  const person = { id: pool.id, slug: 'keys', user: async () => '' }
  const keyed = await makeWorkspace(lido, 'keyed', { pools: [person] })
  await keyed.client('spa')
  const identifier = readIdentifier(email, ['email'])
  assert(identifier)
  const user = await users.create(db, clock.now(), pool.id, {
    identifier,
    status: 'active',
    verified: true,
    profile: {},
  })
  assert(user)
  const key = await givePasskey(lido, pool, user)
  const { origin } = await give(keyed, 'keyed.localhost')
  const foreign = await give(shop, 'foreign.localhost')
  const ask = async () => {
    const browser = openBrowser(origin, reach)
    const params = { client_id: 'spa', redirect_uri: callback }
    await browser.get(`${origin}/authorize${new URL(authorizeUrl(origin, 'keyed', params).url).search}`)
    return browser
  }
  const answer = (browser: Browser, credential: string) =>
    browser.post(`${browser.page.url}?view=identify`, { csrf: hiddenOf(browser.page.html).csrf ?? '', credential })
  for (const from of [origin, lido.url, foreign.origin]) {
    const browser = await ask()
    const options = optionsOn(browser)
    assert.equal(options.rpId, new URL(lido.url).hostname)
    await answer(browser, key.get(options, { origin: from }))
    assert.equal(new URL(browser.page.url).searchParams.has('code'), from !== foreign.origin, from)
  }
})

test('browsers are told that passkeys of PUBLIC_URL are good at the domains too', async () => {
  const { origin } = await give(shop, 'keys.shop.localhost')
  const answer = await sendTo(lido.url, { path: '/.well-known/webauthn' })
  assert.equal(answer.status, 200)
  assert((JSON.parse(answer.text).origins as string[]).includes(origin))
})

test('none of it was an error of ours', () => {
  assert.deepEqual(
    lido.lines.filter((line) => JSON.parse(line).level >= 50),
    [],
  )
})
