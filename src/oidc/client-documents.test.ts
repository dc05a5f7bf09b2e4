import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { openBrowser } from '../browser-testing.ts'
import * as clients from '../directory/clients.ts'
import type { RegistrationPolicy } from '../directory/registration-policy.ts'
import type { Fetch, Reply } from '../platform/fetch.ts'
import { openLog } from '../platform/log.ts'
import { type Running, start } from '../start.ts'
import { type TestLido, testLido } from '../testing.ts'
import { isDocumentId, openClientDocuments } from './client-documents.ts'
import {
  ask,
  eventually,
  freePort,
  makePool,
  makeWorkspace,
  payloadOf,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
} from './fixtures-testing.ts'

const at = 'https://app.example.org/oauth/client.json'
const back = 'https://app.example.org/callback'
const said = { client_id: at, client_name: 'The app', redirect_uris: [back] }

let now = Date.parse('2026-11-20T12:00:00Z')
let lido: TestLido
let people: TestPool
let guarded: Fetch
before(async () => {
  lido = await testLido({}, { clock: { now: () => new Date(now) } })
  guarded = lido.services.fetch
  people = await makePool(lido, 'p1')
  await people.user('mike@example.org')
})
after(() => lido.stop())
afterEach(() => {
  lido.services.fetch = guarded
})

let made = 0
const workspaceWith = (
  registration: Partial<RegistrationPolicy> = { client_id_documents: 'on' },
): Promise<TestWorkspace> => {
  made += 1
  return makeWorkspace(lido, `w${made}`, { pools: [people], settings: { registration } })
}

/** Another site: what it answers, and how often it was asked. The way there is the program's own for every other. */
const site = (answer: Partial<Reply> & { body?: unknown; broken?: boolean } = {}, address = at) => {
  const asked = { times: 0, answer }
  lido.services.fetch = async (url, init) => {
    if (url !== address) return guarded(url, init)
    asked.times += 1
    const { broken, body = said, status = 200, headers = {} } = asked.answer
    if (broken) throw new Error('A request to another server failed')
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const type = { 'content-type': 'application/json' }
    return { status, headers: { ...type, ...headers }, text: () => text, json: () => JSON.parse(text) }
  }
  return asked
}

// Time moves on between tests, so that nothing is left of what was kept.
const later = (seconds: number): void => {
  now += seconds * 1000
}

const urlOf = ({ services: { config } }: Running) => `http://127.0.0.1:${config.port}`

const begin = (workspace: TestWorkspace, more: Record<string, string> = {}, browser = openBrowser(lido.url)) =>
  signIn(lido, workspace, '', { client_id: at, redirect_uri: back, scope: 'openid', ...more }, browser)

const isKnown = async (workspace: TestWorkspace, more: Record<string, string> = {}): Promise<boolean> =>
  (await begin(workspace, more)).browser.page.step === 'identify'

test('an address with a document about itself is a client, which people are shown with its host', async () => {
  const workspace = await workspaceWith()
  const { body } = await ask(`${workspace.issuer}/.well-known/oauth-authorization-server`)
  assert.equal(body.client_id_metadata_document_supported, true)
  const asked = site({ body: { ...said, logo_uri: 'https://app.example.org/logo.png', unknown: 1 } })
  const browser = openBrowser(lido.url)
  for (const round of [1, 2]) {
    const params = { client_id: at, redirect_uri: back, scope: 'openid' }
    const { verifier } = await signIn(lido, workspace, 'mike@example.org', params, browser)
    assert.equal(browser.page.step, 'consent', `round ${round}`)
    assert.match(browser.page.html, /<strong dir="auto">The app<\/strong>/)
    assert.match(browser.page.html, /<strong dir="auto">app\.example\.org<\/strong>/)
    assert.doesNotMatch(browser.page.html, /logo\.png/)
    await browser.submit({ decision: 'allow' })
    const code = new URL(browser.page.url).searchParams.get('code') ?? ''
    const answer = await redeem(workspace.issuer, { code, verifier }, { client_id: at, redirect_uri: back })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(payloadOf(String(answer.body.id_token)).aud, at)
  }
  assert.equal(asked.times, 1)
  const stored = await clients.find(lido.services.db, workspace.id, at)
  assert.deepEqual([stored?.registeredBy, stored?.secretHash], ['document', null])
})

test('where documents are off, nothing is fetched and discovery is silent', async () => {
  later(100_000)
  const workspace = await workspaceWith({})
  const asked = site()
  assert.equal(await isKnown(workspace), false)
  assert.equal(asked.times, 0)
  const { body } = await ask(`${workspace.issuer}/.well-known/oauth-authorization-server`)
  assert.equal('client_id_metadata_document_supported' in body, false)
})

test('only the hosts that the workspace names are asked', async () => {
  later(100_000)
  const [ours, others] = [
    await workspaceWith({ client_id_documents: 'on', client_id_hosts: ['app.example.org'] }),
    await workspaceWith({ client_id_documents: 'on', client_id_hosts: ['example.org', 'xapp.example.org'] }),
  ]
  const asked = site()
  assert.equal(await isKnown(others), false)
  assert.equal(asked.times, 0)
  assert.equal(await isKnown(ours), true)
})

test('an address in any other spelling than that of browsers is no client', () => {
  for (const good of [at, 'https://xn--pple-43d.com/c', 'https://app.example.org:8443/c', 'https://claude.ai/oauth/m'])
    assert.equal(isDocumentId(good), true, good)
  const wrong = [
    'http://app.example.org/c',
    'https://app.example.org',
    'https://app.example.org/',
    'https://APP.example.org/c',
    'https://app.example.org:443/c',
    'https://app.example.org/a/../c',
    'https://app.example.org/a/./c',
    'https://app.example.org/%2e%2e/c',
    'https://app.example.org/a%2Fc',
    'https://app.example.org\\@evil.example/c',
    'https://user@app.example.org/c',
    'https://user:pw@app.example.org/c',
    'https://app.example.org/c#x',
    'https://app.example.org/c?x',
    'https://\u0430pp.example.org/c',
    'https://app.example.org/c d',
    'https://app.example.org/c\n',
    'https:/app.example.org/c',
    'https://127.0.0.1/c',
    'https://0x7f.1/c',
    'https://2130706433/c',
    'https://[::1]/c',
    'https://localhost/c',
    'file:///etc/passwd',
    `https://app.example.org/${'c'.repeat(255)}`,
  ]
  for (const one of wrong) assert.equal(isDocumentId(one), false, one)
})

test('addresses inside are not reached, whatever the name is, and look like any unknown client (A33)', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  for (const id of ['https://169.254.169.254/latest', 'https://localhost:5432/c', 'https://localtest.me/c']) {
    const { browser } = await begin(workspace, { client_id: id, redirect_uri: 'https://localtest.me/' })
    assert.equal(browser.page.status, 400)
    assert.match(browser.page.html, /invalid_client/)
    assert.doesNotMatch(browser.page.html, /permitted|refused|ECONN|fetch/i)
  }
})

test('a document that is not exactly what it has to be makes no client', async () => {
  const { client_name: _name, ...nameless } = said
  const workspace = await workspaceWith()
  const wrong: (Parameters<typeof site>[0] & object)[] = [
    { body: { ...said, client_id: 'https://app.example.org/other.json' } },
    { body: { ...said, client_id: `${at}/` } },
    { body: { ...said, client_id: undefined } },
    { body: { ...said, client_secret: 'x' } },
    { body: { ...said, client_secret_expires_at: 0 } },
    { body: { ...said, token_endpoint_auth_method: 'client_secret_basic' } },
    { body: { ...said, token_endpoint_auth_method: 'client_secret_jwt' } },
    { body: { ...said, token_endpoint_auth_method: 'private_key_jwt' } },
    { body: { ...said, redirect_uris: ['https://evil.example/callback'] } },
    { body: { ...said, redirect_uris: ['https://app.example.org.evil.example/callback'] } },
    { body: { ...said, redirect_uris: ['javascript:alert(1)'] } },
    { body: { ...said, redirect_uris: back } },
    { body: { ...said, redirect_uris: [] } },
    { body: { ...said, grant_types: ['client_credentials'] } },
    { body: { ...said, jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } } },
    { body: { ...said, software_statement: 'x' }, status: 404 },
    { body: '[]' },
    { body: 'null' },
    { body: '{' },
    { body: `{"client_id":"${at}","client_name":"\\u0000","redirect_uris":["${back}"]}` },
    { status: 201 },
    { status: 302, headers: { location: 'https://app.example.org/elsewhere.json' } },
    { headers: { 'content-type': 'text/html' } },
    { broken: true },
  ]
  for (const answer of wrong) {
    later(100_000)
    const asked = site(answer)
    assert.equal(await isKnown(workspace), false, JSON.stringify(answer))
    assert.equal(asked.times, 1, JSON.stringify(answer))
  }
  later(100_000)
  site({ body: nameless })
  assert.equal(await isKnown(workspace), true)
})

test('it goes back to its own origin or to this device, whatever else it lists', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  site({ body: { ...said, redirect_uris: [back, 'https://evil.example/cb', 'http://127.0.0.1/cb', 'com.evil:/cb'] } })
  assert.equal(await isKnown(workspace), true)
  assert.equal(await isKnown(workspace, { redirect_uri: 'http://127.0.0.1:49152/cb' }), true)
  for (const redirect_uri of ['https://evil.example/cb', 'com.evil:/cb', `${back}/x`, 'http://127.0.0.1:49152/other'])
    assert.equal(await isKnown(workspace, { redirect_uri }), false, redirect_uri)
  const browser = openBrowser(lido.url)
  const local = { client_id: at, redirect_uri: 'http://127.0.0.1:49152/cb' }
  await signIn(lido, workspace, 'mike@example.org', local, browser)
  assert.match(browser.page.html, /program on your device/)
})

test('a document says nothing that is for operators to say', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const lifted = {
    first_party: true,
    resources: { 'https://api.example.org': ['all'] },
    connections: [],
    require_pkce: false,
  }
  site({ body: { ...said, ...lifted, scope: 'openid groups' } })
  const client = { client_id: at, redirect_uri: back }
  const { browser } = await signIn(lido, workspace, 'mike@example.org', { ...client, scope: 'openid' })
  assert.equal(browser.page.step, 'consent')
  const more = await begin(workspace, { scope: 'openid groups' })
  assert.equal(more.at.searchParams.get('error'), 'invalid_scope')
  const api = await begin(workspace, { resource: 'https://api.example.org' })
  assert.equal(api.at.searchParams.get('error'), 'invalid_target')
})

test('a document is kept as its headers say, between five minutes and an hour; twenty at once fetch it once', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const asked = site({ headers: { 'cache-control': 'public, max-age=3600' } })
  await Promise.all(Array.from({ length: 20 }, () => isKnown(workspace)))
  assert.equal(asked.times, 1)
  later(3500)
  await isKnown(workspace)
  assert.equal(asked.times, 1)
  for (const [control, short, long] of [
    ['no-store', 299, 2],
    ['max-age=1', 299, 2],
    ['max-age=99999999', 3599, 2],
  ] as const) {
    later(100_000)
    asked.answer = { headers: { 'cache-control': control } }
    asked.times = 0
    await isKnown(workspace)
    later(short)
    await isKnown(workspace)
    assert.equal(asked.times, 1, control)
    later(long)
    await isKnown(workspace)
    assert.equal(asked.times, 2, control)
  }
})

test('one that could not be had is not asked for again at once, and goes on where it was known before', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const asked = site({ broken: true })
  for (let time = 0; time < 5; time += 1) assert.equal(await isKnown(workspace), false)
  assert.equal(asked.times, 1)
  later(61)
  asked.answer = {}
  assert.equal(await isKnown(workspace), true)
  later(301)
  asked.answer = { broken: true }
  assert.equal(await isKnown(workspace), true)
  later(61)
  asked.answer = { status: 404 }
  assert.equal(await isKnown(workspace), false)
})

test('a document that changes or goes is no longer gone by within the hour that it may be kept, on every node', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const { config, clock } = lido.services
  const silent = openLog({ level: 'silent' })
  const other = await start({ ...config, port: await freePort(), publicUrl: lido.url }, { clock, log: silent })
  other.services.fetch = (url, init) => lido.services.fetch(url, init)
  const there: TestWorkspace = { ...workspace, issuer: workspace.issuer.replace(lido.url, urlOf(other)) }
  const asks = async ({ issuer }: TestWorkspace, redirect_uri = back) => {
    const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }
    const params = { client_id: at, redirect_uri, response_type: 'code', scope: 'openid', ...challenge }
    return (await ask(`${issuer}/authorize?${new URLSearchParams(params)}`)).status
  }
  try {
    const day = { 'cache-control': 'max-age=86400' }
    const asked = site({ headers: day })
    assert.deepEqual([await asks(workspace), await asks(there)], [303, 303])
    assert.equal(asked.times, 2)
    later(1800)
    const moved = `${back}/new`
    asked.answer = { headers: day, body: { ...said, redirect_uris: [moved] } }
    assert.equal(await asks(there), 303)
    later(1801)
    for (const node of [workspace, there])
      assert.deepEqual([await asks(node), await asks(node, moved)], [400, 303], node.issuer)
    for (const status of [404, 410]) {
      later(3601)
      asked.answer = { status }
      assert.deepEqual([await asks(workspace, moved), await asks(there, moved)], [400, 400], String(status))
      later(61)
      asked.answer = { headers: day, body: { ...said, redirect_uris: [moved] } }
      assert.deepEqual([await asks(workspace, moved), await asks(there, moved)], [303, 303])
    }
  } finally {
    await other.stop()
  }
})

test('nobody keeps a document that is gone in force by using up what may be fetched', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const asked = site()
  assert.equal(await isKnown(workspace), true)
  const elsewhere = (n: number) => ({ client_id: `https://elsewhere.example.org/${n}` })
  const flood = Array.from({ length: 70 }, (_, n) =>
    ask(`${workspace.issuer}/authorize?${new URLSearchParams(elsewhere(n))}`),
  )
  await Promise.all(flood)
  later(301)
  asked.answer = { status: 410 }
  assert.equal(await isKnown(workspace), false)
})

test('a node keeps a thousand documents, and what is no document of a client for a minute', async () => {
  let fetched: string[] = []
  const fetch: Fetch = async (url) => {
    fetched.push(url)
    const text = JSON.stringify({ client_id: url.replace('/other/', '/else/') })
    return { status: 200, headers: { 'content-type': 'application/json' }, text: () => text, json: () => undefined }
  }
  const find = openClientDocuments({ fetch, clock: lido.services.clock })
  const ids = Array.from({ length: 1001 }, (_, n) => `https://app.example.org/${n}`)
  for (const id of ids) assert.ok(await find(id, async () => true))
  fetched = []
  await find(ids[1000] ?? '', async () => true)
  await find(ids[0] ?? '', async () => true)
  assert.deepEqual(fetched, [ids[0]])
  const odd = 'https://app.example.org/other/1'
  assert.equal(await find(odd, async () => true), undefined)
  later(61)
  assert.equal(await find(odd, async () => false), undefined)
  await find(odd, async () => true)
  assert.deepEqual(fetched, [ids[0], odd, odd])
})

test('documents take no more room than there is, also while their sites do not answer', async () => {
  const more = 'x'.repeat(63_000)
  let broken = false
  const fetch: Fetch = async (url) => {
    if (broken) throw new Error('A request to another server failed')
    const text = JSON.stringify({ client_id: url, more })
    return { status: 200, headers: { 'content-type': 'application/json' }, text: () => text, json: () => undefined }
  }
  const find = openClientDocuments({ fetch, clock: lido.services.clock })
  const ids = (part: string) => Array.from({ length: 260 }, (_, n) => `https://${part}.example.org/${n}`)
  for (const id of ids('a')) assert.ok(await find(id, async () => true))
  later(3601)
  broken = true
  for (const id of ids('a')) assert.ok(await find(id, async () => false))
  broken = false
  for (const id of ids('b')) assert.ok(await find(id, async () => true))
  broken = true
  const left = await Promise.all(ids('a').map((id) => find(id, async () => false)))
  assert(left.filter(Boolean).length < 10)
})

test('nobody has documents fetched at will', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const fetched: string[] = []
  lido.services.fetch = async (url) => {
    fetched.push(url)
    throw new Error('A request to another server failed')
  }
  const ids = Array.from({ length: 80 }, (_, n) => `https://victim.example.org/${n}`)
  for (const client_id of ids) await ask(`${workspace.issuer}/authorize?${new URLSearchParams({ client_id })}`)
  assert.equal(fetched.length, 60)
})

test('a client with keys in its document signs its assertions, and refreshes within its consent until it is withdrawn', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [await exportJWK(publicKey)] } }
  const asked = site({
    body: { ...said, ...keys, grant_types: ['authorization_code', 'refresh_token', 'urn:unknown'] },
  })
  const assertion = () =>
    new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(at)
      .setSubject(at)
      .setAudience(workspace.issuer)
      .setIssuedAt(now / 1000)
      .setExpirationTime(now / 1000 + 60)
      .sign(privateKey)
  const authenticated = async () => ({
    client_id: at,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion(),
  })
  const params = { client_id: at, redirect_uri: back, scope: 'openid offline_access', prompt: 'consent' }
  const { browser, verifier } = await signIn(lido, workspace, 'mike@example.org', params)
  await browser.submit({ decision: 'allow' })
  const code = new URL(browser.page.url).searchParams.get('code') ?? ''
  const answer = await redeem(workspace.issuer, { code, verifier }, { ...(await authenticated()), redirect_uri: back })
  assert.equal(answer.status, 200, answer.text)
  const without = await refresh(workspace.issuer, String(answer.body.refresh_token), { client_id: at })
  assert.equal(without.body.error, 'invalid_client')
  const again = await refresh(workspace.issuer, String(answer.body.refresh_token), await authenticated())
  assert.equal(again.status, 200, again.text)
  // Once the site has withdrawn it, nothing is refreshed any more.
  later(301)
  asked.answer = { status: 410 }
  const gone = await refresh(workspace.issuer, String(again.body.refresh_token), await authenticated())
  assert.equal(gone.body.error, 'invalid_client')
})

test('an operator switches off what a document brought', async () => {
  later(100_000)
  const workspace = await workspaceWith()
  site()
  const { browser } = await signIn(lido, workspace, 'mike@example.org', { client_id: at, redirect_uri: back })
  await browser.submit({ decision: 'allow' })
  const { db, clock } = lido.services
  const before = await clients.find(db, workspace.id, at)
  assert(before)
  const changing = { workspaceId: workspace.id, before, ...before.metadata, status: 'inactive' as const }
  await clients.update(db, clock.now(), changing, { kind: 'system' })
  await eventually(5000, async () => assert.equal(await isKnown(workspace), false))
})
