import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import * as contexts from '../directory/contexts.ts'
import * as users from '../directory/users.ts'
import { findBySlug } from '../directory/workspaces.ts'
import { renew } from '../signin/pools/renewing.ts'
import { json, type Provider } from '../signin/upstreams/provider-testing.ts'
import type { TestLido } from '../testing.ts'
import { federatedLido } from './federated-testing.ts'
import { codeOf, makeClient, redeem, redirectUri, rowsOf, token, visit } from './fixtures-testing.ts'
import { claimsOf, comeBy, contextsOf, listen, makePlace, type Place, signedIn, userinfo } from './renewal-testing.ts'

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
afterEach(() => {
  skewed = 0
  provider.down = false
  Object.assign(provider.again, { times: 0, userinfo: {}, claims: undefined, latency: 0 })
  Object.assign(provider.again, { instead: undefined, insteadOfInfo: undefined })
})
after(async () => {
  await lido.stop()
  await close()
})

const mapping = { department: 'upstream.department' }
const ada = { sub: 'ada', given_name: 'Ada', department: 'Engines' }
const reloading = { mapping, reloads: true }

/** A moment later, in which an upstream may be asked again. */
const later = (seconds = 2) => {
  skewed += seconds * 1000
}

const departmentOf = async (place: Place, answer: { body: Record<string, string> }) =>
  (await userinfo(lido, place, answer.body.access_token)).department

test('a refresh asks the upstream again where the connection says so: claims and profile are as they are there now', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again, body } = await signedIn(lido, provider, place, ada)
  assert.equal(await departmentOf(place, { body }), 'Engines')
  Object.assign(provider.again, { userinfo: { department: 'Poetry', given_name: 'Augusta' } })
  const renewed = await again()
  assert.equal(renewed.status, 200, JSON.stringify(renewed.body))
  const told = await userinfo(lido, place, renewed.body.access_token)
  assert.deepEqual([told.department, told.given_name, provider.again.times], ['Poetry', 'Augusta', 1])
  later()
  provider.again.claims = { department: 'Numbers' }
  assert.equal(await departmentOf(place, await again()), 'Numbers')
  assert.equal(provider.again.times, 2)
})

test('a refresh token is asked for, and kept, only where the connection wants to ask again', async () => {
  const ways = [
    [{}, { scope: 'openid profile email offline_access', prompt: null, access_type: null }],
    [
      { refresh_tokens: 'offline_access_consent' },
      { scope: 'openid profile email offline_access', prompt: 'consent', access_type: null },
    ],
    [{ refresh_tokens: 'access_type' }, { scope: 'openid profile email', prompt: 'consent', access_type: 'offline' }],
    [{ refresh_tokens: 'given' }, { scope: 'openid profile email', prompt: null, access_type: null }],
  ] as const
  for (const [settings, wanted] of ways) {
    const place = await makePlace(lido, provider, { reloads: true, settings })
    const { to } = await comeBy(lido, provider, place, ada)
    for (const [name, value] of Object.entries(wanted)) assert.equal(to.searchParams.get(name), value, name)
  }
  for (const wanted of [{ mapping }, { ...reloading, seconds: 0 }]) {
    const place = await makePlace(lido, provider, wanted)
    const { to } = await comeBy(lido, provider, place, ada)
    assert.equal(to.searchParams.get('scope'), 'openid profile email')
    const { again } = await signedIn(lido, provider, place, ada)
    assert.equal((await again()).status, 200)
  }
  assert.equal(provider.again.times, 0)
})

test('of twenty refreshes at once, by several clients of one session, one asks the upstream and all hear what it says', async () => {
  const place = await makePlace(lido, provider, reloading)
  const names = ['one', 'two', 'three', 'four']
  for (const id of names) await makeClient(lido, place.workspaceId, { id })
  const { again, refresh, browser } = await signedIn(lido, provider, place, ada)
  const held = [{ client_id: 'app', refresh_token: refresh() }]
  for (const client_id of names) {
    const second = await visit(lido, place.slug, { browser, client_id, scope: 'openid profile' })
    const { body } = await token(lido.url, place.slug, {
      ...{ grant_type: 'authorization_code', client_id, redirect_uri: redirectUri },
      ...{ code: codeOf(second), code_verifier: second.verifier },
    })
    held.push({ client_id, refresh_token: body.refresh_token ?? '' })
  }
  Object.assign(provider.again, { userinfo: { department: 'Poetry' }, latency: 200 })
  const all = Array.from(
    { length: 20 },
    (_, index) => held[index % held.length] ?? { client_id: '', refresh_token: '' },
  )
  const answers = await Promise.all(
    all.map((one) => token(lido.url, place.slug, { grant_type: 'refresh_token', ...one })),
  )
  assert.equal(provider.again.times, 1)
  for (const answer of answers) {
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    assert.equal(await departmentOf(place, answer), 'Poetry')
  }
  later()
  await again()
  assert.equal(provider.again.times, 2)
})

test('two nodes ask once between them: one waits for what the other hears', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { refresh, body } = await signedIn(lido, provider, place, ada)
  const { db, keyring, clock } = lido.services
  const [row] = await contextsOf(lido, place)
  const at = { workspaceId: place.workspaceId, id: row?.id ?? '', userId: String(claimsOf(body.id_token).sub) }
  const stored = contexts.read(keyring, at, row?.payload)
  assert.ok(stored)
  const context = { ...at, ...stored }
  const taken = await Promise.all(Array.from({ length: 20 }, () => contexts.lease(db, clock.now(), context)))
  assert.equal(taken.filter(Boolean).length, 1)
  const own = { grant_type: 'refresh_token', client_id: 'app', refresh_token: refresh() }
  const waiting = token(lido.url, place.slug, own)
  await new Promise((resolve) => setTimeout(resolve, 300))
  const learnt = { ...context.learnt, claims: { department: 'Poetry' }, again: true }
  assert.ok(await contexts.replace(db, keyring, context, learnt))
  assert.equal(await contexts.replace(db, keyring, context, context.learnt), undefined)
  assert.equal(await departmentOf(place, await waiting), 'Poetry')
  assert.equal(provider.again.times, 0)
})

test('whoever comes by the upstream again while it is asked goes on with what it told then', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again, browser } = await signedIn(lido, provider, place, ada)
  Object.assign(provider.again, { userinfo: { department: 'Poetry' }, latency: 1_000 })
  const waiting = again()
  const anew = { ...ada, department: 'Numbers' }
  await signedIn(lido, provider, place, anew, { browser, prompt: 'login' })
  const answer = await waiting
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  assert.equal(await departmentOf(place, answer), 'Numbers')
  assert.equal((await contextsOf(lido, place)).length, 1)
})

test('whoever is not signed in at the upstream any more gets no new tokens, and has to come by it again', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again, browser, body } = await signedIn(lido, provider, place, ada)
  const elsewhere = await signedIn(lido, provider, place, ada)
  provider.again.instead = () => json({ error: 'invalid_grant' }, 400)
  assert.equal((await again()).body.error, 'invalid_grant')
  provider.again.instead = undefined
  assert.equal((await again()).body.error, 'invalid_grant')
  assert.equal((await userinfo(lido, place, body.access_token)).error, 'invalid_token')
  const back = await visit(lido, place.slug, { browser })
  assert.ok(back.page.url.startsWith(provider.issuer), back.page.url)
  assert.equal((await contextsOf(lido, place)).length, 1)
  assert.equal((await elsewhere.again()).status, 200)
})

test('an upstream that does not answer keeps nobody out, and what it said before stands for its time', async () => {
  const place = await makePlace(lido, provider, { ...reloading, seconds: 600 })
  const { again } = await signedIn(lido, provider, place, ada)
  provider.down = true
  const renewed = await again()
  assert.equal(renewed.status, 200)
  assert.equal(await departmentOf(place, renewed), 'Engines')
  later(601)
  assert.equal(await departmentOf(place, await again()), undefined)
  provider.down = false
  provider.again.userinfo = { department: 'Poetry' }
  later()
  assert.equal(await departmentOf(place, await again()), 'Poetry')
})

test('its new refresh token is kept also where nothing else was heard, or only too late', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again } = await signedIn(lido, provider, place, ada)
  provider.again.insteadOfInfo = () => json({}, 503)
  const renewed = await again()
  assert.equal(await departmentOf(place, renewed), 'Engines')
  provider.again.insteadOfInfo = undefined
  Object.assign(provider.again, { userinfo: { department: 'Poetry' }, latency: 3400 })
  provider.again.claims = { department: 'Poetry' }
  later()
  assert.equal((await again()).status, 200)
  await new Promise((resolve) => setTimeout(resolve, 500))
  provider.again.latency = 0
  later()
  const last = await again()
  assert.equal(last.status, 200, JSON.stringify(last.body))
  assert.equal(await departmentOf(place, last), 'Poetry')
})

test('a word about somebody else is never taken', async () => {
  const place = await makePlace(lido, provider, reloading)
  for (const wrong of [{ userinfo: { sub: 'grace', department: 'Evil' } }, { claims: { sub: 'grace' } }]) {
    const { again, body } = await signedIn(lido, provider, place, ada)
    Object.assign(provider.again, { userinfo: {}, claims: undefined }, wrong)
    assert.equal((await again()).body.error, 'invalid_grant')
    assert.equal(await departmentOf(place, { body }), 'Engines')
    Object.assign(provider.again, { userinfo: {}, claims: undefined })
    later()
    assert.equal((await again()).status, 200)
  }
})

test('whoever is refused is refused at every node, also where another one has asked', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again, body } = await signedIn(lido, provider, place, ada)
  const { db, keyring } = lido.services
  const [row] = await contextsOf(lido, place)
  const at = { workspaceId: place.workspaceId, id: row?.id ?? '', userId: String(claimsOf(body.id_token).sub) }
  const stored = contexts.read(keyring, at, row?.payload)
  const user = await users.findById(db, at.userId)
  const [connection] = (await findBySlug(db, place.slug))?.connections ?? []
  assert.ok(stored && user && connection)
  provider.again.claims = { sub: 'grace' }
  assert.equal((await again()).body.error, 'invalid_grant')
  // As by another node, which read what was learnt before this one was refused.
  assert.deepEqual(await renew(lido.services, connection, user, { ...at, ...stored }), { is: 'over' })
  provider.again.claims = undefined
  later()
  assert.equal((await again()).status, 200)
})

test('the refresh token of one provider is never shown to another, and whoever came by the first has to come again', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again } = await signedIn(lido, provider, place, ada)
  const second = await listen()
  const shown: string[] = []
  second.provider.again.instead = () => {
    shown.push('a refresh token')
    return json({ access_token: 'a', token_type: 'Bearer' })
  }
  second.provider.again.insteadOfInfo = () => json({ sub: 'ada', department: 'Evil' })
  const { db } = lido.services
  const upstream = {
    ...place.pool.upstream,
    settings: { issuer: second.provider.issuer, client_id: 'lido', authentication: 'none' },
  }
  await db
    .updateTable('pools')
    .set({ upstream: JSON.stringify(upstream) })
    .where('id', '=', place.pool.id)
    .execute()
  await new Promise((resolve) => setTimeout(resolve, 250))
  const answer = await again()
  await second.close()
  assert.deepEqual([shown, answer.body.error, await contextsOf(lido, place)], [[], 'invalid_grant', []])
})

test('a user who was closed, and a sign-in that was ended, ask nobody again', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again, body, browser } = await signedIn(lido, provider, place, ada)
  await browser.get(`${lido.url}/w/${place.slug}/logout`)
  await browser.submit({ logout: 'yes' })
  assert.equal((await again()).body.error, 'invalid_grant')
  const second = await signedIn(lido, provider, place, ada)
  const { db } = lido.services
  const id = String(claimsOf(body.id_token).sub)
  await db.updateTable('users').set({ status: 'inactive' }).where('id', '=', id).execute()
  assert.equal((await second.again()).body.error, 'invalid_grant')
  assert.equal(provider.again.times, 0)
})

test('what outlives a logout goes on with the profile alone', async () => {
  const place = await makePlace(lido, provider, { ...reloading, client: { first_party: false } })
  const browser = openBrowser(lido.url)
  const asked = { browser, scope: 'openid profile offline_access', prompt: 'consent' }
  const { browser: visiting } = await comeBy(lido, provider, place, ada, asked)
  await browser.submit({ decision: 'allow' })
  const { body } = await redeem(lido, place.slug, visiting)
  const own = { grant_type: 'refresh_token', client_id: 'app' }
  const first = await token(lido.url, place.slug, { ...own, refresh_token: body.refresh_token ?? '' })
  assert.deepEqual([await departmentOf(place, first), provider.again.times], ['Engines', 1])
  await browser.get(`${lido.url}/w/${place.slug}/logout`)
  await browser.submit({ logout: 'yes' })
  later()
  const after = await token(lido.url, place.slug, { ...own, refresh_token: first.body.refresh_token ?? '' })
  assert.equal(after.status, 200, JSON.stringify(after.body))
  const told = await userinfo(lido, place, after.body.access_token)
  assert.deepEqual([told.given_name, told.department, provider.again.times], ['Ada', undefined, 1])
})

test('an upstream that fails many people in a row is left alone for a moment', async () => {
  const place = await makePlace(lido, provider, reloading)
  const names = ['one', 'two', 'three', 'four', 'five', 'six']
  const people = []
  for (const sub of names) people.push(await signedIn(lido, provider, place, { sub }))
  provider.again.instead = () => json({}, 503)
  for (const { again } of people) assert.equal((await again()).status, 200)
  assert.equal(provider.again.times, 5)
  provider.again.instead = undefined
  later(11)
  assert.equal((await people[5]?.again())?.status, 200)
  assert.equal(provider.again.times, 6)
})

test('no refresh token of the upstream is in clear, or told to anybody', async () => {
  const place = await makePlace(lido, provider, reloading)
  const { again } = await signedIn(lido, provider, place, ada)
  const canary = 'canary-refresh-token'
  provider.again.instead = () => json({ access_token: 'a', token_type: 'Bearer', refresh_token: canary })
  const answer = await again()
  assert.ok(!JSON.stringify(answer.body).includes(canary))
  for (const table of ['artifacts', 'attempts', 'departures', 'events', 'traces', 'trails', 'users'])
    assert.deepEqual(await rowsOf(lido, `select 1 from ${table} x where x::text like '%${canary}%'`), [], table)
})
