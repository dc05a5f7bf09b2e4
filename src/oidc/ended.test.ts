import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl, type Browser, openBrowser } from '../browser-testing.ts'
import * as users from '../directory/users.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  callback,
  makePool,
  makeWorkspace,
  password,
  post,
  redeem,
  refresh,
  type SignedIn,
  signIn,
  type TestPool,
  type TestWorkspace,
  type Tokens,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let ropc: Record<string, string>
before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('third', { first_party: false })
  ropc = basic(
    'ropc',
    await workspace.client('ropc', {
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['password', 'refresh_token'],
    }),
  )
})
after(() => lido.stop())

const agree = async (email: string): Promise<Tokens> => {
  const asked = { client_id: 'third', scope: 'openid offline_access', prompt: 'consent' }
  const signedIn = await signIn(lido, workspace, email, asked)
  assert.equal(signedIn.browser.page.step, 'consent')
  await signedIn.browser.submit({ decision: 'allow' })
  const code = new URL(signedIn.browser.page.url).searchParams.get('code') ?? ''
  return tokensFrom(await redeem(workspace.issuer, { ...signedIn, code }, { client_id: 'third' }))
}

const byPassword = async (username: string): Promise<Tokens> => {
  const fields = { grant_type: 'password', username, password, scope: 'openid offline_access' }
  return tokensFrom(await post(`${workspace.issuer}/token`, fields, ropc))
}

test('everything of a user ends at once: sessions and grants of every client, however they came about', async () => {
  const email = 'mike@example.org'
  const mike = await people.user(email)
  const bystander = await tokensOf(
    lido,
    workspace,
    await people.user('nina@example.org').then(() => 'nina@example.org'),
  )
  const { browser, ...own } = await tokensOf(lido, workspace, email, { scope: 'openid offline_access' })
  const all: { tokens: Tokens; more: Record<string, string>; headers: Record<string, string> }[] = [
    { tokens: own, more: {}, headers: {} },
    { tokens: await agree(email), more: { client_id: 'third' }, headers: {} },
    { tokens: await byPassword(email), more: {}, headers: ropc },
  ]
  for (const { tokens } of all) assert.equal((await userinfo(workspace.issuer, tokens.access)).status, 200)
  const pending = await signIn(lido, workspace, '', {}, browser)
  await users.endEverything(lido.services.db, people.id, mike)
  for (const { tokens, more, headers } of all) {
    assert.equal((await userinfo(workspace.issuer, tokens.access)).status, 401)
    assert.equal((await refresh(workspace.issuer, tokens.refresh, more, headers)).body.error, 'invalid_grant')
  }
  assert.equal((await redeem(workspace.issuer, pending)).body.error, 'invalid_grant')
  assert.equal(
    (await signIn(lido, workspace, '', { prompt: 'none' }, browser)).at.searchParams.get('error'),
    'login_required',
  )
  assert.equal((await userinfo(workspace.issuer, bystander.access)).status, 200)
  assert.equal((await refresh(workspace.issuer, bystander.refresh)).status, 200)
})

/** The same browser twice: what one of them is told, the other does not know. */
const copyOf = ({ cookies }: Browser): Browser => {
  const copy = openBrowser(lido.url)
  for (const [name, value] of cookies) copy.cookies.set(name, value)
  return copy
}

/** Goes on asking for codes with the session of a browser, five at a time, while something happens. */
const keepAsking = async (browser: Browser, meanwhile: () => Promise<void>): Promise<SignedIn[]> => {
  let stopped = false
  const got: SignedIn[] = []
  const asking = Array.from({ length: 5 }, async () => {
    while (!stopped) {
      const asked = { prompt: 'none', scope: 'openid offline_access' }
      const signedIn = await signIn(lido, workspace, '', asked, copyOf(browser))
      if (signedIn.code) got.push(signedIn)
    }
  })
  await meanwhile()
  stopped = true
  await Promise.all(asking)
  return got
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const assertSignedOut = async (browser: Browser): Promise<void> => {
  const silent = await signIn(lido, workspace, '', { prompt: 'none' }, browser)
  assert.equal(silent.at.searchParams.get('error'), 'login_required')
}

test('A03: nothing that is under way while everything of a user ends comes out alive', async () => {
  const email = 'olga@example.org'
  const olga = await people.user(email)
  for (let round = 0; round < 10; round += 1) {
    const { browser } = await tokensOf(lido, workspace, email, { scope: 'openid offline_access' })
    const byPasswords: Promise<Tokens>[] = []
    const codes = await keepAsking(browser, async () => {
      for (let each = 0; each < 4; each += 1) byPasswords.push(byPassword(email))
      await pause(30)
      await users.endEverything(lido.services.db, people.id, olga)
      await pause(30)
    })
    await assertSignedOut(browser)
    for (const code of codes) assert.equal((await redeem(workspace.issuer, code)).body.error, 'invalid_grant')
    const { era } = await lido.services.db
      .selectFrom('users')
      .select('era')
      .where('id', '=', olga)
      .executeTakeFirstOrThrow()
    assert.equal(era, round + 1)
    await Promise.all(byPasswords)
  }
})

test('A03: a password that was checked before everything ended brings no tokens after it', async () => {
  const email = 'paul@example.org'
  const paul = await people.user(email)
  let refused = 0
  for (let round = 0; round < 10; round += 1) {
    // Checks of passwords queue: most of these are made, and all are read, before the end, and finish after it.
    const checks = Array.from({ length: 6 }, () => byPassword(email))
    await checks[0]
    await users.endEverything(lido.services.db, people.id, paul)
    for (const { access } of (await Promise.all(checks)).slice(1)) {
      const { status } = await userinfo(workspace.issuer, access)
      if (status === 401) refused += 1
    }
  }
  assert(refused >= 10, String(refused))
})

test('A03: a sign-in that was proven before everything ended is not gone on with after it', async () => {
  const email = 'rita@example.org'
  const rita = await people.user(email)
  const browser = openBrowser(lido.url)
  const { url } = authorizeUrl(lido.url, 'w1', { client_id: 'spa', redirect_uri: callback })
  await browser.get(url)
  await browser.submit({ identifier: email })
  const csrf = browser.page.html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? ''
  const { pathname } = new URL(browser.page.url)
  const Cookie = [...browser.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const proven = await post(`${lido.url}${pathname}`, { csrf, password }, { Cookie, Origin: lido.url })
  assert.equal(proven.status, 303)
  const resume = proven.headers.get('Location') ?? ''
  assert.match(resume, /\/authorize\//)
  await users.endEverything(lido.services.db, people.id, rita)
  const page = await browser.get(resume)
  assert.equal(new URL(page.url).origin, lido.url)
  assert.equal(page.step, 'problem')
  await assertSignedOut(browser)
})

test('A03: a logout holds against whatever the session is used for meanwhile', async () => {
  const email = 'sara@example.org'
  await people.user(email)
  for (let round = 0; round < 10; round += 1) {
    const { browser } = await tokensOf(lido, workspace, email)
    const before = copyOf(browser)
    await browser.get(`${workspace.issuer}/logout?client_id=spa`)
    assert.equal(browser.page.step, 'logout')
    await keepAsking(before, async () => {
      await pause(20)
      await browser.submit({ logout: 'yes' })
      await pause(20)
    })
    await assertSignedOut(before)
  }
})
