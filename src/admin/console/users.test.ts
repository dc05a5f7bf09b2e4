import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, errorAt, fillIn, hasForm, send, valueAt } from './forms-testing.ts'

let lido: AdminLido
let owner: ConsoleBrowser
let poolId: string
let group: string
let role: string
let tenant: string

const users = '/console/pools/guests/users'
const password = 'correct horse battery staple'
const user_schema = {
  type: 'object',
  properties: {
    given_name: { type: 'string', title: 'First name', maxLength: 40 },
    language: { type: 'string', enum: ['en', 'de'] },
    seats: { type: 'integer', minimum: 1 },
    newsletter: { type: 'boolean' },
    tags: { type: 'array', items: { type: 'string' } },
  },
  required: ['given_name'],
}
const metadata_schema = { type: 'object', properties: { level: { type: 'integer' } } }

const make = async (path: string, body: object): Promise<string> => (await lido.make(path, body)).id

const makeUser = (email: string, more: object = {}) =>
  make('/pools/guests/users', {
    mode: 'set_credentials',
    identifiers: [{ type: 'email', value: email, verified: true }],
    profile: { given_name: 'Somebody' },
    password,
    ...more,
  })

const getUser = async (id: string, pool = 'guests') => (await lido.call('GET', `/pools/${pool}/users/${id}`)).body
const findUser = async (identifier: string) => {
  const { body } = await lido.call('GET', `/pools/guests/users?identifier=${encodeURIComponent(identifier)}`)
  return body.items?.[0]
}
const sorted = (identifiers: unknown) =>
  (identifiers as { type: string }[]).toSorted((a, b) => a.type.localeCompare(b.type))
const idOf = ({ page }: ConsoleBrowser) => page.url.split('/').at(-1) ?? ''

before(async () => {
  lido = await adminLido()
  const identifiers = ['email', 'mobile', 'username']
  const pool = { slug: 'guests', name: 'Guests', identifiers, user_schema, metadata_schema }
  poolId = await make('/pools', pool)
  await make('/pools', { slug: 'others', name: 'Others' })
  await make('/workspaces', { slug: 'house', name: 'House' })
  await make('/workspaces/house/connections', { pool: 'guests' })
  group = await make('/pools/guests/groups', { name: 'regulars' })
  role = await make('/roles', { key: 'cook', name: 'Cook' })
  tenant = await make('/tenants', { slug: 'acme', name: 'Acme', pool: 'guests' })
  owner = await openConsole(lido)
})
after(() => lido.stop())

test('makes an active user from the fields of the pool’s schema, with groups, role, tenant and metadata', async () => {
  await owner.get(`${users}/~new?mode=set_credentials`)
  assert.match(owner.page.html, />First name</)
  await send(owner, `${users}/~new`, {
    email: 'Ada@Example.org',
    email_verified: 'true',
    username: 'ada',
    password,
    'profile.given_name': 'Ada',
    'profile.language': 'de',
    'profile.seats': '3',
    'profile.newsletter': 'true',
    rest: '{"tags": ["vip"]}',
    metadata: '{"level": 2}',
    [`groups.${group}`]: 'true',
    [`roles.${role}`]: 'true',
    tenant,
  })
  assert.equal(owner.page.status, 200, owner.page.alert)
  const user = await getUser(idOf(owner))
  assert.equal(user.status, 'active')
  assert.deepEqual(user.profile, { given_name: 'Ada', language: 'de', seats: 3, newsletter: true, tags: ['vip'] })
  assert.deepEqual(user.metadata, { level: 2 })
  assert.deepEqual([user.groups, user.roles, user.tenants], [['/regulars'], ['cook'], [tenant]])
  assert.deepEqual(sorted(user.identifiers), [
    { type: 'email', value: 'ada@example.org', verified: true },
    { type: 'username', value: 'ada', verified: false },
  ])
  assert.match(owner.page.html, /Made: they can sign in now/)
})

test('invites a user, whose message goes out', async () => {
  await fillIn(owner, `${users}/~new?mode=invite`, { email: 'grace@example.org', 'profile.given_name': 'Grace' })
  assert.equal(owner.page.status, 200, owner.page.alert)
  assert.equal((await getUser(idOf(owner))).status, 'new')
  assert.ok((await lido.message('grace@example.org')).link)
})

test('says at each field what is wrong with it, and keeps what was typed but the password', async () => {
  await fillIn(owner, `${users}/~new?mode=set_credentials`, {
    email: 'nobody',
    password: 'short',
    'profile.given_name': '<b>Eve</b>',
    'profile.seats': '0',
    rest: '{"tags": ["a"]}',
  })
  assert.equal(owner.page.status, 422)
  assert.match(errorAt(owner, 'profile.seats'), /\S/)
  assert.equal(valueAt(owner, 'profile.given_name'), '<b>Eve</b>')
  assert.doesNotMatch(owner.page.html, /<b>Eve/)
  await send(owner, `${users}/~new`, { 'profile.seats': '2', password: 'short' })
  assert.match(errorAt(owner, 'email'), /This is no email/)
  await send(owner, `${users}/~new`, { email: 'eve@example.org', password: 'short' })
  assert.match(errorAt(owner, 'password'), /\S/)
  assert.equal(valueAt(owner, 'password'), '')
  await send(owner, `${users}/~new`, { rest: 'tags', password })
  assert.match(errorAt(owner, 'rest'), /not JSON/)
  await send(owner, `${users}/~new`, { rest: '', email: '', password })
  assert.match(errorAt(owner, 'email'), /at least one/)
  assert.equal(await findUser('eve@example.org'), undefined)
})

test('finds by the beginning of a name or an identifier, by status and by group, page by page', async () => {
  for (const name of ['zoe', 'zora', 'zita'])
    await makeUser(`${name}@example.org`, { profile: { given_name: name }, groups: name === 'zita' ? [group] : [] })
  const find = async (query: string) => {
    await owner.get(`${users}?${query}`)
    assert.equal(owner.page.status, 200)
    return [...owner.page.html.matchAll(/<th scope="row"><a href="[^"]*" dir="auto">([^<]*)</g)].map(([, name]) => name)
  }
  assert.deepEqual((await find('search=ZO')).toSorted(), ['zoe', 'zora'])
  assert.deepEqual(await find(`search=z&group=${group}`), ['zita'])
  assert.deepEqual(await find('status=deleted'), [])
  assert.match(owner.page.html, /Nobody fits/)
  const first = await find('status=active&limit=2')
  await owner.get(owner.link('Next page'))
  assert.equal(first.length, 2)
  assert.match(owner.page.html, /From the beginning/)
  assert.equal((await find('search=&status=')).includes('zoe'), true)
})

test('changes a profile and identifiers by what the form holds, and takes away what was emptied', async () => {
  const id = await makeUser('change@example.org', {
    profile: { given_name: 'Old', language: 'en', seats: 2, tags: ['kept'] },
    metadata: { level: 1 },
  })
  await fillIn(owner, `${users}/${id}/~edit`, {
    'profile.given_name': 'New',
    'profile.seats': '',
    'identifiers.1.type': 'username',
    'identifiers.1.value': 'Changed',
  })
  assert.match(owner.page.html, /Changed\./)
  const { profile, metadata, identifiers } = await getUser(id)
  assert.deepEqual(profile, { given_name: 'New', language: 'en', tags: ['kept'] })
  assert.deepEqual(metadata, { level: 1 })
  assert.deepEqual(sorted(identifiers), [
    { type: 'email', value: 'change@example.org', verified: true },
    { type: 'username', value: 'changed', verified: false },
  ])
  await fillIn(owner, `${users}/${id}/~edit`, { 'identifiers.0.value': '', 'identifiers.2.value': 'not an address' })
  assert.equal(owner.page.status, 422)
  assert.match(errorAt(owner, 'identifiers.2.value'), /This is no email/)
})

test('a change that was meant for another version is refused', async () => {
  const id = await makeUser('twice@example.org')
  await owner.get(`${users}/${id}/~edit`)
  await lido.call('PATCH', `/pools/guests/users/${id}`, { profile: { given_name: 'Meanwhile' } })
  await send(owner, `${users}/${id}/~edit`, { 'profile.given_name': 'Late' })
  assert.equal(owner.page.status, 422)
  assert.match(owner.page.alert ?? '', /\S/)
  assert.deepEqual((await getUser(id)).profile, { given_name: 'Meanwhile' })
})

test('shows what there is of a user: identifiers, credentials, sessions, groups, roles, tenants and events', async () => {
  const id = await makeUser('shown@example.org', { groups: [group], roles: [role], tenant, username: undefined })
  await owner.get(`${users}/${id}`)
  for (const said of ['shown@example.org', 'email, verified', 'Password', '/regulars', 'Cook', 'Acme', 'user.created'])
    assert.ok(owner.page.html.includes(said), said)
  assert.match(owner.page.html, new RegExp(`/console/events\\?pool=guests&amp;user=${id}`))
})

test('gives and takes groups, roles and tenants', async () => {
  const id = await makeUser('given@example.org')
  const here = `${users}/${id}`
  await owner.get(here)
  await send(owner, `${here}/~join`, { group })
  await send(owner, `${here}/~join-tenant`, { tenant })
  await send(owner, `${here}/~give-role`, { role, within: tenant })
  const given = await getUser(id)
  assert.deepEqual([given.groups, given.roles, given.tenants], [['/regulars'], ['cook'], [tenant]])
  await send(owner, `${here}/~take-role`)
  await send(owner, `${here}/~leave-tenant`)
  await send(owner, `${here}/~leave`)
  const taken = await getUser(id)
  assert.deepEqual([taken.groups, taken.roles, taken.tenants], [[], [], []])
})

test('deactivates, reactivates, and says in place why an activation cannot be sent', async () => {
  const id = await makeUser('standing@example.org')
  const here = `${users}/${id}`
  await owner.get(here)
  await send(owner, `${here}/~deactivate`)
  assert.equal((await getUser(id)).status, 'inactive')
  assert.ok(!hasForm(owner, `${here}/~reset`))
  await send(owner, `${here}/~reactivate`)
  assert.equal((await getUser(id)).status, 'active')
  await owner.post(`${here}/~activation`, { csrf: csrfOf(owner) })
  assert.equal(owner.page.status, 422)
  assert.match(owner.page.alert ?? '', /Only a new user/)
})

test('sends a reset, sets a password that has to be changed, and takes it away again', async () => {
  const id = await makeUser('keys@example.org')
  const here = `${users}/${id}`
  await owner.get(here)
  await send(owner, `${here}/~reset`)
  assert.ok((await lido.message('keys@example.org')).link)
  await fillIn(owner, `${here}/~password`, { password: 'short' })
  assert.match(errorAt(owner, 'password'), /\S/)
  await fillIn(owner, `${here}/~password`, { password: 'another horse another battery' })
  assert.match(owner.page.html, /The password is set/)
  const events = (await lido.call('GET', `/pools/guests/users/${id}/events`)).body.items ?? []
  const set = events.find(({ type }) => type === 'user.password_set')
  assert.match(JSON.stringify(set), /"must_change":true/)
  assert.ok(!JSON.stringify(events).includes('another horse'))
  const path = owner.page.html.match(/href="([^"]*\/credentials\/[^"]*\/~delete)"/)?.[1] ?? ''
  await fillIn(owner, path)
  assert.equal((await lido.call('GET', `/pools/guests/users/${id}/credentials`)).body.items?.length, 0)
})

test('ends one session and all of them', async () => {
  const { id } = await openConsole(lido).then(({ operator }) => operator)
  const here = `/console/pools/administrators/users/${id}`
  await owner.get(here)
  const end = owner.page.html.match(/action="([^"]*\/sessions\/[^"]*\/~end)"/)?.[1] ?? ''
  const sessions = async () => (await lido.call('GET', `/pools/administrators/users/${id}/sessions`)).body.items?.length
  assert.equal(await sessions(), 1)
  await send(owner, end)
  assert.equal(await sessions(), 0)
  await send(owner, `${here}/~sign-out`)
  assert.match(owner.page.html, /Signed out everywhere/)
})

test('deletes after a page that says what goes, and shows of a deleted user only that', async () => {
  const id = await makeUser('gone@example.org', { groups: [group] })
  await owner.get(`${users}/${id}/~delete`)
  assert.match(owner.page.html, /their place in 1 group and 0 roles/)
  assert.equal((await getUser(id)).status, 'active')
  await send(owner, `${users}/${id}/~delete`)
  assert.match(owner.page.html, /The user was deleted/)
  assert.equal((await getUser(id)).status, 'deleted')
  await owner.get(`${users}/${id}`)
  assert.doesNotMatch(owner.page.html, /\/users\/[^"]*~|gone@example\.org/)
})

test('nothing happens without the token of the form', async () => {
  const id = await makeUser('token@example.org')
  for (const path of ['~edit', '~delete', '~password', '~deactivate', '~join', '~sign-out', '~reset']) {
    await owner.post(`${users}/${id}/${path}`, { password: 'a new password of theirs', group })
    assert.equal(owner.page.status, 403, path)
  }
  await owner.post(`${users}/~new`, { mode: 'invite', email: 'forged@example.org', 'profile.given_name': 'F' })
  assert.equal(owner.page.status, 403)
  assert.equal((await getUser(id)).status, 'active')
  assert.equal(await findUser('forged@example.org'), undefined)
})

test('a viewer sees no button and can send none; a helpdesk operator sees only their pool and what they may', async () => {
  const id = await makeUser('looked-at@example.org')
  const here = `${users}/${id}`
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(users)
  assert.doesNotMatch(viewer.page.html, /New user/)
  await viewer.get(here)
  assert.doesNotMatch(viewer.page.html, /\/users\/[^"]*~/)
  for (const path of [`${users}/~new`, `${here}/~edit`, `${here}/~delete`, `${here}/~password`]) {
    await viewer.get(path)
    assert.equal(viewer.page.status, 403, path)
  }
  await viewer.post(`${here}/~deactivate`, { csrf: csrfOf(viewer) })
  assert.equal(viewer.page.status, 403)

  const helper = await openConsole(lido, { role: 'helpdesk', pools: [poolId] })
  await helper.get(here)
  assert.equal(helper.page.status, 200)
  assert.ok(hasForm(helper, `${here}/~deactivate`))
  assert.doesNotMatch(helper.page.html, /~join|~leave|~give-role|~join-tenant|\/imports"|\/exports"|console\/events/)
  for (const path of ['', '/~new', `/${id}`, `/${id}/~edit`]) {
    await helper.get(`/console/pools/others/users${path}`)
    assert.equal(helper.page.status, 404, path)
  }
  await fillIn(helper, `${users}/~new?mode=invite`, { email: 'helped@example.org', 'profile.given_name': 'Helped' })
  assert.equal((await findUser('helped@example.org'))?.status, 'new')
  const taken = { email: 'raised@example.org', 'profile.given_name': 'R', [`groups.${group}`]: 'true', tenant }
  await fillIn(helper, `${users}/~new?mode=invite`, taken)
  assert.deepEqual((await findUser('raised@example.org'))?.groups, [])
})
