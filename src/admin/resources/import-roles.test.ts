import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type AdminLido, type ApiAnswer, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

interface Progress {
  created: number
  updated: number
  failed: number
  errors: { row: number; reasons: string[] }[]
}

const make = async (path: string, body: object): Promise<string> => (await lido.make(path, body)).id
const makePool = (slug: string) => make('/pools', { slug, name: slug, identifiers: ['email', 'username'] })

const send = async (pool: string, text: string, query = '', token?: string) => {
  const response = await fetch(`${lido.url}/api/v1/pools/${pool}/imports?${query}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token ?? (await lido.token())}`, 'Content-Type': 'text/csv' },
    body: text,
  })
  return { status: response.status, body: (await response.json()) as ApiAnswer['body'] }
}
const run = async (pool: string, text: string, query = '', token?: string): Promise<Progress> => {
  const { status, body } = await send(pool, text, query, token)
  assert.equal(status, 201, JSON.stringify(body))
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await setTimeout(30)) {
    const { body: now } = await lido.call('GET', `/pools/${pool}/imports/${body.id}`)
    if (now.state === 'done') return now as unknown as Progress
  }
  throw new Error('The import does not end.')
}
const counts = ({ created, updated, failed }: Progress) => [created, updated, failed]
const userOf = async (pool: string, identifier: string) =>
  (await lido.call('GET', `/pools/${pool}/users?identifier=${identifier}`)).body.items?.[0] as
    | { id: string; roles: string[]; tenants: string[]; external_id: string | null }
    | undefined

test('gives roles everywhere and in tenants, takes people into these, and says so in events', async () => {
  const pool = await makePool('staffed')
  const acme = await make('/tenants', { slug: 'acme', name: 'Acme', pool })
  await make('/roles', { key: 'editor', name: 'Editor' })
  await make('/roles', { key: 'acme-admin', name: 'Admin', tenant_id: acme })
  const text = [
    'email,roles',
    'everywhere@example.org,editor',
    'there@example.org,acme/editor;acme-admin',
    'same@example.org,acme/acme-admin',
    'none@example.org,',
  ].join('\n')
  assert.deepEqual(counts(await run('staffed', text, 'dry_run=true')), [4, 0, 0])
  assert.equal(await userOf('staffed', 'there@example.org'), undefined)
  const done = await run('staffed', text)
  assert.deepEqual(counts(done), [4, 0, 0], JSON.stringify(done.errors))
  const shown = async (name: string) => {
    const user = await userOf('staffed', `${name}@example.org`)
    return [user?.roles, user?.tenants]
  }
  assert.deepEqual(await shown('everywhere'), [['editor'], []])
  assert.deepEqual(await shown('there'), [['acme-admin', 'editor'], [acme]])
  assert.deepEqual(await shown('same'), [['acme-admin'], [acme]])
  assert.deepEqual(await shown('none'), [[], []])
  const there = await userOf('staffed', 'there@example.org')
  const { body } = await lido.call('GET', `/pools/staffed/users/${there?.id}/roles`)
  assert.ok(JSON.stringify(body).split(acme).length > 2, 'both count in the tenant')
  const events = async () =>
    (await lido.call('GET', `/events?type=role.assigned,tenant.member_added&pool=${pool}`)).body.items?.length
  assert.equal(await events(), 4 + 2)
  // Who has a role keeps it, and what a row does not name stays.
  assert.deepEqual(
    counts(await run('staffed', 'email,roles\nthere@example.org,editor\n', 'on_duplicate=update')),
    [0, 1, 0],
  )
  assert.deepEqual(await shown('there'), [['acme-admin', 'editor'], [acme]])
  assert.equal(await events(), 4 + 2 + 1)

  const Authorization = `Bearer ${await lido.token()}`
  const csv = await (
    await fetch(`${lido.url}/api/v1/pools/staffed/exports?format=csv`, { headers: { Authorization } })
  ).text()
  assert.match(csv, /acme\/acme-admin;acme\/editor;editor/)
  assert.deepEqual(counts(await run('staffed', csv, 'on_duplicate=update')), [0, 4, 0], 'an export is read again')
})

test('refuses row by row what is no role for the pool, and imports the others', async () => {
  const [here, there] = [await makePool('here'), await makePool('there')]
  const foreign = await make('/tenants', { slug: 'foreign', name: 'Foreign', pool: there })
  await make('/tenants', { slug: 'native', name: 'Native', pool: here })
  await make('/roles', { key: 'of-foreign', name: 'Foreign', tenant_id: foreign })
  await make('/roles', { key: 'global', name: 'Global' })
  const rows = [
    'nothing',
    'of-foreign',
    'foreign/global',
    'native/of-foreign',
    'nowhere/global',
    'Not A Key',
    'a/b/c',
    '../global',
    'global;nothing',
  ]
  const text = [
    'email,roles',
    ...rows.map((role, i) => `r${i}@example.org,${role}`),
    'fine@example.org,native/global',
  ].join('\n')
  const done = await run('here', text)
  assert.deepEqual(counts(done), [1, 0, rows.length], JSON.stringify(done.errors))
  for (const { reasons } of done.errors)
    assert.match(reasons.join(), /There is no role .+ for this pool|roles are keys/)
  assert.deepEqual((await userOf('here', 'fine@example.org'))?.roles, ['global'])
  assert.deepEqual((await lido.call('GET', `/tenants/${foreign}/members`)).body.items, [])
})

test('gives only what whoever imports may give', async () => {
  const pool = await makePool('limits')
  const own = await make('/tenants', { slug: 'own', name: 'Own', pool })
  await make('/tenants', { slug: 'open', name: 'Open', pool: null })
  await make('/roles', { key: 'world', name: 'World' })
  await make('/roles', { key: 'local', name: 'Local', tenant_id: own })
  const text =
    'email,roles\na@example.org,world\nb@example.org,own/world\nc@example.org,open/world\nd@example.org,local\n'
  const reasonsOf = async (token: string) =>
    (await run('limits', text, 'dry_run=true', token)).errors.map(({ row, reasons }) => `${row} ${reasons}`)
  assert.deepEqual(
    await reasonsOf(await lido.token('imports:write')),
    [1, 2, 3, 4].map((row) => `${row} This import may not give roles`),
  )
  assert.deepEqual(
    await reasonsOf(await lido.token('imports:write roles:write')),
    [2, 3, 4].map((row) => `${row} This import may not put users into tenants`),
  )
  assert.deepEqual(await reasonsOf(await lido.token('imports:write roles:write tenants:write')), [])
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', pools: [pool], workspaces: [] })
  assert.deepEqual(await reasonsOf(limited.token), [
    '1 There is no role world for this pool',
    '2 There is no role own/world for this pool',
    '3 There is no role open/world for this pool',
  ])
})

test('calls columns as it is told, leaves others out, and refuses what cannot be', async () => {
  await makePool('mapped')
  const columns = {
    'E-Mail': 'email',
    Login: 'username',
    Vorname: 'profile.given_name',
    Nr: 'external_id',
    Notiz: null,
  }
  const query = (mapping: unknown) => `columns=${encodeURIComponent(JSON.stringify(mapping))}`
  const text = 'E-Mail,Login,Vorname,Nr,Notiz\nann@example.org,ann,Ann,K-7,private\n'
  assert.deepEqual(counts(await run('mapped', text, query(columns))), [1, 0, 0])
  const ann = (await lido.call('GET', '/pools/mapped/users?external_id=K-7')).body.items ?? []
  assert.deepEqual(
    ann.map(({ external_id, profile, metadata }) => ({ external_id, profile, metadata })),
    [{ external_id: 'K-7', profile: { given_name: 'Ann' }, metadata: {} }],
  )
  assert.deepEqual((await lido.call('GET', '/pools/mapped/users?external_id=K-8')).body.items, [])
  assert.deepEqual((await lido.call('GET', '/pools/mapped/users?external_id=K-7&search=bob')).body.items, [])
  assert.deepEqual((await lido.call('GET', '/pools/mapped/users?external_id=K-7&search=an')).body.items?.length, 1)
  const twice = await run('mapped', 'E-Mail,email\na@example.org,b@example.org\n', query({ 'E-Mail': 'email' }))
  assert.deepEqual(twice.errors, [{ row: 1, reasons: ['The column "email" is there twice'] }])
  for (const bad of [{ a: 'surprise' }, { a: 'email', b: 'email' }, { a: 1 }, { a: '__proto__' }, [], 'x', null])
    assert.equal((await send('mapped', text, query(bad))).status, 422, JSON.stringify(bad))
  assert.equal((await send('mapped', text, 'columns=%7B')).status, 422)
})
