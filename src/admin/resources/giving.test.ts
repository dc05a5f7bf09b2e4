import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as links from '../../directory/links.ts'
import { makeFederated } from '../../pages/federated-testing.ts'
import { isSignedIn, makePool, makeUser, visitAs } from '../../pages/fixtures-testing.ts'
import { makeExternal, type Outside, openOutside, secretThere } from '../../pages/outside-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
let outside: Outside
before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
  await lido.call('POST', '/roles', { key: 'superuser', name: 'Superuser', permissions: ['everything'] })
  await lido.call('POST', '/tenants', { slug: 'headquarters', name: 'Headquarters' })
})
after(async () => {
  await lido.stop()
  await outside.close()
})

const settings = { tenant_id_field: 'tenant' }

/** An external pool with a tenant and a role of its own, and an operator who is limited to it. */
const makeOne = async (mapping: object = {}) => {
  const source = { settings: { url: outside.url, secret: 'the secret of the source', ...settings }, mapping }
  const { pool, slug, workspace } = await makeExternal(lido, outside, { source })
  const { body: own } = await lido.call('POST', '/tenants', { slug: `own-${slug}`, name: 'Own', pool: slug })
  await lido.call('POST', '/roles', { key: `clerk-${slug}`, name: 'Clerk', tenant_id: own.id })
  const limits = { role: 'admin', pools: [pool.id], workspaces: [workspace.id] }
  const limited = await operator(lido, `${slug}@example.org`, limits)
  return { pool, slug, at: `/pools/${slug}`, limited, workspace, own: own.id }
}

const comeIn = async (slug: string, told: { roles: string[]; tenant: string }) => {
  const email = `person-of-${slug}@example.org`
  const { roles, tenant } = told
  outside.add({ email, roles, metadata: { tenant } })
  const browser = await visitAs(lido, slug, email)
  await browser.submit({ password: secretThere })
  assert.ok(isSignedIn(browser), browser.page.html)
  const { body } = await lido.call('GET', `/pools/${slug}/users?identifier=${encodeURIComponent(email)}`)
  return body.items?.[0] as { roles: string[]; tenants: string[]; id: string }
}

test('an operator with limits cannot let a mapping, nor a server of theirs, give what is not of the pool', async () => {
  const { at, limited } = await makeOne({ roles: { taken: 'none' }, tenant: { mode: 'none' } })
  const changes = [
    { mapping: { roles: { taken: 'every_sign_in' } } },
    { mapping: { tenant: { mode: 'static', id: 'headquarters' } } },
    { mapping: { roles: { taken: 'first_sign_in' }, reach: 'everything' } },
  ]
  for (const source of changes) {
    const answer = await limited.call('PATCH', at, { source })
    assert.equal(answer.status, 403, JSON.stringify(source))
    assert.match(String(answer.body.detail), /reach to "pool"/)
  }
  await lido.call('PATCH', at, { source: changes[0] })
  for (const change of [{ url: 'http://127.0.0.1:9' }, { secret: 'the secret of another' }])
    assert.equal((await limited.call('PATCH', at, { source: { settings: change } })).status, 403)
  assert.equal((await limited.call('PATCH', at, { name: 'Renamed', source: { paused: true } })).status, 200)
  const within = { paused: false, mapping: { reach: 'pool', roles: { from: 'roles' } } }
  const allowed = await limited.call('PATCH', at, { source: within })
  assert.equal(allowed.status, 200, JSON.stringify(allowed.body))
  assert.equal((await limited.call('PATCH', at, { source: { mapping: { reach: 'everything' } } })).status, 403)
})

test('what a mapping within its pool gives are tenants of the pool and their roles, whatever it is told', async () => {
  const { slug } = await makeOne({ reach: 'pool', roles: { taken: 'every_sign_in' } })
  const open = await comeIn(slug, { roles: ['superuser', `clerk-${slug}`], tenant: 'headquarters' })
  assert.deepEqual([open.roles, open.tenants], [[], []])
  const { slug: other, own } = await makeOne({ reach: 'pool' })
  const theirs = await comeIn(other, { roles: ['superuser', `clerk-${other}`], tenant: `own-${other}` })
  assert.deepEqual([theirs.roles, theirs.tenants], [[`clerk-${other}`], [own]])
})

test('nor does it take away what an operator without limits gave', async () => {
  const mapping = { reach: 'pool', roles: { taken: 'every_sign_in' }, tenant: { taken: 'every_sign_in' } }
  const { slug, pool } = await makeOne(mapping)
  await lido.call('PATCH', `/pools/${slug}`, { sign_in_methods: ['password'], source: { mode: 'sync' } })
  const { id } = await comeIn(slug, { roles: [], tenant: '' })
  const { body } = await lido.call('GET', '/roles?tenant_id=none')
  const role = body.items?.find(({ key }) => key === 'superuser')?.id
  const tenant = (await lido.call('GET', '/tenants')).body.items?.find((one) => one.slug === 'headquarters')?.id
  await lido.call('PUT', `/pools/${slug}/users/${id}/roles/${role}`)
  await lido.call('PUT', `/pools/${slug}/users/${id}/tenants/${tenant}`)
  const again = await comeIn(slug, { roles: [], tenant: '' })
  assert.deepEqual([again.roles, again.tenants], [['superuser'], [tenant]], pool.id)
})

test('a script with the last word is changed by nobody who could not give what it says', async () => {
  const { at, limited, workspace, slug, own } = await makeOne()
  const scripts = `/workspaces/${workspace.slug}/scripts`
  const code = 'const mapping = ({ mapped }) => mapped'
  const all = 'const mapping = ({ mapped }) => ({ ...mapped, roles: ["superuser"], tenant: "headquarters" })'
  const { body } = await lido.call('POST', scripts, { name: 'Last word', point: 'mapping', code })
  const one = `${scripts}/${body.id}`
  assert.equal((await limited.call('PATCH', one, { code: `${code} // unused` })).status, 200)
  await lido.call('PATCH', at, { source: { mapping: { script: body.id } } })
  for (const change of [{ code: all }, { enabled: false }, { on_failure: 'continue' }])
    assert.equal((await limited.call('PATCH', one, change)).status, 403, JSON.stringify(change))
  assert.equal((await limited.call('POST', `${one}/rollback`, { version: 1 })).status, 403)
  assert.equal((await limited.call('PATCH', one, { name: 'Renamed' })).status, 200)
  const Authorization = `Bearer ${await lido.token('scripts:write')}`
  assert.equal((await lido.call('PATCH', one, { code: all }, { Authorization })).status, 403, 'nor without the scopes')
  await lido.call('PATCH', at, { source: { mapping: { reach: 'pool' } } })
  assert.equal((await limited.call('PATCH', one, { code: all })).status, 200)
  const user = await comeIn(slug, { roles: [], tenant: `own-${slug}` })
  assert.deepEqual([user.roles, user.tenants.includes(String(own))], [[], false])
})

test('a script that a pool uses which an operator does not see is not theirs to change', async () => {
  const mine = await makeOne()
  const theirs = await makeOne({ reach: 'pool' })
  const scripts = `/workspaces/${mine.workspace.slug}/scripts`
  const code = 'const mapping = ({ mapped }) => mapped'
  const { body } = await lido.call('POST', scripts, { name: 'Shared', point: 'mapping', code })
  await lido.call('PATCH', theirs.at, { source: { mapping: { script: body.id } } })
  const refused = await mine.limited.call('PATCH', `${scripts}/${body.id}`, { code: `${code} // mine` })
  assert.equal(refused.status, 403)
  assert.ok(!JSON.stringify(refused.body).includes(theirs.slug))
})

test('a machine that may write pools and no roles and tenants makes no mapping that gives some', async () => {
  const { at } = await makeOne({ roles: { taken: 'none' }, tenant: { mode: 'none' } })
  const as = async (scope: string) => ({ Authorization: `Bearer ${await lido.token(scope)}` })
  const roles = { source: { mapping: { roles: { taken: 'add_only' } } } }
  const tenants = { source: { mapping: { tenant: { mode: 'dynamic' } } } }
  assert.equal((await lido.call('PATCH', at, roles, await as('pools:write'))).status, 403)
  assert.equal((await lido.call('PATCH', at, tenants, await as('pools:write'))).status, 403)
  assert.equal((await lido.call('PATCH', at, roles, await as('pools:write roles:write'))).status, 200)
  assert.equal((await lido.call('PATCH', at, tenants, await as('pools:write roles:write tenants:write'))).status, 200)
})

test('nor one that takes people into groups without groups:write', async () => {
  const { at } = await makeOne({ roles: { taken: 'none' }, tenant: { mode: 'none' } })
  const as = async (scope: string) => ({ Authorization: `Bearer ${await lido.token(scope)}` })
  const groups = { source: { mapping: { groups: { taken: 'every_sign_in' } } } }
  assert.equal((await lido.call('PATCH', at, groups, await as('pools:write roles:write tenants:write'))).status, 403)
  assert.equal((await lido.call('PATCH', at, groups, await as('pools:write groups:write'))).status, 200)
})

test('an operator with limits makes no upstream speak otherwise for people of a pool that is not theirs', async () => {
  const home = await makePool(lido, 'home-of-linked')
  const away = await makeFederated(lido, 'away-of-linked')
  const { db, clock } = lido.services
  const speaking = { role: 'admin', pools: [away.id] }
  const limited = await operator(lido, 'speaking@example.org', speaking)
  const both = await operator(lido, 'both@example.org', { ...speaking, pools: [away.id, home.id] })
  const at = `/pools/${away.slug}`
  // It is stored without what its type has by default, as one that was made before there was more to set.
  assert.equal((await limited.call('PATCH', at, { name: 'Renamed' })).status, 200)
  assert.equal((await limited.call('PATCH', at, { upstream: { trust: { auth_time: true } } })).status, 200)
  await lido.call('PATCH', at, { upstream: { mapping: { reach: 'pool' } } })
  const user = await makeUser(lido, home, 'linked@example.org')
  const link = { poolId: away.id, subject: 'linked there', homePoolId: home.id, userId: user }
  const by = { kind: 'person', id: user } as const
  await db.transaction().execute((trx) => links.add(trx, clock.now(), link, { label: '', name: 'Away', by }))
  for (const change of [{ trust: { acr: true } }, { settings: { client_id: 'mine' } }, { linking: 'offer' }]) {
    const { status, body } = await limited.call('PATCH', at, { upstream: change })
    assert.equal(status, 403, JSON.stringify(change))
    assert.ok(!JSON.stringify(body).includes(home.slug))
    assert.equal((await both.call('PATCH', at, { upstream: change })).status, 200, JSON.stringify(change))
  }
  assert.equal((await limited.call('PATCH', at, { upstream: { logout: true }, name: 'Renamed' })).status, 200)
})

test('trying a mapping tells an operator with limits nothing of roles and tenants beyond their pools', async () => {
  const { at, limited, slug } = await makeOne()
  const claims = { roles: ['superuser', `clerk-${slug}`] }
  const body = { sample: { claims, tenant: 'headquarters' } }
  const { body: seen } = await limited.call('POST', `${at}/mapping/preview`, body)
  assert.deepEqual(seen.roles, [
    { name: 'superuser', known: false },
    { name: `clerk-${slug}`, known: true },
  ])
  assert.deepEqual(seen.tenant, { name: 'headquarters', known: false })
})

test('a federated pool gives no roles unless that is asked for, and one that did goes on', async () => {
  const upstream = {
    type: 'oidc',
    settings: { issuer: 'https://idp.example', client_id: 'lido', authentication: 'none' },
  }
  const { body } = await lido.call('POST', '/pools', { slug: 'guests', name: 'Guests', kind: 'federated', upstream })
  type Stored = { upstream: { mapping: { roles: { taken: string } } } }
  assert.equal((body as unknown as Stored).upstream.mapping.roles.taken, 'none')
  const asked = { upstream: { mapping: { roles: { taken: 'first_sign_in' } } } }
  await lido.call('PATCH', '/pools/guests', asked)
  const { body: kept } = await lido.call('PATCH', '/pools/guests', { upstream: { mapping: { roles: { from: 'r' } } } })
  assert.equal((kept as unknown as Stored).upstream.mapping.roles.taken, 'first_sign_in')
})
