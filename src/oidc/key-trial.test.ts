import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { runHere } from '../commands/run-testing.ts'
import { openFetch } from '../platform/fetch.ts'
import { openKms } from '../platform/kms.ts'
import { type KmsDouble, kmsSecret, openKmsDouble } from '../platform/kms-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { ask, basic, eventually, post } from './fixtures-testing.ts'
import { loadFiles } from './key-files.ts'

let double: KmsDouble
let arn: string
before(async () => {
  double = await openKmsDouble()
  arn = double.make('RSA_2048')
})
after(() => double.close())

/** Environment with one workspace's folder, which is gone when the test is over. */
const envWith = async (t: { after(work: () => Promise<void>): void }, slug: string, files: Record<string, string>) => {
  const folder = await mkdtemp(join(tmpdir(), 'lido-kms-'))
  t.after(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, slug))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, slug, name), text)
  return { KEYS_DIR: folder, KMS_URL: double.address, EGRESS_ALLOW: '127.0.0.1' }
}

const failure = async (env: Record<string, string>): Promise<string> => {
  let lido: TestLido
  try {
    lido = await testLido(env)
  } catch (error) {
    const { name, message } = error as Error
    assert.equal(name, 'ConfigError')
    assert(!message.includes(kmsSecret) && !message.includes('canary'))
    return message
  }
  await lido.stop()
  return assert.fail('it started')
}

const wrongs: [what: string, exception: string, action: 'GetPublicKey' | 'Sign', RegExp][] = [
  ['is disabled', 'DisabledException', 'GetPublicKey', /the key is disabled/],
  ['we may not sign by', 'AccessDeniedException', 'Sign', /may not do kms:Sign with the key/],
  ['will be deleted', 'KMSInvalidStateException', 'Sign', /about to be deleted/],
]
for (const [what, exception, action, told] of wrongs)
  test(`does not start with a key that ${what}, and names it`, async (t) => {
    t.after(() => double.refuse(arn, action, undefined))
    double.refuse(arn, action, exception)
    const message = await failure(await envWith(t, 'shop', { 'keys.kms': arn }))
    assert.match(message, /KEYS_DIR: /)
    assert(message.includes(arn), message)
    assert.match(message, told)
  })

test('does not start with a key of the wrong kind, an unknown one, or a line that is none', async (t) => {
  const lists: [string, RegExp][] = [
    [`${arn} ES256`, /keys\.kms: arn:.*: a key of the kind RSA_2048 does not sign by ES256/],
    [`${arn}\n${double.make('ECC_NIST_P384')}`, /the kind ECC_NIST_P384 does not sign here/],
    ['alias/nobody', /alias\/nobody: there is no such key or alias/],
    [`${arn}\n# so\nhello there`, /keys\.kms is no key that can sign here: line 3 is not the ARN/],
    [double.make('ECC_NIST_P256'), /shop has no RS256 key/],
  ]
  for (const [list, told] of lists) assert.match(await failure(await envWith(t, 'shop', { 'keys.kms': list })), told)
})

test('a private key in a list of keys that AWS KMS keeps is not said again', async (t) => {
  const secret = JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))
  const told = await failure(await envWith(t, 'shop', { 'a.kms': secret }))
  assert.match(told, /line 1 is not the ARN/)
  assert(!told.includes('"d"'), told)
})

test('of a file that can not be read nothing is said but its name', async (t) => {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const { KEYS_DIR: keysDir } = await envWith(t, 'shop', {
    'a.jwk': JSON.stringify(jwk).replace(`${jwk.d}"`, String(jwk.d)),
  })
  const kms = openKms({ fetch: openFetch({ allow: [] }), now: () => new Date() })
  const error: Error & { cause?: unknown } = await loadFiles({ keysDir, kms }, 'shop', new Date()).then(
    () => assert.fail('it was read'),
    (thrown) => thrown,
  )
  assert.match(error.message, /shop\/a\.jwk is no key that can sign here$/)
  assert.equal((error.cause as Error).message, 'It is no JSON')
})

test('starts while AWS KMS is away, says so, and signs when it is back', async (t) => {
  t.after(async () => double.behave(undefined))
  const bootstrap = { BOOTSTRAP_CLIENT_ID: 'machine', BOOTSTRAP_CLIENT_SECRET: 'a-secret-of-the-machine-0123456789' }
  const env = await envWith(t, 'admin', { 'keys.kms': arn })
  double.behave('gone')
  const lido = await testLido({ ...env, ...bootstrap })
  t.after(() => lido.stop())
  assert.match(lido.lines.join('\n'), /AWS KMS did not answer GetPublicKey.*AWS KMS does not sign for a workspace/)
  const ready = await ask(`${lido.url}/readyz`)
  assert.deepEqual([ready.status, ready.text.slice(0, 26)], [200, 'ready, but AWS KMS failed '])
  assert.equal((await ask(`${lido.url}/w/admin/jwks`)).status, 503)
  assert.equal((await ask(`${lido.url}/w/demo/jwks`)).status, 200)
  double.behave(undefined)
  await eventually(5_000, async () => assert.equal((await ask(`${lido.url}/w/admin/jwks`)).status, 200))
  const api = `${lido.url}/api/v1`
  const wanted = { grant_type: 'client_credentials', scope: 'admin', resource: api }
  const headers = basic(bootstrap.BOOTSTRAP_CLIENT_ID, bootstrap.BOOTSTRAP_CLIENT_SECRET)
  const { body } = await post(`${lido.url}/w/admin/token`, wanted, headers)
  const bearer = { headers: { Authorization: `Bearer ${body.access_token}` } }
  const { status, body: told } = await ask(`${api}/workspaces/admin/keys`, bearer)
  assert.equal(status, 200)
  assert.deepEqual(
    (told.items as { alg: string; state: string }[]).map(({ alg, state }) => [alg, state]),
    [['RS256', 'signing']],
  )
  const rotated = await ask(`${api}/workspaces/admin/keys/rotate`, { method: 'POST', ...bearer })
  assert.equal(rotated.status, 409)
})

test('doctor lets the keys sign, and says which one does not', async (t) => {
  const lido = await testLido()
  t.after(() => lido.stop())
  t.after(async () => {
    double.refuse(arn, 'Sign', undefined)
    double.behave(undefined)
  })
  const { databaseUrl = '', secrets } = lido.services.config
  const stored = { NODE_ENV: 'test', DATABASE_URL: databaseUrl, SECRETS: secrets.join(',') }
  const env = { ...stored, ...(await envWith(t, 'shop', { 'keys.kms': arn })) }
  const well = await runHere(env, ['doctor'])
  assert.match(well.out, /^ok +keys +1 keys of shop in KEYS_DIR sign, with AWS KMS$/m)
  double.refuse(arn, 'Sign', 'AccessDeniedException')
  const denied = await runHere(env, ['doctor'])
  assert.equal(denied.code, 1)
  assert.match(denied.out, /^fail +keys +shop: arn:\S+: our AWS identity may not do kms:Sign/m)
  double.behave('gone')
  const away = await runHere(env, ['doctor'])
  assert.match(away.out, /^fail +keys +shop: .*AWS KMS did not answer GetPublicKey/m)
  for (const { out } of [well, denied, away]) assert.doesNotMatch(out, /canary|AKIA/)
})

test('loads nothing of AWS before a key asks for it', async () => {
  const script = `
    await import('./src/start.ts')
    const { openKms } = await import('./src/platform/kms.ts')
    openKms({ fetch, now: () => new Date() })
    const { createRequire } = await import('node:module')
    console.log(Object.keys(createRequire(import.meta.url).cache).filter((file) => /@aws-sdk|@smithy/.test(file)).length)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  assert.equal(stdout.trim(), '0')
})
