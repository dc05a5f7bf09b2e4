import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { system } from '../directory/audit.ts'
import type * as workspaces from '../directory/workspaces.ts'
import { fixedClock } from '../platform/clock.ts'
import { type TestLido, testLido } from '../testing.ts'
import { ask, eventually, headerOf, makePool, makeWorkspace, type TestWorkspace, tokensOf } from './fixtures-testing.ts'
import * as keyChanges from './key-changes.ts'
import * as keys from './keys.ts'
import { sendTo } from './raw-testing.ts'

const clock = fixedClock(new Date())
const days = (count: number) => count * 86_400_000
const minutes = (count: number) => count * 60_000
const email = 'mike@example.org'

let lido: TestLido
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lido-keys-'))
  lido = await testLido({ KEYS_DIR: folder }, { clock })
  await (await makePool(lido, 'p1')).user(email)
})
after(async () => {
  await lido.stop()
  await rm(folder, { recursive: true })
})

let count = 0
const aWorkspace = async (
  settings: Parameters<typeof workspaces.create>[2]['settings'] = {},
): Promise<TestWorkspace> => {
  count += 1
  const pool = await lido.services.db
    .selectFrom('pools')
    .select(['id', 'slug'])
    .where('slug', '=', 'p1')
    .executeTakeFirst()
  assert(pool)
  const made = await makeWorkspace(lido, `k${count}`, { pools: [{ ...pool, user: async () => '' }], settings })
  await made.client('spa')
  return made
}

const listed = ({ id }: TestWorkspace) => keys.list(lido.services.db, clock.now(), id, { limit: 100, after: undefined })
const rowsOf = ({ id }: TestWorkspace) =>
  lido.services.db.selectFrom('signingKeys').selectAll().where('workspaceId', '=', id).orderBy('signsFrom').execute()
const published = async ({ issuer }: TestWorkspace) =>
  ((await ask(`${issuer}/jwks`)).body.keys as { kid: string; alg: string }[]).map(({ kid }) => kid).sort()
const eventsOf = ({ id }: TestWorkspace, type: string) =>
  lido.services.db.selectFrom('events').select('data').where('workspaceId', '=', id).where('type', '=', type).execute()
const revoke = ({ id }: TestWorkspace, kid: string) =>
  keyChanges.revoke(
    lido.services.db,
    { keyring: lido.services.keyring, at: clock.now(), workspaceId: id, by: system },
    kid,
  )
const kidThatSigns = async (workspace: TestWorkspace) =>
  String(headerOf((await tokensOf(lido, workspace, email)).id).kid)

/** Throws where at any time from now on an algorithm has no key that signs. */
const assertCovered = async (workspace: TestWorkspace, alg = 'RS256') => {
  const rows = (await rowsOf(workspace)).filter((row) => row.alg === alg)
  const times = [clock.now(), ...rows.flatMap(({ signsFrom, signsUntil }) => [signsFrom, signsUntil ?? clock.now()])]
  for (const at of times.filter((one) => one >= clock.now()))
    assert(
      rows.some(
        ({ signsFrom, signsUntil, publishedUntil }) =>
          signsFrom <= at && (!signsUntil || signsUntil > at) && (!publishedUntil || publishedUntil > at),
      ),
      at.toISOString(),
    )
}

test('of twenty nodes that look at once one changes a key over, when its time has come', async () => {
  const due = await aWorkspace({ keys: { rotate_after_days: 30 } })
  const never = await aWorkspace({ keys: { rotate_after_days: 0 } })
  const later = await aWorkspace()
  await keyChanges.tend(lido.services)
  assert.equal((await listed(due)).length, 4)
  clock.advance(days(31))
  await Promise.all(Array.from({ length: 20 }, () => keyChanges.tend(lido.services)))
  assert.deepEqual([(await listed(due)).length, (await listed(never)).length, (await listed(later)).length], [8, 4, 4])
  const events = await eventsOf(due, 'keys.rotated')
  assert.deepEqual(
    events.map(({ data }) => (data as { by: unknown }).by),
    [{ kind: 'system' }],
  )
  for (const alg of ['RS256', 'ES256', 'EdDSA', 'PS256']) await assertCovered(due, alg)

  clock.advance(minutes(16))
  await keyChanges.tend(lido.services)
  assert.equal((await listed(due)).length, 8)
  clock.advance(days(2))
  await keyChanges.tend(lido.services)
  assert.deepEqual([(await rowsOf(due)).length, (await published(due)).length], [4, 4])
  clock.advance(days(60))
  await keyChanges.tend(lido.services)
  assert.equal((await listed(later)).filter(({ state }) => state === 'coming').length, 4)
})

test('a key that is revoked is gone from the set at once, and another one signs', async () => {
  const workspace = await aWorkspace()
  const kid = await kidThatSigns(workspace)
  await revoke(workspace, kid)
  await eventually(5000, async () => assert(!(await published(workspace)).includes(kid)))
  assert.equal((await published(workspace)).length, 4)
  const next = await kidThatSigns(workspace)
  assert.notEqual(next, kid)
  assert((await published(workspace)).includes(next))
  await assert.rejects(revoke(workspace, kid), { code: 'conflict' })
  await assert.rejects(revoke(workspace, 'nobody'), { code: 'not_found' })
  assert.deepEqual(
    (await eventsOf(workspace, 'keys.revoked')).map(({ data }) => data),
    [{ by: { kind: 'system' }, kid, algorithm: 'RS256' }],
  )
})

test('whichever keys are revoked in the middle of changes, one always signs', async () => {
  const { db, keyring } = lido.services
  for (const victim of [0, 1, 2]) {
    const workspace = await aWorkspace()
    await keys.rotate(db, keyring, clock.now(), workspace.id, system, ['RS256'])
    clock.advance(minutes(5))
    await keys.rotate(db, keyring, clock.now(), workspace.id, system, ['RS256'])
    const rows = (await rowsOf(workspace)).filter(({ alg }) => alg === 'RS256')
    assert.equal(rows.length, 3)
    await revoke(workspace, rows[victim]?.id ?? '')
    await assertCovered(workspace)
    for (const { id } of (await rowsOf(workspace)).filter((row) => row.alg === 'RS256' && !row.publishedUntil))
      await revoke(workspace, id)
    await assertCovered(workspace)
  }
})

test('twenty who revoke the same key at once withdraw it once', async () => {
  const workspace = await aWorkspace()
  const kid = await kidThatSigns(workspace)
  const told = await Promise.allSettled(Array.from({ length: 20 }, () => revoke(workspace, kid)))
  assert.equal(told.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal((await published(workspace)).length, 4)
})

test('a key of another workspace cannot be revoked here', async () => {
  const [mine, theirs] = [await aWorkspace(), await aWorkspace()]
  const kid = await kidThatSigns(theirs)
  await assert.rejects(revoke(mine, kid), { code: 'not_found' })
  assert((await published(theirs)).includes(kid))
})

test('a workspace has keys of the algorithms that it names', async () => {
  const { db, keyring } = lido.services
  const workspace = await aWorkspace()
  const change = { keyring, at: clock.now(), workspaceId: workspace.id, by: system }
  await db.transaction().execute((trx) => keyChanges.adjust(trx, change, ['RS256', 'EdDSA']))
  const signing = (await listed(workspace)).filter(({ state }) => state === 'signing').map(({ alg }) => alg)
  assert.deepEqual(signing.sort(), ['EdDSA', 'RS256'])
  await keys.rotate(db, keyring, clock.now(), workspace.id)
  assert.equal((await listed(workspace)).filter(({ state }) => state === 'coming').length, 2)
})

const pem = (bits = 2048) =>
  generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({ type: 'pkcs8', format: 'pem' })

test('keys in files sign in the order of their names, and are the operator’s to change', async () => {
  const workspace = await aWorkspace()
  const own = join(folder, workspace.slug)
  await mkdir(own)
  const ed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  await writeFile(join(own, 'a.pem'), pem())
  await writeFile(join(own, 'b.pem'), pem())
  await writeFile(join(own, 'ed.jwk'), JSON.stringify({ ...ed, kid: 'my-ed' }))
  await lido.services.db.updateTable('workspaces').set({ name: 'Files' }).where('id', '=', workspace.id).execute()
  const before = (await listed(workspace)).flatMap(({ id, alg }) => (alg === 'RS256' || alg === 'EdDSA' ? id : []))
  const kids = await eventually(5000, async () => {
    const all = await published(workspace)
    assert(all.includes('my-ed') && all.length === 3 + before.length)
    return all
  })
  const first = await kidThatSigns(workspace)
  assert(kids.includes(first))
  await rename(join(own, 'a.pem'), join(own, 'z.pem'))
  clock.advance(minutes(6))
  const second = await kidThatSigns(workspace)
  assert.notEqual(second, first)
  assert.deepEqual(await published(workspace), kids)
  assert(!before.includes(first) && !before.includes(second))
  clock.advance(days(100))
  await keyChanges.tend(lido.services)
  assert.equal((await eventsOf(workspace, 'keys.rotated')).length, 0)
})

test('what was signed by keys of the database stays good for a day when files take over, and they come back without them', async () => {
  const workspace = await aWorkspace()
  const signed = (await tokensOf(lido, workspace, email)).id
  const known = () =>
    jwtVerify(signed, createRemoteJWKSet(new URL(`${workspace.issuer}/jwks`)), { currentDate: new Date() })
  const first = String(headerOf(signed).kid)
  await mkdir(join(folder, workspace.slug))
  await writeFile(join(folder, workspace.slug, 'a.pem'), pem())
  await lido.services.db.updateTable('workspaces').set({ name: 'Files' }).where('id', '=', workspace.id).execute()
  const second = await eventually(5000, async () => {
    const kid = await kidThatSigns(workspace)
    assert.notEqual(kid, first)
    return kid
  })
  assert.deepEqual(await published(workspace), [first, second].sort())
  await known()
  await keyChanges.tend(lido.services)
  assert((await listed(workspace)).every(({ state }) => state === 'published'))
  await known()
  clock.advance(minutes(24 * 60 + 16))
  assert.deepEqual(await published(workspace), [second])
  await keyChanges.tend(lido.services)
  const change = { keyring: lido.services.keyring, at: clock.now(), workspaceId: workspace.id, by: system }
  await lido.services.db.transaction().execute((trx) => keyChanges.adjust(trx, change, ['RS256', 'ES256']))
  assert.equal((await listed(workspace)).length, 0)

  await rm(join(folder, workspace.slug), { recursive: true })
  await keyChanges.tend(lido.services)
  clock.advance(minutes(6))
  assert.deepEqual((await listed(workspace)).map(({ alg, state }) => `${alg} ${state}`).sort(), [
    'ES256 signing',
    'EdDSA signing',
    'PS256 signing',
    'RS256 signing',
  ])
  assert.notEqual(await kidThatSigns(workspace), second)
})

test('the set of keys may be kept for less time than a new key waits, and is asked for again by its tag', async () => {
  const workspace = await aWorkspace()
  const { headers, status } = await ask(`${workspace.issuer}/jwks`)
  assert.equal(status, 200)
  const age = Number(headers.get('Cache-Control')?.match(/max-age=(\d+)/)?.[1])
  assert(age > 0 && age < 900)
  const tag = headers.get('ETag') ?? ''
  assert.match(tag, /^"[\w-]+"$/)
  // fetch would say that it wants no answer from a cache.
  const asking = { path: `/w/${workspace.slug}/jwks`, headers: { 'If-None-Match': tag } }
  const again = await sendTo(lido.url, asking)
  assert.deepEqual([again.status, again.text], [304, ''])
  await revoke(workspace, (await published(workspace))[0] ?? '')
  await eventually(5000, async () => {
    assert.equal((await sendTo(lido.url, asking)).status, 200)
  })
})
