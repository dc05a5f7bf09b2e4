import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../browser-testing.ts'
import { makeWorkspace, makePool as pool } from '../../pages/fixtures-testing.ts'
import { type AdminLido, adminLido, eventsAbout } from '../fixtures-testing.ts'
import { makePerson, operator } from '../operators-testing.ts'

let lido: AdminLido
let staff: string
before(async () => {
  lido = await adminLido()
  const made = await pool(lido, 'staff')
  staff = made.id
  await makeWorkspace(lido, 'works', [{ pool: made }])
  await pool(lido, 'guests')
})
after(() => lido.stop())

const make = async (path: '/roles' | '/tenants', body: object): Promise<string> =>
  (await lido.make(path, { name: 'Named', ...body })).id
const makeRole = (key: string, more: object = {}) => make('/roles', { key, ...more })
const makeTenant = (slug: string, more: object = {}) => make('/tenants', { slug, ...more })

const userPath = async (email: string) => `/pools/staff/users/${await makePerson(lido, 'staff', email)}`
const idsOf = async (path: string) => ((await lido.call('GET', path)).body.items ?? []).map(({ id }) => id)
const heldOf = async (path: string) =>
  ((await lido.call('GET', `${path}/roles`)).body.items ?? []).map(({ key, within }) => [key, within])
const faultOf = ({ body }: { body: Record<string, unknown> }) => (body.errors as { pointer: string }[])[0]?.pointer

test('makes, reads, changes and deletes a role', async () => {
  const permissions = ['orders:read', 'orders:write']
  const made = await lido.call('POST', '/roles', { key: 'clerk', name: 'Clerk', permissions })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), `/api/v1/roles/${made.body.id}`)
  const { id: _, created_at, updated_at, ...rest } = made.body
  assert.deepEqual(rest, { tenant_id: null, key: 'clerk', name: 'Clerk', description: '', permissions })
  assert.ok(created_at && updated_at)
  const path = `/roles/${made.body.id}`
  assert.deepEqual((await lido.call('GET', path)).body, made.body)
  const match = { 'If-Match': made.headers.get('ETag') ?? '' }
  const changed = await lido.call('PATCH', path, { permissions: ['orders:read'], description: 'Looks' }, match)
  assert.deepEqual([changed.status, changed.body.permissions], [200, ['orders:read']])
  assert.equal((await lido.call('PATCH', path, { name: 'Late' }, match)).status, 412)
  assert.equal((await lido.call('DELETE', path)).status, 204)
  assert.equal((await lido.call('GET', path)).status, 404)
})

test('a key is unique, whichever tenant a role is of, and what does not fit is refused', async () => {
  const tenant_id = await makeTenant('keys')
  await makeRole('only-one')
  const other = await makeRole('another', { tenant_id })
  assert.equal((await lido.call('POST', '/roles', { key: 'only-one', name: 'x', tenant_id })).status, 409)
  assert.equal((await lido.call('PATCH', `/roles/${other}`, { key: 'only-one' })).status, 409)
  assert.equal((await lido.call('PATCH', `/roles/${other}`, { tenant_id: randomUUID() })).status, 422)
  for (const [pointer, body] of [
    ['/key', { key: 'No Key', name: 'x' }],
    ['/tenant_id', { key: 'lost', name: 'x', tenant_id: randomUUID() }],
    ['/permissions/0', { key: 'spaced', name: 'x', permissions: ['a b'] }],
    ['/permissions', { key: 'twice', name: 'x', permissions: ['a', 'a'] }],
  ] as const) {
    const refused = await lido.call('POST', '/roles', body)
    assert.deepEqual([refused.status, faultOf(refused)], [422, pointer])
  }
})

test('lists in pages and by tenant', async () => {
  const tenant_id = await makeTenant('listed')
  const ids = [await makeRole('listed-one', { tenant_id }), await makeRole('listed-two', { tenant_id })]
  assert.deepEqual(await idsOf(`/roles?tenant_id=${tenant_id}`), ids)
  const first = await lido.call('GET', `/roles?tenant_id=${tenant_id}&limit=1`)
  assert.deepEqual(await idsOf(`/roles?tenant_id=${tenant_id}&limit=1&cursor=${first.body.next_cursor}`), ids.slice(1))
  const global = (await lido.call('GET', '/roles?tenant_id=none')).body.items ?? []
  assert.ok(global.length > 0 && global.every((role) => role.tenant_id === null))
})

test('gives and takes roles, everywhere or in a tenant', async () => {
  const path = await userPath('ada@example.org')
  const tenant = await makeTenant('one', { pool: 'staff' })
  const other = await makeTenant('two')
  const global = await makeRole('reader')
  const own = await makeRole('one-admin', { tenant_id: tenant })
  const put = async (query: string) => (await lido.call('PUT', `${path}/roles/${query}`)).status
  const remove = async (query: string) => (await lido.call('DELETE', `${path}/roles/${query}`)).status
  assert.equal(await put(own), 409, 'no member yet')
  await lido.call('PUT', `${path}/tenants/${tenant}`)
  for (const query of [global, global, own, `${global}?within=${tenant}`]) assert.equal(await put(query), 204)
  assert.equal(await put(`${global}?within=${other}`), 409)
  assert.equal(await put(`${own}?within=${other}`), 422)
  assert.equal(await put(randomUUID()), 404)
  assert.deepEqual(await heldOf(path), [
    ['reader', null],
    ['reader', tenant],
    ['one-admin', tenant],
  ])
  assert.deepEqual((await lido.call('GET', path)).body.roles, ['one-admin', 'reader'])
  assert.equal(await remove(global), 204)
  assert.equal(await remove(global), 404)
  assert.deepEqual(await heldOf(path), [
    ['reader', tenant],
    ['one-admin', tenant],
  ])
  await lido.call('DELETE', `${path}/tenants/${tenant}`)
  assert.deepEqual(await heldOf(path), [], 'who leaves a tenant is nothing in it any more')
  const told = await eventsAbout(lido, path.split('/').at(-1) ?? '', 'role.%')
  const by = { kind: 'client', id: 'bootstrap' }
  const data = { by, role: global, name: 'reader', tenant: null }
  assert.deepEqual(told, [
    { type: 'role.assigned', data },
    { type: 'role.assigned', data: { by, role: own, name: 'one-admin', tenant } },
    { type: 'role.assigned', data: { ...data, tenant } },
    { type: 'role.unassigned', data },
  ])
})

test('a role or a tenant that goes takes what users have of it along', async () => {
  const path = await userPath('ben@example.org')
  const tenant = await makeTenant('gone')
  const role = await makeRole('gone-role')
  await makeRole('gone-too', { tenant_id: tenant })
  await lido.call('PUT', `${path}/tenants/${tenant}`)
  await lido.call('PUT', `${path}/roles/${role}?within=${tenant}`)
  await lido.call('PUT', `${path}/roles/${role}`)
  await lido.call('DELETE', `/tenants/${tenant}`)
  assert.deepEqual(await heldOf(path), [['gone-role', null]])
  assert.deepEqual(await idsOf(`/roles?tenant_id=${tenant}`), [])
  await lido.call('DELETE', `/roles/${role}`)
  assert.deepEqual(await heldOf(path), [])
})

test('a role and a membership that go while they are given leave nothing broken', async () => {
  const path = await userPath('hasty@example.org')
  const tenant = await makeTenant('hasty')
  for (let round = 0; round < 10; round += 1) {
    const role = await makeRole(`hasty-${round}`)
    await lido.call('PUT', `${path}/tenants/${tenant}`)
    const [given, left] = await Promise.all([
      lido.call('PUT', `${path}/roles/${role}?within=${tenant}`),
      lido.call('DELETE', round % 2 ? `/roles/${role}` : `${path}/tenants/${tenant}`),
    ])
    assert.ok([204, 404, 409].includes(given.status), String(given.status))
    assert.equal(left.status, 204)
    assert.deepEqual(await heldOf(path), [])
  }
})

test('an operator with limits gives the roles of their tenants, and makes and sees no others', async () => {
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', pools: [staff] })
  const tenant = await makeTenant('theirs', { pool: 'staff' })
  const own = await makeRole('theirs-clerk', { tenant_id: tenant })
  const global = await makeRole('everywhere')
  const foreign = await makeRole('guests-clerk', { tenant_id: await makeTenant('far', { pool: 'guests' }) })
  const path = await userPath('cy@example.org')
  assert.equal((await limited.call('GET', `/roles/${own}`)).status, 200)
  for (const id of [global, foreign]) {
    assert.equal((await limited.call('GET', `/roles/${id}`)).status, 404)
    assert.equal((await limited.call('PUT', `${path}/roles/${id}`)).status, 404)
    assert.equal((await limited.call('DELETE', `/roles/${id}`)).status, 404)
  }
  assert.equal((await lido.call('PUT', `${path}/roles/${foreign}`)).status, 404, 'nor anybody, for another pool')
  const forged = { key: 'superuser', name: 'x', permissions: ['everything'], tenant_id: tenant }
  assert.equal((await limited.call('POST', '/roles', forged)).status, 403)
  assert.equal((await limited.call('PATCH', `/roles/${own}`, { permissions: ['everything'] })).status, 403)
  assert.equal((await limited.call('DELETE', `/roles/${own}`)).status, 403)
  const listed = (await limited.call('GET', '/roles')).body.items ?? []
  assert.ok(listed.some(({ id }) => id === own))
  assert.ok(!listed.some(({ id }) => id === global || id === foreign))
  await lido.call('PUT', `${path}/tenants/${tenant}`)
  assert.equal((await limited.call('PUT', `${path}/roles/${own}`)).status, 204)
  const made = { mode: 'set_credentials', identifiers: [{ type: 'email', value: 'dee@example.org' }], password }
  const refused = await limited.call('POST', '/pools/staff/users', { ...made, roles: [global] })
  assert.deepEqual([refused.status, faultOf(refused)], [422, '/roles/0'])
})

const password = 'correct horse battery staple'

test('a user is made with roles and a tenant, which need scopes of their own', async () => {
  const tenant = await makeTenant('made')
  const role = await makeRole('made-role')
  const identifiers = (name: string) => [{ type: 'email', value: `${name}@example.org` }]
  const body = { mode: 'set_credentials', identifiers: identifiers('eve'), password, roles: [role], tenant }
  for (const scope of ['users:write', 'users:write roles:write', 'users:write tenants:write']) {
    const Authorization = `Bearer ${await lido.token(scope)}`
    assert.equal((await lido.call('POST', '/pools/staff/users', body, { Authorization })).status, 403, scope)
  }
  const made = await lido.call('POST', '/pools/staff/users', body)
  assert.deepEqual([made.status, made.body.roles, made.body.tenants], [201, ['made-role'], [tenant]])
  assert.deepEqual(await heldOf(`/pools/staff/users/${made.body.id}`), [['made-role', tenant]])
  const invited = { mode: 'invite', identifiers: identifiers('fay'), roles: [role] }
  const fay = await lido.call('POST', '/pools/staff/users', invited)
  assert.deepEqual([fay.status, fay.body.roles, fay.body.tenants], [201, ['made-role'], []])
  const foreign = await makeTenant('not-for-staff', { pool: 'guests' })
  const own = await makeRole('made-elsewhere', { tenant_id: foreign })
  for (const [pointer, more] of [
    ['/tenant', { tenant: foreign }],
    ['/tenant', { tenant: randomUUID() }],
    ['/roles/1', { roles: [role, own] }],
    ['/roles/0', { roles: [randomUUID()], tenant: null }],
  ] as const) {
    const refused = await lido.call('POST', '/pools/staff/users', { ...body, identifiers: identifiers('gus'), ...more })
    assert.deepEqual([refused.status, faultOf(refused)], [422, pointer])
  }
})

const path = '/pools/staff/invitations'

const invite = async (identifier: string, more: object) => {
  const made = await lido.call('POST', path, { identifier, ...more })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const { link } = await lido.message(identifier)
  return { body: made.body, link }
}

const accept = async (link: string, more: Record<string, string> = {}) => {
  const browser = openBrowser(lido.url)
  await browser.get(link)
  await browser.submit({ new_password: password, ...more })
  assert.match(browser.page.html, /is ready/)
}

const find = async (email: string) => (await lido.call('GET', `/pools/staff/users?identifier=${email}`)).body.items?.[0]

test('A32: who is invited has the stored roles and tenant after accepting, whatever the form sends', async () => {
  const tenant = await makeTenant('inviting')
  const role = await makeRole('invited')
  const forbidden = await makeRole('forbidden')
  const { body, link } = await invite('hal@example.org', { roles: [role], tenant })
  assert.deepEqual([body.roles, body.tenant], [[role], tenant])
  await accept(link, { roles: forbidden, 'roles[]': forbidden, role: 'owner', tenant: '', permissions: 'everything' })
  const user = await find('hal@example.org')
  assert.deepEqual([user?.roles, user?.tenants], [['invited'], [tenant]])
  assert.deepEqual(await heldOf(`/pools/staff/users/${user?.id}`), [['invited', tenant]])
  const plain = await invite('ida@example.org', {})
  await accept(plain.link, { roles: forbidden, tenant })
  const other = await find('ida@example.org')
  assert.deepEqual([other?.roles, other?.tenants], [[], []])
})

test('a role meant for a tenant that is gone at acceptance does not count everywhere', async () => {
  const tenant = await makeTenant('short-lived')
  const [role, gone] = [await makeRole('stays'), await makeRole('goes')]
  const { link } = await invite('jan@example.org', { roles: [role], tenant })
  await lido.call('DELETE', `/tenants/${tenant}`)
  await accept(link)
  assert.deepEqual((await find('jan@example.org'))?.roles, [])
  const other = await invite('kim@example.org', { roles: [role, gone] })
  await lido.call('DELETE', `/roles/${gone}`)
  await accept(other.link)
  assert.deepEqual((await find('kim@example.org'))?.roles, ['stays'])
})
