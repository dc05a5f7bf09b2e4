import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  await lido.call('POST', '/workspaces', { slug: 'acme', name: 'Acme' })
  for (const slug of ['staff', 'partners', 'guests', 'raced'])
    await lido.call('POST', '/pools', { slug, name: `The ${slug}` })
})
after(() => lido.stop())

const path = '/workspaces/acme/connections'
const connect = async (pool: string, more: object = {}) => {
  const answer = await lido.call('POST', path, { pool, ...more })
  assert.equal(answer.status, 201, JSON.stringify(answer.body))
  return answer.body
}

test('connects a pool, changes and ends it', async () => {
  const made = await connect('staff', {
    domains: ['Staff.Example', 'büro.example'],
    mapping: { team: 'metadata.team' },
  })
  assert.equal(made.name, 'The staff')
  assert.deepEqual(made.domains, ['staff.example', 'xn--bro-hoa.example'])
  assert.deepEqual((await lido.call('GET', `${path}/${made.id}`)).body, made)
  const patch = { hidden: true, position: 3, amr: ['hwk'], mapping: { team: null, unit: 'profile.unit' } }
  const changed = await lido.call('PATCH', `${path}/${made.id}`, patch)
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.deepEqual(changed.body.mapping, { unit: 'profile.unit' })
  assert.deepEqual(changed.body.amr, ['hwk'])
  assert.deepEqual((await lido.call('PATCH', `${path}/${made.id}`, { amr: null })).body.amr, null)
  assert.equal((await lido.call('DELETE', `${path}/${made.id}`)).status, 204)
  assert.equal((await lido.call('GET', `${path}/${made.id}`)).status, 404)
})

test('a pool has one connection in a workspace, also when twenty ask at once', async () => {
  const asked = Array.from({ length: 20 }, () => lido.call('POST', path, { pool: 'raced' }))
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 201).length, 1)
  assert.equal(statuses.filter((status) => status === 409).length, 19)
})

test('a domain belongs to one connection of a workspace, also when two claim it at once', async () => {
  const partners = await connect('partners', { domains: ['partner.example'] })
  const guests = await connect('guests')
  const claim = (id: unknown, domains: string[]) => lido.call('PATCH', `${path}/${id}`, { domains })
  assert.equal((await claim(guests.id, ['PARTNER.example'])).status, 409)
  assert.equal((await claim(partners.id, ['partner.example', 'other.example'])).status, 200)
  const both = await Promise.all([claim(partners.id, ['new.example']), claim(guests.id, ['new.example'])])
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409])
  const { body } = await lido.call('GET', path)
  const domains = (body.items ?? []).flatMap((one) => one.domains as string[])
  assert.equal(new Set(domains).size, domains.length)
})

test('refuses what cannot be', async () => {
  const { status, body } = await lido.call('POST', path, {
    pool: 'staff',
    domains: ['not a domain', '*.example'],
    amr: [],
    mapping: { sub: 'profile.id', team: 'a.b.c' },
    reload_claims_at_refresh: 'yes',
    context_cache_seconds: -1,
  })
  assert.equal(status, 422)
  const pointers = (body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort()
  assert.deepEqual(pointers, [
    '/amr',
    '/context_cache_seconds',
    '/domains/0',
    '/domains/1',
    '/mapping/sub',
    '/mapping/team',
    '/reload_claims_at_refresh',
  ])
  assert.equal((await lido.call('POST', path, { pool: 'nobody' })).status, 404)
  const { body: listed } = await lido.call('GET', path)
  const [first] = listed.items ?? []
  assert.equal((await lido.call('PATCH', `${path}/${first?.id}`, { pool: 'staff' })).status, 422)
})

test('a connection that ends leaves the clients that named it, and opens them to nobody else', async () => {
  const { id } = await connect('staff')
  const client = { client_name: 'App', redirect_uris: ['https://app.example/cb'], connections: [id] }
  const { client_id } = (await lido.call('POST', '/workspaces/acme/clients', client)).body
  await lido.call('DELETE', `${path}/${id}`)
  const { body } = await lido.call('GET', `/workspaces/acme/clients/${client_id}`)
  assert.deepEqual(body.connections, [])
})

test('lists in order, page by page', async () => {
  await connect('staff', { position: -5 })
  const pools = (await lido.list(`${path}?limit=1`)).map(({ pool }) => pool)
  assert.equal(pools[0], 'staff')
  assert.deepEqual([...pools].sort(), ['guests', 'partners', 'raced', 'staff'])
})

test('an operator with limits meets only the connections of their pools', async () => {
  const idOf = async (to: string) => String((await lido.call('GET', to)).body.id)
  const limits = { workspaces: [await idOf('/workspaces/acme')], pools: [await idOf('/pools/staff')] }
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', ...limits })
  const { items = [] } = (await limited.call('GET', path)).body
  assert.deepEqual(
    items.map(({ pool }) => pool),
    ['staff'],
  )
  const all = (await lido.call('GET', path)).body.items ?? []
  const other = all.find(({ pool }) => pool === 'guests')
  assert.equal((await limited.call('GET', `${path}/${other?.id}`)).status, 404)
  assert.equal((await limited.call('PATCH', `${path}/${other?.id}`, { name: 'Mine' })).status, 404)
  assert.equal((await limited.call('DELETE', `${path}/${other?.id}`)).status, 404)
  assert.equal((await limited.call('POST', path, { pool: 'guests' })).status, 404)
  assert.equal((await limited.call('GET', '/workspaces/demo/connections')).status, 404)
  assert.equal((await limited.call('GET', `/workspaces/demo/connections/${items[0]?.id}`)).status, 404)
})

test('a mapping names what was told outside, and never what a token says of itself', async () => {
  await lido.call('POST', '/pools', { slug: 'told', name: 'Told' })
  const connected = await connect('told')
  const mapping = {
    department: 'upstream.department',
    city: 'upstream.address.locality',
    n: 'upstream.https://x.example/n',
  }
  const { body } = await lido.call('PATCH', `${path}/${connected.id}`, { mapping })
  assert.deepEqual(body.mapping, mapping)
  for (const name of ['sub', 'iss', 'aud', 'exp', 'act', 'cnf', 'active', 'email']) {
    const wrong = { mapping: JSON.parse(`{"${name}": "upstream.${name}"}`) }
    assert.equal((await lido.call('PATCH', `${path}/${connected.id}`, wrong)).status, 422, name)
  }
  const polluted = { mapping: JSON.parse('{"__proto__": "upstream.x"}') }
  assert.equal((await lido.call('PATCH', `${path}/${connected.id}`, polluted)).status, 400)
  for (const from of ['upstream.', 'upstream. x', `upstream.${'x'.repeat(201)}`])
    assert.equal((await lido.call('PATCH', `${path}/${connected.id}`, { mapping: { a: from } })).status, 422, from)
})

test('claims are reloaded only where somebody can be asked again', async () => {
  const oidc = { issuer: 'https://id.example', client_id: 'lido', authentication: 'none' }
  const github = { client_id: 'lido', client_secret: 'secret' }
  for (const [type, settings, status] of [
    ['oidc', oidc, 201],
    ['google', github, 201],
    ['github', github, 422],
  ] as const) {
    const slug = `reloads-${type}`
    await lido.call('POST', '/pools', { slug, name: slug, kind: 'federated', upstream: { type, settings } })
    const made = await lido.call('POST', path, { pool: slug, reload_claims_at_refresh: true })
    assert.equal(made.status, status, JSON.stringify(made.body))
    if (status === 201) continue
    assert.equal((made.body.errors as { pointer: string }[])[0]?.pointer, '/reload_claims_at_refresh')
    const plain = await lido.call('POST', path, { pool: slug })
    const changed = await lido.call('PATCH', `${path}/${plain.body.id}`, { reload_claims_at_refresh: true })
    assert.equal(changed.status, 422)
    assert.equal((await lido.call('PATCH', `${path}/${plain.body.id}`, { name: 'Other' })).status, 200)
  }
})
