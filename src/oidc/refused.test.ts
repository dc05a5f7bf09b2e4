import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl, type Browser, openBrowser } from '../browser-testing.ts'
import * as connections from '../directory/connections.ts'
import * as users from '../directory/users.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  anotherNode,
  ask,
  callback,
  eventually,
  makePool,
  makeWorkspace,
  type Node,
  password,
  post,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  type Tokens,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

let lido: TestLido
let node: Node
before(async () => {
  lido = await testLido()
  node = await anotherNode(lido)
})
after(async () => {
  await node.stop()
  await lido.stop()
})

interface Town {
  people: TestPool
  workspace: TestWorkspace
  mike: string
  browser: Browser
  tokens: Tokens
  /** A code that nobody has redeemed yet. */
  pending: { code: string; verifier: string }
}

let towns = 0

/** A workspace of its own in which somebody is signed in, known to both nodes. */
const makeTown = async (): Promise<Town> => {
  towns += 1
  const people = await makePool(lido, `people-${towns}`)
  const workspace = await makeWorkspace(lido, `town-${towns}`, { pools: [people] })
  await workspace.client('spa')
  const mike = await people.user('mike@example.org')
  const { browser, ...tokens } = await tokensOf(lido, workspace, 'mike@example.org')
  const pending = await signIn(lido, workspace, 'mike@example.org', {}, browser)
  assert(pending.code)
  const town = { people, workspace, mike, browser, tokens, pending }
  for (const issuer of [workspace.issuer, node.issuer(workspace)]) {
    assert.equal((await userinfo(issuer, tokens.access)).status, 200)
    assert.equal(await introspect(issuer, tokens.access), true)
    assert.match(await whereTo(issuer, town), /^https:\/\/app\.example\/callback\?code=/)
  }
  return town
}

const introspect = async (issuer: string, token: string) =>
  (await post(`${issuer}/introspect`, { token, client_id: 'spa' })).body.active

/** Where a node sends the browser that is signed in. */
const whereTo = async (issuer: string, { workspace, browser }: Town): Promise<string> => {
  const { url } = authorizeUrl(lido.url, workspace.slug, { client_id: 'spa', redirect_uri: callback })
  const cookies = [...browser.cookies].filter(([name]) => name.startsWith('lido_session'))
  const Cookie = cookies.map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const { status, headers, text } = await ask(`${issuer}/authorize${new URL(url).search}`, { headers: { Cookie } })
  return headers.get('Location') ?? `${status} ${text.match(/data-step="(\w+)"/)?.[1] ?? text}`
}

/** Nothing that Mike has works any more, at both nodes within five seconds; `authorize` says where the browser goes. */
const assertShut = async (town: Town, authorize: RegExp, token = /^400 invalid_grant$/): Promise<void> => {
  const { workspace, tokens, pending } = town
  for (const issuer of [workspace.issuer, node.issuer(workspace)])
    await eventually(5000, async () => {
      assert.notEqual((await userinfo(issuer, tokens.access)).status, 200)
      assert.notEqual(await introspect(issuer, tokens.access), true)
      assert.notEqual(await introspect(issuer, tokens.refresh), true)
      assert.match(await whereTo(issuer, town), authorize)
    })
  for (const issuer of [workspace.issuer, node.issuer(workspace)]) {
    const info = await userinfo(issuer, tokens.access)
    assert.match(String(info.status), /^40[14]$/)
    for (const answer of [await refresh(issuer, tokens.refresh), await redeem(issuer, pending)])
      assert.match(`${answer.status} ${answer.body.error}`, token)
  }
}

const set = (table: 'users' | 'pools' | 'workspaces', id: string, status: 'active' | 'inactive') =>
  lido.services.db.updateTable(table).set({ status }).where('id', '=', id).execute()

const toSignIn = /\/signin\/[\w-]+$/

for (const status of ['inactive', 'deleted', 'new'] as const)
  test(`a user who is ${status} is refused everywhere, and asked to sign in where a session is left`, async () => {
    const town = await makeTown()
    const { db, clock } = lido.services
    await users.setStatus(db, clock.now(), town.people.id, town.mike, status)
    await assertShut(town, toSignIn)
    const { at, browser } = await signIn(lido, town.workspace, 'mike@example.org', {}, town.browser)
    assert.equal(at.origin, lido.url)
    assert.equal(browser.page.status, 200)
    assert.equal(browser.page.step, 'prove')
    assert(browser.page.alert)
    const none = await signIn(lido, town.workspace, 'mike@example.org', { prompt: 'none' }, town.browser)
    assert.equal(none.at.searchParams.get('error'), 'login_required')
  })

test('in a browser of somebody who was switched off, somebody else can sign in', async () => {
  const town = await makeTown()
  const nina = await town.people.user('nina@example.org')
  const { db, clock } = lido.services
  await users.setStatus(db, clock.now(), town.people.id, town.mike, 'inactive')
  const signedIn = await signIn(lido, town.workspace, 'nina@example.org', {}, town.browser)
  assert(signedIn.code, `${signedIn.browser.page.url} ${signedIn.browser.page.html}`)
  const tokens = await redeem(town.workspace.issuer, signedIn)
  assert.equal((await userinfo(town.workspace.issuer, String(tokens.body.access_token))).body.sub, nina)
})

test('a user who is switched off between the password and the code gets no code', async () => {
  const town = await makeTown()
  await town.people.user('late@example.org')
  const browser = openBrowser(lido.url)
  const { url } = authorizeUrl(lido.url, town.workspace.slug, { client_id: 'spa', redirect_uri: callback })
  await browser.get(url)
  await browser.submit({ identifier: 'late@example.org' })
  await lido.services.db.updateTable('users').set({ status: 'inactive' }).where('poolId', '=', town.people.id).execute()
  await browser.submit({ password })
  assert.equal(new URL(browser.page.url).origin, lido.url)
  assert.equal(browser.page.status, 200)
})

test('people of a pool that is switched off are refused everywhere', async () => {
  const town = await makeTown()
  await set('pools', town.people.id, 'inactive')
  await assertShut(town, toSignIn)
})

test('what was switched off comes back when it is switched on again', async () => {
  const town = await makeTown()
  const nodes = [town.workspace.issuer, node.issuer(town.workspace)]
  for (const [status, expected] of [
    ['inactive', 401],
    ['active', 200],
  ] as const) {
    await set('pools', town.people.id, status)
    for (const issuer of nodes)
      await eventually(5000, async () => assert.equal((await userinfo(issuer, town.tokens.access)).status, expected))
  }
})

test('people of a connection that is closed are refused everywhere', async () => {
  const town = await makeTown()
  await connections.setEnabled(lido.services.db, town.workspace.id, town.workspace.connections[0] ?? '', false)
  await assertShut(town, toSignIn)
})

test('people of a pool that is disconnected are refused everywhere', async () => {
  const town = await makeTown()
  await lido.services.db.deleteFrom('connections').where('workspaceId', '=', town.workspace.id).execute()
  await assertShut(town, toSignIn)
})

test('a client that is switched off is refused everywhere', async () => {
  const town = await makeTown()
  await lido.services.db
    .updateTable('clients')
    .set({ status: 'inactive' })
    .where('workspaceId', '=', town.workspace.id)
    .execute()
  await assertShut(town, /^400 problem$/, /^401 invalid_client$/)
})

test('a client that may no longer use a connection gets nothing for its people', async () => {
  const town = await makeTown()
  const { db } = lido.services
  const { metadata } = await db
    .selectFrom('clients')
    .select('metadata')
    .where('workspaceId', '=', town.workspace.id)
    .executeTakeFirstOrThrow()
  const closed = JSON.stringify({ ...metadata, connections: ['00000000-0000-7000-8000-000000000000'] })
  await db.updateTable('clients').set({ metadata: closed }).where('workspaceId', '=', town.workspace.id).execute()
  await assertShut(town, toSignIn)
})

test('a workspace that is switched off is not there', async () => {
  const town = await makeTown()
  await set('workspaces', town.workspace.id, 'inactive')
  await assertShut(town, /^404/, /^404/)
  assert.equal((await ask(`${town.workspace.issuer}/.well-known/openid-configuration`)).status, 404)
})

test('people of a pool that is not connected never get in, and one address in two pools is two people', async () => {
  const here = await makePool(lido, 'here')
  const there = await makePool(lido, 'there')
  const one = await makeWorkspace(lido, 'one', { pools: [here] })
  const both = await makeWorkspace(lido, 'both', { pools: [here, there] })
  for (const workspace of [one, both]) await workspace.client('spa')
  const ids = { here: await here.user('same@example.org'), there: await there.user('same@example.org') }
  await there.user('only-there@example.org')
  const refused = await signIn(lido, one, 'only-there@example.org')
  assert.equal(refused.browser.page.step, 'prove')
  assert(refused.browser.page.alert)
  for (const [pool, id] of [
    [here, ids.here],
    [there, ids.there],
  ] as const) {
    const browser = openBrowser(lido.url)
    const { url, verifier } = authorizeUrl(lido.url, 'both', { client_id: 'spa', redirect_uri: callback })
    await browser.get(url)
    assert.equal(browser.page.step, 'choose')
    await browser.submit({ pool: pool.id })
    await browser.submit({ identifier: 'same@example.org' })
    await browser.submit({ password })
    const code = new URL(browser.page.url).searchParams.get('code') ?? ''
    const answer = await redeem(both.issuer, { code, verifier })
    assert.equal((await userinfo(both.issuer, String(answer.body.access_token))).body.sub, id)
  }
  // Choosing a pool that is not offered here leads nowhere.
  const browser = openBrowser(lido.url)
  await browser.get(authorizeUrl(lido.url, 'one', { client_id: 'spa', redirect_uri: callback }).url)
  await browser.submit({ pool: there.id, identifier: 'only-there@example.org' })
  await browser.submit({ pool: there.id, password })
  assert.equal(browser.page.step, 'prove')
  assert(browser.page.alert)
})
