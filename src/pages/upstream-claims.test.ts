import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as connections from '../directory/connections.ts'
import * as sessions from '../directory/sessions.ts'
import * as users from '../directory/users.ts'
import type { Provider } from '../signin/upstreams/provider-testing.ts'
import type { TestLido } from '../testing.ts'
import { federatedLido } from './federated-testing.ts'
import { codeOf, makeClient, makePool, makeUser, redirectUri, rowsOf, token, visit } from './fixtures-testing.ts'
import {
  claimsOf,
  contextsOf,
  introspect,
  listen,
  makePlace,
  type Place,
  resource,
  signedIn,
  userinfo,
} from './renewal-testing.ts'

let lido: TestLido
let provider: Provider
let close: () => Promise<void>
let skewed = 0
before(async () => {
  lido = await federatedLido({ clock: { now: () => new Date(Date.now() + skewed) } })
  const listening = await listen()
  provider = listening.provider
  close = listening.close
})
after(async () => {
  await lido.stop()
  await close()
})

const mapping = { department: 'upstream.department', city: 'upstream.address.locality' }
const ada = { sub: 'ada', given_name: 'Ada', department: 'Engines', address: { locality: 'London' } }

const departments = async (place: Place, { again }: Pick<Awaited<ReturnType<typeof signedIn>>, 'again'>) => {
  const { body } = await again()
  const told = await userinfo(lido, place, body.access_token)
  return [told.department, (await introspect(lido, place, body.access_token)).department]
}

test('what an upstream told is in ID tokens, userinfo, introspection and signed tokens, where scopes ask for it', async () => {
  const client = { id_token_claims: 'scopes' } as const
  const place = await makePlace(lido, provider, { mapping, client })
  const { body, again } = await signedIn(lido, provider, place, ada)
  for (const told of [
    claimsOf(body.id_token),
    await userinfo(lido, place, body.access_token),
    await introspect(lido, place, body.access_token),
    claimsOf((await again()).body.id_token),
  ])
    assert.deepEqual([told.department, told.city], ['Engines', 'London'], JSON.stringify(told))
  const forResource = { scope: 'openid profile read', resource }
  const jwt = claimsOf((await signedIn(lido, provider, place, ada, forResource)).body.access_token)
  assert.deepEqual([jwt.department, jwt.city, jwt.scope], ['Engines', 'London', 'profile read'])
  const bare = claimsOf(
    (await signedIn(lido, provider, place, ada, { ...forResource, scope: 'openid read' })).body.access_token,
  )
  assert.deepEqual([bare.department, bare.scope], [undefined, 'read'])
  const narrow = await signedIn(lido, provider, place, ada, { scope: 'openid' })
  assert.equal((await userinfo(lido, place, narrow.body.access_token)).department, undefined)
  assert.equal((await introspect(lido, place, narrow.body.access_token)).department, undefined)
})

test('a client that comes by the session is told the same, and another session nothing of it', async () => {
  const place = await makePlace(lido, provider, { mapping })
  await makeClient(lido, place.workspaceId, { id: 'other' })
  const first = await signedIn(lido, provider, place, ada)
  const second = await visit(lido, place.slug, { browser: first.browser, client_id: 'other', scope: 'openid profile' })
  const { body } = await token(lido.url, place.slug, {
    ...{ grant_type: 'authorization_code', client_id: 'other', redirect_uri: redirectUri },
    ...{ code: codeOf(second), code_verifier: second.verifier },
  })
  assert.equal((await userinfo(lido, place, body.access_token)).department, 'Engines')
  const bare = await signedIn(lido, provider, place, { sub: 'ada' })
  assert.deepEqual(await departments(place, bare), [undefined, undefined])
  assert.deepEqual(await departments(place, first), ['Engines', 'Engines'])
})

test('whoever signs in after somebody else in one browser is told of nothing that was learnt of the other', async () => {
  const place = await makePlace(lido, provider, { mapping, reloads: true })
  const first = await signedIn(lido, provider, place, ada)
  const { browser } = first
  const second = await signedIn(lido, provider, place, { sub: 'grace' }, { browser, prompt: 'login' })
  assert.notEqual(claimsOf(second.body.id_token).sub, claimsOf(first.body.id_token).sub)
  assert.deepEqual(await departments(place, second), [undefined, undefined])
  const before = await introspect(lido, place, first.body.access_token)
  assert.deepEqual([before.active, before.department], [false, undefined])
  assert.equal((await first.again()).body.error, 'invalid_grant')
  assert.equal((await contextsOf(lido, place)).length, 1)
})

test('it is told as long as the connection keeps it, and not at all where it keeps nothing', async () => {
  const brief = await makePlace(lido, provider, { mapping, seconds: 600 })
  const never = await makePlace(lido, provider, { mapping, seconds: 0 })
  const none = await makePlace(lido, provider, { reloads: false })
  try {
    const person = await signedIn(lido, provider, brief, ada)
    const nobody = await signedIn(lido, provider, never, ada)
    await signedIn(lido, provider, none, ada)
    skewed = 590_000
    assert.deepEqual(await departments(brief, person), ['Engines', 'Engines'])
    assert.deepEqual(await departments(never, nobody), [undefined, undefined])
    skewed = 601_000
    assert.deepEqual(await departments(brief, person), [undefined, undefined])
    assert.deepEqual(await contextsOf(lido, never), [])
    assert.deepEqual(await contextsOf(lido, none), [])
  } finally {
    skewed = 0
  }
})

test('it is gone with a logout, and when everything of somebody ends', async () => {
  const place = await makePlace(lido, provider, { mapping })
  const { browser, body } = await signedIn(lido, provider, place, ada)
  assert.equal((await contextsOf(lido, place)).length, 1)
  await browser.get(`${lido.url}/w/${place.slug}/logout`)
  await browser.submit({ logout: 'yes' })
  assert.deepEqual(await contextsOf(lido, place), [])
  assert.equal((await introspect(lido, place, body.access_token)).active, false)
  const second = await signedIn(lido, provider, place, ada)
  const other = await signedIn(lido, provider, place, { sub: 'grace', department: 'Compilers' })
  const user = claimsOf(second.body.id_token).sub
  await users.endEverything(lido.services.db, place.pool.id, String(user))
  assert.equal((await contextsOf(lido, place)).length, 1)
  assert.deepEqual(await departments(place, other), ['Compilers', 'Compilers'])
})

test('a session that is ended takes it along, and leaves that of others', async () => {
  const place = await makePlace(lido, provider, { mapping })
  const { db, clock } = lido.services
  const people = []
  for (let index = 0; index < 3; index += 1) people.push(await signedIn(lido, provider, place, ada))
  const id = String(claimsOf(people[0]?.body.id_token).sub)
  const sessionsThere = () => sessions.list(db, clock.now(), place.pool.id, id, [place.workspaceId])
  const [first, second] = await sessionsThere()
  assert.ok(first?.context && second?.context)
  await sessions.end(db, [first])
  assert.ok((await contextsOf(lido, place)).every((one) => one.id !== first.context))
  assert.equal((await contextsOf(lido, place)).length, 2)
  await sessions.endOthers(db, place.pool.id, id, second)
  assert.deepEqual(
    (await contextsOf(lido, place)).map((one) => one.id),
    [second.context],
  )
  const told = []
  for (const person of people) {
    const renewed = await person.again()
    if (renewed.status === 200) told.push((await userinfo(lido, place, renewed.body.access_token)).department)
  }
  assert.deepEqual(told, ['Engines'])
})

test('what is kept opens in its own row and for its own person alone', async () => {
  const place = await makePlace(lido, provider, { mapping })
  const one = await signedIn(lido, provider, place, ada)
  const [mine] = await contextsOf(lido, place)
  const other = await signedIn(lido, provider, place, { sub: 'grace', department: 'Compilers' })
  const theirs = (await contextsOf(lido, place)).find(({ id }) => id !== mine?.id)
  assert.ok(mine && theirs)
  const { db } = lido.services
  // Whoever can write to the database gives somebody the claims of somebody else.
  const payload = JSON.stringify(theirs.payload)
  await db.updateTable('artifacts').set({ payload }).where('id', '=', mine.id).execute()
  assert.deepEqual(await departments(place, one), [undefined, undefined])
  assert.deepEqual(await departments(place, other), ['Compilers', 'Compilers'])
  const again = await signedIn(lido, provider, place, ada)
  const [, third] = (await contextsOf(lido, place)).filter(({ id }) => id !== theirs.id)
  assert.ok(third)
  await db
    .updateTable('artifacts')
    .set({ userId: String(claimsOf(other.body.id_token).sub) })
    .where('id', '=', third.id)
    .execute()
  assert.deepEqual(await departments(place, again), [undefined, undefined])
})

test('an identity that is linked to an account of another pool proves who it is, and tells nothing', async () => {
  const place = await makePlace(lido, provider, { mapping })
  const { db, clock } = lido.services
  const home = await makePool(lido, `home-of-${place.slug}`, { sign_in_methods: ['password'] })
  await connections.create(db, clock.now(), place.workspaceId, { pool_id: home.id, name: 'Home', mapping })
  const userId = await makeUser(lido, home, 'ada@example.org')
  const link = { poolId: place.pool.id, subject: 'linked', homePoolId: home.id, userId, linkedAt: clock.now() }
  await db.insertInto('links').values(link).execute()
  await new Promise((resolve) => setTimeout(resolve, 250))
  const person = await signedIn(lido, provider, place, { ...ada, sub: 'linked' }, { idp_hint: place.slug })
  assert.equal(claimsOf(person.body.id_token).sub, userId)
  assert.deepEqual(await departments(place, person), [undefined, undefined])
  assert.deepEqual(await contextsOf(lido, place), [])
})

test('claims that mean something to a token are never taken from outside', async () => {
  const place = await makePlace(lido, provider, { mapping: { there: 'upstream.sub', proto: 'upstream.__proto__' } })
  const { db } = lido.services
  // As if an older program had let it in.
  const names = ['sub', 'iss', 'aud', 'exp', 'active', 'act', 'cnf', 'groups', 'roles', 'email', 'there', 'proto']
  const from = (name: string) => (name === 'proto' ? 'upstream.__proto__' : 'upstream.other')
  const written = JSON.stringify(Object.fromEntries(names.map((name) => [name, from(name)])))
  await db.updateTable('connections').set({ mapping: written }).where('workspaceId', '=', place.workspaceId).execute()
  await new Promise((resolve) => setTimeout(resolve, 250))
  const odd = JSON.parse('{"__proto__": {"admin": true}, "constructor": {"prototype": {"admin": true}}}')
  const { body } = await signedIn(lido, provider, place, { ...ada, other: 'evil', ...odd })
  const told = await userinfo(lido, place, body.access_token)
  const meant = await introspect(lido, place, body.access_token)
  assert.equal(told.sub, claimsOf(body.id_token).sub)
  assert.equal(meant.active, true)
  assert.ok(String(meant.iss).startsWith(lido.url))
  assert.deepEqual([told.there, meant.there], ['evil', 'evil'])
  for (const name of ['act', 'cnf', 'groups', 'roles', 'email', 'proto', 'admin'])
    assert.deepEqual([told[name], meant[name]], [undefined, undefined], name)
  assert.equal(({} as { admin?: boolean }).admin, undefined)
})

test('of very many claims those that are named are kept, as far as there is room', async () => {
  const place = await makePlace(lido, provider, { mapping: { ...mapping, huge: 'upstream.huge' } })
  const many = Object.fromEntries(Array.from({ length: 240 }, (_, index) => [`claim_${index}`, 'x'.repeat(1000)]))
  const { again } = await signedIn(lido, provider, place, { ...ada, ...many, huge: 'y'.repeat(20_000) })
  const { body } = await again()
  const told = await userinfo(lido, place, body.access_token)
  assert.deepEqual([told.department, told.huge], ['Engines', undefined])
  const [kept] = await contextsOf(lido, place)
  assert.ok(kept && kept.payload.sealed.length < 1000, String(kept?.payload.sealed.length))
})

test('nothing of it is in clear anywhere, while somebody signs in or after', async () => {
  const place = await makePlace(lido, provider, { mapping, reloads: true })
  const secret = 'canary-of-the-upstream'
  const { again } = await signedIn(lido, provider, place, { ...ada, department: secret })
  await again()
  for (const table of [
    'artifacts',
    'attempts',
    'departures',
    'events',
    'traces',
    'trails',
    'users',
    'upstream_sessions',
  ])
    assert.deepEqual(await rowsOf(lido, `select 1 from ${table} x where x::text like '%${secret}%'`), [], table)
})

test('it costs one read for each answer that tells it, and those who use none of it nothing', async () => {
  const spent = async (work: () => Promise<unknown>) => {
    await work()
    lido.statements.length = 0
    await work()
    return lido.statements.length
  }
  const costs = async (wanted: Parameters<typeof makePlace>[2]) => {
    const place = await makePlace(lido, provider, wanted)
    const { again, body } = await signedIn(lido, provider, place, ada)
    return [
      await spent(() => again()),
      await spent(() => userinfo(lido, place, body.access_token)),
      await spent(() => introspect(lido, place, body.access_token)),
    ]
  }
  assert.deepEqual(await costs({}), [2, 1, 1])
  assert.deepEqual(await costs({ mapping: { team: 'metadata.team' } }), [2, 1, 1])
  assert.deepEqual(await costs({ mapping }), [3, 2, 2])
})
