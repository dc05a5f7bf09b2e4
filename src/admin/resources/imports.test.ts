import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { parse } from 'csv-parse/sync'
import { authorizeUrl, openBrowser } from '../../browser-testing.ts'
import type { RawRow } from '../../directory/import-rows.ts'
import * as imports from '../../directory/imports.ts'
import { type AdminLido, type ApiAnswer, adminLido } from '../fixtures-testing.ts'
import { makePerson } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const password = 'correct horse battery staple'
const user_schema = {
  type: 'object',
  properties: { given_name: { type: 'string' }, age: { type: 'integer', minimum: 1 }, vip: { type: 'boolean' } },
  additionalProperties: false,
}
const makePool = async (slug: string, settings: object = {}): Promise<string> =>
  (await lido.make('/pools', { slug, name: slug, user_schema, ...settings })).id

const send = async (pool: string, text: string, query = '', headers: Record<string, string> = {}) => {
  const response = await fetch(`${lido.url}/api/v1/pools/${pool}/imports?${query}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${await lido.token()}`, 'Content-Type': 'text/csv', ...headers },
    body: text,
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as ApiAnswer['body'] }
}

interface Progress {
  id: string
  state: string
  rows: number
  created: number
  updated: number
  skipped: number
  failed: number
  errors: { row: number; reasons: string[] }[]
}

const finish = async (pool: string, id: unknown): Promise<Progress> => {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; ) {
    const { body } = await lido.call('GET', `/pools/${pool}/imports/${id}`)
    if (body.state === 'done') return body as unknown as Progress
    await setTimeout(50)
  }
  throw new Error('The import does not end.')
}

const run = async (pool: string, text: string, query = '', headers: Record<string, string> = {}) => {
  const begun = await send(pool, text, query, headers)
  assert.equal(begun.status, 201, JSON.stringify(begun.body))
  assert.equal(begun.headers.get('Location'), `/api/v1/pools/${pool}/imports/${begun.body.id}`)
  return finish(pool, begun.body.id)
}

const everything = { withRoles: true, withTenants: true, ofPoolOnly: false }
const counts = ({ created, updated, skipped, failed }: Progress) => [created, updated, skipped, failed]
const ndjson = { 'Content-Type': 'application/x-ndjson' }
const userOf = async (pool: string, identifier: string) => {
  const { body } = await lido.call('GET', `/pools/${pool}/users?identifier=${encodeURIComponent(identifier)}`)
  return body.items?.[0] as Record<string, unknown> | undefined
}
const hashOf = async (pool: string, id: unknown): Promise<string> => {
  const { data } = await lido.services.db
    .selectFrom('credentials')
    .select('data')
    .where('poolId', '=', pool)
    .where('userId', '=', String(id))
    .where('kind', '=', 'password')
    .executeTakeFirstOrThrow()
  return String(data.hash)
}

test('imports 1,000 users with bcrypt hashes, one signs in, and the hash is replaced', async () => {
  const pool = await makePool('thousand')
  await lido.call('POST', '/workspaces', { slug: 'big', name: 'Big' })
  await lido.call('POST', '/workspaces/big/connections', { pool: 'thousand' })
  const redirectUri = 'https://app.example/callback'
  const client = {
    client_id: 'app',
    client_name: 'App',
    token_endpoint_auth_method: 'none',
    first_party: true,
    redirect_uris: [redirectUri],
  }
  assert.equal((await lido.call('POST', '/workspaces/big/clients', client)).status, 201)
  const hash = await bcryptHash(password, 4)
  const rows = Array.from({ length: 1_000 }, (_, i) => `person${i}@example.org,true,Person ${i},${hash}`)
  const done = await run('thousand', `email,email_verified,profile.given_name,password_hash\n${rows.join('\n')}\n`)
  assert.deepEqual([done.rows, ...counts(done)], [1_000, 1_000, 0, 0, 0], JSON.stringify(done.errors))
  const user = await userOf('thousand', 'person500@example.org')
  assert.deepEqual(user?.profile, { given_name: 'Person 500' })
  assert.equal(await hashOf(pool, user?.id), hash)

  const signIn = async (secret: string) => {
    const { url } = authorizeUrl(lido.url, 'big', { client_id: 'app', redirect_uri: redirectUri })
    const browser = openBrowser(lido.url)
    await browser.get(url)
    await browser.submit({ identifier: 'person500@example.org' })
    await browser.submit({ password: secret })
    return browser.page.url.startsWith(redirectUri)
  }
  assert.equal(await signIn(`${password}r`), false)
  assert.equal(await hashOf(pool, user?.id), hash, 'a wrong password replaces nothing')
  assert.equal(await signIn(password), true)
  assert.match(await hashOf(pool, user?.id), /^\$argon2id\$/)
  assert.equal(await signIn(password), true)
  assert.equal(await signIn(`${password}r`), false)
  const other = await userOf('thousand', 'person501@example.org')
  assert.equal(await hashOf(pool, other?.id), hash)
})

test('reads CSV with a BOM, CRLF, quotes and commas, empty cells and typed columns', async () => {
  await makePool('csv', { identifiers: ['email', 'mobile', 'username'] })
  await lido.call('POST', '/pools/csv/groups', { name: 'staff' })
  const text = [
    '\ufeffemail,username,profile.given_name,profile.age,profile.vip,metadata.note,groups,status,external_id',
    'Quoted@Example.org,,"Ann ""The"" Great, Jr.",41,true,"two\r\nlines",/staff,inactive,A-1',
    ',plain,,,,,,,',
    '',
  ].join('\r\n')
  assert.deepEqual(counts(await run('csv', text)), [2, 0, 0, 0])
  const ann = await userOf('csv', 'quoted@example.org')
  assert.deepEqual(ann?.profile, { given_name: 'Ann "The" Great, Jr.', age: 41, vip: true })
  assert.deepEqual(ann?.metadata, { note: 'two\r\nlines' })
  assert.deepEqual([ann?.groups, ann?.status], [['/staff'], 'inactive'])
  const plain = await userOf('csv', 'plain')
  assert.deepEqual([plain?.profile, plain?.status], [{}, 'active'])
})

test('says of each row that fails why, and imports the others', async () => {
  await makePool('faults')
  const lines = [
    '{"email":"good@example.org"}',
    '{"email":"no address"}',
    'no json',
    '[]',
    '{"email":"a@example.org","password_hash":"$6$salt$secret-hash"}',
    '{"email":"b@example.org","surprise":1,"profile":{"age":0},"groups":"/nowhere"}',
    '{"email":"c@example.org","profile":{"age":0,"other":1}}',
    '{"email":"d@example.org","groups":["/nowhere"]}',
    '{"mobile":"+41791234567"}',
    '{"email":"e@example.org","__proto__":{"status":"inactive"}}',
    '{"email":"f@example.org","profile":{"given_name":"\\u0000"}}',
    '{"profile":{}}',
    '{"email":"also-good@example.org","status":null}',
  ]
  const done = await run('faults', lines.join('\n'), '', ndjson)
  assert.deepEqual(counts(done), [2, 0, 0, 11])
  const text = JSON.stringify(done.errors)
  assert.ok(!text.includes('secret-hash'))
  const reasons = new Map(done.errors.map(({ row, reasons }) => [row, reasons.join('; ')]))
  for (const [row, reason] of [
    [2, /^email is none$/],
    [3, /no JSON object/],
    [4, /no JSON object/],
    [5, /^password_hash: Password hashes of the format SHA-512-crypt are not known here$/],
    [6, /The column "surprise" is not known/],
    [7, /profile .*additionalProperties.*; profile\.age .*minimum 1/],
    [8, /There is no group \/nowhere/],
    [9, /does not know people by mobile/],
    [10, /not text/],
    [11, /not text/],
    [12, /needs one of email/],
  ] as const)
    assert.match(reasons.get(row) ?? '', reason, `row ${row}`)
})

test('tells duplicates by their canonical form, and does with them as it is told', async () => {
  await makePool('twice')
  const text = 'email,profile.given_name\nTwin@example.org,First\ntwin@EXAMPLE.org,Second\n'
  const dry = await run('twice', text, 'dry_run=true&on_duplicate=fail')
  assert.deepEqual(counts(dry), [1, 0, 0, 1])
  assert.equal(await userOf('twice', 'twin@example.org'), undefined, 'a dry run makes nobody')
  assert.deepEqual(counts(await run('twice', text, 'on_duplicate=skip')), [1, 0, 1, 0])
  const first = await userOf('twice', 'twin@example.org')
  assert.deepEqual(first?.profile, { given_name: 'First' })
  const failed = await run('twice', text, 'on_duplicate=fail')
  assert.deepEqual(counts(failed), [0, 0, 0, 2])
  assert.deepEqual(failed.errors[0], { row: 1, reasons: ['Somebody of the pool goes by this already'] })
  assert.deepEqual(counts(await run('twice', text, 'on_duplicate=update&dry_run=true')), [0, 2, 0, 0])
  assert.deepEqual(counts(await run('twice', text, 'on_duplicate=update')), [0, 2, 0, 0])
  const second = await userOf('twice', 'twin@example.org')
  assert.deepEqual([second?.id, second?.profile], [first?.id, { given_name: 'Second' }])
})

test('an update merges: what a row does not name stays', async () => {
  await makePool('merge', { identifiers: ['email', 'username'] })
  await run(
    'merge',
    '{"email":"m@example.org","email_verified":true,"external_id":"X","profile":{"age":7}}',
    '',
    ndjson,
  )
  const more = '{"username":"merged","external_id":"X","profile":{"vip":true}}'
  assert.deepEqual(counts(await run('merge', more, 'on_duplicate=update', ndjson)), [0, 1, 0, 0])
  const user = await userOf('merge', 'm@example.org')
  assert.deepEqual(user?.profile, { age: 7, vip: true })
  assert.deepEqual(
    ((user?.identifiers ?? []) as { value: string; verified: boolean }[])
      .map(({ value, verified }) => [value, verified])
      .sort(),
    [
      ['m@example.org', true],
      ['merged', false],
    ],
  )
})

test('never changes an operator, and puts nobody into groups without that scope', async () => {
  await makePerson(lido, 'administrators', 'boss@example.org')
  const boss = await userOf('administrators', 'boss@example.org')
  assert.equal((await lido.call('PUT', `/operators/${boss?.id}`, { role: 'owner' })).status, 200)
  const hash = await bcryptHash('guessed by the attacker', 4)
  const row = JSON.stringify({ email: 'boss@example.org', password_hash: hash })
  const done = await run('administrators', row, 'on_duplicate=update', ndjson)
  assert.deepEqual(counts(done), [0, 0, 0, 1])
  assert.match(done.errors[0]?.reasons[0] ?? '', /operator/)
  await makePool('grouping')
  await lido.call('POST', '/pools/grouping/groups', { name: 'staff' })
  const Authorization = `Bearer ${await lido.token('imports:write')}`
  const grouped = '{"email":"g@example.org","groups":"/staff"}'
  assert.deepEqual(counts(await run('grouping', grouped, '', { ...ndjson, Authorization })), [0, 0, 0, 1])
})

test('refuses what cannot be read at all, and keeps nothing of it', async () => {
  await makePool('refusals')
  for (const [text, headers, status] of [
    ['{}', { 'Content-Type': 'application/json' }, 415],
    ['', {}, 422],
    ['email\n', {}, 422],
    ['email,email\na@example.org,b@example.org\n', {}, 422],
    ['email\n"a@example.org"b\n', {}, 422],
  ] as const)
    assert.equal((await send('refusals', text, '', headers)).status, status, text)
  assert.equal((await send('refusals', 'email\nx@example.org\n', 'on_duplicate=guess')).status, 422)
  assert.deepEqual((await lido.call('GET', '/pools/refusals/imports')).body.items, [])
  const uneven = await run('refusals', 'email,status\na@example.org\n')
  assert.deepEqual(uneven.errors[0]?.reasons, ['The row has 1 cells, and the first line 2'])
})

test('goes on after the last batch that was committed, whoever works on it', async () => {
  const pool = await makePool('resumed')
  const { services } = lido
  const rows = async function* (): AsyncIterable<RawRow> {
    for (let i = 0; i < 900; i += 1) yield { is: 'row', values: { email: `r${i}@example.org` } }
  }
  const options = { dryRun: false, onDuplicate: 'fail', preset: null, withGroups: true, ...everything } as const
  const { id } = await imports.start(services, pool, options, rows(), { kind: 'system' })
  // A node that dies in a batch leaves nothing of it; three at once do each row once.
  await assert.rejects(
    services.db.transaction().execute(async (trx) => {
      await imports.workOn({ ...services, db: trx }, pool, id)
      throw new Error('killed')
    }),
  )
  const work = async () => {
    while (await imports.workOn(services, pool, id));
  }
  await Promise.all([work(), work(), work()])
  const done = await imports.get(services.db, pool, id)
  assert.deepEqual([done.state, done.created, done.failed], ['done', 900, 0])
  const left = await services.db.selectFrom('importRows').select('number').where('poolId', '=', pool).execute()
  assert.deepEqual(left, [])
  const events = await lido.call('GET', `/events?type=import.started,import.finished&pool=${pool}`)
  assert.deepEqual(events.body.items?.map(({ type }) => type).sort(), ['import.finished', 'import.started'])
})

const download = async (query: string, headers: Record<string, string> = {}) => {
  const Authorization = `Bearer ${await lido.token()}`
  const response = await fetch(`${lido.url}/api/v1/pools/${query}`, { headers: { Authorization, ...headers } })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

test('exports cells that a spreadsheet takes for no formula, and reads them again as they were', async () => {
  await makePool('formulas', { identifiers: ['email', 'mobile'] })
  const names = ['=HYPERLINK("http://evil")', '+1', '-1', '@x', '\tx', '\rx', "'=1", 'it\'s, "so"', 'plain']
  const rows = names.map((given_name, i) => ({
    email: `f${i}@example.org`,
    mobile: `+4179000000${i}`,
    profile: { given_name, age: 5 },
    metadata: { deep: { a: [1] } },
  }))
  assert.deepEqual(
    counts(await run('formulas', rows.map((row) => JSON.stringify(row)).join('\n'), '', ndjson)),
    [9, 0, 0, 0],
  )
  const { text, headers } = await download('formulas/exports?format=csv')
  assert.match(headers.get('Content-Type') ?? '', /^text\/csv/)
  assert.match(headers.get('Content-Disposition') ?? '', /^attachment; filename="formulas\.csv"/)
  const cells = parse(text, { relax_quotes: false }).slice(1).flat()
  for (const cell of cells) assert.doesNotMatch(cell, /^[=+\-@\t\r]/)
  await makePool('again', { identifiers: ['email', 'mobile'] })
  assert.deepEqual(counts(await run('again', text)), [9, 0, 0, 0])
  const told = async (pool: string) => (await download(`${pool}/exports`)).text.split('\n').sort()
  assert.deepEqual(await told('again'), await told('formulas'))
})

test('a file that is no CSV, and a line without end, are told as such', async () => {
  const pool = await makePool('odd')
  const upload = async (type: string, text: string) => {
    const headers = { Authorization: `Bearer ${await lido.token()}`, 'Content-Type': type }
    return (await fetch(`${lido.url}/api/v1/pools/${pool}/imports`, { method: 'POST', headers, body: text })).status
  }
  assert.equal(await upload('text/csv', 'em"ail\r\na@example.org'), 422)
  assert.equal(await upload('text/csv', 'email\r\n"a@example.org'), 422)
  const deep = `${'{"profile":'.repeat(9000)}1${'}'.repeat(9000)}`
  assert.deepEqual(counts(await run('odd', deep, '', ndjson)), [0, 0, 0, 1])
})

test('exports password hashes only to who may, and tells of it', async () => {
  const pool = await makePool('hashes')
  const hash = await bcryptHash(password, 4)
  await run('hashes', JSON.stringify({ email: 'h@example.org', password_hash: hash }), '', ndjson)
  const reader = { Authorization: `Bearer ${await lido.token('exports:read')}` }
  assert.ok(!(await download('hashes/exports', reader)).text.includes(hash))
  assert.ok(!(await download('hashes/exports?format=csv', reader)).text.includes('password_hash'))
  assert.equal((await download('hashes/exports?hashes=true', reader)).status, 403)
  for (const format of ['csv', 'ndjson'])
    assert.ok((await download(`hashes/exports?hashes=true&format=${format}`)).text.includes(hash))
  const events = await lido.call('GET', `/events?type=export.started&pool=${pool}`)
  assert.deepEqual(
    events.body.items?.map(({ data }) => (data as { hashes: boolean }).hashes),
    [true, true, false, false],
  )
})
