import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { authorizeUrl, type Browser, openBrowser } from './browser-testing.ts'
import * as clients from './directory/clients.ts'
import * as credentials from './directory/credentials.ts'
import * as pools from './directory/pools.ts'
import * as users from './directory/users.ts'
import { givePasskey, optionsOn } from './pages/passkeys-testing.ts'
import { codeFor, giveTotp } from './pages/second-factor-testing.ts'
import { type TestLido, testLido } from './testing.ts'

const password = 'correct horse battery staple'
const email = 'ada@example.org'
const redirectUri = 'https://application.example/callback'
const resource = 'https://resource.example/api'
const application = { id: 'application', secret: 'a-secret-of-the-application-that-nobody-guesses' }
const machine = { id: 'machine', secret: 'a-secret-of-the-machine-that-nobody-guesses' }

let lido: TestLido

before(async () => {
  lido = await testLido()
  await addPeople()
  // What is used first is read first: the workspace, its keys, its clients, and what those are set to. It is read again
  // once the database has told of the clients that were just made, which takes a moment.
  await setTimeout(200)
  await get('/.well-known/openid-configuration')
  await count(() => signIn())
  await count(() => machineToken())
})
after(() => lido.stop())

test('discovery and the keys cost no statement', async () => {
  assert.equal(await count(() => get('/.well-known/openid-configuration')), 0)
  assert.equal(await count(() => get('/jwks')), 0)
})

test('a token for a machine costs at most one statement', async () => {
  assert.ok((await count(() => machineToken())) <= 1)
})

test('a refresh with rotation costs at most five statements', async () => {
  const { refresh_token } = await signIn()
  const refresh = async () => {
    const tokens = await token({ grant_type: 'refresh_token', refresh_token }, application)
    assert.notEqual(tokens.refresh_token, refresh_token)
  }
  assert.ok((await count(refresh)) <= 5)
})

test('userinfo costs at most two statements', async () => {
  const { access_token } = await signIn()
  const userinfo = () => get('/userinfo', { Authorization: `Bearer ${access_token}` })
  assert.ok((await count(userinfo)) <= 2)
})

test('an introspection costs at most two statements', async () => {
  const { access_token } = await signIn()
  const introspect = async () => {
    const answer = await post('/introspect', { token: access_token }, application)
    assert.equal(answer.active, true)
  }
  assert.ok((await count(introspect)) <= 2)
})

test('the sign-in page costs at most two statements', async () => {
  assert.ok((await count(openPage)) <= 2)
})

test('a whole sign-in by password, up to the tokens, costs at most twelve statements', async () => {
  assert.ok((await count(() => signIn())) <= 12)
})

test('a pushed request of somebody who is signed in, up to the tokens, costs at most seven statements', async () => {
  const { browser, verifier } = await openPage()
  await browser.submit({ identifier: email })
  await browser.submit({ password })
  await redeemFrom(browser, verifier)
  const pushed = async () => {
    const { url, verifier } = askFor()
    const { request_uri } = await post('/par', Object.fromEntries(new URL(url).searchParams), application, 201)
    const short = new URLSearchParams({ client_id: application.id, request_uri })
    await browser.get(`${lido.url}/w/demo/authorize?${short}`)
    return redeemFrom(browser, verifier)
  }
  const spent = await count(pushed)
  assert.ok(spent <= 7, String(spent))
})

test('a second factor costs at most five statements more', async () => {
  const { db, clock } = lido.services
  const pool = await pools.findBySlug(db, 'people')
  const user = pool && (await users.findByIdentifier(db, pool.id, { kind: 'email', value: email, typed: email }))
  assert.ok(pool && user)
  const settings = { ...pool.settings, second_factor: 'optional' } as const
  await pools.update(db, clock.now(), pool, { ...pool, kind: 'local', settings }, { kind: 'system' })
  const secret = await giveTotp(lido, pool, user.id)
  await count(() => signIn(codeFor(lido, secret, -30)))
  const statements = await count(() => signIn(codeFor(lido, secret)))
  assert.ok(statements <= 17, `${statements}`)
})

test('a sign-in by a passkey costs at most eleven statements, and its page no more than another', async () => {
  const { db, clock } = lido.services
  const pool = await pools.findBySlug(db, 'people')
  const user = pool && (await users.findByIdentifier(db, pool.id, { kind: 'email', value: email, typed: email }))
  assert.ok(pool && user)
  const settings = { ...pool.settings, sign_in_methods: ['password', 'passkey'] as ('password' | 'passkey')[] }
  await pools.update(db, clock.now(), pool, { ...pool, kind: 'local', settings }, { kind: 'system' })
  const key = await givePasskey(lido, pool, user.id)
  // The change takes a moment to be known.
  const isKnown = async () => (await openPage()).browser.page.html.includes('data-passkey')
  for (let tries = 100; tries > 0 && !(await isKnown()); tries -= 1) await setTimeout(20)
  assert.ok((await count(openPage)) <= 2)
  const signInByPasskey = async () => {
    const { browser, verifier } = await openPage()
    const csrf = browser.page.html.match(/name="csrf" value="([^"]*)"/)?.[1] ?? ''
    await browser.post(`${browser.page.url}?view=identify`, { csrf, credential: key.get(optionsOn(browser)) })
    return redeemFrom(browser, verifier)
  }
  const spent = await count(signInByPasskey)
  assert.ok(spent <= 11, String(spent))
})

/** How many statements were sent while something was done. */
const count = async (work: () => Promise<unknown>): Promise<number> => {
  lido.statements.length = 0
  await work()
  // Jobs and other upkeep have connections of their own; what is counted here belongs to the requests.
  return lido.statements.length
}

const addPeople = async (): Promise<void> => {
  const { db, passwords, clock } = lido.services
  const now = clock.now()
  const workspace = await db.selectFrom('workspaces').select('id').where('slug', '=', 'demo').executeTakeFirstOrThrow()
  const pool = await db.selectFrom('pools').select('id').where('slug', '=', 'people').executeTakeFirstOrThrow()
  const identifier = { kind: 'email', value: email, typed: email } as const
  const id = await users.create(db, now, pool.id, { identifier, status: 'active', verified: true })
  assert.ok(id)
  await credentials.setPassword(db, now, pool.id, id, await passwords.hash(password))
  await clients.create(db, now, workspace.id, {
    ...application,
    client_name: 'Application',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirectUri],
    first_party: true,
  })
  await clients.create(db, now, workspace.id, {
    ...machine,
    client_name: 'Machine',
    grant_types: ['client_credentials'],
    resources: { [resource]: ['read'] },
  })
}

const askFor = () => {
  const scope = 'openid profile email offline_access'
  return authorizeUrl(lido.url, 'demo', { client_id: application.id, redirect_uri: redirectUri, scope })
}

const openPage = async () => {
  const browser = openBrowser(lido.url)
  const { url, verifier } = askFor()
  await browser.get(url)
  assert.equal(browser.page.step, 'identify')
  return { browser, verifier }
}

const signIn = async (second?: string) => {
  const { browser, verifier } = await openPage()
  await browser.submit({ identifier: email })
  await browser.submit({ password })
  if (second) await browser.submit({ code: second })
  return redeemFrom(browser, verifier)
}

const redeemFrom = async (browser: Browser, verifier: string) => {
  const location = browser.page.headers.get('Location') ?? ''
  const code = new URL(location).searchParams.get('code') ?? ''
  const answer = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
  return token(answer, application)
}

const machineToken = async () => {
  const { access_token } = await token({ grant_type: 'client_credentials', resource, scope: 'read' }, machine)
  assert.equal(access_token.split('.').length, 3)
}

const token = (fields: Record<string, string>, client: typeof application) => post('/token', fields, client)

const post = async (path: string, fields: Record<string, string>, { id, secret }: typeof application, status = 200) => {
  const response = await fetch(`${lido.url}/w/demo${path}`, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa(`${id}:${secret}`)}` },
    body: new URLSearchParams(fields),
  })
  const answer = (await response.json()) as Answer
  assert.equal(response.status, status, JSON.stringify(answer))
  return answer
}

interface Answer {
  access_token: string
  refresh_token: string
  active: boolean
  request_uri: string
}

const get = async (path: string, headers: Record<string, string> = {}): Promise<void> => {
  const response = await fetch(`${lido.url}/w/demo${path}`, { headers })
  assert.equal(response.status, 200, await response.text())
}
