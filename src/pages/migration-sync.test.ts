import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import * as groups from '../directory/groups.ts'
import * as roles from '../directory/roles.ts'
import * as tenants from '../directory/tenants.ts'
import * as users from '../directory/users.ts'
import { isSignedIn, makeClient, makeUser, rowsOf, token, visit, visitAs } from './fixtures-testing.ts'
import { changePool, makeExternal, type Outside, openOutside, secretThere } from './outside-testing.ts'
import { makeScript } from './scripts-testing.ts'

let lido: AdminLido
let outside: Outside
before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
afterEach(() => {
  outside.instead = undefined
  outside.asked.length = 0
})
after(async () => {
  await lido.stop()
  await outside.close()
})

let people = 0
const newEmail = () => `copied${++people}@example.org`

const names = {
  type: 'object',
  properties: { given_name: { type: 'string', maxLength: 20 }, team: { type: 'string' } },
}
const synchronised = (more: object = {}) =>
  makeExternal(lido, outside, {
    source: { mode: 'sync', mapping: { metadata: { plan: 'metadata.plan' } }, ...more },
    settings: {
      sign_in_methods: ['password'],
      user_schema: { ...names, additionalProperties: false },
      metadata_schema: { type: 'object', properties: { plan: { type: 'string' } } },
    },
  })

const byPassword = async (slug: string, identifier: string, secret = secretThere) => {
  const browser = await visitAs(lido, slug, identifier)
  await browser.submit({ password: secret })
  return browser
}

const userBy = (poolId: string, email: string) =>
  users.findByIdentifier(lido.services.db, poolId, { kind: 'email', value: email, typed: email })

const system = { kind: 'system' } as const

test('rule 14: a copy is kept fresh at each sign-in, and what fits no schema is left out and counted', async () => {
  const { slug, pool } = await synchronised()
  const email = newEmail()
  const profile = { given_name: 'Ada', team: 7, family_name: 'Lovelace' }
  const person = outside.add({ email, profile, metadata: { plan: 'free' } })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const first = await userBy(pool.id, email)
  assert.deepEqual(
    [first?.authority, first?.profile, first?.metadata],
    ['linked', { given_name: 'Ada' }, { plan: 'free' }],
  )
  assert.ok(!first?.credentials.some(({ kind }) => kind === 'password'), 'their password is not kept')
  person.profile = { given_name: 'Augusta' }
  person.metadata = { plan: 'gold' }
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const again = await userBy(pool.id, email)
  assert.deepEqual([again?.profile, again?.metadata], [{ given_name: 'Augusta' }, { plan: 'gold' }])
  const [event] = await rowsOf<{ data: Record<string, unknown> }>(
    lido,
    `select data from events where pool_id = '${pool.id}' and type = 'migration.synced' order by id limit 1`,
  )
  assert.equal(event?.data.dropped_fields, 1)
})

test('rule 14: the source stays the only one who knows the password, also when it changes, closes or is down', async () => {
  const { slug } = await synchronised()
  const email = newEmail()
  const person = outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  person.password = 'a password that was renewed there'
  assert.ok(!isSignedIn(await byPassword(slug, email)))
  assert.ok(isSignedIn(await byPassword(slug, email, person.password)))
  outside.instead = () => ({ status: 423 })
  assert.ok(!isSignedIn(await byPassword(slug, email, person.password)))
  outside.instead = () => ({ status: 500 })
  const browser = await byPassword(slug, email, person.password)
  assert.match(browser.page.html, /not available for some accounts/)
})

test('rule 14: while it is on, profile, metadata and password cannot be changed here, and the reason is told', async () => {
  const { slug, pool } = await synchronised()
  const email = newEmail()
  outside.add({ email, profile: { given_name: 'Ada' } })
  const browser = await byPassword(slug, email)
  const user = await userBy(pool.id, email)
  const at = `/pools/${pool.slug}/users/${user?.id}`
  for (const change of [{ profile: { given_name: 'Eve' } }, { metadata: { plan: 'gold' } }]) {
    const refused = await lido.call('PATCH', at, change)
    assert.equal(refused.status, 409)
    assert.match(String(refused.body.detail), /kept in step with its source \(http\)/)
  }
  const password = await lido.call('PUT', `${at}/password`, { password: 'a password that was set here' })
  assert.equal(password.status, 409)
  assert.equal((await lido.call('PATCH', at, { status: 'active' })).status, 200)
  assert.deepEqual((await lido.call('GET', at)).body.source, {
    type: 'http',
    external_id: user?.externalId,
    migrated_at: null,
  })
  await browser.get(`${lido.url}/w/${slug}/account/profile`)
  assert.match(browser.page.html, /where your account lives/)
  assert.ok(!browser.page.html.includes('name="given_name"'))
})

test('rule 14: while it is on, no import changes a copy either, nor gives it a password', async () => {
  const { slug, pool } = await synchronised()
  const email = newEmail()
  outside.add({ email, profile: { given_name: 'There' } })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const before = await userBy(pool.id, email)
  const begun = await fetch(`${lido.url}/api/v1/pools/${slug}/imports?on_duplicate=update`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${await lido.token()}`, 'Content-Type': 'application/x-ndjson' },
    body: JSON.stringify({ email, external_id: 'somebody else', profile: { given_name: 'Imported' } }),
  })
  assert.equal(begun.status, 201)
  const { id } = (await begun.json()) as { id: string }
  for (let state: unknown; state !== 'done'; ) {
    const { body } = await lido.call('GET', `/pools/${slug}/imports/${id}`)
    state = body.state
    if (state === 'done') assert.deepEqual([body.updated, body.failed], [0, 1])
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.deepEqual(await userBy(pool.id, email), before)
})

test('rule 14: once it is off, they can be changed', async () => {
  const { slug, pool } = await synchronised()
  const email = newEmail()
  outside.add({ email, profile: { given_name: 'Ada' } })
  await byPassword(slug, email)
  const user = await userBy(pool.id, email)
  const { source } = pool
  assert.ok(source)
  await changePool(lido, pool.id, { source: { ...source, mode: 'migrate' } })
  const changed = await lido.call('PATCH', `/pools/${pool.slug}/users/${user?.id}`, { profile: { given_name: 'Eve' } })
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
})

test('rule 15: who stays at their source is offered a password and nothing else, and told where to get a new one', async () => {
  const { slug } = await synchronised()
  const email = newEmail()
  outside.add({ email })
  const browser = await visitAs(lido, slug, email)
  assert.ok(!browser.page.html.includes('view=another'))
  await browser.get(`${browser.page.url.split('?')[0]}?view=recover`)
  await browser.submit({ identifier: email })
  assert.match(browser.page.html, /Set a new one where your account lives/)
  assert.ok(!outside.asked.some(({ call }) => call === 'find'))
})

test('rule 13: roles go by the key of the same name, groups by their path; unknown ones are counted, ignored ones are not', async () => {
  const { db } = lido.services
  const at = new Date()
  await db.transaction().execute(async (trx) => {
    for (const key of ['editor-13', 'viewer-13'])
      await roles.create(trx, at, { key, name: key, description: '', permissions: [], tenantId: null }, system)
  })
  const { slug, pool } = await makeExternal(lido, outside, {
    source: {
      mapping: {
        roles: { ignore: ['internal-*'] },
        groups: { taken: 'first_sign_in', names: { Crew: '/staff' } },
      },
    },
  })
  await db
    .transaction()
    .execute((trx) => groups.create(trx, at, pool.id, { name: 'staff', description: '', parent_id: null }, system))
  const email = newEmail()
  outside.add({ email, roles: ['editor-13', 'internal-thing', 'unheard'], groups: ['Crew', 'lost'] })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const user = await userBy(pool.id, email)
  const shown = await lido.call('GET', `/pools/${pool.slug}/users/${user?.id}`)
  assert.deepEqual([shown.body.roles, shown.body.groups], [['editor-13'], ['/staff']])
  const [event] = await rowsOf<{ data: Record<string, unknown> }>(
    lido,
    `select data from events where pool_id = '${pool.id}' and type = 'migration.migrated'`,
  )
  assert.deepEqual([event?.data.unmapped_roles, event?.data.unmapped_groups], [1, 1])
})

for (const [taken, expected] of [
  ['none', []],
  ['first_sign_in', ['a-13']],
  ['add_only', ['a-13', 'b-13']],
  ['every_sign_in', ['b-13']],
] as const)
  test(`rule 13: roles that are taken "${taken}" are ${JSON.stringify(expected)} after a move from a to b`, async () => {
    const { db } = lido.services
    await db
      .transaction()
      .execute(async (trx) => {
        for (const key of ['a-13', 'b-13'])
          await roles
            .create(trx, new Date(), { key, name: key, description: '', permissions: [], tenantId: null }, system)
            .catch(() => undefined)
      })
      .catch(() => undefined)
    const { slug, pool } = await makeExternal(lido, outside, {
      source: { mode: 'sync', mapping: { roles: { taken } } },
      settings: { sign_in_methods: ['password'] },
    })
    const email = newEmail()
    const person = outside.add({ email, roles: ['a-13'] })
    assert.ok(isSignedIn(await byPassword(slug, email)))
    person.roles = ['b-13']
    assert.ok(isSignedIn(await byPassword(slug, email)))
    const user = await userBy(pool.id, email)
    const shown = await lido.call('GET', `/pools/${pool.slug}/users/${user?.id}`)
    assert.deepEqual(shown.body.roles, expected)
  })

test('rule 13: the tenant that tenant_id_field names is joined where it is this pool’s, and no other’s ever', async () => {
  const { db } = lido.services
  const settings = { url: outside.url, secret: 'the secret of the source', tenant_id_field: 'org' }
  const { slug, pool } = await makeExternal(lido, outside, { source: { settings } })
  const other = await makeExternal(lido, outside)
  const at = new Date()
  const made = { metadata: {}, name: 'x' }
  await db.transaction().execute(async (trx) => {
    await tenants.create(trx, at, { ...made, slug: 'ours', poolId: pool.id }, system)
    await tenants.create(trx, at, { ...made, slug: 'theirs', poolId: other.pool.id }, system)
  })
  const [mine, foreign] = [newEmail(), newEmail()]
  outside.add({ email: mine, metadata: { org: 'ours' } })
  outside.add({ email: foreign, metadata: { org: 'theirs' } })
  for (const email of [mine, foreign]) assert.ok(isSignedIn(await byPassword(slug, email)))
  const tenantsOf = async (email: string) => {
    const user = await userBy(pool.id, email)
    return (await tenants.listOf(db, pool.id, user?.id ?? '')).map((one) => one.slug)
  }
  assert.deepEqual([await tenantsOf(mine), await tenantsOf(foreign)], [['ours'], []])
})

test('rule 13: with `every_sign_in` somebody follows their tenant, and leaves the old one with their roles in it', async () => {
  const { db } = lido.services
  const settings = { url: outside.url, secret: 'the secret of the source', tenant_id_field: 'org' }
  const tenant = { taken: 'every_sign_in', ignore: ['kept*'] } as const
  const source = { mode: 'sync', settings, mapping: { tenant } } as const
  const { slug, pool } = await makeExternal(lido, outside, { source, settings: { sign_in_methods: ['password'] } })
  const at = new Date()
  const ids = await db.transaction().execute(async (trx) => {
    const made: string[] = []
    for (const one of ['first', 'second', 'kept-one'])
      made.push(
        (await tenants.create(trx, at, { metadata: {}, name: one, slug: `${one}-${slug}`, poolId: pool.id }, system))
          .id,
      )
    return made
  })
  const email = newEmail()
  const person = outside.add({ email, metadata: { org: `first-${slug}` } })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const user = await userBy(pool.id, email)
  assert.ok(user)
  const place = { poolId: pool.id, userId: user.id }
  await db.transaction().execute(async (trx) => {
    await tenants.join(trx, at, place, ids[2] ?? '', system)
    const wanted = { key: `boss-${slug}`, name: 'Boss', description: '', permissions: [], tenantId: ids[0] ?? null }
    const role = await roles.create(trx, at, wanted, system)
    await roles.assign(trx, at, { ...place, within: ids[0] ?? null }, role, system)
  })
  person.metadata = { org: `second-${slug}` }
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const now = (await tenants.listOf(db, pool.id, user.id)).map((one) => one.slug)
  assert.deepEqual(now.toSorted(), [`kept-one-${slug}`, `second-${slug}`])
  assert.deepEqual(await roles.listOf(db, pool.id, user.id), [])
})

test('rule 3: an operator lifts a tombstone, and the person may come again as a new user', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  const user = await userBy(pool.id, email)
  const at = `/pools/${pool.slug}/users/${user?.id}`
  assert.equal((await lido.call('DELETE', `${at}/tombstone`)).status, 404)
  assert.equal((await lido.call('DELETE', at)).status, 204)
  assert.ok(!isSignedIn(await byPassword(slug, email)))
  assert.equal((await lido.call('DELETE', `${at}/tombstone`)).status, 204)
  assert.ok(isSignedIn(await byPassword(slug, email)))
  assert.notEqual((await userBy(pool.id, email))?.id, user?.id)
})

test('the password grant goes the same way: it migrates, tells an outage from a wrong password, and asks for a factor', async () => {
  const { slug, pool, workspace } = await makeExternal(lido, outside)
  await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password'] })
  const grant = (username: string, password: string) =>
    token(lido.url, slug, { grant_type: 'password', client_id: 'ropc', username, password, scope: 'openid' })
  const email = newEmail()
  outside.add({ email })
  assert.equal((await grant(email, 'a wrong guess')).body.error, 'invalid_grant')
  outside.instead = () => ({ status: 500 })
  const away = await grant(email, secretThere)
  assert.deepEqual([away.status, away.body.error], [503, 'temporarily_unavailable'])
  outside.instead = undefined
  const came = await grant(email, secretThere)
  assert.equal(came.status, 200, JSON.stringify(came.body))
  assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
  const doubled = newEmail()
  outside.add({ email: doubled, mfa: true })
  assert.equal((await grant(doubled, secretThere)).body.error, 'mfa_required')
  const crowd = newEmail()
  outside.add({ email: crowd })
  const all = await Promise.all(Array.from({ length: 20 }, () => grant(crowd, secretThere)))
  assert.deepEqual(
    all.map(({ status }) => status),
    Array(20).fill(200),
  )
})

test('who is closed here is never asked of the source', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  await makeUser(lido, pool, email, { status: 'inactive' })
  assert.ok(!isSignedIn(await byPassword(slug, email)))
  const browser = await visit(lido, slug)
  await browser.get(`${browser.page.url.split('?')[0]}?view=recover`)
  await browser.submit({ identifier: email })
  assert.equal(outside.asked.length, 0)
})

test('a pool’s mapping script has the last word, within the schemas, and refuses where its operator wants that', async () => {
  const { slug, pool, workspace } = await makeExternal(lido, outside, { settings: { user_schema: names } })
  const code = `function mapping({ claims, mapped }) {
    if (claims.profile.given_name === 'Eve') throw new Error('no')
    return { ...mapped, profile: { given_name: claims.profile.given_name + '!', team: 7 } }
  }`
  const script = await makeScript(lido, workspace.id, code, { point: 'mapping' })
  const { source } = pool
  assert.ok(source)
  await changePool(lido, pool.id, { source: { ...source, mapping: { ...source.mapping, script: script.id } } })
  const [ada, eve] = [newEmail(), newEmail()]
  outside.add({ email: ada, profile: { given_name: 'Ada' } })
  outside.add({ email: eve, profile: { given_name: 'Eve' } })
  assert.ok(isSignedIn(await byPassword(slug, ada)))
  assert.deepEqual((await userBy(pool.id, ada))?.profile, { given_name: 'Ada!' })
  assert.ok(!isSignedIn(await byPassword(slug, eve)))
  assert.equal(await userBy(pool.id, eve), undefined)
})

test('who has come over signs in with as many statements as anybody, and coming over is one transaction more', async () => {
  const { slug } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const count = async () => {
    const browser = await visitAs(lido, slug, email)
    lido.statements.length = 0
    await browser.submit({ password: secretThere })
    assert.ok(isSignedIn(browser))
    return lido.statements.length
  }
  const [first, second] = [await count(), await count()]
  assert.ok(first <= 32, `${first}`)
  assert.ok(second <= 5, `${second}`)
})

test('the page for a forgotten password tells of a source that is down by an event, and its reader nothing', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  outside.instead = () => ({ status: 500 })
  const browser = await visit(lido, slug)
  await browser.get(`${lido.url}/w/${slug}/recover`)
  await browser.submit({ identifier: email })
  assert.equal(browser.page.status, 200)
  assert.ok(browser.page.html.includes('name="code"'))
  const failed = await rowsOf<{ data: { reason: string } }>(
    lido,
    `select data from events where pool_id = '${pool.id}' and type = 'migration.failed'`,
  )
  assert.deepEqual(
    failed.map(({ data }) => data.reason),
    ['unavailable'],
  )
})

test('a link from that page brings somebody over on another device, and only once', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const email = newEmail()
  outside.add({ email })
  const browser = await visit(lido, slug)
  await browser.get(`${lido.url}/w/${slug}/recover`)
  await browser.submit({ identifier: email })
  const { link } = await lido.message(email)
  const other = await visit(lido, slug)
  await other.get(link)
  await other.submit({ new_password: 'a password that was chosen here' })
  assert.equal((await userBy(pool.id, email))?.authority, 'migrated')
  await other.get(link)
  assert.equal(other.page.status, 410)
})

test('what a source tells with characters that nothing here can keep is left out, and whoever it tells of comes in', async () => {
  const settings = { user_schema: names, identifiers: ['email' as const, 'username' as const] }
  const source = {
    settings: { url: outside.url, secret: 'the secret of the source', tenant_id_field: 'organisation' },
    mapping: { roles: { taken: 'every_sign_in' }, groups: { taken: 'every_sign_in' } },
  }
  const { slug, pool } = await makeExternal(lido, outside, { source, settings })
  for (const odd of ['a\0b', 'a\ud800b']) {
    const told = { username: odd, profile: { given_name: odd, team: 'x' }, roles: [odd], groups: [odd], [odd]: odd }
    const [byCheck, byFind] = [newEmail(), newEmail()]
    for (const email of [byCheck, byFind])
      outside.add({ email, ...told, metadata: { organisation: odd, plan: { deep: [odd] } } })
    assert.ok(isSignedIn(await byPassword(slug, byCheck)), odd)
    assert.deepEqual((await userBy(pool.id, byCheck))?.profile, { team: 'x' })
    const browser = await visitAs(lido, slug, byFind)
    await browser.get(`${browser.page.url}?view=recover`)
    await browser.submit({ identifier: byFind })
    assert.equal(browser.page.status, 200)
    assert.ok((await lido.message(byFind)).link)
    const nobody = newEmail()
    outside.add({ email: nobody, id: `there|${odd}` })
    const refused = await byPassword(slug, nobody)
    assert.equal(refused.page.status, 200)
    assert.equal(await userBy(pool.id, nobody), undefined)
  }
})

test('rule 19: while observing, a forgotten password moves no copy over', async () => {
  const { slug, pool } = await synchronised()
  const { source } = pool
  assert.ok(source)
  const email = newEmail()
  outside.add({ email })
  assert.ok(isSignedIn(await byPassword(slug, email)))
  await changePool(lido, pool.id, { source: { ...source, mode: 'migrate', observe: true } })
  const browser = await visitAs(lido, slug, email)
  await browser.get(`${browser.page.url}?view=recover`)
  await browser.submit({ identifier: email })
  assert.equal(browser.page.status, 200)
  const sent = await rowsOf(lido, `select id from challenges where pool_id = '${pool.id}' and user_id is not null`)
  assert.deepEqual(sent, [])
  assert.equal((await userBy(pool.id, email))?.authority, 'linked')
})

test('who has to set a new password at the source reads what everybody reads whose password is not taken', async () => {
  const { slug, pool } = await synchronised()
  const known = newEmail()
  outside.add({ email: known })
  const reset = newEmail()
  const readBy = async (email: string) => {
    const browser = await byPassword(slug, email, 'a wrong guess')
    return browser.page.html.match(/role="alert"[^>]*>([^<]*)/)?.[1]
  }
  outside.instead = ({ identifier }) => (identifier === reset ? { status: 409 } : undefined)
  const [one, ...others] = [await readBy(reset), await readBy(known), await readBy(newEmail())]
  assert.match(String(one), /set a new password where your account lives/)
  assert.deepEqual(others, [one, one])
  const failed = await rowsOf<{ data: { reason: string } }>(
    lido,
    `select data from events where pool_id = '${pool.id}' and type = 'migration.failed'`,
  )
  assert.deepEqual(
    failed.map(({ data }) => data.reason),
    ['must_reset'],
  )
})
