import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import { type Connection, connect } from '../db/connect.ts'
import { testDatabase } from '../db/testing.ts'
import * as pools from '../directory/pools.ts'
import { sha256 } from '../platform/secrets.ts'
import { runHere } from './run-testing.ts'

const secret = 'a-client-secret-that-nobody-else-knows-1'
const other = 'a-client-secret-that-nobody-else-knows-2'

/** An installation without a server, and the file system around it. */
interface Place {
  connection: Connection
  lido(words: string[], env?: Record<string, string>): ReturnType<typeof runHere>
  /** Writes a file and applies it. */
  apply(text: string, env?: Record<string, string>, ...words: string[]): ReturnType<typeof runHere>
  events(): Promise<string[]>
  close(): Promise<void>
}

const open = async (): Promise<Place> => {
  const database = await testDatabase()
  const connection = connect(database.url)
  const folder = await mkdtemp(join(tmpdir(), 'lido-'))
  const own = {
    NODE_ENV: 'test',
    DATABASE_URL: database.url,
    SECRETS: 'a-secret-that-only-this-test-knows-0123456789',
  }
  let count = 0
  const lido: Place['lido'] = (words, env = {}) => runHere({ ...own, ...env }, words)
  return {
    connection,
    lido,
    async apply(text, env, ...words) {
      count += 1
      const file = join(folder, `${count}.yaml`)
      await writeFile(file, text)
      const ran = await lido(['apply', file, ...words], env)
      return { ...ran, err: ran.err.replaceAll(file, 'file') }
    },
    async events() {
      const rows = await connection.db.selectFrom('events').select('type').orderBy('id').execute()
      return rows.map(({ type }) => type)
    },
    async close() {
      await connection.close()
      await database.close()
      await rm(folder, { recursive: true })
    },
  }
}

const addUsers = async ({ connection: { db } }: Place, slug: string, count: number): Promise<string[]> => {
  const pool = (await pools.findBySlug(db, slug)) ?? assert.fail(slug)
  const { rows } = await sql<{ id: string }>`
    insert into users (pool_id, id, status, profile)
    select ${pool.id}, gen_random_uuid(), 'active', '{"given_name": "Ada"}' from generate_series(1, ${count})
    returning id`.execute(db)
  return rows.map(({ id }) => id)
}

const whole = `
pools:
  - slug: customers
    name: Customers
    description: "Who buys: all of them"
    color: "#aa0000"
    identifiers: [email, username]
    sign_in_methods: [password]
    self_registration: true
    user_schema:
      type: object
      properties:
        given_name: { type: string, title: Given name }
        age: { type: integer, minimum: 18 }
      required: [given_name]
    metadata_schema: { type: object, properties: { plan: { type: string } } }
    password_policy: { min_length: 16 }
  - { slug: staff, name: Staff, status: inactive }
tenants:
  - { pool: customers, slug: acme, name: Acme Inc., metadata: { seats: 5, zone: eu, notes: [a, b] } }
  - { slug: everybody, name: Everybody }
roles:
  - { key: billing.reader, name: Reads bills, permissions: [bills:read] }
  - { key: acme.owner, name: Owner of Acme, tenant: customers/acme }
groups:
  - { pool: customers, path: /Europe/Italy/Milano, description: In the north }
  - { pool: customers, path: /Europe, description: A continent }
  - { pool: staff, path: /On call }
workspaces:
  - slug: shop
    name: Shop
    branding: { color: "#00aa00", links: [{ label: Help, href: https://shop.example/help }] }
    lifetimes: { access_token: 600, pushed_request: 300 }
    refresh_grace_seconds: 5
  - { slug: closed, name: Closed, status: inactive }
connections:
  - { workspace: shop, pool: customers, domains: [shop.example, example.shop], mapping: { nickname: profile.given_name, b: metadata.plan } }
  - { workspace: shop, pool: staff, name: The staff, position: 3, hidden: true, amr: [pwd], enabled: false }
resources:
  - workspace: shop
    identifier: https://api.shop.example
    name: Orders
    scopes: [{ name: orders:read, description: { en: Read your orders } }]
    access_token_lifetime: 300
    introspection_client_ids: [web]
clients:
  - workspace: shop
    client_id: web
    client_name: Web shop
    redirect_uris: [https://shop.example/callback]
    connections: [staff, customers]
    id_token_claims: scopes
    resources: { https://api.shop.example: [orders, bills] }
    client_secret: { env: SHOP_WEB }
  - { workspace: shop, client_id: spa, client_name: App, token_endpoint_auth_method: none, redirect_uris: [https://spa.example/], status: inactive }
`

test('a file makes an installation, whose export makes the same one elsewhere', async () => {
  const [one, another] = await Promise.all([open(), open()])
  const made = await one.apply(whole, { SHOP_WEB: secret })
  assert.equal(made.code, 0, made.err)
  assert.match(made.out, /^create {5}pool customers$/m)
  assert.match(made.out, /^create {5}group customers\/Europe\/Italy$/m)
  assert.match(made.out, /^17 to create, 0 to update, 0 to delete, 0 unchanged\.\nApplied\.$/m)
  const { rows } = await sql<{ keys: number }>`
    select count(*)::int as keys from signing_keys k join workspaces w on w.id = k.workspace_id
    where slug = 'shop'`.execute(one.connection.db)
  assert.equal(rows[0]?.keys, 4)

  const exported = await one.lido(['export', '--config'])
  assert.equal(exported.code, 0, exported.err)
  assert.match(exported.out, /client_secret:\n\s+env: LIDO_SECRET_SHOP_WEB/)
  for (const hidden of [secret, sha256(secret)]) assert.ok(!exported.out.includes(hidden) && !made.out.includes(hidden))
  const before = await one.events()
  const again = await one.apply(exported.out)
  assert.equal(again.code, 0, again.err)
  assert.match(again.out, /0 to create, 0 to update, 0 to delete, 20 unchanged/)
  assert.match(again.out, /LIDO_SECRET_SHOP_WEB is not set/)
  assert.deepEqual(await one.events(), before)

  const elsewhere = await another.apply(exported.out, { LIDO_SECRET_SHOP_WEB: secret })
  assert.equal(elsewhere.code, 0, elsewhere.err)
  assert.equal((await another.lido(['export', '--config'])).out, exported.out)
  const file = join(tmpdir(), `lido-${process.pid}-export.yaml`)
  assert.equal((await another.lido(['export', '--config', file])).code, 0)
  assert.equal(await readFile(file, 'utf8'), exported.out)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await another.lido(['export', '--config', file])).code, 1)
  await rm(file)
  await Promise.all([one.close(), another.close()])
})

let place: Place
after(() => place.close())

const base = `
pools:
  - { slug: people, name: People }
workspaces:
  - { slug: acme, name: Acme }
connections:
  - { workspace: acme, pool: people }
`
before(async () => {
  place = await open()
  assert.equal((await place.apply(base)).err, '')
})

const client = (fields: string) =>
  `clients: [{ workspace: acme, client_id: web, client_name: Web, redirect_uris: [https://acme.example/], ${fields} }]`

test('a plan tells what changes from what to what, and how many users it touches', async () => {
  await place.apply(`${base}
groups: [{ pool: people, path: /Team }]
roles: [{ key: reader, name: Reader }]`)
  const users = await addUsers(place, 'people', 1203)
  const { db } = place.connection
  await sql`insert into group_members (pool_id, group_id, user_id)
    select pool_id, id, unnest(${users.slice(0, 2)}::uuid[]) from groups`.execute(db)
  await sql`insert into user_roles (pool_id, user_id, role_id)
    select u.pool_id, u.id, r.id from users u cross join roles r where u.id = ${users[0]}`.execute(db)
  const { out, err } = await place.apply(`
pools: [{ slug: people, name: Everyone, password_policy: { min_length: 14 } }]
roles: [{ key: reader, name: Reader, permissions: ["bills:read"] }]
workspaces: [{ slug: acme, name: Acme, branding: { color: "#112233" } }]
connections: [{ workspace: acme, pool: people, enabled: false }]
groups: [{ pool: people, path: /Other, description: New }]
prune: { groups: true }`)
  assert.equal(err, '')
  assert.equal(
    out,
    `delete     group people/Team, touches 2 users
update     pool people, touches 1,203 users
             name: "People" → "Everyone"
             password_policy.min_length: 12 → 14
update     role reader, touches 1 user
             permissions: [] → ["bills:read"]
create     group people/Other
update     workspace acme
             branding.color: "#1f6feb" → "#112233"
update     connection acme/people, touches 1,203 users
             enabled: true → false
1 to create, 4 to update, 1 to delete, 0 unchanged.
Applied.
`,
  )
  const { rows } = await sql<{ changes: object }>`
    select data -> 'by' ->> 'kind' || ' ' || (data -> 'before' ->> 'name') || ' ' || (data -> 'after' ->> 'name') as changes
    from events where type = 'pool.updated'`.execute(db)
  assert.deepEqual(rows, [{ changes: 'system People Everyone' }])
})

test('a pool does not change under users who conflict with it, unless that is accepted', async () => {
  const text = (schema: string) => `
pools:
  - slug: small
    name: Small
    user_schema: ${schema}`
  await place.apply(text('{ type: object }'))
  await addUsers(place, 'small', 3)
  const stricter = text('{ type: object, required: [family_name] }')
  const refused = await place.apply(stricter, {}, '--dry-run')
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^file:5: pool small: user_schema: .*3 users.*--accept-conflicts/)
  const { out } = await place.apply(stricter, {}, '--accept-conflicts')
  assert.match(out, /update {5}pool small, touches 3 users\n.*\n {13}conflict: .*3 users/)
})

test('what a file does not say stays, and null takes a field back to its default', async () => {
  await place.apply('pools: [{ slug: people, description: Kept, color: "#123456" }]')
  const { out } = await place.apply('pools: [{ slug: people, color: null }]')
  assert.match(out, /color: "#123456" → "#1f6feb"/)
  const pool = (await pools.findBySlug(place.connection.db, 'people')) ?? assert.fail()
  assert.equal(pool.description, 'Kept')
})

test('another order of the fields of a form is a change, and the same order none', async () => {
  const schema = (...names: string[]) =>
    `pools: [{ slug: people, user_schema: { properties: { ${names.map((name) => `${name}: { type: string }`).join(', ')} } } }]`
  await place.apply(schema('b', 'a'))
  assert.match((await place.apply(schema('b', 'a'))).out, /0 to update/)
  assert.match((await place.apply(schema('a', 'b'))).out, /1 to update/)
  const pool = await pools.findBySlug(place.connection.db, 'people')
  assert.deepEqual(Object.keys(pool?.settings.user_schema.properties ?? {}), ['a', 'b'])
  await place.apply('pools: [{ slug: people, user_schema: null }]')
})

test('a dry run says the same as the real one, finds what the database refuses, and changes nothing', async () => {
  const before = [(await place.lido(['export', '--config'])).out, await place.events()]
  const text = 'pools: [{ slug: dry, name: Dry }]'
  const dry = await place.apply(text, {}, '--dry-run')
  assert.match(dry.out, /This was a dry run: nothing was changed\.\n$/)
  const refused = await place.apply(
    `
pools: [{ slug: dry, name: Dry }]
workspaces: [{ slug: acme }]
connections:
  - { workspace: acme, pool: people, domains: [acme.example] }
  - { workspace: acme, pool: dry, domains: [ACME.example] }`,
    {},
    '--dry-run',
  )
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^file:6: connection acme\/dry: The domain "acme\.example" belongs to another connection/)
  assert.deepEqual([(await place.lido(['export', '--config'])).out, await place.events()], before)
  const real = await place.apply(text)
  assert.equal(real.out, dry.out.replace('This was a dry run: nothing was changed.', 'Applied.'))
})

test('one bad record, and nothing is applied; everything that is wrong is told with its line', async () => {
  const before = [(await place.lido(['export', '--config'])).out, await place.events()]
  const { code, out, err } = await place.apply(`
pools:
  - slug: fine
    name: Fine
  - slug: bad
    name: ""
    color: red
    colour: blue
    user_schema: { type: 5 }
  - name: Nameless
  - { slug: people, user_schema: { type: 5 } }
  - { slug: fine, name: Twice }
tenants:
  - { slug: t, pool: nowhere, name: T }
groups:
  - { pool: bad, path: /A }
  - { pool: people, path: "A/ B" }
roles:
  - key: a role
    name: Role
clients:
  - workspace: acme
    client_id: bad
    client_name: Bad
    redirect_uris:
      - https://fine.example/
      - http://bad.example/
    connections: [nothing]
    client_secret: { env: SOME }
prune: { people: true }
person: []
`)
  assert.equal(code, 1)
  assert.equal(out, '')
  const told = [...err.matchAll(/^file:(\d+): /gm)].map(([, line]) => Number(line))
  assert.deepEqual(told, [6, 7, 8, 10, 11, 12, 14, 17, 17, 19, 27, 30, 31], err)
  for (const expected of [
    /file:8: pool bad: colour: This field is not known here/,
    /file:10: A pool needs "slug"/,
    /file:11: pool people: user_schema: This schema cannot be used/,
    /file:12: pool fine is here twice, first on line 3/,
    /file:14: tenant nowhere\/t: pool: There is no pool "nowhere"/,
    /file:27: client acme\/bad: redirect_uris\.1: http is for loopback addresses only/,
    /Nothing was changed\.\n$/,
  ])
    assert.match(err, expected)
  assert.doesNotMatch(err, /no pool "bad"/)
  assert.deepEqual([(await place.lido(['export', '--config'])).out, await place.events()], before)
})

test('groups are made from the top, and one that cannot be made takes no other place', async () => {
  const wished = 'groups: [{ pool: people, path: /Up/Down/Low }]'
  assert.match(
    (await place.apply(wished)).out,
    /^create {5}group people\/Up\ncreate .*\/Up\/Down\ncreate .*\/Low\n3 to/,
  )
  const { err } = await place.apply(`
groups:
  - { pool: people, path: /UP, description: Another case }
  - { pool: people, path: /UP/Down }
  - { pool: people, path: ${'/A'.repeat(11)} }`)
  assert.deepEqual(
    [...err.matchAll(/^file:(\d+): group people(\S+): (.*)$/gm)].map(([, line, path, detail]) => [line, path, detail]),
    [
      ['3', '/UP', 'There is a group called "UP" here already.'],
      ['4', '/UP/Down', 'The group "UP" around it could not be made'],
      ['5', '/A'.repeat(11), 'parent_id: Groups nest at most 10 deep'],
    ],
  )
})

test('a file that cannot be read is told by its lines, without a word of it', async () => {
  const { code, out, err } = await place.apply('pools:\n  - !hidden hunter2\n  - *hunter2')
  assert.equal(code, 1)
  assert.equal(
    err,
    'file:2: Tags are not read here\nfile:3: This alias stands for nothing before it\nNothing was changed.\n',
  )
  assert.equal(out, '')
})

test('a secret is never in a file: it comes from a variable, and stays where that is not set', async () => {
  const { db } = place.connection
  const kept = async () => {
    const { rows } = await sql<{ secretHash: string; previousSecretHash: string | null }>`
      select secret_hash, previous_secret_hash from clients where id = 'web'`.execute(db)
    return rows[0]
  }
  for (const literal of [`"${secret}"`, `{ value: ${secret} }`, `{ env: WEB, value: ${secret} }`, `[${secret}]`]) {
    const { code, out, err } = await place.apply(client(`client_secret: ${literal}`))
    assert.equal(code, 1)
    assert.match(err, /^file:1: client acme\/web: client_secret/)
    assert.ok(!(out + err).includes(secret))
  }
  const literal = await place.apply(client(`client_secret: ${secret}`))
  assert.match(literal.err, /A secret does not stand in a file: write \{ env: NAME_OF_A_VARIABLE \}/)
  const none = await place.apply(client(''))
  assert.match(none.err, /client_secret: It needs a secret: write \{ env: LIDO_SECRET_ACME_WEB \}/)
  const unset = await place.apply(client('client_secret: { env: WEB }'))
  assert.match(unset.err, /client_secret: It has no secret yet, and the variable WEB is not set/)
  const short = await place.apply(client('client_secret: { env: WEB }'), { WEB: 'hunter2' })
  assert.match(short.err, /The secret in WEB needs at least 32 characters/)
  const own = await place.apply(client('client_secret: { env: SECRETS }'))
  assert.match(own.err, /SECRETS configures the program itself/)
  assert.equal(await kept(), undefined)

  const made = await place.apply(client('client_secret: { env: WEB }'), { WEB: secret })
  assert.match(made.out, /create {5}client acme\/web\n {13}client_secret: that of WEB\n/)
  const first = await kept()
  assert.deepEqual(first, { secretHash: sha256(secret), previousSecretHash: null })
  const same = await place.apply(client('client_secret: { env: WEB }'), { WEB: secret })
  assert.match(same.out, /^unchanged {2}client acme\/web$/m)
  const without = await place.apply(client('client_secret: { env: WEB }'))
  assert.match(without.out, /client_secret: stays as it is, for WEB is not set/)
  assert.deepEqual(await kept(), first)
  const before = await place.events()
  const turned = await place.apply(client('client_secret: { env: WEB }'), { WEB: other })
  assert.match(turned.out, /client_secret: that of WEB; the one before stays good until it is ended/)
  assert.equal((await kept())?.previousSecretHash, first?.secretHash)
  assert.deepEqual((await place.events()).slice(before.length), ['client.secret_rotated'])
  for (const { out, err } of [made, same, without, turned, short])
    assert.ok(![secret, other, 'hunter2', first?.secretHash ?? ''].some((hidden) => (out + err).includes(hidden)))

  const opened = await place.apply(client('token_endpoint_auth_method: none, client_secret: { env: WEB }'))
  assert.match(opened.err, /A client that does not authenticate has no secret/)
  await place.apply(client('token_endpoint_auth_method: none'))
  assert.equal((await kept())?.secretHash, null)
  await place.apply(client('token_endpoint_auth_method: client_secret_post, client_secret: { env: WEB }'), {
    WEB: secret,
  })
  assert.equal((await kept())?.secretHash, first?.secretHash)
})

test('a client that begins to sign with its secret has the variable’s kept for that, once', async () => {
  const { db } = place.connection
  const signing = (how: string) =>
    `clients: [{ workspace: acme, client_id: signer, client_name: Signer, redirect_uris: [https://s.example/], token_endpoint_auth_method: ${how}, client_secret: { env: SIGNER } }]`
  const kept = async () => {
    const { rows } = await sql<{ newest: boolean; older: boolean; hash: string; before: string | null }>`
      select sealed_secret is not null as newest, previous_sealed_secret is not null as older,
        secret_hash as hash, previous_secret_hash as before from clients where id = 'signer'`.execute(db)
    return rows[0]
  }
  await place.apply(signing('client_secret_basic'), { SIGNER: secret })
  assert.deepEqual(await kept(), { newest: false, older: false, hash: sha256(secret), before: null })
  const unset = await place.apply(signing('client_secret_jwt'))
  assert.match(unset.err, /It has no secret yet, and the variable SIGNER is not set/)
  const turned = await place.apply(signing('client_secret_jwt'), { SIGNER: secret })
  assert.equal(turned.code, 0, turned.err)
  assert.deepEqual(await kept(), { newest: true, older: false, hash: sha256(secret), before: null })
  const again = await place.apply(signing('client_secret_jwt'), { SIGNER: secret })
  assert.match(again.out, /^unchanged {2}client acme\/signer$/m)
  await place.apply(signing('client_secret_jwt'), { SIGNER: other })
  assert.deepEqual(await kept(), { newest: true, older: true, hash: sha256(other), before: sha256(secret) })
  await place.apply(signing('client_secret_basic'), { SIGNER: other })
  assert.deepEqual(await kept(), { newest: false, older: false, hash: sha256(other), before: sha256(secret) })
})

test('prune deletes what the file does not name in its own workspaces and pools, and nothing elsewhere', async () => {
  const apart = await open()
  const two = (slug: string) => `
pools: [{ slug: ${slug}, name: P }]
tenants: [{ slug: t, pool: ${slug}, name: T }, { slug: u, pool: ${slug}, name: U }]
roles: [{ key: ${slug}.r, name: R }, { key: ${slug}.s, name: S, tenant: ${slug}/t }]
groups: [{ pool: ${slug}, path: /A/B }, { pool: ${slug}, path: /C/D/E }]
workspaces: [{ slug: ${slug}, name: W }]
connections: [{ workspace: ${slug}, pool: ${slug} }]
clients:
  - { workspace: ${slug}, client_id: a, client_name: A, token_endpoint_auth_method: none, redirect_uris: [https://a.example/] }
  - { workspace: ${slug}, client_id: b, client_name: B, token_endpoint_auth_method: none, redirect_uris: [https://a.example/] }`
  assert.equal((await apart.apply(two('one'))).err, '')
  assert.equal((await apart.apply(two('two'))).err, '')
  const listed = (out: string) => [...out.matchAll(/^delete +(.*)$/gm)].map(([, what]) => what)
  const small = `
pools: [{ slug: one }]
groups: [{ pool: one, path: /A/B }]
workspaces: [{ slug: one }]
prune: { clients: true, groups: true, tenants: true, roles: false }`
  const { out, err } = await apart.apply(small)
  assert.equal(err, '')
  assert.deepEqual(listed(out), [
    'client one/a, touches 0 users',
    'client one/b, touches 0 users',
    'group one/C/D/E, touches 0 users',
    'group one/C/D, touches 0 users',
    'group one/C, touches 0 users',
    'tenant one/t, touches 0 users',
    'tenant one/u, touches 0 users',
  ])
  assert.match((await apart.apply(small)).out, /0 to delete/)
  await addUsers(apart, 'two', 3)
  const refused = await apart.apply('pools: [{ slug: one }]\nprune:\n  pools: true')
  assert.match(refused.err, /^file:3: pool two cannot be deleted: The pool is connected to a workspace/)
  const everything = await apart.apply(
    'prune: { clients: true, connections: true, workspaces: true, pools: true, roles: true }',
  )
  assert.equal(everything.err, '')
  assert.match(everything.out, /delete {5}pool two, touches 3 users/)
  const left = await apart.lido(['export', '--config'])
  assert.deepEqual(
    [...left.out.matchAll(/- (?:slug|workspace): (.*)$/gm)].map(([, slug]) => slug),
    ['administrators', 'admin', 'admin'],
  )
  await apart.close()
})

test('no file locks the operators out', async () => {
  for (const [text, told] of [
    ['workspaces: [{ slug: admin, status: inactive }]', /The admin workspace stays active/],
    ['pools: [{ slug: administrators, status: inactive }]', /The pool of administrators stays active/],
    ['pools: [{ slug: administrators, sign_in_methods: [email_code] }]', /may need "password" to sign in/],
    ['pools: [{ slug: administrators, identifiers: [username] }]', /may need "email" to sign in/],
    ['connections: [{ workspace: admin, pool: administrators, enabled: false }]', /it stays open/],
    ['connections: [{ workspace: admin, pool: administrators, hidden: true }]', /it is always offered/],
    [
      'clients: [{ workspace: admin, client_id: console, client_name: Mine, token_endpoint_auth_method: none, redirect_uris: [https://evil.example/] }]',
      /belongs to the program itself/,
    ],
  ] as const) {
    const { code, err } = await place.apply(text)
    assert.equal(code, 1, text)
    assert.match(err, told)
  }
  const grown = await place.apply('pools: [{ slug: administrators, identifiers: [username, email], name: Us }]')
  assert.match(grown.out, /1 to update/)
  const own = `
workspaces: [{ slug: admin }]
pools: [{ slug: administrators }]`
  const machine = `${own}
clients:
  - { workspace: admin, client_id: ci, client_name: CI, grant_types: [client_credentials], client_secret: { env: CI } }`
  assert.match((await place.apply(machine, { CI: secret })).out, /create {5}client admin\/ci/)
  const { out } = await place.apply(`${own}\nprune: { clients: true, connections: true }`)
  assert.match(out, /0 to delete, 2 unchanged/)
})

test('of ten that are applied at once, each finds what the one before has left', async () => {
  const texts = Array.from(
    { length: 10 },
    (_, index) => `
pools: [{ slug: crowd, name: Number ${index} }]
groups: [{ pool: crowd, path: /A/B/C }]
workspaces: [{ slug: crowd, name: Crowd }]
connections: [{ workspace: crowd, pool: crowd }]`,
  )
  const before = (await place.events()).length
  const all = await Promise.all(texts.map((text) => place.apply(text)))
  assert.deepEqual(
    all.filter(({ code }) => code !== 0),
    [],
  )
  assert.equal(all.filter(({ out }) => /6 to create/.test(out)).length, 1)
  assert.equal(all.filter(({ out }) => /0 to create, 1 to update, 0 to delete, 5 unchanged/.test(out)).length, 9)
  const events = (await place.events()).slice(before)
  assert.equal(events.filter((type) => type === 'pool.updated').length, 9)
  assert.equal(events.filter((type) => type.endsWith('.created')).length, 6)
})

test('words that make no sense are answered with the usage', async () => {
  for (const words of [
    ['apply'],
    ['apply', 'a', 'b'],
    ['apply', 'a', '--x'],
    ['export', '--config', 'a', 'b'],
    ['export', '--config', '--hashes'],
  ]) {
    const { code, err } = await place.lido(words)
    assert.equal(code, 2, words.join(' '))
    assert.match(err, /lido apply FILE \[--dry-run\][\s\S]*lido export --config \[FILE\]/)
  }
  assert.equal((await place.lido(['apply', '/nowhere.yaml'])).code, 1)
})

test('a server that runs hears of it at once', async () => {
  const server: AdminLido = await adminLido()
  const { databaseUrl = '', publicUrl, secrets } = server.services.config
  const env = { DATABASE_URL: databaseUrl, PUBLIC_URL: publicUrl, SECRETS: secrets.join(',') }
  const query = new URLSearchParams({
    client_id: 'web',
    redirect_uri: 'https://acme.example/',
    response_type: 'code',
    scope: 'openid',
    code_challenge_method: 'S256',
    code_challenge: 'a'.repeat(43),
  })
  const ask = () => fetch(`${publicUrl}/w/acme/authorize?${query}`, { redirect: 'manual' })
  // Its database tells it, which takes a moment.
  const answers = async (status: number) => {
    for (let tries = 100; tries > 0 && (await ask()).status !== status; tries -= 1) await setTimeout(20)
    assert.equal((await ask()).status, status)
  }
  assert.equal((await ask()).status, 404)
  const wished = `${base}${client('token_endpoint_auth_method: none')}`
  assert.equal((await place.apply(wished, env)).err, '')
  await answers(303)
  await place.apply(wished.replace('redirect_uris: [https://acme', 'redirect_uris: [https://moved'), env)
  await answers(400)
  await place.apply(wished.replace('name: Acme', 'name: Acme, status: inactive'), env)
  await answers(404)
  const bootstrap = { BOOTSTRAP_CLIENT_ID: 'bootstrap', BOOTSTRAP_CLIENT_SECRET: secret }
  const exported = await place.lido(['export', '--config'], { ...env, ...bootstrap })
  assert.deepEqual([...exported.out.matchAll(/client_id: (.*)$/gm)].map(([, id]) => id).sort(), ['demo', 'web'])
  assert.match((await place.apply(exported.out, env)).out, /0 to create, 0 to update, 0 to delete/)
  await server.stop()
})

test('a file words messages of its workspaces, and takes those words away where it says so', async () => {
  const place = await open()
  const file = `
workspaces: [{ slug: shop, name: Shop }, { slug: other, name: Other }]
messages:
  - { workspace: shop, name: code, words: { en: { subject: "Yours: {code}" }, de: { text: "Ihr Code: {code}" } } }
  - { workspace: other, name: code, words: { en: { heading: Hello } } }`
  const made = await place.apply(file)
  assert.equal(made.code, 0, made.err)
  assert.match(made.out, /^create {5}message shop\/code$/m)
  const exported = (await place.lido(['export', '--config'])).out
  const again = await place.apply(exported)
  assert.match(again.out, /0 to create, 0 to update, 0 to delete/)
  const changed = await place.apply(
    'messages: [{ workspace: shop, name: code, words: { en: { subject: "Ours: {code}" } } }]',
  )
  assert.match(changed.out, /words\.en\.subject: "Yours: \{code\}" → "Ours: \{code\}"/)
  const pruned = await place.apply('workspaces: [{ slug: shop }]\nprune: { messages: true }')
  assert.match(pruned.out, /^delete {5}message shop\/code$/m)
  assert.doesNotMatch((await place.lido(['export', '--config'])).out, /Ihr Code/)
  assert.match((await place.lido(['export', '--config'])).out, /heading: Hello/)
  for (const [fields, told] of [
    ['name: code, words: { en: { text: None } }', /message shop\/code: words\.en\.text: \{code\} is needed/],
    ['name: no-such, words: {}', /There is no message "no-such"/],
  ] as const) {
    const refused = await place.apply(`messages: [{ workspace: shop, ${fields} }]`)
    assert.equal(refused.code, 1)
    assert.match(refused.err, told)
  }
  await place.close()
})

test('an external pool comes from a file, with its secrets from the environment, and goes back into one without them', async () => {
  const place = await open()
  const text = `
pools:
  - slug: outside
    name: Outside
    kind: external
    sign_in_methods: [password]
    source:
      type: http
      mode: sync
      settings: { url: "https://source.example/lido" }
    source_secrets:
      secret: { env: SOURCE_SECRET }
`
  const missing = await place.apply(text)
  assert.match(missing.err, /neither is the variable SOURCE_SECRET/)
  const made = await place.apply(text, { SOURCE_SECRET: secret })
  assert.equal(made.code, 0, made.err)
  const again = await place.apply(text, { SOURCE_SECRET: secret })
  assert.match(again.out, /1 unchanged/)
  const changed = await place.apply(text, { SOURCE_SECRET: other })
  assert.match(changed.out, /source.secret: that of SOURCE_SECRET/)
  assert.match((await place.apply(text)).out, /stays as it is/)
  const exported = await place.lido(['export', '--config'])
  assert.match(exported.out, /LIDO_SECRET_POOL_OUTSIDE_SOURCE_SECRET/)
  const pool = await pools.findBySlug(place.connection.db, 'outside')
  for (const shown of [exported.out, JSON.stringify(pool)]) assert.ok(!shown.includes(secret) && !shown.includes(other))
  await place.close()
})
