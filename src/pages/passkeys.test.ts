import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { payloadOf } from '../oidc/fixtures-testing.ts'
import { openAuthenticator, type Twist } from '../signin/authenticator-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  atOnce,
  countOf,
  hiddenOf,
  isSignedIn,
  likeness,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  rowsOf,
  type Visit,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { givePasskey, optionsOn } from './passkeys-testing.ts'
import { codeFor, codesOn, giveTotp, heldBy, movableClock } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let first: Pool
let other: Pool
let second: Pool
let both: Pool
before(async () => {
  lido = await testLido({}, { clock })
  first = await makePool(lido, 'first', { sign_in_methods: ['password', 'passkey', 'email_code'] })
  other = await makePool(lido, 'other', { sign_in_methods: ['passkey', 'email_code'], self_registration: true })
  const factors = ['passkey', 'recovery_code'] as const
  second = await makePool(lido, 'second', { second_factor: 'required', second_factors: [...factors] })
  both = await makePool(lido, 'both', {
    sign_in_methods: ['password', 'passkey'],
    second_factor: 'required',
    second_factors: ['passkey', 'totp'],
  })
  const codes = await makePool(lido, 'codes', { sign_in_methods: ['email_code'] })
  for (const pool of [first, other, second, both, codes]) {
    const workspace = await makeWorkspace(lido, pool.slug, [{ pool }])
    await makeClient(lido, workspace.id)
    await makeClient(lido, workspace.id, { id: 'second-app' })
  }
  const two = await makeWorkspace(lido, 'two', [{ pool: first }, { pool: other }])
  await makeClient(lido, two.id)
})
after(() => lido.stop())

let count = 0
/** Somebody of a pool with a passkey. */
const pia = async (pool = first, more: Parameters<typeof givePasskey>[3] = {}) => {
  count += 1
  const email = `pia-${count}@example.org`
  const id = await makeUser(lido, pool, email)
  return { id, email, key: await givePasskey(lido, pool, id, more) }
}

/** Answers the question of the sign-in page, as the script does. */
const useOn = (browser: Browser, credential: string) =>
  browser.post(browser.page.url.replace(/(\?.*)?$/, '?view=identify'), {
    csrf: hiddenOf(browser.page.html).csrf ?? '',
    credential,
  })

const enterPassword = async (workspace: string, email: string, more: Record<string, string> = {}): Promise<Visit> => {
  const browser = await visitAs(lido, workspace, email)
  await browser.submit({ password, ...more })
  return browser
}
const claimsOf = async (workspace: string, browser: Visit) =>
  payloadOf((await redeem(lido, workspace, browser)).body.id_token ?? '')
const eventsOf = (id: string, type: string) => countOf(lido, `events where user_id = '${id}' and type = '${type}'`)

test('whoever has a passkey signs in without a name, and it stands for two factors', async () => {
  const { id, key } = await pia()
  const browser = await visit(lido, 'first')
  assert.equal(browser.page.step, 'identify')
  assert.match(browser.page.html, /autocomplete="username webauthn"/)
  const options = optionsOn(browser)
  assert.deepEqual([options.rpId, options.userVerification, options.allowCredentials], ['localhost', 'required', []])
  assert.ok(Buffer.from(options.challenge, 'base64url').length >= 16)
  await useOn(browser, key.get(options))
  assert.ok(isSignedIn(browser), browser.page.html)
  const claims = await claimsOf('first', browser)
  assert.equal(claims.sub, id)
  assert.deepEqual([claims.amr, claims.acr], [['pop', 'user', 'mfa'], 'phr'])
  assert.equal(await eventsOf(id, 'sign_in.succeeded'), 1)
})

const twists: [string, Twist][] = [
  ['was made for another origin', { origin: 'https://evil.example' }],
  ['was made for an origin that only begins like ours', { origin: 'http://localhost.evil.example' }],
  ['was made for another port', { origin: 'http://localhost:1' }],
  ['was made for another RP ID', { rpId: 'evil.example' }],
  ['is of another type', { type: 'webauthn.create' }],
  ['was made in a frame of another site', { crossOrigin: true }],
  ['names a top origin', { topOrigin: 'https://evil.example' }],
  ['was made with nobody present', { present: false }],
  ['was made without the user verified', { verified: false }],
  ['is backed up and cannot be', { backupEligible: false, backedUp: true }],
  ['is not what could be backed up before', { backupEligible: false, backedUp: false }],
  ['is signed with another key', { forged: true }],
  ['names nobody', { userHandle: null }],
  ['names somebody else', { userHandle: Buffer.alloc(32, 7).toString('base64url') }],
  ['holds a challenge of nobody', { challenge: Buffer.alloc(54, 7).toString('base64url') }],
  ['holds no challenge', { challenge: '' }],
  ['is of a passkey that nobody has', { id: Buffer.alloc(32, 9).toString('base64url') }],
]
for (const [why, twist] of twists)
  test(`A31: an assertion that ${why} is refused, and the right one is taken after it`, async () => {
    const { id, key } = await pia()
    const browser = await visit(lido, 'first')
    await useOn(browser, key.get(optionsOn(browser), twist))
    assert.equal(isSignedIn(browser), false)
    assert.equal(browser.page.step, 'identify', browser.page.html)
    assert.match(browser.page.alert ?? '', /does not work here|took too long/)
    assert.equal(await eventsOf(id, 'sign_in.succeeded'), 0)
    await useOn(browser, key.get(optionsOn(browser)))
    assert.ok(isSignedIn(browser), browser.page.html)
  })

test('what is no assertion at all breaks nothing', async () => {
  const browser = await visit(lido, 'first')
  const { key } = await pia()
  const right = JSON.parse(key.get(optionsOn(browser)))
  const odd = [
    '',
    '{}',
    'null',
    '[]',
    '{"id":{"$gt":""}}',
    'x'.repeat(30_000),
    JSON.stringify({ ...right, id: `${right.id}=` }),
    JSON.stringify({ ...right, rawId: 'AAAA' }),
    JSON.stringify({ ...right, id: 'A'.repeat(1365), rawId: 'A'.repeat(1365) }),
    JSON.stringify({ ...right, response: { ...right.response, clientDataJSON: 'AAAA' } }),
    JSON.stringify({ ...right, response: { ...right.response, authenticatorData: 'AAAA' } }),
    JSON.stringify({ ...right, response: { ...right.response, signature: 'AAAA' } }),
  ]
  for (const credential of odd) {
    await useOn(browser, credential)
    assert.equal(browser.page.status, 200)
    assert.equal(browser.page.step, 'identify', credential.slice(0, 40))
  }
})

test('A31: an assertion is taken once, here and in every other sign-in', async () => {
  const { id, key } = await pia()
  const browser = await visit(lido, 'first')
  const stranger = await visit(lido, 'first')
  const assertion = key.get(optionsOn(browser), { counter: 0 })
  await useOn(stranger, assertion)
  assert.equal(isSignedIn(stranger), false)
  await useOn(browser, assertion)
  assert.ok(isSignedIn(browser))
  for (const workspace of ['first', 'two']) {
    const again = await visit(lido, workspace)
    await useOn(again, assertion)
    assert.equal(isSignedIn(again), false)
  }
  assert.equal(await eventsOf(id, 'sign_in.succeeded'), 1)
})

test('a challenge is good at the client that it was made for', async () => {
  const { key } = await pia()
  const browser = await visit(lido, 'first')
  const elsewhere = await visit(lido, 'first', { client_id: 'second-app' })
  await useOn(elsewhere, key.get(optionsOn(browser)))
  assert.equal(isSignedIn(elsewhere), false)
})

test('a challenge is good for five minutes', async () => {
  const { key } = await pia()
  const browser = await visit(lido, 'first')
  const assertion = key.get(optionsOn(browser))
  clock.pass(301)
  await useOn(browser, assertion)
  assert.match(browser.page.alert ?? '', /took too long/)
  await useOn(browser, key.get(optionsOn(browser)))
  assert.ok(isSignedIn(browser))
})

test('of twenty posts of one assertion at once one is a success', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { id, key } = await pia()
    const browser = await visit(lido, 'first')
    const credential = key.get(optionsOn(browser), { counter: 0 })
    await browser.get(`${browser.page.url}?view=identify`)
    await atOnce(lido, browser, Array<{ credential: string }>(20).fill({ credential }))
    assert.equal(await eventsOf(id, 'sign_in.succeeded'), 1)
    assert.equal(await countOf(lido, `artifacts where kind = 'Session' and user_id = '${id}'`), 0)
  }
})

test('of twenty answers of a copied passkey in as many browsers, none that counts less than another comes after it', async () => {
  const { id, key } = await pia()
  const browsers = await Promise.all(Array.from({ length: 20 }, () => visit(lido, 'first')))
  await Promise.all(browsers.map((browser) => useOn(browser, key.get(optionsOn(browser), { counter: 5 }))))
  assert.equal(browsers.filter(isSignedIn).length, 1)
  assert.equal(await eventsOf(id, 'user.passkey_refused'), 19)
})

test('a counter that goes back is recorded and refused; one that never counts is not', async () => {
  const { id, key } = await pia(first, { counter: 10 })
  const browser = await visit(lido, 'first')
  for (const counter of [10, 3, 0]) {
    await useOn(browser, key.get(optionsOn(browser), { counter }))
    assert.equal(isSignedIn(browser), false)
  }
  const [event] = await rowsOf<{ data: object }>(
    lido,
    `select data from events where user_id = '${id}' and type = 'user.passkey_refused' order by id`,
  )
  assert.deepEqual({ ...event?.data, credential: '' }, { credential: '', counter: 10, known: 10 })
  await useOn(browser, key.get(optionsOn(browser), { counter: 11 }))
  assert.ok(isSignedIn(browser))
  const uncounted = await pia()
  for (let n = 0; n < 2; n += 1) {
    const again = await visit(lido, 'first')
    await useOn(again, uncounted.key.get(optionsOn(again), { counter: 0 }))
    assert.ok(isSignedIn(again))
  }
})

test('what an authenticator says of backups is kept as it changes', async () => {
  const { id, key } = await pia()
  const browser = await visit(lido, 'first')
  await useOn(browser, key.get(optionsOn(browser), { backedUp: false }))
  assert.ok(isSignedIn(browser))
  const [row] = await rowsOf<{ data: Record<string, unknown>; usedAt: Date }>(
    lido,
    `select data, used_at from credentials where user_id = '${id}' and kind = 'passkey'`,
  )
  assert.deepEqual([row?.data.backup_eligible, row?.data.backed_up, row?.data.counter], [true, false, 1])
  assert.ok(row?.usedAt)
})

test('A31: a passkey comes in where its pool is connected and takes passkeys, and nowhere else', async () => {
  const known = await pia(other)
  for (const [workspace, comesIn] of [
    ['first', false],
    ['two', true],
    ['other', true],
  ] as const) {
    const browser = await visit(lido, workspace)
    if (browser.page.step === 'choose') await browser.submit({ pool: other.id })
    await useOn(browser, known.key.get(optionsOn(browser)))
    assert.equal(isSignedIn(browser), comesIn, workspace)
  }
  const chosen = await visit(lido, 'two')
  await chosen.submit({ pool: first.id })
  await useOn(chosen, known.key.get(optionsOn(chosen)))
  assert.equal(isSignedIn(chosen), false)
  const none = await visit(lido, 'codes')
  assert.doesNotMatch(none.page.html, /data-passkey|webauthn/)
  await useOn(none, known.key.get({ challenge: 'AAAA', rpId: 'localhost' }))
  assert.equal(isSignedIn(none), false)
})

test('a passkey of somebody who is not active any more is nobody’s', async () => {
  const { id, key } = await pia()
  await users.setStatus(lido.services.db, clock.now(), first.id, id, 'inactive')
  const browser = await visit(lido, 'first')
  await useOn(browser, key.get(optionsOn(browser)))
  assert.equal(isSignedIn(browser), false)
  assert.match(browser.page.alert ?? '', /does not work here/)
})

test('A31: the passkey of one person does not let them in as another', async () => {
  const [attacker, victim] = [await pia(), await pia()]
  const browser = await visitAs(lido, 'first', victim.email)
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'passkey' })
  assert.deepEqual(optionsOn(browser).allowCredentials, [])
  await browser.submit({ credential: attacker.key.get(optionsOn(browser)) })
  assert.equal(isSignedIn(browser), false)
  await browser.submit({ credential: attacker.key.get(optionsOn(browser), { userHandle: victim.key.handle }) })
  assert.equal(isSignedIn(browser), false)
  await browser.submit({ credential: attacker.key.get(optionsOn(browser), { id: victim.key.id }) })
  assert.equal(isSignedIn(browser), false)
  await browser.submit({ credential: victim.key.get(optionsOn(browser), { verified: false }) })
  assert.equal(isSignedIn(browser), false)
  await browser.submit({ credential: victim.key.get(optionsOn(browser)) })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('the page of a passkey is the same for a stranger', async () => {
  const { email } = await pia(other)
  const seen = []
  for (const name of [email, 'passer-by@example.org']) {
    const browser = await visitAs(lido, 'other', name)
    const pages = [likeness(browser, name)]
    await browser.submit({ credential: openAuthenticator(lido.url).get(optionsOn(browser)) })
    pages.push(likeness(browser, name))
    seen.push(pages)
  }
  assert.deepEqual(seen[1], seen[0])
})

test('a passkey still lets in whose password was tried too often', async () => {
  const { email, key } = await pia()
  const browser = await visitAs(lido, 'first', email)
  await atOnce(
    lido,
    browser,
    Array.from({ length: 30 }, (_, n) => ({ password: `wrong ${n}` })),
  )
  await browser.get(browser.page.url)
  await browser.submit({ password })
  assert.match(browser.page.alert ?? '', /Too many tries/)
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'passkey' })
  await browser.submit({ credential: key.get(optionsOn(browser)) })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('after a password a passkey is the second factor by being there, and the page names those that are held', async () => {
  const { id, email, key } = await pia(second)
  const browser = await enterPassword('second', email)
  assert.equal(browser.page.step, 'prove', browser.page.html)
  const options = optionsOn(browser)
  assert.equal(options.userVerification, 'preferred')
  assert.deepEqual(
    options.allowCredentials.map((one: { id: string }) => one.id),
    [key.id],
  )
  await browser.submit({ credential: (await pia(second)).key.get(options) })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ credential: key.get(optionsOn(browser), { verified: false, userHandle: null }) })
  assert.ok(isSignedIn(browser), browser.page.html)
  const claims = await claimsOf('second', browser)
  assert.deepEqual([claims.sub, claims.amr, claims.acr], [id, ['pwd', 'pop', 'user', 'mfa'], 'phr'])
})

test('where two factors are required, a passkey that knows its user is both', async () => {
  const { key } = await pia(both)
  const browser = await visit(lido, 'both')
  await useOn(browser, key.get(optionsOn(browser), { verified: false }))
  assert.equal(isSignedIn(browser), false)
  await useOn(browser, key.get(optionsOn(browser)))
  assert.ok(isSignedIn(browser))
})

test('a session steps up by a passkey', async () => {
  const { email, key } = await pia()
  const browser = await visit(lido, 'first')
  await browser.submit({ identifier: email })
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
  await visit(lido, 'first', { browser, acr_values: 'phr' })
  assert.equal(browser.page.step, 'prove', browser.page.html)
  await browser.submit({ credential: key.get(optionsOn(browser)) })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('whoever has to have a passkey makes one inside the sign-in, named by browser and system', async () => {
  const id = await makeUser(lido, second, 'enrol@example.org')
  const agent = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36'
  const browser = await enterPassword('second', 'enrol@example.org')
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  const options = optionsOn(browser)
  assert.equal(Buffer.from(options.user.id, 'base64url').length, 32)
  assert.ok(!JSON.stringify(options.user.id).includes(id))
  assert.deepEqual(options.authenticatorSelection.userVerification, 'required')
  const key = openAuthenticator(lido.url)
  await browser.submit({ credential: key.create(options) }, { 'User-Agent': agent })
  assert.equal(browser.page.step, 'recovery-codes', browser.page.html)
  assert.equal(codesOn(browser).length, 10)
  await browser.submit()
  assert.ok(isSignedIn(browser))
  assert.deepEqual((await claimsOf('second', browser)).amr, ['pwd', 'pop', 'user', 'mfa'])
  const [row] = await rowsOf<{ data: Record<string, unknown> }>(
    lido,
    `select data from credentials where user_id = '${id}' and kind = 'passkey'`,
  )
  const { credential_id, name, user_handle, transports, rp_id } = row?.data ?? {}
  assert.deepEqual(
    [credential_id, name, user_handle, transports, rp_id],
    [key.id, 'Chrome on Windows', options.user.id, ['internal', 'hybrid'], 'localhost'],
  )
  assert.equal(await eventsOf(id, 'user.credential_added'), 1)
  assert.match((await lido.message('enrol@example.org')).subject, /passkey was added/)
  const again = await enterPassword('second', 'enrol@example.org')
  await again.submit({ credential: key.get(optionsOn(again)) })
  assert.ok(isSignedIn(again), again.page.html)
})

const creations: [string, Twist & { algorithm?: number; fmt?: string; idBytes?: number }][] = [
  ['was made for another origin', { origin: 'https://evil.example' }],
  ['was made for another RP ID', { rpId: 'evil.example' }],
  ['is of another type', { type: 'webauthn.get' }],
  ['was made in a frame of another site', { crossOrigin: true }],
  ['was made with nobody present', { present: false }],
  ['was made without the user verified', { verified: false }],
  ['is backed up and cannot be', { backupEligible: false, backedUp: true }],
  ['has an algorithm that was not asked for', { algorithm: -47 }],
  ['brings an attestation that was not asked for', { fmt: 'tpm' }],
  ['has a longer id than there can be', { idBytes: 1024 }],
  ['holds a challenge of nobody', { challenge: Buffer.alloc(54, 7).toString('base64url') }],
]
for (const [why, twist] of creations)
  test(`A31: a new passkey that ${why} is refused`, async () => {
    count += 1
    const email = `refused-${count}@example.org`
    const id = await makeUser(lido, second, email)
    const browser = await enterPassword('second', email)
    await browser.submit({ credential: openAuthenticator(lido.url).create(optionsOn(browser), twist) })
    assert.equal(browser.page.step, 'enrol', browser.page.html)
    assert.match(browser.page.alert ?? '', /could not be added|check your answers/)
    assert.deepEqual(await heldBy(lido, id), ['password'])
  })

test('A31: nobody registers the id of somebody else’s passkey, in whichever pool', async () => {
  const owner = await pia(first)
  for (const pool of [second, both]) {
    count += 1
    const email = `mike-${count}@example.org`
    const id = await makeUser(lido, pool, email)
    const browser = await enterPassword(pool.slug, email)
    if (browser.page.step === 'enrol' && !/data-options/.test(browser.page.html))
      await browser.submit({ method: 'passkey' })
    await browser.submit({ credential: openAuthenticator(lido.url).create(optionsOn(browser), { id: owner.key.id }) })
    assert.notEqual(browser.page.step, 'recovery-codes')
    assert.equal(isSignedIn(browser), false)
    assert.ok(!(await heldBy(lido, id)).includes('passkey'))
  }
  const browser = await visit(lido, 'first')
  await useOn(browser, owner.key.get(optionsOn(browser)))
  assert.ok(isSignedIn(browser))
})

test('A31: a passkey is made for whoever the challenge is about, whatever the body says', async () => {
  const [mike, eve] = ['mike-own@example.org', 'eve-own@example.org']
  const mikeId = await makeUser(lido, second, mike)
  const eveId = await makeUser(lido, second, eve)
  const [his, hers] = [await enterPassword('second', mike), await enterPassword('second', eve)]
  const credential = openAuthenticator(lido.url).create(optionsOn(his))
  await hers.submit({ credential, user_id: mikeId, userId: mikeId, user: mikeId })
  assert.equal(hers.page.step, 'enrol')
  assert.deepEqual(await heldBy(lido, mikeId), ['password'])
  assert.deepEqual(await heldBy(lido, eveId), ['password'])
})

test('of twenty posts of one new passkey at once there is one', async () => {
  const id = await makeUser(lido, second, 'crowd@example.org')
  const browser = await enterPassword('second', 'crowd@example.org')
  const credential = openAuthenticator(lido.url).create(optionsOn(browser))
  await atOnce(lido, browser, Array<{ credential: string }>(20).fill({ credential }))
  assert.deepEqual(
    (await heldBy(lido, id)).filter((kind) => kind === 'passkey'),
    ['passkey'],
  )
  assert.equal(await eventsOf(id, 'user.credential_added'), 1)
})

test('who signs in with a browser that can is offered a passkey, and is not asked again after “Not now”', async () => {
  const id = await makeUser(lido, first, 'offer@example.org')
  const plain = await enterPassword('first', 'offer@example.org')
  assert.ok(isSignedIn(plain), 'a browser whose script said nothing is not asked')
  const browser = await enterPassword('first', 'offer@example.org', { passkeys: 'able' })
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  assert.match(browser.page.html, /Sign in faster next time/)
  await browser.submit({ action: 'later' })
  assert.ok(isSignedIn(browser), browser.page.html)
  await visit(lido, 'first', { browser, prompt: 'login' })
  await browser.submit({ identifier: 'offer@example.org' })
  await browser.submit({ password, passkeys: 'able' })
  assert.ok(isSignedIn(browser), browser.page.html)
  const elsewhere = await enterPassword('first', 'offer@example.org', { passkeys: 'able' })
  const key = openAuthenticator(lido.url)
  await elsewhere.submit({ credential: key.create(optionsOn(elsewhere)) })
  assert.ok(isSignedIn(elsewhere), elsewhere.page.html)
  assert.deepEqual(await heldBy(lido, id), ['passkey', 'password'])
  const passwordless = await visit(lido, 'first')
  await useOn(passwordless, key.get(optionsOn(passwordless)))
  assert.ok(isSignedIn(passwordless))
  assert.ok(
    isSignedIn(await enterPassword('first', 'offer@example.org', { passkeys: 'able' })),
    'who has one is not asked',
  )
})

test('who was spared the second factor on this device is offered no passkey', async () => {
  const pool = await makePool(lido, 'spared', {
    sign_in_methods: ['password', 'passkey'],
    second_factor: 'optional',
    second_factors: ['totp'],
    remember_device_days: 30,
  })
  await makeClient(lido, (await makeWorkspace(lido, 'spared', [{ pool }])).id)
  const id = await makeUser(lido, pool, 'spared@example.org')
  const secret = await giveTotp(lido, pool, id)
  const browser = await enterPassword('spared', 'spared@example.org')
  await browser.submit({ code: codeFor(lido, secret), remember: 'true' })
  assert.ok(isSignedIn(browser), browser.page.html)
  await visit(lido, 'spared', { browser, prompt: 'login' })
  await browser.submit({ identifier: 'spared@example.org' })
  await browser.submit({ password, passkeys: 'able' })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('a pool needs no passwords: people register by a code and get a passkey', async () => {
  const browser = await visit(lido, 'other')
  await browser.get(browser.link('Create an account'))
  await browser.submit({ identifier: 'fresh@example.org', passkeys: 'able' })
  await browser.submit({ code: (await lido.message('fresh@example.org')).code })
  assert.equal(browser.page.step, 'enrol', browser.page.html)
  const key = openAuthenticator(lido.url)
  await browser.submit({ credential: key.create(optionsOn(browser)) })
  assert.ok(isSignedIn(browser), browser.page.html)
  const again = await visit(lido, 'other')
  await useOn(again, key.get(optionsOn(again)))
  assert.ok(isSignedIn(again))
})

test('a passkey that was made for another RP ID is not held here', async () => {
  const { id, key } = await pia()
  await lido.services.db
    .updateTable('credentials')
    .set({ data: JSON.stringify({ ...(await dataOf(id)), rp_id: 'elsewhere.example' }) })
    .where('poolId', '=', first.id)
    .where('userId', '=', id)
    .where('kind', '=', 'passkey')
    .execute()
  const browser = await visit(lido, 'first')
  await useOn(browser, key.get(optionsOn(browser)))
  assert.equal(isSignedIn(browser), false)
})

const dataOf = async (id: string) =>
  (
    await rowsOf<{ data: Record<string, unknown> }>(
      lido,
      `select data from credentials where user_id = '${id}' and kind = 'passkey'`,
    )
  )[0]?.data

test('nothing of a passkey is in the log or an event', async () => {
  const { key } = await pia()
  const browser = await visit(lido, 'first')
  const assertion = key.get(optionsOn(browser))
  await useOn(browser, assertion)
  assert.ok(isSignedIn(browser))
  const told = `${lido.lines.join('\n')}${JSON.stringify(await rowsOf(lido, 'select data from events'))}`
  for (const secret of [JSON.parse(assertion).response.signature, key.id, key.handle]) assert.ok(!told.includes(secret))
})
