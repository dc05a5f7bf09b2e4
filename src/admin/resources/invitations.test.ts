import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../browser-testing.ts'
import * as acceptance from '../../directory/acceptance.ts'
import * as invitations from '../../directory/invitations.ts'
import * as operatorInvitations from '../../directory/operator-invitations.ts'
import type * as pools from '../../directory/pools.ts'
import {
  atOnce,
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  rowsOf,
  visit,
  visitAs,
} from '../../pages/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
let pool: pools.Pool
let group: string
before(async () => {
  lido = await adminLido()
  pool = await makePool(lido, 'members', { self_registration: true, user_schema })
  const workspace = await makeWorkspace(lido, 'club', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'begins', initiate_login_uri: 'https://begins.example.test/login' })
  const other = await makePool(lido, 'rivals')
  await makeWorkspace(lido, 'rival', [{ pool: other }])
  const made = await lido.call('POST', '/pools/members/groups', { name: 'Swimmers' })
  group = String(made.body.id)
})
after(() => lido.stop())

const user_schema = {
  type: 'object',
  properties: {
    given_name: { type: 'string', title: 'Given name' },
    level: { type: 'string', title: 'Level', enum: ['guest', 'member', 'board'] },
    nickname: { type: 'string', title: 'Nickname' },
  },
  required: ['given_name', 'level'],
}
const path = '/pools/members/invitations'
const secret = 'swimming before breakfast'
const answer = { given_name: 'Sam', new_password: secret }

const invite = async (identifier: string, more: object = {}) => {
  const { status, body } = await lido.call('POST', path, { identifier, profile: { level: 'member' }, ...more })
  assert.equal(status, 201, JSON.stringify(body))
  const { link, code, text } = await lido.message(identifier)
  return { id: String(body.id), link, code, text, body }
}

const open = async (link: string) => {
  const browser = openBrowser(lido.url)
  await browser.get(link)
  return browser
}

const find = async (email: string) =>
  (await lido.call('GET', `/pools/members/users?identifier=${email}`)).body.items?.[0]

const signIn = async (email: string) => {
  const browser = await visitAs(lido, 'club', email)
  await browser.submit({ password: secret })
  return isSignedIn(browser)
}

test('invites, shows who invites to what, and lets the invited mailbox in', async () => {
  const { id, link, text, body } = await invite('sam@example.org', { groups: [group], message: 'Bring <b>towels</b>' })
  assert.equal(body.state, 'pending')
  assert.equal(body.user_id, null)
  assert.match(text, /Bring <b>towels<\/b>/)
  const looks = [await open(link), await open(link)]
  for (const { page } of looks) {
    assert.equal(page.step, 'invitation')
    assert.match(page.html, /Welcome to Workspace club[\s\S]*sam@example\.org[\s\S]*Bring &lt;b&gt;towels/)
    assert.match(page.html, /name="given_name"/)
    assert.doesNotMatch(page.html, /name="(level|nickname|identifier|groups)"/)
    assert.equal(page.headers.get('Referrer-Policy'), 'no-referrer')
  }
  const [browser] = looks
  assert.ok(browser)
  await browser.submit({ ...answer, new_password: 'short' })
  assert.equal(browser.page.step, 'invitation')
  assert.match(browser.page.html, /value="Sam"/)
  await browser.submit(answer)
  assert.match(browser.page.html, /is ready/)
  const user = await find('sam@example.org')
  assert.deepEqual(
    [user?.status, user?.profile, user?.groups, user?.identifiers],
    [
      'active',
      { given_name: 'Sam', level: 'member' },
      ['/Swimmers'],
      [{ type: 'email', value: 'sam@example.org', verified: true }],
    ],
  )
  const read = await lido.call('GET', `${path}/${id}`)
  assert.deepEqual([read.body.state, read.body.user_id], ['accepted', user?.id])
  assert.ok(await signIn('sam@example.org'))
  const events = await rowsOf<{ type: string }>(
    lido,
    `select type from events where user_id = '${user?.id}' order by id`,
  )
  assert.deepEqual(
    events.map(({ type }) => type).filter((type) => !type.startsWith('sign_in')),
    ['user.registered', 'invitation.accepted'],
  )
})

test('A32: whatever the form sends, the address, the groups and the profile are the stored ones', async () => {
  const { link } = await invite('stored@example.org')
  const browser = await open(link)
  const forged = { identifier: 'mallory@example.org', email: 'mallory@example.org', address: 'mallory@example.org' }
  await browser.submit({ ...answer, ...forged, level: 'board', groups: group, role: 'owner', status: 'active' })
  assert.match(browser.page.html, /is ready/)
  assert.equal(await find('mallory@example.org'), undefined)
  const user = await find('stored@example.org')
  assert.deepEqual(user?.profile, { given_name: 'Sam', level: 'member' })
  assert.deepEqual(user?.groups, [])
})

test('A32: a link is good once', async () => {
  const { link } = await invite('once@example.org')
  const first = await open(link)
  const second = await open(link)
  await first.submit(answer)
  await second.submit({ ...answer, new_password: 'the password of a thief' })
  assert.equal(second.page.status, 410)
  assert.equal((await open(link)).page.status, 410)
  assert.ok(await signIn('once@example.org'))
})

test('A32: of twenty who accept at once, one gets in', async () => {
  const { link } = await invite('twenty@example.org')
  const browser = await open(link)
  const answers = await atOnce(
    lido,
    browser,
    Array.from({ length: 20 }, (_, index) => ({ given_name: `Sam ${index}`, new_password: `${secret} ${index}` })),
  )
  const statuses = answers.map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join())
  assert.ok(statuses.every((status) => status === 200 || status === 410))
  assert.equal(await countOf(lido, "identifiers where value = 'twenty@example.org'"), 1)
  assert.equal(await countOf(lido, "events where type = 'invitation.accepted'"), await accepted())
})

const accepted = () => countOf(lido, "invitations where state = 'accepted'")

test('A32: a revoked invitation is over, and so is the link that a newer one replaced', async () => {
  const { id, link } = await invite('revoked@example.org')
  assert.equal((await lido.call('POST', `${path}/${id}/resend`)).status, 201)
  const again = await lido.message('revoked@example.org', 1)
  assert.notEqual(again.link, link)
  assert.equal((await open(link)).page.status, 410)
  const browser = await open(again.link)
  assert.equal(browser.page.step, 'invitation')
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 204)
  await browser.submit(answer)
  assert.equal(browser.page.status, 410)
  assert.equal(await find('revoked@example.org'), undefined)
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 409)
  assert.equal((await lido.call('POST', `${path}/${id}/resend`)).status, 409)
  assert.equal((await lido.call('GET', `${path}/${id}`)).body.state, 'revoked')
})

test('A32: a link opens nothing in another workspace, and a token of another pool nothing here', async () => {
  const { link } = await invite('elsewhere@example.org')
  assert.equal((await open(link.replace('/w/club/', '/w/rival/'))).page.status, 410)
  const { body } = await lido.call('POST', '/pools/rivals/invitations', { identifier: 'elsewhere@example.org' })
  assert.equal(body.state, 'pending')
  const foreign = await lido.message('elsewhere@example.org', 1)
  assert.equal((await open(foreign.link.replace('/w/rival/', '/w/club/'))).page.status, 410)
  const [head, token = ''] = link.split('/invitation/')
  const [, other = ''] = foreign.link.split('/invitation/')
  assert.equal((await open(`${head}/invitation/${other.slice(0, 32)}${token.slice(32)}`)).page.status, 410)
  assert.equal((await open(`${head}/invitation/nonsense`)).page.status, 410)
  assert.equal((await open(link)).page.step, 'invitation')
})

test('A32: it is the invited who is let in, whoever is signed in already', async () => {
  await makeUser(lido, pool, 'present@example.org', { password: secret })
  const { link } = await invite('absent@example.org')
  const browser = await visit(lido, 'club')
  await browser.submit({ identifier: 'present@example.org' })
  await browser.submit({ password: secret })
  await browser.get(link)
  await browser.submit(answer)
  assert.equal((await find('absent@example.org'))?.status, 'active')
  assert.deepEqual((await find('present@example.org'))?.profile, {})
})

test('a form of another site or browser is refused', async () => {
  const { link } = await invite('forged@example.org')
  const browser = await open(link)
  await browser.submit(answer, { Origin: 'https://evil.example' })
  assert.equal(browser.page.status, 403)
  await browser.get(link)
  await browser.submit({ ...answer, csrf: 'made-up' })
  assert.equal(browser.page.status, 403)
  assert.equal(await find('forged@example.org'), undefined)
})

test('the code of the mail opens the same page, five tries at most', async () => {
  const { code } = await invite('coded@example.org')
  const browser = await open(`${lido.url}/w/club/invitation`)
  await browser.submit({ identifier: 'nobody@example.org', code })
  const stranger = browser.page.alert
  await browser.submit({ identifier: 'coded@example.org', code: '00000000' })
  assert.equal(browser.page.alert, stranger)
  await browser.submit({ identifier: 'Coded@example.org', code: ` ${code.slice(0, 4)}-${code.slice(4)}` })
  assert.match(browser.page.html, /name="given_name"/)
  await browser.submit(answer)
  assert.match(browser.page.html, /is ready/)
  assert.ok(await signIn('coded@example.org'))
  const guessed = await invite('guessed@example.org')
  const guesser = await open(`${lido.url}/w/club/invitation`)
  await atOnce(
    lido,
    guesser,
    Array.from({ length: 20 }, () => ({ identifier: 'guessed@example.org', code: '1' })),
  )
  await guesser.submit({ identifier: 'guessed@example.org', code: guessed.code })
  assert.equal(guesser.page.alert, stranger)
  assert.equal((await open(guessed.link)).page.step, 'invitation')
})

test('an expired invitation is over by the clock, and makes room for a new one', async () => {
  const { id, link } = await invite('late@example.org', { expires_in_hours: 1 })
  const browser = await open(link)
  const { db } = lido.services
  const later = new Date(lido.services.clock.now().getTime() + 3_600_000)
  const found = await invitations.find(db, later, pool.id, id)
  assert.equal(found?.state, 'expired')
  assert.ok(found)
  const services = { ...lido.services, clock: { now: () => later } }
  assert.equal(await acceptance.accept(services, found, { profile: {}, passwordHash: undefined }), undefined)
  assert.equal(await find('late@example.org'), undefined)
  const second = { identifier: 'late@example.org' }
  assert.equal((await lido.call('POST', path, second)).status, 409)
  await db
    .updateTable('invitations')
    .set({ expiresAt: new Date(0) })
    .where('id', '=', id)
    .execute()
  await browser.submit(answer)
  assert.equal(browser.page.status, 410)
  assert.equal((await open(link)).page.status, 410)
  assert.equal(await find('late@example.org'), undefined)
  const { body } = await lido.call('GET', `${path}?state=expired`)
  assert.deepEqual(
    body.items?.map((one) => one.id),
    [id],
  )
  assert.equal((await lido.call('POST', path, second)).status, 201)
  assert.equal((await lido.call('GET', `${path}/${id}`)).body.state, 'expired')
})

test('leads on to the application, only where the client is at home', async () => {
  const { link } = await invite('onward@example.org', { client_id: 'app', return_to: 'https://app.example.test/start' })
  const browser = await open(link)
  assert.match(
    browser.page.headers.get('Content-Security-Policy') ?? '',
    /form-action 'self' https:\/\/app\.example\.test/,
  )
  await browser.submit(answer)
  assert.equal(browser.page.url, 'https://app.example.test/start')
  const begun = await invite('begun@example.org', { client_id: 'begins' })
  const next = await open(begun.link)
  await next.submit(answer)
  const url = new URL(next.page.url)
  assert.equal(`${url.origin}${url.pathname}`, 'https://begins.example.test/login')
  assert.equal(url.searchParams.get('iss'), `${lido.url}/w/club`)
  assert.equal(url.searchParams.get('login_hint'), 'begun@example.org')
  const wrong: [object, string][] = [
    [{ client_id: 'app', return_to: 'https://evil.example/' }, '/return_to'],
    [{ client_id: 'app', return_to: 'https://app.example.test@evil.example/' }, '/return_to'],
    [{ client_id: 'app', return_to: 'http://app.example.test/' }, '/return_to'],
    [{ client_id: 'app', return_to: 'javascript:alert(1)' }, '/return_to'],
    [{ return_to: 'https://app.example.test/' }, '/client_id'],
    [{ client_id: 'nobody' }, '/client_id'],
    [{ profile: { level: 'emperor' } }, '/profile/level'],
    [{ groups: ['0197b0a4-3d1c-7f6e-9a51-0d5c7d9be1a2'] }, '/groups'],
    [{ workspace: 'rival' }, '/workspace'],
    [{ workspace: 'nowhere' }, '/workspace'],
    [{ expires_in_hours: 0 }, '/expires_in_hours'],
    [{ state: 'accepted' }, '/state'],
  ]
  for (const [more, pointer] of wrong) {
    const { status, body } = await lido.call('POST', path, { identifier: 'wrong@example.org', ...more })
    assert.equal(status, 422, JSON.stringify(more))
    assert.equal((body.errors as { pointer: string }[])[0]?.pointer, pointer)
  }
})

test('whoever has an account is not invited again; whoever registers meanwhile keeps what is theirs', async () => {
  await makeUser(lido, pool, 'here@example.org')
  assert.equal((await lido.call('POST', path, { identifier: 'here@example.org' })).status, 409)
  const { link } = await invite('meanwhile@example.org', { groups: [group] })
  const id = await makeUser(lido, pool, 'meanwhile@example.org', { password: secret, profile: { given_name: 'Mo' } })
  const browser = await open(link)
  assert.doesNotMatch(browser.page.html, /name="(new_password|given_name)"/)
  await browser.submit({ new_password: 'the password of a thief' })
  const user = await find('meanwhile@example.org')
  assert.deepEqual([user?.id, user?.profile, user?.groups], [id, { given_name: 'Mo' }, ['/Swimmers']])
  assert.ok(await signIn('meanwhile@example.org'))
})

test('A18: an invited address registers like any other, and neither page tells that it is invited', async () => {
  await invite('quiet@example.org')
  const pages = []
  for (const email of ['quiet@example.org', 'unknown@example.org']) {
    const browser = await visit(lido, 'club')
    await browser.get(browser.link('Create an account'))
    await browser.submit({ identifier: email, given_name: 'Q', level: 'guest', password: secret })
    pages.push(browser.page.step)
  }
  assert.deepEqual(pages, ['verify', 'verify'])
})

test('an operator of another workspace knows of no invitation', async () => {
  const { id } = await invite('limited@example.org')
  const workspaces = await rowsOf<{ id: string }>(lido, "select id from workspaces where slug = 'rival'")
  const helper = await operator(lido, 'limits@example.org', {
    role: 'helpdesk',
    workspaces: workspaces.map((one) => one.id),
  })
  assert.equal((await helper.call('GET', `${path}/${id}`)).status, 404)
  assert.equal((await helper.call('DELETE', `${path}/${id}`)).status, 404)
  assert.equal((await helper.call('POST', `${path}/${id}/resend`)).status, 404)
  assert.deepEqual((await helper.call('GET', path)).body.items, [])
  assert.equal((await lido.call('GET', `/pools/rivals/invitations/${id}`)).status, 404)
})

test('what makes somebody an operator is revoked or sent again only by whoever may change operators', async () => {
  const { db, clock } = lido.services
  const identifier = { kind: 'email', value: 'next@example.org', typed: 'next@example.org' } as const
  const wanted = { identifier, role: 'admin', silent: true } as const
  const made = await db
    .transaction()
    .execute((trx) => operatorInvitations.invite(trx, clock.now(), lido.services, wanted))
  const at = `/pools/administrators/invitations/${made.id}`
  const desk = await operator(lido, 'desk@example.org', { role: 'helpdesk' })
  assert.equal((await desk.call('GET', at)).status, 200)
  assert.equal((await desk.call('POST', `${at}/resend`)).status, 403)
  assert.equal((await desk.call('DELETE', at)).status, 403)
  assert.equal((await lido.call('DELETE', at)).status, 204)
})

test('what only operators set is neither asked of the invited nor missed', async () => {
  const badge = { type: 'string', readOnly: true, title: 'Badge' }
  const vip = { type: 'boolean', readOnly: true, title: 'VIP' }
  const name = { type: 'string', title: 'Name' }
  const properties = { badge, vip, name }
  const settings = { user_schema: { type: 'object', properties, required: ['badge', 'vip', 'name'] } }
  const badged = await makePool(lido, 'badged', settings)
  await makeWorkspace(lido, 'badged', [{ pool: badged }])
  const identifier = 'badged@example.org'
  const made = await lido.call('POST', '/pools/badged/invitations', { identifier })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const browser = await open((await lido.message(identifier)).link)
  assert.doesNotMatch(browser.page.html, /name="(badge|vip)"/)
  await browser.submit({ name: 'Bo', badge: 'forged', vip: 'on', new_password: secret })
  assert.match(browser.page.html, /is ready/)
  const { body } = await lido.call('GET', `/pools/badged/users?identifier=${identifier}`)
  assert.deepEqual(body.items?.[0]?.profile, { name: 'Bo' })
})
