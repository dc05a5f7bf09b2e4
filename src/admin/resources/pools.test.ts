import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const customers = { slug: 'customers', name: 'Customers', identifiers: ['email', 'username'], self_registration: true }

test('makes, reads, changes and deletes a pool', async () => {
  const made = await lido.call('POST', '/pools', customers)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), '/api/v1/pools/customers')
  assert.equal(made.body.kind, 'local')
  assert.deepEqual(made.body.code_policy, { length: 6, lifetime_seconds: 600, attempts: 5 })
  const read = await lido.call('GET', `/pools/${made.body.id}`)
  assert.deepEqual(read.body, made.body)
  const changed = await lido.call('PATCH', '/pools/customers', { code_policy: { length: 8 }, name: 'People' })
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.deepEqual(changed.body.code_policy, { length: 8, lifetime_seconds: 600, attempts: 5 })
  assert.equal(changed.body.self_registration, true)
  assert.equal((await lido.call('DELETE', '/pools/customers')).status, 204)
  assert.equal((await lido.call('GET', '/pools/customers')).status, 404)
})

test('every change is one event with who, before and after', async () => {
  await lido.call('POST', '/pools', { ...customers, slug: 'told' })
  await lido.call('PATCH', '/pools/told', { name: 'Told again' })
  const rows = await lido.services.db.selectFrom('events').selectAll().where('type', '=', 'pool.updated').execute()
  assert.deepEqual(rows.at(-1)?.data, {
    by: { kind: 'client', id: 'bootstrap' },
    before: { name: 'Customers' },
    after: { name: 'Told again' },
  })
})

test('says with pointers what is not valid, and refuses what it does not know', async () => {
  const { status, body, headers } = await lido.call('POST', '/pools', {
    slug: 'No!',
    name: '',
    colour: 'red',
    code_policy: { length: 3 },
  })
  assert.equal(status, 422)
  assert.equal(headers.get('Content-Type'), 'application/problem+json')
  const pointers = (body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort()
  assert.deepEqual(pointers, ['/code_policy/length', '/colour', '/name', '/slug'])
  assert.equal((await lido.call('PATCH', '/pools/told', { id: 'mine' })).status, 422)
})

test('a taken slug is a conflict, also by a change', async () => {
  await lido.call('POST', '/pools', { ...customers, slug: 'other' })
  assert.equal((await lido.call('POST', '/pools', { ...customers, slug: 'other' })).status, 409)
  assert.equal((await lido.call('PATCH', '/pools/told', { slug: 'other' })).status, 409)
})

test('a change meant for another version is refused', async () => {
  const etag = (await lido.call('GET', '/pools/told')).headers.get('ETag') ?? ''
  assert.equal((await lido.call('PATCH', '/pools/told', { name: 'One' }, { 'If-Match': etag })).status, 200)
  assert.equal((await lido.call('PATCH', '/pools/told', { name: 'Two' }, { 'If-Match': etag })).status, 412)
})

test('asked again with one key, a pool is made once', async () => {
  const ask = () => lido.call('POST', '/pools', { ...customers, slug: 'keyed' }, { 'Idempotency-Key': 'k1' })
  const first = await ask()
  const again = await ask()
  assert.equal(again.status, 201)
  assert.deepEqual(again.body, first.body)
  const other = await lido.call('POST', '/pools', { ...customers, slug: 'unkeyed' }, { 'Idempotency-Key': 'k1' })
  assert.equal(other.status, 422)
  const slugs = Array.from({ length: 20 }, () =>
    lido.call('POST', '/pools', { ...customers, slug: 'raced' }, { 'Idempotency-Key': 'k2' }),
  )
  const statuses = (await Promise.all(slugs)).map(({ status }) => status)
  assert.ok(statuses.every((status) => status === 201 || status === 409))
  assert.ok(statuses.includes(201))
})

test('lists in pages, with cursors that cannot be made up', async () => {
  const seen = (await lido.list('/pools?limit=2')).map(({ slug }) => slug)
  assert.equal(new Set(seen).size, seen.length)
  assert.ok(seen.includes('told') && seen.includes('people') && seen.includes('administrators'))
  assert.equal((await lido.call('GET', '/pools?cursor=WyJhIl0.forged')).status, 400)
  assert.equal((await lido.call('GET', '/pools?limit=0')).status, 422)
  assert.equal((await lido.call('GET', '/pools?wrong=1')).status, 422)
})

test('needs a token, and one that reaches', async () => {
  const as = (authorization: string) => lido.call('GET', '/pools', undefined, { Authorization: authorization })
  assert.equal((await as('')).status, 401)
  assert.equal((await as('Bearer nonsense')).status, 401)
  assert.equal((await as(`Bearer ${await lido.token('users:read')}`)).status, 403)
  assert.equal((await as(`Bearer ${await lido.token('pools:read')}`)).status, 200)
  const reader = { Authorization: `Bearer ${await lido.token('pools:read')}` }
  assert.equal((await lido.call('POST', '/pools', customers, reader)).status, 403)
})

test('of changes at once none is lost: each is kept or refused', async () => {
  await lido.call('POST', '/pools', { ...customers, slug: 'busy' })
  const changes = [{ name: 'Busy' }, { description: 'Many' }, { color: '#112233' }, { self_registration: false }]
  const answers = await Promise.all(changes.map((change) => lido.call('PATCH', '/pools/busy', change)))
  const { body } = await lido.call('GET', '/pools/busy')
  for (const [index, { status }] of answers.entries()) {
    assert.ok(status === 200 || status === 409, String(status))
    for (const [name, value] of Object.entries(changes[index] ?? {}))
      if (status === 200) assert.deepEqual(body[name], value)
  }
  assert.ok(answers.some(({ status }) => status === 200))
})
