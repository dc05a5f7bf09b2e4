import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sweep } from '../../db/sweep.ts'
import type { Pool } from '../../directory/pools.ts'
import {
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  redirectUri,
  rowsOf,
  token,
  visit,
  visitAs,
} from '../../pages/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
let pool: Pool
let workspace: { id: string }
before(async () => {
  lido = await adminLido()
  pool = await makePool(lido, 'residents', { self_registration: true, sign_in_methods: ['password', 'email_code'] })
  workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

interface Told {
  trace: string
  status: number | null
  code: string | null
  reason: string | null
  client_id: string | null
  workspace: { slug: string } | null
  pool: { slug: string } | null
  interaction: { id: string; state: string; subject: string | null; user_id: string | null } | null
  steps: { did: string; ok: boolean; why: string | null; next: string | null; subject: string | null; sent: boolean }[]
  checks: { name: string; ok: boolean; detail: string | null }[]
  events: { type: string; trace: string | null; data: Record<string, unknown> }[]
}

type Call = (method: string, path: string) => Promise<{ status: number; body: object }>

/** Asks what is behind a trace; what was refused is written just after its answer is out. */
const tell = async (trace: string | null, call: Call = lido.call): Promise<Told> => {
  for (let tries = 0; ; tries += 1) {
    const { status, body } = await call('GET', `/traces/${trace}`)
    if (status === 200) return body as Told
    assert.ok(status === 404 && tries < 100, `${trace}: ${JSON.stringify(body)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The same where a request was refused: that is written once its answer is out, and the rest of the story may be there before. */
const tellRefused = async (trace: string): Promise<Told> => {
  for (let tries = 0; tries < 100; tries += 1) {
    const told = await tell(trace)
    if (told.status !== null) return told
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return assert.fail(`${trace} tells of no refusal`)
}

const traceOf = (page: { headers: Headers }): string => page.headers.get('X-Trace-Id') ?? ''
const stepsOf = ({ steps }: Told) => steps.map(({ did, why, next }) => [did, why, next])
const failing = ({ checks }: Told) => checks.filter(({ ok }) => !ok)

/** The reference that an error page shows. */
const shownBy = ({ html }: { html: string }): string => {
  const shown = [...html.matchAll(/<dd><code>([\w-]+)<\/code>/g)].at(-1)?.[1]
  assert.ok(shown, html)
  return shown
}

test('the reference of a page for a wrong redirect_uri leads to what was sent', async () => {
  const browser = await visit(lido, 'acme', { redirect_uri: 'https://user:pw@app.example.test/other?token=canary-1' })
  assert.equal(browser.page.step, 'problem')
  const told = await tell(shownBy(browser.page))
  assert.deepEqual(
    [told.status, told.code, told.client_id, told.workspace?.slug],
    [400, 'invalid_redirect_uri', 'app', 'acme'],
  )
  assert.match(told.reason ?? '', /redirect_uri/)
  assert.deepEqual(failing(told), [
    { name: 'redirect_uri', ok: false, detail: 'sent https://app.example.test/other?…; 1 registered' },
  ])
  assert.equal(told.interaction, null)
})

test('says that a client does not exist, and that PKCE is missing', async () => {
  const unknown = await visit(lido, 'acme', { client_id: 'nobody' })
  const told = await tell(shownBy(unknown.page))
  assert.deepEqual([told.code, told.client_id, failing(told)[0]?.name], ['invalid_client', null, 'client'])
  const query = `client_id=app&response_type=code&scope=openid&redirect_uri=${encodeURIComponent(redirectUri)}`
  const response = await fetch(`${lido.url}/w/acme/authorize?${query}`, { redirect: 'manual' })
  assert.match(response.headers.get('Location') ?? '', /error=invalid_request/)
  const bare = await tell(response.headers.get('X-Trace-Id'))
  assert.deepEqual([bare.status, bare.code], [303, 'invalid_request'])
  assert.deepEqual(failing(bare), [{ name: 'pkce', ok: false, detail: 'no code_challenge' }])
})

test('tells of wrong passwords, each with its trace, and of the lock they led to', async () => {
  const id = await makeUser(lido, pool, 'locked@example.org')
  const browser = await visitAs(lido, 'acme', 'locked@example.org')
  for (let times = 0; times < 11; times += 1) await browser.submit({ password: 'canary wrong password' })
  const told = await tell(traceOf(browser.page))
  assert.deepEqual(stepsOf(told).slice(0, 2), [
    ['identify', null, 'prove:password'],
    ['prove:password', 'wrong_password', 'prove:password'],
  ])
  assert.equal(told.steps.filter(({ why }) => why === 'wrong_password').length, 10)
  assert.deepEqual(stepsOf(told).at(-1), ['prove:password', 'locked', 'prove:password'])
  assert.equal(told.steps.at(-1)?.subject, 'user')
  assert.equal(told.interaction?.user_id, id)
  assert.deepEqual(
    [told.code, told.pool?.slug, told.client_id, told.interaction?.state],
    ['locked', 'residents', 'app', 'open'],
  )
  const check = told.checks.find(({ name }) => name === 'prove:password')
  assert.deepEqual(check, { name: 'prove:password', ok: false, detail: 'locked; refused 11 times' })
  assert.equal(told.events.filter(({ type }) => type === 'sign_in.failed').length, 11)
})

test('tells operators of a stranger what no page tells', async () => {
  const browser = await visitAs(lido, 'acme', 'nobody-at-all@example.org')
  await browser.submit({ password })
  const told = await tell(traceOf(browser.page))
  assert.equal(told.steps.at(-1)?.subject, 'stranger')
  assert.deepEqual([told.interaction?.subject, told.interaction?.user_id], ['stranger', null])
  assert.deepEqual(failing(told)[0], {
    name: 'account',
    ok: false,
    detail: 'nobody of the pool goes by what was typed',
  })
})

test('tells which codes went out, and that an address to register with is taken', async () => {
  await makeUser(lido, pool, 'owner@example.org')
  const browser = await visitAs(lido, 'acme', 'owner@example.org')
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  await browser.submit({ action: 'resend' })
  await browser.submit({ code: '000000' })
  await browser.get(browser.link('Not you?'))
  await browser.get(browser.link('Create an account'))
  await browser.submit({ identifier: 'owner@example.org', password: 'short' })
  await browser.submit({ identifier: 'owner@example.org', password: 'a long enough passphrase' })
  const { steps, checks } = await tell(traceOf(browser.page))
  const told = steps.map(({ did, ok, why, sent, subject }) => [did, ok ? 'ok' : why, sent, subject])
  assert.deepEqual(told, [
    ['identify', 'ok', false, null],
    ['switch_method', 'ok', true, 'user'],
    ['send_again', 'ok', true, 'user'],
    ['prove:email_code', 'wrong_code', false, 'user'],
    ['register', 'password: password_short', false, 'user'],
    ['register', 'ok', true, 'user'],
  ])
  assert.deepEqual(
    checks.find(({ name }) => name === 'register'),
    { name: 'register', ok: true, detail: 'taken in the end; refused 1 time' },
  )
})

test('any request of a sign-in tells its whole story, from the first to the last', async () => {
  await makeUser(lido, pool, 'whole@example.org')
  const seen: string[] = []
  const opened = await fetch((await visit(lido, 'acme')).page.url, { redirect: 'manual' })
  assert.equal(opened.status, 410)
  const browser = await visitAs(lido, 'acme', 'whole@example.org')
  seen.push(traceOf(browser.page))
  await browser.submit({ password: 'not the password' })
  seen.push(traceOf(browser.page))
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
  seen.push(traceOf(browser.page))
  const stories = await Promise.all(seen.map((trace) => tell(trace)))
  for (const story of stories) {
    assert.deepEqual(stepsOf(story), [
      ['identify', null, 'prove:password'],
      ['prove:password', 'wrong_password', 'prove:password'],
      ['prove:password', null, 'finish'],
    ])
    assert.equal(story.interaction?.state, 'finished')
    assert.deepEqual(
      story.events.map(({ type }) => type),
      ['sign_in.succeeded', 'sign_in.failed'],
    )
  }
})

test('the request that a sign-in begins with belongs to it', async () => {
  const { authorizeUrl } = await import('../../browser-testing.ts')
  const { url } = authorizeUrl(lido.url, 'acme', { client_id: 'app', redirect_uri: redirectUri })
  const response = await fetch(url, { redirect: 'manual' })
  const to = new URL(response.headers.get('Location') ?? '', lido.url)
  const cookie = response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
  const page = await fetch(to, { headers: { Cookie: cookie } })
  assert.equal(page.status, 200)
  const [first, second] = [response, page].map(traceOf)
  assert.equal(first?.slice(0, 10), second?.slice(0, 10))
  assert.notEqual(first, second)
})

test('the page of an expired sign-in leads to its trail, also when the attempt is long gone', async () => {
  await makeUser(lido, pool, 'late@example.org')
  const browser = await visitAs(lido, 'acme', 'late@example.org')
  await browser.submit({ password: 'not the password' })
  const address = browser.page.url
  await rowsOf(lido, `update artifacts set expires_at = now() - interval '1 second' where kind = 'Interaction'`)
  await rowsOf(lido, `update artifacts set payload = payload || '{"exp": 1}' where kind = 'Interaction'`)
  await rowsOf(lido, `update attempts set expires_at = now() - interval '1 second'`)
  await browser.get(address)
  assert.equal(browser.page.status, 410)
  const reference = shownBy(browser.page)
  for (const sweeping of [false, true]) {
    if (sweeping) await sweep(lido.services.db, new Date())
    if (sweeping) assert.equal(await countOf(lido, 'attempts'), 0)
    const told = await tellRefused(reference)
    assert.deepEqual([told.status, told.code, told.interaction?.state], [410, 'expired', 'over'])
    assert.match(told.reason ?? '', /interaction session/)
    assert.deepEqual(
      told.steps.map(({ did }) => did),
      ['identify', 'prove:password', 'request:GET /w/:workspace/signin/:uid'],
    )
    assert.equal(told.pool?.slug, 'residents')
  }
})

test('keeps no trail of a sign-in in which nothing went wrong', async () => {
  await makeUser(lido, pool, 'smooth@example.org')
  const before = await countOf(lido, 'trails')
  const browser = await visitAs(lido, 'acme', 'smooth@example.org')
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
  await rowsOf(lido, `update attempts set expires_at = now() - interval '1 second'`)
  await sweep(lido.services.db, new Date())
  assert.equal(await countOf(lido, 'trails'), before)
  const told = await tell(traceOf(browser.page))
  assert.deepEqual(
    told.events.map(({ type }) => type),
    ['sign_in.succeeded'],
  )
  await sweep(lido.services.db, new Date(Date.now() + 31 * 86_400_000))
  assert.equal(await countOf(lido, 'trails'), 0)
})

test('a code that comes again is refused with its reason', async () => {
  await makeUser(lido, pool, 'twice@example.org')
  const browser = await visitAs(lido, 'acme', 'twice@example.org')
  await browser.submit({ password })
  assert.equal((await redeem(lido, 'acme', browser)).status, 200)
  const again = await redeem(lido, 'acme', browser)
  assert.equal(again.status, 400)
  const told = await tell(again.headers.get('X-Trace-Id'))
  assert.deepEqual([told.status, told.code, told.client_id], [400, 'invalid_grant', 'app'])
  assert.match(told.reason ?? '', /already consumed/)
  assert.deepEqual(
    failing(told).map(({ name }) => name),
    ['code'],
  )
  assert.ok(told.events.some(({ type }) => type === 'code.reused'))
  const unknown = await token(lido.url, 'acme', {
    grant_type: 'authorization_code',
    client_id: 'app',
    code: 'canary-unknown-code',
    redirect_uri: redirectUri,
    code_verifier: browser.verifier,
  })
  assert.match((await tell(unknown.headers.get('X-Trace-Id'))).reason ?? '', /not found/)
})

test('a form of another site is told apart from one that is over', async () => {
  const browser = await visitAs(lido, 'acme', 'anybody@example.org')
  await browser.submit({ password }, { Origin: 'https://evil.example' })
  assert.equal(browser.page.status, 403)
  const told = await tellRefused(shownBy(browser.page))
  assert.deepEqual([told.status, told.code], [403, 'form_expired'])
  assert.match(told.reason ?? '', /another site/)
  assert.equal(told.steps.at(-1)?.why, 'form_expired')
})

test('says that nobody can sign in to an application', async () => {
  const empty = await makeWorkspace(lido, 'empty', [])
  await makeClient(lido, empty.id)
  const browser = await visit(lido, 'empty')
  const told = await tell(shownBy(browser.page))
  assert.deepEqual([told.status, told.client_id, told.workspace?.slug], [404, 'app', 'empty'])
  assert.match(told.reason ?? '', /Nobody can sign in/)
})

test('events carry the trace of their request, and are found by it and by their interaction', async () => {
  await makeUser(lido, pool, 'listed@example.org')
  const browser = await visitAs(lido, 'acme', 'listed@example.org')
  await browser.submit({ password: 'not the password' })
  await browser.submit({ password })
  const { interaction, events } = await tell(traceOf(browser.page))
  const [succeeded, failed] = events
  const find = async (query: string) => (await lido.call('GET', `/events?${query}`)).body.items?.map(({ type }) => type)
  assert.deepEqual(await find(`interaction=${interaction?.id}`), ['sign_in.succeeded', 'sign_in.failed'])
  assert.deepEqual(await find(`trace=${failed?.trace}`), ['sign_in.failed'])
  assert.deepEqual(await find(`trace=${succeeded?.trace}`), ['sign_in.succeeded'])
  assert.deepEqual(await find('trace=nothing-is-called-this'), [])
})

test('an operator with limits is told only of what is theirs', async () => {
  const other = await makePool(lido, 'others')
  const elsewhere = await makeWorkspace(lido, 'elsewhere', [{ pool: other }])
  await makeClient(lido, elsewhere.id)
  const limits = { workspaces: [workspace.id], pools: [pool.id] }
  const limited = await operator(lido, 'limited@example.org', { role: 'viewer', ...limits })
  const pooled = await operator(lido, 'pooled@example.org', { role: 'viewer', pools: [pool.id] })

  const ours = await visitAs(lido, 'acme', 'somebody@example.org')
  await ours.submit({ password })
  for (const { call } of [limited, pooled]) assert.equal((await tell(traceOf(ours.page), call)).workspace?.slug, 'acme')
  const wrong = await visit(lido, 'acme', { redirect_uri: 'https://evil.example/' })
  assert.equal((await tell(shownBy(wrong.page), limited.call)).code, 'invalid_redirect_uri')

  const theirs = await visitAs(lido, 'elsewhere', 'somebody@example.org')
  await theirs.submit({ password })
  const theirPage = await visit(lido, 'elsewhere', { redirect_uri: 'https://evil.example/' })
  const nowhere = await visit(lido, 'there-is-no-such-workspace')
  for (const trace of [traceOf(theirs.page), shownBy(theirPage.page), shownBy(nowhere.page)]) {
    await tell(trace)
    for (const { call } of [limited, pooled]) assert.equal((await call('GET', `/traces/${trace}`)).status, 404)
  }
  assert.equal((await pooled.call('GET', `/traces/${shownBy(wrong.page)}`)).status, 404)
  // A page of theirs under a workspace of ours: the refusal is ours, the story is not.
  const uid = theirs.page.url.split('/').at(-1)
  const mixed = await fetch(`${lido.url}/w/acme/signin/${uid}`)
  const told = await tell(traceOf(mixed), limited.call)
  assert.deepEqual([told.workspace?.slug, told.interaction, told.steps.length], ['acme', null, 1])
  assert.equal((await tell(traceOf(theirs.page))).steps.length, 2)
  for (const trace of ['no-such-trace', 'x'.repeat(16), '%20'])
    assert.equal((await lido.call('GET', `/traces/${trace}`)).status, 404)
})

test('a trail is bounded, and keeps its beginning', async () => {
  const browser = await visitAs(lido, 'acme', 'endless@example.org')
  for (let times = 0; times < 50; times += 1) {
    await browser.get(browser.link('Not you?'))
    await browser.submit({ identifier: `endless-${times}@example.org` })
  }
  const { steps, client_id } = await tell(traceOf(browser.page))
  assert.equal(steps.length, 40)
  assert.equal(client_id, 'app')
})
