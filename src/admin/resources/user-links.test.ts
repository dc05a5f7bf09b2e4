import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as links from '../../directory/links.ts'
import { makeFederated, makeUpstreamClient, proveThere } from '../../pages/federated-testing.ts'
import {
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  rowsOf,
  visit,
} from '../../pages/fixtures-testing.ts'
import { openConsole } from '../console/fixtures-testing.ts'
import { fillIn } from '../console/forms-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
let grace: string
let upstream: string
before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  const there = await makePool(lido, 'there', { sign_in_methods: ['password'] })
  upstream = (await makeWorkspace(lido, 'upstream', [{ pool: there }])).id
  grace = await makeUser(lido, there, 'grace@example.org')
})
after(() => lido.stop())

/** A pool with Ada in it, to whom Grace of the upstream is linked. */
const makePlace = async (name: string) => {
  const home = await makePool(lido, `home-${name}`, { sign_in_methods: ['password'] })
  const away = await makeFederated(lido, `away-${name}`)
  const { id, connections } = await makeWorkspace(lido, name, [{ pool: home }, { pool: away, hidden: true }])
  await makeClient(lido, id)
  await makeUpstreamClient(lido, upstream, away.slug, connections[away.slug] ?? '')
  const user = await makeUser(lido, home, 'ada@example.org')
  const link = { poolId: away.id, subject: grace, homePoolId: home.id, userId: user }
  const by = { kind: 'person', id: user } as const
  await lido.services.db
    .transaction()
    .execute((trx) => links.add(trx, lido.services.clock.now(), link, { label: 'Grace', name: 'Away', by }))
  const comeIn = async () => {
    const browser = await visit(lido, name, { idp_hint: away.slug })
    await proveThere(browser, 'grace@example.org')
    return browser
  }
  return { home, away, user, comeIn, at: `/pools/${home.slug}/users/${user}/links/${away.slug}` }
}

const sessionsOf = (user: string) => countOf(lido, `artifacts where kind = 'Session' and user_id = '${user}'`)

test('an operator takes a linked identity away: its sessions end, it lets nobody in, and an event tells who did', async () => {
  const { comeIn, user, at, away } = await makePlace('acme')
  assert.ok(isSignedIn(await comeIn()))
  assert.equal(await sessionsOf(user), 1)
  const gone = await lido.call('DELETE', at)
  assert.equal(gone.status, 204, JSON.stringify(gone.body))
  assert.equal(await sessionsOf(user), 0)
  assert.equal((await lido.call('DELETE', at)).status, 404)
  const told = `select data from events where type = 'user.unlinked' and user_id = '${user}'`
  const events = await rowsOf<{ data: { by: { kind: string }; upstream_pool: string } }>(lido, told)
  assert.deepEqual(
    events.map(({ data }) => [data.by.kind, data.upstream_pool]),
    [['client', away.id]],
  )
  await comeIn()
  assert.equal(await sessionsOf(user), 0)
})

test('the last way to sign in goes only where that is meant', async () => {
  const { home, user, at } = await makePlace('last')
  await lido.services.db.deleteFrom('credentials').where('userId', '=', user).execute()
  const refused = await lido.call('DELETE', at)
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /only way.*confirm=true/)
  const limits = { role: 'helpdesk', pools: [home.id], workspaces: [upstream] }
  const limited = await operator(lido, 'sees-no-workspace-of-it@example.org', limits)
  assert.equal((await limited.call('DELETE', at)).status, 409)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 1)
  assert.equal((await lido.call('DELETE', `${at}?confirm=true`)).status, 204)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 0)
})

test('it needs users:write and the pool: others meet 403 and 404, and no link of another user goes', async () => {
  const { at, home, user } = await makePlace('rights')
  const other = await makeUser(lido, home, 'bea@example.org')
  const Authorization = `Bearer ${await lido.token('users:read')}`
  assert.equal((await lido.call('DELETE', at, undefined, { Authorization })).status, 403)
  const elsewhere = await makePool(lido, 'elsewhere')
  const stranger = await operator(lido, 'stranger@example.org', { role: 'helpdesk', pools: [elsewhere.id] })
  assert.equal((await stranger.call('DELETE', at)).status, 404)
  assert.equal((await lido.call('DELETE', at.replace(user, other))).status, 404)
  assert.equal((await lido.call('DELETE', at.replace('away-rights', 'away-acme'))).status, 404)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 1)
  const all = await Promise.all(Array.from({ length: 20 }, () => lido.call('DELETE', at)))
  assert.equal(all.filter(({ status }) => status === 204).length, 1)
})

test('the console asks before it removes one, and asks again where it is the last way in', async () => {
  const { home, user } = await makePlace('console')
  const { slug } = home
  const page = `/console/pools/${slug}/users/${user}`
  const owner = await openConsole(lido)
  await owner.get(page)
  const path = owner.page.html.match(/href="([^"]*\/links\/[^"]*\/~delete)"/)?.[1] ?? ''
  assert.ok(path, owner.page.html)
  await lido.services.db.deleteFrom('credentials').where('userId', '=', user).execute()
  await owner.get(path)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 1, 'looking takes nothing away')
  await fillIn(owner, path)
  assert.match(owner.page.alert ?? '', /only way/)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 1)
  await fillIn(owner, path, { confirm: 'true' })
  assert.match(owner.page.html, /is gone, and every session has ended/)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 0)
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(page)
  assert.doesNotMatch(viewer.page.html, /\/links\/[^"]*\/~delete/)
})
