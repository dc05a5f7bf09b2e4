import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { type AdminLido, adminLido, eventsAbout } from '../fixtures-testing.ts'
import { makePerson } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  await makePool('people-of-groups')
})
after(() => lido.stop())

const root = '/pools/people-of-groups/groups'
const makePool = (slug: string) => lido.call('POST', '/pools', { slug, name: slug })

const make = async (name: string, parent: string | null = null, at = root): Promise<string> =>
  (await lido.make(at, { name, parent_id: parent })).id

const chain = async (name: string, length: number): Promise<string[]> => {
  const ids: string[] = []
  for (let index = 1; index <= length; index += 1) ids.push(await make(`${name}${index}`, ids.at(-1) ?? null))
  return ids
}

const pathOf = async (id: string) => (await lido.call('GET', `${root}/${id}`)).body.path
const faultOf = ({ body }: { body: Record<string, unknown> }) => (body.errors as { pointer: string }[])[0]?.pointer

test('makes, reads, moves and deletes groups, and knows their paths', async () => {
  const made = await lido.call('POST', root, { name: 'staff', description: 'Who works here' })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), `/api/v1${root}/${made.body.id}`)
  const { id, created_at, updated_at, ...rest } = made.body
  assert.deepEqual(rest, { name: 'staff', description: 'Who works here', parent_id: null, path: '/staff' })
  assert.ok(id && created_at && updated_at)
  const engineering = await make('engineering', id)
  const web = await make('web', engineering)
  assert.equal(await pathOf(web), '/staff/engineering/web')
  const moved = await lido.call('PATCH', `${root}/${engineering}`, { parent_id: null, name: 'builders' })
  assert.equal(moved.status, 200, JSON.stringify(moved.body))
  assert.equal(moved.body.path, '/builders')
  assert.equal(await pathOf(web), '/builders/web')
  const full = await lido.call('DELETE', `${root}/${engineering}`)
  assert.equal(full.status, 409)
  assert.match(String(full.body.detail), /groups in this group/)
  assert.equal((await lido.call('DELETE', `${root}/${web}`)).status, 204)
  assert.equal((await lido.call('DELETE', `${root}/${engineering}`)).status, 204)
  assert.equal((await lido.call('GET', `${root}/${engineering}`)).status, 404)
})

test('a name is unique among siblings and holds no slash', async () => {
  const top = await make('unique')
  assert.equal((await lido.call('POST', root, { name: 'Unique' })).status, 409)
  const inner = await make('unique', top)
  assert.equal((await lido.call('PATCH', `${root}/${inner}`, { parent_id: null })).status, 409)
  for (const name of ['a/b', '', ' a', 'a\n', 'x'.repeat(101)]) {
    const refused = await lido.call('POST', root, { name })
    assert.equal(refused.status, 422, name)
    assert.equal(faultOf(refused), '/name')
  }
  const twice = await Promise.all([1, 2].map(() => lido.call('POST', root, { name: 'twins' })))
  assert.deepEqual(twice.map(({ status }) => status).sort(), [201, 409])
})

test('a parent is a group of the same pool', async () => {
  await makePool('elsewhere')
  const foreign = await make('foreign', null, '/pools/elsewhere/groups')
  for (const parent_id of [foreign, randomUUID()]) {
    const refused = await lido.call('POST', root, { name: 'orphan', parent_id })
    assert.equal(refused.status, 422)
    assert.equal(faultOf(refused), '/parent_id')
  }
  assert.equal((await lido.call('GET', `${root}/${foreign}`)).status, 404)
  assert.equal((await lido.call('GET', `${root}/no-id`)).status, 404)
})

test('a group is never inside itself, also when two are moved at once', async () => {
  const [top, , bottom] = await chain('loop', 3)
  for (const parent_id of [top, bottom]) {
    const refused = await lido.call('PATCH', `${root}/${top}`, { parent_id })
    assert.equal(refused.status, 409, JSON.stringify(refused.body))
  }
  const a = await make('a')
  const b = await make('b')
  for (let round = 0; round < 20; round += 1) {
    const statuses = await Promise.all([
      lido.call('PATCH', `${root}/${a}`, { parent_id: b }),
      lido.call('PATCH', `${root}/${b}`, { parent_id: a }),
    ])
    assert.deepEqual(statuses.map(({ status }) => status).sort(), [200, 409], `round ${round}`)
    const paths = [await pathOf(a), await pathOf(b)].sort()
    assert.ok(['/a', '/b'].includes(String(paths[0])) && ['/a/b', '/b/a'].includes(String(paths[1])), String(paths))
    await lido.call('PATCH', `${root}/${a}`, { parent_id: null })
    await lido.call('PATCH', `${root}/${b}`, { parent_id: null })
  }
})

test('a rename and a move at once both stay', async () => {
  const place = await make('place')
  for (let round = 0; round < 5; round += 1) {
    const id = await make(`raced${round}`)
    await Promise.all([
      lido.call('PATCH', `${root}/${id}`, { parent_id: place }),
      lido.call('PATCH', `${root}/${id}`, { name: `renamed${round}` }),
    ])
    assert.equal(await pathOf(id), `/place/renamed${round}`)
  }
})

test('groups nest ten deep, counted with what a moved group holds', async () => {
  const deep = await chain('d', 10)
  const tooDeep = await lido.call('POST', root, { name: 'd11', parent_id: deep[9] })
  assert.equal(tooDeep.status, 422)
  assert.equal(faultOf(tooDeep), '/parent_id')
  const [pair] = await chain('pair', 2)
  assert.equal((await lido.call('PATCH', `${root}/${pair}`, { parent_id: deep[8] })).status, 422)
  assert.equal((await lido.call('PATCH', `${root}/${pair}`, { parent_id: deep[7] })).status, 200)
})

test('a pool holds ten thousand groups', async () => {
  const pool = await makePool('crowded')
  await sql`insert into groups (pool_id, id, name)
    select ${pool.body.id}::uuid, gen_random_uuid(), 'g' || n from generate_series(1, 9999) n`.execute(lido.services.db)
  await make('the last', null, '/pools/crowded/groups')
  const refused = await lido.call('POST', '/pools/crowded/groups', { name: 'one more' })
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /10000 groups/)
})

test('lists by parent and by the beginning of a name, in pages', async () => {
  await makePool('listed')
  const at = '/pools/listed/groups'
  const top = await make('Top', null, at)
  for (const name of ['alpha', 'Almond', 'beta']) await make(name, top, at)
  const namesOf = async (query: string) =>
    ((await lido.call('GET', `${at}?${query}`)).body.items ?? []).map(({ name }) => name)
  assert.deepEqual(await namesOf('parent_id=none'), ['Top'])
  assert.deepEqual(await namesOf(`parent_id=${top}`), ['alpha', 'Almond', 'beta'])
  assert.deepEqual(await namesOf('search=al'), ['alpha', 'Almond'])
  assert.deepEqual(await namesOf('search=%25'), [])
  const first = await lido.call('GET', `${at}?limit=3`)
  const second = await lido.call('GET', `${at}?limit=3&cursor=${first.body.next_cursor}`)
  assert.deepEqual(
    [...(first.body.items ?? []), ...(second.body.items ?? [])].map(({ path }) => path),
    ['/Top', '/Top/alpha', '/Top/Almond', '/Top/beta'],
  )
  assert.equal(second.body.next_cursor, null)
  assert.equal((await lido.call('GET', `${root}?cursor=${first.body.next_cursor}`)).status, 400)
})

test('a change meant for another version is refused', async () => {
  const made = await lido.call('POST', root, { name: 'versions' })
  const etag = made.headers.get('ETag') ?? ''
  const path = `${root}/${made.body.id}`
  assert.equal((await lido.call('PATCH', path, { name: 'versions 2' }, { 'If-Match': etag })).status, 200)
  assert.equal((await lido.call('PATCH', path, { name: 'versions 3' }, { 'If-Match': etag })).status, 412)
})

const idsOf = async (path: string) =>
  ((await lido.call('GET', path)).body.items ?? []).map(({ id, direct }) => [id, direct])

test('takes users in and out, one or many, and lists them with those below', async () => {
  const [top = '', inner = ''] = await chain('members', 2)
  const people: string[] = []
  for (let index = 0; index < 4; index += 1)
    people.push(await makePerson(lido, 'people-of-groups', `p${index}@example.org`))
  const [ada = '', ben = '', cy = '', dee = ''] = people
  const put = () => lido.call('PUT', `${root}/${top}/members/${ada}`)
  assert.equal((await put()).status, 204)
  assert.equal((await put()).status, 204)
  const many = await lido.call('POST', `${root}/${inner}/members`, { add: [ada, ben, cy, dee, dee] })
  assert.deepEqual([many.status, many.body], [200, { added: 4, removed: 0 }])
  assert.deepEqual(await idsOf(`${root}/${top}/members`), [[ada, true]])
  const all = [ada, ben, cy, dee].map((id) => [id, id === ada])
  assert.deepEqual(await idsOf(`${root}/${top}/members?descendants=true`), all)
  const first = await lido.call('GET', `${root}/${top}/members?descendants=true&limit=3`)
  assert.deepEqual(
    await idsOf(`${root}/${top}/members?descendants=true&limit=3&cursor=${first.body.next_cursor}`),
    all.slice(3),
  )
  assert.deepEqual(first.body.items?.[0], {
    id: ada,
    status: 'active',
    direct: true,
    identifiers: [{ type: 'email', value: 'p0@example.org', verified: true }],
  })
  const fewer = await lido.call('POST', `${root}/${inner}/members`, { add: [ada], remove: [cy, dee, randomUUID()] })
  assert.deepEqual(fewer.body, { added: 0, removed: 2 })
  assert.equal((await lido.call('DELETE', `${root}/${inner}/members/${ben}`)).status, 204)
  assert.equal((await lido.call('DELETE', `${root}/${inner}/members/${ben}`)).status, 404)
  assert.deepEqual(await idsOf(`${root}/${inner}/members`), [[ada, true]])
  const events = await eventsAbout(lido, ben, 'group.%')
  const by = { kind: 'client', id: 'bootstrap' }
  const data = { by, group: inner, name: '/members1/members2' }
  assert.deepEqual(events, [
    { type: 'group.member_added', data },
    { type: 'group.member_removed', data },
  ])
})

test('only users of the pool can be members, and all of a request or none', async () => {
  const group = await make('guarded')
  const ours = await makePerson(lido, 'people-of-groups', 'ours@example.org')
  const foreign = await makePerson(lido, 'people', 'foreign@example.org')
  const refused = await lido.call('POST', `${root}/${group}/members`, { add: [ours, foreign, randomUUID()] })
  assert.equal(refused.status, 422)
  const pointers = (refused.body.errors as { pointer: string }[]).map(({ pointer }) => pointer)
  assert.deepEqual(pointers, ['/add/1', '/add/2'])
  assert.deepEqual(await idsOf(`${root}/${group}/members`), [])
  assert.equal((await lido.call('PUT', `${root}/${group}/members/${foreign}`)).status, 404)
  const many = Array.from({ length: 201 }, () => randomUUID())
  assert.equal((await lido.call('POST', `${root}/${group}/members`, { add: many })).status, 422)
})

test('members come and a group goes at once, and nothing breaks', async () => {
  const user = await makePerson(lido, 'people-of-groups', 'hasty@example.org')
  for (let round = 0; round < 10; round += 1) {
    const group = await make(`hasty${round}`)
    const [added, removed] = await Promise.all([
      lido.call('PUT', `${root}/${group}/members/${user}`),
      lido.call('DELETE', `${root}/${group}`),
    ])
    assert.ok([204, 404].includes(added.status), String(added.status))
    assert.equal(removed.status, 204)
  }
})

test('every change of a group is one event with who, before and after', async () => {
  const { body } = await lido.call('POST', root, { name: 'told' })
  await lido.call('PATCH', `${root}/${body.id}`, { description: 'More' })
  await lido.call('DELETE', `${root}/${body.id}`)
  const events = await lido.services.db
    .selectFrom('events')
    .select(['type', 'data'])
    .where(sql<boolean>`data ->> 'group' = ${body.id}`)
    .orderBy('id')
    .execute()
  const by = { kind: 'client', id: 'bootstrap' }
  assert.deepEqual(events, [
    { type: 'group.created', data: { by, group: body.id, name: 'told' } },
    {
      type: 'group.updated',
      data: { by, group: body.id, before: { description: '' }, after: { description: 'More' } },
    },
    { type: 'group.deleted', data: { by, group: body.id, name: '/told' } },
  ])
})

test('lists the groups that a user is in directly, page by page', async () => {
  const user = await makePerson(lido, 'people-of-groups', 'of-groups@example.org')
  const [top, below] = await chain('of-user', 2)
  const other = await make('of-user-other')
  for (const id of [below, other]) assert.equal((await lido.call('PUT', `${root}/${id}/members/${user}`)).status, 204)
  const at = `/pools/people-of-groups/users/${user}/groups`
  const { body } = await lido.call('GET', at)
  assert.deepEqual(body.items?.map(({ path }) => path).toSorted(), ['/of-user-other', '/of-user1/of-user2'])
  assert.ok(!body.items?.some(({ id }) => id === top))
  const first = await lido.call('GET', `${at}?limit=1`)
  const second = await lido.call('GET', `${at}?limit=1&cursor=${first.body.next_cursor}`)
  assert.equal(second.body.items?.length, 1)
  assert.notEqual(second.body.items?.[0]?.id, first.body.items?.[0]?.id)
  assert.equal((await lido.call('GET', `${root}?cursor=${first.body.next_cursor}`)).status, 400)
  assert.equal((await lido.call('GET', `/pools/people-of-groups/users/${randomUUID()}/groups`)).status, 404)
})

test('takes users in by what they go by, all or none, and only for whoever may read users', async () => {
  const ids = []
  for (const name of ['named-a', 'named-b']) ids.push(await makePerson(lido, 'people-of-groups', `${name}@example.org`))
  const members = `${root}/${await make('named')}/members`
  const add = (add_identifiers: string[], headers: Record<string, string> = {}) =>
    lido.call('POST', members, { add_identifiers }, headers)
  const strange = await add(['NAMED-A@example.org', 'nobody@example.org', 'no identifier at all'])
  assert.equal(strange.status, 422)
  assert.deepEqual(
    (strange.body.errors as { pointer: string }[]).map(({ pointer }) => pointer),
    ['/add_identifiers/1', '/add_identifiers/2'],
  )
  assert.deepEqual((await lido.call('GET', members)).body.items, [])
  const limited = { Authorization: `Bearer ${await lido.token('groups:write')}` }
  assert.equal((await add(['named-a@example.org'], limited)).status, 403)
  const added = await add(['NAMED-A@example.org', 'named-b@example.org', 'named-b@example.org'])
  assert.deepEqual([added.status, added.body], [200, { added: 2, removed: 0 }])
  const found = (await lido.call('GET', members)).body.items?.map(({ id }) => id)
  assert.deepEqual(found?.toSorted(), ids.toSorted())
  assert.equal((await add(Array.from({ length: 201 }, (_, index) => `x${index}@example.org`))).status, 422)
})
