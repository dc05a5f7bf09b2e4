import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import { openProvider } from '../signin/upstreams/provider-testing.ts'
import type { TestLido } from '../testing.ts'
import {
  comeFrom,
  federatedLido,
  makeFederated,
  makeUpstreamClient,
  makeWorld,
  proveThere,
  type World,
} from './federated-testing.ts'
import {
  cookieOf,
  countOf,
  hiddenOf,
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

let lido: TestLido
let world: World
before(async () => {
  lido = await federatedLido()
  world = await makeWorld(lido)
})
after(() => lido.stop())

const claimsOf = (token = ''): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))

interface Row {
  id: string
  authority: string
}
const usersOf = (poolId: string) =>
  rowsOf<Row>(lido, `select id, authority from users where pool_id = '${poolId}' order by id`)

/** A browser that has proven at the upstream who it is, and holds the address that leads back; it has not gone there. */
const leaveAndProve = async (workspace: string, who = 'ada@example.org') => {
  const browser = await visit(lido, workspace)
  await browser.submit({ identifier: who })
  const { page } = browser
  const headers = { Cookie: cookieOf(browser), Origin: lido.url, Accept: 'text/html' }
  const body = new URLSearchParams({ ...hiddenOf(page.html), password })
  const proven = await fetch(page.url, { method: 'POST', redirect: 'manual', headers, body })
  for (const line of proven.headers.getSetCookie()) {
    const [pair = '', ...rest] = line.split('; ')
    const path = rest.find((one) => one.startsWith('path='))?.slice(5) ?? '/'
    const [name = '', ...value] = pair.split('=')
    browser.cookies.set(`${name}@${path}`, { value: value.join('='), path })
  }
  const resume = proven.headers.get('Location') ?? ''
  const to = new URL(resume, lido.url)
  const answer = await fetch(to, { redirect: 'manual', headers: { ...headers, Cookie: cookieOf(browser, to.href) } })
  const callback = answer.headers.get('Location') ?? ''
  assert.match(callback, /\/callback\//, `${answer.status} ${callback}`)
  return { browser, callback }
}

test('a sign-in goes to the upstream at once and comes back with a user, the same one each time', async () => {
  const browser = await comeFrom(lido, 'app')
  assert.ok(isSignedIn(browser), browser.page.html)
  const { body } = await redeem(lido, 'app', browser)
  const claims = claimsOf(body.id_token)
  assert.equal(claims.idp, world.connection)
  assert.equal(claims.acr, 'urn:lido:acr:1fa')
  const again = await comeFrom(lido, 'app')
  assert.ok(isSignedIn(again), again.page.html)
  const [user, ...others] = await usersOf(world.here.id)
  assert.deepEqual([user?.id, user?.authority, others.length], [claims.sub, 'linked', 0])
})

test('a browser that left signs in once, however often the answer comes', async () => {
  const { browser, callback } = await leaveAndProve('app')
  const brought = await fetch(callback, { redirect: 'manual' })
  const back = new URL(brought.headers.get('Refresh')?.replace('0; url=', '') ?? '', lido.url)
  const headers = { Cookie: cookieOf(browser, back.href), Accept: 'text/html' }
  const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(back, { redirect: 'manual', headers })))
  const resumed = answers.filter((one) => one.headers.get('Location')?.includes('/authorize/'))
  assert.ok(resumed.length >= 1)
  assert.equal(await countOf(lido, `events where type = 'sign_in.succeeded' and pool_id = '${world.here.id}'`), 3)
  const replayed = await fetch(callback, { redirect: 'manual', headers: { Accept: 'text/html' } })
  assert.equal(replayed.status, 410)
})

describe('what another browser brings lets nobody in', () => {
  test('whoever began a sign-in gets nothing of what another browser brought', async () => {
    const { browser: attacker, callback } = await leaveAndProve('app', 'grace@example.org')
    const people = await countOf(lido, `users where pool_id = '${world.here.id}'`)
    const victim = openBrowser(lido.url)
    await victim.get(callback)
    assert.equal(victim.page.status, 410)
    const waiting = `departures where consumed_at is null and answer_hash is not null`
    const [departure] = await rowsOf<{ answerHash: string; back: string }>(lido, `select * from ${waiting}`)
    assert.ok(departure)
    // Only the browser that brought the answer was told how to open it: what is kept does not.
    const back = new URL(`${departure.back}?arrived=${departure.answerHash}`, lido.url)
    const headers = { Cookie: cookieOf(attacker, back.href), Accept: 'text/html' }
    const answer = await fetch(back, { redirect: 'manual', headers })
    assert.equal(answer.headers.get('Location'), departure.back)
    assert.equal(await countOf(lido, waiting), 1)
    assert.equal(await countOf(lido, `users where pool_id = '${world.here.id}'`), people)
  })

  test('an answer that nobody asked for', async () => {
    const stranger = openBrowser(lido.url)
    await stranger.get(`${lido.url}/callback/${world.connection}?code=x&state=y`)
    assert.equal(stranger.page.status, 410)
    await stranger.get(`${lido.url}/callback/${world.connection}?code=x`)
    assert.equal(stranger.page.status, 410)
    await stranger.get(`${lido.url}/callback/not-a-uuid?code=x&state=y`)
    assert.equal(stranger.page.status, 410)
    await stranger.post(`${lido.url}/callback/${world.connection}`, { SAMLResponse: 'x', RelayState: 'y' })
    assert.equal(stranger.page.status, 410)
  })

  test('A35: the answer to one connection at another’s address', async () => {
    const other = await makeWorld(lido, { name: '-other' })
    const { browser, callback } = await leaveAndProve('app')
    await browser.get(callback.replace(world.connection, other.connection))
    assert.equal(browser.page.status, 410)
    assert.deepEqual(await usersOf(other.here.id), [])
  })
})

test('A35: a code of another sign-in at the same upstream is of no use', async () => {
  const mine = await leaveAndProve('app')
  const theirs = await leaveAndProve('app', 'grace@example.org')
  const url = new URL(mine.callback)
  url.searchParams.set('code', new URL(theirs.callback).searchParams.get('code') ?? '')
  await mine.browser.get(url.href)
  assert.equal(mine.browser.page.step, 'depart')
  assert.match(mine.browser.page.alert ?? '', /could not confirm/)
})

test('a page with a way on stands where the person did not go on at the upstream, and the client hears nothing', async () => {
  const { browser, callback } = await leaveAndProve('app')
  const url = new URL(callback)
  url.searchParams.delete('code')
  url.searchParams.set('error', 'access_denied')
  await browser.get(url.href)
  assert.match(browser.page.alert ?? '', /did not finish/)
  await browser.get(browser.link('Continue with Pool here'))
  await browser.get(browser.page.url)
  assert.ok(isSignedIn(browser) || browser.page.step === 'identify', browser.page.html)
})

test('whatever was closed meanwhile lets nobody in', async () => {
  const closing = await makeWorld(lido, { name: '-closing' })
  const { browser, callback } = await leaveAndProve('app-closing')
  await rowsOf(lido, `update pools set status = 'inactive' where id = '${closing.here.id}'`)
  await rowsOf(lido, `select pg_notify('lido_changes', '')`).catch(() => [])
  await rowsOf(lido, `update workspaces set updated_at = now() where id = '${closing.workspaceId}'`)
  await new Promise((resolve) => setTimeout(resolve, 300))
  await browser.get(callback)
  assert.ok(!isSignedIn(browser), browser.page.html)
  assert.ok(browser.page.status >= 400, `${browser.page.status}`)
  assert.deepEqual(await usersOf(closing.here.id), [])
})

test('somebody who was closed here does not come in, whatever the upstream says', async () => {
  const shut = await makeWorld(lido, { name: '-shut' })
  assert.ok(isSignedIn(await comeFrom(lido, 'app-shut')))
  await rowsOf(lido, `update users set status = 'inactive' where pool_id = '${shut.here.id}'`)
  const browser = await comeFrom(lido, 'app-shut')
  assert.match(browser.page.alert ?? '', /cannot sign in here/)
  assert.equal((await usersOf(shut.here.id)).length, 1)
})

test('an upstream that nobody may be made from lets in only who is here', async () => {
  await makeWorld(lido, { name: '-known', new_users: 'refuse' })
  const browser = await comeFrom(lido, 'app-known')
  assert.match(browser.page.alert ?? '', /cannot sign in here/)
})

test('twenty first sign-ins at once make one user', async () => {
  const many = await makeWorld(lido, { name: '-many' })
  const left = []
  for (let n = 0; n < 20; n += 1) left.push(await leaveAndProve('app-many'))
  await Promise.all(left.map(({ browser, callback }) => browser.get(callback)))
  assert.ok(left.every(({ browser }) => isSignedIn(browser)))
  assert.equal((await usersOf(many.here.id)).length, 1)
})

test('A06: an address that another user of the pool has is left out, and nobody is merged by it', async () => {
  const taken = await makeWorld(lido, { name: '-taken' })
  const holder = await makeUser(lido, taken.here, 'ada@example.org')
  const browser = await comeFrom(lido, 'app-taken')
  assert.ok(isSignedIn(browser), browser.page.html)
  const { body } = await redeem(lido, 'app-taken', browser)
  const { sub } = claimsOf(body.id_token)
  assert.notEqual(sub, holder)
  assert.equal(await countOf(lido, `identifiers where user_id = '${sub}'`), 0)
  assert.equal(await countOf(lido, `events where user_id = '${sub}' and type = 'user.identifier_left_out'`), 1)
})

test('A01: a password that was registered with somebody’s address elsewhere opens nothing of theirs', async () => {
  const pool = await makePool(lido, 'hijack', { sign_in_methods: ['password'], self_registration: true })
  await makeUser(lido, pool, 'ada@example.org', { verified: false, password: 'what the attacker has chosen' })
  const here = await makeFederated(lido, 'here-hijack', { upstream: 'upstream', linking: 'offer' })
  const { id, connections: ids } = await makeWorkspace(lido, 'app-hijack', [{ pool }, { pool: here }])
  await makeClient(lido, id)
  const [upstream] = await rowsOf<{ id: string }>(lido, `select id from workspaces where slug = 'upstream'`)
  await makeUpstreamClient(lido, upstream?.id ?? '', 'here-hijack', ids['here-hijack'] ?? '')
  const browser = await visit(lido, 'app-hijack', { idp_hint: 'here-hijack' })
  await proveThere(browser)
  // An account whose address nobody has proven is not even offered.
  assert.ok(isSignedIn(browser), browser.page.html)
  const { sub } = claimsOf((await redeem(lido, 'app-hijack', browser)).body.id_token)
  const [user] = await rowsOf<{ poolId: string }>(lido, `select pool_id from users where id = '${sub}'`)
  assert.equal(user?.poolId, here.id)
  assert.equal(await countOf(lido, `links where home_pool_id = '${pool.id}'`), 0)
})

test('what no database keeps is left out of what an upstream says, and a name that cannot be kept is none', async () => {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const headers = request.headers as Record<string, string>
    const { status, text } = await provider.fetch(provider.issuer + request.url, {
      headers,
      body: Buffer.concat(chunks).toString(),
    })
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(text())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = await openProvider({ issuer, clientId: 'odd' })
  try {
    const settings = { issuer, client_id: 'odd', authentication: 'none' }
    const pool = await makeFederated(lido, 'odd')
    const upstream = JSON.stringify({ ...pool.upstream, linking: 'offer', settings })
    await lido.services.db.updateTable('pools').set({ upstream }).where('id', '=', pool.id).execute()
    const home = await makePool(lido, 'odd-home')
    const made = await makeWorkspace(lido, 'odd', [{ pool }, { pool: home }])
    await makeClient(lido, made.id)
    const come = async (claims: Record<string, unknown>) => {
      const browser = openBrowser(lido.url)
      const left = await visit(lido, 'odd', { browser, idp_hint: 'odd' }).catch(() => browser)
      const { fields } = await provider.signIn(new URL(left.page.url), claims)
      await browser.get(`${lido.url}/callback/${made.connections.odd}?${new URLSearchParams(fields)}`)
      return browser
    }
    const odd = {
      given_name: 'A\0da',
      nickname: 'half \ud800',
      roles: ['e\0d'],
      groups: ['\0'],
      'x\0': 1,
      deep: { a: ['\0'] },
    }
    const ada = await come({ sub: 'ada', email: 'ada@example.org', email_verified: true, family_name: 'L', ...odd })
    assert.ok(isSignedIn(ada), ada.page.html)
    for (const sub of ['a\0da', 'ada\ud800', 'a'.repeat(4000)]) {
      const refused = await come({ sub })
      assert.match(refused.page.alert ?? '', /could not confirm/, `${refused.page.status} ${refused.page.html}`)
    }
    const bomb = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000))
    const deep = await come({ sub: 'deep', bomb }).catch(() => undefined)
    if (deep) assert.ok(deep.page.status < 500, deep.page.html)
    assert.equal((await usersOf(pool.id)).length, 1)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

describe('several connections', () => {
  let ids: Record<string, string>
  before(async () => {
    const local = await makePool(lido, 'staff', { sign_in_methods: ['password'] })
    const shown = await makeFederated(lido, 'partner')
    const hidden = await makeFederated(lido, 'backdoor')
    const made = await makeWorkspace(lido, 'several', [
      { pool: local },
      { pool: shown, domains: ['partner.example'] },
      { pool: hidden, hidden: true },
    ])
    ids = made.connections
    await makeClient(lido, made.id)
    const [upstream] = await rowsOf<{ id: string }>(lido, `select id from workspaces where slug = 'upstream'`)
    for (const slug of ['partner', 'backdoor'])
      await makeUpstreamClient(lido, upstream?.id ?? '', slug, ids[slug] ?? '')
  })

  test('are buttons in their order, and a hidden one is none', async () => {
    const browser = await visit(lido, 'several')
    await browser.get(`${browser.page.url}?view=choose`)
    assert.equal(browser.page.step, 'choose')
    assert.match(browser.page.html, /Pool staff[\s\S]*Continue with Pool partner/)
    assert.doesNotMatch(browser.page.html, /backdoor/)
  })

  test('a chosen one is reached by way of a page, for forms may lead to no other origin', async () => {
    const browser = await visit(lido, 'several')
    await browser.get(`${browser.page.url}?view=choose`)
    const [, pool] = browser.page.html.match(/value="([0-9a-f-]{36})" aria-labelledby="pool-2/) ?? []
    await browser.submit({ pool: pool ?? '' })
    assert.match(browser.page.url, /\/w\/upstream\/signin\//)
    await proveThere(browser)
    assert.ok(isSignedIn(browser), browser.page.html)
  })

  for (const hint of ['backdoor', 'Pool backdoor', 'the id'])
    test(`a hint leads to a hidden one: ${hint}`, async () => {
      const browser = await visit(lido, 'several', { idp_hint: hint === 'the id' ? (ids.backdoor ?? '') : hint })
      assert.match(browser.page.url, /\/w\/upstream\/signin\//)
    })

  test('an address leads to the one that its domain belongs to, and is told it', async () => {
    const browser = await visit(lido, 'several')
    await browser.submit({ identifier: 'ada@partner.example' })
    assert.match(browser.page.html, /value="ada@partner.example"/)
    const hinted = await visit(lido, 'several', { login_hint: 'ada@partner.example' })
    assert.match(hinted.page.url, /\/w\/upstream\/signin\//)
  })
})

describe('what the upstream says of how somebody was known', () => {
  test('counts where it is trusted', async () => {
    await makeWorld(lido, { name: '-trusted', trust: { acr: true, auth_time: true } })
    const browser = await comeFrom(lido, 'app-trusted')
    const claims = claimsOf((await redeem(lido, 'app-trusted', browser)).body.id_token)
    assert.deepEqual(claims.amr, ['pwd'])
  })

  test('and says nothing where it is not', async () => {
    const browser = await comeFrom(lido, 'app')
    const claims = claimsOf((await redeem(lido, 'app', browser)).body.id_token)
    assert.ok(!claims.amr || (claims.amr as string[]).length === 0, JSON.stringify(claims.amr))
  })
})

test('the second factor of the pool is asked for here', async () => {
  await makeWorld(lido, { name: '-second', settings: { second_factor: 'required', second_factors: ['totp'] } })
  const browser = await comeFrom(lido, 'app-second')
  assert.equal(browser.page.step, 'enrol', browser.page.html)
})

test('no door of ours opens a federated pool', async () => {
  const recover = openBrowser(lido.url)
  await recover.get(`${lido.url}/w/app/recover`)
  assert.equal(recover.page.status, 404)
  for (const view of ['identify', 'recover', 'register']) {
    const browser = await visit(lido, 'app')
    const place = `${lido.url}/w/app/signin/`
    const uid = [...browser.cookies.values()]
      .map(({ path }) => path.match(/^\/w\/app\/signin\/(.+)$/)?.[1])
      .find(Boolean)
    await browser.get(`${place}${uid}?view=${view}`)
    assert.match(browser.page.url, /\/w\/upstream\/signin\//)
  }
  assert.equal(await countOf(lido, `challenges where pool_id = '${world.here.id}'`), 0)
})

test('the other side of a connection finds the keys that we sign with, and of others nothing', async () => {
  const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'a-private-part', kid: 'k1' }
  const pool = await makeFederated(lido, 'signing')
  const settings = { ...pool.upstream?.settings, authentication: 'private_key_jwt', private_key: JSON.stringify(jwk) }
  await lido.services.db
    .updateTable('pools')
    .set({ upstream: JSON.stringify({ ...pool.upstream, settings }) })
    .where('id', '=', pool.id)
    .execute()
  const made = await makeWorkspace(lido, 'signing', [{ pool }])
  const told = await fetch(`${lido.url}/callback/${made.connections.signing}/metadata`)
  const text = await told.text()
  assert.deepEqual(JSON.parse(text).keys[0].kid, 'k1')
  assert.ok(!text.includes('a-private-part'))
  assert.equal((await fetch(`${lido.url}/callback/${world.connection}/metadata`)).status, 404)
  assert.equal((await fetch(`${lido.url}/callback/no-connection/metadata`)).status, 404)
})

test('nothing secret of the way there and back is kept open or logged', async () => {
  const { browser, callback } = await leaveAndProve('app')
  const code = new URL(callback).searchParams.get('code') ?? ''
  const state = new URL(callback).searchParams.get('state') ?? ''
  await browser.get(callback)
  assert.ok(isSignedIn(browser))
  const kept = JSON.stringify(await rowsOf(lido, 'select * from departures'))
  const log = lido.lines.join('')
  for (const secret of [code, state]) {
    assert.ok(!kept.includes(secret))
    assert.ok(!log.includes(secret))
  }
})

test('whoever signs out here signs out at the upstream too, where the pool says so, and comes back', async () => {
  const { connection, workspaceId } = await makeWorld(lido, { name: '-leaving', logout: true })
  const [upstream] = await rowsOf<{ id: string }>(lido, `select id from workspaces where slug = 'upstream-leaving'`)
  const { services } = lido
  await services.db
    .updateTable('clients')
    .set({
      metadata: JSON.stringify({
        ...(
          await services.db.selectFrom('clients').select('metadata').where('id', '=', 'here-leaving').executeTakeFirst()
        )?.metadata,
        post_logout_redirect_uris: [`${lido.url}/callback/${connection}/logout`],
      }),
    })
    .where('workspaceId', '=', upstream?.id ?? '')
    .where('id', '=', 'here-leaving')
    .execute()
  const browser = await comeFrom(lido, 'app-leaving')
  assert.ok(isSignedIn(browser), browser.page.html)
  const { body } = await redeem(lido, 'app-leaving', browser)
  const there = `artifacts where kind = 'Session' and payload ? 'accountId' and workspace_id = '${upstream?.id}'`
  assert.equal(await countOf(lido, there), 1)
  await browser.get(`${lido.url}/w/app-leaving/logout?id_token_hint=${body.id_token}`)
  // Either side may want to be told that it is meant.
  while (browser.page.step === 'logout') await browser.submit({ logout: 'yes' })
  assert.match(browser.page.url, /\/w\/app-leaving\/logout\/success/, browser.page.html)
  assert.equal(await countOf(lido, there), 0)
  assert.equal(await countOf(lido, `upstream_sessions where workspace_id = '${workspaceId}'`), 0)
  const stranger = await fetch(`${lido.url}/callback/${connection}/logout?state=https://evil.example`, {
    redirect: 'manual',
  })
  assert.equal(stranger.status, 410)
})
