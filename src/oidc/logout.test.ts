import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { sql } from 'kysely'
import * as sessions from '../directory/sessions.ts'
import * as changes from '../directory/user-changes.ts'
import { findForUpdate } from '../directory/user-records.ts'
import * as users from '../directory/users.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  ask,
  eventually,
  goodbye,
  makePool,
  makeWorkspace,
  payloadOf,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
} from './fixtures-testing.ts'
import * as keys from './keys.ts'
import { sign } from './signing-keys.ts'

/** What a client was told, and by which of its addresses. */
interface Told {
  path: string
  type: string | undefined
  token: string
}

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let hearing: Server
let url: string
let told: Told[] = []
let answer = () => 200

before(async () => {
  lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  hearing = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const token = new URLSearchParams(body).get('logout_token') ?? ''
      told.push({ path: request.url ?? '', type: request.headers['content-type'], token })
      response.writeHead(answer(), { 'Cache-Control': 'no-store' }).end()
    })
  })
  await new Promise<void>((resolve) => hearing.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(hearing.address() as AddressInfo).port}`
  await workspace.client('spa', { backchannel_logout_uri: `${url}/spa` })
  await workspace.client('es', { backchannel_logout_uri: `${url}/es`, id_token_signed_response_alg: 'ES256' })
  await workspace.client('deaf')
  await workspace.client('pair', {
    backchannel_logout_uri: `${url}/pair`,
    backchannel_logout_session_required: true,
    subject_type: 'pairwise',
  })
})
after(async () => {
  hearing.close()
  await lido.stop()
})

/** Checks a logout token as a client has to (OpenID Connect Back-Channel Logout 1.0 section 2.6). */
const check = async ({ token, type }: Told, clientId: string, algorithm = 'RS256') => {
  assert.equal(type, 'application/x-www-form-urlencoded')
  const jwks = createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`))
  const { payload, protectedHeader } = await jwtVerify(token, jwks, {
    issuer: workspace.issuer,
    audience: clientId,
    algorithms: [algorithm],
    typ: 'logout+jwt',
    requiredClaims: ['iat', 'exp', 'jti', 'sub', 'sid', 'events'],
  })
  assert.equal(protectedHeader.alg, algorithm)
  assert.deepEqual(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} })
  assert.equal('nonce' in payload, false)
  assert.equal((payload.exp ?? 0) - (payload.iat ?? 0) <= 120, true)
  return payload
}

const heard = (path: string, count = 1): Promise<Told[]> =>
  eventually(10_000, async () => {
    const those = told.filter((one) => one.path === path)
    assert.equal(those.length, count, JSON.stringify(told.map((one) => one.path)))
    return those
  })

/** What operators are told of it. */
const noted = async (userId: string) => {
  const { rows } = await sql<{ type: string; clientId: string; data: unknown }>`
    select type, client_id, data from events where type like 'logout.%' and user_id = ${userId} order by client_id`.execute(
    lido.services.db,
  )
  return rows
}

const signedIn = async (email: string, clientIds: string[]) => {
  const id = await people.user(email)
  const first = await tokensOf(lido, workspace, email, { client_id: clientIds[0] ?? 'spa' })
  const tokens = new Map([[clientIds[0], first.id]])
  for (const client_id of clientIds.slice(1)) {
    const answer = await signIn(lido, workspace, '', { client_id }, first.browser)
    tokens.set(client_id, tokensFrom(await redeem(workspace.issuer, answer, { client_id })).id)
  }
  told = []
  return { id, browser: first.browser, refresh: first.refresh, tokens: tokens as Map<string, string> }
}

const hintOf = (token: string | undefined, more: Record<string, string> = {}) =>
  `${workspace.issuer}/logout?${new URLSearchParams({ id_token_hint: token ?? '', ...more })}`

test('tells every client of a session that its person has signed out, by a token of its own algorithm', async () => {
  const { browser, id, tokens } = await signedIn('ada@example.org', ['spa', 'es', 'pair', 'deaf'])
  await browser.get(`${workspace.issuer}/logout?client_id=spa`)
  assert.equal(browser.page.step, 'logout')
  await browser.submit({ logout: 'yes' })
  for (const [clientId, algorithm] of [
    ['spa', 'RS256'],
    ['es', 'ES256'],
    ['pair', 'RS256'],
  ] as const) {
    const [one] = await heard(`/${clientId}`)
    const payload = await check(one as Told, clientId, algorithm)
    const known = payloadOf(tokens.get(clientId) ?? '')
    assert.equal(payload.sub, known.sub)
    assert.equal(payload.sid, known.sid)
  }
  assert.equal(payloadOf(tokens.get('spa') ?? '').sub, id)
  assert.notEqual(payloadOf(tokens.get('pair') ?? '').sub, id)
  assert.equal(told.length, 3)
  const sent = (clientId: string) => ({ type: 'logout.sent', clientId, data: { attempts: 1 } })
  await eventually(5_000, async () => assert.deepEqual(await noted(id), ['es', 'pair', 'spa'].map(sent)))
})

const endings: [string, (id: string) => Promise<void>][] = [
  ['everything of theirs ends', (id) => users.endEverything(lido.services.db, people.id, id)],
  [
    'one session is ended by an operator',
    async (id) => {
      const { db, clock } = lido.services
      await sessions.end(db, await sessions.list(db, clock.now(), people.id, id, undefined))
    },
  ],
  ['they are deleted', (id) => deleted(id)],
]

const deleted = async (id: string): Promise<void> => {
  const { db, clock } = lido.services
  const user = await findForUpdate(db, people.id, id)
  assert(user)
  await changes.remove(db, clock.now(), user, { kind: 'system' })
}

for (const [index, [what, end]] of endings.entries())
  test(`tells the clients of somebody when ${what}`, async () => {
    const { id, tokens } = await signedIn(`ending${index}@example.org`, ['spa', 'pair'])
    await end(id)
    for (const clientId of ['spa', 'pair']) {
      const payload = await check((await heard(`/${clientId}`))[0] as Told, clientId)
      assert.equal(payload.sid, payloadOf(tokens.get(clientId) ?? '').sid)
    }
  })

test('tells of the other sessions where somebody signs out everywhere else, and not of the one that stays', async () => {
  const here = await signedIn('otto@example.org', ['spa'])
  const elsewhere = await tokensOf(lido, workspace, 'otto@example.org')
  const { db, clock } = lido.services
  const known = await sessions.list(db, clock.now(), people.id, here.id, undefined)
  const stays = await sessionOf(String(payloadOf(here.tokens.get('spa') ?? '').sid))
  const own = known.find(({ stored }) => stored === stays)
  assert(own)
  await sessions.endOthers(db, people.id, here.id, own)
  const payload = await check((await heard('/spa'))[0] as Told, 'spa')
  assert.equal(payload.sid, payloadOf(elsewhere.id).sid)
  assert((await signIn(lido, workspace, '', { prompt: 'none' }, here.browser)).code)
})

const sessionOf = async (sid: string): Promise<string> => {
  const { rows } = await sql<{ id: string }>`
    select id from artifacts where kind = 'Session' and payload::text like ${`%${sid}%`}`.execute(lido.services.db)
  return rows[0]?.id ?? ''
}

test('tells each client once, however often somebody signs out at once', async () => {
  const { browser, tokens } = await signedIn('petra@example.org', ['spa', 'es'])
  const cookie = [...browser.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const address = hintOf(tokens.get('spa'))
  await Promise.all(Array.from({ length: 20 }, () => ask(address, { headers: { Cookie: cookie } })))
  await heard('/spa')
  await heard('/es')
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(told.length, 2)
})

test('tells nobody of a sign-in that goes on, of a transaction that fails, and of what expires', async () => {
  const { id, browser } = await signedIn('grace@example.org', ['spa'])
  await signIn(lido, workspace, 'grace@example.org', { prompt: 'login' }, browser)
  const { db } = lido.services
  await assert.rejects(
    db.transaction().execute(async (trx) => {
      await users.endEverything(trx, people.id, id)
      throw new Error('rolled back')
    }),
  )
  await sql`update artifacts set expires_at = now() - interval '1 minute' where user_id = ${id}`.execute(db)
  await sql`delete from artifacts where user_id = ${id}`.execute(db)
  const { rows } = await sql`select 1 from graphile_worker.jobs where task_identifier = 'tell_of_logout'`.execute(db)
  assert.equal(rows.length, 0)
  assert.deepEqual(told, [])
})

test('tells the clients of whoever was signed in when somebody else signs in', async () => {
  const { browser, tokens } = await signedIn('henry@example.org', ['spa'])
  await people.user('irene@example.org')
  const other = await signIn(lido, workspace, 'irene@example.org', { prompt: 'select_account' }, browser)
  assert(other.code, other.browser.page.html)
  const payload = await check((await heard('/spa'))[0] as Told, 'spa')
  assert.equal(payload.sid, payloadOf(tokens.get('spa') ?? '').sid)
})

test('tries three times, and tells operators that a client could not be told', async () => {
  const { id } = await signedIn('karl@example.org', ['spa'])
  const { db } = lido.services
  answer = () => 500
  await users.endEverything(db, people.id, id)
  await eventually(20_000, async () => {
    await sql`update graphile_worker._private_jobs set run_at = now()`.execute(db)
    assert.deepEqual(await noted(id), [{ type: 'logout.failed', clientId: 'spa', data: { attempts: 3 } }])
  })
  answer = () => 200
  assert.equal(told.length, 3)
  assert.equal(new Set(told.map(({ token }) => payloadOf(token).jti)).size, 3)
  assert(!lido.lines.some((line) => told.some(({ token }) => line.includes(token))))
})

/** The same ID token, as it was long ago. */
const expired = async (token: string): Promise<string> => {
  const { db, keyring, clock } = lido.services
  const known = await keys.load(db, keyring, clock.now(), workspace.id)
  return sign(known, 'JWT', { ...payloadOf(token), iat: 1_600_000_000, exp: 1_600_003_600 })
}

test('signs out without asking whoever comes with an ID token of this session, also an expired one', async () => {
  const { browser, tokens, refresh: kept } = await signedIn('lena@example.org', ['spa'])
  const to = { post_logout_redirect_uri: goodbye, state: 'xyz' }
  await browser.get(hintOf(await expired(tokens.get('spa') ?? ''), to))
  assert.equal(browser.page.url, `${goodbye}?state=xyz`)
  const silent = await signIn(lido, workspace, '', { prompt: 'none' }, browser)
  assert.equal(silent.at.searchParams.get('error'), 'login_required')
  assert.equal((await refresh(workspace.issuer, kept)).body.error, 'invalid_grant')
  await heard('/spa')
})

test('asks where the ID token is of another session or of another person', async () => {
  const one = await signedIn('mona@example.org', ['spa'])
  const elsewhere = await tokensOf(lido, workspace, 'mona@example.org')
  const other = await signedIn('nora@example.org', ['spa'])
  for (const hint of [elsewhere.id, other.tokens.get('spa')]) {
    await one.browser.get(hintOf(hint, { post_logout_redirect_uri: goodbye }))
    assert.equal(one.browser.page.step, 'logout')
  }
  assert((await signIn(lido, workspace, '', { prompt: 'none' }, one.browser)).code)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.deepEqual(told, [])
})

test('A19: refuses a forged hint, one of another client, and an address that is not registered', async () => {
  const { browser, tokens } = await signedIn('olaf@example.org', ['spa'])
  const hint = tokens.get('spa') ?? ''
  const [head = '', body = '', signature = ''] = hint.split('.')
  const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
  const claims = Buffer.from(JSON.stringify({ ...payloadOf(hint), aud: 'deaf' })).toString('base64url')
  const bad = [
    `${none}.${body}.`,
    `${head}.${claims}.${signature}`,
    `${head}.${body}.${signature.slice(0, -4)}AAAA`,
    'nonsense',
  ].map((forged) => hintOf(forged))
  const addresses = [
    'https://app.example/bye/',
    'https://app.example/bye?a=b',
    'https://app.example.evil.test/bye',
    'https://app.example@evil.test/bye',
    'https://app.example/BYE',
    'http://app.example/bye',
    'javascript:alert(1)',
  ]
  bad.push(
    ...addresses.map((uri) => hintOf(hint, { post_logout_redirect_uri: uri })),
    hintOf(hint, { client_id: 'deaf' }),
  )
  const cookie = [...browser.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  for (const address of bad) {
    const answered = await ask(address, { headers: { Cookie: cookie } })
    assert.equal(answered.status, 400, address)
    assert.equal(answered.headers.get('Location'), null)
  }
  assert((await signIn(lido, workspace, '', { prompt: 'none' }, browser)).code)
})
