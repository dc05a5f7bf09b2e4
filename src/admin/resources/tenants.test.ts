import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido, eventsAbout } from '../fixtures-testing.ts'
import { makePerson, operator } from '../operators-testing.ts'

let lido: AdminLido
let staff: string
let guests: string
before(async () => {
  lido = await adminLido()
  staff = await makePool('staff')
  guests = await makePool('guests')
})
after(() => lido.stop())

const makePool = async (slug: string) => String((await lido.call('POST', '/pools', { slug, name: slug })).body.id)

const make = async (slug: string, more: object = {}): Promise<string> =>
  (await lido.make('/tenants', { slug, name: slug, ...more })).id

const idsOf = async (path: string) => ((await lido.call('GET', path)).body.items ?? []).map(({ id }) => id)
const faultOf = ({ body }: { body: Record<string, unknown> }) => (body.errors as { pointer: string }[])[0]?.pointer

test('makes, reads, changes and deletes a tenant', async () => {
  const made = await lido.call('POST', '/tenants', { slug: 'acme', name: 'Acme', metadata: { plan: 'gold', seats: 5 } })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), `/api/v1/tenants/${made.body.id}`)
  const path = `/tenants/${made.body.id}`
  const { id: _, created_at, updated_at, ...rest } = made.body
  assert.deepEqual(rest, { pool_id: null, slug: 'acme', name: 'Acme', metadata: { plan: 'gold', seats: 5 } })
  assert.ok(created_at && updated_at)
  assert.deepEqual((await lido.call('GET', path)).body, made.body)
  const changed = await lido.call('PATCH', path, { name: 'Acme Ltd', metadata: { seats: null } })
  assert.deepEqual([changed.status, changed.body.name, changed.body.metadata], [200, 'Acme Ltd', { plan: 'gold' }])
  assert.equal((await lido.call('DELETE', path)).status, 204)
  assert.equal((await lido.call('GET', path)).status, 404)
  assert.equal((await lido.call('DELETE', path)).status, 404)
})

test('a change meant for another version is refused', async () => {
  const made = await lido.call('POST', '/tenants', { slug: 'versions', name: 'One' })
  const match = { 'If-Match': made.headers.get('ETag') ?? '' }
  const path = `/tenants/${made.body.id}`
  assert.equal((await lido.call('PATCH', path, { name: 'Two' }, match)).status, 200)
  assert.equal((await lido.call('PATCH', path, { name: 'Three' }, match)).status, 412)
  assert.equal((await lido.call('GET', path)).body.name, 'Two')
})

test('a slug is unique in its pool, and the pool stays', async () => {
  await make('unique')
  const mine = await make('unique', { pool: 'staff' })
  assert.equal((await lido.call('POST', '/tenants', { slug: 'unique', name: 'x' })).status, 409)
  assert.equal((await lido.call('POST', '/tenants', { slug: 'unique', name: 'x', pool: staff })).status, 409)
  const other = await make('other', { pool: 'staff' })
  assert.equal((await lido.call('PATCH', `/tenants/${other}`, { slug: 'unique' })).status, 409)
  assert.equal((await lido.call('PATCH', `/tenants/${mine}`, { pool: null })).body.pool_id, staff)
  assert.equal((await lido.call('PATCH', `/tenants/${mine}`, { pool: 'guests' })).status, 422)
  for (const [pointer, body] of [
    ['/slug', { slug: 'No Slug', name: 'x' }],
    ['/pool', { slug: 'lost', name: 'x', pool: 'nowhere' }],
    ['/metadata', { slug: 'large', name: 'x', metadata: { much: 'x'.repeat(40_000) } }],
  ] as const) {
    const refused = await lido.call('POST', '/tenants', body)
    assert.deepEqual([refused.status, faultOf(refused)], [422, pointer])
  }
})

test('lists in pages, and by pool', async () => {
  const ids = [await make('page-one', { pool: 'guests' }), await make('page-two', { pool: 'guests' })]
  assert.deepEqual(await idsOf('/tenants?pool=guests'), ids)
  const first = await lido.call('GET', '/tenants?pool=guests&limit=1')
  assert.deepEqual(await idsOf(`/tenants?pool=guests&limit=1&cursor=${first.body.next_cursor}`), ids.slice(1))
  assert.equal((await lido.call('GET', '/tenants?cursor=made.up')).status, 400)
  assert.equal((await lido.call('GET', '/tenants?pool=nowhere')).status, 404)
})

test('a user belongs to several tenants, of their pool or of none', async () => {
  const user = await makePerson(lido, 'staff', 'ada@example.org')
  const path = `/pools/staff/users/${user}`
  const ours = await make('ours', { pool: 'staff' })
  const open = await make('open')
  const theirs = await make('theirs', { pool: 'guests' })
  for (const id of [ours, open, open]) assert.equal((await lido.call('PUT', `${path}/tenants/${id}`)).status, 204)
  for (const id of [theirs, randomUUID()]) assert.equal((await lido.call('PUT', `${path}/tenants/${id}`)).status, 404)
  assert.deepEqual(await idsOf(`${path}/tenants`), [ours, open])
  assert.deepEqual((await lido.call('GET', path)).body.tenants, [ours, open])
  const members = await lido.call('GET', `/tenants/${open}/members`)
  const identifiers = [{ type: 'email', value: 'ada@example.org', verified: true }]
  assert.deepEqual(members.body.items, [{ id: user, pool_id: staff, status: 'active', identifiers }])
  assert.equal((await lido.call('DELETE', `${path}/tenants/${open}`)).status, 204)
  assert.equal((await lido.call('DELETE', `${path}/tenants/${open}`)).status, 404)
  assert.deepEqual(await idsOf(`/tenants/${open}/members`), [])
  const told = await eventsAbout(lido, user, 'tenant.%')
  const by = { kind: 'client', id: 'bootstrap' }
  assert.deepEqual(told, [
    { type: 'tenant.member_added', data: { by, tenant: ours, name: 'ours' } },
    { type: 'tenant.member_added', data: { by, tenant: open, name: 'open' } },
    { type: 'tenant.member_removed', data: { by, tenant: open, name: 'open' } },
  ])
  assert.equal((await lido.call('DELETE', path)).status, 204)
  assert.deepEqual(await idsOf(`/tenants/${ours}/members`), [])
})

test('for an operator with limits there are only the tenants of their pools', async () => {
  const shared = await make('shared')
  const foreign = await make('foreign', { pool: 'guests' })
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', pools: [staff] })
  const made = await limited.call('POST', '/tenants', { slug: 'mine', name: 'Mine', pool: 'staff' })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal((await limited.call('POST', '/tenants', { slug: 'wide', name: 'x' })).status, 403)
  const refused = await limited.call('POST', '/tenants', { slug: 'far', name: 'x', pool: guests })
  assert.deepEqual([refused.status, faultOf(refused)], [422, '/pool'])
  const listed = (await limited.call('GET', '/tenants')).body.items ?? []
  assert.ok(listed.length > 0 && listed.every(({ pool_id }) => pool_id === staff))
  const user = await makePerson(lido, 'staff', 'ben@example.org')
  const path = `/pools/staff/users/${user}/tenants`
  for (const id of [shared, foreign]) {
    assert.equal((await limited.call('GET', `/tenants/${id}`)).status, 404)
    assert.equal((await limited.call('PUT', `${path}/${id}`)).status, 404)
  }
  await lido.call('PUT', `${path}/${shared}`)
  assert.equal((await limited.call('PUT', `${path}/${made.body.id}`)).status, 204)
  const seen = (await limited.call('GET', path)).body.items ?? []
  assert.deepEqual(
    seen.map(({ id }) => id),
    [made.body.id],
  )
  assert.equal((await limited.call('PATCH', `/tenants/${made.body.id}`, { name: 'Still mine' })).status, 200)
})

test('every change of a tenant is one event with who, before and after', async () => {
  const id = await make('told', { pool: 'staff' })
  await lido.call('PATCH', `/tenants/${id}`, { name: 'Told again' })
  await lido.call('DELETE', `/tenants/${id}`)
  const events = await lido.services.db
    .selectFrom('events')
    .select(['type', 'data', 'poolId'])
    .where('type', 'like', 'tenant.%')
    .where('poolId', '=', staff)
    .orderBy('id', 'desc')
    .limit(3)
    .execute()
  const by = { kind: 'client', id: 'bootstrap' }
  const change = { before: { name: 'told' }, after: { name: 'Told again' } }
  assert.deepEqual(events.reverse(), [
    { type: 'tenant.created', data: { by, tenant: id, name: 'told' }, poolId: staff },
    { type: 'tenant.updated', data: { by, tenant: id, ...change }, poolId: staff },
    { type: 'tenant.deleted', data: { by, tenant: id, name: 'Told again' }, poolId: staff },
  ])
})
