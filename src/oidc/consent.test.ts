import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import * as clients from '../directory/clients.ts'
import { type TestLido, testLido } from '../testing.ts'
import { eventually, makePool, makeWorkspace, signIn, type TestPool, type TestWorkspace } from './fixtures-testing.ts'

const orders = 'https://orders.example'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  for (const id of ['third', 'moving'])
    await workspace.client(id, { first_party: false, resources: { [orders]: ['orders:read', 'orders:write'] } })
})
after(() => lido.stop())

/** Asks in a browser; answers whether the person was asked for consent, and agrees then. */
const asks = async (email: string, params: Record<string, string>, browser?: Browser): Promise<string> => {
  const signedIn = await signIn(lido, workspace, email, { client_id: 'third', ...params }, browser)
  const { page, submit } = signedIn.browser
  if (page.step !== 'consent') return signedIn.code ? 'nothing' : (signedIn.at.searchParams.get('error') ?? page.html)
  await submit({ decision: 'allow' })
  assert(new URL(signedIn.browser.page.url).searchParams.get('code'), signedIn.browser.page.html)
  return 'consent'
}

test('consent is remembered in every browser, for scopes and resources, and asked again only for more', async () => {
  const email = 'ada@example.org'
  await people.user(email)
  const first = { scope: 'openid email orders:read', resource: orders }
  assert.equal(await asks(email, first), 'consent')
  assert.equal(await asks(email, first), 'nothing')
  assert.equal(await asks(email, { ...first, scope: 'openid email orders:read orders:write' }), 'consent')
  assert.equal(await asks(email, { scope: 'openid profile' }), 'consent')
  assert.equal(await asks(email, { scope: 'openid email profile' }), 'nothing')
  assert.equal(await asks(email, { ...first, scope: 'openid orders:write' }), 'nothing')
})

test('prompt=consent always asks, and prompt=none never does', async () => {
  const email = 'ben@example.org'
  await people.user(email)
  const { browser } = await signIn(lido, workspace, email)
  assert.equal(await asks('', { prompt: 'none', scope: 'openid email' }, browser), 'consent_required')
  assert.equal(await asks('', { scope: 'openid email' }, browser), 'consent')
  assert.equal(await asks('', { prompt: 'none', scope: 'openid email' }, browser), 'nothing')
  assert.equal(await asks('', { prompt: 'consent', scope: 'openid email' }, browser), 'consent')
  assert.equal(await asks('', { prompt: 'none', scope: 'openid email profile' }, browser), 'consent_required')
})

test('a client that calls itself something else, or is reached elsewhere, has to ask again', async () => {
  const email = 'cleo@example.org'
  await people.user(email)
  const { db, clock } = lido.services
  const change = async (more: Partial<clients.Client['metadata']>) => {
    const before = await clients.find(db, workspace.id, 'moving')
    assert(before)
    const { metadata, status } = before
    const changing = { workspaceId: workspace.id, before, ...metadata, status, ...more }
    await db.transaction().execute((trx) => clients.update(trx, clock.now(), changing, { kind: 'system' }))
  }
  const params = { client_id: 'moving', scope: 'openid email' }
  assert.equal(await asks(email, params), 'consent')
  assert.equal(await asks(email, params), 'nothing')
  await change({ logo_uri: 'https://app.example/logo.png' })
  assert.equal(await asks(email, params), 'nothing')
  await change({ client_name: 'Your bank' })
  await eventually(5_000, async () => assert.equal(await asks(email, params), 'consent'))
  assert.equal(await asks(email, params), 'nothing')
  await change({ redirect_uris: ['https://app.example/callback', 'https://elsewhere.example/callback'] })
  await eventually(5_000, async () => assert.equal(await asks(email, params), 'consent'))
})
