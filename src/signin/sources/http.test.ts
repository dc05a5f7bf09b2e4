import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Identifier } from '../../directory/identifiers.ts'
import { emailOf, sourceTools } from './double-testing.ts'
import { httpSource, signatureOf } from './http.ts'
import { type HttpSourceDouble, isFromLido, openHttpSourceDouble, secret } from './http-testing.ts'
import type { Checked } from './source.ts'

const password = 'canary horse battery staple'
const asked = { identifier: emailOf('Ada@Example.org'), password, ip: '203.0.113.7' }
const ada = { id: 'u-1', email: 'ada@example.org' }

const doubles: HttpSourceDouble[] = []
after(() => Promise.all(doubles.map((double) => double.close())))

const openDouble = async (): Promise<HttpSourceDouble> => {
  const double = await openHttpSourceDouble()
  doubles.push(double)
  double.add({ email: 'ada@example.org', password, name: 'Ada' })
  return double
}

test('signs the time and the body', async () => {
  const double = await openDouble()
  await double.open().check(asked)
  const [{ headers, body } = assert.fail()] = double.seen
  const timestamp = String(headers['lido-timestamp'])
  assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 5)
  const expected = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  assert.equal(headers['lido-signature'], `v1=${expected}`)
  assert.deepEqual(JSON.parse(body), {
    identifier: 'ada@example.org',
    kind: 'email',
    typed: 'Ada@Example.org',
    password,
    ip: '203.0.113.7',
  })
})

test('makes signatures that others can make, too', () => {
  // printf '1777885953.{"a":1}' | openssl dgst -sha256 -hmac sixteen-letters-
  const known = 'b3c81d87680357e81167dafc350e2be46cd4c85b1a8338db20cf0265924c5f8e'
  assert.equal(signatureOf('sixteen-letters-', '1777885953', '{"a":1}'), known)
})

test('passes the check that the documentation gives the other side, which nothing else passes', () => {
  const now = String(Math.floor(Date.now() / 1000))
  const headers = (timestamp = now, key = secret, body = '{}') => ({
    'lido-timestamp': timestamp,
    'lido-signature': `v1=${signatureOf(key, timestamp, body)}`,
  })
  assert.equal(isFromLido(secret, headers(), '{}'), true)
  assert.equal(isFromLido(secret, headers(now, secret, ''), ''), true)
  assert.equal(isFromLido(secret, headers(), '{ }'), false)
  assert.equal(isFromLido('another secret', headers(), '{}'), false)
  assert.equal(isFromLido(secret, headers(String(Number(now) - 301)), '{}'), false)
  assert.equal(isFromLido(secret, headers(String(Number(now) + 301)), '{}'), false)
  assert.equal(isFromLido(secret, headers('soon'), '{}'), false)
  assert.equal(isFromLido(secret, { ...headers(), 'lido-timestamp': String(Number(now) - 1) }, '{}'), false)
  assert.equal(isFromLido(secret, { ...headers(), 'lido-signature': 'v1=' }, '{}'), false)
  assert.equal(isFromLido(secret, {}, '{}'), false)
})

test('works with the server that stands in the documentation', async () => {
  const page = await readFile(new URL('../../../docs/http-source.md', import.meta.url), 'utf8')
  const [check = '', server = ''] = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code)
  const people = `export const findPerson = (name) => name === 'ada@example.org' && { id: 'u-1', email: name, verified: true }
    export const isPassword = (person, password) => password === '${password}'`
  const folder = await mkdtemp(join(tmpdir(), 'lido-http-source-'))
  const told = server.replace(
    '.listen(8080)',
    ".listen(0, '127.0.0.1', function () { process.send(this.address().port) })",
  )
  const files = {
    'is-from-lido.js': check,
    'people.js': people,
    'server.js': told,
    'package.json': '{"type":"module"}',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const child = fork(join(folder, 'server.js'), { env: { LIDO_SECRET: secret } })
  after(() => rm(folder, { recursive: true }))
  after(() => child.kill())
  const [port] = await once(child, 'message')
  const settings = { url: `http://127.0.0.1:${port}/lido`, secret }
  const open = (given: object) =>
    httpSource.open({ ...settings, ...given } as Parameters<typeof httpSource.open>[0], sourceTools())
  const source = open({})
  const right = await source.check(asked)
  assert.equal(right.is === 'ok' && right.user.externalId, 'u-1')
  assert.equal((await source.check({ ...asked, password: 'wrong' })).is, 'invalid')
  assert.equal((await source.find(asked)).is, 'ok')
  assert.equal((await source.find({ identifier: emailOf('eve@example.org') })).is, 'not_found')
  assert.deepEqual(
    (await source.test()).map(({ ok }) => ok),
    [true],
  )
  assert.equal((await source.list?.(undefined))?.is, 'misconfigured')
  assert.equal((await open({ secret: 'another secret of 16' }).find(asked)).is, 'misconfigured')
})

test('finds without a password', async () => {
  const double = await openDouble()
  assert.equal((await double.open().find(asked)).is, 'ok')
  assert.deepEqual(Object.keys(JSON.parse(double.seen[0]?.body ?? '')), ['identifier', 'kind', 'typed'])
})

const outcomes: [number, unknown, Checked['is'], Checked['is']][] = [
  [200, ada, 'ok', 'ok'],
  [200, { ...ada, must_change: true }, 'must_change', 'ok'],
  [200, { ...ada, mfa: true }, 'mfa_required', 'ok'],
  [200, { ...ada, mfa: true, must_change: true }, 'mfa_required', 'ok'],
  [200, undefined, 'unavailable', 'unavailable'],
  [200, null, 'unavailable', 'unavailable'],
  [200, [], 'unavailable', 'unavailable'],
  [200, { email: 'ada@example.org' }, 'unavailable', 'unavailable'],
  [200, { ...ada, id: '' }, 'unavailable', 'unavailable'],
  [200, { ...ada, email_verified: 'yes' }, 'unavailable', 'unavailable'],
  [200, { ...ada, roles: 'admin' }, 'unavailable', 'unavailable'],
  [200, { ...ada, mfa: 'false' }, 'unavailable', 'unavailable'],
  [200, { ...ada, email: 'eve@example.org' }, 'unavailable', 'unavailable'],
  [200, { id: 'u-1' }, 'unavailable', 'unavailable'],
  [201, ada, 'unavailable', 'unavailable'],
  [204, undefined, 'unavailable', 'unavailable'],
  [302, undefined, 'unavailable', 'unavailable'],
  [400, { error: 'x' }, 'unavailable', 'unavailable'],
  [401, undefined, 'invalid', 'misconfigured'],
  [401, { error: 'x' }, 'invalid', 'misconfigured'],
  [401, '<h1>Who are you?</h1>', 'unavailable', 'unavailable'],
  [403, undefined, 'misconfigured', 'misconfigured'],
  [404, undefined, 'not_found', 'not_found'],
  [404, '<h1>Not found</h1>', 'unavailable', 'unavailable'],
  [409, undefined, 'must_reset', 'unavailable'],
  [409, ada, 'must_reset', 'unavailable'],
  [409, { ...ada, email: 'eve@example.org' }, 'unavailable', 'unavailable'],
  [409, { error: 'x' }, 'unavailable', 'unavailable'],
  [423, undefined, 'blocked', 'blocked'],
  [429, undefined, 'rate_limited', 'rate_limited'],
  [500, ada, 'unavailable', 'unavailable'],
  [503, undefined, 'unavailable', 'unavailable'],
]

test('decides on the status, and takes a user only from an answer that tells of whoever was asked for', async () => {
  const double = await openDouble()
  const source = double.open()
  for (const [status, body, checked, found] of outcomes) {
    double.say({ status, body })
    const answers = [await source.check(asked), await source.find(asked)]
    const what = `${status} ${JSON.stringify(body)}`
    assert.deepEqual(
      answers.map(({ is }) => is),
      [checked, found],
      what,
    )
    assert.doesNotMatch(JSON.stringify(answers.filter((answer) => 'detail' in answer)), /canary|eve@|u-1|Who are/, what)
  }
})

test('says of a must_reset who it is, where the other side does', async () => {
  const double = await openDouble()
  double.say({ status: 409 })
  assert.deepEqual(await double.open().check(asked), { is: 'must_reset', user: undefined })
  double.say({ status: 409, body: ada })
  const answer = await double.open().check(asked)
  assert.equal(answer.is === 'must_reset' && answer.user?.externalId, 'u-1')
})

test('keeps everything that is told for mappings, under its own name', async () => {
  const double = await openDouble()
  const told = {
    id: 'u-1',
    email: 'Ada@example.org',
    phone_number: '+41791234567',
    phone_number_verified: true,
    username: 'ada',
    profile: { given_name: 'Ada', address: { country: 'GB' } },
    metadata: { plan: 'gold', organisation: 7 },
    roles: ['editor'],
    groups: ['/staff'],
    department: { name: 'Engines' },
    mfa: false,
  }
  double.say({ status: 200, body: told })
  const answer = await double.open().check(asked)
  assert.ok(answer.is === 'ok')
  const { mfa, ...claims } = { ...told, email_verified: false }
  assert.deepEqual(answer.user, {
    externalId: 'u-1',
    identifiers: [
      { kind: 'email', typed: 'Ada@example.org', verified: false },
      { kind: 'mobile', typed: '+41791234567', verified: true },
      { kind: 'username', typed: 'ada', verified: false },
    ],
    claims,
    profile: { given_name: 'Ada', address: { country: 'GB' } },
    roles: ['editor'],
    groups: ['/staff'],
    tenant: '7',
  })
})

test('reads the tenant from the metadata or beside it, and from nothing that every object has', async () => {
  const double = await openDouble()
  const tenantOf = async (field: string | undefined, more: object) => {
    double.say({ status: 200, body: { ...ada, ...more } })
    const answer = await double.open(undefined, { tenant_id_field: field }).find(asked)
    return answer.is === 'ok' ? answer.user.tenant : assert.fail(answer.is)
  }
  assert.equal(await tenantOf('org', { org: 'acme' }), 'acme')
  assert.equal(await tenantOf('org', { org: 'acme', metadata: { org: 'other' } }), 'other')
  assert.equal(await tenantOf('org', { org: { id: 'acme' } }), undefined)
  assert.equal(await tenantOf('org', {}), undefined)
  assert.equal(await tenantOf('constructor', {}), undefined)
  assert.equal(await tenantOf(undefined, { org: 'acme' }), undefined)
})

test('asks for user names and numbers by their kind', async () => {
  const double = await openDouble()
  const names: Identifier[] = [
    { kind: 'username', value: 'ada', typed: 'ADA' },
    { kind: 'mobile', value: '+41791234567', typed: '079 123 45 67' },
  ]
  double.say({ status: 200, body: { id: 'u-1', username: 'Ada', phone_number: '+41 79 123 45 67' } })
  for (const identifier of names) assert.equal((await double.open().find({ identifier })).is, 'ok')
  double.say({ status: 200, body: { ...ada, username: 'eve', phone_number: '+41791234568' } })
  for (const identifier of names) assert.equal((await double.open().find({ identifier })).is, 'unavailable')
  assert.deepEqual(
    double.seen.slice(0, 2).map(({ body }) => JSON.parse(body)),
    [
      { identifier: 'ada', kind: 'username', typed: 'ADA' },
      { identifier: '+41791234567', kind: 'mobile', typed: '079 123 45 67' },
    ],
  )
})

test('says plainly that the other side lists nobody', async () => {
  const double = await openDouble()
  const { list } = double.open()
  assert.ok(list)
  for (const status of [404, 405, 501]) {
    double.say({ status })
    const answer = await list(undefined)
    assert.match(answer.is === 'misconfigured' ? answer.detail : '', /lists nobody/)
  }
  for (const body of [{ users: [ada] }, { users: [ada], next: 'a&b' }]) {
    double.say({ status: 200, body })
    const answer = await list('x y&z')
    assert.deepEqual(answer.is === 'ok' && [answer.users.length, answer.next], [1, 'next' in body ? 'a&b' : undefined])
  }
  assert.equal(double.seen.at(-1)?.url.searchParams.get('cursor'), 'x y&z')
  for (const body of [[], {}, { users: [{}] }, { users: [ada], next: 7 }]) {
    double.say({ status: 200, body })
    assert.equal((await list(undefined)).is, 'unavailable')
  }
})

test('tells an operator that the secret or the address is wrong', async () => {
  const double = await openDouble()
  const tried = async (settings: Record<string, unknown> = {}) => (await double.open(undefined, settings).test())[0]
  assert.equal((await tried())?.ok, true)
  const wrongSecret = await tried({ secret: 'another secret of 16' })
  assert.equal(wrongSecret?.ok, false)
  assert.match(wrongSecret?.detail ?? '', /signature/)
  assert.equal((await tried({ url: `${double.settings.url}elsewhere` }))?.ok, false)
  double.say({ status: 200, body: ada })
  assert.equal((await tried())?.ok, false)
})

test('takes an address without credentials or query, and a secret that is long enough', () => {
  const takes = (given: object) =>
    httpSource.settings.safeParse({ url: 'https://people.example.org/lido', secret, ...given }).success
  assert.ok(takes({}))
  for (const url of [
    '',
    'people.example.org',
    'ftp://x.org',
    'https://u:p@x.org',
    'https://x.org?a',
    'https://x.org#a',
  ])
    assert.ok(!takes({ url }), url)
  assert.ok(!takes({ secret: 'too short' }))
})
