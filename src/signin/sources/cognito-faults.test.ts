import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { constants, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { cognito } from './cognito.ts'
import { ada, asked, check, password, userOf } from './cognito-asked-testing.ts'
import { exception } from './cognito-pool-testing.ts'
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

const exceptions: [string, string, number, Checked['is']][] = [
  ['NotAuthorizedException', 'Incorrect username or password.', 400, 'invalid'],
  ['NotAuthorizedException', 'User is disabled.', 400, 'invalid'],
  ['NotAuthorizedException', 'Password attempts exceeded', 400, 'invalid'],
  ['NotAuthorizedException', 'Unable to verify secret hash for client 1ex', 400, 'misconfigured'],
  [
    'NotAuthorizedException',
    'Client 1ex is configured with secret but SECRET_HASH was not received',
    400,
    'misconfigured',
  ],
  ['NotAuthorizedException', 'Incorrect username or password.', 500, 'unavailable'],
  ['UserNotFoundException', 'User does not exist.', 400, 'not_found'],
  ['PasswordResetRequiredException', 'Password reset required for the user', 400, 'must_reset'],
  ['UserNotConfirmedException', 'User is not confirmed.', 400, 'must_reset'],
  ['InvalidParameterException', 'USER_PASSWORD_AUTH flow not enabled for this client', 400, 'misconfigured'],
  ['ResourceNotFoundException', 'User pool client 1ex does not exist.', 400, 'misconfigured'],
  ['TooManyRequestsException', 'Rate exceeded', 400, 'rate_limited'],
  ['LimitExceededException', 'Attempt limit exceeded', 400, 'rate_limited'],
  ['ThrottlingException', 'Rate exceeded', 400, 'rate_limited'],
  ['ForbiddenException', 'Request not allowed due to WAF block.', 403, 'unavailable'],
  ['UserLambdaValidationException', 'PreAuthentication failed', 400, 'unavailable'],
  ['UnexpectedLambdaException', 'PreAuthentication failed', 400, 'unavailable'],
  ['InvalidLambdaResponseException', 'Unrecognizable lambda output', 400, 'unavailable'],
  ['InternalErrorException', 'Something went wrong', 500, 'unavailable'],
  ['AnExceptionOfTomorrow', 'canary', 400, 'unavailable'],
  ['constructor', 'canary', 400, 'unavailable'],
]

for (const [type, message, status, is] of exceptions)
  test(`takes ${type} (${status}, “${message}”) for ${is}`, async () => {
    const double = await openDouble()
    double.addUser({ password, attributes: ada })
    double.answerWith('InitiateAuth', exception(type, message, status))
    const answer = await check(double)
    assert.equal(answer.is, is, JSON.stringify(answer))
    assert.equal(JSON.stringify(answer).includes(message), false, 'an operator is told Cognito’s own words')
    if (is === 'must_reset') assert.equal(userOf(answer).profile.name, 'Ada')
  })

const oddities: [string, Answer, Checked['is']][] = [
  [
    'a page of a proxy with 429',
    { status: 429, headers: { 'retry-after': '5' }, body: '<h1>Slow down</h1>' },
    'rate_limited',
  ],
  ['a page of a proxy with 403', { status: 403, body: '<h1>Forbidden</h1>' }, 'unavailable'],
  ['an error without a name', { status: 400, body: { message: 'no' } }, 'unavailable'],
  ['an error that is a list', { status: 400, body: [1, 2] }, 'unavailable'],
  ['an error that is null', { status: 400, body: 'null' }, 'unavailable'],
  ['an empty error', { status: 400 }, 'unavailable'],
  ['an empty success', { status: 200 }, 'unavailable'],
  ['a success that is null', { status: 200, body: 'null' }, 'unavailable'],
  ['neither tokens nor a challenge', { status: 200, body: { ChallengeParameters: {} } }, 'unavailable'],
  ['a token that is none', { status: 200, body: { AuthenticationResult: { AccessToken: 'x' } } }, 'unavailable'],
  ['a success that was truncated', { status: 200, body: '{"AuthenticationResult":{"Acc' }, 'unavailable'],
]

for (const [name, answer, is] of oddities)
  test(`takes ${name} for ${is}, and never throws`, async () => {
    const double = await openDouble()
    double.addUser({ password, attributes: ada })
    double.answerWith('InitiateAuth', answer)
    const told = await check(double)
    assert.equal(told.is, is, JSON.stringify(told))
    if (told.is === 'rate_limited') assert.equal(told.retryAfter, 5)
  })

const faulty: [string, Record<string, unknown>, Partial<CognitoDouble['pool']>, string, RegExp][] = [
  ['the flow is off', {}, { takesPasswords: false }, 'InitiateAuth', /ALLOW_USER_PASSWORD_AUTH/],
  ['the client is another', { client_id: 'nope' }, {}, 'InitiateAuth', /client_id/],
  ['the secret is another', { client_secret: 'nope' }, {}, 'InitiateAuth', /client_secret/],
  ['the secret is missing', { client_secret: undefined }, {}, 'InitiateAuth', /client_secret/],
  ['a right is missing', {}, { denied: ['AdminGetUser'] }, 'AdminGetUser', /lacks cognito-idp:AdminGetUser /],
  ['a right is missing', {}, { denied: ['ListUsers'] }, 'ListUsers', /lacks cognito-idp:ListUsers /],
  ['the pool is another', { user_pool_id: 'eu-central-1_nope' }, {}, 'ListUsers', /user_pool_id/],
  ['the key is another', { access_key_id: 'AKIAIOSFODNN7EXAMPLO' }, {}, 'AdminGetUser', /access_key_id/],
  ['its secret is another', { secret_access_key: 'x'.repeat(40) }, {}, 'AdminGetUser', /secret_access_key/],
  ['the region is another', { region: 'us-east-1' }, {}, 'AdminGetUser', /region/],
]

for (const [name, settings, pool, action, words] of faulty)
  test(`says of ${action} what to do where ${name}: ${words.source}`, async () => {
    const double = await openDouble()
    Object.assign(double.pool, pool)
    const tried = await double.openWith(settings).test()
    assert.deepEqual(
      tried.map(({ name }) => name),
      ['InitiateAuth', 'AdminGetUser', 'AdminListGroupsForUser', 'ListUsers'],
    )
    const told = tried.find(({ name }) => name === action)
    assert.equal(told?.ok, false)
    assert.match(told?.detail ?? '', words)
    assert.doesNotMatch(JSON.stringify(tried), /canary|arn:/)
  })

test('finds right settings right also in a pool that tells strangers', async () => {
  const double = await openDouble()
  double.pool.hidesStrangers = false
  for (const { ok, detail } of await double.open().test()) assert.ok(ok, detail)
})

test('takes no settings that would lead elsewhere', async () => {
  const { settings } = await openDouble()
  const refused = [
    { region: 'eu-central-1.evil.example/' },
    { region: '' },
    { endpoint: 'ftp://127.0.0.1' },
    { endpoint: 'https://user:pass@example.org' },
    { endpoint: 'https://example.org/?x=' },
    { user_pool_id: 'a/b' },
    { access_key_id: 'short' },
    { secret_access_key: undefined },
    { tenant_id_field: 'a b' },
  ]
  for (const wrong of refused)
    assert.equal(cognito.settings.safeParse({ ...settings, ...wrong }).success, false, JSON.stringify(wrong))
  for (const region of ['us-gov-west-1', 'ap-southeast-2', 'eusc-de-east-1', 'cn-north-1'])
    assert.equal(cognito.settings.safeParse({ ...settings, region }).success, true, region)
})

const environment = { ...process.env }
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name]
  Object.assign(process.env, environment)
})

test('asks the region’s own address, whatever the environment and ~/.aws say, and reads neither', async () => {
  const home = mkdtempSync(join(tmpdir(), 'lido-aws-'))
  mkdirSync(join(home, '.aws'))
  // Whoever opens a pipe to read it is seen, and waits.
  const files = ['config', 'credentials'].map((name) => join(home, '.aws', name))
  for (const file of files) execFileSync('/usr/bin/mkfifo', [file])
  Object.assign(process.env, hostile, { HOME: home, AWS_CONFIG_FILE: files[0], AWS_SHARED_CREDENTIALS_FILE: files[1] })
  const { settings } = await openDouble()
  const sent: { url: string; headers: Record<string, string> }[] = []
  const tools = sourceTools([], {
    fetch: async (url, init) => {
      sent.push({ url, headers: init?.headers ?? {} })
      // What the SDK would ask once more, if it were let.
      return { status: 500, headers: {}, text: () => '{}', json: () => ({}) }
    },
  })
  const source = cognito.open(cognito.settings.parse({ ...settings, endpoint: undefined }), tools)
  assert.equal((await source.check(asked('ada@example.org'))).is, 'unavailable')
  assert.equal((await source.find(asked('ada@example.org'))).is, 'unavailable')
  assert.equal(sent.length, 2, 'a call was tried again')
  for (const { url } of sent) assert.equal(url, 'https://cognito-idp.eu-central-1.amazonaws.com/')
  const [unsigned, signed] = sent.map(({ headers }) => headers)
  assert.equal(unsigned?.authorization, undefined)
  assert.match(signed?.authorization ?? '', /Credential=AKIAIOSFODNN7EXAMPLE\/\d{8}\/eu-central-1\/cognito-idp\//)
  assert.doesNotMatch(JSON.stringify(sent), /hostile/i)
  for (const file of files)
    assert.throws(() => openSync(file, constants.O_WRONLY | constants.O_NONBLOCK), { code: 'ENXIO' })
  rmSync(home, { recursive: true })
})

const hostile = {
  AWS_PROFILE: 'hostile',
  AWS_ACCESS_KEY_ID: 'AKIAHOSTILEHOSTILE00',
  AWS_SECRET_ACCESS_KEY: 'hostile',
  AWS_SESSION_TOKEN: 'hostile',
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_ENDPOINT_URL: 'http://hostile.example',
  AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: 'http://hostile.example',
  AWS_USE_FIPS_ENDPOINT: 'true',
  AWS_USE_DUALSTACK_ENDPOINT: 'true',
  AWS_MAX_ATTEMPTS: '5',
  AWS_RETRY_MODE: 'adaptive',
  AWS_DEFAULTS_MODE: 'auto',
  AWS_EXECUTION_ENV: 'hostile',
  AWS_SDK_UA_APP_ID: 'hostile',
  AWS_AUTH_SCHEME_PREFERENCE: 'sigv4a',
  AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/hostile',
  HTTPS_PROXY: 'http://hostile.example',
}
