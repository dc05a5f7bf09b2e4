import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  eventually,
  makePool,
  makeWorkspace,
  post,
  redeem,
  refresh,
  type SignedIn,
  signIn,
  type TestPool,
  type TestWorkspace,
  type Tokens,
  tokensFrom,
  userinfo,
} from './fixtures-testing.ts'

/** What somebody has in their hands: a browser, a code that is not redeemed, tokens. */
interface Held {
  people: TestPool
  workspace: TestWorkspace
  user: string
  client: Record<string, string>
  browser: SignedIn['browser']
  tokens: Tokens
}

const client_id = 'web'

let lido: TestLido
before(async () => {
  lido = await testLido()
})
after(() => lido.stop())

const hold = async (name: string): Promise<Held> => {
  const people = await makePool(lido, name)
  const workspace = await makeWorkspace(lido, name, { pools: [people] })
  const secret = await workspace.client(client_id, { token_endpoint_auth_method: 'client_secret_basic' })
  const client = basic(client_id, secret)
  const user = await people.user('ada@example.org')
  const signedIn = await signIn(lido, workspace, 'ada@example.org', { client_id, scope: 'openid offline_access' })
  const tokens = tokensFrom(await redeem(workspace.issuer, signedIn, {}, client))
  return { people, workspace, user, client, browser: signedIn.browser, tokens }
}

/** Every door that was open with what is held; each is tried with something of its own. */
const doors: [string, (held: Held, code: SignedIn) => Promise<boolean>][] = [
  ['authorize', async (held) => (await silently(held)).code !== ''],
  ['code', async ({ workspace, client }, code) => (await redeem(workspace.issuer, code, {}, client)).status === 200],
  [
    'refresh',
    async ({ workspace, client, tokens }) =>
      (await refresh(workspace.issuer, tokens.refresh, {}, client)).status === 200,
  ],
  ['userinfo', async ({ workspace, tokens }) => (await userinfo(workspace.issuer, tokens.access)).status === 200],
  [
    'introspection',
    async ({ workspace, client, tokens }) =>
      (await post(`${workspace.issuer}/introspect`, { token: tokens.access }, client)).body.active === true,
  ],
]

const silently = ({ workspace, browser }: Held): Promise<SignedIn> =>
  signIn(lido, workspace, '', { client_id, prompt: 'none' }, browser)

const run = (statement: ReturnType<typeof sql>) => statement.execute(lido.services.db)

const closings: [string, (held: Held) => Promise<unknown>][] = [
  ['a user', ({ user }) => run(sql`update users set status = 'inactive' where id = ${user}`)],
  [
    'a client',
    ({ workspace }) =>
      run(sql`update clients set status = 'inactive' where workspace_id = ${workspace.id} and id = ${client_id}`),
  ],
  [
    'a connection',
    ({ workspace }) => run(sql`update connections set enabled = false where workspace_id = ${workspace.id}`),
  ],
  ['a pool', ({ people }) => run(sql`update pools set status = 'inactive' where id = ${people.id}`)],
  ['a workspace', ({ workspace }) => run(sql`update workspaces set status = 'inactive' where id = ${workspace.id}`)],
]

for (const [index, [what, close]] of closings.entries())
  test(`${what} that is closed is closed within five seconds, at every door`, async () => {
    const held = await hold(`closing-${index}`)
    const code = await silently(held)
    const spare = await silently(held)
    for (const [door, isOpen] of doors) assert.equal(await isOpen(held, spare), true, door)
    const fresh = tokensFrom(await refresh(held.workspace.issuer, held.tokens.refresh, {}, held.client))
    const closed = { ...held, tokens: fresh }
    await close(held)
    await eventually(5_000, async () => assert.equal((await silently(closed)).code, ''))
    for (const [door, isOpen] of doors) assert.equal(await isOpen(closed, code), false, door)
  })
