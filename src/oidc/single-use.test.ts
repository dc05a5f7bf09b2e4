import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sha256 } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  type Answer,
  anotherNode,
  makePool,
  makeWorkspace,
  type Node,
  post,
  redeem,
  refresh,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

let lido: TestLido
let node: Node
let people: TestPool
let graceful: TestWorkspace
let strict: TestWorkspace

before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  graceful = await makeWorkspace(lido, 'w1', { pools: [people] })
  strict = await makeWorkspace(lido, 'w2', { pools: [people], settings: { refresh_grace_seconds: 0 } })
  for (const workspace of [graceful, strict]) await workspace.client('spa')
  await people.user('mike@example.org')
  node = await anotherNode(lido)
})
after(async () => {
  await node.stop()
  await lido.stop()
})

const mike = 'mike@example.org'
const twenty = (run: (index: number) => Promise<Answer>) => Promise.all(Array.from({ length: 20 }, (_, i) => run(i)))
const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort()
const oneOfTwenty = [200, ...Array<number>(19).fill(400)]

/** The two nodes in turn. */
const either = (workspace: TestWorkspace, index: number) =>
  index % 2 === 0 ? workspace.issuer : node.issuer(workspace)

const assertOneWon = (answers: Answer[]): Answer => {
  assert.deepEqual(statuses(answers), oneOfTwenty)
  for (const { status, body } of answers) if (status !== 200) assert.equal(body.error, 'invalid_grant')
  return answers.find(({ status }) => status === 200) as Answer
}

/** How many tokens of a kind, not yet used, hang on the grant of a token. */
const countLive = async (workspace: TestWorkspace, token: string, kind: string): Promise<number> => {
  const { db } = lido.services
  const { grantId } = await db
    .selectFrom('artifacts')
    .select('grantId')
    .where('workspaceId', '=', workspace.id)
    .where('id', '=', sha256(token))
    .executeTakeFirstOrThrow()
  const rows = await db
    .selectFrom('artifacts')
    .select('id')
    .where('grantId', '=', grantId)
    .where('kind', '=', kind)
    .where('consumedAt', 'is', null)
    .execute()
  return rows.length
}

test('A07: of twenty parallel redemptions of a code one succeeds, ten times', async () => {
  for (let round = 0; round < 10; round += 1) {
    const signedIn = await signIn(lido, graceful, mike)
    const won = tokensFrom(assertOneWon(await twenty(() => redeem(graceful.issuer, signedIn))))
    assert.equal(await countLive(graceful, won.access, 'AccessToken'), 1)
    assert.equal(await countLive(graceful, won.access, 'RefreshToken'), 1)
  }
})

test('A07: of twenty parallel redemptions at two nodes one succeeds, ten times', async () => {
  for (let round = 0; round < 10; round += 1) {
    const signedIn = await signIn(lido, graceful, mike)
    const won = tokensFrom(assertOneWon(await twenty((index) => redeem(either(graceful, index), signedIn))))
    assert.equal(await countLive(graceful, won.access, 'AccessToken'), 1)
    assert.equal(await countLive(graceful, won.access, 'RefreshToken'), 1)
  }
})

test('A07: a code that comes again later takes back what it brought', async () => {
  const signedIn = await signIn(lido, graceful, mike)
  const tokens = tokensFrom(await redeem(graceful.issuer, signedIn))
  assert.equal((await userinfo(graceful.issuer, tokens.access)).status, 200)
  assert.equal((await redeem(node.issuer(graceful), signedIn)).body.error, 'invalid_grant')
  assert.equal((await userinfo(graceful.issuer, tokens.access)).status, 401)
  assert.equal((await refresh(graceful.issuer, tokens.refresh)).body.error, 'invalid_grant')
})

test('A08: twenty parallel uses of a refresh token get one successor within the grace, ten times', async () => {
  let { refresh: current } = await tokensOf(lido, graceful, mike)
  for (let round = 0; round < 10; round += 1) {
    const used = current
    const answers = await twenty((index) => refresh(round % 2 ? either(graceful, index) : graceful.issuer, used))
    assert.deepEqual([...new Set(statuses(answers))], [200], answers.map(({ text }) => text).join())
    const successors = new Set(answers.map((answer) => tokensFrom(answer).refresh))
    assert.equal(successors.size, 1)
    for (const answer of answers.slice(0, 3))
      assert.equal((await userinfo(graceful.issuer, tokensFrom(answer).access)).status, 200)
    assert.equal(await countLive(graceful, used, 'RefreshToken'), 1)
    current = [...successors][0] ?? ''
    assert.notEqual(current, used)
  }
})

test('A08: without a grace one of twenty parallel uses of a refresh token succeeds, ten times', async () => {
  for (let round = 0; round < 10; round += 1) {
    const { refresh: used } = await tokensOf(lido, strict, mike)
    const answers = await twenty((index) => refresh(round % 2 ? either(strict, index) : strict.issuer, used))
    const won = tokensFrom(assertOneWon(answers))
    assert.equal(await countLive(strict, won.refresh, 'RefreshToken'), 1)
  }
})

/** Waits for the mail that tells of a refresh token that came again, and counts those there are. */
const warnings = async (email: string, expected: number): Promise<void> => {
  if (expected > 0) await lido.message(email, expected - 1)
  // Whatever else was put in the outbox has been sent by the time that a later message has.
  await new Promise((resolve) => setTimeout(resolve, 300))
  const response = await fetch(`${lido.url}/dev/inbox.json?to=${encodeURIComponent(email)}`)
  assert.equal(((await response.json()) as unknown[]).length, expected)
}

const reuses = async (userId: string): Promise<number> => {
  const rows = await lido.services.db
    .selectFrom('events')
    .select('id')
    .where('userId', '=', userId)
    .where('type', '=', 'refresh_token.reused')
    .execute()
  return rows.length
}

test('A09: a refresh token that comes again ends its family, which is told once', async () => {
  const nina = await people.user('nina@example.org')
  const first = await tokensOf(lido, strict, 'nina@example.org')
  const second = tokensFrom(await refresh(strict.issuer, first.refresh))
  assert.equal((await userinfo(strict.issuer, second.access)).status, 200)
  for (let again = 0; again < 3; again += 1) {
    const replay = await refresh(strict.issuer, first.refresh)
    assert.deepEqual([replay.status, replay.body.error], [400, 'invalid_grant'])
  }
  assert.equal((await refresh(strict.issuer, second.refresh)).body.error, 'invalid_grant')
  for (const { access } of [first, second]) assert.equal((await userinfo(strict.issuer, access)).status, 401)
  assert.equal(await reuses(nina), 1)
  await warnings('nina@example.org', 1)
})

test('A09: twenty replays at once end a family once', async () => {
  const sara = await people.user('sara@example.org')
  const first = await tokensOf(lido, strict, 'sara@example.org')
  tokensFrom(await refresh(strict.issuer, first.refresh))
  const replays = await twenty((index) => refresh(either(strict, index), first.refresh))
  assert.deepEqual(new Set(statuses(replays)), new Set([400]))
  assert.equal(await reuses(sara), 1)
  await warnings('sara@example.org', 1)
})

test('A09: a family ends across a restart of the program as well', async () => {
  const olga = await people.user('olga@example.org')
  const first = await tokensOf(lido, strict, 'olga@example.org')
  const before = await anotherNode(lido)
  const second = tokensFrom(await refresh(before.issuer(strict), first.refresh))
  await before.stop()
  const later = await anotherNode(lido)
  assert.equal((await refresh(later.issuer(strict), first.refresh)).body.error, 'invalid_grant')
  assert.equal((await refresh(later.issuer(strict), second.refresh)).body.error, 'invalid_grant')
  assert.equal((await userinfo(later.issuer(strict), second.access)).status, 401)
  await later.stop()
  assert.equal(await reuses(olga), 1)
  await warnings('olga@example.org', 1)
})

test('A09: once the grace is over, a used refresh token ends its family', async () => {
  const tina = await people.user('tina@example.org')
  const first = await tokensOf(lido, graceful, 'tina@example.org')
  const second = tokensFrom(await refresh(graceful.issuer, first.refresh))
  const { db, clock } = lido.services
  const then = new Date(clock.now().getTime() - 11_000)
  await db.updateTable('artifacts').set({ consumedAt: then }).where('id', '=', sha256(first.refresh)).execute()
  assert.equal((await refresh(graceful.issuer, first.refresh)).body.error, 'invalid_grant')
  assert.equal((await refresh(graceful.issuer, second.refresh)).body.error, 'invalid_grant')
  assert.equal((await userinfo(graceful.issuer, second.access)).status, 401)
  assert.equal(await reuses(tina), 1)
  await warnings('tina@example.org', 1)
})

test('A09: within the grace too, a refresh token whose successor was used ends its family', async () => {
  const paul = await people.user('paul@example.org')
  const first = await tokensOf(lido, graceful, 'paul@example.org')
  const second = tokensFrom(await refresh(graceful.issuer, first.refresh))
  const third = tokensFrom(await refresh(graceful.issuer, second.refresh))
  // The successor has been used: whoever still has its predecessor is not the one who was answered.
  assert.equal((await refresh(graceful.issuer, first.refresh)).body.error, 'invalid_grant')
  assert.equal((await refresh(graceful.issuer, third.refresh)).body.error, 'invalid_grant')
  assert.equal(await reuses(paul), 1)
})

test('looking at a used refresh token, or giving it back, is no reuse', async () => {
  const rita = await people.user('rita@example.org')
  const first = await tokensOf(lido, strict, 'rita@example.org')
  const second = tokensFrom(await refresh(strict.issuer, first.refresh))
  const seen = await post(`${strict.issuer}/introspect`, { token: first.refresh, client_id: 'spa' })
  assert.deepEqual(seen.body, { active: false })
  await strict.client('other')
  assert.equal((await refresh(strict.issuer, first.refresh, { client_id: 'other' })).body.error, 'invalid_grant')
  assert.equal((await userinfo(strict.issuer, second.access)).status, 200)
  assert.equal((await post(`${strict.issuer}/revoke`, { token: first.refresh, client_id: 'spa' })).status, 200)
  assert.equal((await userinfo(strict.issuer, second.access)).status, 401)
  assert.equal(await reuses(rita), 0)
  await warnings('rita@example.org', 0)
})
