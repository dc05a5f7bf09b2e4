import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido, eventsAbout } from '../fixtures-testing.ts'
import { makePerson, operator, operatorToken, type SignedIn } from '../operators-testing.ts'

let lido: AdminLido
let owner: SignedIn
let ours: string
let theirs: string
before(async () => {
  lido = await adminLido()
  owner = await operator(lido, 'owner@example.org', { role: 'owner' })
  ours = String((await lido.call('POST', '/pools', { slug: 'ours', name: 'Ours' })).body.id)
  theirs = String((await lido.call('POST', '/pools', { slug: 'theirs', name: 'Theirs' })).body.id)
})
after(() => lido.stop())

const statusesOf = (answers: { status: number }[]) => answers.map(({ status }) => status).sort()

test('makes, reads, changes and removes an operator', async () => {
  const id = await makePerson(lido, 'administrators', 'new@example.org')
  assert.equal((await lido.call('GET', `/operators/${id}`)).status, 404)
  const made = await lido.call('PUT', `/operators/${id}`, { role: 'helpdesk', pools: [ours] })
  assert.equal(made.status, 200, JSON.stringify(made.body))
  const { created_at, updated_at, ...rest } = made.body
  assert.ok(created_at && updated_at)
  assert.deepEqual(rest, {
    id,
    status: 'active',
    identifiers: [{ type: 'email', value: 'new@example.org', verified: true }],
    role: 'helpdesk',
    workspaces: null,
    pools: [ours],
  })
  assert.deepEqual((await lido.call('GET', `/operators/${id}`)).body, made.body)
  const etag = made.headers.get('ETag') ?? ''
  const viewer = { role: 'viewer' }
  assert.equal((await lido.call('PUT', `/operators/${id}`, viewer, { 'If-Match': etag })).status, 200)
  assert.equal((await lido.call('PUT', `/operators/${id}`, viewer, { 'If-Match': etag })).status, 412)
  const listed = (await lido.call('GET', '/operators')).body.items ?? []
  assert.deepEqual(
    listed.map((one) => [one.id, one.role]).sort(),
    [
      [id, 'viewer'],
      [owner.id, 'owner'],
    ].sort(),
  )
  assert.equal((await lido.call('DELETE', `/operators/${id}`)).status, 204)
  assert.equal((await lido.call('DELETE', `/operators/${id}`)).status, 404)
  const events = await eventsAbout(lido, id, 'operator.%')
  const by = { kind: 'client', id: 'bootstrap' }
  const first = { role: 'helpdesk', workspaces: null, pools: [ours] }
  assert.deepEqual(events, [
    { type: 'operator.created', data: { by, after: first } },
    {
      type: 'operator.updated',
      data: { by, before: { role: 'helpdesk', pools: [ours] }, after: { role: 'viewer', pools: null } },
    },

    { type: 'operator.deleted', data: { by, before: { role: 'viewer', workspaces: null, pools: null } } },
  ])
})

test('only users of the administrators can be operators, with limits that exist, and owners have none', async () => {
  const stranger = await makePerson(lido, 'people', 'stranger@example.org')
  for (const id of [stranger, randomUUID(), 'no-id'])
    assert.equal((await lido.call('PUT', `/operators/${id}`, { role: 'viewer' })).status, 404)
  const id = await makePerson(lido, 'administrators', 'limited@example.org')
  const unknown = await lido.call('PUT', `/operators/${id}`, {
    role: 'viewer',
    pools: [ours, randomUUID()],
    workspaces: [ours],
  })
  assert.equal(unknown.status, 422)
  const pointers = (unknown.body.errors as { pointer: string }[]).map(({ pointer }) => pointer)
  assert.deepEqual(pointers, ['/workspaces/0', '/pools/1'])
  assert.equal((await lido.call('PUT', `/operators/${id}`, { role: 'owner', pools: [ours] })).status, 422)
  assert.equal((await lido.call('PUT', `/operators/${id}`, { role: 'king' })).status, 422)
})

test('the last owner cannot be removed or demoted, also not by two at once', async () => {
  const last = await lido.call('DELETE', `/operators/${owner.id}`)
  assert.equal(last.status, 409)
  assert.match(String(last.body.detail), /last owner/)
  assert.equal((await owner.call('PUT', `/operators/${owner.id}`, { role: 'viewer' })).status, 409)
  const other = await operator(lido, 'second@example.org', { role: 'owner' })
  const restore = async () => {
    for (const { id } of [owner, other]) await lido.call('PUT', `/operators/${id}`, { role: 'owner' })
  }
  for (let round = 0; round < 10; round += 1) {
    const both = [owner, other].map(({ id }) =>
      round % 2 ? lido.call('DELETE', `/operators/${id}`) : lido.call('PUT', `/operators/${id}`, { role: 'admin' }),
    )
    assert.deepEqual(statusesOf(await Promise.all(both)), round % 2 ? [204, 409] : [200, 409])
    await restore()
  }
  // An owner who cannot sign in is none.
  const { db } = lido.services
  await db.updateTable('users').set({ status: 'inactive' }).where('id', '=', other.id).execute()
  assert.equal((await lido.call('DELETE', `/operators/${owner.id}`)).status, 409)
})

test('an owner may do everything, an admin all but change operators', async () => {
  const admin = await operator(lido, 'admin@example.org', { role: 'admin' })
  assert.equal((await admin.call('POST', '/pools', { slug: 'by-admin', name: 'By an admin' })).status, 201)
  assert.equal((await admin.call('GET', '/operators')).status, 200)
  for (const id of [admin.id, owner.id]) {
    assert.equal((await admin.call('PUT', `/operators/${id}`, { role: 'owner' })).status, 403)
    assert.equal((await admin.call('DELETE', `/operators/${id}`)).status, 403)
  }
  assert.equal((await owner.call('PUT', `/operators/${admin.id}`, { role: 'admin' })).status, 200)
  const event = await lido.services.db
    .selectFrom('events')
    .select('data')
    .where('type', '=', 'pool.created')
    .orderBy('id', 'desc')
    .executeTakeFirstOrThrow()
  assert.deepEqual(event.data, { by: { kind: 'operator', id: admin.id }, name: 'By an admin' })
})

test('a viewer reads, a helpdesk looks after users, and neither does more', async () => {
  const viewer = await operator(lido, 'viewer@example.org', { role: 'viewer' })
  const helpdesk = await operator(lido, 'helpdesk@example.org', { role: 'helpdesk' })
  for (const one of [viewer, helpdesk]) {
    assert.equal((await one.call('GET', '/pools')).status, 200)
    assert.equal((await one.call('GET', '/pools/ours/groups')).status, 200)
    assert.equal((await one.call('POST', '/pools', { slug: 'no', name: 'No' })).status, 403)
    assert.equal((await one.call('PATCH', '/pools/ours', { name: 'No' })).status, 403)
    assert.equal((await one.call('POST', '/pools/ours/groups', { name: 'No' })).status, 403)
    assert.equal((await one.call('PUT', `/operators/${one.id}`, { role: 'owner' })).status, 403)
  }
  assert.equal((await viewer.call('GET', '/operators')).status, 200)
  assert.equal((await helpdesk.call('GET', '/operators')).status, 403)
})

test('a token does no more than it was asked for', async () => {
  const token = await operatorToken(lido, 'owner@example.org', 'groups:read')
  const headers = { Authorization: `Bearer ${token}` }
  assert.equal((await lido.call('GET', '/pools/ours/groups', undefined, headers)).status, 200)
  assert.equal((await lido.call('POST', '/pools/ours/groups', { name: 'No' }, headers)).status, 403)
  assert.equal((await lido.call('GET', '/pools', undefined, headers)).status, 403)
})

test('for an operator with limits, nothing else exists', async () => {
  const limited = await operator(lido, 'limits@example.org', { role: 'admin', pools: [ours], workspaces: [] })
  const { body } = await limited.call('GET', '/pools?limit=1')
  assert.deepEqual(
    (body.items ?? []).map(({ slug }) => slug),
    ['ours'],
  )
  assert.equal(body.next_cursor, null)
  for (const pool of ['theirs', theirs, 'administrators', randomUUID()]) {
    assert.equal((await limited.call('GET', `/pools/${pool}`)).status, 404)
    assert.equal((await limited.call('PATCH', `/pools/${pool}`, { name: 'Mine' })).status, 404)
    assert.equal((await limited.call('DELETE', `/pools/${pool}`)).status, 404)
    assert.equal((await limited.call('GET', `/pools/${pool}/groups`)).status, 404)
    assert.equal((await limited.call('POST', `/pools/${pool}/groups`, { name: 'Mine' })).status, 404)
  }
  const { body: foreign } = await lido.call('POST', '/pools/theirs/groups', { name: 'Secret' })
  assert.equal((await limited.call('GET', `/pools/ours/groups/${foreign.id}`)).status, 404)
  assert.equal((await limited.call('POST', '/pools', { slug: 'more', name: 'More' })).status, 403)
  assert.equal((await limited.call('GET', '/operators')).status, 404)
  assert.equal((await limited.call('GET', `/operators/${owner.id}`)).status, 404)
})

test('what an operator may do ends at once', async () => {
  const leaver = await operator(lido, 'leaver@example.org', { role: 'viewer' })
  assert.equal((await leaver.call('GET', '/pools')).status, 200)
  await lido.call('DELETE', `/operators/${leaver.id}`)
  assert.equal((await leaver.call('GET', '/pools')).status, 403)
  await lido.call('PUT', `/operators/${leaver.id}`, { role: 'viewer' })
  assert.equal((await leaver.call('GET', '/pools')).status, 200)
  await lido.services.db.updateTable('users').set({ status: 'inactive' }).where('id', '=', leaver.id).execute()
  assert.equal((await leaver.call('GET', '/pools')).status, 403)
})

test('somebody of the administrators without a grant is no operator', async () => {
  await makePerson(lido, 'administrators', 'nobody@example.org')
  const headers = { Authorization: `Bearer ${await operatorToken(lido, 'nobody@example.org')}` }
  assert.equal((await lido.call('GET', '/pools', undefined, headers)).status, 403)
})
