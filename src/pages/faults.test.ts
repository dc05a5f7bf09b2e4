import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { openBrowser } from '../browser-testing.ts'
import { type TestDatabase, testDatabase } from '../db/testing.ts'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { freePort, layWire, type Wire } from './wire-testing.ts'

let database: TestDatabase
let wire: Wire
let lido: TestLido
let pool: Pool
let smtpPort: number
before(async () => {
  database = await testDatabase()
  wire = await layWire(database.url)
  smtpPort = await freePort()
  lido = await testLido({ DATABASE_URL: wire.url, SMTP_URL: `smtp://127.0.0.1:${smtpPort}?ignoreTLS=true` })
  pool = await makePool(lido, 'residents', { self_registration: true })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password', 'refresh_token'] })
  await makeUser(lido, pool, 'mike@example.org')
})
after(async () => {
  await wire.mend()
  await lido.stop()
  await wire.close()
  await database.close()
})

const signIn = async () => {
  const browser = await visitAs(lido, 'acme', 'mike@example.org')
  await browser.submit({ password })
  assert.ok(isSignedIn(browser), browser.page.html)
  return browser
}

interface Outcome {
  status: number
  retryAfter: string | null
  ms: number
}

const timed = async (ask: () => Promise<{ status: number; headers: Headers }>): Promise<Outcome> => {
  const began = performance.now()
  const { status, headers } = await ask()
  return { status, retryAfter: headers.get('Retry-After'), ms: performance.now() - began }
}

/** Whatever needs the database, made ready while it was there. */
const questions = async (): Promise<Record<string, () => Promise<{ status: number; headers: Headers }>>> => {
  const done = await signIn()
  const { body } = await redeem(lido, 'acme', done)
  const half = await visitAs(lido, 'acme', 'mike@example.org')
  const looking = await visitAs(lido, 'acme', 'mike@example.org')
  const coded = await signIn()
  const forgetting = openBrowser(lido.url)
  await forgetting.get('/w/acme/recover')
  const registering = await visit(lido, 'acme')
  await registering.get(registering.link('Create an account'))
  return {
    'a new sign-in': async () => (await visit(lido, 'acme')).page,
    'a page': () => looking.get(looking.page.url),
    'a password': () => half.submit({ password }),
    'a registration': () => registering.submit({ identifier: 'away@example.org', password }),
    'a recovery': () => forgetting.submit({ identifier: 'mike@example.org' }),
    'a code': () => redeem(lido, 'acme', coded),
    'a refresh': () =>
      token(lido.url, 'acme', {
        grant_type: 'refresh_token',
        client_id: 'app',
        refresh_token: body.refresh_token ?? '',
      }),
    'a password grant': () =>
      token(lido.url, 'acme', { grant_type: 'password', client_id: 'ropc', username: 'mike@example.org', password }),
    userinfo: () => fetch(`${lido.url}/w/acme/userinfo`, { headers: { Authorization: `Bearer ${body.access_token}` } }),
    readiness: () => fetch(`${lido.url}/readyz`),
  }
}

const isSaidTo503 = (outcomes: [what: string, outcome: Outcome][]) => {
  for (const [what, { status, retryAfter, ms }] of outcomes) {
    assert.equal(status, 503, what)
    if (what !== 'readiness') assert.match(retryAfter ?? '', /^\d+$/, what)
    // Three seconds, and what a busy machine adds to them.
    assert.ok(ms < 3300, `${what} took ${Math.round(ms)} ms`)
  }
}

const recovers = async () => {
  const began = performance.now()
  for (;;) {
    const { page } = await visit(lido, 'acme')
    if (page.status === 200) break
    assert.ok(performance.now() - began < 5000, `still ${page.status} after five seconds`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.equal((await fetch(`${lido.url}/readyz`)).status, 200)
}

const outages: [what: string, begin: () => Promise<void>][] = [
  ['refuses', () => wire.cut()],
  ['is frozen', async () => wire.freeze()],
]
for (const [what, begin] of outages) {
  test(`where the database ${what}, everybody hears 503 within three seconds, and it goes on when it is back`, async (t) => {
    t.after(() => wire.mend())
    const half = await visitAs(lido, 'acme', 'mike@example.org')
    const asked = Object.entries(await questions())
    await begin()
    const outcomes = await Promise.all(
      asked.map(async ([name, ask]): Promise<[string, Outcome]> => [name, await timed(ask)]),
    )
    isSaidTo503(outcomes)
    const again = await Promise.all(
      Array.from({ length: 20 }, async (_, n): Promise<[string, Outcome]> => {
        await new Promise((resolve) => setTimeout(resolve, n * 100))
        return [`visit ${n}`, await timed(async () => (await visit(lido, 'acme')).page)]
      }),
    )
    isSaidTo503(again)
    assert.equal((await fetch(`${lido.url}/healthz`)).status, 200, 'the process lives')
    await wire.mend()
    await recovers()
    await half.get(half.page.url)
    await half.submit({ password })
    assert.ok(isSignedIn(half), 'what was begun before goes on')
    assert.equal((await redeem(lido, 'acme', half)).status, 200)
  })
}

test('a client is told of an outage in the words of its protocol', async (t) => {
  t.after(() => wire.mend())
  const coded = await signIn()
  await wire.cut()
  const { status, headers, body } = await redeem(lido, 'acme', coded)
  await wire.mend()
  assert.equal(status, 503)
  assert.match(headers.get('Content-Type') ?? '', /json/)
  assert.ok(JSON.stringify(body).length > 2)
  await recovers()
  assert.equal((await redeem(lido, 'acme', coded)).status, 200, 'the code was not used up')
})

/** A mail server that keeps what it is sent. */
const openMailServer = async () => {
  const mails: string[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, _session, done) {
      let mail = ''
      stream.on('data', (chunk) => {
        mail += chunk
      })
      stream.on('end', () => {
        mails.push(mail)
        done()
      })
    },
  })
  await new Promise<void>((resolve) => server.listen(smtpPort, '127.0.0.1', resolve))
  return { mails, close: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}

const register = async (email: string) => {
  const browser = await visit(lido, 'acme')
  await browser.get(browser.link('Create an account'))
  const began = performance.now()
  await browser.submit({ identifier: email, password })
  assert.equal(browser.page.step, 'verify')
  assert.equal(browser.page.alert, undefined)
  assert.ok(performance.now() - began < 2000, 'nobody waits for a mail server')
  return browser
}

test('where the mail server refuses, the page says the same, and the mail goes out later', async () => {
  const browser = await register('later@example.org')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const { mails, close } = await openMailServer()
  const { code } = await lido.message('later@example.org')
  await close()
  assert.equal(mails.length, 1)
  assert.match(mails[0] ?? '', /^To: later@example\.org\r?$/m)
  await browser.submit({ code })
  assert.ok(isSignedIn(browser))
})

test('where the mail server hangs, nobody waits for it', async (t) => {
  const silent = createServer(() => {})
  t.after(() => silent.close())
  await new Promise<void>((resolve) => silent.listen(smtpPort, '127.0.0.1', resolve))
  await Promise.all(['one', 'two', 'three', 'four'].map((name) => register(`${name}@example.org`)))
  assert.ok(isSignedIn(await signIn()))
})

test('what an outage of the database began is nowhere half done', async () => {
  const { rows } = await database.connection.pool.query(
    `select (select count(*) from users u where not exists (select from identifiers i where i.user_id = u.id)) as nobody,
            (select count(*) from credentials c where not exists (select from users u where u.id = c.user_id)) as loose,
            (select count(*) from artifacts a where kind = 'Session' and user_id is null) as sessions`,
  )
  assert.deepEqual(rows, [{ nobody: 0, loose: 0, sessions: 0 }])
})
