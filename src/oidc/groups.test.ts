import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import * as groups from '../directory/groups.ts'
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
let ada: string

before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'members')
  workspace = await makeWorkspace(lido, 'clubhouse', { pools: [pool] })
  await workspace.client('spa')
  await workspace.client('guest', { first_party: false })
  ada = await pool.user('ada@example.org')
  const staff = await group('staff')
  const engineering = await group('engineering', staff)
  await group('engine room', engineering)
  await join(engineering)
  await join(await group('Älteste'))
})
after(() => lido.stop())

const system = { kind: 'system' } as const

const group = async (name: string, parent_id: string | null = null): Promise<string> => {
  const { db, clock } = lido.services
  const fields = { name, description: '', parent_id }
  const made = await db.transaction().execute((trx) => groups.create(trx, clock.now(), pool.id, fields, system))
  return made.id
}

const join = (groupId: string) =>
  lido.services.db.insertInto('groupMembers').values({ poolId: pool.id, groupId, userId: ada }).execute()

const paths = ['/staff/engineering', '/Älteste']

test('the groups scope tells the paths of the groups that somebody is in', async () => {
  const tokens = await tokensOf(lido, workspace, 'ada@example.org', { scope: 'openid groups' })
  assert.deepEqual(payloadOf(tokens.id).groups, paths)
  assert.deepEqual((await userinfo(workspace.issuer, tokens.access)).body.groups, paths)
})

test('without the scope, nothing is told and nothing is asked of the database', async () => {
  const plain = await tokensOf(lido, workspace, 'ada@example.org', { scope: 'openid profile' })
  assert.equal('groups' in payloadOf(plain.id), false)
  lido.statements.length = 0
  const told = await userinfo(workspace.issuer, plain.access)
  assert.equal('groups' in told.body, false)
  assert.equal(lido.statements.filter((text) => text.includes('group_members')).length, 0)
})

test('somebody without groups has none, and a change shows at the next refresh', async () => {
  const ben = await pool.user('ben@example.org')
  const tokens = await tokensOf(lido, workspace, 'ben@example.org', { scope: 'openid groups' })
  assert.deepEqual(payloadOf(tokens.id).groups, [])
  const groupId = await group('late')
  await lido.services.db.insertInto('groupMembers').values({ poolId: pool.id, groupId, userId: ben }).execute()
  const { body } = await refresh(workspace.issuer, tokens.refresh)
  assert.deepEqual(payloadOf(String(body.id_token)).groups, ['/late'])
})

test('others ask the person first, in words', async () => {
  const asked = { client_id: 'guest', scope: 'openid groups' }
  const signedIn = await signIn(lido, workspace, 'ada@example.org', asked)
  assert.equal(signedIn.browser.page.step, 'consent')
  assert.match(signedIn.browser.page.html, /The groups that you belong to/)
  await signedIn.browser.submit({ decision: 'allow' })
  const code = new URL(signedIn.browser.page.url).searchParams.get('code') ?? ''
  const { body } = await redeem(workspace.issuer, { ...signedIn, code }, { client_id: 'guest' })
  assert.deepEqual(payloadOf(String(body.id_token)).groups, paths)
})

test('a token for a resource that may know of groups tells them itself', async () => {
  const resource = 'https://api.example/'
  const ask = async (client_id: string, scopes: string[]) => {
    await workspace.client(client_id, { resources: { [resource]: scopes } })
    const scope = 'openid groups read'
    const signedIn = await signIn(lido, workspace, 'ada@example.org', { client_id, scope, resource })
    const { body } = await redeem(workspace.issuer, signedIn, { client_id, resource })
    return payloadOf(String(body.access_token))
  }
  assert.deepEqual((await ask('open', ['read', 'groups'])).groups, paths)
  assert.equal('groups' in (await ask('closed', ['read'])), false)
})

test('discovery names scope and claim', async () => {
  const { body } = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  assert.ok((body.scopes_supported as string[]).includes('groups'))
  assert.ok((body.claims_supported as string[]).includes('groups'))
})

test('five hundred groups cost one statement more than none, and little time', async () => {
  const { db } = lido.services
  const cy = await pool.user('cy@example.org')
  await sql`with recursive made as (
      select gen_random_uuid() as id, null::uuid as parent_id, 1 as depth, n from generate_series(1, 500) n
      union all select gen_random_uuid(), made.id, depth + 1, n from made where depth < 10
    ), grown as (
      insert into groups (pool_id, id, parent_id, name)
      select ${pool.id}::uuid, id, parent_id, 'branch ' || n from made order by depth returning id, parent_id
    ) select count(*) from grown`.execute(db)
  await sql`insert into group_members (pool_id, group_id, user_id)
    select pool_id, id, ${cy}::uuid from groups g where pool_id = ${pool.id} and name like 'branch %'
    and not exists (select from groups c where c.parent_id = g.id)`.execute(db)
  // As autovacuum does soon after.
  await sql`analyze groups, group_members`.execute(db)
  const tokens = await tokensOf(lido, workspace, 'cy@example.org', { scope: 'openid groups' })
  const plain = await tokensOf(lido, workspace, 'cy@example.org', { scope: 'openid profile' })
  const told = payloadOf(tokens.id).groups as string[]
  assert.equal(told.length, 500)
  assert.equal(told[0]?.split('/').length, 11)
  const count = async (refreshToken: string) => {
    lido.statements.length = 0
    const began = performance.now()
    const { status, body } = await refresh(workspace.issuer, refreshToken)
    assert.equal(status, 200)
    return { statements: lido.statements.length, ms: performance.now() - began, next: String(body.refresh_token) }
  }
  const one = await count(tokens.refresh)
  const other = await count(plain.refresh)
  assert.equal(one.statements, other.statements + 1)
  const times: number[] = []
  let token = one.next
  for (let index = 0; index < 5; index += 1) {
    const { ms, next } = await count(token)
    token = next
    times.push(ms)
  }
  assert.ok(Math.min(...times) < 100, `${times}`)
})
