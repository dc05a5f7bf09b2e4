import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { up } from '../../migrations/20261121zb-machine-events.ts'
import { forgetFleeting } from '../directory/events.ts'
import * as workspaces from '../directory/workspaces.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  anotherNode,
  ask,
  basic,
  eventually,
  makePool,
  makeWorkspace,
  post,
  refresh,
  type TestWorkspace,
  tokensOf,
} from './fixtures-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
const api = 'https://api.example.org'
const secret = 'a-secret-of-the-machine-that-nobody-guesses'
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'townsfolk')
  workspace = await makeWorkspace(lido, 'town', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('machine', {
    secret,
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [],
    grant_types: ['client_credentials'],
    resources: { [api]: ['read'] },
  })
  await people.user('mike@example.org')
})
after(() => lido.stop())

const told = (type: string) =>
  lido.services.db.selectFrom('events').selectAll().where('type', '=', type).orderBy('id').execute()

/** A signed token, which nothing is stored for. */
const machineToken = (issuer = workspace.issuer) =>
  post(`${issuer}/token`, { grant_type: 'client_credentials', resource: api }, basic('machine', secret))

const setEvents = async (change: Partial<workspaces.WorkspaceSettings>) => {
  const { db, clock } = lido.services
  const before = await workspaces.findBySlug(db, 'town')
  assert.ok(before)
  const settings = { ...before.settings, ...change }
  await workspaces.update(db, clock.now(), before, { ...before, settings }, { kind: 'system' })
  // The change takes a moment to be heard of.
  await new Promise((resolve) => setTimeout(resolve, 300))
}

test('tokens of people leave an event by grant, with client, scopes and whose they are', async () => {
  const tokens = await tokensOf(lido, workspace, 'mike@example.org')
  assert.equal((await refresh(workspace.issuer, tokens.refresh)).status, 200)
  const events = await told('token.issued')
  assert.deepEqual(
    events.map(({ data }) => data.grant_type),
    ['authorization_code', 'refresh_token'],
  )
  for (const { clientId, userId, poolId, workspaceId, trace, data } of events) {
    assert.equal(clientId, 'spa')
    assert.ok(userId && poolId && workspaceId && trace)
    assert.ok((data.scopes as string[]).includes('openid'))
  }
  const everything = JSON.stringify(events)
  for (const one of [tokens.access, tokens.refresh]) assert.ok(!everything.includes(one))
})

test('twenty uses of one refresh token leave an event for each that got tokens, and none for who got none', async () => {
  const tokens = await tokensOf(lido, workspace, 'mike@example.org')
  const before = (await told('token.issued')).length
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(workspace.issuer, tokens.refresh)))
  const taken = answers.filter(({ status }) => status === 200).length
  assert.ok(taken >= 1)
  assert.equal((await told('token.issued')).length, before + taken)
})

test('a token of a machine leaves an event a moment later, and a hundred of them cost a few statements', async () => {
  const before = (await told('token.issued')).length
  const { metrics } = lido.services
  const sent = async () => Number((await metrics.text()).match(/^lido_sql_statements_total (\d+)/m)?.[1])
  await machineToken()
  await eventually(2_000, async () => assert.equal((await told('token.issued')).length, before + 1))
  const statements = await sent()
  const answers = await Promise.all(Array.from({ length: 100 }, () => machineToken()))
  assert.ok(answers.every(({ status }) => status === 200))
  await eventually(2_000, async () => assert.equal((await told('token.issued')).length, before + 101))
  const spent = (await sent()) - statements
  assert.ok(spent <= 30, `${spent} statements, those of looking among them`)
  const event = (await told('token.issued')).at(-1)
  assert.deepEqual([event?.clientId, event?.data.grant_type, event?.userId], ['machine', 'client_credentials', null])
  assert.ok(event?.trace && event.workspaceId === workspace.id)
})

test('where the workspace wants it, the event of a machine is there before its token is', async () => {
  await setEvents({ machine_events: 'committed' })
  const before = (await told('token.issued')).length
  assert.equal((await machineToken()).status, 200)
  assert.equal((await told('token.issued')).length, before + 1)
  await setEvents({ machine_events: 'grouped' })
})

test('tokens of machines, or all of them, leave none where the workspace wants none', async () => {
  const before = (await told('token.issued')).length
  await setEvents({ token_events: 'people' })
  await machineToken()
  await tokensOf(lido, workspace, 'mike@example.org')
  await setEvents({ token_events: 'none' })
  await machineToken()
  await tokensOf(lido, workspace, 'mike@example.org')
  assert.equal((await told('token.issued')).length, before + 1)
  await setEvents({ token_events: 'all' })
})

test('a node that is stopped writes what it has not written yet', async () => {
  const node = await anotherNode(lido)
  const before = (await told('token.issued')).length
  const at = `${node.issuer(workspace)}/token`
  await Promise.all(Array.from({ length: 20 }, () => machineToken(node.issuer(workspace))))
  for (let n = 0; n < 100; n += 1) await post(at, { grant_type: 'password', client_id: `stopping-${n}` })
  const refused = (await countRefused()).all
  await node.stop()
  assert.equal((await told('token.issued')).length, before + 20)
  assert.ok((await countRefused()).all > refused, 'what was left out is told of at the end')
})

/** How many refusals events tell of; one without a reason only tells how many there were. */
const countRefused = async () => {
  const events = await told('token.refused')
  const left = events.reduce((sum, { data }) => sum + Number(data.left_out ?? 0), 0)
  return { rows: events.length, all: events.filter(({ data }) => data.reason).length + left }
}

test('each endpoint that refuses a client leaves an event with the error and the reason, and nothing that was sent', async () => {
  const wrong = 'a-secret-that-is-not-the-one'
  const sent: [string, string, () => Promise<{ headers: Headers }>][] = [
    [
      'token.refused',
      '/token',
      () => post(`${workspace.issuer}/token`, { grant_type: 'client_credentials' }, basic('machine', wrong)),
    ],
    [
      'token.refused',
      '/introspect',
      () => post(`${workspace.issuer}/introspect`, { token: wrong }, basic('machine', wrong)),
    ],
    ['token.refused', '/revoke', () => post(`${workspace.issuer}/revoke`, { token: wrong }, basic('machine', wrong))],
    [
      'authorization.refused',
      '/par',
      () => post(`${workspace.issuer}/par`, { response_type: 'code' }, basic('machine', wrong)),
    ],
    [
      'authorization.refused',
      '/device_authorization',
      () => post(`${workspace.issuer}/device_authorization`, { client_id: 'spa' }),
    ],
    [
      'authorization.refused',
      '/authorize',
      () =>
        ask(
          `${workspace.issuer}/authorize?client_id=spa&redirect_uri=https://evil.example/${wrong}&response_type=code`,
        ),
    ],
  ]
  for (const [type, endpoint, send] of sent) {
    const { headers } = await send()
    const trace = headers.get('X-Trace-Id')
    const event = await eventually(2_000, async () => {
      const found = (await told(type)).find((one) => one.trace === trace)
      assert.ok(found, endpoint)
      return found
    })
    assert.equal(event.data.endpoint, endpoint)
    assert.ok(typeof event.data.error === 'string' && typeof event.data.reason === 'string', JSON.stringify(event.data))
    assert.ok(event.workspaceId)
    assert.ok(!JSON.stringify(event).includes(wrong), JSON.stringify(event))
  }
})

test('a flood of refusals leaves few events, whatever clients it names, and each is counted', async () => {
  const node = await anotherNode(lido)
  const before = await countRefused()
  for (let round = 0; round < 10; round += 1)
    await Promise.all(
      Array.from({ length: 30 }, (_, index) => {
        const client_id = `nobody-${round}-${index}-${'x'.repeat(100)}`
        return post(`${node.issuer(workspace)}/token`, { grant_type: 'password', client_id })
      }),
    )
  await node.stop()
  const { rows, all } = await countRefused()
  assert.ok(rows - before.rows <= 62, `${rows - before.rows} rows`)
  assert.equal(all - before.all, 300)
  assert.ok(!JSON.stringify(await told('token.refused')).includes('nobody-'))
  const many = rows
  const { db } = lido.services
  assert.equal(await forgetFleeting(db, new Date(Date.now() + 29 * 86_400_000)), 0)
  assert.ok((await forgetFleeting(db, new Date(Date.now() + 31 * 86_400_000))) >= many)
  assert.deepEqual(await told('token.refused'), [])
  assert.deepEqual(await told('token.issued'), [])
  assert.ok((await told('sign_in.succeeded')).length > 0)
})

test('a workspace from before keeps what it had chosen, and has machines covered where it had not', async () => {
  const { db } = lido.services
  const before = ['people', 'all', 'none']
  for (const token_events of before) {
    const { id } = await makeWorkspace(lido, `before-${token_events}`, { pools: [] })
    const settings = JSON.stringify({ token_events, default_language: 'de' })
    await db.updateTable('workspaces').set({ settings }).where('id', '=', id).execute()
  }
  await up(db as never)
  const after = await Promise.all(before.map((slug) => workspaces.findBySlug(db, `before-${slug}`)))
  assert.deepEqual(
    after.map((one) => [one?.settings.token_events, one?.settings.machine_events, one?.settings.default_language]),
    [
      ['all', 'grouped', 'de'],
      ['all', 'committed', 'de'],
      ['none', 'grouped', 'de'],
    ],
  )
})
