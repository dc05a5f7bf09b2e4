import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as pools from '../../directory/pools.ts'
import { makeUser } from '../../pages/fixtures-testing.ts'
import { type Outside, openOutside } from '../../pages/outside-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
let outside: Outside
before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
after(async () => {
  await lido.stop()
  await outside.close()
})

const secret = 'the secret of the source'
const sourceOf = (more: object = {}) => ({
  type: 'http',
  mode: 'sync',
  settings: { url: outside.url, secret },
  ...more,
})
const staying = { sign_in_methods: ['password'], kind: 'external' }

const pointersOf = (body: Record<string, unknown>) =>
  (body.errors as { pointer: string }[] | undefined)?.map(({ pointer }) => pointer)

test('an external pool keeps its source’s secrets sealed: no answer, row, event or log ever shows one', async () => {
  const made = await lido.call('POST', '/pools', { slug: 'sealed', name: 'Sealed', ...staying, source: sourceOf() })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const source = made.body.source as { settings: object; secrets: string[] }
  assert.deepEqual(source.settings, { url: outside.url })
  assert.deepEqual(source.secrets, ['secret'])
  const changed = await lido.call('PATCH', '/pools/sealed', { source: { settings: { secret: `${secret}, renewed` } } })
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  const row = await lido.services.db.selectFrom('pools').selectAll().where('slug', '=', 'sealed').executeTakeFirst()
  const events = await lido.services.db.selectFrom('events').selectAll().execute()
  for (const text of [JSON.stringify(row), JSON.stringify(events), lido.lines.join('\n')]) {
    assert.ok(!text.includes(secret))
    assert.ok(!JSON.stringify(events).includes('"sealed":"'))
  }
})

test('a secret that is not sent again stays, one that is null goes, and the settings are tried with it', async () => {
  await lido.call('POST', '/pools', { slug: 'kept', name: 'Kept', ...staying, source: sourceOf() })
  const named = await lido.call('PATCH', '/pools/kept', { source: { settings: { tenant_id_field: 'org' } } })
  assert.deepEqual((named.body.source as { settings: object }).settings, { url: outside.url, tenant_id_field: 'org' })
  const tried = await lido.call('POST', '/pools/kept/source/test')
  assert.equal(tried.status, 200, JSON.stringify(tried.body))
  assert.equal(tried.body.ok, true, JSON.stringify(tried.body))
  const calls = outside.asked.length
  await lido.call('PATCH', '/pools/kept', { source: { paused: true } })
  const paused = await lido.call('POST', '/pools/kept/source/test')
  assert.equal(paused.body.ok, false, JSON.stringify(paused.body))
  assert.equal(outside.asked.length, calls)
  const gone = await lido.call('PATCH', '/pools/kept', { source: { settings: { secret: null } } })
  assert.equal(gone.status, 422)
  assert.deepEqual(pointersOf(gone.body), ['/source/settings/secret'])
})

test('settings are checked by their type, with a pointer to each fault', async () => {
  const wrong = { type: 'http', mode: 'sync', settings: { url: 'nowhere', secret, colour: 'red' } }
  const refused = await lido.call('POST', '/pools', { slug: 'wrong', name: 'Wrong', ...staying, source: wrong })
  assert.equal(refused.status, 422)
  assert.deepEqual(pointersOf(refused.body)?.sort(), ['/source/settings/colour', '/source/settings/url'])
  const unknown = { ...wrong, type: 'fax' }
  const none = await lido.call('POST', '/pools', { slug: 'wrong', name: 'Wrong', ...staying, source: unknown })
  assert.deepEqual(pointersOf(none.body), ['/source/type'])
})

test('rule 15: what would let in whom the source has closed cannot be enabled for people who stay there', async () => {
  for (const method of ['email_code', 'sms_code', 'magic_link', 'passkey']) {
    const wanted = {
      ...{ slug: 'staying', name: 'Staying', kind: 'external', source: sourceOf() },
      ...{ sign_in_methods: ['password', method], identifiers: ['email', 'mobile'] },
    }
    const refused = await lido.call('POST', '/pools', wanted)
    assert.equal(refused.status, 422, method)
    assert.deepEqual(pointersOf(refused.body), ['/sign_in_methods'])
  }
  await lido.call('POST', '/pools', { slug: 'staying', name: 'Staying', ...staying, source: sourceOf() })
  const later = await lido.call('PATCH', '/pools/staying', { sign_in_methods: ['password', 'passkey'] })
  assert.equal(later.status, 422)
})

test('rule 16: migration cannot be enabled for a federated pool, and the reason is told', async () => {
  const refused = await lido.call('POST', '/pools?confirm_migration=true', {
    ...{ slug: 'both', name: 'Both', kind: 'federated', source: sourceOf({ mode: 'migrate' }) },
    upstream: { type: 'oidc', settings: { issuer: 'https://idp.example', client_id: 'lido', client_secret: 'x' } },
  })
  assert.equal(refused.status, 422, JSON.stringify(refused.body))
  assert.match(JSON.stringify(refused.body), /nobody can be migrated/)
})

test('rule 17: switching migration on asks for a confirmation, and says how many users it concerns', async () => {
  const source = sourceOf({ mode: 'migrate' })
  const fresh = { slug: 'moving', name: 'Moving', kind: 'external', source }
  assert.equal((await lido.call('POST', '/pools', fresh)).status, 409)
  await lido.call('POST', '/pools', { slug: 'moving', name: 'Moving', ...staying, source: sourceOf() })
  const pool = await pools.findBySlug(lido.services.db, 'moving')
  assert.ok(pool)
  for (const name of ['one@example.org', 'two@example.org']) {
    const id = await makeUser(lido, pool, name, { password: null })
    await lido.services.db.updateTable('users').set({ authority: 'linked' }).where('id', '=', id).execute()
  }
  const asked = await lido.call('PATCH', '/pools/moving?accept_conflicts=true', { source: { mode: 'migrate' } })
  assert.equal(asked.status, 409)
  assert.match(String(asked.body.detail), /2 users are known here/)
  const way = '/pools/moving?accept_conflicts=true&confirm_migration=true'
  assert.equal((await lido.call('PATCH', way, { source: { mode: 'migrate' } })).status, 200)
  assert.equal((await lido.call('PATCH', '/pools/moving', { name: 'Moved' })).status, 200, 'it is asked once')
  const other = await lido.call('PATCH', '/pools/moving', {
    source: { type: 'auth0', settings: { url: null, secret: null, domain: 'x.example' } },
  })
  assert.ok([409, 422].includes(other.status))
})

test('the kind of a pool stays once somebody is in it, and a source is for external pools alone', async () => {
  await lido.call('POST', '/pools', { slug: 'settled', name: 'Settled' })
  assert.equal((await lido.call('PATCH', '/pools/settled', { source: sourceOf() })).status, 422)
  const pool = await pools.findBySlug(lido.services.db, 'settled')
  assert.ok(pool)
  await makeUser(lido, pool, 'somebody@example.org')
  const moved = await lido.call('PATCH', '/pools/settled?accept_conflicts=true', { ...staying, source: sourceOf() })
  assert.equal(moved.status, 409, JSON.stringify(moved.body))
  assert.match(String(moved.body.detail), /kind of a pool/)
})

test('secrets that are not sent again go to no other server than they were set for', async () => {
  const settings = { domain: 'acme.eu.auth0.com', client_id: 'lido', client_secret: 'canary of acme', realm: 'people' }
  const source = { type: 'auth0', mode: 'sync', settings }
  const body = { slug: 'stays-there', name: 'Stays', kind: 'external', sign_in_methods: ['password'], source }
  assert.equal((await lido.call('POST', '/pools', body)).status, 201)
  const patch = (changed: object) => lido.call('PATCH', '/pools/stays-there', { source: { settings: changed } })
  const refused = await patch({ domain: 'evil.example.org' })
  assert.equal(refused.status, 422)
  assert.deepEqual(pointersOf(refused.body), ['/source/settings/client_secret'])
  assert.equal((await patch({ realm: 'others' })).status, 200)
  assert.equal((await patch({ domain: 'acme.us.auth0.com', client_secret: 'another' })).status, 200)
})

test('a script’s secrets go to no origin that was not there when they were set', async () => {
  const settings = {
    code: 'function check() { return null } function find() { return null }',
    secrets: { token: 'canary of the script' },
    allowed_origins: ['https://one.example.org', 'https://two.example.org'],
  }
  const source = { type: 'custom', mode: 'sync', settings }
  const body = { slug: 'script-stays', name: 'Stays', kind: 'external', sign_in_methods: ['password'], source }
  const made = await lido.call('POST', '/pools', body)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const patch = (changed: object) => lido.call('PATCH', '/pools/script-stays', { source: { settings: changed } })
  assert.equal((await patch({ allowed_origins: ['https://one.example.org', 'https://evil.example.org'] })).status, 422)
  assert.equal((await patch({ allowed_origins: ['https://one.example.org'] })).status, 200)
})
