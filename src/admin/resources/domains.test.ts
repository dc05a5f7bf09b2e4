import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { proofPath } from '../../directory/domains.ts'
import { eventually } from '../../oidc/fixtures-testing.ts'
import { sendTo } from '../../oidc/raw-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const path = '/workspaces/demo/domains'
const add = async (host: string) => {
  const { status, body } = await lido.call('POST', path, { host })
  assert.equal(status, 201, JSON.stringify(body))
  return body as { id: string; origin: string; state: string; primary: boolean }
}
const statusAt = async (origin: string, at = '/jwks') =>
  (await sendTo(lido.url, { path: at, headers: { Host: new URL(origin).host } })).status

/** Has the outside world lead every host here, or one of them elsewhere. */
const leadHere = (answer: (url: URL) => Promise<{ status: number; text: string }>) => {
  lido.services.fetch = async (url) => {
    const { status, text } = await answer(new URL(url))
    return { status, headers: {}, text: () => text, json: () => JSON.parse(text) }
  }
}
const here = (url: URL) => sendTo(lido.url, { path: url.pathname, headers: { Host: url.host } })

test('a domain answers once it has shown that it leads here, and not before', async () => {
  const { id, origin, state } = await add('Login.Acme.localhost')
  assert.deepEqual([origin, state], [`http://login.acme.localhost:${new URL(lido.url).port}`, 'pending'])
  assert.equal(await statusAt(origin), 404)
  assert.equal((await lido.call('PATCH', `${path}/${id}`, { primary: true })).status, 409)
  for (const answer of [
    { status: 404, text: '' },
    { status: 200, text: 'hello' },
    { status: 200, text: '' },
  ]) {
    leadHere(async () => answer)
    assert.equal((await lido.call('POST', `${path}/${id}/verify`)).status, 409)
  }
  leadHere(async () => {
    throw new Error('nobody is there')
  })
  assert.equal((await lido.call('POST', `${path}/${id}/verify`)).status, 409)
  // What is said at one host is no proof for another.
  const other = await add('other.acme.localhost')
  leadHere(() => here(new URL(`${other.origin}${proofPath}`)))
  assert.equal((await lido.call('POST', `${path}/${id}/verify`)).status, 409)
  leadHere(here)
  const verified = await lido.call('POST', `${path}/${id}/verify`)
  assert.deepEqual([verified.status, verified.body.state], [200, 'active'])
  await eventually(5000, async () => assert.equal(await statusAt(origin), 200))
})

test('a host that nobody has named is told nothing', async () => {
  const asked = await sendTo(lido.url, { path: proofPath, headers: { Host: 'unknown.example' } })
  assert.equal(asked.status, 404)
  assert(!asked.text.includes('unknown.example'))
})

test('a workspace has one primary domain, which is its issuer for the API', async () => {
  const [one, two] = [await add('one.localhost'), await add('two.localhost')]
  for (const { id } of [one, two]) assert.equal((await lido.call('POST', `${path}/${id}/activate`)).status, 200)
  const settle = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      lido.call('PATCH', `${path}/${index % 2 ? one.id : two.id}`, { primary: true }),
    ),
  )
  assert(settle.every(({ status }) => status === 200))
  const { items = [] } = (await lido.call('GET', path)).body
  const primary = items.filter((item) => item.primary)
  assert.equal(primary.length, 1)
  const issuer = async () => (await lido.call('GET', '/workspaces/demo')).body.issuer
  assert.equal(await issuer(), primary[0]?.origin)
  assert.equal((await lido.call('DELETE', `${path}/${primary[0]?.id}`)).status, 204)
  assert.equal(await issuer(), `${lido.url}/w/demo`)
  assert.equal((await lido.call('GET', `${path}/${primary[0]?.id}`)).status, 404)
  const { db } = lido.services
  const deleted = await db.selectFrom('events').select('data').where('type', '=', 'domain.deleted').execute()
  assert.equal(deleted.length, 1)
})

test('what is no domain for a workspace is refused', async () => {
  for (const host of [
    '',
    'localhost',
    '127.0.0.1',
    '1.2.3.4',
    '::1',
    'a b.example',
    'https://a.example',
    'a.example:8080',
    'a.example/x',
    '-a.example',
    'a..example',
    `${'x'.repeat(64)}.example`,
    'é.example',
  ])
    assert.equal((await lido.call('POST', path, { host })).status, 422, host)
  await add('twice.localhost')
  assert.equal((await lido.call('POST', path, { host: 'TWICE.localhost' })).status, 409)
  assert.equal((await lido.call('POST', '/workspaces/admin/domains', { host: 'admin.localhost' })).status, 409)
})

test('an operator with limits names and verifies domains of their workspaces, and activates none unasked', async () => {
  const { body } = await lido.call('GET', '/workspaces/demo')
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', workspaces: [String(body.id)] })
  const made = await limited.call('POST', path, { host: 'limited.localhost' })
  assert.equal(made.status, 201)
  assert.equal((await limited.call('POST', `${path}/${made.body.id}/activate`)).status, 403)
  assert.equal((await limited.call('POST', '/workspaces/admin/domains', { host: 'a.localhost' })).status, 404)
  leadHere(here)
  assert.equal((await limited.call('POST', `${path}/${made.body.id}/verify`)).status, 200)
})

test('a host that another workspace has named as well is given by an operator without limits alone', async () => {
  assert.equal((await lido.call('POST', '/workspaces', { slug: 'first', name: 'First' })).status, 201)
  const first = await lido.call('POST', '/workspaces/first/domains', { host: 'both.localhost' })
  const { body } = await lido.call('GET', '/workspaces/demo')
  const limited = await operator(lido, 'grabber@example.org', { role: 'admin', workspaces: [String(body.id)] })
  const made = await limited.call('POST', path, { host: 'both.localhost' })
  leadHere(here)
  assert.equal((await limited.call('POST', `${path}/${made.body.id}/verify`)).status, 409)
  assert.equal((await lido.call('POST', `/workspaces/first/domains/${first.body.id}/verify`)).status, 200)
})

test('a domain that another workspace answers at cannot be had', async () => {
  assert.equal((await lido.call('POST', '/workspaces', { slug: 'rival', name: 'Rival' })).status, 201)
  const mine = await add('wanted.localhost')
  assert.equal((await lido.call('POST', `${path}/${mine.id}/activate`)).status, 200)
  const theirs = await lido.call('POST', '/workspaces/rival/domains', { host: 'wanted.localhost' })
  assert.equal(theirs.status, 201)
  leadHere(here)
  for (const how of ['verify', 'activate'])
    assert.equal((await lido.call('POST', `/workspaces/rival/domains/${theirs.body.id}/${how}`)).status, 409)
  assert.equal((await lido.call('POST', `/workspaces/rival/domains/${mine.id}/activate`)).status, 404)
})
