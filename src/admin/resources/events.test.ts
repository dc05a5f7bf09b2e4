import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as audit from '../../directory/audit.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator, type SignedIn } from '../operators-testing.ts'

let lido: AdminLido
const ids: Record<string, string> = {}
before(async () => {
  lido = await adminLido()
  for (const slug of ['north', 'south']) {
    ids[slug] = String((await lido.call('POST', '/workspaces', { slug, name: slug })).body.id)
    const pool = `${slug}-people`
    ids[pool] = String((await lido.call('POST', '/pools', { slug: pool, name: pool })).body.id)
  }
})
after(() => lido.stop())

const dayMs = 86_400_000
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs)
const succeeded: audit.Happening = { type: 'sign_in.succeeded', data: { methods: ['password'] } }
const failed: audit.Happening = { type: 'sign_in.failed', data: { method: 'password', why: 'wrong' } }
const registered: audit.Happening = { type: 'user.registered', data: { identifier_kind: 'email' } }
const record = (days: number, about: audit.About, happening: audit.Happening) =>
  audit.record(lido.services.db, daysAgo(days), about, happening)

const list = async (query: string, caller: Pick<SignedIn, 'call'> = lido) => {
  const { status, body } = await caller.call('GET', `/events?${query}`)
  assert.equal(status, 200, JSON.stringify(body))
  return body.items ?? []
}
const typesOf = (items: Record<string, unknown>[]) => items.map(({ type }) => type)

test('tells events the newest first, by any filter', async () => {
  const userId = '0190f5e8-0000-7000-8000-000000000001'
  const about = { workspaceId: ids.north, poolId: ids['north-people'], userId, clientId: 'web' }
  await record(3, about, registered)
  await record(2, about, failed)
  await record(1, about, succeeded)
  const newestFirst = ['sign_in.succeeded', 'sign_in.failed', 'user.registered']
  assert.deepEqual(typesOf(await list('client=web')), newestFirst)
  assert.deepEqual(typesOf(await list(`pool=north-people&user=${userId}`)), newestFirst)
  assert.deepEqual(typesOf(await list('workspace=north&type=sign_in.failed,user.registered')), newestFirst.slice(1))
  assert.deepEqual(typesOf(await list('workspace=north&type=workspace.created')), ['workspace.created'])
  const since = encodeURIComponent(daysAgo(2.5).toISOString())
  const until = encodeURIComponent(daysAgo(1.5).toISOString())
  assert.deepEqual(typesOf(await list(`client=web&since=${since}&until=${until}`)), ['sign_in.failed'])
  const [event] = await list('client=web&limit=1')
  assert.deepEqual(
    [event?.workspace_id, event?.pool_id, event?.user_id, event?.data],
    [ids.north, ids['north-people'], userId, succeeded.data],
  )
})

test('finds the events of a user without being told the pool', async () => {
  const { db, clock } = lido.services
  const { create } = await import('../../directory/users.ts')
  const identifier = { kind: 'email', value: 'a@example.org', typed: 'a@example.org' } as const
  const poolId = String(ids['north-people'])
  const userId = await create(db, clock.now(), poolId, { identifier, status: 'active', verified: true })
  await record(0, { poolId, userId }, { type: 'user.recovered', data: {} })
  assert(typesOf(await list(`user=${userId}`)).includes('user.recovered'))
})

test('pages through events', async () => {
  const all = typesOf(await list('workspace=north&limit=200'))
  assert.deepEqual(typesOf(await lido.list('/events?workspace=north&limit=2')), all)
})

test('exports what the filters leave, as NDJSON and as CSV with no cell that is a formula', async () => {
  const { slug } = (await lido.call('POST', '/pools', { slug: 'exported', name: '=HYPERLINK("http://evil.example")' }))
    .body
  const ndjson = String((await lido.call('GET', `/events/export?pool=${slug}`)).body.text)
  assert.deepEqual(
    ndjson
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type),
    ['pool.created'],
  )
  const csv = String((await lido.call('GET', '/events/export?format=csv&client=web')).body.text)
    .trim()
    .split('\r\n')
  assert.match(csv[0] ?? '', /^at,type,/)
  assert.equal(csv.length, 4)
  const all = String((await lido.call('GET', '/events/export?format=csv')).body.text)
  assert.doesNotMatch(all, /(^|,)"?[=+@-]/m)
  const limited = await operator(lido, 'exports@example.org', {
    role: 'viewer',
    workspaces: [String(ids.south)],
    pools: [String(ids['south-people'])],
  })
  const theirs = String((await limited.call('GET', '/events/export')).body.text)
  assert.doesNotMatch(theirs, /exported|north/)
  assert.equal((await limited.call('GET', '/events/export?pool=exported')).status, 404)
})

test('refuses filters that it cannot read', async () => {
  for (const query of ['type=*', 'user=me', 'since=yesterday', 'color=red'])
    assert.equal((await lido.call('GET', `/events?${query}`)).status, 422, query)
  assert.equal((await lido.call('GET', '/events?workspace=nowhere')).status, 404)
})

test('an operator with limits is told of nothing else, and counts nothing else', async () => {
  for (const side of ['north', 'south'])
    await record(0, { workspaceId: ids[side], poolId: ids[`${side}-people`] }, succeeded)
  // A person of a pool of theirs, in a workspace that is not.
  await record(0, { workspaceId: ids.south, poolId: ids['north-people'] }, succeeded)
  const limits = { workspaces: [String(ids.north)], pools: [String(ids['north-people'])] }
  const limited = await operator(lido, 'north@example.org', { role: 'viewer', ...limits })
  const told = await list('limit=200', limited)
  assert(told.length > 0)
  for (const { workspace_id, pool_id } of told) {
    assert(workspace_id === null || workspace_id === ids.north)
    assert(pool_id === null || pool_id === ids['north-people'])
    assert(workspace_id !== null || pool_id !== null)
  }
  for (const query of ['workspace=south', `workspace=${ids.south}`, 'pool=south-people'])
    for (const where of ['events', 'stats']) assert.equal((await limited.call('GET', `/${where}?${query}`)).status, 404)
  const today = async (caller: Pick<SignedIn, 'call'>, query = '') => {
    const { days } = (await caller.call('GET', `/stats?days=1${query}`)).body as { days: { sign_ins: number }[] }
    return days[0]?.sign_ins
  }
  assert.equal(await today(limited), 1)
  const { pools } = (await limited.call('GET', '/stats?days=1')).body as { pools: { slug: string }[] }
  assert.deepEqual(
    pools.map(({ slug }) => slug),
    ['north-people'],
  )
  assert.equal(await today(lido, '&pool=north-people'), 2)
})

test('counts every day up to today, also those on which nothing happened', async () => {
  const about = { workspaceId: ids.south, poolId: ids['south-people'] }
  for (const happening of [succeeded, succeeded, failed, registered]) await record(5, about, happening)
  await record(5, about, { type: 'sign_in.refused', data: { why: 'inactive' } })
  await record(40, about, succeeded)
  const { status, body } = await lido.call('GET', '/stats?workspace=south&pool=south-people&days=10')
  assert.equal(status, 200, JSON.stringify(body))
  const days = body.days as { date: string; sign_ins: number; registrations: number; failures: number }[]
  assert.equal(days.length, 10)
  const date = daysAgo(5).toISOString().slice(0, 10)
  assert.deepEqual(days[4], { date, sign_ins: 2, registrations: 1, failures: 2 })
  assert.deepEqual(days[5], { date: daysAgo(4).toISOString().slice(0, 10), sign_ins: 0, registrations: 0, failures: 0 })
  const [pool, ...others] = body.pools as Record<string, unknown>[]
  assert.deepEqual(others, [])
  const of = { id: ids['south-people'], slug: 'south-people', name: 'south-people' }
  const today = days[9]
  assert.deepEqual(pool, { ...of, sign_ins: 2 + (today?.sign_ins ?? 0), registrations: 1, failures: 2 })
  const { days: quarter } = (await lido.call('GET', '/stats?pool=south-people&days=90')).body as { days: typeof days }
  assert.equal(
    quarter.reduce((sum, { sign_ins }) => sum + sign_ins, 0),
    4,
  )
  assert.equal((await lido.call('GET', '/stats?days=91')).status, 422)
})
