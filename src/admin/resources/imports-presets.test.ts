import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { authorizeUrl, openBrowser } from '../../browser-testing.ts'
import { readHash } from '../../platform/foreign-hashes.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const password = 'correct horse battery staple'
const user_schema = {
  type: 'object',
  properties: { given_name: { type: 'string' }, family_name: { type: 'string' }, birthdate: { type: 'string' } },
}
const metadata_schema = { type: 'object', properties: { plan: { type: 'string' }, seats: { type: 'integer' } } }
const identifiers = ['email', 'mobile', 'username']

const makePool = async (slug: string, settings: object = {}): Promise<string> =>
  (await lido.make('/pools', { slug, name: slug, identifiers, user_schema, metadata_schema, ...settings })).id

const json = 'application/json'
const ndjson = 'application/x-ndjson'
const csv = 'text/csv'

const send = async (pool: string, text: string | ReadableStream, type: string, query: Record<string, string>) => {
  const response = await fetch(`${lido.url}/api/v1/pools/${pool}/imports?${new URLSearchParams(query)}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${await lido.token()}`, 'Content-Type': type },
    body: text,
    duplex: 'half',
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

interface Told {
  row: number
  reasons: string[]
}
interface Progress {
  preset: string | null
  rows: number
  created: number
  updated: number
  skipped: number
  failed: number
  warned: number
  errors: Told[]
  warnings: Told[]
  left_out: { field: string; rows: number }[]
}

const run = async (pool: string, text: string | ReadableStream, type: string, query: Record<string, string>) => {
  const begun = await send(pool, text, type, query)
  assert.equal(begun.status, 201, JSON.stringify(begun.body))
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await setTimeout(50)) {
    const { body } = await lido.call('GET', `/pools/${pool}/imports/${begun.body.id}`)
    if (body.state === 'done') return body as unknown as Progress
  }
  throw new Error('The import does not end.')
}
const counts = ({ created, updated, skipped, failed }: Progress) => [created, updated, skipped, failed]

const download = async (pool: string, query: string, scope?: string) => {
  const Authorization = `Bearer ${await lido.token(scope)}`
  const response = await fetch(`${lido.url}/api/v1/pools/${pool}/exports?${query}`, { headers: { Authorization } })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

interface Person {
  id: string
  identifiers: unknown[]
  status: string
  profile: object
  metadata: object
  external_id: string | null
}
const peopleOf = async (pool: string): Promise<Person[]> =>
  ((await lido.call('GET', `/pools/${pool}/users?limit=200`)).body.items ?? []) as unknown as Person[]

/** What is the same of people in two pools, in one order. */
const told = async (pool: string) =>
  (await peopleOf(pool))
    .map(({ identifiers, status, profile, metadata }) => JSON.stringify({ identifiers, status, profile, metadata }))
    .sort()

const hashesOf = async (poolId: string): Promise<string[]> => {
  const rows = await lido.services.db
    .selectFrom('credentials')
    .select('data')
    .where('poolId', '=', poolId)
    .where('kind', '=', 'password')
    .execute()
  return rows.map(({ data }) => String(data.hash))
}
const opens = async (hash: string) => {
  const reading = readHash(hash)
  return reading.is === 'read' && (await reading.matches(password)) && !(await reading.matches(`${password}!`))
}

const signIn = async (pool: string, identifier: string): Promise<boolean> => {
  const redirectUri = 'https://app.example/callback'
  await lido.call('POST', '/workspaces', { slug: pool, name: pool })
  await lido.call('POST', `/workspaces/${pool}/connections`, { pool })
  const client = { client_id: 'app', client_name: 'App', token_endpoint_auth_method: 'none', first_party: true }
  await lido.call('POST', `/workspaces/${pool}/clients`, { ...client, redirect_uris: [redirectUri] })
  const browser = openBrowser(lido.url)
  await browser.get(authorizeUrl(lido.url, pool, { client_id: 'app', redirect_uri: redirectUri }).url)
  await browser.submit({ identifier })
  await browser.submit({ password })
  return browser.page.url.startsWith(redirectUri)
}

/** People of all sorts, some with passwords made here. */
const fill = async (pool: string) => {
  const rows = [
    {
      email: 'ada@example.org',
      email_verified: true,
      username: 'ada',
      mobile: '+41791234567',
      mobile_verified: true,
      profile: { given_name: 'Ada, "the" first', family_name: 'Lovelace', birthdate: '1985-02-01' },
      metadata: { plan: 'gold', seats: 3 },
      external_id: 'auth0|ada',
    },
    { email: 'off@example.org', status: 'inactive', profile: { given_name: '=1+1' } },
    { email: 'plain@example.org', email_verified: true },
  ]
  await run(pool, rows.map((row) => JSON.stringify(row)).join('\n'), ndjson, {})
  for (const { id } of await peopleOf(pool))
    assert.equal((await lido.call('PUT', `/pools/${pool}/users/${id}/password`, { password })).status, 204)
}

describe('what is exported for another system comes back by its preset', () => {
  for (const format of ['auth0', 'keycloak'])
    test(`${format}: the same people, and their passwords`, async () => {
      await makePool(`from-${format}`)
      const target = await makePool(`to-${format}`)
      await fill(`from-${format}`)
      const { text, headers } = await download(`from-${format}`, `format=${format}&hashes=true`)
      assert.match(headers.get('Content-Type') ?? '', /^application\/json/)
      assert.match(headers.get('Content-Disposition') ?? '', new RegExp(`filename="from-${format}\\.${format}\\.json"`))
      const done = await run(`to-${format}`, text, json, { preset: format })
      assert.deepEqual([done.preset, ...counts(done), done.warned], [format, 3, 0, 0, 0, 0], JSON.stringify(done))
      assert.deepEqual(await told(`to-${format}`), await told(`from-${format}`))
      const hashes = await hashesOf(target)
      assert.equal(hashes.length, 3)
      for (const hash of hashes) assert.ok(await opens(hash))
      assert.ok(await signIn(`to-${format}`, 'plain@example.org'))
    })

  test('cognito: the same people, who have no password', async () => {
    await makePool('from-cognito')
    const target = await makePool('to-cognito')
    await fill('from-cognito')
    const { text } = await download('from-cognito', 'format=cognito')
    const dry = await run('to-cognito', text, csv, { preset: 'cognito', dry_run: 'true' })
    assert.deepEqual(counts(dry), [3, 0, 0, 0], JSON.stringify(dry))
    assert.deepEqual(await peopleOf('to-cognito'), [])
    assert.deepEqual(counts(await run('to-cognito', text, csv, { preset: 'cognito' })), [3, 0, 0, 0])
    const active = (people: string[]) => people.map((one) => one.replace('"inactive"', '"active"')).sort()
    assert.deepEqual(await told('to-cognito'), active(await told('from-cognito')))
    assert.deepEqual(await hashesOf(target), [])
  })
})

test('hashes go along only for whoever may have them, and never where there is no place for them', async () => {
  await makePool('guarded')
  await fill('guarded')
  for (const format of ['auth0', 'keycloak']) {
    assert.equal((await download('guarded', `format=${format}&hashes=true`, 'exports:read')).status, 403)
    const without = await download('guarded', `format=${format}`, 'exports:read')
    assert.equal(without.status, 200)
    assert.doesNotMatch(without.text, /argon2|credentials|password/)
  }
  const cognito = await download('guarded', 'format=cognito&hashes=true')
  assert.equal(cognito.status, 422)
  assert.equal(JSON.parse(cognito.text).errors[0].pointer, '/hashes')
  const events = await lido.call('GET', '/events?type=export.started&limit=1')
  assert.deepEqual(
    events.body.items?.map(({ data }) => (data as { format: string }).format),
    ['keycloak'],
  )
})

test('an Auth0 export with hashes comes in line by line; what cannot come is told of each row', async () => {
  const target = await makePool('lines', { identifiers: ['email'] })
  const users = [
    {
      user_id: 'auth0|1',
      email: 'b@example.org',
      passwordHash: await bcryptHash(password, 4),
      user_metadata: { a: 1 },
    },
    {
      user_id: 'auth0|2',
      email: 'm@example.org',
      custom_password_hash: { algorithm: 'md4', hash: { value: 'secret==' } },
    },
    { user_id: 'auth0|3', email: 'nobody', custom_password_hash: { algorithm: 'md4', hash: { value: 'x' } } },
    { user_id: 'auth0|4', email: 's@example.org', app_metadata: { seats: 'many' }, username: 'ess' },
  ]
  const text = users.map((user) => JSON.stringify(user)).join('\n')
  const done = await run('lines', text, ndjson, { preset: 'auth0' })
  assert.deepEqual(counts(done), [2, 0, 0, 2])
  assert.deepEqual(done.warnings, [
    { row: 2, reasons: ['The hash algorithm "md4" is not supported; the user is imported without a password'] },
  ])
  assert.equal(done.warned, 1)
  assert.doesNotMatch(JSON.stringify(done), /secret/)
  assert.deepEqual(
    done.errors.map(({ row }) => row),
    [3, 4],
  )
  assert.deepEqual(done.left_out, [
    { field: 'user_metadata.a', rows: 1 },
    { field: 'username', rows: 1 },
  ])
  const [hash = ''] = await hashesOf(target)
  assert.ok(await opens(hash))
  const columns = JSON.stringify({ 'app_metadata.seats': null })
  const again = await run('lines', text, ndjson, { preset: 'auth0', columns, on_duplicate: 'update' })
  assert.deepEqual(counts(again), [1, 2, 0, 1])
})

test('a file called JSON may be lines, a list, or hold the list; whatever is around it is passed over', async () => {
  await makePool('shapes', { identifiers: ['email'] })
  const user = (n: number) => ({ email: `s${n}@example.org`, email_verified: true })
  const lines = `${JSON.stringify(user(1))}\n${JSON.stringify(user(2))}\n`
  const list = `\ufeff${JSON.stringify([user(3), user(4)], null, 2)}`
  const realm = JSON.stringify({
    realm: 'x',
    roles: { users: [{ email: 'not-this@example.org' }] },
    clients: [{ name: 'a "quoted" ] } \\', users: [{ email: 'nor-this@example.org' }] }],
    users: [user(5), { ...user(6), attributes: { note: ['}]{["\\"'] } }],
    after: { list: [1, 'two', [3]] },
  })
  for (const [text, preset, rows] of [
    [lines, 'auth0', 2],
    [list, 'auth0', 2],
    [realm, 'keycloak', 2],
    [
      JSON.stringify({ Users: [{ Username: 'u', Attributes: [{ Name: 'email', Value: 's7@example.org' }] }] }),
      'cognito',
      1,
    ],
  ] as const)
    assert.deepEqual(counts(await run('shapes', text, json, { preset })), [rows, 0, 0, 0], text)
  const names = (await peopleOf('shapes')).map(({ identifiers }) => JSON.stringify(identifiers)).join()
  assert.doesNotMatch(names, /this@/)
  assert.equal((await peopleOf('shapes')).length, 7)
})

test('refuses what is no such file as a whole, and keeps nothing of it', async () => {
  await makePool('refused')
  for (const [text, type, preset, status] of [
    ['[{"email":"a@example.org"}]', json, '', 415],
    ['[{"email":"a@example.org"}', json, 'auth0', 422],
    ['[{"email":"a@example.org"}] more', json, 'auth0', 422],
    ['["a@example.org"]', json, 'auth0', 422],
    ['[1]', json, 'auth0', 422],
    ['{"realm":"x",\n"users":[{}]', json, 'keycloak', 422],
    ['{\n"realm":"x","clients":[{}]\n}', json, 'keycloak', 422],
    ['[]', json, 'auth0', 422],
    ['', json, 'auth0', 422],
    ['nonsense', json, 'auth0', 422],
    ['[{"email":"a@example.org"}]', json, 'okta', 422],
    ['email\n"a', csv, 'auth0', 422],
  ] as const) {
    const sent = await send('refused', text, type, preset ? { preset } : {})
    assert.equal(sent.status, status, `${text} ${JSON.stringify(sent.body)}`)
  }
  assert.deepEqual((await lido.call('GET', '/pools/refused/imports')).body.items, [])
})

test('odd rows fail alone: half characters, deep JSON, names that every object has, a record of ten megabytes', async () => {
  await makePool('attacked', { identifiers: ['email'] })
  const deep = `${'{"user_metadata":'.repeat(3_000)}1${'}'.repeat(3_000)}`
  const big = JSON.stringify({ email: 'big@example.org', user_metadata: { text: 'x'.repeat(10_000_000) } })
  const odd = [
    '{"email":"a@example.org","user_metadata":{"theme":"\\ud800"}}',
    '{"email":"b@example.org","__proto__":{"blocked":true}}',
    '{"email":{"toString":1,"valueOf":{}},"email_verified":{"toString":1}}',
    deep,
    big,
    '{"email":"c@example.org" "comma":"missing"}',
    '{"email":"constructor@example.org","constructor":{"prototype":{"x":1}},"user_metadata":{"hasOwnProperty":1}}',
    '{"email":"fine@example.org","blocked":false}',
  ]
  const done = await run('attacked', `[${odd.join(',')}]`, json, { preset: 'auth0' })
  assert.deepEqual([done.rows, ...counts(done)], [8, 2, 0, 0, 6], JSON.stringify(done.errors))
  assert.deepEqual(
    done.errors.map(({ row }) => row),
    [1, 2, 3, 4, 5, 6],
  )
  assert.equal(Object.hasOwn(Object.prototype, 'x'), false)
  assert.equal((await send('attacked', `${big}\n`, ndjson, { preset: 'auth0' })).status, 422)
})

test('a file whose rows all have fields of their own is counted in bounded room', async () => {
  await makePool('fields', { identifiers: ['email'] })
  const rows = Array.from({ length: 1_000 }, (_, n) => JSON.stringify({ email: `n${n}@example.org`, [`field${n}`]: 1 }))
  const done = await run('fields', rows.join('\n'), ndjson, { preset: 'auth0' })
  assert.deepEqual(counts(done), [1_000, 0, 0, 0])
  assert.deepEqual([done.left_out.length, done.left_out[0]], [301, { field: 'others', rows: 700 }])
})

test('reads the CSV of Auth0, with its quotes, BOM and line ends, and of Cognito, with its backslashes', async () => {
  await makePool('tables')
  const auth0 = [
    '\ufeffuser_id,email,email_verified,given_name,app_metadata.plan,created_at',
    `"'auth0|1","'csv@example.org",true,"'Ann ""the"" great, =1","'gold",2024-01-01T00:00:00.000Z`,
  ]
  const done = await run('tables', auth0.join('\r\n'), csv, { preset: 'auth0' })
  assert.deepEqual(counts(done), [1, 0, 0, 0], JSON.stringify(done.errors))
  assert.deepEqual(done.left_out, [{ field: 'created_at', rows: 1 }])
  const cognito = [
    'cognito:username,given_name,email,email_verified,birthdate,phone_number,phone_number_verified,cognito:mfa_enabled,custom:plan',
    'jane,Jane\\, called "J",jane@example.org,TRUE,02/01/1985,+41791234599,FALSE,FALSE,gold',
  ]
  assert.deepEqual(counts(await run('tables', cognito.join('\n'), csv, { preset: 'cognito' })), [1, 0, 0, 0])
  const people = await peopleOf('tables')
  assert.deepEqual(people.map(({ profile, metadata, external_id }) => [external_id, profile, metadata]).sort(), [
    ['auth0|1', { given_name: 'Ann "the" great, =1' }, { plan: 'gold' }],
    ['jane', { given_name: 'Jane, called "J"', birthdate: '1985-02-01' }, { plan: 'gold' }],
  ])
})

test('twenty thousand users come in and go out in one file', async () => {
  await makePool('many', { identifiers: ['email'] })
  const hash = await bcryptHash(password, 4)
  const text = async function* () {
    const encoder = new TextEncoder()
    yield encoder.encode('[')
    for (let n = 0; n < 20_000; n += 1) {
      const note = 'x'.repeat(1_000)
      const user = { user_id: `u${n}`, email: `u${n}@example.org`, password_hash: hash, user_metadata: { note } }
      yield encoder.encode(`${n > 0 ? ',' : ''}\n${JSON.stringify(user)}`)
    }
    yield encoder.encode(']')
  }
  const done = await run('many', ReadableStream.from(text()), json, { preset: 'auth0' })
  const { text: out } = await download('many', 'format=keycloak')
  assert.deepEqual(counts(done), [20_000, 0, 0, 0])
  assert.equal(out.split('\n').length, 20_003)
})
