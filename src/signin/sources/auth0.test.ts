import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { SignJWT } from 'jose'
import type { Identifier } from '../../directory/identifiers.ts'
import { fixedClock } from '../../platform/clock.ts'
import type { Fetch } from '../../platform/fetch.ts'
import { auth0 } from './auth0.ts'
import { type Auth0Double, openAuth0Double } from './auth0-testing.ts'
import { emailOf, sourceTools } from './double-testing.ts'
import type { Checked, OpenSource } from './source.ts'

const password = 'canary horse battery staple'
const alone = { management_client_id: undefined, management_client_secret: undefined }

const doubles: Auth0Double[] = []
after(() => Promise.all(doubles.map((double) => double.close())))

const openDouble = async (): Promise<Auth0Double> => {
  const double = await openAuth0Double()
  doubles.push(double)
  double.add({ email: 'ada@example.org', password, name: 'Ada' })
  return double
}

const signIn = (source: OpenSource, identifier: Identifier = emailOf('ada@example.org')): Promise<Checked> =>
  source.check({ identifier, password, ip: '203.0.113.7' })

const bodies = (double: Auth0Double, path: string) =>
  double.seen.filter(({ url }) => url.pathname === path).map(({ body }) => JSON.parse(body))

const managementTokens = (double: Auth0Double): number =>
  bodies(double, '/oauth/token').filter(({ grant_type }) => grant_type === 'client_credentials').length

test('sends name, password and the person’s address as the password-realm grant wants them', async () => {
  const double = await openDouble()
  assert.equal((await signIn(double.open(), emailOf('Ada@Example.org'))).is, 'ok')
  const [asked] = double.seen
  assert.equal(asked?.headers['auth0-forwarded-for'], '203.0.113.7')
  assert.deepEqual(bodies(double, '/oauth/token')[0], {
    grant_type: 'http://auth0.com/oauth/grant-type/password-realm',
    client_id: double.settings.client_id,
    client_secret: double.settings.client_secret,
    username: 'ada@example.org',
    password,
    scope: 'openid profile email phone',
    realm: 'Username-Password-Authentication',
  })
})

test('uses the plain password grant where no realm is named, and an audience where one is', async () => {
  const double = await openDouble()
  const source = double.open(undefined, { realm: undefined, audience: 'https://api.example.org' })
  const answer = await signIn(source)
  assert.equal(answer.is === 'ok' && answer.user.externalId, 'auth0|1000')
  const { grant_type, realm, audience } = bodies(double, '/oauth/token')[0]
  assert.deepEqual([grant_type, realm, audience], ['password', undefined, 'https://api.example.org'])
  const found = await source.find({ identifier: emailOf('ada@example.org') })
  assert.equal(found.is === 'ok' && found.user.externalId, 'auth0|1000')
})

test('tells of somebody everything but tokens', async () => {
  const double = await openDouble()
  Object.assign(double.users[0] ?? {}, {
    app_metadata: { organisation: 'acme', plan: 'gold' },
    family_name: 'Lovelace',
  })
  const answer = await signIn(double.open())
  assert.ok(answer.is === 'ok')
  const { claims, ...user } = answer.user
  assert.deepEqual(user, {
    externalId: 'auth0|1000',
    identifiers: [{ kind: 'email', typed: 'ada@example.org', verified: true }],
    profile: { name: 'Ada', family_name: 'Lovelace' },
    roles: [],
    groups: [],
    tenant: 'acme',
  })
  assert.deepEqual(claims.app_metadata, { organisation: 'acme', plan: 'gold' })
  assert.deepEqual(claims.identities, [
    { connection: 'Username-Password-Authentication', provider: 'auth0', user_id: '1000' },
  ])
  assert.doesNotMatch(JSON.stringify(answer), /canary/)
})

test('asks for one management token however many sign in at once, and keeps it until it expires', async () => {
  const double = await openDouble()
  const clock = fixedClock(new Date())
  const source = double.open(undefined, {}, clock)
  const find = () => source.find({ identifier: emailOf('ada@example.org') })
  const answers = await Promise.all(Array.from({ length: 20 }, find))
  for (const { is } of answers) assert.equal(is, 'ok')
  assert.equal(managementTokens(double), 1)
  clock.advance(86_330_000)
  await find()
  assert.equal(managementTokens(double), 1)
  clock.advance(20_000)
  await Promise.all([find(), find(), find()])
  assert.equal(managementTokens(double), 2)
})

test('gets another management token where one is refused, once', async () => {
  const double = await openDouble()
  const source = double.open()
  const find = () => source.find({ identifier: emailOf('ada@example.org') })
  await find()
  double.revoke()
  const answers = await Promise.all(Array.from({ length: 20 }, find))
  for (const { is } of answers) assert.equal(is, 'ok')
  assert.equal(managementTokens(double), 2)
  double.revoke(true)
  const answer = await find()
  assert.ok(answer.is === 'misconfigured')
  assert.match(answer.detail, /does not take the token/)
  assert.equal(managementTokens(double), 3)
})

test('remembers no failure to get a management token', async () => {
  const double = await openDouble()
  const source = double.open()
  double.behave('error')
  assert.equal((await source.find({ identifier: emailOf('ada@example.org') })).is, 'unavailable')
  double.behave(undefined)
  assert.equal((await source.find({ identifier: emailOf('ada@example.org') })).is, 'ok')
})

test('reads roles page by page', async () => {
  const double = await openDouble()
  const roles = Array.from({ length: 230 }, (_, index) => `role ${index}`)
  double.add({ email: 'grace@example.org', password, roles })
  const answer = await signIn(double.open(), emailOf('grace@example.org'))
  assert.deepEqual(answer.is === 'ok' && answer.user.roles, roles)
  const pages = double.seen.filter(({ url }) => url.pathname.endsWith('/roles'))
  assert.deepEqual(
    pages.map(({ url }) => [url.pathname, url.searchParams.get('page'), url.searchParams.get('per_page')]),
    ['0', '1', '2'].map((page) => ['/api/v2/users/auth0%7C1002/roles', page, '100']),
  )
})

test('names the scope that is missing, to whoever signs in and to whoever tries the settings', async () => {
  for (const [scope, other] of [
    ['read:users', 'read:roles'],
    ['read:roles', 'read:users'],
  ] as const) {
    const double = await openDouble()
    double.scopes.splice(0, 2, other)
    const answer = await signIn(double.open())
    assert.ok(answer.is === 'misconfigured')
    assert.match(answer.detail, new RegExp(scope))
    const tried = await double.open().test()
    assert.ok(tried.some(({ ok, detail }) => !ok && detail.includes(scope)))
  }
})

test('lists more than the thousand users that one search gives, each once', async () => {
  const double = await openDouble()
  for (let index = 0; index < 1_150; index += 1) double.add({ email: `person-${index}@example.org`, password })
  // Those around the end of the first search were all made at the same moment.
  for (const user of double.users.slice(1_960, 2_060)) user.created_at = '2020-01-01T00:33:00.000Z'
  const source = double.open()
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = (await source.list?.(cursor)) ?? assert.fail()
    assert.ok(page.is === 'ok', JSON.stringify(page))
    ids.push(...page.users.map(({ externalId }) => externalId))
    cursor = page.next
  } while (cursor !== undefined)
  assert.equal(ids.length, 1_151)
  assert.equal(new Set(ids).size, 1_151)
  for (const wrong of ['', '{}', 'null', '{"page":10}', '{"page":0,"from":"x\\" OR y"}', '{"page":0,"more":1}'])
    assert.equal((await source.list?.(wrong))?.is, 'unavailable', wrong)
})

test('goes by the ID token where it has no Management API, and says what that leaves out', async () => {
  const double = await openDouble()
  const source = double.open(undefined, { ...alone, tenant_id_field: 'nickname' })
  const answer = await signIn(source)
  assert.ok(answer.is === 'ok')
  assert.deepEqual(answer.user, {
    externalId: 'auth0|1000',
    identifiers: [{ kind: 'email', typed: 'ada@example.org', verified: true }],
    claims: { sub: 'auth0|1000', email: 'ada@example.org', email_verified: true, name: 'Ada', nickname: 'someone' },
    profile: { name: 'Ada', nickname: 'someone' },
    roles: [],
    groups: [],
    tenant: 'someone',
  })
  assert.equal(source.list, undefined)
  const found = await source.find({ identifier: emailOf('ada@example.org') })
  assert.match(found.is === 'misconfigured' ? found.detail : '', /management_client_id/)
  assert.deepEqual(
    (await source.test()).map(({ ok }) => ok),
    [true, true],
  )
  assert.equal(managementTokens(double), 0)
})

test('cannot say who has a second factor without the Management API, nor whose password leaked', async () => {
  const double = await openDouble()
  double.add({ email: 'mfa@example.org', password, state: 'mfa_required' })
  double.add({ email: 'leaked@example.org', password, state: 'must_reset' })
  const source = double.open(undefined, alone)
  const answer = await signIn(source, emailOf('mfa@example.org'))
  assert.match(answer.is === 'misconfigured' ? answer.detail : '', /second factor/)
  assert.deepEqual(await signIn(source, emailOf('leaked@example.org')), { is: 'must_reset', user: undefined })
})

test('takes whoever has a factor in Auth0 for somebody with one, although Auth0 did not ask for it', async () => {
  const double = await openDouble()
  const [user] = double.users
  assert.ok(user)
  for (const [multifactor, is] of [
    [['guardian'], 'mfa_required'],
    [[], 'ok'],
  ] as const) {
    user.multifactor = [...multifactor]
    assert.equal((await signIn(double.open())).is, is)
  }
})

test('takes user names and numbers, and searches for what they say and nothing more', async () => {
  const double = await openDouble()
  Object.assign(double.users[0] ?? {}, { username: 'ada', phone_number: '+41791234567', phone_verified: true })
  const names: Identifier[] = [
    { kind: 'username', value: 'ada', typed: 'Ada' },
    { kind: 'mobile', value: '+41791234567', typed: '079 123 45 67' },
  ]
  for (const identifier of names) {
    const found = await double.open().find({ identifier })
    const answers = [
      found,
      await signIn(double.open(), identifier),
      await signIn(double.open(undefined, alone), identifier),
    ]
    for (const answer of answers) {
      assert.ok(answer.is === 'ok', JSON.stringify(answer))
      assert.ok(answer.user.identifiers.some(({ kind }) => kind === identifier.kind))
    }
    assert.equal(
      (await double.open().find({ identifier: { ...identifier, value: '+1', typed: 'x"y' } })).is,
      'not_found',
    )
  }
})

test('knows somebody by the address of an account that was linked to theirs', async () => {
  const double = await openDouble()
  const [user] = double.users
  assert.ok(user)
  Object.assign(user, { user_id: 'google-oauth2|7', email: 'ada@elsewhere.example' })
  Object.assign(user.identities[0] ?? {}, { profileData: { email: 'ada@example.org', email_verified: false } })
  const fetch: Fetch = async (url) => {
    const path = new URL(url).pathname
    const body = path.endsWith('/roles') ? { roles: [], total: 0 } : path.endsWith('/users-by-email') ? [user] : tokens
    return { status: 200, headers: {}, text: () => JSON.stringify(body), json: () => body }
  }
  const tokens = { access_token: 'x', expires_in: 10 }
  const source = auth0.open(readSettings(double.settings), { ...sourceTools(), fetch })
  const found = await source.find({ identifier: emailOf('ada@example.org') })
  assert.deepEqual(found.is === 'ok' && found.user.identifiers, [
    { kind: 'email', typed: 'ada@elsewhere.example', verified: true },
    { kind: 'email', typed: 'ada@example.org', verified: false },
  ])
  assert.equal((await source.find({ identifier: emailOf('eve@example.org') })).is, 'unavailable')
})

const readSettings = (settings: Record<string, unknown>) =>
  auth0.settings.parse(settings) as Parameters<typeof auth0.open>[0]

/** What comes of one answer of the token endpoint. */
const answered = async (status: number, body: unknown, headers: Record<string, string> = {}, realm?: string) => {
  const fetch: Fetch = async () => ({ status, headers, text: () => JSON.stringify(body), json: () => body })
  const settings = { domain: 'acme.eu.auth0.com', client_id: 'app', client_secret: 'secret', realm }
  return signIn(auth0.open(readSettings(settings), { ...sourceTools([]), fetch }))
}

const outcomes: [number, string, Checked['is']][] = [
  [403, 'invalid_grant', 'invalid'],
  [400, 'invalid_grant', 'invalid'],
  [401, 'invalid_user_password', 'invalid'],
  [403, 'unauthorized', 'blocked'],
  [401, 'unauthorized', 'blocked'],
  [403, 'blocked_user', 'blocked'],
  [403, 'access_denied', 'blocked'],
  [500, 'access_denied', 'blocked'],
  [429, 'too_many_attempts', 'blocked'],
  [429, 'too_many_logins', 'blocked'],
  [401, 'requires_verification', 'blocked'],
  [401, 'password_leaked', 'must_reset'],
  [403, 'mfa_required', 'misconfigured'],
  [403, 'mfa_registration_required', 'misconfigured'],
  [401, 'access_denied', 'misconfigured'],
  [401, 'invalid_client', 'misconfigured'],
  [403, 'unauthorized_client', 'misconfigured'],
  [400, 'unsupported_grant_type', 'misconfigured'],
  [400, 'invalid_request', 'misconfigured'],
  [404, 'endpoint_disabled', 'misconfigured'],
  [429, 'too_many_requests', 'rate_limited'],
  [429, 'nothing we know', 'rate_limited'],
  [503, 'temporarily_unavailable', 'unavailable'],
  [500, 'server_error', 'unavailable'],
  [403, 'nothing we know', 'unavailable'],
  [403, 'constructor', 'unavailable'],
  [403, '__proto__', 'unavailable'],
  [200, 'invalid_grant', 'unavailable'],
]

test('decides on the error and the status, whatever the description says', async () => {
  for (const [status, error, is] of outcomes)
    for (const error_description of ['Wrong email or password.', 'user is blocked', undefined])
      assert.equal((await answered(status, { error, error_description })).is, is, `${status} ${error}`)
})

test('says which grant type, realm or directory is missing', async () => {
  const detailOf = async (...given: Parameters<typeof answered>) => {
    const answer = await answered(...given)
    return 'detail' in answer ? answer.detail : assert.fail(answer.is)
  }
  assert.match(await detailOf(403, { error: 'unauthorized_client' }), /grant type password:/)
  assert.match(await detailOf(403, { error: 'unauthorized_client' }, {}, 'Users'), /password-realm/)
  assert.match(await detailOf(400, { error: 'invalid_request' }, {}, 'Users'), /realm/)
  assert.match(await detailOf(500, { error: 'server_error' }), /Default Directory/)
  assert.match(await detailOf(302, {}), /redirects are not followed/)
})

test('waits as long as Auth0 says, and an hour at most', async () => {
  const soon = String(Math.floor(Date.now() / 1000) + 30)
  const waits: [Record<string, string>, number | undefined][] = [
    [{ 'retry-after': '12' }, 12],
    [{ 'x-ratelimit-reset': '4000000000' }, 3600],
    [{ 'x-ratelimit-reset': '1' }, 1],
    [{ 'x-ratelimit-reset': 'soon' }, undefined],
    [{}, undefined],
  ]
  for (const [headers, wait] of waits) {
    const answer = await answered(429, {}, headers)
    assert.equal(answer.is === 'rate_limited' ? answer.retryAfter : assert.fail(), wait)
  }
  const answer = await answered(429, {}, { 'x-ratelimit-reset': soon })
  assert.ok(answer.is === 'rate_limited' && answer.retryAfter && answer.retryAfter >= 28 && answer.retryAfter <= 31)
})

test('takes no ID token of another tenant, for another application, from yesterday or without a subject', async () => {
  const token = async (changes: Record<string, unknown>) => {
    const now = Math.floor(Date.now() / 1000)
    const right = {
      iss: 'https://acme.eu.auth0.com/',
      aud: 'app',
      sub: 'auth0|1',
      exp: now + 60,
      email: 'ada@example.org',
    }
    const jwt = new SignJWT({ ...right, ...changes }).setProtectedHeader({ alg: 'HS256' })
    return answered(200, { id_token: await jwt.sign(Buffer.from('secret')) })
  }
  assert.equal((await token({})).is, 'ok')
  assert.equal((await token({ aud: ['app', 'other'] })).is, 'ok')
  assert.equal((await token({ iss: 'https://other.eu.auth0.com/' })).is, 'misconfigured')
  const wrong = [
    { aud: 'other' },
    { exp: Math.floor(Date.now() / 1000) - 3600 },
    { sub: undefined },
    { sub: '' },
    { exp: 'x' },
  ]
  for (const changes of [...wrong, { email: 'eve@example.org' }, { email: undefined }])
    assert.equal((await token(changes)).is, 'unavailable', JSON.stringify(changes))
  for (const body of [{}, { id_token: 'x' }, { id_token: 'a.b.c' }, 'text', null])
    assert.equal((await answered(200, body)).is, 'unavailable')
})

test('answers within three seconds although several requests together take longer', async () => {
  const double = await openDouble()
  const tools = sourceTools()
  const fetch: Fetch = async (...given) => {
    await setTimeout(1_300)
    return tools.fetch(...given)
  }
  const source = auth0.open(readSettings(double.settings), { ...tools, fetch })
  const began = performance.now()
  assert.equal((await signIn(source)).is, 'unavailable')
  assert.ok(performance.now() - began < 3_500)
})

test('asks nobody about a password that Auth0 would take for a malformed request', async () => {
  const double = await openDouble()
  for (const wrong of ['', 'x'.repeat(1_001)])
    assert.deepEqual(
      await double.open().check({ identifier: emailOf('ada@example.org'), password: wrong, ip: '203.0.113.7' }),
      { is: 'invalid' },
    )
  assert.equal(double.reached(), 0)
})

test('tells an operator what is wrong with which setting', async () => {
  const double = await openDouble()
  const tryWith = async (settings: Record<string, unknown>) => {
    const tried = await double.open(undefined, settings).test()
    return tried.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)
  }
  assert.deepEqual(await tryWith({}), [])
  assert.match((await tryWith({ client_secret: 'wrong' })).join(), /^Password grant: .*client_secret/)
  assert.match((await tryWith({ realm: 'nothing' })).join(), /^Password grant: .*realm/)
  assert.match((await tryWith({ audience: 'nothing' })).join(), /^Password grant: .*audience/)
  assert.match((await tryWith({ management_client_secret: 'wrong' })).join(), /^Management API, read:users: .*no token/)
  double.grants.splice(0)
  assert.match((await tryWith({})).join(), /^Password grant: .*password-realm/)
  const passwords = bodies(double, '/oauth/token').flatMap((body) => body.password ?? [])
  assert.equal(new Set(passwords).size, passwords.length)
})

test('takes a host or an address for a domain, and the management credentials only together', () => {
  const takes = (given: Record<string, unknown>) =>
    auth0.settings.safeParse({ domain: 'acme.auth0.com', client_id: 'a', client_secret: 'b', ...given }).success
  for (const domain of [
    'acme.eu.auth0.com',
    'https://acme.auth0.com',
    'https://acme.auth0.com/',
    'http://127.0.0.1:8080',
  ])
    assert.ok(takes({ domain }), domain)
  const wrong = ['', 'acme.auth0.com/path', 'https://u:p@acme.auth0.com', 'ftp://acme', 'acme.auth0.com?x', 'a b']
  for (const domain of wrong) assert.ok(!takes({ domain }), domain)
  assert.ok(takes({ management_client_id: 'm', management_client_secret: 's' }))
  assert.ok(!takes({ management_client_id: 'm' }))
  assert.ok(!takes({ management_client_secret: 's' }))
})
