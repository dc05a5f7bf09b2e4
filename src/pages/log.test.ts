import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  codeOf,
  cookieOf,
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  redirectUri,
  rowsOf,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'residents', { self_registration: true, identifiers: ['email', 'username'] })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id, {
    secret: clientSecret,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['authorization_code', 'refresh_token', 'password', 'client_credentials'],
  })
})
after(() => lido.stop())

const clientSecret = 'canary-client-secret-0123456789abcdef'
const client = { client_id: 'app', client_secret: clientSecret }

const secrets = new Map<string, string>()
const keep = (what: string, value: string | undefined): string => {
  assert.ok(value && value.length >= 6, what)
  secrets.set(what, value)
  return value
}

const names = [
  'mike\r\n{"level":"info","msg":"forged"}',
  'mike\n127.0.0.1 - forged',
  'mike\u001b[2J\u001b[1;31mforged',
  '{"level":"fatal","msg":"forged"}',
  'mike\u2028forged\u2029\u0085forged',
  '\u202eforged',
  'forged%0d%0aforged',
  'mike","level":"fatal","x":"forged',
]

test('A39: a name with line breaks, escapes or JSON makes one line, and none of its own', async () => {
  for (const name of names) {
    const before = lido.lines.length
    const browser = await visit(lido, 'acme')
    await browser.submit({ identifier: name })
    assert.ok(browser.page.status < 500)
    await token(lido.url, 'acme', { grant_type: 'password', ...client, username: name, password: 'wrong' })
    await browser.get(`/w/acme/${encodeURIComponent(name)}`)
    await browser.get(`${lido.url}/w/acme/recover`)
    await browser.submit({ identifier: name })
    for (const line of lido.lines.slice(before)) {
      assert.match(line, /^\{.*\}\n$/)
      assert.doesNotMatch(line, /forged/)
      assert.doesNotMatch(line.trimEnd(), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      assert.ok(JSON.parse(line))
    }
  }
})

test('A39: every success, failure and refusal of a sign-in is an event', async () => {
  const id = await makeUser(lido, pool, 'watched@example.org')
  const browser = await visitAs(lido, 'acme', 'watched@example.org')
  await browser.submit({ password: 'wrong wrong wrong' })
  await browser.submit({ password: 'correct horse battery staple' })
  assert.ok(isSignedIn(browser))
  await token(lido.url, 'acme', { grant_type: 'password', ...client, username: 'watched@example.org', password: 'no' })
  const events = await rowsOf<{ type: string; data: object }>(
    lido,
    `select type, data from events where user_id = '${id}' order by id`,
  )
  assert.deepEqual(
    events.map(({ type }) => type),
    ['sign_in.failed', 'sign_in.succeeded', 'sign_in.failed'],
  )
})

/** Goes through everything that has a secret in it, and keeps each. */
const liveWithSecrets = async () => {
  const password = keep('password', 'canary password of a newcomer')
  const email = 'canary@example.org'
  const browser = await visit(lido, 'acme')
  keep('client secret', clientSecret)
  keep('code_verifier', browser.verifier)
  await browser.get(browser.link('Create an account'))
  const unknown = { password2: keep('unknown field', 'canary-unknown-field') }
  await browser.submit({
    identifier: 'no address',
    password: keep('refused password', 'canary of a bad form'),
    ...unknown,
  })
  await browser.submit({ identifier: email, password, ...unknown })
  const { code } = await lido.message(email)
  keep('registration code', code)
  await browser.submit({ code })
  const code1 = keep('authorization code', codeOf(browser))
  keep('csrf', hiddenOf((await visit(lido, 'acme')).page.html).csrf)
  for (const [name, { value }] of browser.cookies) if (name.startsWith('lido_session')) keep('session', value)
  keep('cookie header', cookieOf(browser))
  const redeem = { grant_type: 'authorization_code', ...client, redirect_uri: redirectUri }
  const first = await token(lido.url, 'acme', { ...redeem, code: code1, code_verifier: browser.verifier })
  keep('access token', first.body.access_token)
  keep('ID token', first.body.id_token)
  const refresh = { grant_type: 'refresh_token', ...client }
  const old = keep('refresh token', first.body.refresh_token)
  const second = await token(lido.url, 'acme', { ...refresh, refresh_token: old })
  keep('second refresh token', second.body.refresh_token)
  keep('second access token', second.body.access_token)
  await token(lido.url, 'acme', { ...redeem, code: code1, code_verifier: browser.verifier })
  await token(lido.url, 'acme', { ...redeem, code: keep('wrong code', 'canary-wrong-code'), code_verifier: 'x' })
  await token(lido.url, 'acme', { ...refresh, refresh_token: keep('wrong refresh token', 'canary-wrong-refresh') })
  await token(lido.url, 'acme', {
    ...refresh,
    client_secret: keep('wrong secret', 'canary-wrong-secret'),
    refresh_token: old,
  })
  await fetch(`${lido.url}/w/acme/userinfo`, { headers: { Authorization: `Bearer ${first.body.access_token}` } })
  await fetch(`${lido.url}/w/acme/userinfo?access_token=${keep('token in a query', 'canary-token-in-a-query')}`)
  await fetch(`${lido.url}/w/acme/authorize?id_token_hint=${first.body.id_token}&client_id=app&prompt=none`)

  const wrong = await visitAs(lido, 'acme', email)
  await wrong.submit({ password: keep('wrong password', 'canary wrong password') })
  await wrong.get(wrong.link('Sign in another way'))
  await wrong.submit({ method: 'email_code' })
  const { code: signInCode } = await lido.message(email, 1)
  await wrong.submit({ code: keep('wrong code by mail', 'canary-777777') })
  await wrong.submit({ code: keep('sign-in code', signInCode) })
  assert.ok(isSignedIn(wrong))
  const granted = { grant_type: 'password', ...client, username: email, scope: 'openid offline_access' }
  const third = await token(lido.url, 'acme', { ...granted, password })
  keep('granted access token', third.body.access_token)
  await token(lido.url, 'acme', { ...granted, password: keep('wrong granted password', 'canary wrong granted') })
  await token(lido.url, 'acme', { ...granted, username: keep('secret as a name', 'canary typed at the wrong place') })

  await browser.get(`${lido.url}/w/acme/recover`)
  await browser.submit({ identifier: email })
  const { code: resetCode, link } = await lido.message(email, 2)
  keep('recovery code', resetCode)
  keep('recovery link', new URL(link).searchParams.get('token') ?? '')
  await browser.get(link)
  await browser.submit({ new_password: keep('weak new password', 'canaryweak') })
  await browser.submit({ new_password: keep('new password', 'canary new password of theirs') })
  assert.match(browser.page.html, /password is set/)
  await browser.get(`${link}x`)
  await lido.message(email, 3)
}

/** Everything that is stored, but for the inbox, which shows mails in development. */
const storedRows = async (): Promise<[table: string, row: string][]> => {
  const tables = await rowsOf<{ name: string }>(
    lido,
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema in ('public', 'graphile_worker') and table_name <> 'inbox'`,
  )
  const found: [string, string][] = []
  for (const { name } of tables)
    for (const { row } of await rowsOf<{ row: string }>(lido, `select t::text as row from ${name} t`))
      found.push([name, row])
  return found
}

const changing = ['artifacts', 'attempts', 'challenges', 'credentials', 'events', 'limits', 'users']

/** Keeps a copy of every row that is ever written, as most do not stay. */
const keepRows = async () => {
  await rowsOf(lido, 'create table kept (row text)')
  await rowsOf(
    lido,
    `create function keep_row() returns trigger language plpgsql as
       $$ begin insert into kept values (tg_table_name || ' ' || new::text); return new; end $$`,
  )
  for (const table of [...changing, 'graphile_worker._private_jobs'])
    await rowsOf(
      lido,
      `create trigger keep after insert or update on ${table} for each row execute function keep_row()`,
    )
}

test('A39: no secret that anybody sent or was given is in a log line or a table', async () => {
  await keepRows()
  await liveWithSecrets()
  const rows = await storedRows()
  for (const table of [...changing, '_private_jobs'])
    assert.ok(
      rows.some(([name, row]) => name === 'public.kept' && row.includes(`${table} `)),
      table,
    )
  for (const [what, value] of secrets) {
    for (const line of lido.lines) assert.ok(!line.includes(value), `the ${what} is in a log line: ${line}`)
    for (const [name, row] of rows) assert.ok(!row.includes(value), `the ${what} is in ${name}: ${row}`)
  }
})
