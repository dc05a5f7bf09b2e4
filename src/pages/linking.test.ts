import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import { openBrowser } from '../browser-testing.ts'
import * as connections from '../directory/connections.ts'
import * as links from '../directory/links.ts'
import * as users from '../directory/users.ts'
import type { Outsider } from '../signin/outsider.ts'
import { openPool } from '../signin/pools/index.ts'
import type { AwayPool } from '../signin/pools/pool.ts'
import type { TestLido } from '../testing.ts'
import { openAccount } from './account-testing.ts'
import { federatedLido, makeFederated, makeUpstreamClient, proveThere } from './federated-testing.ts'
import {
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  rowsOf,
  visit,
} from './fixtures-testing.ts'
import { changePool, makeExternal, openOutside, secretThere } from './outside-testing.ts'

let lido: TestLido
before(async () => {
  lido = await federatedLido()
  const there = await makePool(lido, 'there', { sign_in_methods: ['password'] })
  await makeWorkspace(lido, 'upstream', [{ pool: there }])
  for (const who of ['ada', 'grace', 'joan']) await makeUser(lido, there, `${who}@example.org`)
})
after(() => lido.stop())

/** A workspace with people of its own and a connection to the upstream. Answers the connection's id. */
const makePlace = async (name: string, linking: 'account' | 'offer' | 'off', settings = {}) => {
  const home = await makePool(lido, `home-${name}`, { sign_in_methods: ['password'], ...settings })
  const away = await makeFederated(lido, `away-${name}`, { linking })
  const { id, connections } = await makeWorkspace(lido, name, [{ pool: home }, { pool: away, hidden: true }])
  await makeClient(lido, id)
  const connection = connections[away.slug] ?? ''
  const [upstream] = await rowsOf<{ id: string }>(lido, `select id from workspaces where slug = 'upstream'`)
  await makeUpstreamClient(lido, upstream?.id ?? '', away.slug, connection)
  const user = await makeUser(lido, home, 'ada@example.org')
  return { home, away, connection, user }
}

const subOf = async (workspace: string, browser: Awaited<ReturnType<typeof visit>>) => {
  const { body } = await redeem(lido, workspace, browser)
  return JSON.parse(Buffer.from((body.id_token ?? '').split('.')[1] ?? '', 'base64url').toString()).sub
}

const comeBy = async (workspace: string, hint: string, who = 'ada@example.org') => {
  const browser = await visit(lido, workspace, { idp_hint: hint })
  await proveThere(browser, who)
  return browser
}

/** Connects an upstream's account on the account page, as one who is there already. */
const connect = async (account: Awaited<ReturnType<typeof openAccount>>, connection: string, who: string) => {
  await account.open(`/connected/${connection}`)
  await account.submit()
  // Who is signed in there still comes back at once.
  if (account.page.step === 'identify') await proveThere(account, who)
}

describe('on the account page', () => {
  test('an account elsewhere is connected, lets its owner in, and does not once it is disconnected', async () => {
    const { connection, user, away } = await makePlace('acme', 'account')
    const account = await openAccount(lido, 'ada@example.org')
    await connect(account, connection, 'grace@example.org')
    assert.match(account.page.html, /It was added\./, account.page.html)
    assert.match(account.page.html, /grace@example\.org/)
    const told = await lido.message('ada@example.org')
    assert.match(told.text, /was added/)
    assert.equal(await countOf(lido, `events where type = 'user.linked' and user_id = '${user}'`), 1)
    const browser = await comeBy('acme', away.slug, 'grace@example.org')
    assert.ok(isSignedIn(browser), browser.page.html)
    assert.equal(await subOf('acme', browser), user)
    assert.equal(await countOf(lido, `users where pool_id = '${away.id}'`), 0)
    await account.open(`/connected/${connection}`)
    await account.submit()
    assert.match(account.page.html, /It was removed\./, account.page.html)
    assert.equal(await countOf(lido, `events where type = 'user.unlinked' and user_id = '${user}'`), 1)
    const later = await comeBy('acme', away.slug, 'grace@example.org')
    assert.notEqual(await subOf('acme', later), user)
    // Whoever has an account of their own there by now is not taken over.
    await connect(account, connection, 'grace@example.org')
    assert.match(account.page.html, /in use here already/)
  })

  test('what is linked to somebody is not linked to another', async () => {
    const { connection, home, away } = await makePlace('twice', 'account')
    await makeUser(lido, home, 'bea@example.org')
    await connect(await openAccount(lido, 'ada@example.org', { workspace: 'twice' }), connection, 'joan@example.org')
    const bea = await openAccount(lido, 'bea@example.org', { workspace: 'twice' })
    await connect(bea, connection, 'joan@example.org')
    assert.match(bea.page.html, /in use here already/)
    assert.equal(await countOf(lido, `links where pool_id = '${away.id}'`), 1)
  })

  test('the second factor of the account is asked of whoever comes by a link', async () => {
    const factors = { second_factor: 'required', second_factors: ['totp'] } as const
    const { away, user, home } = await makePlace('strict', 'account', factors)
    const [row] = await rowsOf<{ id: string }>(lido, `select id from pools where id = '${away.id}'`)
    const now = lido.services.clock.now()
    const grace = await rowsOf<{ id: string }>(
      lido,
      `select u.id from users u join identifiers i on i.user_id = u.id where i.value = 'grace@example.org' and u.pool_id <> '${away.id}' limit 1`,
    )
    await lido.services.db
      .insertInto('links')
      .values({ poolId: row?.id ?? '', subject: grace[0]?.id ?? '', homePoolId: home.id, userId: user, linkedAt: now })
      .execute()
    const browser = await comeBy('strict', away.slug, 'grace@example.org')
    assert.equal(browser.page.step, 'enrol', browser.page.html)
  })

  test('the only way in stays, and where linking is off there is none', async () => {
    const { connection, user } = await makePlace('lonely', 'account')
    const account = await openAccount(lido, 'ada@example.org', { workspace: 'lonely' })
    await connect(account, connection, 'grace@example.org')
    await rowsOf(lido, `delete from credentials where user_id = '${user}'`)
    await account.open(`/connected/${connection}`)
    await account.submit()
    assert.match(account.page.alert ?? '', /only way/)
    const off = await makePlace('off', 'off')
    const other = await openAccount(lido, 'ada@example.org', { workspace: 'off' })
    await other.open(`/connected/${off.connection}`)
    assert.equal(other.page.status, 404)
  })

  test('whoever is deleted leaves no link', async () => {
    const { connection, user, away } = await makePlace('gone', 'account')
    const account = await openAccount(lido, 'ada@example.org', { workspace: 'gone' })
    await connect(account, connection, 'grace@example.org')
    assert.equal(await countOf(lido, `links where user_id = '${user}'`), 1)
    await account.open('/data/delete')
    await account.submit({ sure: 'true' })
    assert.equal(await countOf(lido, `links where pool_id = '${away.id}'`), 0)
  })
})

test('A04: whoever proves an address for the first time ends the links that were made before', async () => {
  const { home, away } = await makePlace('trojan', 'account')
  const user = await makeUser(lido, home, 'victim@example.org', { verified: false })
  const linkedAt = lido.services.clock.now()
  const link = { poolId: away.id, subject: 'of-the-attacker', homePoolId: home.id, userId: user, linkedAt }
  await lido.services.db.insertInto('links').values(link).execute()
  const browser = openBrowser(lido.url)
  await browser.get(`${lido.url}/w/trojan/recover`)
  await browser.submit({ identifier: 'victim@example.org' })
  const { code } = await lido.message('victim@example.org')
  await browser.submit({ code, new_password: 'a new one that nobody else knows' })
  assert.equal(await countOf(lido, `events where type = 'user.recovered' and user_id = '${user}'`), 1)
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 0)
})

describe('at sign-in, where it is offered', () => {
  test('proof on both sides links, and the account elsewhere alone lets in the next time', async () => {
    const { user, away } = await makePlace('offer', 'offer')
    const browser = await comeBy('offer', away.slug)
    assert.equal(browser.page.step, 'link', browser.page.html)
    await browser.submit({ action: 'link' })
    assert.equal(browser.page.step, 'prove', browser.page.html)
    assert.equal(await countOf(lido, `links where user_id = '${user}'`), 0)
    await browser.submit({ password: 'not the right one at all' })
    assert.equal(await countOf(lido, `links where user_id = '${user}'`), 0)
    await browser.submit({ password })
    assert.ok(isSignedIn(browser), browser.page.html)
    assert.equal(await subOf('offer', browser), user)
    const again = await comeBy('offer', away.slug)
    assert.ok(isSignedIn(again), again.page.html)
    assert.equal(await subOf('offer', again), user)
  })

  test('without proof there is a new account, and nobody else’s', async () => {
    const { user, away } = await makePlace('anew', 'offer')
    const browser = await comeBy('anew', away.slug)
    await browser.submit({ action: 'new' })
    assert.ok(isSignedIn(browser), browser.page.html)
    assert.notEqual(await subOf('anew', browser), user)
  })
})

describe('at once', () => {
  const tellOf = (externalId: string): Outsider => ({
    ...{ externalId, identifiers: [], claims: {}, profile: {}, roles: [], groups: [], tenant: undefined },
  })
  const link = (poolId: string, homePoolId: string, userId: string, subject: string) =>
    lido.services.db.transaction().execute(async (trx) => {
      await users.findById(trx, userId)
      const by = { kind: 'person', id: userId } as const
      const wanted = { poolId, subject, homePoolId, userId }
      return links.add(trx, lido.services.clock.now(), wanted, { label: '', name: 'Away', by })
    })

  test('of twenty who link one identity to two accounts, one does', async () => {
    const { home, away, user } = await makePlace('twenty', 'account')
    const other = await makeUser(lido, home, 'bea@example.org')
    for (let round = 0; round < 10; round += 1) {
      const subject = `subject-${round}`
      const all = Array.from({ length: 20 }, (_, n) => link(away.id, home.id, n % 2 ? user : other, subject))
      const done = await Promise.all(all)
      assert.equal(done.filter((one) => one === 'linked').length, 1, done.join())
      assert.equal(await countOf(lido, `links where pool_id = '${away.id}'`), 1)
      await links.removeAll(lido.services.db, home.id, user)
      await links.removeAll(lido.services.db, home.id, other)
    }
  })

  test('a link that is taken away while somebody comes by it lets them in no more', async () => {
    const { home, away, user } = await makePlace('late', 'account')
    const { db } = lido.services
    const [grace] = await rowsOf<{ id: string }>(
      lido,
      `select u.id from users u join identifiers i on i.user_id = u.id join pools p on p.id = u.pool_id
       where i.value = 'grace@example.org' and p.slug = 'there'`,
    )
    await link(away.id, home.id, user, grace?.id ?? '')
    // Whoever has read a link waits before they go on.
    await rowsOf(lido, 'alter table links rename to links_kept')
    await rowsOf(
      lido,
      'create function lingers() returns boolean language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(4711); return true; end $$',
    )
    await rowsOf(lido, 'create view links as select * from links_kept where lingers()')
    try {
      const waiting = `pg_locks where locktype = 'advisory' and objid = 4711 and not granted`
      const browser = await db.connection().execute(async (other) => {
        await sql`select pg_advisory_lock(4711)`.execute(other)
        const coming = comeBy('late', away.slug, 'grace@example.org')
        while ((await countOf(lido, waiting)) === 0) await setTimeout(5)
        await sql`delete from links_kept where user_id = ${user}`.execute(other)
        await users.endEverything(other, home.id, user)
        await sql`select pg_advisory_unlock(4711)`.execute(other)
        return coming
      })
      assert.match(browser.page.alert ?? '', /cannot sign in here/, browser.page.html)
      assert.equal(await countOf(lido, `artifacts where kind = 'Session' and user_id = '${user}'`), 0)
    } finally {
      await rowsOf(lido, 'drop view links')
      await rowsOf(lido, 'drop function lingers')
      await rowsOf(lido, 'alter table links_kept rename to links')
    }
  })

  test('an identity becomes a user of its own pool or is linked to one of another, and never both', async () => {
    const { home, away, user } = await makePlace('both', 'account')
    const pool = openPool(away, lido.services) as AwayPool
    for (let round = 0; round < 10; round += 1) {
      const subject = `subject-${round}`
      const [linked, ...welcomed] = await Promise.all([
        link(away.id, home.id, user, subject),
        ...Array.from({ length: 5 }, () => pool.welcome(tellOf(subject))),
        link(away.id, home.id, user, subject),
      ])
      const made = await countOf(lido, `users where pool_id = '${away.id}' and external_id = '${subject}'`)
      const held = await countOf(lido, `links where pool_id = '${away.id}' and subject = '${subject}'`)
      assert.equal(made + held, 1, JSON.stringify([linked, made, held]))
      for (const one of welcomed.slice(0, 5)) assert.equal(typeof one === 'object' && one.is, made ? 'user' : 'linked')
      await links.removeAll(lido.services.db, home.id, user)
    }
  })
})

test('where linking is switched off, what was linked before lets nobody in, and makes nobody', async () => {
  const { connection, away, user } = await makePlace('ended', 'account')
  await connect(await openAccount(lido, 'ada@example.org', { workspace: 'ended' }), connection, 'grace@example.org')
  assert.equal(await countOf(lido, `links where user_id = '${user}'`), 1)
  await changePool(lido, away.id, { upstream: away.upstream && { ...away.upstream, linking: 'off' } })
  const browser = await comeBy('ended', away.slug, 'grace@example.org')
  assert.match(browser.page.alert ?? '', /cannot sign in here/, browser.page.html)
  assert.equal(await countOf(lido, `users where pool_id = '${away.id}'`), 0)
})

test('rule 15: who stays at a source connects no account elsewhere, and comes in by none', async () => {
  const outside = await openOutside()
  try {
    outside.add({ email: 'ada@example.org', email_verified: true })
    const settings = { sign_in_methods: ['password' as const] }
    const { slug, pool, workspace } = await makeExternal(lido, outside, { source: { mode: 'sync' }, settings })
    const away = await makeFederated(lido, `away-${slug}`, { linking: 'offer' })
    const { db, clock } = lido.services
    const at = clock.now()
    const connection = await connections.create(db, at, workspace.id, { pool_id: away.id, name: 'Away', hidden: true })
    const [upstream] = await rowsOf<{ id: string }>(lido, `select id from workspaces where slug = 'upstream'`)
    await makeUpstreamClient(lido, upstream?.id ?? '', away.slug, connection)
    const account = await openAccount(lido, 'ada@example.org', { workspace: slug, password: secretThere })
    assert.doesNotMatch(account.page.html, /account\/connected/)
    await account.open(`/connected/${connection}`)
    assert.equal(account.page.status, 404, account.page.html)
    const [user] = await rowsOf<{ id: string }>(lido, `select id from users where pool_id = '${pool.id}'`)
    const grace = await rowsOf<{ id: string }>(
      lido,
      `select u.id from users u join identifiers i on i.user_id = u.id join pools p on p.id = u.pool_id
       where i.value = 'grace@example.org' and p.slug = 'there'`,
    )
    const ids = { poolId: away.id, subject: grace[0]?.id ?? '', homePoolId: pool.id, userId: user?.id ?? '' }
    await db
      .insertInto('links')
      .values({ ...ids, linkedAt: at })
      .execute()
    const linked = await comeBy(slug, away.slug, 'grace@example.org')
    assert.match(linked.page.alert ?? '', /cannot sign in here/, linked.page.html)
    // Nor is it offered to whoever comes with their address.
    const offered = await comeBy(slug, away.slug, 'ada@example.org')
    assert.ok(isSignedIn(offered), offered.page.html)
    assert.notEqual(await subOf(slug, offered), user?.id)
  } finally {
    await outside.close()
  }
})
