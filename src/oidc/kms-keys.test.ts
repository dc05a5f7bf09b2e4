import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { compactDecrypt, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { system } from '../directory/audit.ts'
import * as resources from '../directory/resources.ts'
import { kmsSecret } from '../platform/kms-testing.ts'
import {
  ask,
  basic,
  callback,
  eventually,
  headerOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'
import { keyStoreOf } from './key-store.ts'
import { type KmsLido, openKmsLido } from './kms-fixtures-testing.ts'
import { readKmsLines } from './kms-keys.ts'
import { sendTo } from './raw-testing.ts'
import { sign } from './signing-keys.ts'

const email = 'mike@example.org'
const orders = 'https://orders.example.org'
const algs = ['RS256', 'ES256', 'EdDSA', 'PS256'] as const

let kms: KmsLido
let workspace: TestWorkspace
let machine: Record<string, string>
const arns: string[] = []
before(async () => {
  kms = await openKmsLido()
  const { double } = kms
  arns.push(...['RSA_2048', 'ECC_NIST_P256', 'ECC_NIST_EDWARDS25519'].map((spec) => double.make(spec)))
  workspace = await kms.workspace('w1', { 'keys.kms': [...arns, `${arns[0]} PS256`].join('\n') })
  for (const alg of algs) await workspace.client(alg, { id_token_signed_response_alg: alg })
  await workspace.client('spa')
  const { services } = kms.lido
  const wanted = { identifier: orders, name: 'Orders', scopes: [{ name: 'read' }] }
  await services.db
    .transaction()
    .execute((trx) => resources.create(trx, services.clock.now(), workspace.id, wanted, system))
  const secret = await workspace.client('machine', {
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    post_logout_redirect_uris: [],
    resources: { [orders]: ['read'] },
  })
  machine = basic('machine', secret)
})
after(() => kms.stop())

const jwksOf = ({ issuer }: TestWorkspace) => createRemoteJWKSet(new URL(`${issuer}/jwks`))
const verified = (token: string, alg: string, audience: string, at = workspace) =>
  jwtVerify(token, jwksOf(at), { issuer: at.issuer, audience, algorithms: [alg] })
const kidsOf = async ({ issuer }: TestWorkspace) =>
  ((await ask(`${issuer}/jwks`)).body.keys as { kid: string }[]).map(({ kid }) => kid)

const machineToken = () =>
  post(`${workspace.issuer}/token`, { grant_type: 'client_credentials', resource: orders, scope: 'read' }, machine)

test('an ID token is signed by a key that AWS KMS keeps, by every algorithm', async () => {
  for (const alg of algs) {
    const before = kms.double.asked('Sign').length
    const { id } = await tokensOf(kms.lido, workspace, email, { client_id: alg })
    await verified(id, alg, alg)
    const [sent, ...more] = kms.double.asked('Sign').slice(before)
    assert.deepEqual(more, [])
    const signed = Buffer.from(id.slice(0, id.lastIndexOf('.')))
    const message = Buffer.from(String(sent?.Message), 'base64')
    assert.deepEqual(message, alg === 'EdDSA' ? signed : createHash('sha256').update(signed).digest())
    assert.equal(sent?.MessageType, alg === 'EdDSA' ? 'RAW' : 'DIGEST')
  }
  assert.equal(kms.double.asked('GetPublicKey').length, 3)
})

test('the public halves are published as those of other keys are, and discovery names what they sign by', async () => {
  const answer = await ask(`${workspace.issuer}/jwks`)
  const keys = answer.body.keys as Record<string, string>[]
  assert.deepEqual(
    keys.map(({ alg }) => alg),
    ['RS256', 'ES256', 'EdDSA', 'PS256'],
  )
  for (const key of keys) {
    assert.equal(key.use, 'sig')
    assert.match(key.kid ?? '', /^[\w-]{16}$/)
    for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(part in key, false, part)
  }
  assert.equal(new Set(keys.map(({ kid }) => kid)).size, 4)
  assert.match(answer.headers.get('Cache-Control') ?? '', /max-age=300/)
  const tag = answer.headers.get('ETag') ?? ''
  const again = await sendTo(kms.lido.url, { path: '/w/w1/jwks', headers: { 'If-None-Match': tag } })
  assert.equal(again.status, 304)
  const { body } = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  assert.deepEqual((body.id_token_signing_alg_values_supported as string[]).toSorted(), [...algs].sort())
})

test('a machine gets a JWT that verifies, twenty at once', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, machineToken))
  for (const { status, body, text } of answers) {
    assert.equal(status, 200, text)
    const { payload } = await verified(String(body.access_token), 'RS256', orders)
    assert.equal(payload.client_id, 'machine')
  }
})

test('what such a key signed is known again: as a hint, in an ID token that is encrypted, as an answer of userinfo', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RSA-OAEP-256', { extractable: true })
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), use: 'enc', alg: 'RSA-OAEP-256', kid: 'enc' }] } as never
  await workspace.client('sealed', {
    jwks,
    id_token_signed_response_alg: 'ES256',
    id_token_encrypted_response_alg: 'RSA-OAEP-256',
    id_token_encrypted_response_enc: 'A256GCM',
    userinfo_signed_response_alg: 'PS256',
  })
  const { id, access, browser } = await tokensOf(kms.lido, workspace, email, { client_id: 'sealed' })
  const { plaintext } = await compactDecrypt(id, privateKey)
  const inner = new TextDecoder().decode(plaintext)
  await verified(inner, 'ES256', 'sealed')
  const told = await userinfo(workspace.issuer, access)
  await verified(told.text, 'PS256', 'sealed')
  const spa = await tokensOf(kms.lido, workspace, email, {})
  const hinted = await signIn(kms.lido, workspace, '', { prompt: 'none', id_token_hint: spa.id }, spa.browser)
  assert(hinted.code, hinted.at.href)
  assert(browser)
})

test('a client is told of a logout by a token that AWS KMS signed', async (t) => {
  const told: string[] = []
  const hearing = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    told.push(new URLSearchParams(Buffer.concat(chunks).toString()).get('logout_token') ?? '')
    response.end()
  })
  t.after(() => hearing.close().closeAllConnections())
  await new Promise<void>((resolve) => hearing.listen(0, '127.0.0.1', resolve))
  const { port } = hearing.address() as AddressInfo
  const es = { id_token_signed_response_alg: 'ES256' as const }
  await workspace.client('hearing', { ...es, backchannel_logout_uri: `http://127.0.0.1:${port}/` })
  const { browser } = await tokensOf(kms.lido, workspace, email, { client_id: 'hearing' })
  await browser.get(`${workspace.issuer}/logout?client_id=hearing`)
  await browser.submit({ logout: 'yes' })
  await eventually(10_000, async () => assert.equal(told.length, 1, browser.page.url))
  await verified(told[0] ?? '', 'ES256', 'hearing')
})

test('what is signed beside the engine is signed there too', async () => {
  const store = await keyStoreOf(kms.lido.services, workspace)
  const keys = await store.load(kms.clock.now())
  const claims = { iss: workspace.issuer, aud: 'https://terms.example.org', name: 'Ångström' }
  const token = await sign(keys, 'post-authentication+jwt', claims)
  const { payload, protectedHeader } = await verified(token, 'RS256', claims.aud)
  assert.deepEqual([payload.name, protectedHeader.typ], ['Ångström', 'post-authentication+jwt'])
})

test('while AWS KMS is away everybody hears 503 in time, and no code and no refresh token is lost', async () => {
  const done = await tokensOf(kms.lido, workspace, email)
  for (const fault of ['gone', 'slow', 'throttled', 'error'] as const) {
    const half = await signIn(kms.lido, workspace, email)
    kms.double.behave(fault)
    const began = performance.now()
    const refused = await Promise.all([
      redeem(workspace.issuer, half),
      refresh(workspace.issuer, done.refresh),
      machineToken(),
    ])
    const took = performance.now() - began
    kms.double.behave(undefined)
    for (const { status, headers, body } of refused) {
      assert.equal(status, 503, fault)
      assert.equal(headers.get('Retry-After'), '2')
      assert.equal(body.type, 'urn:lido:problem:unavailable')
      assert.doesNotMatch(JSON.stringify(body), /arn:|kms/i)
    }
    assert(took < 3_300, `${fault} took ${Math.round(took)} ms`)
    assert.match((await ask(`${kms.lido.url}/readyz`)).text, /^ready, but AWS KMS failed when it was last asked, at 20/)
    await kms.rested(workspace)
    tokensFrom(await redeem(workspace.issuer, half))
    const next = tokensFrom(await refresh(workspace.issuer, done.refresh))
    assert.notEqual(next.refresh, done.refresh)
    Object.assign(done, next)
  }
  assert.equal((await ask(`${kms.lido.url}/readyz`)).text, 'ready')
  const logged = kms.lido.lines.join('\n')
  assert.match(logged, /arn:aws:kms:eu-central-1:111122223333:key\/[0-9a-f-]+: AWS KMS did not answer Sign/)
  assert(!logged.includes(kmsSecret) && !logged.includes(encodeURIComponent(kmsSecret)))
  assert.match(
    (await ask(`${kms.lido.url}/metrics`)).text,
    /lido_kms_calls_total\{call="Sign",outcome="throttled"\} [1-9]/,
  )
})

test('nobody waits longer where an alias is to be asked again, too', async () => {
  const named = await kms.workspace('slow', { 'keys.kms': kms.double.alias('slow', kms.double.make('RSA_2048')) })
  await named.client('spa')
  const half = await signIn(kms.lido, named, email)
  kms.double.behave('slow')
  await kms.later()
  const began = performance.now()
  const { status } = await redeem(named.issuer, half)
  const took = performance.now() - began
  kms.double.behave(undefined)
  await kms.rested(workspace)
  assert.equal(status, 503)
  assert(took < 3_300, `${Math.round(took)} ms`)
})

test('a sign-in goes on while AWS KMS is away, and where its answer is signed it goes on once it is back', async () => {
  kms.double.behave('gone')
  const plain = await signIn(kms.lido, workspace, email)
  assert(plain.code, plain.browser.page.html)
  const { browser } = await signIn(kms.lido, workspace, email, { response_mode: 'jwt' })
  assert.equal(browser.page.status, 503)
  assert.doesNotMatch(browser.page.html, /arn:|kms/i)
  kms.double.behave(undefined)
  await kms.rested(workspace)
  await browser.get(browser.page.url)
  const answer = new URL(browser.page.url).searchParams.get('response') ?? ''
  const { payload } = await verified(answer, 'RS256', 'spa')
  assert(payload.code)
})

test('nobody has AWS KMS sign at will who is not signed in, or a client that anybody can be', async () => {
  const signed = () => kms.double.asked('Sign').length
  const open = async (slug: string) => {
    const made = await kms.workspace(slug, { 'keys.kms': kms.double.make('RSA_2048') })
    await made.client('spa')
    return made
  }
  const [one, other] = [await open('open'), await open('wide')]
  const jwt = { Accept: 'application/token-introspection+jwt' }
  for (const unseen of [
    () => ask(`${one.issuer}/authorize?${new URLSearchParams({ ...jarm, client_id: 'spa' })}`),
    () => post(`${other.issuer}/introspect`, { token: 'any', client_id: 'spa' }, jwt),
  ]) {
    const before = signed()
    const answers: { status: number; headers: Headers }[] = []
    while (answers.length < 310) answers.push(...(await Promise.all(Array.from({ length: 10 }, unseen))))
    assert.equal(signed() - before, 300)
    const refused = answers.filter(({ status }) => status >= 400)
    assert.deepEqual([...new Set(refused.map(({ status }) => status))], [429])
    assert.equal(refused[0]?.headers.get('Retry-After'), '1')
  }
  const { browser } = await signIn(kms.lido, one, email, { response_mode: 'jwt' })
  assert(new URL(browser.page.url).searchParams.get('response'))
})

test('what is too long for an Ed25519 key of AWS KMS is refused, and is no fault of the program', async () => {
  const long = 'x'.repeat(4100)
  await workspace.client('signed', { authorization_signed_response_alg: 'EdDSA' })
  const asked = new URLSearchParams({ ...jarm, client_id: 'signed', state: long })
  assert.equal((await ask(`${workspace.issuer}/authorize?${asked}`)).status, 413)
  const half = await signIn(kms.lido, workspace, email, { client_id: 'EdDSA', nonce: long })
  const { status, body } = await redeem(workspace.issuer, half, { client_id: 'EdDSA' })
  assert.deepEqual([status, body.type], [413, 'urn:lido:problem:too_large'])
})

const jarm = {
  redirect_uri: callback,
  response_type: 'code',
  response_mode: 'jwt',
  scope: 'openid',
  prompt: 'none',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_challenge_method: 'S256',
}

test('one code and one refresh token, twenty times at once, are used once', async () => {
  const half = await signIn(kms.lido, workspace, email)
  const redeemed = await Promise.all(Array.from({ length: 20 }, () => redeem(workspace.issuer, half)))
  assert.deepEqual(redeemed.map(({ status }) => status).sort(), [200, ...Array(19).fill(400)])
  const { refresh: token } = await tokensOf(kms.lido, workspace, email)
  const refreshed = await Promise.all(Array.from({ length: 20 }, () => refresh(workspace.issuer, token)))
  // Within the grace all of them are told the one successor.
  const successors = refreshed.flatMap(({ status, body }) => (status === 200 ? [body.refresh_token] : []))
  assert.equal(new Set(successors).size, 1)
})

test('a key signs as long as it stands first in the list, and what it signed is good as long as it stands there', async () => {
  const [old, next] = [kms.double.make('RSA_2048'), kms.double.make('RSA_2048')]
  const turning = await kms.workspace('turning', { 'keys.kms': old })
  await turning.client('spa')
  const signed = async () => (await tokensOf(kms.lido, turning, email)).id
  const first = await signed()
  const [oldKid = ''] = await kidsOf(turning)

  await kms.write('turning', { 'keys.kms': `# signs\n${old}\n\n${next} RS256 # comes\n` })
  const both = await kidsOf(turning)
  assert.deepEqual([both[0], both.length], [oldKid, 2])
  assert.equal(headerOf(await signed()).kid, oldKid)

  await kms.write('turning', { 'keys.kms': `${next}\n${old}` })
  assert.deepEqual(await kidsOf(turning), both.toReversed())
  assert.equal(headerOf(await signed()).kid, both[1])
  await verified(first, 'RS256', 'spa', turning)
  assert.equal((await kms.listed(turning)).map(({ state }) => state).join(), 'signing,published')

  await kms.write('turning', { 'keys.kms': next })
  assert.deepEqual(await kidsOf(turning), [both[1]])
  await assert.rejects(verified(first, 'RS256', 'spa', turning))
})

test('an alias that goes over to a key which was published before changes nothing for clients', async () => {
  const [old, next] = [kms.double.make('RSA_2048'), kms.double.make('RSA_2048')]
  const [current, coming, former] = ['current', 'coming', 'former'].map((name, index) =>
    kms.double.alias(name, index === 1 ? next : old),
  )
  const named = await kms.workspace('named', { 'keys.kms': [current, coming, former].join('\n') })
  const before = await kidsOf(named)
  assert.equal(before.length, 2)
  kms.double.alias('current', next)
  await kms.later()
  assert.deepEqual(await kidsOf(named), before.toReversed())
})

test('a file and a key of AWS KMS stand side by side, for going over from one to the other', async () => {
  const arn = kms.double.make('RSA_2048')
  const mixed = await kms.workspace('mixed', { 'a.pem': kms.pem(), 'b.kms': arn })
  await mixed.client('spa')
  const asked = kms.double.asked('Sign').length
  const first = await tokensOf(kms.lido, mixed, email)
  assert.equal(kms.double.asked('Sign').length, asked)
  await kms.write('mixed', { 'a.kms': arn, 'b.kms': undefined, 'z.pem': kms.pem('a.pem'), 'a.pem': undefined })
  const second = await tokensOf(kms.lido, mixed, email)
  assert.equal(kms.double.asked('Sign').length, asked + 1)
  for (const { id } of [first, second]) await verified(id, 'RS256', 'spa', mixed)
})

test('a list that cannot be used refuses its workspace alone, and says why in the log', async () => {
  const good = kms.double.make('RSA_2048')
  const broken = await kms.workspace('broken', { 'keys.kms': `${good}\n${kms.double.make('ECC_NIST_P384')}` })
  assert.equal((await ask(`${broken.issuer}/jwks`)).status, 503)
  assert.match(
    kms.lido.lines.join('\n'),
    /broken\/keys\.kms: arn:.*: a key of the kind ECC_NIST_P384 does not sign here/,
  )
  assert.equal((await ask(`${workspace.issuer}/jwks`)).status, 200)
  await kms.write('broken', { 'keys.kms': good })
  assert.equal((await ask(`${broken.issuer}/jwks`)).status, 200)
})

test('reads keys line by line, and no line that is something else', () => {
  const id = '1234abcd-12ab-34cd-56ef-1234567890ab'
  assert.deepEqual(readKmsLines(`  ${id}  \r\n# all\nalias/lido/es ES256\nmrk-${'0a'.repeat(16)} # mine`), [
    { keyId: id, alg: undefined },
    { keyId: 'alias/lido/es', alg: 'ES256' },
    { keyId: `mrk-${'0a'.repeat(16)}`, alg: undefined },
  ])
  const arn = `arn:aws-cn:kms:cn-north-1:111122223333:key/${id}`
  assert.deepEqual(readKmsLines(arn), [{ keyId: arn, alg: undefined }])
  for (const wrong of ['', '# nothing', 'hello', `${id} HS256`, `${id} RS256 PS256`, 'arn:aws:s3:::bucket'])
    assert.throws(() => readKmsLines(wrong), wrong)
})
