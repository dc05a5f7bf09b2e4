import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import { makePerson, operatorToken } from '../admin/operators-testing.ts'
import { openBrowser } from '../browser-testing.ts'
import { testDatabase } from '../db/testing.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import * as operatorInvitations from '../directory/operator-invitations.ts'
import { rowsOf } from '../pages/fixtures-testing.ts'
import { findFirstOperator } from '../setup.ts'
import { run, runLido } from './run-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const secret = 'correct horse battery staple'

const invite = async (...words: string[]) => {
  const { code, out, err } = await runLido(lido, 'invite-admin', ...words)
  assert.equal(code, 0, err)
  return { link: out.match(/http:\S+/)?.[0] ?? assert.fail(out), out }
}

const accept = async (link: string, fields: Record<string, string> = {}) => {
  const browser = openBrowser(lido.url)
  await browser.get(link)
  if (browser.page.status === 200) await browser.submit({ new_password: secret, ...fields })
  return browser.page
}

const roleOf = async (email: string): Promise<string | undefined> => {
  const rows = await rowsOf<{ role: string }>(
    lido,
    `select role from operators join identifiers using (pool_id, user_id) where value = '${email}'`,
  )
  return rows[0]?.role
}

const read = async (email: string, path: string) => {
  const headers = { Authorization: `Bearer ${await operatorToken(lido, email)}` }
  return (await lido.call('GET', path, undefined, headers)).status
}

const identifierOf = (email: string) => readIdentifier(email, ['email']) ?? assert.fail(email)

test('development invites a first owner, with a new link at each start, until there is one', async () => {
  const starts = await Promise.all([findFirstOperator(lido.services), findFirstOperator(lido.services)])
  const links = starts.map((first) => (first.is === 'invited' ? first.link : assert.fail(first.is)))
  const [invited] = await rowsOf<{ state: string; hours: number }>(
    lido,
    `select state, round(extract(epoch from expires_at - now()) / 3600)::int as hours from invitations`,
  )
  assert.deepEqual(invited, { state: 'pending', hours: 72 })
  const opened = await Promise.all(links.map((link) => openBrowser(lido.url).get(link)))
  assert.deepEqual(opened.map(({ status }) => status).sort(), [200, 410])
  const inbox = await fetch(`${lido.url}/dev/inbox.json?to=admin@example.org`)
  assert.deepEqual(await inbox.json(), [])
  const { services } = lido
  const production = { ...services, config: { ...services.config, env: 'production' as const } }
  assert.deepEqual(await findFirstOperator(production), { is: 'known' })
  const third = await findFirstOperator(services)
  const page = await accept(third.is === 'invited' ? third.link : '')
  assert.match(page.html, /Lido Console/)
  assert.equal(await roleOf('admin@example.org'), 'owner')
  assert.deepEqual(await findFirstOperator(services), { is: 'known' })
  assert.equal(await read('admin@example.org', '/operators'), 200)
})

test('production asks for a first operator, and the first who is invited is an owner', async () => {
  const other = await adminLido()
  const { services } = other
  const production = { ...services, config: { ...services.config, env: 'production' as const } }
  assert.deepEqual(await findFirstOperator(production), { is: 'wanted' })
  const { out } = await runLido(other, 'invite-admin', 'first@example.org')
  assert.match(out, /first@example\.org is invited as owner/)
  assert.deepEqual(await findFirstOperator(production), { is: 'known' })
  assert.deepEqual(await findFirstOperator(services), { is: 'known' })
  assert.match((await runLido(other, 'invite-admin', 'next@example.org')).out, /invited as admin/)
  await other.stop()
})

test('the invited become operators with the stored role, whatever the form sends', async () => {
  const { link, out } = await invite('desk@example.org', '--role', 'helpdesk')
  assert.match(out, /invited as helpdesk/)
  assert.equal((await lido.message('desk@example.org')).link, link)
  assert.equal(await roleOf('desk@example.org'), undefined)
  assert.match((await accept(link, { role: 'owner', identifier: 'mallory@example.org' })).html, /Lido Console/)
  assert.equal(await roleOf('desk@example.org'), 'helpdesk')
  assert.equal(await roleOf('mallory@example.org'), undefined)
  assert.equal(await read('desk@example.org', '/pools/administrators/users'), 200)
  assert.equal(await read('desk@example.org', '/operators'), 403)
  assert.equal((await accept(link)).status, 410)
  const events = await rowsOf(
    lido,
    `select events.type, data -> 'by' ->> 'kind' as by from events join identifiers using (pool_id, user_id)
     where value = 'desk@example.org' and (type like 'operator.%' or type like 'invitation.%') order by id`,
  )
  assert.deepEqual(events, [
    { type: 'operator.created', by: 'system' },
    { type: 'invitation.accepted', by: 'person' },
  ])
})

test('of ten who accept at once, one gets in', async () => {
  const { link } = await invite('ten@example.org', '--role', 'viewer')
  const pages = await Promise.all(Array.from({ length: 10 }, () => accept(link)))
  assert.equal(pages.filter(({ html }) => /Lido Console/.test(html)).length, 1)
  assert.equal(await roleOf('ten@example.org'), 'viewer')
})

test('inviting again makes a new link and may change the role; the old link is dead', async () => {
  const first = await invite('twice@example.org', '--role', 'owner')
  const same = await invite('twice@example.org')
  assert.match(same.out, /invited as owner/)
  const second = await invite('Twice@Example.org', '--role', 'viewer')
  assert.equal((await accept(first.link)).status, 410)
  assert.equal((await accept(same.link)).status, 410)
  assert.match((await accept(second.link)).html, /Lido Console/)
  assert.equal(await roleOf('twice@example.org'), 'viewer')
})

test('an ordinary invitation to the administrators gives way, and nothing of it is taken over', async () => {
  const offer = { identifier: 'plain@example.org', profile: { given_name: 'Planted' }, message: 'Call me' }
  assert.equal((await lido.call('POST', '/pools/administrators/invitations', offer)).status, 201)
  const planted = await lido.message('plain@example.org')
  const { link } = await invite('plain@example.org')
  assert.equal((await accept(planted.link)).status, 410)
  assert.doesNotMatch((await openBrowser(lido.url).get(link)).html, /Call me/)
  await accept(link)
  assert.equal(await roleOf('plain@example.org'), 'admin')
})

test('a role in the body of an invitation by API is refused', async () => {
  const forged = { identifier: 'forged@example.org', role: 'owner' }
  const answer = await lido.call('POST', '/pools/administrators/invitations', forged)
  assert.ok([400, 422].includes(answer.status))
})

test('an account that somebody else may have made gets a password of its owner before it may operate', async () => {
  await makePerson(lido, 'administrators', 'known@example.org')
  const { link } = await invite('known@example.org', '--role', 'owner')
  const page = await accept(link, { new_password: 'a password that only the owner knows' })
  assert.match(page.html, /Lido Console/)
  assert.equal(await roleOf('known@example.org'), 'owner')
  await assert.rejects(operatorToken(lido, 'known@example.org'))
})

test('an invitation that has expired makes nobody an operator', async () => {
  const { db, clock } = lido.services
  const long = new Date(clock.now().getTime() - 73 * 3_600_000)
  const wanted = { identifier: identifierOf('late@example.org'), silent: true }
  const { link } = await db.transaction().execute((trx) => operatorInvitations.invite(trx, long, lido.services, wanted))
  assert.equal((await accept(link)).status, 410)
  assert.equal(await roleOf('late@example.org'), undefined)
})

test('words that make no sense are answered with the usage', async () => {
  for (const words of [
    [],
    ['nobody'],
    ['a@example.org', 'b@example.org'],
    ['a@example.org', '--role', 'king'],
    ['--x'],
  ]) {
    const { code, err } = await runLido(lido, 'invite-admin', ...words)
    assert.equal(code, 2, words.join(' '))
    assert.match(err, /Usage:/)
  }
  assert.equal((await runLido(lido, 'toString')).code, 2)
})

test('works before any server has started', async () => {
  const { url, close } = await testDatabase()
  const env = { NODE_ENV: 'test', DATABASE_URL: url, SECRETS: 'a-secret-that-only-this-test-knows-0123456789' }
  const { code, out, err } = await run(env, ['invite-admin', 'first@example.org'])
  await close()
  assert.equal(code, 0, err)
  assert.match(out, /as owner[\s\S]*http:\/\/localhost:3000\/w\/admin\/invitation\/\S{75}\n/)
})
