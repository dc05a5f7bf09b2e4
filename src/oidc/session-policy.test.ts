import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as pools from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  ask,
  basic,
  makePool,
  makeWorkspace,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
} from './fixtures-testing.ts'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let few: TestWorkspace
let skewed = 0
const clock = { now: () => new Date(Date.now() + skewed) }

before(async () => {
  lido = await testLido({}, { clock })
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  few = await makeWorkspace(lido, 'few', { pools: [people], settings: { max_sessions: 2 } })
  await workspace.client('spa')
  await workspace.client('apart', { sso: false })
  await few.client('spa')
})
after(() => lido.stop())

test('a client has lifetimes of its own, and what it does not say is said by the workspace', async () => {
  const lifetimes = { access_token_lifetime: 120, id_token_lifetime: 90, refresh_idle: 600, refresh_absolute: 1500 }
  await workspace.client('brief', { ...lifetimes, redirect_uris: ['https://app.example/callback'] })
  await people.user('ada@example.org')
  const signedIn = await signIn(lido, workspace, 'ada@example.org', {
    client_id: 'brief',
    scope: 'openid offline_access',
  })
  const answer = await redeem(workspace.issuer, signedIn, { client_id: 'brief' })
  const { id, refresh: first } = tokensFrom(answer)
  assert.equal(answer.body.expires_in, 120)
  const { iat, exp } = payloadOf(id) as { iat: number; exp: number }
  assert.equal(exp - iat, 90)
  assert.equal(await leftOf('brief'), 600)
  await tokensOf(lido, workspace, 'ada@example.org', { scope: 'openid offline_access' })
  assert.equal(await leftOf('spa'), 30 * 86_400)
  try {
    skewed = 24 * 60_000
    await refresh(workspace.issuer, first, { client_id: 'brief' })
    assert.equal(await leftOf('brief'), 60)
  } finally {
    skewed = 0
  }
})

/** For how many seconds the newest refresh token of a client is good, to the ten. */
const leftOf = async (clientId: string): Promise<number> => {
  const { expiresAt } = await lido.services.db
    .selectFrom('artifacts')
    .select('expiresAt')
    .where('kind', '=', 'RefreshToken')
    .where('clientId', '=', clientId)
    .where('consumedAt', 'is', null)
    .executeTakeFirstOrThrow()
  return Math.round((expiresAt.getTime() - clock.now().getTime()) / 10_000) * 10
}

test('a machine has the lifetime of its client, too', async () => {
  const secret = await workspace.client('machine', {
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    access_token_lifetime: 60,
  })
  const answer = await post(`${workspace.issuer}/token`, { grant_type: 'client_credentials' }, basic('machine', secret))
  assert.equal(answer.body.expires_in, 60, answer.text)
})

test('a client that takes no part in single sign-on asks once, and takes no sign-in to another for its own', async () => {
  await people.user('ben@example.org')
  const { browser } = await tokensOf(lido, workspace, 'ben@example.org')
  const silent = await signIn(lido, workspace, '', { client_id: 'apart', prompt: 'none' }, browser)
  assert.equal(silent.at.searchParams.get('error'), 'login_required')
  const asked = await signIn(lido, workspace, '', { client_id: 'apart' }, browser)
  assert.equal(asked.browser.page.step, 'identify')
  const own = await signIn(lido, workspace, 'ben@example.org', { client_id: 'apart' }, browser)
  assert(own.code, own.browser.page.html)
  assert((await signIn(lido, workspace, '', { client_id: 'apart', prompt: 'none' }, browser)).code)
  assert((await signIn(lido, workspace, '', { prompt: 'none' }, browser)).code)
})

const isOpen = async ({ browser }: { browser: Awaited<ReturnType<typeof tokensOf>>['browser'] }, at = few) =>
  (await signIn(lido, at, '', { prompt: 'none' }, browser)).code !== ''

test('the oldest session ends where somebody signs in to more browsers than the workspace allows', async () => {
  await people.user('cleo@example.org')
  const elsewhere = await tokensOf(lido, workspace, 'cleo@example.org')
  const all: Awaited<ReturnType<typeof tokensOf>>[] = []
  try {
    for (let each = 0; each < 3; each += 1) {
      skewed += 2_000
      all.push(await tokensOf(lido, few, 'cleo@example.org'))
    }
    assert.deepEqual(await Promise.all(all.map((one) => isOpen(one))), [false, true, true])
    assert.equal((await refresh(few.issuer, all[0]?.refresh ?? '')).body.error, 'invalid_grant')
    assert.equal(await isOpen(elsewhere, workspace), true)
  } finally {
    skewed = 0
  }
})

test('twenty sign-ins at once leave no more sessions than the workspace allows', async () => {
  await people.user('dora@example.org')
  const all = await Promise.all(Array.from({ length: 20 }, () => signIn(lido, few, 'dora@example.org')))
  assert(all.some(({ code }) => code))
  const open = await Promise.all(all.map((one) => isOpen(one)))
  assert.equal(open.filter(Boolean).length, 2)
})

test('prompt=create opens the registration, and only where somebody may register', async () => {
  const told = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  assert.deepEqual(told.body.prompt_values_supported, ['none', 'login', 'consent', 'select_account'])
  const closed = await signIn(lido, workspace, '', { prompt: 'create' })
  assert.equal(closed.at.searchParams.get('error'), 'invalid_request')
  const { db, clock: now } = lido.services
  const open = await pools.create(db, now.now(), { slug: 'open', name: 'Open', settings: { self_registration: true } })
  const welcome = await makeWorkspace(lido, 'welcome', { pools: [{ ...people, id: open.id, slug: 'open' }] })
  await welcome.client('spa')
  const discovered = await ask(`${welcome.issuer}/.well-known/openid-configuration`)
  assert.deepEqual(discovered.body.prompt_values_supported, ['none', 'login', 'consent', 'select_account', 'create'])
  const { browser } = await signIn(lido, welcome, '', { prompt: 'create' })
  assert.equal(browser.page.step, 'register')
  await browser.submit({ identifier: 'new@example.org', password: 'a long enough pass phrase' })
  assert.equal(browser.page.step, 'verify', browser.page.html)
  const { code } = await lido.message('new@example.org')
  await browser.submit({ code })
  assert(new URL(browser.page.url).searchParams.get('code'), browser.page.url)
  const again = await signIn(lido, welcome, '', { prompt: 'create' }, browser)
  assert.equal(again.browser.page.step, 'register')
})

test('an ID token of somebody else asks for a sign-in, and one of this person for nothing', async () => {
  await people.user('emil@example.org')
  await people.user('fay@example.org')
  const emil = await tokensOf(lido, workspace, 'emil@example.org')
  const fay = await tokensOf(lido, workspace, 'fay@example.org')
  const silent = (id_token_hint: string) => signIn(lido, workspace, '', { prompt: 'none', id_token_hint }, emil.browser)
  assert((await silent(emil.id)).code)
  assert.equal((await silent(fay.id)).at.searchParams.get('error'), 'login_required')
  const asked = await signIn(lido, workspace, '', { id_token_hint: fay.id }, emil.browser)
  assert.equal(asked.browser.page.step, 'identify')
})
