import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as openid from 'openid-client'
import { openBrowser } from '../browser-testing.ts'
import * as clients from '../directory/clients.ts'
import type { RegistrationPolicy } from '../directory/registration-policy.ts'
import * as tokens from '../directory/registration-tokens.ts'
import { expireUnused } from '../directory/registrations.ts'
import { findBySlug, update } from '../directory/workspaces.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  type Answer,
  ask,
  basic,
  callback,
  eventually,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  post,
  redeem,
  signIn,
  type TestPool,
  type TestWorkspace,
} from './fixtures-testing.ts'

let lido: TestLido
let people: TestPool
before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  await people.user('mike@example.org')
})
after(() => lido.stop())

let made = 0
const workspaceWith = (registration: Partial<RegistrationPolicy>): Promise<TestWorkspace> => {
  made += 1
  return makeWorkspace(lido, `w${made}`, { pools: [people], settings: { registration } })
}

const open = { mode: 'open', per_hour_and_network: 1000, per_hour: 1000 } as const

const json = (body: unknown, token?: string) => ({
  headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
  body: JSON.stringify(body),
})

const register = ({ issuer }: { issuer: string }, body: unknown, token?: string): Promise<Answer> =>
  ask(`${issuer}/register`, { method: 'POST', ...json(body, token) })

const bearer = (token: unknown) => ({ Authorization: `Bearer ${token}` })

const app = { client_name: 'The app', redirect_uris: [callback] }

const tokenFor = async ({ id }: TestWorkspace, uses: number | null, seconds = 3600): Promise<string> => {
  const { db, clock } = lido.services
  const expiresAt = new Date(clock.now().getTime() + seconds * 1000)
  const by = { kind: 'system' } as const
  const { value } = await db
    .transaction()
    .execute((trx) => tokens.create(trx, clock.now(), id, { name: 't', uses, expiresAt }, by))
  return value
}

const countClients = async ({ id }: TestWorkspace): Promise<number> =>
  (await clients.list(lido.services.db, id, { limit: 1000, after: undefined })).length

const setPolicy = async ({ slug, issuer }: TestWorkspace, registration: Partial<RegistrationPolicy>): Promise<void> => {
  const { db, clock } = lido.services
  const before = await findBySlug(db, slug)
  assert(before)
  const { name, status, settings } = before
  const changed = { ...settings, registration: { ...settings.registration, ...registration } }
  await update(db, clock.now(), before, { slug, name, status, settings: changed }, { kind: 'system' })
  const on = changed.registration.mode !== 'off'
  await eventually(5000, async () => {
    const { body } = await ask(`${issuer}/.well-known/openid-configuration`)
    assert.equal('registration_endpoint' in body, on)
  })
}

test('nobody registers where it is off, and discovery is silent about it', async () => {
  const workspace = await workspaceWith({})
  assert.equal((await register(workspace, app)).status, 404)
  const { body } = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  assert.equal('registration_endpoint' in body, false)
  assert.equal(await countClients(workspace), 0)
})

test('of twenty at once with a token for three, three register', async () => {
  const workspace = await workspaceWith({ mode: 'token' })
  const token = await tokenFor(workspace, 3)
  const answers = await Promise.all(Array.from({ length: 20 }, () => register(workspace, app, token)))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [
    201,
    201,
    201,
    ...Array.from({ length: 17 }, () => 401),
  ])
  assert.equal(await countClients(workspace), 3)
  assert.equal((await register(workspace, app, token)).status, 401)
})

test('no token, a wrong one, one of another workspace and one that is over are refused alike', async () => {
  const [here, there] = [await workspaceWith({ mode: 'token' }), await workspaceWith({ mode: 'token' })]
  const wrong = [undefined, 'x', await tokenFor(there, 5), await tokenFor(here, 5, -1)]
  for (const token of wrong) {
    const { status, body, headers } = await register(here, app, token)
    assert.deepEqual([status, body.error], [401, 'invalid_token'])
    assert.match(headers.get('WWW-Authenticate') ?? '', /^Bearer error="invalid_token"/)
  }
  assert.equal(await countClients(here), 0)
  const { db } = lido.services
  await eventually(5000, async () => {
    const kept = await db.selectFrom('traces').selectAll().where('workspaceId', '=', here.id).execute()
    assert.deepEqual(
      kept.map(({ code, route }) => `${code} ${route}`),
      wrong.map(() => 'invalid_token POST /w/:workspace/register'),
    )
  })
})

test('openid-client registers with a token, signs somebody in, and each sign-in asks for consent', async () => {
  const workspace = await workspaceWith({ mode: 'token' })
  const config = await openid.dynamicClientRegistration(new URL(workspace.issuer), app, undefined, {
    initialAccessToken: await tokenFor(workspace, 1),
    execute: [openid.allowInsecureRequests],
  })
  const { client_id: id, client_secret: secret } = config.clientMetadata()
  const browser = openBrowser(lido.url)
  for (const round of [1, 2]) {
    const asked = await signIn(lido, workspace, 'mike@example.org', { client_id: id, scope: 'openid email' }, browser)
    assert.equal(browser.page.step, 'consent', `round ${round}`)
    assert.match(browser.page.html, /registered itself.*<strong dir="auto">app\.example<\/strong>/s)
    await browser.submit({ decision: 'allow' })
    const code = new URL(browser.page.url).searchParams.get('code') ?? ''
    const answer = await redeem(workspace.issuer, { ...asked, code }, {}, basic(id, String(secret)))
    assert.equal(answer.status, 200, answer.text)
    assert.equal(payloadOf(String(answer.body.id_token)).aud, id)
  }
  const silent = await signIn(lido, workspace, '', { client_id: id, scope: 'openid email', prompt: 'none' }, browser)
  assert.equal(silent.at.searchParams.get('error'), 'consent_required')
})

test('where the workspace says so, consent to a registered client is remembered', async () => {
  const workspace = await workspaceWith({ ...open, remember_consent: true })
  const { body } = await register(workspace, { ...app, token_endpoint_auth_method: 'none' })
  const client = { client_id: String(body.client_id), scope: 'openid' }
  const { browser } = await signIn(lido, workspace, 'mike@example.org', client)
  await browser.submit({ decision: 'allow' })
  assert.ok((await signIn(lido, workspace, '', client, browser)).code)
})

test('what only operators say of a client cannot be registered, nor lifted or lost by a change', async () => {
  const workspace = await workspaceWith(open)
  const lifted = {
    ...app,
    first_party: true,
    connections: [],
    resources: { 'https://api.example.org': ['everything'] },
    token_exchange: { subjects: 'any' },
    profile: 'fapi2_security',
    require_pkce: false,
    access_token_lifetime: 86400,
    registered_by: 'operator',
    id: 'chosen',
    client_id: 'chosen',
    client_secret: 'chosen',
  }
  const { status, body } = await register(workspace, lifted)
  assert.equal(status, 201)
  assert.notEqual(body.client_id, 'chosen')
  assert.notEqual(body.client_secret, 'chosen')
  const { db, clock } = lido.services
  const id = String(body.client_id)
  const stored = await clients.find(db, workspace.id, id)
  assert(stored)
  const { first_party, connections, resources, profile, require_pkce, access_token_lifetime } = stored.metadata
  assert.deepEqual(
    [first_party, connections, resources, profile, require_pkce, access_token_lifetime, stored.registeredBy],
    [false, null, {}, null, true, null, 'registration'],
  )
  const limits = { connections: workspace.connections, access_token_lifetime: 60 }
  const changing = { workspaceId: workspace.id, before: stored, status: stored.status, ...stored.metadata, ...limits }
  await clients.update(db, clock.now(), changing, { kind: 'system' })
  const changed = await ask(`${workspace.issuer}/register/${id}`, {
    method: 'PUT',
    ...json({ ...lifted, client_id: id, client_secret: undefined }, String(body.registration_access_token)),
  })
  assert.equal(changed.status, 200, changed.text)
  const after = await clients.find(db, workspace.id, id)
  assert.deepEqual(
    [after?.metadata.connections, after?.metadata.access_token_lifetime, after?.metadata.first_party],
    [workspace.connections, 60, false],
  )
})

test('refuses what the policy does not let in, in the words of RFC 7591', async () => {
  const workspace = await workspaceWith({ ...open, redirects: ['https'] })
  const wrong: [object, string][] = [
    [{ redirect_uris: [] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['http://127.0.0.1/callback'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['com.example.app:/callback'], application_type: 'native' }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['http://app.example/callback'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['javascript:alert(1)'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['https://app.example/#x'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['https://*.example/callback'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: 'https://app.example/' }, 'invalid_redirect_uri'],
    [{ grant_types: ['client_credentials'] }, 'invalid_client_metadata'],
    [{ grant_types: ['authorization_code', 'password'] }, 'invalid_client_metadata'],
    [{ grant_types: ['implicit'] }, 'invalid_client_metadata'],
    [{ response_types: ['code id_token'] }, 'invalid_client_metadata'],
    [{ response_types: ['token'] }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'private_key_jwt' }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=a' }, 'invalid_client_metadata'],
    [{ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }, 'invalid_client_metadata'],
    [{ logo_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
    [{ id_token_signed_response_alg: 'none' }, 'invalid_client_metadata'],
    [{ id_token_signed_response_alg: 'HS256' }, 'invalid_client_metadata'],
    [{ client_name: 'x'.repeat(201) }, 'invalid_client_metadata'],
    [{ software_statement: 'e30.e30.' }, 'unapproved_software_statement'],
  ]
  for (const [more, error] of wrong) {
    const { status, body } = await register(workspace, { ...app, ...more })
    assert.deepEqual([status, body.error], [400, error], JSON.stringify([more, body]))
  }
  for (const body of ['[]', 'null', '1', '{', '{"client_name":"\\u0000"}']) {
    const answer = await ask(`${workspace.issuer}/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    })
    assert.deepEqual([answer.status, answer.body.error], [400, 'invalid_request'], body)
  }
  const big = await register(workspace, { ...app, x: 'x'.repeat(70_000) })
  assert.equal(big.status, 413)
  assert.equal(await countClients(workspace), 0)
})

test('addresses inside are not reached, and nothing is told of what is there (A33)', async () => {
  const workspace = await workspaceWith(open)
  const inside = [
    'https://127.0.0.1:5432/',
    'https://localhost/',
    'https://[::1]/',
    'https://0x7f.1/',
    'https://169.254.169.254/',
  ]
  const told = new Set<string>()
  for (const uri of inside) {
    const pairwise = { subject_type: 'pairwise', sector_identifier_uri: uri }
    const { status, body } = await register(workspace, { ...app, ...pairwise })
    assert.deepEqual([status, body.error], [400, 'invalid_client_metadata'])
    told.add(String(body.error_description))
  }
  assert.equal(told.size, 1)
})

test('unknown fields and nulls mean nothing, and scopes that nobody may have are left out', async () => {
  const workspace = await workspaceWith({ ...open, scopes: ['openid', 'email'] })
  const more = { 'client_name#de': 'Die App', contacts: ['a@b.c'], logo_uri: null, scope: 'openid profile admin' }
  const { status, body } = await register(workspace, { ...app, ...more })
  assert.equal(status, 201)
  assert.equal(body.scope, 'openid')
  assert.equal('contacts' in body, false)
  const nothing = await register(workspace, { ...app, scope: 'mcp:tools' })
  assert.equal(nothing.body.scope, 'openid email')
  const id = String(nothing.body.client_id)
  const { at } = await signIn(lido, workspace, '', { client_id: id, scope: 'openid profile' })
  assert.equal(at.searchParams.get('error'), 'invalid_scope')
})

test('what no column takes is refused: NUL, half of a character, and depth without end', async () => {
  const workspace = await workspaceWith(open)
  for (const client_name of ['a\u0000b', 'a\ud800b'])
    assert.equal((await register(workspace, { ...app, client_name })).status, 400)
  const body = `{"redirect_uris":["${callback}"],"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}`
  const deep = await ask(`${workspace.issuer}/register`, { method: 'POST', ...json({}), body })
  assert.equal(deep.status, 201, deep.text)
  assert.equal((await register(workspace, { ...app, client_name: 'a \u{1f600} \\ud800' })).status, 201)
})

test('a registration is read, changed and deleted by its own token only, which changes with it', async () => {
  const workspace = await workspaceWith(open)
  const [{ body: one }, { body: two }] = [await register(workspace, app), await register(workspace, app)]
  const address = String(one.registration_client_uri)
  assert.equal(address, `${workspace.issuer}/register/${one.client_id}`)
  for (const token of [undefined, 'x', two.registration_access_token, one.client_secret])
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { status, body } = await ask(address, { method, headers: bearer(token) })
      assert.deepEqual([status, body.error], [401, 'invalid_token'], method)
    }
  const read = await ask(address, { headers: bearer(one.registration_access_token) })
  assert.deepEqual([read.status, read.body.client_name, 'client_secret' in read.body], [200, 'The app', false])
  assert.equal(read.headers.get('Cache-Control'), 'no-store')
  const said = { ...app, client_name: 'Renamed', client_id: one.client_id }
  const put = (body: object, token: unknown) => ask(address, { method: 'PUT', ...json(body, String(token)) })
  for (const wrong of [
    { ...said, client_id: two.client_id },
    { ...app },
    { ...said, client_secret: two.client_secret },
    { ...said, registration_access_token: 'x' },
    { ...said, client_id_issued_at: 1 },
  ])
    assert.deepEqual((await put(wrong, one.registration_access_token)).body.error, 'invalid_request')
  const changed = await put({ ...said, client_secret: one.client_secret }, one.registration_access_token)
  assert.deepEqual(
    [changed.status, changed.body.client_name, changed.body.client_secret],
    [200, 'Renamed', one.client_secret],
  )
  assert.notEqual(changed.body.registration_access_token, one.registration_access_token)
  assert.equal((await put(said, one.registration_access_token)).status, 401)
  const last = bearer(changed.body.registration_access_token)
  assert.equal((await ask(address, { method: 'DELETE', headers: last })).status, 204)
  assert.equal((await ask(address, { headers: last })).status, 401)
  const gone = await eventually(5000, async () => {
    const answer = await post(
      `${workspace.issuer}/token`,
      { grant_type: 'refresh_token', refresh_token: 'x' },
      basic(String(one.client_id), String(one.client_secret)),
    )
    assert.equal(answer.body.error, 'invalid_client')
    return answer
  })
  assert.equal(gone.status, 401)
})

test('of twenty changes at once by one token, one is made', async () => {
  const workspace = await workspaceWith(open)
  const { body } = await register(workspace, app)
  const change = (n: number) =>
    ask(String(body.registration_client_uri), {
      method: 'PUT',
      ...json({ ...app, client_name: `${n}`, client_id: body.client_id }, String(body.registration_access_token)),
    })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => change(n)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.ok(answers.every(({ status }) => [200, 401, 409].includes(status)))
})

test('where the workspace says so, the token of a registration stays the same', async () => {
  const workspace = await workspaceWith({ ...open, rotate_access_token: false })
  const { body } = await register(workspace, app)
  const token = String(body.registration_access_token)
  const said = { ...app, client_id: body.client_id }
  const changed = await ask(String(body.registration_client_uri), { method: 'PUT', ...json(said, token) })
  assert.equal(changed.body.registration_access_token, token)
})

test('no secret is stored or logged, and a client that signs with its secret can', async () => {
  const workspace = await workspaceWith(open)
  const from = lido.lines.length
  const plain = (await register(workspace, app)).body
  const signed = {
    token_endpoint_auth_method: 'client_secret_jwt',
    grant_types: ['authorization_code', 'refresh_token'],
  }
  const signing = (await register(workspace, { ...app, ...signed })).body
  const { db } = lido.services
  const rows = JSON.stringify([
    await db.selectFrom('clients').selectAll().where('workspaceId', '=', workspace.id).execute(),
    await db.selectFrom('registrations').selectAll().where('workspaceId', '=', workspace.id).execute(),
    await db.selectFrom('events').selectAll().where('workspaceId', '=', workspace.id).execute(),
    lido.lines.slice(from),
  ])
  for (const secret of [plain.client_secret, signing.client_secret, plain.registration_access_token]) {
    assert.equal(typeof secret, 'string')
    assert.equal(rows.includes(String(secret)), false)
  }
  const config = await openid.discovery(
    new URL(workspace.issuer),
    String(signing.client_id),
    undefined,
    openid.ClientSecretJwt(String(signing.client_secret)),
    { execute: [openid.allowInsecureRequests] },
  )
  await assert.rejects(openid.refreshTokenGrant(config, 'x'), { error: 'invalid_grant' })
})

test('who registers too often waits, and the others go on', async () => {
  const workspace = await workspaceWith({ mode: 'open', per_hour_and_network: 3, per_hour: 100 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => register(workspace, app)))
  assert.equal(answers.filter(({ status }) => status === 201).length, 3)
  const refused = answers.find(({ status }) => status === 429)
  assert.equal(refused?.headers.get('Retry-After'), '3600')
  await setPolicy(workspace, { mode: 'token' })
  assert.equal((await register(workspace, app, await tokenFor(workspace, null))).status, 201)
})

test('no more register than the workspace takes, of twenty at once, too', async () => {
  const workspace = await workspaceWith({ ...open, most_clients: 2 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => register(workspace, app)))
  assert.equal(answers.filter(({ status }) => status === 201).length, 2)
  assert.equal(await countClients(workspace), 2)
})

test('a client goes on where registration is switched off, and its registration is still its own', async () => {
  const workspace = await workspaceWith(open)
  const { body } = await register(workspace, app)
  await setPolicy(workspace, { mode: 'off' })
  assert.equal((await register(workspace, app)).status, 404)
  const read = await ask(String(body.registration_client_uri), { headers: bearer(body.registration_access_token) })
  assert.equal(read.status, 200)
  await signIn(lido, workspace, 'mike@example.org', { client_id: String(body.client_id) })
})

test('tokens for a resource are those that the workspace lets registered clients have', async () => {
  const resource = 'https://mcp.example.org/mcp'
  const workspace = await workspaceWith({ ...open, resources: { [resource]: ['tools'] } })
  const { body } = await register(workspace, { ...app, token_endpoint_auth_method: 'none' })
  const client_id = String(body.client_id)
  const asked = await signIn(lido, workspace, 'mike@example.org', { client_id, scope: 'tools', resource })
  await asked.browser.submit({ decision: 'allow' })
  const code = new URL(asked.browser.page.url).searchParams.get('code') ?? ''
  const { body: got, text } = await redeem(workspace.issuer, { ...asked, code }, { client_id, resource })
  const { aud, scope } = payloadOf(String(got.access_token ?? text))
  assert.deepEqual([aud, scope], [resource, 'tools'])
  const other = await signIn(lido, workspace, '', { client_id, scope: 'tools', resource: 'https://api.example.org' })
  assert.equal(other.at.searchParams.get('error'), 'invalid_target')
})

test('pages of any origin may register, without cookies', async () => {
  const workspace = await workspaceWith(open)
  const asked = { Origin: 'http://localhost:6274', 'Access-Control-Request-Method': 'POST' }
  const preflight = await ask(`${workspace.issuer}/register`, { method: 'OPTIONS', headers: asked })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('Access-Control-Allow-Origin'), '*')
  assert.match(preflight.headers.get('Access-Control-Allow-Headers') ?? '', /Content-Type/)
  assert.equal(preflight.headers.get('Access-Control-Allow-Credentials'), null)
  const answer = await register(workspace, app)
  assert.equal(answer.headers.get('Access-Control-Allow-Origin'), '*')
  assert.equal(answer.headers.get('Set-Cookie'), null)
})

test('clients that nobody uses are deleted after their time, those of operators never', async () => {
  const workspace = await workspaceWith({ ...open, expire_unused_days: 30 })
  await workspace.client('spa')
  const [{ body: used }, { body: idle }] = [await register(workspace, app), await register(workspace, app)]
  const { db, clock } = lido.services
  const later = (days: number) => new Date(clock.now().getTime() + days * 86_400_000)
  assert.equal(await expireUnused(db, later(29)), 0)
  const { browser, verifier } = await signIn(lido, workspace, 'mike@example.org', { client_id: String(used.client_id) })
  await db
    .updateTable('registrations')
    .set({ usedAt: later(-20) })
    .where('workspaceId', '=', workspace.id)
    .execute()
  await browser.submit({ decision: 'allow' })
  const code = new URL(browser.page.url).searchParams.get('code') ?? ''
  const answer = await redeem(
    workspace.issuer,
    { code, verifier },
    {},
    basic(String(used.client_id), String(used.client_secret)),
  )
  assert.equal(answer.status, 200, answer.text)
  await eventually(5000, async () => {
    const rows = await db.selectFrom('registrations').select('usedAt').where('workspaceId', '=', workspace.id).execute()
    assert.equal(rows.filter(({ usedAt }) => usedAt > later(-1)).length, 1)
  })
  assert.equal(await expireUnused(db, later(15)), 1)
  const left = await clients.list(db, workspace.id, { limit: 10, after: undefined })
  assert.deepEqual(left.map(({ id }) => id).toSorted(), ['spa', String(used.client_id)].toSorted())
  assert.equal(await clients.find(db, workspace.id, String(idle.client_id)), undefined)
})

test('the documents of a workspace are also where RFC 8414 looks for them', async () => {
  const { issuer, slug } = await workspaceWith(open)
  for (const name of ['oauth-authorization-server', 'openid-configuration']) {
    const inserted = await ask(`${lido.url}/.well-known/${name}/w/${slug}`)
    const below = await ask(`${issuer}/.well-known/${name}`)
    assert.deepEqual([inserted.status, inserted.body], [200, below.body])
    assert.equal(inserted.body.registration_endpoint, `${issuer}/register`)
    assert.equal(inserted.headers.get('Access-Control-Allow-Origin'), '*')
    const preflight = await ask(`${lido.url}/.well-known/${name}/w/${slug}`, {
      method: 'OPTIONS',
      headers: {
        Origin: 'http://localhost:6274',
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'mcp-protocol-version',
      },
    })
    assert.match(preflight.headers.get('Access-Control-Allow-Headers') ?? '', /mcp-protocol-version/)
  }
  assert.equal((await ask(`${lido.url}/.well-known/oauth-authorization-server/w/nobody`)).status, 404)
})

test('somebody who knows only the password gets nothing without consent', async () => {
  const workspace = await workspaceWith(open)
  const { body } = await register(workspace, app)
  const { browser } = await signIn(lido, workspace, '', { client_id: String(body.client_id) })
  await browser.submit({ identifier: 'mike@example.org' })
  await browser.submit({ password })
  await browser.submit({ decision: 'deny' })
  assert.equal(new URL(browser.page.url).searchParams.get('error'), 'access_denied')
})
