import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { uuidv7 } from '../../platform/secrets.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

interface Report {
  changes: { field: string; before: unknown; after: unknown }[]
  users_touched: number
  conflicts: {
    kind: string
    field: string
    detail: string
    count: number
    sample: { user: string; reason: string }[]
  }[]
}

const makePool = async (slug: string, settings: object = {}) =>
  (await lido.make('/pools', { slug, name: slug, ...settings })).id
const check = async (pool: string, patch: object) => {
  const { status, body } = await lido.call('POST', `/pools/${pool}/check`, patch)
  assert.equal(status, 200, JSON.stringify(body))
  return body as unknown as Report
}
const password = 'correct horse battery staple'
const makeUser = async (pool: string, identifiers: Record<string, string>, more: object = {}) => {
  const told = Object.entries(identifiers).map(([type, value]) => ({ type, value }))
  const body = { mode: 'set_credentials', identifiers: told, password, ...more }
  return (await lido.make(`/pools/${pool}/users`, body)).id
}
/** Conflicts as kind, count and whom the sample names. */
const told = ({ conflicts }: Report) =>
  conflicts.map(({ kind, count, sample }) => [kind, count, sample.map(({ user }) => user)])

const named = (properties: object, required: string[] = []) => ({ type: 'object', properties, required })

test('says how many users would no longer fit a schema, names some, and changes nothing', async () => {
  await makePool('fitting', { user_schema: named({ age: {} }) })
  const ids: string[] = []
  for (let i = 0; i < 25; i += 1)
    ids.push(await makeUser('fitting', { email: `a${i}@example.org` }, { profile: { age: i < 22 ? 'old' : i } }))
  await lido.call('PATCH', `/pools/fitting/users/${ids[0]}`, { status: 'inactive' })
  const before = (await lido.call('GET', '/pools/fitting')).body
  const patch = { user_schema: { properties: { age: { type: 'integer' } } }, name: 'Changed' }
  const report = await check('fitting', patch)
  assert.deepEqual(report.changes.map(({ field }) => field).sort(), ['name', 'user_schema'])
  assert.deepEqual([report.users_touched, told(report)], [21, [['schema', 21, ids.slice(1, 21)]]])
  assert.equal(report.conflicts[0]?.sample[0]?.reason, "profile.age does not fit the pool's schema (type)")
  assert.deepEqual((await lido.call('GET', '/pools/fitting')).body, before)

  const refused = await lido.call('PATCH', '/pools/fitting', patch)
  assert.equal(refused.status, 409, JSON.stringify(refused.body))
  assert.deepEqual(refused.body.errors, [
    { pointer: '/user_schema', detail: '21 users would no longer fit the user_schema' },
  ])
  assert.equal((await lido.call('GET', '/pools/fitting')).body.name, 'fitting')
  assert.equal((await lido.call('PATCH', '/pools/fitting?accept_conflicts=true', patch)).status, 200)
  assert.deepEqual(told(await check('fitting', { user_schema: { title: 'Person' } })), [], 'who did not fit is no news')
  const more = await check('fitting', { user_schema: { required: ['name'] } })
  assert.deepEqual(
    more.conflicts.map(({ count }) => count),
    [24],
  )
})

test('the same holds for metadata, and one user with two conflicts is one', async () => {
  await makePool('meta')
  const id = await makeUser('meta', { email: 'm@example.org' }, { profile: { n: 1 }, metadata: { plan: 'costly' } })
  const report = await check('meta', {
    user_schema: { properties: { n: { type: 'string' } } },
    metadata_schema: { properties: { plan: { enum: ['free'] } } },
  })
  assert.equal(report.users_touched, 1)
  assert.deepEqual(told(report), [
    ['schema', 1, [id]],
    ['metadata_schema', 1, [id]],
  ])
  assert.ok(!JSON.stringify(report.conflicts).includes('costly'), 'no value is told')
})

test('turning an identifier off says who would have none left', async () => {
  await makePool('off', { identifiers: ['email', 'username'] })
  const id = await makeUser('off', { username: 'only-this' })
  await makeUser('off', { username: 'and-that', email: 'x@example.org' })
  const report = await check('off', { identifiers: ['email'] })
  assert.deepEqual(told(report), [['identifier_missing', 1, [id]]])
  const refused = await lido.call('PATCH', '/pools/off', { identifiers: ['email'] })
  const detail = '1 user would have no identifier left to sign in with'
  assert.deepEqual([refused.status, refused.body.errors], [409, [{ pointer: '/identifiers', detail }]])
})

test('turning an identifier on says whose would be read as another, and whose profile has what is taken', async () => {
  await makePool('on', { identifiers: ['email', 'username'] })
  const numbered = await makeUser('on', { username: '0041791234567' })
  await makeUser('on', { username: 'plain' })
  assert.deepEqual(told(await check('on', { identifiers: ['email', 'mobile', 'username'] })), [
    ['identifier_collision', 1, [numbered]],
  ])
  assert.deepEqual(
    told(await check('on', { identifiers: ['email', 'username', 'mobile'] })),
    [],
    'in this order it stays',
  )

  await makePool('shared', { identifiers: ['username'] })
  const phone = (phone_number: string) => ({ profile: { phone_number } })
  await makeUser('shared', { username: 'first' }, phone('+41 79 123 45 67'))
  const second = await makeUser('shared', { username: 'second' }, phone('0041791234567'))
  await makeUser('shared', { username: 'third' }, phone('+41791234568'))
  const report = await check('shared', { identifiers: ['username', 'mobile'] })
  assert.deepEqual(told(report), [['identifier_collision', 1, [second]]])
  assert.ok(!JSON.stringify(report.conflicts).includes('4179'), 'no value is told')
})

test('a number that somebody gave up and another goes by is told as theirs', async () => {
  await makePool('again', { identifiers: ['mobile'] })
  const owner = await makeUser('again', { mobile: '+41791234567' })
  const accept = '?accept_conflicts=true'
  assert.equal((await lido.call('PATCH', `/pools/again${accept}`, { identifiers: ['username'] })).status, 200)
  const other = await makeUser('again', { username: '0041791234567' }, { profile: { phone_number: '+41791234567' } })
  const report = await check('again', { identifiers: ['mobile', 'username'] })
  assert.deepEqual(told(report), [
    ['identifier_collision', 1, [other]],
    ['identifier_collision', 1, [other]],
  ])
  assert.equal(report.users_touched, 1)
  assert.match(report.conflicts[0]?.sample[0]?.reason ?? '', /a mobile that somebody else goes by/)
  assert.ok(!JSON.stringify(report).includes(owner))
})

test('removing a method says who would have no way left', async () => {
  await makePool('ways', { identifiers: ['email', 'username'], sign_in_methods: ['password', 'email_code'] })
  const lost = await makeUser('ways', { username: 'no-mail' })
  await makeUser('ways', { email: 'w@example.org' })
  assert.deepEqual(told(await check('ways', { sign_in_methods: ['email_code'] })), [['method', 1, [lost]]])
  assert.deepEqual(told(await check('ways', { sign_in_methods: ['password'] })), [])
  const unproven = await makeUser('ways', { username: 'unproven', email: 'u@example.org' })
  await lido.call('PATCH', '/pools/ways?accept_conflicts=true', { sign_in_methods: ['email_code'] })
  const report = await check('ways', { identifiers: ['username'] })
  assert.deepEqual(
    report.conflicts.map(({ kind, field, count }) => [kind, field, count]),
    [
      ['identifier_missing', 'identifiers', 1],
      ['method', 'identifiers', 1],
    ],
  )
  assert.equal(report.conflicts[1]?.sample[0]?.user, unproven, 'a code goes to a verified address or to the one typed')
})

test('names nobody to whoever may not read users, and does not exist for who may not see the pool', async () => {
  await makePool('named')
  await makeUser('named', { email: 'n@example.org' })
  const patch = { user_schema: { required: ['x'] } }
  const as = async (scope: string) => ({ Authorization: `Bearer ${await lido.token(scope)}` })
  const blind = await lido.call('POST', '/pools/named/check', patch, await as('pools:write'))
  const [conflict] = (blind.body as unknown as Report).conflicts
  assert.deepEqual([conflict?.count, conflict?.sample], [1, []])
  assert.equal((await lido.call('POST', '/pools/named/check', patch, await as('pools:read'))).status, 403)
  const elsewhere = await makePool('elsewhere')
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', pools: [elsewhere], workspaces: [] })
  assert.equal((await limited.call('POST', '/pools/named/check', patch)).status, 404)
})

test('refuses schemas that nobody could be held to, those of metadata too', async () => {
  await makePool('schemas')
  const broken = { properties: { x: { type: 'bogus' } } }
  for (const field of ['user_schema', 'metadata_schema'])
    for (const answer of [
      await lido.call('POST', '/pools', { slug: `bad-${field.slice(0, 4)}`, name: 'Bad', [field]: broken }),
      await lido.call('PATCH', '/pools/schemas', { [field]: broken }),
      await lido.call('POST', '/pools/schemas/check', { [field]: broken }),
    ]) {
      assert.equal(answer.status, 422)
      assert.deepEqual(
        (answer.body.errors as { pointer: string }[]).map(({ pointer }) => pointer),
        [`/${field}`],
      )
    }
  assert.equal((await lido.call('POST', '/pools/schemas/check', { color: 'red' })).status, 422)
  const free = await lido.call('PATCH', '/pools/schemas', { metadata_schema: { properties: { password: {} } } })
  assert.equal(free.status, 200, 'no form is drawn from metadata')
})

test('reads users only where something changed that they could conflict with, and a thousand at a time', async () => {
  const pool = await makePool('many', { user_schema: named({ n: { type: 'integer' } }) })
  await sql`
    insert into users (pool_id, id, status, profile)
    select ${pool}, (substr(${uuidv7()}, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid, 'active', jsonb_build_object('n', n)
    from generate_series(1, 3500) n`.execute(lido.services.db)
  const reads = () => lido.statements.filter((text) => text.includes('from users u')).length
  lido.statements.length = 0
  assert.deepEqual(told(await check('many', { name: 'Many', self_registration: true })), [])
  assert.equal((await lido.call('PATCH', '/pools/many', { name: 'Many', user_schema: { type: 'object' } })).status, 200)
  assert.equal(reads(), 0)
  const report = await check('many', { user_schema: { properties: { n: { maximum: 1000 } } } })
  assert.equal(report.users_touched, 2500)
  assert.equal(reads(), 4)
})

test('a check and twenty changes at once: what is changed is what was looked at', async () => {
  await makePool('raced', { user_schema: named({ a: {}, b: {} }) })
  await makeUser('raced', { email: 'r@example.org' }, { profile: { a: 1, b: 1 } })
  const changes = Array.from({ length: 20 }, (_, n) =>
    lido.call('PATCH', '/pools/raced', { user_schema: { properties: { [n % 2 ? 'a' : 'b']: { minimum: 0 } } } }),
  )
  const statuses = (await Promise.all(changes)).map(({ status }) => status)
  assert.ok(
    statuses.every((status) => status === 200 || status === 409),
    String(statuses),
  )
  assert.ok(statuses.includes(200))
})
