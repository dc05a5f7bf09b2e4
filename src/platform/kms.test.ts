import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { fixedClock, systemClock } from './clock.ts'
import { openFetch } from './fetch.ts'
import { isKmsAddress, type Kms, type KmsSigning, openKms } from './kms.ts'
import { type KmsDouble, type KmsFault, kmsSecret, openKmsDouble } from './kms-testing.ts'
import { KmsTrouble } from './kms-trouble.ts'

const opened: KmsDouble[] = []
after(() => Promise.all(opened.map((double) => double.close())))

const openDouble = async (): Promise<KmsDouble> => {
  const double = await openKmsDouble()
  opened.push(double)
  return double
}

const kmsAt = ({ address }: KmsDouble, allow = ['127.0.0.1'], now = systemClock.now): Kms =>
  openKms({ url: address, fetch: openFetch({ allow }), now })

const rs256: KmsSigning = { algorithm: 'RSASSA_PKCS1_V1_5_SHA_256', type: 'DIGEST' }
const message = Buffer.from('what is signed')
const digest = createHash('sha256').update(message).digest()

/** What went wrong, and how it is worded. */
const troubleOf = async (work: Promise<unknown>): Promise<KmsTrouble> => {
  try {
    await work
  } catch (error) {
    assert(error instanceof KmsTrouble, String(error))
    assert.doesNotMatch(error.message, /canary|AKIA/)
    return error
  }
  assert.fail('nothing went wrong')
}

test('finds the public half of a key once, and signs by the other one, which it never sees', async () => {
  const double = await openDouble()
  const kms = kmsAt(double)
  const arn = double.make('RSA_2048')
  const [key] = await Promise.all([kms.find(arn), kms.find(arn)])
  assert.deepEqual([key.arn, key.spec], [arn, 'RSA_2048'])
  const publicKey = createPublicKey({ key: Buffer.from(key.publicDer), format: 'der', type: 'spki' })
  assert(verify('sha256', message, publicKey, await kms.sign(arn, rs256, digest)))
  await kms.find(arn)
  assert.equal(double.asked('GetPublicKey').length, 1)
  assert.equal(kms.failedAt(), undefined)
})

test('asks again what an alias stands for, and remembers it while nobody answers', async () => {
  const double = await openDouble()
  const clock = fixedClock(new Date())
  const kms = kmsAt(double, undefined, clock.now)
  const [one, other] = [double.make('ECC_NIST_P256'), double.make('ECC_NIST_P256')]
  const alias = double.alias('lido', one)
  assert.equal((await kms.find(alias)).arn, one)
  double.alias('lido', other)
  assert.equal((await kms.find(alias)).arn, one)
  double.behave('gone')
  clock.advance(241_000)
  assert.equal((await kms.find(alias)).arn, one)
  double.behave(undefined)
  clock.advance(31_000)
  assert.equal((await kms.find(alias)).arn, other)
})

const faults: [KmsFault, KmsTrouble['is']][] = [
  ['slow', 'unavailable'],
  ['gone', 'unavailable'],
  ['error', 'unavailable'],
  ['html', 'unavailable'],
  ['throttled', 'throttled'],
]

for (const [fault, is] of faults)
  test(`gives up in time on a KMS that is ${fault}, and goes on when it is well again`, async () => {
    const double = await openDouble()
    const kms = kmsAt(double)
    const arn = double.make('RSA_2048')
    await kms.find(arn)
    double.behave(fault)
    const began = performance.now()
    assert.equal((await troubleOf(kms.sign(arn, rs256, digest))).is, is)
    assert(performance.now() - began < 1_500)
    assert(kms.failedAt())
    double.behave(undefined)
    await kms.sign(arn, rs256, digest)
    assert.equal(kms.failedAt(), undefined)
  })

test('leaves a KMS alone for two seconds that failed five times in a row', async () => {
  const double = await openDouble()
  const kms = kmsAt(double)
  const arn = double.make('RSA_2048')
  await kms.find(arn)
  double.behave('gone')
  for (let tries = 0; tries < 5; tries += 1) await troubleOf(kms.sign(arn, rs256, digest))
  const asked = double.asked('Sign').length
  double.behave(undefined)
  assert.match((await troubleOf(kms.sign(arn, rs256, digest))).message, /left alone/)
  assert.equal(double.asked('Sign').length, asked)
  await new Promise((resolve) => setTimeout(resolve, 2_050))
  await kms.sign(arn, rs256, digest)
})

const refusals: [exception: string, RegExp][] = [
  ['DisabledException', /the key is disabled$/],
  ['AccessDeniedException', /may not do kms:Sign with the key/],
  ['KMSInvalidStateException', /about to be deleted/],
  ['InvalidKeyUsageException', /SIGN_VERIFY/],
  ['NotFoundException', /no such key/],
  ['UnrecognizedClientException', /does not take our credentials/],
  ['ExpiredTokenException', /does not take our credentials/],
]

for (const [exception, told] of refusals)
  test(`names the key and what is wrong with it: ${exception}`, async () => {
    const double = await openDouble()
    const kms = kmsAt(double)
    const arn = double.make('RSA_2048')
    double.refuse(arn, 'Sign', exception)
    const { is, message } = await troubleOf(kms.sign(arn, rs256, digest))
    assert.equal(is, 'misconfigured')
    assert(message.startsWith(`${arn}: `), message)
    assert.match(message, told)
  })

test('reaches nothing that EGRESS_ALLOW does not permit', async () => {
  const double = await openDouble()
  const arn = double.make('RSA_2048')
  assert.equal((await troubleOf(kmsAt(double, []).find(arn))).is, 'unavailable')
  assert.equal(double.asked('GetPublicKey').length, 0)
})

test('asks in the region of an ARN, wherever else it asks', async () => {
  const double = await openDouble()
  const elsewhere = double.make('RSA_2048').replace('eu-central-1', 'us-east-1')
  // The double turns away what is signed for another region.
  assert.match((await troubleOf(kmsAt(double).find(elsewhere))).message, /credentials/)
})

test('says who we are by what the machine gives, where no variable does', async () => {
  const double = await openDouble()
  const role = createServer((_request, response) => {
    const Expiration = new Date(Date.now() + 3_600_000).toISOString()
    const told = { AccessKeyId: 'AKIAIOSFODNN7EXAMPLE', SecretAccessKey: kmsSecret, Token: 'session', Expiration }
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(told))
  })
  await new Promise<void>((resolve) => role.listen(0, '127.0.0.1', resolve))
  const { port } = role.address() as AddressInfo
  process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = `http://127.0.0.1:${port}/`
  process.env.AWS_REGION = 'eu-central-1'
  process.env.AWS_ENDPOINT_URL_KMS = decodeURIComponent(double.address.split('api=')[1] ?? '')
  try {
    const kms = openKms({ fetch: openFetch({ allow: ['127.0.0.1'] }), now: systemClock.now })
    const arn = double.make('RSA_2048')
    assert.equal((await kms.find(arn.split('/')[1] ?? '')).arn, arn)
  } finally {
    for (const name of ['AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_REGION', 'AWS_ENDPOINT_URL_KMS'])
      delete process.env[name]
    role.close()
  }
})

test('reads KMS_URL with an access key and without, and nothing half', () => {
  assert(isKmsAddress('kms://eu-central-1'))
  assert(isKmsAddress('kms://key:a%2Fb@us-gov-west-1'))
  for (const wrong of [
    '',
    'eu-central-1',
    'https://eu-central-1',
    'kms://key@eu-central-1',
    'kms://:secret@eu-central-1',
  ])
    assert(!isKmsAddress(wrong), wrong)
  for (const wrong of ['kms://europe', 'kms://key:%zz@eu-central-1', 'kms://eu-central-1?api=x'])
    assert(!isKmsAddress(wrong), wrong)
})
