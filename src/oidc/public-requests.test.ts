import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { openBrowser } from '../browser-testing.ts'
import { deviceGrant } from '../directory/client-metadata.ts'
import * as clients from '../directory/clients.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  type Answer,
  ask,
  basic,
  callback,
  eventually,
  makePool,
  makeWorkspace,
  post,
  type TestWorkspace,
} from './fixtures-testing.ts'
import { push, twenty } from './signer-testing.ts'

let late = 0
let lido: TestLido
let made = 0
before(async () => {
  const clock = { now: () => new Date(Date.now() + late) }
  lido = await testLido({ TRUSTED_PROXIES: '127.0.0.1' }, { clock })
})
after(() => lido.stop())

/** A workspace that bears five such requests a minute, with clients of all kinds. */
const workspace = async (public_requests_per_minute = 5) => {
  made += 1
  const pool = await makePool(lido, `p${made}`)
  const one = await makeWorkspace(lido, `w${made}`, { pools: [pool], settings: { public_requests_per_minute } })
  await one.client('spa')
  await one.client('tv', { grant_types: [deviceGrant], redirect_uris: [] })
  const secret = await one.client('web', { token_endpoint_auth_method: 'client_secret_basic' })
  return { one, secret }
}

const wanted = {
  response_type: 'code',
  scope: 'openid',
  redirect_uri: callback,
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_challenge_method: 'S256',
}

const from = (ip: string) => ({ 'X-Forwarded-For': ip })
const pushFrom = (where: TestWorkspace, ip: string, headers: Record<string, string> = {}) =>
  push(where, { ...wanted, client_id: 'spa' }, { ...from(ip), ...headers })
const beginFrom = ({ issuer }: TestWorkspace, ip: string): Promise<Answer> =>
  post(`${issuer}/device_authorization`, { client_id: 'tv', scope: 'openid' }, from(ip))
const kept = async ({ id }: TestWorkspace): Promise<number> => {
  const { db } = lido.services
  return (await db.selectFrom('artifacts').select('id').where('workspaceId', '=', id).execute()).length
}

test('of twenty requests at once that an application without a secret pushes, as many are kept as may be', async () => {
  const { one } = await workspace()
  const answers = await twenty(() => pushFrom(one, '203.0.113.1'))
  assert.equal(answers.filter(({ status }) => status === 201).length, 5)
  const refused = answers.filter(({ status }) => status === 429)
  assert.equal(refused.length, 15)
  for (const { body, headers } of refused) {
    assert.deepEqual(body, {
      error: 'temporarily_unavailable',
      error_description: 'Too many requests; try again in a moment',
    })
    assert.equal(headers.get('Retry-After'), '12')
    assert.equal(headers.get('Cache-Control'), 'no-store')
  }
  assert.equal(await kept(one), 5)
  late += 13_000
  assert.equal((await pushFrom(one, '203.0.113.1')).status, 201)
  assert.equal((await pushFrom(one, '203.0.113.1')).status, 429)
})

test('devices that begin are counted with them', async () => {
  const { one } = await workspace()
  for (let time = 0; time < 3; time += 1) assert.equal((await pushFrom(one, '203.0.113.1')).status, 201)
  for (let time = 0; time < 2; time += 1) assert.equal((await beginFrom(one, '203.0.113.1')).status, 200)
  const { status, body } = await beginFrom(one, '203.0.113.1')
  assert.deepEqual([status, body.error], [429, 'temporarily_unavailable'])
  assert.equal(await kept(one), 5)
})

test('another address, another workspace and a client with a secret are none the worse for it', async () => {
  const { one, secret } = await workspace()
  const { one: other } = await workspace()
  for (let time = 0; time < 6; time += 1) await pushFrom(one, '203.0.113.1')
  assert.equal((await pushFrom(one, '203.0.113.1')).status, 429)
  assert.equal((await pushFrom(one, '198.51.100.1')).status, 201)
  assert.equal((await pushFrom(other, '203.0.113.1')).status, 201)
  const signed = () => push(one, { ...wanted, client_id: 'web' }, { ...basic('web', secret), ...from('203.0.113.1') })
  assert((await twenty(signed)).every(({ status }) => status === 201))
  // Who only says to be that client is nobody.
  const wrong = await push(one, { ...wanted, client_id: 'web' }, { ...basic('web', 'wrong'), ...from('203.0.113.1') })
  assert.equal(wrong.status, 401)
})

test('a client that came by itself is counted, though it has a secret, until an operator trusts it', async () => {
  made += 1
  const pool = await makePool(lido, `p${made}`)
  const settings = { public_requests_per_minute: 2, registration: { mode: 'open' as const } }
  const one = await makeWorkspace(lido, `w${made}`, { pools: [pool], settings })
  const { body } = await ask(`${one.issuer}/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...from('203.0.113.1') },
    body: JSON.stringify({ redirect_uris: [callback], token_endpoint_auth_method: 'client_secret_basic' }),
  })
  const id = String(body.client_id)
  const pushed = async () => {
    const headers = { ...basic(id, String(body.client_secret)), ...from('203.0.113.1') }
    return (await push(one, { ...wanted, client_id: id }, headers)).status
  }
  assert.deepEqual([await pushed(), await pushed(), await pushed()], [201, 201, 429])
  const { db, clock } = lido.services
  const before = await clients.find(db, one.id, id)
  assert(before)
  const trusted = { workspaceId: one.id, before, ...before.metadata, first_party: true, status: 'active' as const }
  await clients.update(db, clock.now(), trusted, { kind: 'system' })
  await eventually(5000, async () => assert.equal(await pushed(), 201))
})

test('a sender of IPv6 is its /64, and a network bears ten times as much as an address', async () => {
  const { one } = await workspace(2)
  for (const tail of ['1', 'ffff:1']) assert.equal((await pushFrom(one, `2001:db8:1:1::${tail}`)).status, 201)
  assert.equal((await pushFrom(one, '2001:db8:1:1::abcd')).status, 429)
  let taken = 0
  for (let subnet = 2; subnet < 30; subnet += 1)
    if ((await pushFrom(one, `2001:db8:1:${subnet}::1`)).status === 201) taken += 1
  assert.equal(taken, 18)
})

test('a proof that a refused request was sent with is not remembered either', async () => {
  const { one } = await workspace(1)
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  const proof = () =>
    new SignJWT({ htu: `${one.issuer}/par`, htm: 'POST', jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt(Math.floor(lido.services.clock.now().getTime() / 1000))
      .sign(privateKey)
  const pushed = async () => (await pushFrom(one, '203.0.113.1', { DPoP: await proof() })).status
  assert.equal(await pushed(), 201)
  lido.statements.length = 0
  assert.equal(await pushed(), 429)
  // That it was refused is kept for whoever looks into it, at a pace of its own (docs/xray.md).
  const isWrite = (text: string) => /^\s*(insert|update|with)/i.test(text) && !/\b(traces|events)\b/.test(text)
  assert.deepEqual(lido.statements.filter(isWrite), [])
})

test('what cannot be asked for is refused as it always was, and uses nothing up', async () => {
  const { one } = await workspace(1)
  const odd = () => push(one, { ...wanted, client_id: 'spa', redirect_uri: `${callback}/x` }, from('203.0.113.1'))
  for (let time = 0; time < 3; time += 1) assert.equal((await odd()).status, 400)
  assert.equal((await pushFrom(one, '203.0.113.1')).status, 201)
})

test('what one sender is refused is not taken from everybody: registrations', async () => {
  made += 1
  const registration = { mode: 'open' as const, per_hour: 4, per_hour_and_network: 1 }
  const one = await makeWorkspace(lido, `w${made}`, { pools: [], settings: { registration } })
  const register = async (ip: string) => {
    const headers = { 'Content-Type': 'application/json', ...from(ip) }
    const body = JSON.stringify({ redirect_uris: [callback] })
    return (await ask(`${one.issuer}/register`, { method: 'POST', headers, body })).status
  }
  const greedy = await twenty(() => register('203.0.113.1'))
  assert.deepEqual(greedy.toSorted(), [201, ...Array<number>(19).fill(429)])
  for (const ip of ['198.51.100.1', '198.51.100.2', '198.51.100.3']) assert.equal(await register(ip), 201)
  assert.equal(await register('198.51.100.4'), 429)
})

test('what one sender is refused is not taken from everybody: documents of clients, and codes of devices', async () => {
  made += 1
  const registration = { client_id_documents: 'on' as const }
  const one = await makeWorkspace(lido, `w${made}`, { pools: [], settings: { registration } })
  await one.client('tv', { grant_types: [deviceGrant], redirect_uris: [] })
  const { fetch } = lido.services
  let fetched = 0
  lido.services.fetch = async () => {
    fetched += 1
    throw new Error('A request to another server failed')
  }
  const pointsOf = async (kind: string): Promise<number | undefined> => {
    const rows = await lido.services.db.selectFrom('limits').select(['key', 'points']).execute()
    return rows.find(({ key }) => key.startsWith(`${kind}:`) && key.includes(one.id))?.points
  }
  try {
    const askAs = (n: number, ip: string) =>
      ask(`${one.issuer}/authorize?client_id=https://app.example.org/${ip}/${n}`, { headers: from(ip) })
    await Promise.all(Array.from({ length: 100 }, (_, n) => askAs(n, '203.0.113.1')))
    assert.deepEqual([fetched, await pointsOf('client documents')], [60, 60])
    // Somebody with many addresses of one network is one somebody, too.
    for (let subnet = 0; subnet < 14; subnet += 1)
      await Promise.all(Array.from({ length: 50 }, (_, n) => askAs(n, `2001:db8:1:${subnet}::1`)))
    assert.equal(fetched, 660)
  } finally {
    lido.services.fetch = fetch
  }
  const browser = openBrowser(lido.url)
  const at = `${one.issuer}/device`
  for (let time = 0; time < 35; time += 1) {
    await browser.get(at)
    await browser.submit({ user_code: 'BCDF-GHJK' })
  }
  assert.equal(await pointsOf('user codes'), 30)
})
