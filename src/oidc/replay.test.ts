import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sweep } from '../db/sweep.ts'
import { type TestLido, testLido } from '../testing.ts'
import { anotherNode, makeWorkspace, post, type TestWorkspace } from './fixtures-testing.ts'
import { makeSigner, now, type Signer, twenty } from './signer-testing.ts'

const rows = async (): Promise<number> => {
  const found = await lido.services.db.selectFrom('seenOnce').select('key').execute()
  return found.length
}

let lido: TestLido
let workspace: TestWorkspace
let other: TestWorkspace
let signer: Signer
before(async () => {
  lido = await testLido()
  signer = await makeSigner()
  workspace = await makeWorkspace(lido, 'w1', { pools: [] })
  other = await makeWorkspace(lido, 'w2', { pools: [] })
  for (const { client } of [workspace, other])
    for (const id of ['one', 'two'])
      await client(id, {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: signer.jwks as never,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        post_logout_redirect_uris: [],
      })
})
after(() => lido.stop())

const tokenWith = (issuer: string, fields: Record<string, string>) =>
  post(`${issuer}/token`, { grant_type: 'client_credentials', ...fields })

test('of twenty uses of one assertion at two nodes exactly one succeeds, ten times', async () => {
  const node = await anotherNode(lido)
  try {
    for (let round = 0; round < 10; round += 1) {
      const once = await signer.assertion(workspace.issuer, 'one')
      const answers = await twenty((index) => tokenWith(index % 2 ? node.issuer(workspace) : workspace.issuer, once))
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array(19).fill(401)])
    }
  } finally {
    await node.stop()
  }
})

test('an id is used up for its client and its workspace alone', async () => {
  const jti = crypto.randomUUID()
  for (const [{ issuer }, id] of [
    [workspace, 'one'],
    [workspace, 'two'],
    [other, 'one'],
  ] as const) {
    const once = await signer.assertion(issuer, id, { jti })
    assert.equal((await tokenWith(issuer, once)).status, 200)
    assert.equal((await tokenWith(issuer, once)).status, 401)
  }
})

test('what is refused for another reason uses nothing up', async () => {
  const before = await rows()
  const far = await signer.assertion(workspace.issuer, 'one', { exp: now() + 3600 })
  assert.equal((await tokenWith(workspace.issuer, far)).status, 401)
  const stranger = await (await makeSigner()).assertion(workspace.issuer, 'one')
  assert.equal((await tokenWith(workspace.issuer, stranger)).status, 401)
  assert.equal(await rows(), before)
})

test('what is remembered is forgotten once it has expired: a thousand assertions leave nothing', async () => {
  const { db, clock } = lido.services
  await db.deleteFrom('seenOnce').execute()
  for (let round = 0; round < 50; round += 1)
    await twenty(async () => {
      const once = await signer.assertion(workspace.issuer, 'two', { exp: now() + 600 })
      assert.equal((await tokenWith(workspace.issuer, once)).status, 200)
    })
  assert.equal(await rows(), 1000)
  const later = (seconds: number) => new Date(clock.now().getTime() + seconds * 1000)
  await sweep(db, clock.now())
  assert.equal(await rows(), 1000)
  await sweep(db, later(620))
  assert.equal(await rows(), 0)
})
