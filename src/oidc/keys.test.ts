import assert from 'node:assert/strict'
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fixedClock } from '../platform/clock.ts'
import { openKeyring } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  anotherNode,
  ask,
  eventually,
  headerOf,
  makePool,
  makeWorkspace,
  type Node,
  redeem,
  signIn,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
} from './fixtures-testing.ts'
import * as keys from './keys.ts'

const clock = fixedClock(new Date())
let lido: TestLido
let node: Node
let workspace: TestWorkspace
before(async () => {
  lido = await testLido({}, { clock })
  workspace = await makeWorkspace(lido, 'w1', { pools: [await someone()] })
  for (const alg of ['RS256', 'ES256', 'EdDSA', 'PS256'] as const)
    await workspace.client(alg, { id_token_signed_response_alg: alg })
  node = await anotherNode(lido)
})
after(async () => {
  await node.stop()
  await lido.stop()
})

const email = 'mike@example.org'
const someone = async () => {
  const people = await makePool(lido, 'p1')
  await people.user(email)
  return people
}

type Jwk = JsonWebKey & { kid: string }
const published = async (issuer: string): Promise<Jwk[]> => (await ask(`${issuer}/jwks`)).body.keys as Jwk[]
const kidsOf = (jwks: Jwk[]) => jwks.map(({ kid }) => kid).sort()

const rotate = () => keys.rotate(lido.services.db, lido.services.keyring, clock.now(), workspace.id)

const minutes = (count: number) => count * 60_000

/** Which key signs for a client by this algorithm at a node. */
const signs = async (alg: string, issuer = workspace.issuer): Promise<string> => {
  const signedIn = await signIn(lido, workspace, email, { client_id: alg })
  const { id } = tokensFrom(await redeem(issuer, signedIn, { client_id: alg }))
  assert.equal(headerOf(id).alg, alg)
  return String(headerOf(id).kid)
}

const verifies = (token: string, jwk: Jwk | undefined): boolean => {
  const [header, payload, signature = ''] = token.split('.')
  if (!jwk) return false
  return verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    createPublicKey({ key: jwk, format: 'jwk' }),
    Buffer.from(signature, 'base64url'),
  )
}

test('a workspace publishes one key an algorithm, and no private part of any', async () => {
  const jwks = await published(workspace.issuer)
  assert.deepEqual(jwks.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'PS256', 'RS256'])
  for (const jwk of jwks) {
    for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) assert.equal(part in jwk, false, part)
    assert.equal(jwk.use, 'sig')
  }
})

test('no private part can be read in the database', async () => {
  const rows = await lido.services.db.selectFrom('signingKeys').selectAll().execute()
  const { keys: opened } = await keys.load(lido.services.db, lido.services.keyring, clock.now(), workspace.id)
  const stored = JSON.stringify(rows)
  for (const key of opened) {
    const d = key.is === 'here' ? key.privateJwk.d : undefined
    assert(d && d.length > 20)
    assert(!stored.includes(d))
  }
  for (const { publicJwk } of rows) for (const part of ['d', 'p', 'q']) assert.equal(part in publicJwk, false)
})

test('keys open with the secret that closed them, for their own workspace only', async () => {
  const { db } = lido.services
  const other = openKeyring(['another-secret-that-is-long-enough-for-it'])
  await assert.rejects(keys.load(db, other, clock.now(), workspace.id))
  const foreign = await makeWorkspace(lido, 'w2', { pools: [] })
  const [mine] = await db.selectFrom('signingKeys').selectAll().where('workspaceId', '=', workspace.id).execute()
  await db
    .updateTable('signingKeys')
    .set({ privateSealed: mine?.privateSealed ?? '' })
    .where('workspaceId', '=', foreign.id)
    .execute()
  await assert.rejects(keys.load(db, lido.services.keyring, clock.now(), foreign.id))
})

test('new keys are published at once, sign after the overlap, and the old ones stay until nothing needs them', async () => {
  const before = await published(workspace.issuer)
  const first = { RS256: await signs('RS256'), ES256: await signs('ES256') }
  const old = await tokensOf(lido, workspace, email, { client_id: 'RS256' })
  await rotate()

  const both = await eventually(5000, async () => {
    const jwks = await published(workspace.issuer)
    assert.equal(jwks.length, 8)
    return jwks
  })
  await eventually(5000, async () => assert.deepEqual(kidsOf(await published(node.issuer(workspace))), kidsOf(both)))
  assert(before.every(({ kid }) => both.some((jwk) => jwk.kid === kid)))
  for (const [alg, kid] of Object.entries(first)) assert.equal(await signs(alg), kid)

  clock.advance(minutes(16))
  for (const alg of ['RS256', 'ES256', 'EdDSA', 'PS256']) {
    const kid = await signs(alg)
    assert(!before.some((jwk) => jwk.kid === kid), alg)
    assert(
      both.some((jwk) => jwk.kid === kid),
      alg,
    )
    assert.equal(await signs(alg, node.issuer(workspace)), kid)
  }
  const now = await published(workspace.issuer)
  assert.deepEqual(kidsOf(now), kidsOf(both))
  assert(
    verifies(
      old.id,
      now.find(({ kid }) => kid === headerOf(old.id).kid),
    ),
  )
  const hinted = { client_id: 'RS256', prompt: 'none', id_token_hint: old.id }
  assert((await signIn(lido, workspace, '', hinted, old.browser)).code)

  clock.advance(minutes(25 * 60))
  const left = await published(workspace.issuer)
  assert.equal(left.length, 4)
  assert(!left.some(({ kid }) => before.some((jwk) => jwk.kid === kid)))
})

test('two rotations one after the other, or at once, leave exactly one key an algorithm to sign', async () => {
  await rotate()
  clock.advance(minutes(5))
  await Promise.all([rotate(), rotate()])
  await eventually(5000, async () => assert.equal((await published(workspace.issuer)).length, 16))
  clock.advance(minutes(21))
  const kid = await signs('RS256')
  assert.equal(await signs('RS256', node.issuer(workspace)), kid)
  const unending = await lido.services.db
    .selectFrom('signingKeys')
    .select(['id', 'alg'])
    .where('workspaceId', '=', workspace.id)
    .where('signsUntil', 'is', null)
    .execute()
  assert.deepEqual(unending.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'PS256', 'RS256'])
  assert(unending.some(({ id }) => id === kid))
})
