import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, test } from 'node:test'
import { cognito } from './cognito.ts'
import { ada, asked, check, find, password, userOf } from './cognito-asked-testing.ts'
import { quote } from './cognito-find.ts'
import { challenge, exception } from './cognito-pool-testing.ts'
import { type CognitoDouble, openCognitoDouble } from './cognito-testing.ts'
import { type Answer, sourceTools } from './double-testing.ts'
import type { Checked } from './source.ts'

const opened: CognitoDouble[] = []
after(() => Promise.all(opened.map((double) => double.close())))

const openDouble = async (): Promise<CognitoDouble> => {
  const double = await openCognitoDouble()
  opened.push(double)
  return double
}

test('asks by the flow for passwords, with the hash of the secret and the address of the person', async () => {
  const double = await openDouble()
  double.addUser({ password, attributes: ada })
  assert.equal((await check(double)).is, 'ok')
  const { client_id, client_secret } = double.settings
  const hmac = createHmac('sha256', String(client_secret)).update(`ada@example.org${client_id}`)
  assert.deepEqual(double.asked('InitiateAuth'), [
    {
      AuthFlow: 'USER_PASSWORD_AUTH',
      ClientId: client_id,
      AuthParameters: { USERNAME: 'ada@example.org', PASSWORD: password, SECRET_HASH: hmac.digest('base64') },
      UserContextData: { IpAddress: '203.0.113.7' },
    },
  ])
})

test('goes on with the name that Cognito gives back', async () => {
  const double = await openDouble()
  const { username } = double.addUser({ password, attributes: ada })
  await check(double)
  assert.deepEqual(
    [...double.asked('AdminGetUser'), ...double.asked('AdminListGroupsForUser')].map(({ Username }) => Username),
    [username, username],
  )
})

test('tells all that Cognito knows: attributes, groups of every page, tenant and standard claims', async () => {
  const double = await openDouble()
  const groups = ['admins', 'editors', 'readers', 'testers', 'writers']
  const attributes = {
    ...ada,
    phone_number: '+41791234567',
    phone_number_verified: 'false',
    given_name: 'Ada',
    locale: 'de-CH',
    address: 'Bahnhofstrasse 1, Zürich',
    'custom:tenant': 'acme',
    'custom:plan': 'gold',
  }
  const { username } = double.addUser({ password, groups, attributes })
  for (const answer of [await check(double), await find(double)])
    assert.deepEqual(userOf(answer), {
      externalId: username,
      identifiers: [
        { kind: 'email', typed: 'ada@example.org', verified: true },
        { kind: 'mobile', typed: '+41791234567', verified: false },
      ],
      claims: {
        sub: username,
        ...attributes,
        'cognito:username': username,
        'cognito:groups': groups,
        'cognito:user_status': 'CONFIRMED',
        created_at: '2023-11-14T22:13:20.250Z',
      },
      profile: {
        name: 'Ada',
        given_name: 'Ada',
        locale: 'de-CH',
        address: { formatted: 'Bahnhofstrasse 1, Zürich' },
      },
      roles: [],
      groups,
      tenant: 'acme',
    })
})

test('keeps a name that people chose as their username, and no UUID', async () => {
  const double = await openDouble()
  double.addUser({ username: 'Ada.L', password, attributes: ada })
  const { identifiers } = userOf(await check(double, 'ada.l', 'username'))
  assert.deepEqual(identifiers, [
    { kind: 'email', typed: 'ada@example.org', verified: true },
    { kind: 'username', typed: 'Ada.L', verified: true },
  ])
})

test('believes a preferred username where Cognito knows somebody by it, and nowhere else', async () => {
  const double = await openDouble()
  const attributes = { ...ada, preferred_username: 'Countess' }
  double.addUser({ username: 'ada.l', password, attributes })
  const names = async (typed: string) => {
    const answers = [await check(double, typed, 'username'), await find(double, typed, 'username')]
    return answers.map((answer) =>
      userOf(answer).identifiers.flatMap(({ kind, typed }) => (kind === 'username' ? typed : [])),
    )
  }
  assert.deepEqual(await names('ada.l'), [['ada.l'], ['ada.l']])
  assert.deepEqual(await names('countess'), [
    ['ada.l', 'Countess'],
    ['ada.l', 'Countess'],
  ])
})

const rights: [string, Checked['is']][] = [
  ['NEW_PASSWORD_REQUIRED', 'must_change'],
  ['SOFTWARE_TOKEN_MFA', 'mfa_required'],
  ['SMS_MFA', 'mfa_required'],
  ['EMAIL_OTP', 'mfa_required'],
  ['SELECT_MFA_TYPE', 'mfa_required'],
  ['MFA_SETUP', 'mfa_required'],
  ['DEVICE_SRP_AUTH', 'misconfigured'],
  ['CUSTOM_CHALLENGE', 'misconfigured'],
  ['SELECT_CHALLENGE', 'unavailable'],
  ['PASSWORD_VERIFIER', 'unavailable'],
  ['toString', 'unavailable'],
]

for (const [name, is] of rights)
  test(`takes the challenge ${name} for ${is}`, async () => {
    const double = await openDouble()
    const user = double.addUser({ password, attributes: ada })
    double.answerWith('InitiateAuth', challenge(name, user))
    const answer = await check(double)
    assert.equal(answer.is, is, JSON.stringify(answer))
    if ('user' in answer) assert.equal(userOf(answer).externalId, user.username)
  })

test('never drops a second factor that a remembered device spared somebody', async () => {
  const double = await openDouble()
  const user = double.addUser({ password, attributes: ada })
  const tokens = await fetchTokens(double)
  double.answerWith('InitiateAuth', tokens)
  user.factors = ['SMS_MFA']
  assert.equal((await check(double)).is, 'mfa_required')
})

test('blocks who is disabled there, and lets nobody in by a password of an external provider', async () => {
  const double = await openDouble()
  const user = double.addUser({ password, attributes: ada })
  double.answerWith('InitiateAuth', challenge('NEW_PASSWORD_REQUIRED', user))
  user.enabled = false
  assert.deepEqual(await check(double), { is: 'blocked' })
  assert.deepEqual(await find(double), { is: 'blocked' })
  user.enabled = true
  user.status = 'EXTERNAL_PROVIDER'
  assert.deepEqual(await check(double), { is: 'invalid' })
  assert.deepEqual(await find(double), { is: 'not_found' })
})

test('leaves addresses unproved of who never confirmed their sign-up', async () => {
  const double = await openDouble()
  double.addUser({ password, status: 'UNCONFIRMED', attributes: ada })
  const answer = await check(double)
  assert.equal(answer.is, 'must_reset')
  for (const told of [answer, await find(double)])
    assert.deepEqual(userOf(told).identifiers, [{ kind: 'email', typed: 'ada@example.org', verified: false }])
})

test('tries what was typed where the pool minds its case, and there alone', async () => {
  const sensitive = await openDouble()
  sensitive.pool.caseSensitive = true
  sensitive.addUser({ username: 'Ada', password, attributes: ada })
  assert.equal((await check(sensitive, 'Ada', 'username')).is, 'ok')
  assert.equal((await find(sensitive, 'Ada', 'username')).is, 'ok')
  assert.equal((await check(sensitive, 'ada', 'username')).is, 'invalid')

  const other = await openDouble()
  other.addUser({ username: 'Ada', password, attributes: ada })
  assert.equal((await other.open().check(asked('ADA', 'username', 'wrong'))).is, 'invalid')
  assert.equal(other.asked('InitiateAuth').length, 1, 'one guess counted twice')
})

test('asks nothing of Cognito that it would take for a wrong request', async () => {
  const double = await openDouble()
  const long = `${'a'.repeat(60)}@${'b'.repeat(60)}.${'c'.repeat(30)}.org`
  assert.deepEqual(await check(double, long), { is: 'not_found' })
  assert.deepEqual(await find(double, long), { is: 'not_found' })
  const { username } = double.addUser({ password, attributes: ada })
  assert.deepEqual(await check(double, username, 'username'), { is: 'not_found' })
  assert.deepEqual(await find(double, username, 'username'), { is: 'not_found' })
  assert.deepEqual(await double.open().check(asked('ada@example.org', 'email', '')), { is: 'invalid' })
  assert.deepEqual(await double.open().check(asked('ada@example.org', 'email', 'x'.repeat(257))), { is: 'invalid' })
  assert.equal(double.reached(), 0)
})

test('finds by username, by number, and by an address that is kept in capitals', async () => {
  const double = await openDouble()
  const attributes = { ...ada, email: 'Ada@Example.org', phone_number: '+41791234567' }
  const { username } = double.addUser({ attributes })
  const named = double.addUser({ username: 'Grace', attributes: { email: 'grace@example.org' } })
  assert.equal(userOf(await find(double, 'ada@example.org')).externalId, username)
  assert.equal(userOf(await find(double, 'Ada@Example.org')).externalId, username)
  assert.equal(userOf(await find(double, '+41 79 123 45 67', 'mobile')).externalId, username)
  assert.equal(userOf(await find(double, 'grace', 'username')).externalId, named.attributes.sub)
  assert.deepEqual(await find(double, 'nobody', 'username'), { is: 'not_found' })
})

test('prefers, of several with one address, who proved it and has a password', async () => {
  const double = await openDouble()
  double.addUser({ username: 'google_1', status: 'EXTERNAL_PROVIDER', attributes: ada })
  assert.deepEqual(await find(double), { is: 'not_found' })
  const proved = double.addUser({ username: 'ada-1', attributes: ada })
  assert.equal(userOf(await find(double)).externalId, proved.attributes.sub)
  double.addUser({ username: 'ada-2', attributes: { ...ada, email_verified: 'false' } })
  assert.equal(userOf(await find(double)).externalId, proved.attributes.sub)
  const third = double.addUser({ username: 'ada-3', enabled: false, attributes: ada })
  assert.equal(userOf(await find(double)).externalId, proved.attributes.sub)
  third.enabled = true
  assert.deepEqual(await find(double), { is: 'not_found' })
})

test('takes no name that looks like an address for the address', async () => {
  const double = await openDouble()
  double.addUser({ username: 'ada@example.org', password, attributes: { email: 'mallory@example.org' } })
  assert.deepEqual(await find(double), { is: 'not_found' })
  const { identifiers } = userOf(await check(double))
  assert.deepEqual(identifiers, [{ kind: 'email', typed: 'mallory@example.org', verified: false }])
  double.answerWith('InitiateAuth', exception('PasswordResetRequiredException'))
  assert.deepEqual(await check(double), { is: 'must_reset', user: undefined })
})

test('believes nothing that is told of another than was asked about', async () => {
  const double = await openDouble()
  double.addUser({ password, attributes: ada })
  const mallory = double.addUser({ password, attributes: { email: 'mallory@example.org' } })
  const impostor = (attributes: Record<string, string>): Answer => ({
    status: 200,
    body: {
      Username: mallory.username,
      UserAttributes: Object.entries(attributes).map(([Name, Value]) => ({ Name, Value })),
      Enabled: true,
      UserStatus: 'CONFIRMED',
    },
  })
  // The right address and another subject; the other way round is what the suite of all sources tries.
  for (const told of [impostor({ ...ada, sub: mallory.username }), impostor(ada)]) {
    double.answerWith('AdminGetUser', told)
    assert.equal((await check(double)).is, 'unavailable')
  }
  double.answerWith('InitiateAuth', challenge('SMS_MFA', mallory))
  double.answerWith('AdminGetUser', impostor({ email: 'mallory@example.org', sub: mallory.username }))
  for (const answer of [await check(double), await find(double)]) {
    assert.equal(answer.is, 'unavailable')
    assert.doesNotMatch(JSON.stringify(answer), /mallory|ada/)
  }
})

test('reads no list that never ends', async () => {
  const double = await openDouble()
  double.addUser({ password, attributes: ada })
  double.answerWith('AdminListGroupsForUser', { status: 200, body: { Groups: [], NextToken: 'again' } })
  assert.equal((await check(double)).is, 'unavailable')
  double.answerWith('ListUsers', { status: 200, body: { Users: [], PaginationToken: 'again' } })
  assert.equal((await find(double)).is, 'unavailable')
  assert.ok(double.reached() < 30)
})

test('lists who can move over, and nobody who is disabled or has no password', async () => {
  const double = await openDouble()
  double.addUser({ attributes: ada })
  double.addUser({ enabled: false, attributes: { email: 'gone@example.org' } })
  double.addUser({ status: 'EXTERNAL_PROVIDER', attributes: { email: 'google@example.org' } })
  const page = await double.open().list?.(undefined)
  assert.ok(page?.is === 'ok')
  assert.deepEqual(
    page.users.map(({ claims }) => claims.email),
    ['ada@example.org'],
  )
})

test('ends no filter before its end', () => {
  assert.equal(quote('a"b\\c'), '"a\\"b\\\\c"')
})

/** What Cognito answers a right password with, before anything else is set. */
const fetchTokens = async (double: CognitoDouble): Promise<Answer> => {
  let body: unknown
  const real = sourceTools()
  const tools = sourceTools(undefined, {
    fetch: async (url, init) => {
      const reply = await real.fetch(url, init)
      body ??= reply.json()
      return reply
    },
  })
  const source = cognito.open(cognito.settings.parse(double.settings), tools)
  assert.equal((await source.check(asked('ada@example.org'))).is, 'ok')
  return { status: 200, body }
}
