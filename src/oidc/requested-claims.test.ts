import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { type Browser, openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  callback,
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
  userinfo,
} from './fixtures-testing.ts'
import { makeSigner, push } from './signer-testing.ts'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let signer: Awaited<ReturnType<typeof makeSigner>>
before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  signer = await makeSigner()
  const { db } = lido.services
  await sql`update connections set mapping = '{"badge": "profile.badge"}' where id = ${workspace.connections[0]}`.execute(
    db,
  )
  await workspace.client('spa')
  await workspace.client('mail', { scope: 'openid email offline_access' })
  await workspace.client('third', { first_party: false })
  await workspace.client('other', { first_party: false })
  await workspace.client('signing', { first_party: false, jwks: signer.jwks as never })
  await workspace.client('paired', { subject_type: 'pairwise' })
  await workspace.client('paired-too', {
    subject_type: 'pairwise',
    redirect_uris: ['https://other.example/callback'],
  })
})
after(() => lido.stop())

const profile = { given_name: 'Ada', family_name: 'Byron', locale: 'en', badge: 'B-7' }
const asking = (claims: unknown) => ({ claims: typeof claims === 'string' ? claims : JSON.stringify(claims) })

/** What the tokens of a sign-in tell, in the ID token and at userinfo. */
const toldBy = async (tokens: { id: string; access: string }) => ({
  id: payloadOf(tokens.id),
  info: (await userinfo(workspace.issuer, tokens.access)).body,
})

test('a claim is told where it was asked for, and there alone, also after a refresh', async () => {
  await people.user('ada@example.org', profile)
  const claims = { id_token: { email: { essential: true }, badge: null }, userinfo: { given_name: null } }
  const tokens = await tokensOf(lido, workspace, 'ada@example.org', { scope: 'openid', ...asking(claims) })
  const check = async (now: { id: string; access: string }) => {
    const { id, info } = await toldBy(now)
    assert.deepEqual(
      [id.email, id.badge, id.given_name, id.email_verified],
      ['ada@example.org', 'B-7', undefined, undefined],
    )
    assert.deepEqual(
      [info.email, info.badge, info.given_name, info.family_name],
      [undefined, undefined, 'Ada', undefined],
    )
  }
  await check(tokens)
  const once = tokensFrom(await refresh(workspace.issuer, tokens.refresh))
  await check(once)
  await check(tokensFrom(await refresh(workspace.issuer, once.refresh)))
})

test('what the next sign-in does not ask for it is not told, although the person once let it be told', async () => {
  await people.user('again@example.org', profile)
  const first = await tokensOf(lido, workspace, 'again@example.org', {
    scope: 'openid',
    ...asking({ id_token: { email: null }, userinfo: { email: null } }),
  })
  assert.equal((await toldBy(first)).info.email, 'again@example.org')
  const signedIn = await signIn(lido, workspace, '', { scope: 'openid' }, first.browser)
  const { id, info } = await toldBy(tokensFrom(await redeem(workspace.issuer, signedIn)))
  assert.deepEqual(['email' in id, 'email' in info], [false, false])
})

test('a claim that no scope of the client carries is ignored, and so is one that nobody knows', async () => {
  await people.user('mail@example.org', profile)
  const all = {
    email: null,
    given_name: null,
    groups: { essential: true },
    badge: null,
    made_up: null,
    'name#ja': null,
  }
  const tokens = await tokensOf(lido, workspace, 'mail@example.org', {
    client_id: 'mail',
    scope: 'openid',
    ...asking({ id_token: all, userinfo: all, other: { email: null } }),
  })
  const { id, info } = await toldBy(tokens)
  for (const told of [id, info]) {
    assert.equal(told.email, 'mail@example.org')
    for (const name of ['given_name', 'groups', 'badge', 'made_up', 'name#ja']) assert.equal(name in told, false, name)
  }
})

test('groups, roles and permissions are told one by one', async () => {
  await people.user('roles@example.org', profile)
  const claims = { id_token: { groups: null }, userinfo: { permissions: null } }
  const { id, info } = await toldBy(
    await tokensOf(lido, workspace, 'roles@example.org', { scope: 'openid', ...asking(claims) }),
  )
  assert.deepEqual([id.groups, 'permissions' in id, 'roles' in id], [[], false, false])
  assert.deepEqual([info.permissions, 'groups' in info, 'roles' in info], [[], false, false])
})

test('a claim that is asked for with a value is told with that value or not at all', async () => {
  await people.user('values@example.org', profile)
  const claims = {
    id_token: { given_name: { value: 'Ada' }, family_name: { value: 'Other', essential: true } },
    userinfo: { locale: { values: ['de', 'en'] }, nickname: { value: 'x' }, given_name: { values: [] } },
  }
  const { id, info } = await toldBy(
    await tokensOf(lido, workspace, 'values@example.org', { scope: 'openid', ...asking(claims) }),
  )
  assert.deepEqual([id.given_name, 'family_name' in id], ['Ada', false])
  assert.deepEqual([info.locale, 'nickname' in info, 'given_name' in info], ['en', false, false])
})

test('a sign-in is for the person that sub names, and for nobody else', async () => {
  const ada = await people.user('sub-a@example.org')
  const ben = await people.user('sub-b@example.org')
  const { browser } = await signIn(lido, workspace, 'sub-a@example.org')
  const ask = (asked: unknown, more = {}, who = '', where: Browser = browser) =>
    signIn(lido, workspace, who, { ...asking(asked), ...more }, where)
  for (const asked of [
    { id_token: { sub: { value: ada } } },
    { id_token: { sub: { values: [ben, ada] } } },
    { userinfo: { sub: { value: ada } } },
    { id_token: { sub: null } },
  ])
    assert((await ask(asked, { prompt: 'none' })).code, JSON.stringify(asked))
  for (const asked of [
    { id_token: { sub: { value: ben } } },
    { id_token: { sub: { values: [] } } },
    { userinfo: { sub: { value: ben } } },
    { id_token: { sub: { value: ada } }, userinfo: { sub: { value: ben } } },
  ]) {
    const { at, code } = await ask(asked, { prompt: 'none' })
    assert.deepEqual([code, at.searchParams.get('error')], ['', 'login_required'], JSON.stringify(asked))
  }
  const right = await ask({ id_token: { sub: { value: ben } } }, {}, 'sub-b@example.org', openBrowser(lido.url))
  assert.equal(payloadOf(tokensFrom(await redeem(workspace.issuer, right)).id).sub, ben)
  const wrong = await ask({ id_token: { sub: { value: ben } } }, {}, 'sub-a@example.org', openBrowser(lido.url))
  assert.deepEqual([wrong.code, wrong.at.searchParams.get('error')], ['', 'login_required'])
  assert.equal(wrong.at.origin + wrong.at.pathname, callback)
})

test('clients of another sector cannot find out by sub whether somebody is the person they know', async () => {
  const ada = await people.user('pair@example.org')
  const tokens = await tokensOf(lido, workspace, 'pair@example.org', {
    client_id: 'paired',
    scope: 'openid',
    ...asking({ id_token: { email: null, sub: null }, userinfo: { sub: null, idp: null } }),
  })
  const { id, info } = await toldBy(tokens)
  assert.deepEqual([id.email, id.sub === info.sub, id.sub === ada], ['pair@example.org', true, false])
  assert.equal(JSON.stringify([id, info]).includes(ada), false)
  const ask = (sub: unknown, more: Record<string, string>) => {
    const params = { prompt: 'none', ...asking({ id_token: { sub: { value: sub } } }), ...more }
    return signIn(lido, workspace, '', params, tokens.browser)
  }
  assert((await ask(id.sub, { client_id: 'paired' })).code)
  assert.equal((await ask(ada, { client_id: 'paired' })).at.searchParams.get('error'), 'login_required')
  const elsewhere = { client_id: 'paired-too', redirect_uri: 'https://other.example/callback' }
  for (const sub of [id.sub, ada])
    assert.equal((await ask(sub, elsewhere)).at.searchParams.get('error'), 'login_required')
})

test('what is no claims parameter is refused with a reason', async () => {
  const deep = `{"id_token":{"email":${'{"value":'.repeat(400)}1${'}'.repeat(400)}}}`
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`c${index}`, null]))
  const wrong: [string | object, RegExp][] = [
    ['{', /JSON/],
    ['"text"', /JSON object/],
    ['[]', /JSON object/],
    ['null', /JSON object/],
    [{}, /userinfo or id_token/],
    [{ id_token: [] }, /id_token should be an object/],
    [{ userinfo: 'email' }, /userinfo should be an object/],
    [{ id_token: { email: 'x' } }, /claims\.id_token\.email has the wrong shape/],
    [{ id_token: { email: true } }, /claims\.id_token\.email has the wrong shape/],
    [{ userinfo: { email: [] } }, /claims\.userinfo\.email has the wrong shape/],
    [{ userinfo: { email: { essential: 'yes' } } }, /claims\.userinfo\.email has the wrong shape/],
    [{ userinfo: { email: { values: 'x' } } }, /claims\.userinfo\.email has the wrong shape/],
    [{ userinfo: { address: { value: { country: 'DE' } } } }, /claims\.userinfo\.address has the wrong shape/],
    [{ id_token: { sub: { value: 7 } } }, /claims\.id_token\.sub has the wrong shape/],
    [{ id_token: { acr: { values: [1] } } }, /claims\.id_token\.acr has the wrong shape/],
    ['{"id_token":{"__proto__":{"essential":true}}}', /what cannot be a claim/],
    ['{"userinfo":{"constructor":null}}', /what cannot be a claim/],
    [{ id_token: many }, /more than 100 claims/],
    [{ id_token: { email: { value: 'x'.repeat(1001) } } }, /wrong shape/],
    [{ userinfo: { email: { value: 'a\0b' } } }, /claims\.userinfo\.email has the wrong shape/],
    ['{"id_token":{"given_name":{"values":["\\ud800"]}}}', /claims\.id_token\.given_name has the wrong shape/],
    [{ id_token: { sub: { value: 'a\0b' } } }, /claims\.id_token\.sub has the wrong shape/],
    [{ id_token: { made_up: 'x'.repeat(9000) } }, /longer than 8192/],
    [deep, /wrong shape/],
  ]
  for (const [claims, reason] of wrong) {
    const { at, code } = await signIn(lido, workspace, '', asking(claims))
    assert.deepEqual([code, at.searchParams.get('error')], ['', 'invalid_request'], String(claims).slice(0, 80))
    assert.match(at.searchParams.get('error_description') ?? '', reason)
    const { status, body } = await push(workspace, {
      ...{ response_type: 'code', client_id: 'spa', redirect_uri: callback, scope: 'openid' },
      ...{ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' },
      ...asking(claims),
    })
    assert.deepEqual([status, body.error], [400, 'invalid_request'])
  }
  assert.equal(({} as { essential?: boolean }).essential, undefined)
})

/** Asks in a browser for what a third party wants; answers what the person saw, and agrees where asked. */
const seen = async (email: string, params: Record<string, string>, browser = openBrowser(lido.url)) => {
  const signedIn = await signIn(lido, workspace, email, { client_id: 'third', scope: 'openid', ...params }, browser)
  const { page, submit } = browser
  const shown = page.step === 'consent' ? [...page.html.matchAll(/scope-name">([^<]*)</g)].map(([, name]) => name) : []
  if (page.step === 'consent') await submit({ decision: 'allow' })
  const at = new URL(browser.page.url)
  return {
    shown,
    verifier: signedIn.verifier,
    code: at.searchParams.get('code') ?? '',
    error: at.searchParams.get('error'),
  }
}

const openid = 'Who you are'

test('people are asked for each claim of a third party, once, and again only for more', async () => {
  const email = 'asked@example.org'
  await people.user(email, profile)
  const first = asking({ id_token: { email: null }, userinfo: { birthdate: { essential: true } } })
  const { shown, ...back } = await seen(email, first)
  assert.deepEqual(shown, [openid, 'Email address', 'Date of birth'])
  const told = await toldBy(tokensFrom(await redeem(workspace.issuer, back, { client_id: 'third' })))
  assert.deepEqual([told.id.email, 'email' in told.info], [email, false])
  assert.deepEqual((await seen(email, first)).shown, [])
  assert.deepEqual((await seen(email, asking({ userinfo: { email: null } }))).shown, [])
  const more = asking({ userinfo: { email: null, given_name: null, badge: null } })
  assert.deepEqual((await seen(email, more)).shown, [openid, 'Email address', 'Given name', 'badge'])
  const both = asking({ userinfo: { email: null, given_name: null, badge: null, birthdate: null } })
  assert.deepEqual((await seen(email, both)).shown, [])
  assert.deepEqual((await seen(email, { client_id: 'other', ...first })).shown, [
    openid,
    'Email address',
    'Date of birth',
  ])
  const event = await lido.services.db
    .selectFrom('events')
    .select('data')
    .where('type', '=', 'consent.given')
    .where('clientId', '=', 'other')
    .executeTakeFirstOrThrow()
  assert.deepEqual(event.data, { scopes: ['openid'], claims: ['email', 'birthdate'] })
})

test('a claim that comes with a scope they agreed to is no question of its own', async () => {
  const email = 'carried@example.org'
  await people.user(email, profile)
  const claims = asking({ id_token: { email: null } })
  const { shown, ...back } = await seen(email, { scope: 'openid email', ...claims })
  assert.deepEqual(shown, [openid, 'Email'])
  assert.equal(payloadOf(tokensFrom(await redeem(workspace.issuer, back, { client_id: 'third' })).id).email, email)
  const later = await seen(email, claims)
  assert.deepEqual(later.shown, [])
  assert.equal(payloadOf(tokensFrom(await redeem(workspace.issuer, later, { client_id: 'third' })).id).email, email)
  // The other way round the scope is more than the claim.
  const narrow = 'narrow@example.org'
  await people.user(narrow, profile)
  assert.deepEqual((await seen(narrow, claims)).shown, [openid, 'Email address'])
  assert.deepEqual((await seen(narrow, { scope: 'openid email', ...claims })).shown, [openid, 'Email'])
})

test('nobody gets around the question: not by prompt=none, not by a pushed or signed request', async () => {
  const email = 'around@example.org'
  await people.user(email, profile)
  const browser = openBrowser(lido.url)
  assert.deepEqual((await seen(email, {}, browser)).shown, [openid])
  const claims = { id_token: { email: null }, userinfo: { email: null } }
  assert.equal((await seen('', { prompt: 'none', ...asking(claims) }, browser)).error, 'consent_required')
  const base = { response_type: 'code', scope: 'openid', redirect_uri: callback, client_id: 'third' }
  const pkce = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' }
  const pushed = await push(workspace, { ...base, ...pkce, ...asking(claims) })
  assert.equal(pushed.status, 201, pushed.text)
  await browser.get(
    `${workspace.issuer}/authorize?${new URLSearchParams({ client_id: 'third', request_uri: String(pushed.body.request_uri) })}`,
  )
  assert.equal(browser.page.step, 'consent')
  assert.match(browser.page.html, /Email address/)
  await browser.submit({ decision: 'deny' })
  assert.equal(new URL(browser.page.url).searchParams.get('error'), 'access_denied')
  const request = await signer.request(workspace.issuer, 'signing', { ...base, ...pkce, client_id: 'signing', claims })
  await browser.get(`${workspace.issuer}/authorize?${new URLSearchParams({ client_id: 'signing', request })}`)
  assert.equal(browser.page.step, 'consent')
  assert.match(browser.page.html, /Email address/)
  // What stands beside a signed request counts for nothing.
  const plain = await signer.request(workspace.issuer, 'signing', { ...base, ...pkce, client_id: 'signing' })
  const beside = new URLSearchParams({ client_id: 'signing', request: plain, ...asking(claims) })
  await browser.get(`${workspace.issuer}/authorize?${beside}`)
  assert.equal(browser.page.step, 'consent')
  assert.doesNotMatch(browser.page.html, /Email address/)
})
