import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  countOf,
  isSignedIn,
  makeClient,
  password,
  redeem,
  redirectUri,
  rowsOf,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { claimsOf, makePlace, signInAda } from './scripts-testing.ts'
import { codeFor, giveTotp } from './second-factor-testing.ts'

let lido: TestLido
before(async () => {
  lido = await testLido()
})
after(() => lido.stop())

const returning = (value: unknown) => `const postAuthentication = () => (${JSON.stringify(value)})`

const userinfo = async (slug: string, bearer: string | undefined) => {
  const response = await fetch(`${lido.url}/w/${slug}/userinfo`, { headers: { Authorization: `Bearer ${bearer}` } })
  return (await response.json()) as Record<string, unknown>
}

const refusalsOf = async (workspaceId: string) =>
  (
    await rowsOf<{ why: string }>(
      lido,
      `select data ->> 'why' as why from events where workspace_id = '${workspaceId}' and type = 'sign_in.refused'`,
    )
  ).map(({ why }) => why)

test('claims of a script are in the ID token, in userinfo and after a refresh, and nowhere in clear', async () => {
  const claims = { plan: 'gold-and-secret', 'https://example.org/teams': ['red'] }
  const { slug, workspace } = await makePlace(lido, { code: returning({ claims }) })
  const browser = await signInAda(lido, slug)
  const { body } = await redeem(lido, slug, browser)
  assert.equal(claimsOf(body.id_token).plan, claims.plan)
  assert.deepEqual(claimsOf(body.id_token)['https://example.org/teams'], ['red'])
  assert.equal((await userinfo(slug, body.access_token)).plan, claims.plan)
  const renewed = await token(lido.url, slug, {
    grant_type: 'refresh_token',
    client_id: 'app',
    refresh_token: body.refresh_token ?? '',
  })
  assert.equal(claimsOf(renewed.body.id_token).plan, claims.plan)
  for (const table of ['artifacts', 'attempts', 'events'])
    assert.deepEqual(
      await rowsOf(
        lido,
        `select 1 from ${table} x where workspace_id = '${workspace.id}' and x::text like '%gold-and%'`,
      ),
      [],
    )
})

test('a script is told whom it is about, and nothing secret', async () => {
  const code = 'const postAuthentication = (input) => ({ claims: { told: input } })'
  const { slug, user } = await makePlace(lido, { code })
  const { body } = await redeem(lido, slug, await signInAda(lido, slug))
  const told = claimsOf(body.id_token).told as Record<string, Record<string, unknown>>
  assert.equal(told.user?.id, user)
  assert.deepEqual(told.user?.profile, { given_name: 'Ada' })
  assert.deepEqual(told.client, { id: 'app', name: 'Test application' })
  assert.deepEqual(
    (told.proofs as unknown as { method: string }[]).map(({ method }) => method),
    ['password'],
  )
  assert.equal(told.pool?.slug, slug)
  assert.deepEqual(told.request?.scopes, ['openid'])
  assert.doesNotMatch(JSON.stringify(told), /hash|secret|token|era|correct horse/)
})

test('whom a script denies sees why, as text, and the client hears access_denied', async () => {
  const reason = 'Come back <b>tomorrow</b>'
  const { slug, workspace } = await makePlace(lido, { code: returning({ deny: { reason } }) })
  const browser = await signInAda(lido, slug)
  assert.equal(browser.page.step, 'denied')
  assert.match(browser.page.html, /Come back &lt;b&gt;tomorrow&lt;\/b&gt;/)
  await browser.get(browser.page.url)
  await browser.get(`${browser.page.url.split('?')[0]}?view=identify`)
  assert.equal(browser.page.step, 'denied', 'looking elsewhere leads past it no more')
  await browser.submit({})
  assert.ok(browser.page.url.startsWith(redirectUri), browser.page.html)
  assert.equal(new URL(browser.page.url).searchParams.get('error'), 'access_denied')
  assert.deepEqual(await refusalsOf(workspace.id), ['script'])
  assert.deepEqual(
    await rowsOf(
      lido,
      `select 1 from artifacts where workspace_id = '${workspace.id}' and kind = 'Session' and user_id is not null`,
    ),
    [],
  )
})

test('who was denied may go on with another account', async () => {
  const code =
    "const postAuthentication = ({ user }) => user.profile.given_name === 'Ada' ? { deny: { reason: 'Not you' } } : {}"
  const place = await makePlace(lido, { code })
  const { makeUser } = await import('./fixtures-testing.ts')
  await makeUser(lido, place.pool, 'grace@example.org')
  const browser = await signInAda(lido, place.slug)
  await browser.submit({ action: 'other' })
  assert.equal(browser.page.step, 'identify')
  await browser.submit({ identifier: 'grace@example.org' })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser), browser.page.html)
})

for (const [what, output] of Object.entries({
  sub: '{ claims: { sub: "somebody-else" } }',
  groups: '{ claims: { groups: ["/Admins"] } }',
  email: '{ claims: { email: "boss@example.org", email_verified: true } }',
  proto: '{ claims: JSON.parse(\'{"__proto__":{"admin":true}}\') }',
  nested: '{ claims: { deep: JSON.parse(\'{"constructor":{"admin":true}}\') } }',
  unknown: '{ admin: true }',
  number: '42',
  large: '{ claims: { large: "x".repeat(9000) } }',
}))
  test(`a script that gives back what it may not (${what}) lets nobody in`, async () => {
    const { slug, workspace } = await makePlace(lido, { code: `const postAuthentication = () => (${output})` })
    const browser = await signInAda(lido, slug)
    assert.equal(browser.page.step, 'denied', browser.page.url)
    assert.deepEqual(await refusalsOf(workspace.id), ['script'])
    const [event] = await rowsOf<{ data: Record<string, unknown> }>(
      lido,
      `select data from events where workspace_id = '${workspace.id}' and type = 'script.failed'`,
    )
    assert.equal(event?.data.on_failure, 'deny')
  })

test('a script that fails lets people in where its operator wants that, and an event tells', async () => {
  const code = 'const postAuthentication = () => { throw new Error("ada@example.org broke it") }'
  const { slug, workspace } = await makePlace(lido, { code, script: { on_failure: 'continue' } })
  assert.ok(isSignedIn(await signInAda(lido, slug)))
  const [event] = await rowsOf<{ data: Record<string, unknown> }>(
    lido,
    `select data from events where workspace_id = '${workspace.id}' and type = 'script.failed'`,
  )
  assert.equal(event?.data.why, 'threw')
  assert.doesNotMatch(JSON.stringify(event), /ada@/)
})

test('what somebody asks for cannot grow until a script has no room for it', async () => {
  const code = `const postAuthentication = ({ request }) => ({
    claims: { asked: request.scopes.concat(request.acr_values).length } })`
  const { slug } = await makePlace(lido, { code })
  const many = {
    scope: `openid ${Array.from({ length: 1_000 }, (_, n) => `s${n}`).join(' ')}`,
    acr_values: 'urn:lido:acr:1fa '.repeat(300).trim(),
  }
  const browser = await visit(lido, slug, many)
  await browser.submit({ identifier: 'ada@example.org' })
  await browser.submit({ password })
  const { body } = await redeem(lido, slug, browser)
  // Scopes that nobody knows are left out, and what is said often is said once.
  assert.equal(claimsOf(body.id_token).asked, 2)
})

test('a script may ask for a second factor, and runs once', async () => {
  const code =
    'const postAuthentication = ({ proofs }) => ({ require_second_factor: true, claims: { seen: proofs.length } })'
  const pool = { second_factor: 'off', second_factors: ['totp'] } as const
  const { slug, pool: kept, user } = await makePlace(lido, { code, pool: pool as never })
  const secret = await giveTotp(lido, kept, user)
  const browser = await signInAda(lido, slug)
  assert.equal(browser.page.step, 'prove', browser.page.html)
  await browser.submit({ code: codeFor(lido, secret) })
  const { body } = await redeem(lido, slug, browser)
  assert.equal(claimsOf(body.id_token).seen, 1)
})

test('a session lets nobody past what the script wants of another client', async () => {
  const code =
    "const postAuthentication = ({ client }) => client.id === 'app' ? { claims: { of: 'app' } } : { deny: { reason: 'Not here' } }"
  const { slug, workspace } = await makePlace(lido, { code })
  await makeClient(lido, workspace.id, { id: 'other' })
  const browser = await signInAda(lido, slug)
  assert.equal(claimsOf((await redeem(lido, slug, browser)).body.id_token).of, 'app')
  const again = await visit(lido, slug, { browser })
  assert.ok(isSignedIn(again), 'the same client was asked for already')
  const silent = await visit(lido, slug, { browser, client_id: 'other', prompt: 'none' })
  assert.equal(new URL(silent.page.url).searchParams.get('error'), 'interaction_required')
  const elsewhere = await visit(lido, slug, { browser, client_id: 'other' })
  assert.equal(elsewhere.page.step, 'denied')
})

test('what was said goes with a sign-out', async () => {
  const code = "let n = 0\nconst postAuthentication = ({ user }) => ({ claims: { at: user.metadata.n ?? 'first' } })"
  const { slug, user } = await makePlace(lido, { code })
  const browser = await signInAda(lido, slug)
  assert.equal(claimsOf((await redeem(lido, slug, browser)).body.id_token).at, 'first')
  await lido.services.db
    .updateTable('users')
    .set({ metadata: JSON.stringify({ n: 'second' }) })
    .where('id', '=', user)
    .execute()
  await browser.get(`${lido.url}/w/${slug}/logout`)
  await browser.submit({})
  const next = await signInAda(lido, slug)
  assert.equal(claimsOf((await redeem(lido, slug, next)).body.id_token).at, 'second')
})

test('claims come through a consent, too', async () => {
  const { slug } = await makePlace(lido, {
    code: returning({ claims: { plan: 'gold' } }),
    client: { first_party: false },
  })
  const browser = await signInAda(lido, slug)
  assert.equal(browser.page.step, 'consent', browser.page.html)
  await browser.submit({ decision: 'allow' })
  const { body } = await redeem(lido, slug, browser)
  assert.equal(claimsOf(body.id_token).plan, 'gold')
  assert.equal((await userinfo(slug, body.access_token)).plan, 'gold')
})

test('of twenty right passwords at once, one runs the script to a sign-in', async () => {
  const { slug, workspace } = await makePlace(lido, { code: returning({ claims: { plan: 'gold' } }) })
  const browser = await visitAs(lido, slug, 'ada@example.org')
  await atOnce(
    lido,
    browser,
    Array.from({ length: 20 }, () => ({ password })),
  )
  assert.equal(await countOf(lido, `events where workspace_id = '${workspace.id}' and type = 'sign_in.succeeded'`), 1)
})

test('the password grant obeys the script', async () => {
  const client = { grant_types: ['password', 'refresh_token'], scope: 'openid offline_access' } as never
  const grant = (slug: string) =>
    token(lido.url, slug, {
      grant_type: 'password',
      client_id: 'app',
      username: 'ada@example.org',
      password,
      scope: 'openid',
    })
  const told = await makePlace(lido, { code: returning({ claims: { plan: 'gold' } }), client })
  const { body } = await grant(told.slug)
  assert.equal(claimsOf(body.id_token).plan, 'gold', JSON.stringify(body))
  assert.equal((await userinfo(told.slug, body.access_token)).plan, 'gold')
  const denied = await makePlace(lido, { code: returning({ deny: { reason: 'No' } }), client })
  assert.equal((await grant(denied.slug)).body.error, 'access_denied')
  const second = await makePlace(lido, { code: returning({ require_second_factor: true }), client })
  assert.equal((await grant(second.slug)).body.error, 'mfa_required')
  const wrong = await token(lido.url, denied.slug, {
    grant_type: 'password',
    client_id: 'app',
    username: 'ada@example.org',
    password: 'wrong',
  })
  assert.equal(wrong.body.error, 'invalid_grant', 'nobody learns of the script without the password')
})

test('runs are kept with what they printed, and the next input where it was asked for', async () => {
  const code = "const postAuthentication = () => { console.log('hello from inside'); return {} }"
  const { slug, workspace, script } = await makePlace(lido, { code, script: { record_next: true } })
  assert.ok(isSignedIn(await signInAda(lido, slug)))
  assert.ok(isSignedIn(await signInAda(lido, slug)))
  const runs = () =>
    rowsOf<{ ok: boolean; logs: string }>(lido, `select * from script_runs where script_id = '${script?.id}'`)
  const samples = () =>
    rowsOf<{ input: { client: { id: string } } }>(
      lido,
      `select * from script_samples where workspace_id = '${workspace.id}'`,
    )
  for (let tries = 0; tries < 50 && ((await runs()).length < 2 || (await samples()).length < 1); tries += 1)
    await setTimeout(50)
  assert.equal((await runs()).length, 2)
  assert.ok((await runs()).every(({ ok, logs }) => ok && logs.includes('hello from inside')))
  const [sample, ...more] = await samples()
  assert.equal(sample?.input.client.id, 'app')
  assert.deepEqual(more, [])
})

test('a script that never ends does no harm to sign-ins elsewhere', async () => {
  const endless = await makePlace(lido, { code: 'const postAuthentication = () => { for (;;); }' })
  const fine = await makePlace(lido, { code: returning({ claims: { plan: 'gold' } }) })
  const plain = await makePlace(lido, {})
  const stuck = Array.from({ length: 4 }, () => signInAda(lido, endless.slug))
  const others = await Promise.all([signInAda(lido, fine.slug), signInAda(lido, plain.slug)])
  for (const other of others) assert.ok(isSignedIn(other), other.page.html)
  for (const browser of await Promise.all(stuck)) assert.ok(!isSignedIn(browser))
})

test('a script that is switched off is as if it were not there', async () => {
  const { slug } = await makePlace(lido, { code: returning({ deny: { reason: 'No' } }), script: { enabled: false } })
  assert.ok(isSignedIn(await signInAda(lido, slug)))
})
