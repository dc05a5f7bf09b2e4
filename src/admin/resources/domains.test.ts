import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { system } from '../../directory/audit.ts'
import { proofPath } from '../../directory/domain-proofs.ts'
import * as domains from '../../directory/domains.ts'
import * as workspaces from '../../directory/workspaces.ts'
import { eventually } from '../../oidc/fixtures-testing.ts'
import { sendTo } from '../../oidc/raw-testing.ts'
import { type DnsDouble, dnsDouble } from '../../platform/dns-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let dns: DnsDouble
let lido: AdminLido
before(async () => {
  dns = await dnsDouble()
  lido = await adminLido({ DNS_SERVERS: dns.server })
})
after(async () => {
  await lido.stop()
  await dns.stop()
})

interface Made {
  id: string
  origin: string
  state: string
  primary: boolean
  proof: string | null
  dns_records: { type: string; name: string; value: string }[]
}

const path = '/workspaces/demo/domains'
const add = async (host: string, workspace = 'demo') => {
  const { status, body } = await lido.call('POST', `/workspaces/${workspace}/domains`, { host })
  assert.equal(status, 201, JSON.stringify(body))
  return body as unknown as Made
}
const verify = ({ id }: Pick<Made, 'id'>, workspace = 'demo') =>
  lido.call('POST', `/workspaces/${workspace}/domains/${id}/verify`)
/** Has the owner of a host say whose it is, as the record of a domain asks. */
const say = ({ dns_records: [txt] }: Pick<Made, 'dns_records'>, ...more: string[]) => {
  assert(txt)
  dns.zone[txt.name] = [txt.value, ...more]
  return txt
}
const makeWorkspace = async (slug: string) =>
  assert.equal((await lido.call('POST', '/workspaces', { slug, name: slug })).status, 201)
const statusAt = async (origin: string, at = '/jwks') =>
  (await sendTo(lido.url, { path: at, headers: { Host: new URL(origin).host } })).status
const eventsOf = async (host: string) => {
  const rows = await lido.services.db.selectFrom('events').select(['type', 'data']).orderBy('id').execute()
  return rows.filter(({ data }) => (data as { name?: string }).name === host)
}

/** Has the outside world lead every host here, or one of them elsewhere. */
const leadHere = (answer: (url: URL) => Promise<{ status: number; text: string }>) => {
  lido.services.fetch = async (url) => {
    const { status, text } = await answer(new URL(url))
    return { status, headers: {}, text: () => text, json: () => JSON.parse(text) }
  }
}
const here = (url: URL) => sendTo(lido.url, { path: url.pathname, headers: { Host: url.host } })

test('a domain answers once its DNS says whose it is, and not before', async () => {
  const made = await add('Login.Acme.localhost')
  const { origin, state, proof, dns_records } = made
  assert.deepEqual([origin, state, proof], [`http://login.acme.localhost:${new URL(lido.url).port}`, 'pending', null])
  assert.deepEqual(
    dns_records.map(({ type, name }) => [type, name]),
    [
      ['TXT', '_lido-challenge.login.acme.localhost'],
      ['CNAME', 'login.acme.localhost'],
    ],
  )
  assert.match(dns_records[0]?.value ?? '', /^[\w-]{43}$/)
  assert.equal(await statusAt(origin), 404)
  assert.equal((await lido.call('PATCH', `${path}/${made.id}`, { primary: true })).status, 409)
  // That it leads here says nothing of whose it is.
  leadHere(here)
  assert.equal((await verify(made)).status, 409)
  say(made)
  const verified = await verify(made)
  assert.deepEqual([verified.status, verified.body.state, verified.body.proof], [200, 'active', 'dns'])
  await eventually(5000, async () => assert.equal(await statusAt(origin), 200))
  const told = (await eventsOf('login.acme.localhost')).map(({ type, data }) => [type, (data as { why?: string }).why])
  assert.deepEqual(told, [
    ['domain.created', undefined],
    ['domain.refused', 'missing'],
    ['domain.updated', undefined],
  ])
})

test('no answer of the DNS but the value of this workspace and this host is a proof', async () => {
  await makeWorkspace('neighbour')
  const mine = await add('exact.localhost')
  const [theirs, other] = [await add('exact.localhost', 'neighbour'), await add('another.localhost')]
  const [txt] = mine.dns_records
  const value = txt?.value ?? ''
  const name = txt?.name ?? ''
  const wrong: [(typeof dns.zone)[string] | undefined, string][] = [
    [undefined, 'missing'],
    [[], 'missing'],
    [{ alias: 'nowhere.localhost' }, 'missing'],
    [[''], 'different'],
    [[theirs.dns_records[0]?.value ?? ''], 'different'],
    [[other.dns_records[0]?.value ?? ''], 'different'],
    [[value.slice(0, -1), `${value}x`, `x${value}`, value.toUpperCase(), `"${value}"`], 'different'],
    [Array.from({ length: 1000 }, (_, index) => `text ${index}`), 'different'],
    [[value.padEnd(20_000, 'x')], 'different'],
    ['fails', 'unreachable'],
  ]
  for (const [answer, why] of wrong) {
    if (answer === undefined) delete dns.zone[name]
    else dns.zone[name] = answer
    const { status, body } = await verify(mine)
    assert.deepEqual([status, body.state], [409, undefined], why)
    const last = (await eventsOf('exact.localhost')).at(-1)
    assert.deepEqual([last?.type, last?.data.why], ['domain.refused', why])
  }
  // At the host itself, beside it and above it nothing is looked for.
  delete dns.zone[name]
  for (const beside of [
    'exact.localhost',
    'localhost',
    '_lido-challenge.localhost',
    '_lido-challenge.www.exact.localhost',
  ])
    dns.zone[beside] = [value]
  assert.equal((await verify(mine)).status, 409)
  assert(!dns.asked.includes('exact.localhost'))
  // An alias is the owner's to set; and other texts do no harm.
  dns.zone[name] = { alias: 'dns.provider.example' }
  dns.zone['dns.provider.example'] = ['v=spf1 -all', value]
  assert.equal((await verify(mine)).status, 200)
})

test('a name server that hangs is waited for three seconds, and meanwhile nobody else waits', async () => {
  const made = await add('hanging.localhost')
  dns.zone['_lido-challenge.hanging.localhost'] = 'hangs'
  const began = performance.now()
  const asked = verify(made)
  assert.equal(await statusAt(lido.url, '/w/demo/jwks'), 200)
  assert(performance.now() - began < 2_000)
  assert.equal((await asked).status, 409)
  assert(performance.now() - began < 6_000)
})

test('of twenty who verify at once each is told the same, and it is one change', async () => {
  await makeWorkspace('racer')
  const [one, two] = [await add('race.localhost'), await add('race.localhost', 'racer')]
  say(one, two.dns_records[0]?.value ?? '')
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) => (index % 2 ? verify(one) : verify(two, 'racer'))),
  )
  const statuses = [all.filter((_, index) => index % 2), all.filter((_, index) => index % 2 === 0)].map((some) =>
    [...new Set(some.map(({ status }) => status))].join(),
  )
  assert.deepEqual(statuses.sort(), ['200', '409'])
  const changes = (await eventsOf('race.localhost')).filter(({ type }) => type === 'domain.updated')
  assert.equal(changes.length, 1)
})

test('what a domain needs can be looked at before anything changes', async () => {
  const made = await add('look.localhost')
  const check = async () => (await lido.call('POST', `${path}/${made.id}/check`)).body
  for (const answer of [
    { status: 404, text: '' },
    { status: 200, text: 'hello' },
    { status: 200, text: '' },
  ]) {
    leadHere(async () => answer)
    assert.deepEqual(await check(), { dns: 'missing', leads_here: false })
  }
  leadHere(async () => {
    throw new Error('nobody is there')
  })
  say(made)
  assert.deepEqual(await check(), { dns: 'proven', leads_here: false })
  // What is said at one host is no sign of another.
  const other = await add('other.acme.localhost')
  leadHere(() => here(new URL(`${other.origin}${proofPath}`)))
  assert.equal((await check()).leads_here, false)
  leadHere(here)
  assert.deepEqual(await check(), { dns: 'proven', leads_here: true })
  assert.equal((await lido.call('GET', `${path}/${made.id}`)).body.state, 'pending')
})

test('a domain that is active stays so, whatever its DNS says later; another press asks it again', async () => {
  const made = await add('stays.localhost')
  assert.equal((await lido.call('POST', `${path}/${made.id}/activate`)).body.proof, 'operator')
  assert.equal((await verify(made)).status, 409)
  assert.deepEqual((await lido.call('GET', `${path}/${made.id}`)).body.state, 'active')
  say(made)
  assert.equal((await verify(made)).body.proof, 'dns')
  assert.equal((await lido.call('POST', `${path}/${made.id}/activate`)).body.proof, 'dns')
  // Named anew, it is another domain: what the DNS still says is worth nothing.
  assert.equal((await lido.call('DELETE', `${path}/${made.id}`)).status, 204)
  assert.equal((await verify(await add('stays.localhost'))).status, 409)
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
  assert.equal(deleted.filter(({ data }) => data.name === primary[0]?.host).length, 1)
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
    'login.example.',
    '*.example.org',
    'a.*.example',
    '_lido-challenge.example.org',
    'a.0x1',
    'a\u3002example',
    'ａ.example',
  ])
    assert.equal((await lido.call('POST', path, { host })).status, 422, host)
  await add('twice.localhost')
  assert.equal((await lido.call('POST', path, { host: 'TWICE.localhost' })).status, 409)
  assert.equal((await lido.call('POST', '/workspaces/admin/domains', { host: 'admin.localhost' })).status, 409)
})

test('the host of PUBLIC_URL is no domain of a workspace, however it is written', async () => {
  const { db, clock } = lido.services
  const demo = await workspaces.findBySlug(db, 'demo')
  assert(demo)
  const config = { publicUrl: 'https://id.example.org' }
  for (const written of ['id.example.org', 'ID.Example.ORG', ' id.example.org ']) {
    const wanted = { config, workspace: demo, host: domains.hostName.parse(written) }
    await assert.rejects(domains.add(db, clock.now(), wanted, system), /host of PUBLIC_URL/)
  }
})

test('an operator with limits has the domains whose DNS names their workspaces, and activates none unasked', async () => {
  await makeWorkspace('first')
  const first = await add('both.localhost', 'first')
  const { body } = await lido.call('GET', '/workspaces/demo')
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', workspaces: [String(body.id)] })
  const made = await limited.call('POST', path, { host: 'both.localhost' })
  assert.equal(made.status, 201)
  const mine = made.body as unknown as Made
  assert.equal((await limited.call('POST', `${path}/${mine.id}/activate`)).status, 403)
  assert.equal((await limited.call('POST', '/workspaces/admin/domains', { host: 'a.localhost' })).status, 404)
  leadHere(here)
  const ask = () => limited.call('POST', `${path}/${mine.id}/verify`)
  assert.equal((await ask()).status, 409)
  say(first)
  assert.equal((await ask()).status, 409)
  assert.equal((await limited.call('POST', `/workspaces/first/domains/${first.id}/verify`)).status, 404)
  say(mine)
  // That somebody else has named it, too, is nobody's concern.
  assert.equal((await ask()).status, 200)
})

test('a domain that another workspace answers at is let go there, and not taken, though the DNS has changed its mind', async () => {
  await makeWorkspace('rival')
  const mine = await add('wanted.localhost')
  say(mine)
  assert.equal((await verify(mine)).status, 200)
  const theirs = await add('wanted.localhost', 'rival')
  say(theirs)
  const refused = await verify(theirs, 'rival')
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /deletes it there/)
  assert.deepEqual((await eventsOf('wanted.localhost')).at(-1)?.data.why, 'taken')
  assert.equal((await lido.call('POST', `/workspaces/rival/domains/${theirs.id}/activate`)).status, 409)
  assert.equal((await lido.call('POST', `/workspaces/rival/domains/${mine.id}/activate`)).status, 404)
  assert.equal((await lido.call('DELETE', `${path}/${mine.id}`)).status, 204)
  assert.equal((await verify(theirs, 'rival')).status, 200)
})
