import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CompiledQuery, sql } from 'kysely'
import { openBrowser } from '../../browser-testing.ts'
import type { Db } from '../../db/connect.ts'
import type * as pools from '../../directory/pools.ts'
import * as records from '../../directory/user-records.ts'
import {
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  token,
  visitAs,
} from '../../pages/fixtures-testing.ts'
import { type AdminLido, type ApiAnswer, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
let pool: pools.Pool
before(async () => {
  lido = await adminLido()
  pool = await makePool(lido, 'staff', {
    identifiers: ['email', 'mobile', 'username'],
    user_schema: {
      type: 'object',
      properties: {
        given_name: { type: 'string', title: 'Given name' },
        family_name: { type: 'string', title: 'Family name' },
        age: { type: 'integer', title: 'Age', minimum: 18 },
      },
      required: ['given_name'],
      additionalProperties: false,
    },
    metadata_schema: { type: 'object', properties: { desk: { type: 'integer' } } },
  })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id, { grant_types: ['authorization_code', 'refresh_token', 'password'] })
})
after(() => lido.stop())

const users = '/pools/staff/users'

const told = (email: string, more: object = {}) => ({
  mode: 'set_credentials',
  identifiers: [{ type: 'email', value: email }],
  profile: { given_name: 'Ada' },
  password,
  ...more,
})

const make = async (email: string, more: object = {}): Promise<string> => (await lido.make(users, told(email, more))).id

const pointersOf = ({ body }: ApiAnswer) => (body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort()

const signIn = async (email: string, secret: string) => {
  const browser = await visitAs(lido, 'acme', email)
  await browser.submit({ password: secret })
  return browser
}

test('makes a user with a password, who signs in at once', async () => {
  const made = await lido.call('POST', users, told('Ada@Example.org', { metadata: { desk: 7 } }))
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), `/api/v1/pools/staff/users/${made.body.id}`)
  const { id, created_at, updated_at, ...rest } = made.body
  assert.ok(id && created_at && updated_at)
  assert.deepEqual(rest, {
    status: 'active',
    authority: 'local',
    identifiers: [{ type: 'email', value: 'ada@example.org', verified: false }],
    profile: { given_name: 'Ada' },
    metadata: { desk: 7 },
    groups: [],
    roles: [],
    tenants: [],
    source: null,
    external_id: null,
    last_sign_in_at: null,
  })
  const browser = await signIn('ada@example.org', password)
  assert.ok(isSignedIn(browser), browser.page.html)
  const { body } = await redeem(lido, 'acme', browser)
  assert.equal(JSON.parse(Buffer.from(body.id_token?.split('.')[1] ?? '', 'base64url').toString()).sub, id)
  assert.ok((await lido.call('GET', `${users}/${id}`)).body.last_sign_in_at)
})

test('invites a user, who activates by the link and signs in', async () => {
  const made = await lido.call('POST', users, {
    mode: 'invite',
    identifiers: [{ type: 'email', value: 'new@example.org' }],
    profile: { given_name: 'Nova' },
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.body.status, 'new')
  const first = await lido.message('new@example.org')
  assert.match(first.text, /invited/)
  assert.equal((await lido.call('POST', `${users}/${made.body.id}/activation`)).status, 202)
  const { link, code } = await lido.message('new@example.org', 1)
  assert.ok(code && link !== first.link)
  const browser = openBrowser(lido.url)
  assert.equal((await browser.get(first.link)).status, 410)
  await browser.get(link)
  assert.equal(browser.page.step, 'invitation')
  await browser.submit({ new_password: 'a brand new secret of Nova' })
  assert.match(browser.page.html, /ready/)
  const { body } = await lido.call('GET', `${users}/${made.body.id}`)
  assert.equal(body.status, 'active')
  assert.deepEqual(body.identifiers, [{ type: 'email', value: 'new@example.org', verified: true }])
  assert.ok(isSignedIn(await signIn('new@example.org', 'a brand new secret of Nova')))
  assert.equal((await lido.call('POST', `${users}/${made.body.id}/activation`)).status, 409)
})

test('the link to an address that is not theirs any more is dead, and the new one gets its own', async () => {
  const { body } = await lido.call('POST', users, {
    mode: 'invite',
    identifiers: [{ type: 'email', value: 'typo@example.org' }],
    profile: { given_name: 'Ty' },
  })
  const { link } = await lido.message('typo@example.org')
  const path = `${users}/${body.id}`
  await lido.call('PATCH', path, { identifiers: [{ type: 'email', value: 'right@example.org' }] })
  const browser = openBrowser(lido.url)
  assert.equal((await browser.get(link)).status, 410)
  assert.equal((await lido.call('POST', `${path}/activation`)).status, 202)
  await browser.get((await lido.message('right@example.org')).link)
  await browser.submit({ new_password: 'the right one at last' })
  assert.equal((await lido.call('GET', path)).body.status, 'active')
  assert.equal((await lido.call('GET', `${users}?identifier=typo%40example.org`)).body.items?.length, 0)
})

test('says with pointers what does not fit', async () => {
  const wrong = await lido.call('POST', users, {
    ...told('wrong@example.org'),
    profile: { age: 3, role: 'admin' },
    metadata: { desk: 'x' },
  })
  assert.equal(wrong.status, 422)
  assert.deepEqual(pointersOf(wrong), ['/metadata/desk', '/profile', '/profile/age', '/profile/given_name'])
  assert.deepEqual(pointersOf(await lido.call('POST', users, told('not an address'))), ['/identifiers/0/value'])
  assert.deepEqual(pointersOf(await lido.call('POST', users, told('weak@example.org', { password: 'short' }))), [
    '/password',
  ])
  assert.deepEqual(pointersOf(await lido.call('POST', users, told('x@example.org', { status: 'active' }))), ['/status'])
  const group = '0197b0a4-3d1c-7f6e-9a51-0d5c7d9be1a2'
  assert.deepEqual(pointersOf(await lido.call('POST', users, told('x@example.org', { groups: [group] }))), ['/groups'])
  assert.equal(await countOf(lido, "identifiers where value = 'x@example.org'"), 0)
})

test('of twenty who take one identifier at once, one gets it', async () => {
  const calls = Array.from({ length: 20 }, (_, index) =>
    lido.call('POST', users, {
      mode: 'invite',
      identifiers: [
        { type: 'email', value: index % 2 ? 'RACE@example.org' : 'race@example.org' },
        { type: 'username', value: 'race' },
      ],
      profile: { given_name: 'R' },
    }),
  )
  const statuses = (await Promise.all(calls)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 201).length, 1, statuses.join())
  assert.ok(statuses.every((status) => status === 201 || status === 409))
  assert.equal((await lido.call('POST', users, told('race@example.org'))).status, 409)
})

test('finds by the beginning of identifiers and names, in pages, each once', async () => {
  const wanted = new Set<string>()
  for (const [index, name] of ['Zoe', 'Zora', 'Zack', 'Mia', 'Zebulon'].entries()) {
    const id = await make(`z${index}-${name}@example.org`, {
      profile: { given_name: name, family_name: index % 2 ? 'Zimmer' : 'Zuse' },
    })
    wanted.add(id)
  }
  await make('other@example.org', { profile: { given_name: 'Grace', family_name: 'Hopper' } })
  const seen = await walk(`${users}?search=Z&limit=2`)
  assert.deepEqual([...seen].sort(), [...wanted].sort())
  assert.equal((await walk(`${users}?search=zim`)).length, 2)
  assert.equal((await walk(`${users}?search=hopp`)).length, 1)
  assert.equal((await walk(`${users}?search=%25`)).length, 0)
  assert.equal((await walk(`${users}?search=z&status=inactive`)).length, 0)
  const { body } = await lido.call('GET', `${users}?identifier=%20Z0-ZOE%40example.org`)
  assert.equal(body.items?.length, 1)
  assert.equal((await lido.call('GET', `${users}?identifier=nobody%40example.org`)).body.items?.length, 0)
})

const walk = async (path: string): Promise<unknown[]> => (await lido.list(path)).map(({ id }) => id)

test('tells the paths of groups, and lists by group and status', async () => {
  const outer = await lido.call('POST', '/pools/staff/groups', { name: 'Everyone' })
  const inner = await lido.call('POST', '/pools/staff/groups', { name: 'Desk', parent_id: outer.body.id })
  const id = await make('grouped@example.org', { groups: [inner.body.id] })
  const read = await lido.call('GET', `${users}/${id}`)
  assert.deepEqual(read.body.groups, ['/Everyone/Desk'])
  assert.deepEqual(await walk(`${users}?group=${inner.body.id}`), [id])
  assert.deepEqual(await walk(`${users}?group=${inner.body.id}&search=grouped`), [id])
  assert.deepEqual(await walk(`${users}?group=${outer.body.id}`), [])
})

test('changes by merge patch, checked whole, and only by who has read it', async () => {
  const id = await make('patch@example.org', { profile: { given_name: 'Pat', age: 30 } })
  const etag = (await lido.call('GET', `${users}/${id}`)).headers.get('ETag') ?? ''
  const changed = await lido.call(
    'PATCH',
    `${users}/${id}`,
    { profile: { age: null, family_name: 'Patch' }, metadata: { desk: 1 } },
    { 'If-Match': etag },
  )
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.deepEqual(changed.body.profile, { given_name: 'Pat', family_name: 'Patch' })
  assert.equal((await lido.call('PATCH', `${users}/${id}`, { metadata: {} }, { 'If-Match': etag })).status, 412)
  assert.deepEqual(pointersOf(await lido.call('PATCH', `${users}/${id}`, { profile: { given_name: null } })), [
    '/profile/given_name',
  ])
  for (const forbidden of [{ id: 'x' }, { status: 'deleted' }, { status: 'new' }, { authority: 'linked' }])
    assert.equal((await lido.call('PATCH', `${users}/${id}`, forbidden)).status, 422, JSON.stringify(forbidden))
  const renamed = await lido.call('PATCH', `${users}/${id}`, {
    identifiers: [
      { type: 'email', value: 'patched@example.org', verified: true },
      { type: 'username', value: 'Patch' },
    ],
  })
  assert.deepEqual((renamed.body.identifiers as { value: string }[]).map(({ value }) => value).sort(), [
    'patch',
    'patched@example.org',
  ])
  await make('taken@example.org')
  const taken = { identifiers: [{ type: 'email', value: 'taken@example.org' }] }
  assert.equal((await lido.call('PATCH', `${users}/${id}`, taken)).status, 409)
  assert.equal((await lido.call('GET', `${users}?identifier=patched%40example.org`)).body.items?.length, 1)
  const { body } = await lido.call('GET', `${users}/${id}/events?limit=1`)
  assert.equal(body.items?.[0]?.type, 'user.updated')
  assert.ok(body.next_cursor)
})

const tokensOf = async (email: string) => {
  const browser = await signIn(email, password)
  const { body } = await redeem(lido, 'acme', browser)
  const userinfo = () =>
    fetch(`${lido.url}/w/acme/userinfo`, { headers: { Authorization: `Bearer ${body.access_token}` } })
  assert.equal((await userinfo()).status, 200)
  return async () => (await userinfo()).status
}

test('lists and ends sessions, one or all, with the tokens that hang on them', async () => {
  const id = await make('sessions@example.org')
  const first = await tokensOf('sessions@example.org')
  const second = await tokensOf('sessions@example.org')
  const { body } = await lido.call('GET', `${users}/${id}/sessions`)
  assert.equal(body.items?.length, 2)
  assert.equal(body.items?.[0]?.workspace, 'acme')
  assert.equal((await lido.call('DELETE', `${users}/${id}/sessions/${body.items?.[0]?.id}`)).status, 204)
  assert.deepEqual([await first(), await second()].sort(), [200, 401])
  assert.equal((await lido.call('DELETE', `${users}/${id}/sessions/${body.items?.[0]?.id}`)).status, 404)
  assert.equal((await lido.call('DELETE', `${users}/${id}/sessions`)).status, 204)
  assert.deepEqual([await first(), await second()], [401, 401])
  assert.equal((await lido.call('GET', `${users}/${id}/sessions`)).body.items?.length, 0)
})

test('whoever is made inactive is out at once, and comes back when made active', async () => {
  const id = await make('inactive@example.org')
  const status = await tokensOf('inactive@example.org')
  assert.equal((await lido.call('PATCH', `${users}/${id}`, { status: 'inactive' })).status, 200)
  assert.equal(await status(), 401)
  assert.ok(!isSignedIn(await signIn('inactive@example.org', password)))
  assert.equal((await lido.call('PATCH', `${users}/${id}`, { status: 'active' })).status, 200)
  assert.equal(await status(), 401)
  assert.ok(isSignedIn(await signIn('inactive@example.org', password)))
})

test('a deleted user is a tombstone, whose identifiers are free and whose id is not', async () => {
  const id = await make('gone@example.org')
  const status = await tokensOf('gone@example.org')
  assert.equal((await lido.call('DELETE', `${users}/${id}`)).status, 204)
  assert.equal(await status(), 401)
  const { body } = await lido.call('GET', `${users}/${id}`)
  assert.equal(body.status, 'deleted')
  assert.deepEqual([body.identifiers, body.profile, body.metadata], [[], {}, {}])
  assert.ok(!(await walk(`${users}?limit=200`)).includes(id))
  assert.ok((await walk(`${users}?status=deleted`)).includes(id))
  assert.equal((await lido.call('PATCH', `${users}/${id}`, { status: 'active' })).status, 404)
  assert.equal((await lido.call('PUT', `${users}/${id}/password`, { password })).status, 404)
  assert.equal((await lido.call('DELETE', `${users}/${id}`)).status, 404)
  assert.equal(await countOf(lido, `credentials where user_id = '${id}'`), 0)
  assert.notEqual(await make('gone@example.org'), id)
})

test('a password that must change leads only to a new one', async () => {
  const id = await make('change@example.org')
  const status = await tokensOf('change@example.org')
  const temporary = 'only for the first time'
  const put = await lido.call('PUT', `${users}/${id}/password`, { password: temporary, must_change: true })
  assert.equal(put.status, 204, JSON.stringify(put.body))
  assert.equal(await status(), 401)
  assert.ok(!isSignedIn(await signIn('change@example.org', password)))
  const grant = { grant_type: 'password', client_id: 'app', username: 'change@example.org', scope: 'openid' }
  assert.equal((await token(lido.url, 'acme', { ...grant, password: temporary })).status, 400)
  const browser = await signIn('change@example.org', temporary)
  assert.equal(browser.page.step, 'change', browser.page.html)
  await browser.get(`${new URL(browser.page.url).pathname}?view=register`)
  assert.equal(browser.page.step, 'change')
  await browser.submit({ new_password: 'short' })
  assert.equal(browser.page.step, 'change')
  await browser.submit({ new_password: temporary })
  assert.match(browser.page.html, /other than the one you have now/)
  await browser.submit({ new_password: 'mine alone from now on' })
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.ok(!isSignedIn(await signIn('change@example.org', temporary)))
  assert.ok(isSignedIn(await signIn('change@example.org', 'mine alone from now on')))
  assert.equal((await token(lido.url, 'acme', { ...grant, password: 'mine alone from now on' })).status, 200)
})

test('sends a link to set a new password', async () => {
  const id = await make('reset@example.org')
  assert.equal((await lido.call('POST', `${users}/${id}/password/reset`)).status, 202)
  const { link, code } = await lido.message('reset@example.org')
  assert.equal(code, null)
  const browser = openBrowser(lido.url)
  await browser.get(link)
  await browser.submit({ new_password: 'reset to something else' })
  assert.ok(isSignedIn(await signIn('reset@example.org', 'reset to something else')))
  await lido.call('PATCH', `${users}/${id}`, { status: 'inactive' })
  assert.equal((await lido.call('POST', `${users}/${id}/password/reset`)).status, 409)
})

test('lists credentials without what proves them, and takes them away', async () => {
  const id = await make('keys@example.org')
  const { body } = await lido.call('GET', `${users}/${id}/credentials`)
  assert.deepEqual(Object.keys(body.items?.[0] ?? {}).sort(), ['created_at', 'id', 'type', 'used_at'])
  assert.equal((await lido.call('DELETE', `${users}/${id}/credentials/${body.items?.[0]?.id}`)).status, 204)
  assert.ok(!isSignedIn(await signIn('keys@example.org', password)))
  assert.equal((await lido.call('DELETE', `${users}/${id}/credentials/${body.items?.[0]?.id}`)).status, 404)
})

test('A40: an id of another pool, or outside an operator’s limits, does not exist', async () => {
  const other = await makePool(lido, 'foreign')
  const stranger = await makeUser(lido, other, 'foreign@example.org')
  const id = await make('own@example.org')
  const calls: [string, string, unknown?][] = [
    ['GET', ''],
    ['PATCH', '', { metadata: {} }],
    ['DELETE', ''],
    ['POST', '/activation'],
    ['PUT', '/password', { password }],
    ['POST', '/password/reset'],
    ['GET', '/credentials'],
    ['DELETE', `/credentials/${id}`],
    ['GET', '/sessions'],
    ['DELETE', '/sessions'],
    ['DELETE', '/sessions/x'],
    ['GET', '/events'],
  ]
  const helper = await operator(lido, 'helper@example.org', { role: 'helpdesk', pools: [other.id] })
  for (const [method, path, body] of calls) {
    assert.equal((await lido.call(method, `${users}/${stranger}${path}`, body)).status, 404, `${method} ${path}`)
    assert.equal((await helper.call(method, `${users}/${id}${path}`, body)).status, 404, `${method} ${path}`)
    assert.equal((await lido.call(method, `${users}/not-an-id${path}`, body)).status, 404, `${method} ${path}`)
  }
  assert.equal((await helper.call('GET', users)).status, 404)
  assert.equal((await helper.call('GET', `/pools/foreign/users/${stranger}`)).status, 200)
})

test('a helper cannot change an operator, and the last owner stays', async () => {
  const owner = await operator(lido, 'owner@example.org', { role: 'owner' })
  const helper = await operator(lido, 'desk@example.org', { role: 'helpdesk' })
  const path = `/pools/administrators/users/${owner.id}`
  assert.equal((await helper.call('PUT', `${path}/password`, { password: 'mine to take over now' })).status, 403)
  assert.equal((await helper.call('PATCH', path, { status: 'inactive' })).status, 403)
  assert.equal((await helper.call('DELETE', path)).status, 403)
  assert.equal((await lido.call('DELETE', path)).status, 409)
  assert.equal((await lido.call('PATCH', path, { status: 'inactive' })).status, 409)
})

test('looks users up by index, however many there are', async () => {
  const { db } = lido.services
  const big = await makePool(lido, 'big', { identifiers: ['email', 'username'] })
  for (let many = 0; many < 5; many += 1)
    await sql`
      with made as (
        insert into users (pool_id, id, status, profile)
        select ${big.id}, gen_random_uuid(), 'active',
          jsonb_build_object('given_name', 'Given' || n, 'family_name', 'Family' || n)
        from generate_series(1, 4000) n returning pool_id, id, profile
      ) insert into identifiers (pool_id, kind, value, user_id, typed)
      select pool_id, 'email', lower(profile ->> 'given_name') || id || '@example.org', id, 'x' from made`.execute(db)
  await sql`analyze users, identifiers`.execute(db)
  const asked = { limit: 51 }
  const after = { matched: 'given2', id: big.id }
  const nobody = [{ kind: 'email', value: 'given1@example.org', typed: '' }] as const
  const plans = {
    list: await planOf((on) => records.list(on, big.id, asked, big.id)),
    status: await planOf((on) => records.list(on, big.id, { ...asked, status: 'inactive' }, undefined)),
    identifier: await planOf((on) => records.list(on, big.id, { ...asked, identifiers: [...nobody] }, undefined)),
    search: await planOf((on) => records.search(on, big.id, 'G', asked, undefined)),
    next: await planOf((on) => records.search(on, big.id, 'given', asked, after)),
  }
  for (const [name, plan] of Object.entries(plans)) {
    assert.doesNotMatch(plan, /Seq Scan on (users|identifiers)/, `${name}\n${plan}`)
    assert.match(plan, /Index/, name)
  }
  for (const index of ['identifiers_prefix', 'users_names', 'users_given_names'])
    assert.match(plans.search, new RegExp(`${index} `), plans.search)
})

/** What PostgreSQL would do for the statement that a function sends. */
const planOf = async (run: (db: Db) => Promise<unknown>): Promise<string> => {
  const { db } = lido.services
  const lines: string[] = []
  const real = db.getExecutor()
  const executor = {
    transformQuery: real.transformQuery.bind(real),
    compileQuery: real.compileQuery.bind(real),
    executeQuery: async ({ sql: text, parameters }: CompiledQuery) => {
      const { rows } = await db.executeQuery<object>(CompiledQuery.raw(`explain ${text}`, [...parameters]))
      lines.push(...rows.flatMap((row) => Object.values(row).map(String)))
      return { rows: [] }
    },
  }
  await run(Object.create(db, { getExecutor: { value: () => executor } }))
  return lines.join('\n')
}
