import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { openBrowser } from '../../browser-testing.ts'
import * as credentials from '../../directory/credentials.ts'
import * as users from '../../directory/users.ts'
import { isSignedIn, makeUser, rowsOf, visitAs } from '../../pages/fixtures-testing.ts'
import { makeExternal, type Outside, openOutside, secretThere } from '../../pages/outside-testing.ts'
import { type AdminLido, type ApiAnswer, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
let outside: Outside

before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
afterEach(() => {
  outside.instead = undefined
  outside.insteadOfList = undefined
  outside.pageSize = 100
  outside.people.clear()
})
after(async () => {
  await lido.stop()
  await outside.close()
})

let people = 0
const profile = { type: 'object', properties: { given_name: { type: 'string' } } }
const newEmail = () => `remaining${++people}@example.org`

interface Progress {
  state: Record<string, unknown>
  users: Record<string, number>
  last_day: Record<string, unknown> & { failed: { name: string; times: number }[] }
  last_month: Record<string, unknown>
  days: { date: string; migrated: number }[]
  unmapped: { roles: { name: string; times: number }[] }
  errors: { kind: string; times: number; samples: { detail: string | null; trace: string | null }[] }[]
  forecast: Record<string, unknown>
  rounds: Record<'count' | 'mail', { state: string; [field: string]: unknown } | null>
}

const progressOf = async (slug: string): Promise<Progress> => {
  const answer = await lido.call('GET', `/pools/${slug}/migration`)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as unknown as Progress
}

const signIn = async (slug: string, email: string, secret = secretThere) => {
  const browser = await visitAs(lido, slug, email)
  await browser.submit({ password: secret })
  return browser
}

const follow = async (link: string) => {
  const browser = openBrowser(lido.url)
  await browser.get(link)
  return browser
}

const post = (slug: string, path: string, body?: unknown): Promise<ApiAnswer> =>
  lido.call('POST', `/pools/${slug}/migration/${path}`, body)

const until = async <Value>(look: () => Promise<Value>, fits: (value: Value) => boolean): Promise<Value> => {
  const deadline = Date.now() + 20_000
  for (;;) {
    const value = await look()
    if (fits(value)) return value
    assert.ok(Date.now() < deadline, `still ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const sentTo = (pool: string) =>
  `select data ->> 'address' as to from challenges where pool_id = '${pool}' and data ? 'summoned'`

const roundOver = (slug: string, kind: 'count' | 'mail') =>
  until(
    async () => (await progressOf(slug)).rounds[kind],
    (round) => round !== null && round.state !== 'running',
  )

test('rule 20: counts who is here, who came over, and what found no place, from the events of the sign-ins', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const [one, other] = [newEmail(), newEmail()]
  outside.add({ email: one, roles: ['editor-of-elsewhere', 'reader-of-elsewhere'] })
  outside.add({ email: other, roles: ['editor-of-elsewhere'] })
  await makeUser(lido, pool, newEmail())
  const before = await progressOf(slug)
  assert.deepEqual(before.users, { local: 1, linked: 0, migrated: 0 })
  for (const email of [one, other]) assert.ok(isSignedIn(await signIn(slug, email)))
  const after = await progressOf(slug)
  assert.deepEqual(after.users, { local: 1, linked: 0, migrated: 2 })
  assert.deepEqual(after.last_day, { migrated: 2, synced: 0, failed: [], observed: [] })
  assert.equal(after.days.at(-1)?.migrated, 2)
  assert.deepEqual(after.unmapped.roles, [
    { name: 'editor-of-elsewhere', times: 2 },
    { name: 'reader-of-elsewhere', times: 1 },
  ])
})

test('rule 20: failures are counted by their reason, with the request and what the source said of itself', async () => {
  const { slug } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  outside.instead = () => ({ status: 500, body: `<html>${email} ${secretThere}</html>` })
  await signIn(slug, email)
  const { errors, last_day } = await progressOf(slug)
  assert.deepEqual(last_day.failed, [{ name: 'unavailable', times: 1 }])
  assert.deepEqual(
    errors.map(({ kind, times }) => [kind, times]),
    [['unavailable', 1]],
  )
  assert.match(errors[0]?.samples[0]?.detail ?? '', /no usable answer/)
  assert.ok(errors[0]?.samples[0]?.trace)
  const text = JSON.stringify(errors)
  for (const secret of [email, secretThere]) assert.ok(!text.includes(secret))
})

test('an hour that is over is counted once, and no event of it is read again', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const at = new Date(Date.now() - 5 * 3_600_000)
  await lido.services.db
    .insertInto('events')
    .values(
      [1, 2, 3].map((number) => ({
        ...{ id: idAt(at, number), type: 'migration.migrated', poolId: pool.id, workspaceId: null, userId: null },
        ...{ clientId: null, data: JSON.stringify({ source: 'http', first: true }), at },
      })),
    )
    .execute()
  assert.equal((await progressOf(slug)).last_day.migrated, 3)
  await rowsOf(lido, `delete from events where pool_id = '${pool.id}' returning id`)
  const [first, second] = await Promise.all([progressOf(slug), progressOf(slug)])
  assert.deepEqual([first.last_day.migrated, second.last_day.migrated], [3, 3])
})

const idAt = (at: Date, number: number) => {
  const time = at.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${Date.now().toString(16).padStart(11, '0')}${number}`
}

test('the ledger of users holds through deletion, and through a hundred changes', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const emails = Array.from({ length: 60 }, newEmail)
  const made = await Promise.all(emails.map((email) => makeUser(lido, pool, email)))
  for (const id of made.slice(0, 50))
    await rowsOf(lido, `update users set authority = 'migrated' where id = '${id}' returning id`)
  await rowsOf(lido, `update users set status = 'deleted' where id = '${made[59]}' returning id`)
  const all = await Promise.all([1, 2, 3, 4].map(() => progressOf(slug)))
  for (const one of all) assert.deepEqual(one.users, { local: 9, linked: 0, migrated: 50 })
  assert.deepEqual((await progressOf(slug)).users, { local: 9, linked: 0, migrated: 50 })
})

test('rule 19: the kill switch stops every call at once, and lifting it lets people in again', async () => {
  const { slug } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const paused = await post(slug, 'pause')
  assert.equal(paused.status, 200, JSON.stringify(paused.body))
  assert.equal((paused.body.state as Record<string, unknown>).paused, true)
  await heard()
  outside.asked.length = 0
  assert.ok(!isSignedIn(await signIn(slug, email)))
  assert.equal(outside.asked.length, 0)
  await post(slug, 'resume')
  await heard()
  assert.ok(isSignedIn(await signIn(slug, email)))
})

const heard = () => new Promise((resolve) => setTimeout(resolve, 250))

test('rule 17: what is only observed begins to move people only after a confirmation', async () => {
  const { slug } = await makeExternal(lido, outside)
  assert.equal((await post(slug, 'observe', { observe: true })).status, 200)
  assert.equal((await progressOf(slug)).state.observe, true)
  const refused = await post(slug, 'observe', { observe: false })
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /for good/)
  assert.equal((await post(slug, 'observe?confirm_migration=true', { observe: false })).status, 200)
  assert.equal((await progressOf(slug)).state.observe, false)
})

test('a pool whose people live here has no migration to tell of', async () => {
  const made = await lido.call('POST', '/pools', { slug: 'lives-here', name: 'Lives here' })
  assert.equal(made.status, 201)
  assert.equal((await lido.call('GET', '/pools/lives-here/migration')).status, 409)
  assert.equal((await lido.call('POST', '/pools/nobody-knows/migration/pause')).status, 404)
})

test('rule 20: lists who has not come, page by page, and leaves out who came, was deleted, or is somebody else here', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const [stays, came, gone, taken] = [newEmail(), newEmail(), newEmail(), newEmail()]
  for (const email of [stays, came, gone, taken]) outside.add({ email })
  await makeUser(lido, pool, taken)
  assert.ok(isSignedIn(await signIn(slug, came)))
  assert.ok(isSignedIn(await signIn(slug, gone)))
  const asked = { kind: 'email', value: gone, typed: gone } as const
  const id = (await users.findByIdentifier(lido.services.db, pool.id, asked))?.id
  assert.equal((await lido.call('DELETE', `/pools/${slug}/users/${id}`)).status, 204)
  outside.pageSize = 1
  const found: unknown[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const query: string = cursor === '' ? '' : `?cursor=${encodeURIComponent(cursor)}`
    const { status, body } = await lido.call('GET', `/pools/${slug}/migration/remaining${query}`)
    assert.equal(status, 200, JSON.stringify(body))
    found.push(...(body.items ?? []))
    cursor = body.next_cursor as string | null
  }
  assert.deepEqual(
    found.map((one) => (one as { identifiers: { value: string }[] }).identifiers.map(({ value }) => value)),
    [[stays]],
  )
})

test('rule 20: counts who has not come in the background, and says when all will have at this pace', async () => {
  const { slug } = await makeExternal(lido, outside)
  const came = newEmail()
  outside.add({ email: came })
  for (let number = 0; number < 5; number += 1) outside.add({ email: newEmail() })
  assert.ok(isSignedIn(await signIn(slug, came)))
  outside.pageSize = 2
  assert.equal((await post(slug, 'remaining/count')).status, 202)
  const round = await roundOver(slug, 'count')
  assert.deepEqual([round?.state, round?.seen, round?.missing], ['done', 6, 5])
  const { forecast } = await progressOf(slug)
  assert.equal(forecast.remaining, 5)
  assert.equal(forecast.per_day, 1)
  assert.ok(Date.parse(String(forecast.done_at)) > Date.now() + 4 * 86_400_000)
})

test('hours that nobody is shown any more are not kept', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const old = (days: number) =>
    rowsOf(
      lido,
      `insert into migration_hours (pool_id, hour, kind, name, times)
      values ('${pool.id}', date_trunc('hour', now()) - interval '${days} days', 'role', 'old', 1)`,
    )
  await old(31)
  await old(29)
  await progressOf(slug)
  const rows = await rowsOf(lido, `select name from migration_hours where pool_id = '${pool.id}'`)
  assert.equal(rows.length, 1)
})

test('of two counts at once one runs', async () => {
  const { slug } = await makeExternal(lido, outside)
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(slug, 'remaining/count')))
  const begun = answers.filter(({ status }) => status === 202).length
  assert.ok(begun >= 1)
  assert.deepEqual(
    [...new Set(answers.map(({ status }) => status))].filter((status) => status !== 202 && status !== 409),
    [],
  )
  const rounds = await rowsOf(lido, `select id from migration_rounds where state = 'running'`)
  assert.ok(rounds.length <= 1)
  await roundOver(slug, 'count')
})

test('rule 20: a mail brings over whom nobody saw: the link proves the address, and sets a password here', async () => {
  const { slug, pool } = await makeExternal(lido, outside, { settings: { user_schema: profile } })
  const email = newEmail()
  outside.add({ email, email_verified: false, profile: { given_name: 'Ada' } })
  const begun = await post(slug, 'remaining/mail', { per_minute: 600 })
  assert.equal(begun.status, 202, JSON.stringify(begun.body))
  const { link, text, subject } = await lido.message(email)
  assert.match(subject, /^Set a password for /)
  assert.match(text, /7 days/)
  const round = await roundOver(slug, 'mail')
  assert.deepEqual([round?.state, round?.sent, round?.skipped], ['done', 1, 0])
  const browser = await follow(link)
  await browser.submit({ new_password: 'a horse that came over by mail' })
  const user = await users.findByIdentifier(lido.services.db, pool.id, { kind: 'email', value: email, typed: email })
  assert.equal(user?.authority, 'migrated')
  assert.equal(user?.profile.given_name, 'Ada')
  assert.deepEqual(
    user?.identifiers.map(({ verified }) => verified),
    [true],
  )
  outside.asked.length = 0
  assert.ok(isSignedIn(await signIn(slug, email, 'a horse that came over by mail')))
  assert.equal(outside.asked.length, 0)
  const again = await follow(link)
  assert.equal(again.page.status, 410)
})

test('rule 20: a mail goes to nobody who came meanwhile, twice to nobody, and only to those who were named', async () => {
  const { slug } = await makeExternal(lido, outside)
  const [named, other, came] = [newEmail(), newEmail(), newEmail()]
  for (const email of [named, other, came]) outside.add({ email })
  assert.ok(isSignedIn(await signIn(slug, came)))
  assert.equal((await post(slug, 'remaining/mail', { only: [named, came, 'nobody@example.org'] })).status, 202)
  await lido.message(named)
  const round = await roundOver(slug, 'mail')
  assert.deepEqual([round?.sent, round?.skipped], [1, 2])
  const sent = await rowsOf<{ to: string }>(
    lido,
    `select data ->> 'address' as to from challenges where data ? 'summoned'`,
  )
  assert.ok(!sent.some(({ to }) => to === other || to === came))
})

test('a link of a mail opens nothing for who was deleted, closed there, or is asked about in vain; an outage uses it not up', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  await post(slug, 'remaining/mail', { only: [email] })
  const { link } = await lido.message(email)
  await roundOver(slug, 'mail')
  const attempt = async () => {
    const browser = await follow(link)
    await browser.submit({ new_password: 'a horse that came over by mail' })
    return browser
  }
  outside.instead = () => ({ status: 500 })
  await attempt()
  outside.instead = () => ({ status: 404 })
  await attempt()
  const find = () => users.findByIdentifier(lido.services.db, pool.id, { kind: 'email', value: email, typed: email })
  assert.equal(await find(), undefined)
})

test('no mail goes out any more once the source is only observed, and a link that went out is good for later', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const emails = [newEmail(), newEmail(), newEmail()]
  for (const email of emails) outside.add({ email })
  await post(slug, 'remaining/mail', { per_minute: 6 })
  const sent = await until(
    async () => (await progressOf(slug)).rounds.mail,
    (round) => round?.sent === 1,
  )
  assert.equal(sent?.state, 'running')
  const [to = ''] = (await rowsOf<{ to: string }>(lido, sentTo(pool.id))).map(({ to }) => to)
  const { link } = await lido.message(to)
  assert.equal((await post(slug, 'observe', { observe: true })).status, 200)
  const over = await roundOver(slug, 'mail')
  assert.deepEqual([over?.state, over?.sent], ['failed', 1])
  const chosen = { new_password: 'a horse that came over by mail' }
  await (await follow(link)).submit(chosen)
  const find = () => users.findByIdentifier(lido.services.db, pool.id, { kind: 'email', value: to, typed: to })
  assert.equal(await find(), undefined)
  assert.equal(
    (await lido.call('POST', `/pools/${slug}/migration/observe?confirm_migration=true`, { observe: false })).status,
    200,
  )
  await new Promise((resolve) => setTimeout(resolve, 250))
  await (await follow(link)).submit(chosen)
  assert.equal((await find())?.authority, 'migrated')
})

test('of twenty who follow one link at once, one sets a password', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  await post(slug, 'remaining/mail', { only: [email] })
  const { link } = await lido.message(email)
  await roundOver(slug, 'mail')
  const browsers = await Promise.all(Array.from({ length: 20 }, () => follow(link)))
  await Promise.all(
    browsers.map((browser, index) => browser.submit({ new_password: `a horse of its own, number ${index}` })),
  )
  const rows = await rowsOf(lido, `select id from events where pool_id = '${pool.id}' and type = 'user.recovered'`)
  assert.equal(rows.length, 1)
})

test('a source that says nothing for long ends the round with what it said', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  outside.insteadOfList = () => ({ status: 501 })
  assert.equal((await post(slug, 'remaining/count')).status, 202)
  const round = await until(
    async () => (await progressOf(slug)).rounds.count,
    (one) => one !== null && (one.state !== 'running' || one.why !== null),
  )
  assert.ok(round?.why)
  for (let times = 0; times < 2; times += 1) assert.equal((await post(slug, 'remaining/stop')).status, 204)
  assert.equal((await progressOf(slug)).rounds.count?.state, 'stopped')
  const told = `select id from events where pool_id = '${pool.id}' and type = 'migration.stopped'`
  assert.equal((await rowsOf(lido, told)).length, 1)
})

test('frozen, nobody comes over by signing in, and a mail still brings them', async () => {
  const { slug } = await makeExternal(lido, outside)
  const [email, came] = [newEmail(), newEmail()]
  for (const one of [email, came]) outside.add({ email: one })
  assert.ok(isSignedIn(await signIn(slug, came)))
  assert.equal((await post(slug, 'finish', { step: 'freeze' })).status, 200)
  await heard()
  outside.asked.length = 0
  assert.ok(!isSignedIn(await signIn(slug, email)))
  assert.ok(isSignedIn(await signIn(slug, came)), 'who has come over signs in as ever')
  assert.equal(outside.asked.length, 0)
  await post(slug, 'remaining/mail', { only: [email] })
  const { link } = await lido.message(email)
  const browser = await follow(link)
  await browser.submit({ new_password: 'a horse that came over by mail' })
  assert.ok(isSignedIn(await signIn(slug, email, 'a horse that came over by mail')))
})

test('cut, the pool is local for good, after a report of who would lose their way in', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const came = newEmail()
  outside.add({ email: came })
  assert.ok(isSignedIn(await signIn(slug, came)))
  const id = await makeUser(lido, pool, newEmail())
  await credentials.removeAll(lido.services.db, pool.id, id)
  await rowsOf(lido, `update users set authority = 'linked', external_id = 'there|x' where id = '${id}' returning id`)
  await rowsOf(lido, `delete from identifiers where user_id = '${id}' returning kind`)
  const report = await lido.call('GET', `/pools/${slug}/migration/finish`)
  assert.deepEqual(report.body, { linked: 1, without_password: 1, lost: 1, sample: [id], remaining: null })
  const refused = await post(slug, 'finish', { step: 'cut' })
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /1 could not come in at all/)
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post(slug, 'finish?confirm=true', { step: 'cut' })),
  )
  assert.equal(
    answers.filter(({ status }) => status === 200).length,
    1,
    JSON.stringify(answers.map(({ status }) => status)),
  )
  const after = await lido.call('GET', `/pools/${slug}`)
  assert.deepEqual([after.body.kind, after.body.source], ['local', null])
  const rows = await rowsOf<{ authority: string }>(lido, `select authority from users where id = '${id}'`)
  assert.equal(rows[0]?.authority, 'local')
  await heard()
  assert.ok(isSignedIn(await signIn(slug, came)))
  const events = await rowsOf(
    lido,
    `select id from events where pool_id = '${pool.id}' and type = 'migration.finished'`,
  )
  assert.equal(events.length, 1)
})

test('in a pool whose people stay at their source, nothing ends and nobody is written to', async () => {
  const sync = { source: { mode: 'sync' }, settings: { sign_in_methods: ['password' as const] } }
  const { slug } = await makeExternal(lido, outside, sync)
  for (const [path, body] of [
    ['finish', { step: 'freeze' }],
    ['finish?confirm=true', { step: 'cut' }],
    ['remaining/mail', {}],
  ] as const)
    assert.equal((await post(slug, path, body)).status, 409, path)
})

test('shows what somebody from outside would become, and makes nobody', async () => {
  const { slug } = await makeExternal(lido, outside, { settings: { user_schema: profile } })
  const mapping = {
    profile: { nickname: 'app_metadata.nick' },
    metadata: { plan: 'app_metadata.plan' },
    roles: { ignore: ['internal-*'] },
    groups: { taken: 'first_sign_in' },
  }
  const claims = {
    ...{ given_name: 'Ada', roles: ['admin-nobody-has', 'internal-x'], groups: ['staff'] },
    app_metadata: { plan: 'gold', nick: 'ada' },
  }
  const answer = await lido.call('POST', `/pools/${slug}/mapping/preview`, { sample: { claims }, mapping })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  assert.equal((answer.body.profile as Record<string, unknown>).given_name, 'Ada')
  assert.deepEqual(answer.body.metadata, { plan: 'gold' })
  assert.deepEqual(answer.body.roles, [{ name: 'admin-nobody-has', known: false }])
  assert.deepEqual(answer.body.groups, [{ path: '/staff', known: false }])
  assert.deepEqual((await progressOf(slug)).users, { local: 0, linked: 0, migrated: 0 })
})
