import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import * as events from '../../directory/events.ts'
import * as deliveries from '../../directory/webhook-deliveries.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { openReceiver, type Receiver } from './webhook-receiver-testing.ts'

let lido: AdminLido
let receiver: Receiver
/** What must stay silent. */
let canary: Receiver

before(async () => {
  receiver = await openReceiver()
  canary = await openReceiver('127.0.0.2')
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1/32' })
  await lido.call('POST', '/workspaces', { slug: 'club', name: 'Club' })
  await lido.call('POST', '/workspaces', { slug: 'other', name: 'Other' })
  for (const slug of ['members', 'strangers']) await lido.call('POST', '/pools', { slug, name: slug, kind: 'local' })
  const joined = await lido.call('POST', '/workspaces/club/connections', { pool: 'members', name: 'Members' })
  assert.equal(joined.status, 201, JSON.stringify(joined.body))
})
after(async () => {
  await lido?.stop()
  await receiver.close()
  await canary.close()
})
beforeEach(async () => {
  receiver.answer = () => ({ status: 204 })
  for (const { id } of (await lido.call('GET', at)).body.items ?? []) await lido.call('DELETE', `${at}/${id}`)
  receiver.taken.length = 0
})

const at = '/workspaces/club/webhooks'

const make = async (fields: object = {}) => {
  const made = await lido.call('POST', at, { name: 'Shop', url: receiver.url, types: ['user.*'], ...fields })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return made.body as Record<string, unknown> & { id: string; secret: string }
}

let people = 0
const addUser = async (pool = 'members') => {
  people += 1
  const identifiers = [{ type: 'email', value: `person-${people}@example.org`, verified: true }]
  const wanted = { mode: 'set_credentials', password: 'correct horse battery staple', identifiers }
  const made = await lido.call('POST', `/pools/${pool}/users`, wanted)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return String(made.body.id)
}

const listed = async (id: string, query = '') =>
  (await lido.call('GET', `${at}/${id}/deliveries${query}`)).body.items as Record<string, unknown>[]

/** Makes everything that waits due now. */
const hurry = () =>
  lido.services.db
    .updateTable('webhookDeliveries')
    .set({ dueAt: new Date(0) })
    .where('state', '=', 'pending')
    .execute()

const signatureOf = (secret: string, { headers, body }: Receiver['taken'][number]) =>
  `v1,${createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64'))
    .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
    .digest('base64')}`

test('an event is sent, signed, as the API tells of it', async () => {
  const { secret } = await make()
  const user = await addUser()
  const [message] = await receiver.wait(1)
  assert.ok(message)
  assert.equal(message.headers['webhook-signature'], signatureOf(secret, message))
  assert.ok(Math.abs(Date.now() / 1000 - Number(message.headers['webhook-timestamp'])) < 30)
  const told = JSON.parse(message.body) as { type: string; timestamp: string; data: { id: string } }
  const { body } = await lido.call('GET', `/events?type=user.created&user=${user}`)
  assert.deepEqual(told, { type: 'user.created', timestamp: body.items?.[0]?.at, data: body.items?.[0] })
  assert.equal(message.headers['webhook-id'], told.data.id)
})

test('only events of the workspace and of its pools are sent, and only of the types that it asks for', async () => {
  await make({ types: ['user.created', 'client.*'] })
  await addUser('strangers')
  await lido.call('POST', '/workspaces/other/clients', {
    client_name: 'Elsewhere',
    redirect_uris: ['https://a.example/'],
  })
  await lido.call('PATCH', '/workspaces/club', { name: 'The club' })
  await lido.call('POST', '/workspaces/club/clients', { client_name: 'Here', redirect_uris: ['https://a.example/'] })
  await addUser()
  const taken = await receiver.wait(2)
  assert.deepEqual(taken.map(({ body }) => JSON.parse(body).type).sort(), ['client.created', 'user.created'])
  await receiver.quiet()
  assert.equal(receiver.taken.length, 2)
})

test('what was undone is not sent', async () => {
  await make({ types: ['*'] })
  receiver.taken.length = 0
  const { db, clock } = lido.services
  const workspace = await db.selectFrom('workspaces').select('id').where('slug', '=', 'club').executeTakeFirstOrThrow()
  const undone = db.transaction().execute(async (trx) => {
    const { record } = await import('../../directory/audit.ts')
    await record(trx, clock.now(), { workspaceId: workspace.id }, { type: 'session.ended', data: {} })
    throw new Error('undone')
  })
  await assert.rejects(undone, /undone/)
  await receiver.quiet()
  assert.ok(!receiver.taken.some(({ body }) => body.includes('session.ended')))
})

test('an event that commits after later ones is sent too', async () => {
  await make()
  const { db, clock } = lido.services
  const { record } = await import('../../directory/audit.ts')
  const { id: poolId } = await db
    .selectFrom('pools')
    .select('id')
    .where('slug', '=', 'members')
    .executeTakeFirstOrThrow()
  await db.transaction().execute(async (trx) => {
    await record(trx, clock.now(), { poolId }, { type: 'user.recovered', data: {} })
    await addUser()
    await receiver.wait(1)
  })
  const types = (await receiver.wait(2)).map(({ body }) => JSON.parse(body).type)
  assert.deepEqual(types, ['user.created', 'user.recovered'])
})

test('both secrets sign after a rotation, until the old one is ended', async () => {
  const { id, secret } = await make()
  const rotated = await lido.call('POST', `${at}/${id}/secret`)
  assert.equal(rotated.status, 201)
  assert.equal(rotated.body.old_secret_valid, true)
  const second = String(rotated.body.secret)
  assert.notEqual(second, secret)
  await addUser()
  const [both] = await receiver.wait(1)
  assert.ok(both)
  assert.equal(both.headers['webhook-signature'], `${signatureOf(second, both)} ${signatureOf(secret, both)}`)
  assert.equal((await lido.call('DELETE', `${at}/${id}/secret`)).status, 204)
  await addUser()
  const [, one] = await receiver.wait(2)
  assert.ok(one)
  assert.equal(one.headers['webhook-signature'], signatureOf(second, one))
})

test('a secret is told once, and stands neither in the database, nor in events, nor in the log', async () => {
  const { id, secret } = await make({ types: ['*'] })
  const rotated = String((await lido.call('POST', `${at}/${id}/secret`)).body.secret)
  const told = [await lido.call('GET', at), await lido.call('GET', `${at}/${id}`), await lido.call('GET', '/events')]
  const rows = await lido.services.db.selectFrom('webhooks').selectAll().execute()
  const everything = JSON.stringify([told.map(({ body }) => body), rows, lido.lines])
  for (const one of [secret, rotated]) assert.ok(!everything.includes(one.slice('whsec_'.length)))
})

test('what is refused is tried again, later each time, and is a dead letter after ten tries', async () => {
  const { id } = await make()
  receiver.answer = () => ({ status: 500 })
  await addUser()
  for (let tries = 1; tries <= 10; tries += 1) {
    await receiver.wait(tries)
    await receiver.settled(async () => (await listed(id))[0]?.status !== null && (await isSettled(id)))
    const [delivery] = await listed(id)
    assert.equal(delivery?.attempts, tries)
    assert.equal(delivery?.state, tries === 10 ? 'dead' : 'pending')
    assert.deepEqual([delivery?.status, delivery?.why], [500, 'refused'])
    const pause = deliveries.pauses[tries - 1]
    if (pause === undefined) break
    const waits = Date.parse(String(delivery?.due_at)) - Date.now()
    assert.ok(waits > pause * 0.9 - 5000 && waits <= pause * 1.1, `${waits} of ${pause}`)
    await hurry()
  }
  const ids = new Set(receiver.taken.map(({ headers }) => headers['webhook-id']))
  assert.equal(ids.size, 1)
  await receiver.quiet()
  assert.equal(receiver.taken.length, 10)
  assert.equal((await listed(id, '?state=dead')).length, 1)
})

/** Whether the last try has been noted: until then, what is being tried is due in a minute. */
const isSettled = async (id: string) => {
  const { rows } = {
    rows: await lido.services.db.selectFrom('webhookDeliveries').selectAll().where('webhookId', '=', id).execute(),
  }
  return rows.every(
    ({ state, dueAt, triedAt }) => state !== 'pending' || dueAt.getTime() - (triedAt?.getTime() ?? 0) !== 60_000,
  )
}

test('a dead letter is sent again: one, or all at once', async () => {
  const { id } = await make()
  receiver.answer = () => ({ status: 503 })
  await addUser()
  await addUser()
  await receiver.wait(2)
  await receiver.settled(() => isSettled(id))
  await lido.services.db
    .updateTable('webhookDeliveries')
    .set({ state: 'dead', attempts: 10 })
    .where('webhookId', '=', id)
    .execute()
  receiver.answer = () => ({ status: 200 })
  const [first] = await listed(id, '?state=dead')
  const one = await lido.call('POST', `${at}/${id}/deliveries/${first?.event_id}/replay`)
  assert.deepEqual([one.status, one.body.state, one.body.attempts], [202, 'pending', 0])
  await receiver.wait(3)
  assert.equal(receiver.taken[2]?.headers['webhook-id'], first?.event_id)
  const rest = await lido.call('POST', `${at}/${id}/replay`)
  assert.deepEqual([rest.status, rest.body], [202, { replayed: 1 }])
  await receiver.wait(4)
  await receiver.settled(async () => (await listed(id, '?state=delivered')).length === 2)
  const gone = await lido.call('POST', `${at}/${id}/deliveries/019caddc-0e40-7b1f-9c3a-5d2e8f6a1b47/replay`)
  assert.equal(gone.status, 404)
})

test('what a node had claimed when it died is sent by another', async () => {
  const { id } = await make({ enabled: false })
  await lido.call('PATCH', `${at}/${id}`, { enabled: true })
  const { db } = lido.services
  await db.updateTable('webhooks').set({ enabled: false }).where('id', '=', id).execute()
  await db
    .updateTable('webhooks')
    .set({ types: ['user.*'], enabled: true })
    .where('id', '=', id)
    .execute()
  // Claimed in the same breath as it is written, by somebody who never comes back.
  await db.transaction().execute(async (trx) => {
    const { record } = await import('../../directory/audit.ts')
    const { id: poolId } = await trx
      .selectFrom('pools')
      .select('id')
      .where('slug', '=', 'members')
      .executeTakeFirstOrThrow()
    await record(trx, new Date(), { poolId }, { type: 'user.recovered', data: {} })
    const claimed = await deliveries.claim(trx, new Date(), [])
    assert.deepEqual(
      claimed.map(({ webhookId, attempts }) => [webhookId, attempts]),
      [[id, 1]],
    )
  })
  await receiver.quiet()
  assert.equal(receiver.taken.length, 0)
  await hurry()
  const [message] = await receiver.wait(1)
  assert.equal(JSON.parse(message?.body ?? '{}').type, 'user.recovered')
  await receiver.settled(async () => (await listed(id))[0]?.state === 'delivered')
  assert.equal((await listed(id))[0]?.attempts, 2)
})

test('twenty that claim at once share what is due, and nothing is claimed twice', async () => {
  const { id } = await make({ enabled: false })
  const { db } = lido.services
  const webhook = await db.selectFrom('webhooks').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const ids = await db.selectFrom('events').select('id').limit(30).execute()
  for (const event of ids) await deliveries.add(db, new Date(0), webhook, event.id)
  const taken = await db.transaction().execute(async (trx) => {
    await trx.updateTable('webhooks').set({ enabled: true }).where('id', '=', id).execute()
    return deliveries.claim(trx, new Date(), [], 5)
  })
  const rounds = await Promise.all(Array.from({ length: 20 }, () => deliveries.claim(db, new Date(), [], 5)))
  const all = [...taken, ...rounds.flat()].filter(({ webhookId }) => webhookId === id).map(({ eventId }) => eventId)
  assert.equal(new Set(all).size, all.length)
})

test('a redirect is not followed, and an address that is not permitted is never reached', async () => {
  receiver.answer = () => ({ status: 302, headers: { Location: canary.url } })
  const { id } = await make()
  const inside = await make({ name: 'Inside', url: canary.url })
  await addUser()
  await receiver.wait(1)
  await receiver.settled(
    async () => (await isSettled(id)) && (await isSettled(inside.id)) && (await listed(inside.id))[0]?.why !== null,
  )
  assert.deepEqual([(await listed(id))[0]?.status, (await listed(id))[0]?.why], [302, 'refused'])
  assert.deepEqual([(await listed(inside.id))[0]?.status, (await listed(inside.id))[0]?.why], [null, 'no_answer'])
  assert.equal(canary.taken.length, 0)
})

test('one that hangs holds no other up, and is given up after three seconds', async () => {
  const slow = await make({ name: 'Slow', url: `${receiver.url}slow` })
  const quick = await make({ name: 'Quick' })
  receiver.answer = ({ url }) => (url.endsWith('slow') ? { status: 200, afterMs: 6000 } : { status: 200 })
  await addUser()
  await addUser()
  const began = Date.now()
  await receiver.settled(async () => (await listed(quick.id, '?state=delivered')).length === 2)
  assert.ok(Date.now() - began < 2900, `${Date.now() - began} ms`)
  await receiver.settled(() => isSettled(slow.id))
  assert.equal((await listed(slow.id))[0]?.why, 'no_answer')
})

test('one that is gone is switched off at once, one that fails after three days, and an event tells of it', async () => {
  const gone = await make({ name: 'Gone', url: `${receiver.url}gone` })
  const failing = await make({ name: 'Failing' })
  receiver.answer = ({ url }) => ({ status: url.endsWith('gone') ? 410 : 500 })
  await addUser()
  const read = async (id: string) => (await lido.call('GET', `${at}/${id}`)).body
  await receiver.settled(async () => (await read(gone.id)).enabled === false)
  assert.equal((await read(gone.id)).disabled_why, 'gone')
  assert.equal((await read(failing.id)).enabled, true)
  const { db } = lido.services
  const fourDaysAgo = new Date(Date.now() - 4 * 86_400_000)
  await db.updateTable('webhooks').set({ failingSince: fourDaysAgo }).where('id', '=', failing.id).execute()
  await hurry()
  await receiver.settled(async () => (await read(failing.id)).enabled === false)
  assert.equal((await read(failing.id)).disabled_why, 'failing')
  const told = (await lido.call('GET', '/events?type=webhook.disabled&workspace=club')).body.items ?? []
  assert.deepEqual(
    told.slice(0, 2).map(({ data }) => (data as { why: string }).why),
    ['failing', 'gone'],
  )
  const mended = await lido.call('PATCH', `${at}/${failing.id}`, { enabled: true })
  assert.deepEqual([mended.body.enabled, mended.body.disabled_why, mended.body.failing_since], [true, null, null])
})

test('a trial is sent to the one that it is for, whatever it asks for, and to no other', async () => {
  const { id } = await make({ types: ['keys.rotated'] })
  await make({ name: 'All', types: ['*'] })
  await receiver.quiet()
  receiver.taken.length = 0
  const tried = await lido.call('POST', `${at}/${id}/test`)
  assert.deepEqual([tried.status, tried.body.state, tried.body.type], [202, 'pending', 'webhook.tested'])
  const [message] = await receiver.wait(1)
  assert.equal(JSON.parse(message?.body ?? '{}').type, 'webhook.tested')
  await receiver.quiet()
  assert.equal(receiver.taken.length, 1)
  await lido.call('PATCH', `${at}/${id}`, { enabled: false })
  assert.equal((await lido.call('POST', `${at}/${id}/test`)).status, 409)
})

test('an address or a type that cannot be meant is refused, and a name is taken once', async () => {
  await make()
  const wrong: [object, string][] = [
    [{ url: 'ftp://a.example/' }, '/url'],
    [{ url: 'https://user:secret@a.example/' }, '/url'],
    [{ url: 'file:///etc/passwd' }, '/url'],
    [{ types: [] }, '/types'],
    [{ types: ['users.*'] }, '/types/0'],
    [{ types: ['user.%'] }, '/types/0'],
  ]
  for (const [fields, pointer] of wrong) {
    const { status, body } = await lido.call('POST', at, { name: 'Wrong', url: receiver.url, types: ['*'], ...fields })
    assert.equal(status, 422, JSON.stringify(fields))
    assert.equal((body.errors as { pointer: string }[])[0]?.pointer, pointer)
  }
  assert.equal((await lido.call('POST', at, { name: 'Shop', url: receiver.url, types: ['*'] })).status, 409)
})

test('a webhook of another workspace is not found', async () => {
  const { id } = await make()
  for (const [method, path] of [
    ['GET', ''],
    ['PATCH', ''],
    ['DELETE', ''],
    ['GET', '/deliveries'],
    ['POST', '/secret'],
    ['POST', '/test'],
    ['POST', '/replay'],
  ] as const) {
    const body = method === 'PATCH' ? { enabled: false } : undefined
    assert.equal(
      (await lido.call(method, `/workspaces/other/webhooks/${id}${path}`, body)).status,
      404,
      `${method} ${path}`,
    )
  }
})

test('an event that is too large is sent without its data', async () => {
  const { bodyOf } = await import('../../directory/webhook-courier.ts')
  const nobody = { workspaceId: null, poolId: null, userId: null, clientId: null, trace: null }
  const large: events.EventRecord = {
    id: 'x',
    type: 'pool.updated',
    ...nobody,
    data: { after: 'ü'.repeat(40_000) },
    at: new Date(0),
  }
  const body = bodyOf(large)
  assert.ok(Buffer.byteLength(body) < 65_536)
  assert.deepEqual(JSON.parse(body).data, { ...events.tell(large), data: {}, truncated: true })
})
