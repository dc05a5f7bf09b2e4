import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as roles from '../directory/roles.ts'
import * as tenants from '../directory/tenants.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  ask,
  makePool,
  makeWorkspace,
  payloadOf,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: TestPool
let workspace: TestWorkspace
let acme: string
let globex: string
let reader: roles.Role
let clerk: roles.Role
let boss: roles.Role

before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'customers')
  workspace = await makeWorkspace(lido, 'shop', { pools: [pool] })
  await workspace.client('spa')
  acme = await tenant('acme')
  globex = await tenant('globex')
  reader = await role('reader', ['orders:read', 'help:read'])
  clerk = await role('clerk', ['orders:write', 'orders:read'])
  boss = await role('acme-boss', ['staff:hire'], acme)
})
after(() => lido.stop())

const system = { kind: 'system' } as const

const tenant = async (slug: string): Promise<string> => {
  const { db, clock } = lido.services
  const fields = { slug, name: slug, metadata: {}, poolId: null }
  return (await db.transaction().execute((trx) => tenants.create(trx, clock.now(), fields, system))).id
}

const role = (key: string, permissions: string[], tenantId: string | null = null) => {
  const { db, clock } = lido.services
  const fields = { key, name: key, description: '', permissions, tenantId }
  return db.transaction().execute((trx) => roles.create(trx, clock.now(), fields, system))
}

const give = async (userId: string, given: { role: roles.Role; within?: string }[], belongs: string[] = []) => {
  const { db, clock } = lido.services
  const place = { poolId: pool.id, userId }
  await db.transaction().execute(async (trx) => {
    for (const id of belongs) assert.ok(await tenants.join(trx, clock.now(), place, id, system))
    for (const { role, within = null } of given)
      assert.ok(await roles.assign(trx, clock.now(), { ...place, within }, role, system))
  })
}

const toldTo = async (email: string, scope: string) => {
  const tokens = await tokensOf(lido, workspace, email, { scope })
  const { roles, permissions, tenant_id } = payloadOf(tokens.id)
  const { body } = await userinfo(workspace.issuer, tokens.access)
  assert.deepEqual([body.roles, body.permissions, body.tenant_id], [roles, permissions, tenant_id])
  return { roles, permissions, tenant_id }
}

test('the scopes tell the roles, what they permit together, and the tenant', async () => {
  const ada = await pool.user('ada@example.org')
  await give(ada, [{ role: reader }, { role: clerk, within: acme }, { role: boss, within: acme }], [acme])
  const permissions = ['help:read', 'orders:read', 'orders:write', 'staff:hire']
  const all = { roles: ['acme-boss', 'clerk', 'reader'], permissions, tenant_id: acme }
  assert.deepEqual(await toldTo('ada@example.org', 'openid roles tenant'), all)
  assert.deepEqual(await toldTo('ada@example.org', 'openid tenant'), {
    roles: undefined,
    permissions: undefined,
    tenant_id: acme,
  })
  assert.deepEqual(await toldTo('ada@example.org', 'openid roles'), { ...all, tenant_id: undefined })
})

test('of two tenants none is acted for, and nothing of what somebody is there is told', async () => {
  const ben = await pool.user('ben@example.org')
  const given = [{ role: reader }, { role: boss, within: acme }, { role: clerk, within: globex }]
  await give(ben, given, [acme, globex])
  assert.deepEqual(await toldTo('ben@example.org', 'openid roles tenant'), {
    roles: ['reader'],
    permissions: ['help:read', 'orders:read'],
    tenant_id: undefined,
  })
})

test('somebody without any has none, and a change shows at the next refresh', async () => {
  const cy = await pool.user('cy@example.org')
  const tokens = await tokensOf(lido, workspace, 'cy@example.org', { scope: 'openid roles tenant' })
  const first = payloadOf(tokens.id)
  assert.deepEqual([first.roles, first.permissions, 'tenant_id' in first], [[], [], false])
  await give(cy, [{ role: clerk }], [globex])
  const { body } = await refresh(workspace.issuer, tokens.refresh)
  const next = payloadOf(String(body.id_token))
  assert.deepEqual([next.roles, next.permissions, next.tenant_id], [['clerk'], ['orders:read', 'orders:write'], globex])
})

test('both scopes cost one statement, and without them nothing is asked of the database', async () => {
  await pool.user('dee@example.org')
  const count = async (scope: string) => {
    const tokens = await tokensOf(lido, workspace, 'dee@example.org', { scope })
    lido.statements.length = 0
    const { body } = await userinfo(workspace.issuer, tokens.access)
    const asked = lido.statements.filter((text) => /user_roles|tenant_members/.test(text))
    return { all: lido.statements.length, asked: asked.length, told: 'roles' in body }
  }
  const plain = await count('openid profile groups')
  assert.deepEqual([plain.asked, plain.told], [0, false])
  const full = await count('openid profile groups roles tenant')
  assert.deepEqual(full, { all: plain.all + 1, asked: 1, told: true })
})

test('a token for a resource that may know of them tells them itself', async () => {
  const eve = await pool.user('eve@example.org')
  await give(eve, [{ role: reader }], [acme])
  const resource = 'https://api.example/'
  const tokenFor = async (client_id: string, scopes: string[]) => {
    await workspace.client(client_id, { resources: { [resource]: scopes } })
    const scope = 'openid roles tenant read'
    const signedIn = await signIn(lido, workspace, 'eve@example.org', { client_id, scope, resource })
    const { body } = await redeem(workspace.issuer, signedIn, { client_id, resource })
    return payloadOf(String(body.access_token))
  }
  const open = await tokenFor('open', ['read', 'roles', 'tenant'])
  assert.deepEqual([open.roles, open.permissions, open.tenant_id], [['reader'], ['help:read', 'orders:read'], acme])
  const half = await tokenFor('half', ['read', 'tenant'])
  assert.deepEqual([half.roles, half.permissions, half.tenant_id], [undefined, undefined, acme])
  const closed = await tokenFor('closed', ['read'])
  assert.ok(!('roles' in closed) && !('permissions' in closed) && !('tenant_id' in closed))
})

test('discovery names scopes and claims', async () => {
  const { body } = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  for (const scope of ['roles', 'tenant']) assert.ok((body.scopes_supported as string[]).includes(scope))
  for (const claim of ['roles', 'permissions', 'tenant_id'])
    assert.ok((body.claims_supported as string[]).includes(claim))
})
