import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { forgetFleeting } from '../directory/events.ts'
import * as workspaces from '../directory/workspaces.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
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
  })
  await people.user('mike@example.org')
})
after(() => lido.stop())

const told = (type: string) =>
  lido.services.db.selectFrom('events').selectAll().where('type', '=', type).orderBy('id').execute()

const machineToken = () =>
  post(`${workspace.issuer}/token`, { grant_type: 'client_credentials' }, basic('machine', secret))

const setEvents = async (token_events: workspaces.WorkspaceSettings['token_events']) => {
  const { db, clock } = lido.services
  const before = await workspaces.findBySlug(db, 'town')
  assert.ok(before)
  const settings = { ...before.settings, token_events }
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

test('tokens of machines leave one where the workspace wants all, and nothing does where it wants none', async () => {
  const before = (await told('token.issued')).length
  assert.equal((await machineToken()).status, 200)
  assert.equal((await told('token.issued')).length, before)
  await setEvents('all')
  assert.equal((await machineToken()).status, 200)
  const events = await told('token.issued')
  assert.equal(events.length, before + 1)
  assert.deepEqual(
    [events.at(-1)?.clientId, events.at(-1)?.data.grant_type, events.at(-1)?.userId],
    ['machine', 'client_credentials', null],
  )
  await setEvents('none')
  await machineToken()
  await tokensOf(lido, workspace, 'mike@example.org')
  assert.equal((await told('token.issued')).length, before + 1)
  await setEvents('people')
})

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

test('a flood of refusals leaves few events, and old ones go', async () => {
  const before = (await told('token.refused')).length
  for (let round = 0; round < 10; round += 1)
    await Promise.all(
      Array.from({ length: 30 }, () =>
        post(`${workspace.issuer}/token`, { grant_type: 'password', client_id: 'nobody' }),
      ),
    )
  await new Promise((resolve) => setTimeout(resolve, 500))
  const many = (await told('token.refused')).length
  assert.ok(many - before <= 60, `${many - before}`)
  const { db } = lido.services
  assert.equal(await forgetFleeting(db, new Date(Date.now() + 29 * 86_400_000)), 0)
  assert.ok((await forgetFleeting(db, new Date(Date.now() + 31 * 86_400_000))) >= many)
  assert.deepEqual(await told('token.refused'), [])
  assert.deepEqual(await told('token.issued'), [])
  assert.ok((await told('sign_in.succeeded')).length > 0)
})
