import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { type Browser, openBrowser } from '../browser-testing.ts'
import type { Clock } from '../platform/clock.ts'
import { sha256 } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  type Answer,
  anotherNode,
  makePool,
  makeWorkspace,
  type Node,
  password,
  payloadOf,
  post,
  refresh,
  type TestPool,
  type TestWorkspace,
  userinfo,
} from './fixtures-testing.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
let lido: TestLido
let node: Node
let people: TestPool
let workspace: TestWorkspace
let other: TestWorkspace
let late = 0
const clock: Clock = { now: () => new Date(Date.now() + late) }

before(async () => {
  lido = await testLido({}, { clock })
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  other = await makeWorkspace(lido, 'w2', { pools: [people] })
  const tv = { grant_types: [deviceGrant, 'refresh_token'] as const, redirect_uris: [] }
  for (const where of [workspace, other])
    for (const id of ['tv', 'tv2']) await where.client(id, { ...tv, grant_types: [...tv.grant_types] })
  await workspace.client('foreign', { grant_types: [deviceGrant], redirect_uris: [], first_party: false })
  await workspace.client('spa')
  for (const name of ['mike', 'anna']) await people.user(`${name}@example.org`)
  node = await anotherNode(lido)
})
after(async () => {
  await node.stop()
  await lido.stop()
})

const mike = 'mike@example.org'

interface Started {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
}

const begin = async (where = workspace, fields: Record<string, string> = {}): Promise<Started> => {
  const sent = { client_id: 'tv', scope: 'openid email', ...fields }
  const answer = await post(`${where.issuer}/device_authorization`, sent, { 'User-Agent': 'Televisor/1.0' })
  assert.equal(answer.status, 200, answer.text)
  return answer.body as unknown as Started
}

const poll = (code: string, fields: Record<string, string> = {}, issuer = workspace.issuer): Promise<Answer> =>
  post(`${issuer}/token`, { grant_type: deviceGrant, device_code: code, client_id: 'tv', ...fields })

const poller =
  (code: string) =>
  async (more: Record<string, string> = {}) =>
    (await poll(code, more)).body.error

/** Types a code and signs in, up to the question whether the device may come in. */
const enter = async (typed: string, email = mike, browser = openBrowser(lido.url), where = workspace) => {
  await browser.get(`/w/${where.slug}/device`)
  assert.match(browser.page.step ?? '', /^device$/)
  await browser.submit({ user_code: typed })
  if (browser.page.step === 'identify') await browser.submit({ identifier: email })
  if (browser.page.step === 'prove') await browser.submit({ password })
  return browser
}

const allow = (browser: Browser) => {
  assert.equal(browser.page.step, 'device-confirm', browser.page.html)
  return browser.submit({ decision: 'allow' })
}

/** Everybody's tries start anew. */
const forget = () => lido.services.db.deleteFrom('limits').execute()

test('a person lets a device in after signing in, and it gets tokens once', async () => {
  const begun = await begin(workspace, { scope: 'openid email offline_access' })
  assert.match(begun.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{3}-[BCDFGHJKLMNPQRSTVWXZ]{3}-[BCDFGHJKLMNPQRSTVWXZ]{3}$/)
  assert.equal((await poll(begun.device_code)).body.error, 'authorization_pending')
  const browser = await enter(begun.user_code)
  for (const told of ['The tv', 'Unknown', '127.0.0.1', mike]) assert.match(browser.page.html, new RegExp(told), told)
  assert.equal((await poll(begun.device_code)).body.error, 'slow_down')
  await allow(browser)
  assert.equal(browser.page.step, 'device-done', browser.page.html)
  const answer = await poll(begun.device_code)
  assert.equal(answer.status, 200, answer.text)
  const { access_token, refresh_token, id_token } = answer.body as Record<string, string>
  assert(id_token && refresh_token)
  assert.equal((await userinfo(workspace.issuer, access_token ?? '')).body.email, mike)
  const again = await refresh(workspace.issuer, refresh_token, { client_id: 'tv' })
  assert.equal(again.status, 200, again.text)
  const second = async () => assert.equal((await poll(begun.device_code)).body.error, 'invalid_grant')
  await second()
  assert.equal((await userinfo(workspace.issuer, String(again.body.access_token))).status, 200, 'a poll too many')
  late += 11_000
  await second().finally(() => {
    late = 0
  })
  assert.notEqual((await userinfo(workspace.issuer, String(again.body.access_token))).status, 200, 'a replay ends all')
})

test('a code in the address waits for the person to send it, however the address is spelt', async () => {
  const { user_code } = await begin()
  for (const path of ['/device', '/device/', '/Device', '/DEVICE/']) {
    const page = await fetch(`${lido.url}/w/w1${path}?user_code=${user_code}`)
    const html = await page.text()
    assert.match(page.headers.get('Content-Security-Policy') ?? '', /frame-ancestors 'none'/, path)
    assert.match(html, new RegExp(`value="${user_code}" id="field-user_code"`), path)
    assert.doesNotMatch(html, /submit\(\)/, path)
  }
})

test('a device stays signed in when the browser signs out', async () => {
  const begun = await begin(workspace)
  const browser = await enter(begun.user_code)
  await allow(browser)
  const { access_token } = (await poll(begun.device_code)).body
  await browser.get(`/w/${workspace.slug}/logout`)
  await browser.submit({ logout: 'yes' })
  assert.equal((await userinfo(workspace.issuer, String(access_token))).status, 200)
})

test('a code may be typed in small letters, without dashes and with spaces', async () => {
  for (const typed of [
    (code: string) => code.toLowerCase().replaceAll('-', ''),
    (code: string) => code.split('').join(' '),
  ]) {
    const { user_code } = await begin()
    const browser = await enter(typed(user_code))
    assert.equal(browser.page.step, 'device-confirm', browser.page.alert)
  }
})

test('the complete address only fills the code in', async () => {
  const { user_code, device_code, verification_uri_complete } = await begin()
  const browser = await enter((await begin()).user_code)
  await browser.get(verification_uri_complete)
  assert.equal(browser.page.step, 'device')
  assert(browser.page.html.includes(`value="${user_code}"`))
  assert.equal(await poller(device_code)(), 'authorization_pending')
  await browser.submit()
  await allow(browser)
  assert.equal((await poll(device_code)).status, 200)
})

test('whoever says no sends the device away, and its code is over', async () => {
  const { user_code, device_code } = await begin()
  const browser = await enter(user_code)
  await browser.submit({ decision: 'deny' })
  assert.equal(browser.page.step, 'device-cancelled', browser.page.html)
  assert.equal(await poller(device_code)(), 'access_denied')
  assert.equal((await enter(user_code)).page.step, 'device')
})

test('a client that is not first-party asks once and not twice', async () => {
  const { user_code, device_code } = await begin(workspace, { client_id: 'foreign' })
  const browser = await enter(user_code, 'anna@example.org')
  await allow(browser)
  assert.equal(browser.page.step, 'device-done')
  assert.equal((await poll(device_code, { client_id: 'foreign' })).status, 200)
})

test('a claim that is asked for by itself is shown where the device is let in, and told to it, also after a refresh', async () => {
  const claims = JSON.stringify({ id_token: { given_name: null }, userinfo: { family_name: null } })
  await workspace.client('reader', { grant_types: [deviceGrant, 'refresh_token'], redirect_uris: [] })
  const { user_code, device_code } = await begin(workspace, { client_id: 'reader', scope: 'openid', claims })
  const browser = await enter(user_code, 'anna@example.org')
  for (const told of ['Given name', 'Family name']) assert(browser.page.html.includes(told), told)
  await allow(browser)
  const first = await poll(device_code, { client_id: 'reader' })
  const next = await refresh(workspace.issuer, String(first.body.refresh_token), { client_id: 'reader' })
  for (const { body } of [first, next]) {
    assert.equal(payloadOf(String(body.id_token)).given_name, 'Mike')
    const info = (await userinfo(workspace.issuer, String(body.access_token))).body
    assert.deepEqual([info.family_name, 'given_name' in info], ['Miller', false])
  }
})

test('the same words answer every code that is not good, and every browser that tried too often', async () => {
  await forget()
  const used = await begin()
  await allow(await enter(used.user_code))
  const elsewhere = await begin(other)
  const browser = openBrowser(lido.url)
  const alerts = new Set<string>()
  for (const typed of [used.user_code, elsewhere.user_code, 'BBB-BBB-BBB', 'x', '%%%', 'BCD-FGH', 'B'.repeat(500)]) {
    await enter(typed, mike, browser)
    assert.deepEqual([browser.page.step, browser.page.status], ['device', 200], typed)
    alerts.add(browser.page.alert ?? '')
  }
  for (let tries = 0; tries < 30; tries += 1) await enter('BBB-BBB-BBC', mike, browser)
  const good = await begin()
  await enter(good.user_code, mike, browser)
  alerts.add(browser.page.alert ?? '')
  assert.equal(alerts.size, 1, [...alerts].join('\n'))
  assert.equal(browser.page.step, 'device')
  await forget()
  await allow(await enter(good.user_code))
})

test('fifty guesses at once count fifty', async () => {
  await forget()
  const browsers = Array.from({ length: 50 }, () => openBrowser(lido.url))
  await Promise.all(browsers.map((browser) => browser.get(`/w/${workspace.slug}/device`)))
  await Promise.all(browsers.map((browser) => browser.submit({ user_code: 'BBB-BBB-BBB' })))
  const rows = await lido.services.db.selectFrom('limits').select(['key', 'points']).execute()
  const counted = rows.filter(({ key }) => key.startsWith('user codes'))
  assert.deepEqual(
    counted.map(({ points }) => points).toSorted(),
    [30, 50],
    'everybody, of whom one address takes no more than it may, and this address',
  )
  await forget()
})

test('a form of another site lets nobody in', async () => {
  const { user_code } = await begin()
  const browser = openBrowser(lido.url)
  await browser.get(`/w/${workspace.slug}/device`)
  await browser.post(`/w/${workspace.slug}/device`, { user_code, confirm: 'yes', xsrf: 'guessed' })
  assert.equal(browser.page.step, 'device')
  assert.equal(browser.page.status, 400)
  await enter(user_code, mike, browser)
  const { action, fields } = formOf(browser.page.html)
  await browser.post(action, { ...fields, csrf: 'guessed', decision: 'allow' })
  assert.notEqual(browser.page.step, 'device-done')
})

const formOf = (html: string) => ({
  action: html.match(/<form[^>]*action="([^"]*)"/)?.[1] ?? '',
  fields: Object.fromEntries(
    [...html.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  ),
})

test('a browser without a session starts over, whatever it sends', async () => {
  for (const path of ['device/unknown', 'device/auth']) {
    const fresh = openBrowser(lido.url)
    await fresh.get(`/w/${workspace.slug}/${path}`)
    assert.deepEqual([fresh.page.status, fresh.page.step], [200, 'device'], path)
  }
  const bare = openBrowser(lido.url)
  await bare.post(`/w/${workspace.slug}/device`, { user_code: 'BBB-BBB-BBB', confirm: 'yes', xsrf: '' })
  assert.deepEqual([bare.page.status, bare.page.step], [200, 'device'])
})

test('of twenty polls at once one gets tokens, on any node', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { user_code, device_code } = await begin()
    await allow(await enter(user_code))
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        poll(device_code, {}, index % 2 === 0 ? workspace.issuer : node.issuer(workspace)),
      ),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array<number>(19).fill(400)])
    const won = answers.find(({ status }) => status === 200)
    assert.equal((await userinfo(workspace.issuer, String(won?.body.access_token))).status, 200)
  }
})

test('of people who let one device in at once, one does', async () => {
  const { user_code, device_code } = await begin()
  const browsers: Browser[] = []
  for (let index = 0; index < 6; index += 1)
    browsers.push(await enter(user_code, index % 2 === 0 ? mike : 'anna@example.org'))
  await Promise.all(browsers.map(allow))
  assert.equal(browsers.filter(({ page }) => page.step === 'device-done').length, 1)
  assert.equal((await poll(device_code)).status, 200)
  assert.equal((await poll(device_code)).body.error, 'invalid_grant')
})

test('who asks too often waits longer each time, on every node', async () => {
  const { device_code } = await begin()
  const here = poller(device_code)
  const there = async () => (await poll(device_code, {}, node.issuer(workspace))).body.error
  try {
    assert.equal(await here(), 'authorization_pending')
    assert.equal(await there(), 'slow_down')
    late += 6_000
    assert.equal(await here(), 'slow_down')
    late += 14_800
    assert.equal(await there(), 'authorization_pending')
    await expire(device_code)
    assert.equal(await here(), 'expired_token')
  } finally {
    late = 0
  }
})

/** Ten minutes go by for the engine, which has a clock of its own. */
const expire = (code: string) =>
  lido.services.db
    .updateTable('artifacts')
    .set({ payload: sql`payload || '{"exp": 1000}'` })
    .where('id', '=', sha256(code))
    .execute()

test('a code is of its client and its workspace, and what the database keeps of it is worth nothing', async () => {
  const { user_code, device_code } = await begin()
  await allow(await enter(user_code))
  assert.equal(await poller(device_code)({ client_id: 'tv2' }), 'invalid_grant')
  assert.equal((await poll(device_code, {}, other.issuer)).body.error, 'invalid_grant')
  assert.equal(await poller(`#${sha256(device_code)}`)(), 'invalid_grant')
  assert.equal(await poller(sha256(device_code))(), 'invalid_grant')
  const rows = await lido.services.db.selectFrom('artifacts').selectAll().where('kind', '=', 'DeviceCode').execute()
  const kept = JSON.stringify(rows) + lido.lines.join('\n')
  assert(!kept.includes(device_code) && !kept.includes(user_code.replaceAll('-', '')) && !kept.includes(user_code))
  assert.equal((await poll(device_code)).status, 200)
})

test('a person who is gone by the time the device asks gets it nothing', async () => {
  const id = await people.user('gone@example.org')
  const { user_code, device_code } = await begin()
  await allow(await enter(user_code, 'gone@example.org'))
  await lido.services.db.updateTable('users').set({ status: 'inactive' }).where('id', '=', id).execute()
  assert.equal((await poll(device_code)).body.error, 'invalid_grant')
})

test('a client that has not the grant type gets no code', async () => {
  const { status, body } = await post(`${workspace.issuer}/device_authorization`, { client_id: 'spa', scope: 'openid' })
  assert.deepEqual([status, body.error], [400, 'invalid_request'])
})
