import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { ClientMetadata } from '../directory/client-metadata.ts'
import type { TokenExchange } from '../directory/token-exchange.ts'
import { randomToken } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  type Answer,
  basic,
  headerOf,
  makePool,
  makeWorkspace,
  payloadOf,
  post,
  type TestPool,
  type TestWorkspace,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`
const api = 'https://api.example.org'
const ledger = 'https://ledger.example.org'
const mail = 'mike@example.org'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let other: TestWorkspace
let mike: string
const secrets = new Map<string, string>()

before(async () => {
  lido = await testLido()
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  other = await makeWorkspace(lido, 'w2', { pools: [people] })
  for (const where of [workspace, other]) {
    await where.client('spa', { resources: { [api]: ['read', 'write'] } })
    await exchanger(where, 'gate', { subjects: 'any', impersonation: true })
  }
  await exchanger(workspace, 'agent', { subjects: 'any', delegation: true, impersonation: false })
  await exchanger(workspace, 'agent2', { subjects: 'any', delegation: true, impersonation: false })
  await exchanger(workspace, 'own', { subjects: 'own', impersonation: true })
  await exchanger(workspace, 'wide', { subjects: 'any', impersonation: true, wider_scopes: true })
  await workspace.client('plain', {
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
  })
  mike = await people.user(mail)
})
after(() => lido.stop())

const exchanger = async (where: TestWorkspace, id: string, policy: Partial<TokenExchange>) => {
  const secret = await where.client(id, {
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'client_credentials', exchangeGrant] satisfies ClientMetadata['grant_types'],
    resources: { [api]: ['read', 'write', 'admin'], [ledger]: ['read', 'book'] },
    token_exchange: { resources: [api, ledger], delegation: false, ...policy },
  })
  secrets.set(`${where.slug} ${id}`, secret)
}

const as = (id: string, where = workspace) => basic(id, secrets.get(`${where.slug} ${id}`) ?? '')

const exchange = (
  token: string,
  fields: Record<string, string> = {},
  id = 'gate',
  where = workspace,
  headers: Record<string, string> = {},
): Promise<Answer> =>
  post(
    `${where.issuer}/token`,
    { grant_type: exchangeGrant, subject_token: token, subject_token_type: type('access_token'), ...fields },
    { ...as(id, where), ...headers },
  )

/** A token of mike's for userinfo, or for a resource. */
const tokenOf = async (params: Record<string, string> = {}, where = workspace) =>
  (await tokensOf(lido, where, mail, { scope: 'openid email', ...params })).access

const apiToken = (scope = 'read') => tokenOf({ scope: `openid ${scope}`, resource: api })

const own = async (id: string) =>
  String((await post(`${workspace.issuer}/token`, { grant_type: 'client_credentials' }, as(id))).body.access_token)

const accessOf = ({ status, body, text }: Answer): string => {
  assert.equal(status, 200, text)
  return String(body.access_token)
}

test('a service gets a token for the next one, in the name of the person, that ends no later', async () => {
  const subject = await apiToken()
  const answer = await exchange(subject, { audience: ledger })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(
    [answer.body.issued_token_type, answer.body.token_type, answer.body.scope, answer.body.refresh_token],
    [type('access_token'), 'Bearer', 'read', undefined],
  )
  const made = accessOf(answer)
  const { sub, aud, client_id, scope, exp, act, amr } = payloadOf(made)
  assert.equal(headerOf(made).typ, 'at+jwt')
  assert.deepEqual([sub, aud, client_id, scope, act, amr], [mike, ledger, 'gate', 'read', undefined, ['pwd']])
  assert(Number(exp) <= Number(payloadOf(subject).exp))
})

test('without a resource the new token is for userinfo, and may no more than the old one', async () => {
  const made = accessOf(await exchange(await tokenOf()))
  assert.equal((await userinfo(workspace.issuer, made)).body.email, mail)
  const less = accessOf(await exchange(made, { scope: 'openid' }))
  const seen = await userinfo(workspace.issuer, less)
  assert.deepEqual([seen.body.sub, seen.body.email], [mike, undefined])
  assert.equal((await exchange(less, { scope: 'openid email' })).body.error, 'invalid_scope')
})

test('scopes only shrink, unless the policy says otherwise', async () => {
  const subject = await apiToken('read write')
  assert.equal((await exchange(subject, { resource: api })).body.scope, 'read write')
  assert.equal((await exchange(subject, { resource: api, scope: 'write' })).body.scope, 'write')
  assert.equal((await exchange(subject, { resource: api, scope: 'admin' })).body.error, 'invalid_scope')
  assert.equal((await exchange(subject, { resource: api, scope: 'admin read' }, 'wide')).body.scope, 'admin read')
  assert.equal((await exchange(subject, { resource: api, scope: 'root' }, 'wide')).body.error, 'invalid_scope')
  const shrunk = accessOf(await exchange(subject, { resource: api, scope: 'read' }))
  assert.equal((await exchange(shrunk, { resource: api, scope: 'write' })).body.error, 'invalid_scope')
})

test('delegation says who acts, and who acted before stays in the chain', async () => {
  const subject = await apiToken()
  const actor = { actor_token: await own('agent'), actor_token_type: type('access_token') }
  const first = accessOf(await exchange(subject, { resource: ledger, ...actor }, 'agent'))
  assert.deepEqual(payloadOf(first).act, { sub: 'agent', client_id: 'agent' })
  const second = { actor_token: await own('agent2'), actor_token_type: type('access_token') }
  const chained = accessOf(await exchange(first, { resource: api, ...second }, 'agent2'))
  const act = { sub: 'agent2', client_id: 'agent2', act: { sub: 'agent', client_id: 'agent' } }
  assert.deepEqual(payloadOf(chained).act, act)
  assert.equal(payloadOf(chained).sub, mike)
  const laundered = accessOf(await exchange(chained, { resource: ledger }, 'gate'))
  assert.deepEqual(payloadOf(laundered).act, act, 'impersonation does not wash a chain away')
  const opaque = accessOf(await exchange(await tokenOf(), actor, 'agent'))
  const seen = await post(`${workspace.issuer}/introspect`, { token: opaque }, as('agent'))
  assert.deepEqual([seen.body.active, seen.body.act], [true, { sub: 'agent', client_id: 'agent' }])
})

test('a chain has an end', async () => {
  let token = await apiToken()
  const actor = { actor_token: await own('agent'), actor_token_type: type('access_token') }
  for (let links = 0; links < 4; links += 1)
    token = accessOf(await exchange(token, { resource: api, ...actor }, 'agent'))
  assert.equal((await exchange(token, { resource: api, ...actor }, 'agent')).body.error, 'invalid_request')
})

test('a client does what its policy says and nothing else', async () => {
  const subject = await apiToken()
  const actor = { actor_token: await own('gate'), actor_token_type: type('access_token') }
  const refused: [string, Promise<Answer>, string][] = [
    ['impersonation is not allowed', exchange(subject, { resource: ledger }, 'agent'), 'invalid_request'],
    ['delegation is not allowed', exchange(subject, { resource: ledger, ...actor }), 'invalid_request'],
    ['not its own', exchange(subject, { resource: ledger }, 'own'), 'invalid_request'],
    ['another resource', exchange(subject, { resource: 'https://else.example.org' }), 'invalid_target'],
    ['two resources', exchange(subject, { resource: ledger, audience: api }), 'invalid_target'],
    ["somebody else's actor", exchange(subject, { resource: ledger, ...actor }, 'agent'), 'invalid_request'],
    [
      'another kind of token',
      exchange(subject, { resource: ledger, requested_token_type: type('refresh_token') }),
      'invalid_request',
    ],
    ['a lone type', exchange(subject, { resource: ledger, actor_token_type: type('jwt') }), 'invalid_request'],
  ]
  for (const [why, answer, error] of refused) {
    const { status, body } = await answer
    assert.deepEqual([status, body.error], [400, error], why)
  }
})

test('nothing but a living access token of a person of this workspace is taken', async () => {
  const { access, refresh, id } = await tokensOf(lido, workspace, mail, { scope: 'openid email offline_access' })
  const elsewhere = await tokenOf({ scope: 'openid read', resource: api }, other)
  const [header, payload, signature] = (await apiToken()).split('.')
  const forged = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
  const unsigned = [Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url'), payload, ''].join('.')
  const changed = [header, Buffer.from(JSON.stringify({ ...forged, scope: 'admin' })).toString('base64url'), signature]
  const wrong: Record<string, string> = {
    'a refresh token': refresh,
    'an ID token': id,
    'a token of another workspace': elsewhere,
    'an opaque token of another workspace': await tokenOf({}, other),
    "a client's own token": await own('gate'),
    'no signature': unsigned,
    'another payload': changed.join('.'),
    nonsense: 'x',
    dots: '...',
  }
  const told = new Set<string>()
  for (const [what, token] of Object.entries(wrong)) {
    const { status, body } = await exchange(token, { scope: 'openid' })
    assert.deepEqual([status, body.error], [400, 'invalid_request'], what)
    told.add(String(body.error_description))
  }
  assert.equal(told.size, 1)
  for (const kind of ['id_token', 'refresh_token', 'saml2', ''])
    assert.equal((await exchange(access, { subject_token_type: type(kind) })).body.error, 'invalid_request', kind)
  assert.equal((await exchange(id, { subject_token_type: type('jwt') })).body.error, 'invalid_request')
})

test('a revoked token, a token whose session ended and a token of somebody who is gone get nothing', async () => {
  const revoked = await tokenOf()
  await post(`${workspace.issuer}/revoke`, { token: revoked, client_id: 'spa' })
  assert.equal((await exchange(revoked)).body.error, 'invalid_request')

  const { access, browser } = await tokensOf(lido, workspace, mail, { scope: 'openid email' })
  await browser.get(`${workspace.issuer}/logout`)
  await browser.submit({ logout: 'yes' })
  assert.equal((await exchange(access)).body.error, 'invalid_request')

  const gone = await people.user('gone@example.org')
  const tokens = [
    (await tokensOf(lido, workspace, 'gone@example.org')).access,
    (await tokensOf(lido, workspace, 'gone@example.org', { scope: 'openid read', resource: api })).access,
  ]
  await lido.services.db.updateTable('users').set({ status: 'inactive' }).where('id', '=', gone).execute()
  for (const token of tokens) assert.equal((await exchange(token)).body.error, 'invalid_request')
})

test('whose sessions end loses what was exchanged, too', async () => {
  const id = await people.user('ends@example.org')
  const made = accessOf(await exchange((await tokensOf(lido, workspace, 'ends@example.org')).access))
  assert.equal((await userinfo(workspace.issuer, made)).status, 200)
  await lido.services.db.updateTable('users').set({ era: 7 }).where('id', '=', id).execute()
  assert.equal((await userinfo(workspace.issuer, made)).status, 401)
})

test('a client without a policy, or without authentication, exchanges nothing', async () => {
  const subject = await tokenOf()
  const fields = { grant_type: exchangeGrant, subject_token: subject, subject_token_type: type('access_token') }
  const spa = await post(`${workspace.issuer}/token`, { ...fields, client_id: 'spa' })
  assert.deepEqual([spa.status, spa.body.error], [400, 'unauthorized_client'])
  assert.equal((await post(`${workspace.issuer}/token`, { ...fields, client_id: 'gate' })).status, 401)
})

test('a token that is bound to a key needs a proof of that key, and stays bound', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  const proof = (key = privateKey, shown: object = jwk) =>
    new SignJWT({ htm: 'POST', htu: `${workspace.issuer}/token`, jti: randomToken() })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: shown })
      .setIssuedAt()
      .sign(key)
  const bound = accessOf(
    await exchange(await apiToken(), { resource: api }, 'gate', workspace, { DPoP: await proof() }),
  )
  assert.deepEqual(payloadOf(bound).cnf, { jkt: await calculateJwkThumbprint(jwk) })
  assert.equal((await exchange(bound, { resource: ledger })).body.error, 'invalid_request')
  const thief = await generateKeyPair('ES256')
  const stolen = await proof(thief.privateKey, await exportJWK(thief.publicKey))
  assert.equal(
    (await exchange(bound, { resource: ledger }, 'gate', workspace, { DPoP: stolen })).body.error,
    'invalid_request',
  )
  const used = await proof()
  const answer = await exchange(bound, { resource: ledger }, 'gate', workspace, { DPoP: used })
  assert.equal(answer.body.token_type, 'DPoP', answer.text)
  assert.equal((await exchange(bound, { resource: ledger }, 'gate', workspace, { DPoP: used })).status, 400)
})

test('an event tells who got what for whom', async () => {
  const actor = { actor_token: await own('agent'), actor_token_type: type('access_token') }
  accessOf(await exchange(await apiToken(), { resource: ledger, ...actor }, 'agent'))
  const event = await lido.services.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', 'token.exchanged')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  assert.deepEqual(
    [event.userId, event.poolId, event.clientId, event.data],
    [mike, people.id, 'agent', { subject_client: 'spa', resource: ledger, scopes: ['read'], actor: 'agent' }],
  )
})
