import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import * as credentials from '../directory/credentials.ts'
import * as deletions from '../directory/deletions.ts'
import type { Pool } from '../directory/pools.ts'
import * as pools from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import { linksOf, openAccount, sentBy } from './account-testing.ts'
import {
  atOnce,
  countOf,
  isSignedIn,
  likeness,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  rowsOf,
  visitAs,
} from './fixtures-testing.ts'
import { codeFor, codesOn, giveTotp, heldBy, movableClock, secretOn } from './second-factor-testing.ts'

const clock = movableClock()
let lido: TestLido
let pool: Pool
let strict: Pool
let patient: Pool
before(async () => {
  lido = await testLido({}, { clock })
  pool = await makePool(lido, 'holders', {
    identifiers: ['email', 'mobile'],
    second_factor: 'optional',
    remember_device_days: 30,
    sign_in_methods: ['password', 'email_code', 'passkey'],
  })
  strict = await makePool(lido, 'strict', { second_factor: 'required' })
  patient = await makePool(lido, 'patient', { account_deletion_grace_days: 14 })
  for (const [slug, one] of [
    ['acme', pool],
    ['strict', strict],
    ['patient', patient],
  ] as const) {
    const workspace = await makeWorkspace(lido, slug, [{ pool: one }])
    await makeClient(lido, workspace.id)
  }
})
after(() => lido.stop())

const acme = '/w/acme/account'

const identifiersOf = (id: string) =>
  rowsOf<{ value: string; verified: boolean }>(
    lido,
    `select value, verified_at is not null as verified from identifiers where user_id = '${id}' order by value`,
  )

const eventsOf = (id: string, type: string, kind?: string) =>
  countOf(lido, `events where user_id = '${id}' and type = '${type}'${kind ? ` and data ->> 'kind' = '${kind}'` : ''}`)

/** At the page that waits for the code of a new address. */
const changing = async (name: string, to: string) => {
  const at = await openAccount(lido, name, { path: '/identifiers' })
  const [link = ''] = linksOf(at, `${acme}/identifiers/email-`)
  await at.get(link)
  await at.submit({ identifier: to })
  return at
}

test('an address is changed once the new one is proven; both are told', async () => {
  const id = await makeUser(lido, pool, 'old@example.org')
  const at = await changing('old@example.org', 'new@example.org')
  assert.match(at.page.html, /We sent a code to <strong[^>]*>|We sent a code to new@example.org/)
  assert.deepEqual(await identifiersOf(id), [{ value: 'old@example.org', verified: true }])
  await at.submit({ code: '000000' })
  assert.match(at.page.alert ?? '', /not right/)
  await at.submit({ code: (await lido.message('new@example.org')).code })
  assert.match(at.page.html, /The change is made/)
  assert.deepEqual(await identifiersOf(id), [{ value: 'new@example.org', verified: true }])
  assert.match((await lido.message('old@example.org')).text, /new@example\.org and no longer with old@example\.org/)
  assert.match((await lido.message('new@example.org', 1)).subject, /has changed/)
  assert.equal(await eventsOf(id, 'user.updated'), 1)
})

test('of twenty verifications of one change at once one makes it', async () => {
  const id = await makeUser(lido, pool, 'race@example.org')
  const at = await changing('race@example.org', 'raced@example.org')
  const { code } = await lido.message('raced@example.org')
  const answers = await atOnce(lido, at, Array(20).fill({ code }))
  const changed = answers.filter(({ headers }) => headers.get('Location')?.endsWith('?done=changed'))
  assert.equal(changed.length, 1)
  assert.equal(await eventsOf(id, 'user.updated'), 1)
  assert.deepEqual(await identifiersOf(id), [{ value: 'raced@example.org', verified: true }])
})

test('fifty wrong codes at once are five tries, and the right one comes too late', async () => {
  const id = await makeUser(lido, pool, 'guess@example.org')
  const at = await changing('guess@example.org', 'guessed@example.org')
  const { code } = await lido.message('guessed@example.org')
  await atOnce(lido, at, Array(50).fill({ code: code === '000000' ? '111111' : '000000' }))
  await at.submit({ code })
  assert.match(at.page.alert ?? '', /no longer valid/)
  assert.deepEqual(await identifiersOf(id), [{ value: 'guess@example.org', verified: true }])
})

test('the page tells no stranger from a user; who reads the code learns that the address is taken', async () => {
  await makeUser(lido, pool, 'taken@example.org')
  const id = await makeUser(lido, pool, 'asks@example.org')
  const at = await changing('asks@example.org', 'taken@example.org')
  const taken = likeness(at, 'taken@example.org')
  const { code } = await lido.message('taken@example.org')
  await at.submit({ code })
  assert.match(at.page.alert ?? '', /Another account here/)
  assert.deepEqual(await identifiersOf(id), [{ value: 'asks@example.org', verified: true }])
  const free = await changing('asks@example.org', 'free@example.org')
  assert.deepEqual(likeness(free, 'free@example.org'), taken)
})

test('an address that somebody takes meanwhile stays theirs', async () => {
  const id = await makeUser(lido, pool, 'slow@example.org')
  const at = await changing('slow@example.org', 'wanted@example.org')
  const { code } = await lido.message('wanted@example.org')
  await makeUser(lido, pool, 'wanted@example.org')
  await at.submit({ code })
  assert.match(at.page.alert ?? '', /Another account here/)
  assert.deepEqual(await identifiersOf(id), [{ value: 'slow@example.org', verified: true }])
})

test('a code is good in the session that asked for it, and nowhere else', async () => {
  await makeUser(lido, pool, 'bound@example.org')
  const at = await changing('bound@example.org', 'bound2@example.org')
  const { code } = await lido.message('bound2@example.org')
  const elsewhere = await openAccount(lido, 'bound@example.org', { path: '/sessions' })
  await elsewhere.send('/identifiers/code', { code })
  assert.match(elsewhere.page.alert ?? '', /no longer valid/)
  await at.submit({ code })
  assert.match(at.page.html, /The change is made/)
})

test('nobody adds more than one address of a kind, from however many windows', async () => {
  const id = await makeUser(lido, pool, 'two@example.org')
  const one = await openAccount(lido, 'two@example.org', { path: '/identifiers/mobile' })
  const other = await openAccount(lido, 'two@example.org', { path: '/identifiers/mobile' })
  await one.submit({ identifier: '+41795550201' })
  await other.submit({ identifier: '+41795550202' })
  const [first, second] = [await lido.message('+41795550201'), await lido.message('+41795550202')]
  await Promise.all([one.submit({ code: first.code }), other.submit({ code: second.code })])
  const held = (await identifiersOf(id)).map(({ value }) => value).filter((value) => value.startsWith('+'))
  assert.equal(held.length, 1)
  assert.equal((await one.get(`${acme}/identifiers/mobile`)).status, 404)
  assert.equal((await one.get(`${acme}/identifiers/email`)).status, 404)
})

test('a mobile number is added by a text message, and the mailbox hears of it', async () => {
  const id = await makeUser(lido, pool, 'phone@example.org')
  const at = await openAccount(lido, 'phone@example.org', { path: '/identifiers/mobile' })
  await at.submit({ identifier: 'nonsense' })
  assert.match(at.page.html, /aria-invalid="true"/)
  await at.submit({ identifier: '+41 79 555 01 02' })
  await at.submit({ code: (await lido.message('+41795550102')).code })
  assert.deepEqual(
    (await identifiersOf(id)).map(({ value }) => value),
    ['+41795550102', 'phone@example.org'],
  )
  assert.match((await lido.message('phone@example.org')).text, /\+41 79 555 01 02\./)
})

/** Sets a new password by the link of a mail, as the owner of the mailbox. */
const recover = async (name: string) => {
  const browser = openBrowser(lido.url)
  await browser.get('/w/acme/recover')
  await browser.submit({ identifier: name })
  const { code } = await lido.message(name)
  await browser.submit({ code, new_password: 'the owner is back again' })
  assert.match(browser.page.html, /Your new password is set/)
}

test('A03: a session that was there before a recovery is nobody’s at once', async () => {
  await makeUser(lido, pool, 'a03@example.org')
  const at = await openAccount(lido, 'a03@example.org', { path: '/sessions' })
  await recover('a03@example.org')
  assert.equal((await at.get(`${acme}/sessions`)).step, 'identify')
})

test('A04: who has not proven the address of an account adds no other to it, and what else was added does not stay', async () => {
  const id = await makeUser(lido, pool, 'a04@example.org', { verified: false })
  const at = await openAccount(lido, 'a04@example.org', { path: '/identifiers' })
  assert.match(at.page.html, /confirm your email address first/)
  assert.deepEqual(linksOf(at, `${acme}/identifiers/mobile`), [])
  assert.equal((await at.get(`${acme}/identifiers/mobile`)).status, 404)
  assert.equal((await at.send('/identifiers/mobile', { identifier: '+41795550199' })).status, 404)
  await giveTotp(lido, pool, id)
  await recover('a04@example.org')
  assert.deepEqual(await heldBy(lido, id), ['password'])
})

test('the address of an account is confirmed by a code, and nothing else can be put in its place before', async () => {
  const id = await makeUser(lido, pool, 'confirm@example.org', { verified: false })
  const at = await openAccount(lido, 'confirm@example.org', { path: '/identifiers' })
  const [link = ''] = linksOf(at, `${acme}/identifiers/email-`)
  await at.get(link)
  await at.submit({ identifier: 'evil@example.org' })
  await at.submit({ code: (await lido.message('confirm@example.org')).code })
  assert.deepEqual(await identifiersOf(id), [{ value: 'confirm@example.org', verified: true }])
})

test('A05: a change of address that waits dies with a recovery', async () => {
  const id = await makeUser(lido, pool, 'a05@example.org')
  const at = await changing('a05@example.org', 'evil05@example.org')
  const { code } = await lido.message('evil05@example.org')
  await recover('a05@example.org')
  await at.submit({ code })
  assert.equal(at.page.step, 'identify')
  const again = await openAccount(lido, 'a05@example.org', { path: '/sessions', password: 'the owner is back again' })
  await again.send('/identifiers/code', { code })
  assert.deepEqual(await identifiersOf(id), [{ value: 'a05@example.org', verified: true }])
})

test('an authenticator is added with recovery codes that are shown once, and removed again', async () => {
  const id = await makeUser(lido, pool, 'totp@example.org')
  const at = await openAccount(lido, 'totp@example.org', { path: '/factors/add/totp' })
  const secret = secretOn(at)
  await at.submit({ code: '000000' })
  assert.match(at.page.alert ?? '', /not right/)
  assert.equal(secretOn(at), secret)
  await at.submit({ code: codeFor(lido, secret) })
  const codes = codesOn(at)
  assert.equal(codes.length, 10)
  await at.get(`${acme}/factors/codes/file`)
  assert.ok(codes.every((code) => at.page.html.includes(code)))
  await at.open('/factors/codes/new')
  await at.submit({})
  await at.open('/factors/codes/new')
  assert.deepEqual(codesOn(at), [])
  assert.equal((await at.get(`${acme}/factors/codes/file`)).status, 404)
  await at.open('/factors')
  assert.match(at.page.html, /10 left/)
  assert.deepEqual(linksOf(at, `${acme}/factors/add/totp`), [])
  const [link = ''] = linksOf(at, `${acme}/factors/0`)
  // The account is stronger than this session now.
  assert.equal((await at.get(link)).step, 'identify')
  clock.pass(30)
  await at.submit({ identifier: 'totp@example.org' })
  await at.submit({ password })
  await at.submit({ code: codeFor(lido, secret) })
  assert.equal(new URL(at.page.url).pathname, link)
  assert.equal((await at.get(`${acme}/factors/add/totp`)).status, 404)
  await at.get(link)
  await at.submit({})
  assert.match(at.page.html, /It was removed/)
  assert.deepEqual(
    (await heldBy(lido, id)).filter((kind) => kind === 'totp'),
    [],
  )
  const { subject } = await lido.message('totp@example.org', 1)
  assert.match(subject, /removed/)
  assert.deepEqual(
    [await eventsOf(id, 'user.credential_added', 'totp'), await eventsOf(id, 'user.credential_removed', 'totp')],
    [1, 1],
  )
})

test('new recovery codes take the place of the old ones', async () => {
  const id = await makeUser(lido, pool, 'codes@example.org')
  const secret = await giveTotp(lido, pool, id)
  const at = await openAccount(lido, 'codes@example.org', { secret, path: '/factors/codes' })
  await at.submit({})
  const first = codesOn(at)
  await at.open('/factors/codes')
  await at.submit({})
  assert.equal(codesOn(at).length, 10)
  assert.ok(!codesOn(at).some((code) => first.includes(code)))
  assert.equal(await eventsOf(id, 'user.credential_added', 'recovery_code'), 2)
})

test('of twenty completions of one enrolment at once one is kept', async () => {
  const id = await makeUser(lido, pool, 'enrols@example.org')
  const at = await openAccount(lido, 'enrols@example.org', { path: '/factors/add/totp' })
  await atOnce(lido, at, Array(20).fill({ code: codeFor(lido, secretOn(at)) }))
  assert.deepEqual(
    (await heldBy(lido, id)).filter((kind) => kind === 'totp'),
    ['totp'],
  )
  assert.equal(await eventsOf(id, 'user.credential_added', 'totp'), 1)
})

test('the last second factor stays where one is required', async () => {
  const id = await makeUser(lido, strict, 'last@example.org')
  const secret = await giveTotp(lido, strict, id)
  const at = await openAccount(lido, 'last@example.org', { workspace: 'strict', secret, path: '/factors' })
  const [link = ''] = linksOf(at, '/w/strict/account/factors/0')
  await at.get(link)
  await at.submit({})
  assert.match(at.page.alert ?? '', /last second factor/)
  assert.ok((await heldBy(lido, id)).includes('totp'))
})

test('a passkey has a name that its owner gives it, and is removed', async () => {
  const id = await makeUser(lido, pool, 'key@example.org')
  const data = {
    credential_id: 'abc',
    public_key: 'abc',
    rp_id: 'another.example',
    user_handle: 'abc',
    counter: 0,
    backup_eligible: false,
    backed_up: false,
    transports: [],
    aaguid: '',
    name: 'Old laptop',
  }
  await credentials.add(lido.services.db, clock.now(), pool.id, id, { kind: 'passkey', data })
  const at = await openAccount(lido, 'key@example.org', { path: '/factors' })
  assert.match(at.page.html, /Old laptop/)
  const [link = ''] = linksOf(at, `${acme}/factors/0`)
  await at.get(link)
  await at.submit({ name: '  <b>New</b>  laptop ' })
  assert.match(at.page.html, /&lt;b&gt;New&lt;\/b&gt; laptop/)
  await at.get(link)
  await at.submit({ action: 'remove' })
  assert.match(at.page.html, /It was removed/)
  assert.deepEqual(await heldBy(lido, id), ['password'])
  assert.equal(await eventsOf(id, 'user.credential_renamed'), 1)
})

test('a remembered browser is forgotten', async () => {
  const id = await makeUser(lido, pool, 'device@example.org')
  const kept = { hash: 'abc', era: 0, forgetBefore: new Date(0) }
  await credentials.addDevice(lido.services.db, clock.now(), pool.id, id, kept)
  const at = await openAccount(lido, 'device@example.org', { path: '/sessions' })
  const [device = ''] = sentBy(at, 'forget')
  await at.send('/sessions', { forget: device })
  assert.deepEqual(sentBy(at, 'forget'), [])
  assert.deepEqual(await heldBy(lido, id), ['password'])
})

test('an account is deleted at once: sessions end, a tombstone stays, and its owner is told', async () => {
  const id = await makeUser(lido, pool, 'gone@example.org')
  const elsewhere = await openAccount(lido, 'gone@example.org')
  const at = await openAccount(lido, 'gone@example.org', { path: '/data/delete' })
  await at.submit({ sure: '' })
  assert.match(at.page.html, /aria-invalid="true"/)
  await at.submit({ sure: 'true' })
  assert.match(at.page.html, /Your account is closed/)
  const [row] = await rowsOf<{ status: string }>(lido, `select status from users where id = '${id}'`)
  assert.equal(row?.status, 'deleted')
  assert.equal((await elsewhere.get(acme)).step, 'identify')
  assert.equal((await at.get(acme)).step, 'identify')
  assert.match((await lido.message('gone@example.org')).subject, /was deleted/)
})

test('with days to change one’s mind, signing in keeps the account', async () => {
  const id = await makeUser(lido, patient, 'stays@example.org')
  const at = await openAccount(lido, 'stays@example.org', { workspace: 'patient', path: '/data/delete' })
  assert.match(at.page.html, /in 14 days/)
  await at.submit({ sure: 'true' })
  assert.equal((await at.get('/w/patient/account')).step, 'identify')
  assert.match((await lido.message('stays@example.org')).text, /14 days/)
  assert.equal(await countOf(lido, `users where id = '${id}' and deletes_at is not null`), 1)
  const back = await visitAs(lido, 'patient', 'stays@example.org')
  await back.submit({ password })
  assert.ok(isSignedIn(back))
  assert.equal(await countOf(lido, `users where id = '${id}' and deletes_at is not null`), 0)
  assert.equal(await eventsOf(id, 'user.deletion_cancelled'), 1)
  clock.pass(15 * 86_400)
  await deletions.finish(lido.services)({ poolId: patient.id, userId: id })
  assert.equal(await countOf(lido, `users where id = '${id}' and status = 'active'`), 1)
})

test('whoever does not come back is deleted when their days are over, and not before', async () => {
  const id = await makeUser(lido, patient, 'leaves@example.org')
  const at = await openAccount(lido, 'leaves@example.org', { workspace: 'patient', path: '/data/delete' })
  await at.submit({ sure: 'true' })
  await assert.rejects(deletions.finish(lido.services)({ poolId: patient.id, userId: id }))
  clock.pass(14 * 86_400 + 1)
  await deletions.finish(lido.services)({ poolId: patient.id, userId: id })
  assert.equal(await countOf(lido, `users where id = '${id}' and status = 'deleted'`), 1)
})

test('the last owner of the installation stays', async () => {
  const { db } = lido.services
  const [administrators] = await rowsOf<{ id: string }>(lido, "select id from pools where slug = 'administrators'")
  const found = administrators && (await pools.findById(db, administrators.id))
  assert.ok(found)
  const id = await makeUser(lido, found, 'owner@example.org')
  const owner = { poolId: found.id, userId: id, role: 'owner', workspaces: null, pools: null } as const
  await db.insertInto('operators').values(owner).execute()
  const at = await openAccount(lido, 'owner@example.org', { workspace: 'admin', path: '/data/delete' })
  await at.submit({ sure: 'true' })
  assert.match(at.page.alert ?? '', /Nobody else owns/)
  assert.equal(await countOf(lido, `users where id = '${id}' and status = 'active'`), 1)
})
