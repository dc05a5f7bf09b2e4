import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import { pages } from './account/sections.ts'
import { linksOf, openAccount, sentBy } from './account-testing.ts'
import {
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  rowsOf,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { giveTotp, movableClock } from './second-factor-testing.ts'

const clock = movableClock()
const user_schema = {
  type: 'object',
  properties: {
    given_name: { type: 'string', title: 'Given name', maxLength: 20 },
    member: { type: 'string', title: 'Member number', readOnly: true },
    news: { type: 'boolean', title: 'News' },
  },
  required: ['given_name'],
}
let lido: TestLido
let pool: Pool
let other: Pool
let workspaceId: string
before(async () => {
  lido = await testLido({}, { clock })
  pool = await makePool(lido, 'holders', {
    user_schema,
    identifiers: ['email', 'mobile'],
    second_factor: 'optional',
    sign_in_methods: ['password', 'email_code', 'passkey'],
    password_policy: { breached: 'off' },
  })
  other = await makePool(lido, 'closed', { account_self_service: false })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  workspaceId = workspace.id
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'shop', client_name: 'Shop', first_party: false })
  const closed = await makeWorkspace(lido, 'closed', [{ pool: other }])
  await makeClient(lido, closed.id)
})
after(() => lido.stop())

const acme = '/w/acme/account'
const countEvents = async (userId: string, type: string): Promise<number> =>
  (
    await rowsOf<{ n: number }>(
      lido,
      `select count(*)::int as n from events where user_id = '${userId}' and type = '${type}'`,
    )
  )[0]?.n ?? 0

test('whoever is not signed in signs in first, and comes back to the page that they asked for', async () => {
  await makeUser(lido, pool, 'back@example.org')
  const at = await openAccount(lido, 'back@example.org', { path: '/sessions' })
  assert.equal(at.page.status, 200)
  assert.equal(at.page.step, 'account')
  assert.match(at.page.html, /this browser/)
  assert.match(at.page.headers.get('Content-Security-Policy') ?? '', /frame-ancestors 'none'/)
  assert.equal(at.page.headers.get('Cache-Control'), 'no-store')
})

test('the session of any application is enough, and a half-finished sign-in is not', async () => {
  const id = await makeUser(lido, pool, 'half@example.org')
  const secret = await giveTotp(lido, pool, id)
  const browser = await visitAs(lido, 'acme', 'half@example.org')
  await browser.submit({ password })
  assert.equal(browser.page.step, 'prove')
  await browser.get(acme)
  assert.equal(browser.page.step, 'identify')
  const whole = await openAccount(lido, 'half@example.org', { secret })
  assert.equal(whole.page.step, 'account')
  const app = await visit(lido, 'acme', { browser: whole })
  assert.ok(isSignedIn(app))
})

test('what comes back from the sign-in lets nobody in by itself', async () => {
  await makeUser(lido, pool, 'bound@example.org')
  const victim = openBrowser(lido.url)
  await victim.get(acme)
  const begun = new URL(victim.page.url)
  assert.match(begun.pathname, /signin/)
  const elsewhere = openBrowser(lido.url)
  await elsewhere.get(`${acme}/callback?code=abc&state=nothing`)
  assert.equal(elsewhere.page.status, 410)
  await elsewhere.get(begun.href)
  assert.equal(elsewhere.page.step, 'problem')
})

test('where a pool has no account page there is none', async () => {
  await makeUser(lido, other, 'closed@example.org')
  const browser = openBrowser(lido.url)
  await browser.get('/w/closed/account')
  await browser.submit({ identifier: 'closed@example.org' })
  await browser.submit({ password })
  assert.equal(browser.page.status, 403)
  assert.match(browser.page.html, /no account page/)
})

for (const page of pages.filter(({ post }) => post)) {
  test(`no form is taken at “${page.path}” without its token, or from elsewhere`, async () => {
    const name = `csrf-${page.path.replace(/\W/g, '')}@example.org`
    await makeUser(lido, pool, name)
    const at = await openAccount(lido, name)
    const address = `${acme}/${page.path.replace(':part', 'totp')}`
    await at.open('/sessions')
    const { csrf = '' } = hiddenOf(at.page.html)
    assert.equal((await at.post(address, {})).status, 403)
    assert.equal((await at.post(address, { csrf: 'wrong' })).status, 403)
    assert.equal((await at.post(address, { csrf }, { Origin: 'https://evil.example' })).status, 403)
    assert.equal((await at.post(address, { csrf }, { 'Sec-Fetch-Site': 'cross-site' })).status, 403)
    const stranger = `stranger-${name}`
    await makeUser(lido, pool, stranger)
    const theirs = await openAccount(lido, stranger)
    assert.equal((await theirs.post(address, { csrf })).status, 403)
  })
}

for (const page of pages.filter(({ sensitive }) => sensitive)) {
  test(`“${page.path}” asks for a fresh proof, and nothing is answered without one`, async () => {
    const name = `old-${page.path.replace(/\W/g, '')}@example.org`
    const id = await makeUser(lido, pool, name)
    const at = await openAccount(lido, name)
    await at.open('/sessions')
    const { csrf = '' } = hiddenOf(at.page.html)
    clock.pass(601)
    const address = `${acme}/${page.path.replace(':part', 'email')}`
    await at.get(address)
    assert.equal(at.page.step, 'identify')
    if (page.post) {
      await at.post(address, {
        csrf,
        sure: 'true',
        password,
        new_password: 'entirely new phrase here',
        action: 'remove',
      })
      assert.equal(at.page.step, 'identify')
    }
    const [user] = await rowsOf<{ status: string }>(lido, `select status from users where id = '${id}'`)
    assert.equal(user?.status, 'active')
    assert.equal(await countEvents(id, 'user.password_set'), 0)
  })
}

test('the proof is at the strongest level: who has an authenticator proves that, too', async () => {
  const id = await makeUser(lido, pool, 'strong@example.org')
  const at = await openAccount(lido, 'strong@example.org')
  const secret = await giveTotp(lido, pool, id)
  await at.get(`${acme}/password`)
  assert.equal(at.page.step, 'identify')
  await at.submit({ identifier: 'strong@example.org' })
  await at.submit({ password })
  assert.equal(at.page.step, 'prove')
  const stepped = await openAccount(lido, 'strong@example.org', { secret, path: '/password' })
  assert.equal(stepped.page.step, 'account')
})

test('somebody else who signs in at the proof does not go on with what was begun', async () => {
  await makeUser(lido, pool, 'one@example.org')
  await makeUser(lido, pool, 'two@example.org')
  const at = await openAccount(lido, 'one@example.org')
  clock.pass(601)
  await at.get(`${acme}/data/delete`)
  await at.submit({ identifier: 'two@example.org' })
  await at.submit({ password })
  assert.equal(new URL(at.page.url).pathname, acme)
  assert.match(at.page.html, /two<wbr>@example\.org/)
  assert.doesNotMatch(at.page.html, /one<wbr>@/)
})

test('the profile is changed by its schema; what is read-only is shown, and anything else is refused', async () => {
  const profile = { given_name: 'Ada', member: 'M-1', nested: { kept: true } }
  const id = await makeUser(lido, pool, 'profile@example.org', { profile })
  const at = await openAccount(lido, 'profile@example.org', { path: '/profile' })
  assert.match(at.page.html, /M-1/)
  assert.doesNotMatch(at.page.html, /name="member"/)
  await at.submit({ given_name: 'Grace', news: '' })
  assert.match(at.page.html, /Your details are saved/)
  assert.equal((await at.send('/profile', { given_name: 'X', member: 'M-2' })).status, 400)
  await at.open('/profile')
  await at.submit({ given_name: '' })
  assert.match(at.page.html, /aria-invalid="true"/)
  const [row] = await rowsOf<{ profile: unknown }>(lido, `select profile from users where id = '${id}'`)
  assert.deepEqual(row?.profile, { given_name: 'Grace', member: 'M-1', nested: { kept: true }, news: false })
  assert.equal(await countEvents(id, 'user.updated'), 1)
})

test('of twenty changes of one profile at once one is made, and the others are asked again with what they typed', async () => {
  const id = await makeUser(lido, pool, 'many@example.org', { profile: { given_name: 'Ada' } })
  const at = await openAccount(lido, 'many@example.org', { path: '/profile' })
  const hidden = hiddenOf(at.page.html)
  const cookie = [...at.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      fetch(`${lido.url}${acme}/profile`, {
        method: 'POST',
        redirect: 'manual',
        headers: { Cookie: cookie, Origin: lido.url },
        body: new URLSearchParams({ ...hidden, given_name: `Name ${n}` }),
      }),
    ),
  )
  assert.equal(answers.filter(({ status }) => status === 303).length, 1)
  assert.equal(answers.filter(({ status }) => status === 200).length, 19)
  assert.equal(await countEvents(id, 'user.updated'), 1)
})

test('a new password needs the old one, ends every other session, and keeps this one', async () => {
  const id = await makeUser(lido, pool, 'pass@example.org')
  const elsewhere = await openAccount(lido, 'pass@example.org')
  const app = await visitAs(lido, 'acme', 'pass@example.org')
  await app.submit({ password })
  const { body } = await redeem(lido, 'acme', app)
  const at = await openAccount(lido, 'pass@example.org', { path: '/password' })
  await at.submit({ password: 'not the one', new_password: 'entirely new phrase here' })
  assert.match(at.page.html, /This is not your password/)
  await at.submit({ password, new_password: 'short' })
  assert.match(at.page.html, /12 characters/)
  await at.submit({ password, new_password: 'entirely new phrase here' })
  assert.match(at.page.html, /You are signed out everywhere else/)
  await at.open('/sessions')
  assert.equal(at.page.step, 'account')
  await elsewhere.get(`${acme}/sessions`)
  assert.equal(elsewhere.page.step, 'identify')
  const fields = { grant_type: 'refresh_token', client_id: 'app', refresh_token: body.refresh_token ?? '' }
  assert.equal((await token(lido.url, 'acme', fields)).status, 400)
  assert.match((await lido.message('pass@example.org')).subject, /password/)
  assert.equal(await countEvents(id, 'user.password_set'), 1)
  await openAccount(lido, 'pass@example.org', { password: 'entirely new phrase here' })
})

test('whoever has no password chooses one', async () => {
  const id = await makeUser(lido, pool, 'none@example.org', { password: null })
  const browser = openBrowser(lido.url)
  await browser.get(`${acme}/password`)
  await browser.submit({ identifier: 'none@example.org' })
  await browser.get(`${browser.page.url.split('?')[0]}?view=another`)
  await browser.submit({ method: 'email_code' })
  await browser.submit({ code: (await lido.message('none@example.org')).code })
  assert.equal(browser.page.step, 'account', browser.page.html)
  assert.doesNotMatch(browser.page.html, /Current password/)
  await browser.submit({ new_password: 'entirely new phrase here' })
  assert.match(browser.page.html, /Your new password is set/)
  assert.equal(await countEvents(id, 'user.password_set'), 1)
})

test('sessions are listed with their browsers, and end one by one or all but this one', async () => {
  const id = await makeUser(lido, pool, 'where@example.org')
  const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  const firefox = await openAccount(lido, 'where@example.org', { agent })
  const third = await openAccount(lido, 'where@example.org')
  const at = await openAccount(lido, 'where@example.org', { path: '/sessions' })
  const [one = '', two = ''] = sentBy(at, 'end').filter((value) => value !== 'others')
  assert.ok(one && two)
  await at.send('/sessions', { end: one })
  assert.match(at.page.html, /You are signed out there/)
  const left = [firefox, third].map(async (browser) => (await browser.get(acme)).step)
  assert.deepEqual((await Promise.all(left)).sort(), ['account', 'identify'])
  await at.send('/sessions', { end: 'others' })
  assert.equal(sentBy(at, 'end').filter((value) => value !== 'others').length, 0)
  assert.equal((await third.get(acme)).step, 'identify')
  assert.equal((await firefox.get(acme)).step, 'identify')
  assert.equal((await at.send('/sessions', { end: two })).status, 404)
  assert.equal(await countEvents(id, 'user.sessions_ended'), 2)
})

test('an application that can be begun from here is, with whoever is signed in', async () => {
  await makeUser(lido, pool, 'begin@example.org')
  const initiate_login_uri = 'https://begin.example.test/login?from=account'
  await makeClient(lido, workspaceId, { id: 'begins', client_name: 'Begins', initiate_login_uri })
  const browser = await visit(lido, 'acme', { client_id: 'begins' })
  await browser.submit({ identifier: 'begin@example.org' })
  await browser.submit({ password })
  const at = await openAccount(lido, 'begin@example.org', { path: '/applications' })
  const [, href = ''] = at.page.html.match(/href="(https:\/\/begin\.example\.test[^"]+)"/) ?? []
  const { searchParams } = new URL(href.replaceAll('&amp;', '&'))
  assert.deepEqual(Object.fromEntries(searchParams), {
    from: 'account',
    iss: `${lido.url}/w/acme`,
    login_hint: 'begin@example.org',
  })
})

test('applications are listed, and lose their tokens when they are removed', async () => {
  const id = await makeUser(lido, pool, 'apps@example.org')
  const app = await visit(lido, 'acme', { client_id: 'shop', scope: 'openid offline_access email', prompt: 'consent' })
  await app.submit({ identifier: 'apps@example.org' })
  await app.submit({ password })
  assert.equal(app.page.step, 'consent')
  await app.submit({ decision: 'allow' })
  const code = new URL(app.page.url).searchParams.get('code') ?? ''
  const redeemed = await token(lido.url, 'acme', {
    grant_type: 'authorization_code',
    client_id: 'shop',
    code,
    redirect_uri: 'https://app.example.test/callback',
    code_verifier: app.verifier,
  })
  assert.equal(redeemed.status, 200)
  const at = await openAccount(lido, 'apps@example.org', { path: '/applications' })
  assert.match(at.page.html, /Shop/)
  assert.match(at.page.html, /Lasting access/)
  assert.equal((await at.send('/applications', { client: 'shop' })).status, 200)
  assert.match(at.page.html, /no access any more/)
  const fields = { grant_type: 'refresh_token', client_id: 'shop', refresh_token: redeemed.body.refresh_token ?? '' }
  assert.equal((await token(lido.url, 'acme', fields)).status, 400)
  assert.equal((await at.send('/applications', { client: 'shop' })).status, 404)
  assert.equal((await at.send('/applications', { client: 'nothing' })).status, 404)
  assert.equal(await countEvents(id, 'consent.revoked'), 1)
})

test('what happened is told in plain words, in the language of the browser', async () => {
  await makeUser(lido, pool, 'told@example.org')
  const at = await openAccount(lido, 'told@example.org')
  await at.get(`${acme}/activity`, { 'Accept-Language': 'de' })
  assert.match(at.page.html, /Angemeldet/)
  await at.get(`${acme}/activity`)
  assert.match(at.page.html, /Signed in/)
})

test('the copy holds what is somebody’s own, and nothing that proves who they are', async () => {
  const id = await makeUser(lido, pool, 'copy@example.org', { profile: { given_name: 'Ada' } })
  await rowsOf(lido, `update users set metadata = '{"score":"internal-canary"}' where id = '${id}'`)
  const at = await openAccount(lido, 'copy@example.org')
  await at.open('/data/download')
  assert.equal(at.page.headers.get('Content-Disposition'), 'attachment; filename="account.json"')
  const copy = JSON.parse(at.page.html)
  assert.equal(copy.id, id)
  assert.deepEqual(copy.identifiers, [{ type: 'email', value: 'copy@example.org', verified: true }])
  assert.equal(copy.profile.given_name, 'Ada')
  assert.equal(copy.sessions.length, 1)
  assert.ok(copy.events.some(({ type }: { type: string }) => type === 'sign_in.succeeded'))
  assert.doesNotMatch(at.page.html, /argon2|internal-canary|"hash"/)
  assert.equal(await countEvents(id, 'user.data_downloaded'), 1)
})

test('nothing of somebody else is reached by its id', async () => {
  const id = await makeUser(lido, pool, 'victim@example.org')
  const secret = await giveTotp(lido, pool, id)
  const consent = { workspaceId, clientId: 'shop', userId: id, poolId: pool.id, scopes: ['openid'] }
  await lido.services.db.insertInto('consents').values(consent).execute()
  const [held] = await rowsOf<{ id: string }>(
    lido,
    `select id from credentials where user_id = '${id}' and kind = 'totp'`,
  )
  const own = await openAccount(lido, 'victim@example.org', { secret, path: '/identifiers' })
  const [address = ''] = linksOf(own, `${acme}/identifiers/`)
  clock.pass(60)
  await openAccount(lido, 'victim@example.org', { secret })
  await own.open('/sessions')
  const [session = ''] = sentBy(own, 'end').filter((value) => value !== 'others')
  assert.ok(held && address && session)
  await makeUser(lido, pool, 'mallory@example.org')
  const at = await openAccount(lido, 'mallory@example.org')
  for (const path of [address, `${acme}/factors/${held.id}`]) {
    assert.equal((await at.get(path)).status, 404)
    assert.equal(
      (await at.send(path.slice(acme.length), { action: 'remove', identifier: 'evil@example.org' })).status,
      404,
    )
  }
  assert.equal((await at.send('/sessions', { end: session })).status, 404)
  assert.equal((await at.send('/sessions', { forget: held.id })).status, 404)
  assert.equal((await at.send('/applications', { client: 'shop' })).status, 404)
  await own.open('/sessions')
  assert.ok(sentBy(own, 'end').includes(session))
})

test('a sign-in that came to nothing leads to no page, and to no circle', async () => {
  const leaving = await fetch(`${lido.url}${acme}/password`, { redirect: 'manual' })
  assert.equal(leaving.status, 303)
  const asked = new URL(leaving.headers.get('Location') ?? '', lido.url)
  const state = asked.searchParams.get('state') ?? ''
  const browser = openBrowser(lido.url)
  await browser.get(`${acme}/callback?error=access_denied&state=${state}`)
  assert.equal(browser.page.status, 403)
  await browser.get(`${acme}/callback?code=abc&state=${state}`)
  assert.equal(browser.page.status, 410)
  await browser.get(`/w/closed/account/callback?code=abc&state=${state}`)
  assert.equal(browser.page.status, 410)
})

test('nobody redeems the code of the account page', async () => {
  await makeUser(lido, pool, 'code@example.org')
  const leaving = await fetch(`${lido.url}${acme}`, { redirect: 'manual' })
  const { searchParams } = new URL(leaving.headers.get('Location') ?? '', lido.url)
  const answer = await token(lido.url, 'acme', {
    grant_type: 'authorization_code',
    client_id: '~account',
    code: 'abc',
    redirect_uri: searchParams.get('redirect_uri') ?? '',
    code_verifier: 'v'.repeat(43),
  })
  assert.equal(answer.status, 400)
  assert.equal(answer.body.error, 'invalid_grant')
  assert.equal(searchParams.get('code_challenge_method'), 'S256')
})
