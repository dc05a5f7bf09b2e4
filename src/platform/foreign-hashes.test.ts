import assert from 'node:assert/strict'
import { createHash, pbkdf2Sync, scryptSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { hash as argon2Hash } from '@node-rs/argon2'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { readHash } from './foreign-hashes.ts'
import { openPasswords } from './passwords.ts'

const passwords = openPasswords({})

const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64')
const ldap = (digest: string, password: string, salt: string) =>
  Buffer.concat([createHash(digest).update(password).update(salt).digest(), Buffer.from(salt)]).toString('base64')
const hex = (digest: string, text: string) => createHash(digest).update(text).digest('hex')
const keycloak = (credential: object, secret: object) =>
  JSON.stringify({ type: 'password', credentialData: JSON.stringify(credential), secretData: JSON.stringify(secret) })

const firebase =
  '$firebase-scrypt$rounds=8,mem_cost=14,salt_separator=Bw==,signer_key=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=='
const salt = Buffer.from('0123456789abcdef')
const ofPbkdf2 = (digest: string, text = 'secret') => pbkdf2Sync(text, salt, 1_000, 32, digest).toString('base64')
const argon2Phc = await argon2Hash('secret', { memoryCost: 8_192, timeCost: 3, parallelism: 1, salt })

interface Vector {
  name: string
  format: string
  hash: string
  password: string
}

const vectors: Vector[] = [
  {
    name: 'bcrypt $2a$ (crypt_blowfish)',
    format: 'bcrypt',
    password: 'U*U',
    hash: '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
  },
  {
    name: 'salted digest in pieces, the password in UTF-16',
    format: 'digest-sha256',
    password: 'sécret',
    hash: `$digest$a=sha256,s=suffix,e=utf16le$${salt.toString('base64')}$${createHash('sha256').update(Buffer.from('sécret', 'utf16le')).update(salt).digest('base64')}`,
  },
  {
    name: 'HMAC in pieces (RFC 4231 section 4.3)',
    format: 'hmac-sha256',
    password: 'what do ya want for nothing?',
    hash: `$hmac$a=sha256,s=prefix,e=utf8$${Buffer.from('Jefe').toString('base64')}$$${base64('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')}`,
  },
  {
    name: 'SSHA384',
    format: 'ssha384',
    password: 'secret',
    hash: `{SSHA384}${ldap('sha384', 'secret', 'salt')}`,
  },
  {
    name: 'bcrypt $2b$',
    format: 'bcrypt',
    password: 'secret',
    hash: await bcryptHash('secret', 4),
  },
  {
    name: 'bcrypt $2y$ (PHP)',
    format: 'bcrypt',
    password: 'secret',
    hash: `$2y$${(await bcryptHash('secret', 4)).slice(4)}`,
  },
  {
    name: 'scrypt (RFC 7914 section 12)',
    format: 'scrypt',
    password: 'password',
    hash: `$scrypt$ln=10,r=8,p=16$${Buffer.from('NaCl').toString('base64')}$${base64('fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640')}`,
  },
  {
    name: 'scrypt (Django)',
    format: 'scrypt',
    password: 'secret',
    hash: `scrypt$16384$seasalt$8$1$${scryptSync('secret', 'seasalt', 64, { N: 16_384, r: 8, p: 1 }).toString('base64')}`,
  },
  { name: 'scrypt (Firebase)', format: 'firebase-scrypt', password: 'user1password', hash: firebase },
  {
    name: 'PBKDF2 with SHA-1 (RFC 6070)',
    format: 'pbkdf2-sha1',
    password: 'password',
    hash: `$pbkdf2-sha1$i=4096$${Buffer.from('salt').toString('base64')}$${base64('4b007901b765489abead49d926f721d065a429c1')}`,
  },
  {
    name: 'PBKDF2 with SHA-256 (RFC 7914 section 11)',
    format: 'pbkdf2-sha256',
    password: 'passwd',
    hash: `$pbkdf2-sha256$1$c2FsdA$${base64('55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783')}`,
  },
  {
    name: 'PBKDF2 with SHA-512',
    format: 'pbkdf2-sha512',
    password: 'secret',
    hash: `$pbkdf2-sha512$i=1000$${salt.toString('base64')}$${ofPbkdf2('sha512')}`,
  },
  {
    name: 'PBKDF2 (Django)',
    format: 'pbkdf2-sha256',
    password: 'secret',
    hash: `pbkdf2_sha256$1000$${salt}$${ofPbkdf2('sha256')}`,
  },
  {
    name: 'PBKDF2 (Keycloak)',
    format: 'pbkdf2-sha256',
    password: 'secret',
    hash: keycloak(
      { hashIterations: 1_000, algorithm: 'pbkdf2-sha256' },
      { value: ofPbkdf2('sha256'), salt: salt.toString('base64') },
    ),
  },
  { name: 'argon2 (PHC)', format: 'argon2', password: 'secret', hash: argon2Phc },
  {
    name: 'argon2 (Keycloak)',
    format: 'argon2',
    password: 'secret',
    hash: keycloak(
      {
        hashIterations: 3,
        algorithm: 'argon2',
        additionalParameters: {
          type: ['id'],
          version: ['1.3'],
          memory: ['8192'],
          parallelism: ['1'],
        },
      },
      { value: `${argon2Phc.split('$')[5]}=`, salt: salt.toString('base64') },
    ),
  },
  { name: 'SSHA', format: 'ssha', password: 'secret', hash: `{SSHA}${ldap('sha1', 'secret', 'pepper')}` },
  { name: 'SSHA256', format: 'ssha256', password: 'secret', hash: `{SSHA256}${ldap('sha256', 'secret', 'pepper')}` },
  { name: 'SSHA512', format: 'ssha512', password: 'secret', hash: `{SSHA512}${ldap('sha512', 'secret', 'pepper')}` },
  { name: 'SMD5', format: 'smd5', password: 'secret', hash: `{SMD5}${ldap('md5', 'secret', 'pepper')}` },
  { name: 'SHA (RFC 2307)', format: 'sha', password: 'password', hash: '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=' },
  { name: 'MD5 (RFC 2307)', format: 'md5', password: 'password', hash: '{MD5}X03MO1qnZdYdgyfeuILPmQ==' },
  { name: 'MD5 without salt', format: 'md5', password: 'password', hash: 'md5$$5f4dcc3b5aa765d61d8327deb882cf99' },
  {
    name: 'MD5 with salt (Django)',
    format: 'md5',
    password: 'lètmein',
    hash: 'md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3',
  },
  {
    name: 'SHA-1 with salt before',
    format: 'sha1',
    password: 'secret',
    hash: `sha1$pepper$${hex('sha1', 'peppersecret')}`,
  },
  {
    name: 'SHA-256 with salt after',
    format: 'sha256',
    password: 'secret',
    hash: `sha256_suffix$pepper$${hex('sha256', 'secretpepper')}`,
  },
  {
    name: 'SHA-512 with salt before',
    format: 'sha512',
    password: 'secret',
    hash: `sha512$pepper$${hex('sha512', 'peppersecret')}`,
  },
]

describe('lets in by the right password alone, and asks for a new hash', () => {
  for (const { name, format, hash, password } of vectors)
    test(name, async () => {
      const reading = readHash(hash)
      assert.equal(reading.is === 'read' && reading.format, format, JSON.stringify(reading))
      assert.equal(await passwords.verify(hash, password), true)
      for (const wrong of [`${password}x`, password.slice(1), password.toUpperCase() + password, ''])
        assert.equal(await passwords.verify(hash, wrong), false, wrong)
      assert.equal(passwords.needsRehash(hash), true)
    })
})

test('reads 72 bytes of a password for bcrypt, as bcrypt does, and tells those apart', async () => {
  // From crypt_blowfish.
  const hash = '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui'
  const first = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
  assert.equal(await passwords.verify(hash, `${first}chars after 72 are ignored as usual`), true)
  assert.equal(await passwords.verify(hash, first), true)
  assert.equal(await passwords.verify(hash, first.slice(0, 71)), false)
  const umlauts = 'ü'.repeat(36)
  const made = await bcryptHash(`${umlauts}x`, 4)
  assert.equal(await passwords.verify(made, `${umlauts}y`), true)
  assert.equal(await passwords.verify(made, `${'ü'.repeat(35)}xx`), false)
})

test('takes a letter in the Unicode form that the other system hashed, and in the composed one', async () => {
  const typed = 'cafe\u0301 secret'
  for (const hashed of [typed, typed.normalize('NFC')])
    assert.equal(await passwords.verify(`sha256$$${hex('sha256', hashed)}`, typed), true)
})

test('names a format that it does not know, and nothing of the hash', () => {
  const unknown: Record<string, string> = {
    $6$salt$hashed: 'the format SHA-512-crypt',
    $P$Bsalthashed: 'the format phpass',
    $1$salt$hashed: 'the format MD5-crypt',
    '{CRYPT}hashed': 'the format "{CRYPT}"',
    crypt$salt$hashed: 'the format "crypt"',
    '5f4dcc3b5aa765d61d8327deb882cf99': 'this format, which has no tag,',
    '': 'this format, which has no tag,',
    plain: 'this format, which has no tag,',
  }
  for (const [hash, name] of Object.entries(unknown))
    assert.deepEqual(readHash(hash), { is: 'refused', why: `Password hashes of ${name} are not known here` })
})

test('refuses what is damaged, and what would cost too much to check', async () => {
  const [long, short] = [Buffer.alloc(32, 1).toString('base64'), 'AAAA']
  const wrong = [
    '$2b$10$abcdefghijklmnopqrstuv',
    `$2b$31$${'a'.repeat(53)}`,
    `$2x$05$${'a'.repeat(53)}`,
    `$scrypt$ln=10,r=8,p=1$${long}$${short}`,
    `$scrypt$ln=30,r=8,p=1$${long}$${long}`,
    `$scrypt$ln=14,r=8,p=999$${long}$${long}`,
    `scrypt$1000$salt$8$1$${long}`,
    `$pbkdf2-sha256$i=999999999$${long}$${long}`,
    `$pbkdf2-sha256$i=0$${long}$${long}`,
    `$pbkdf2-sha256$i=1000$${long}$${short}`,
    `$pbkdf2-sha3$i=1000$${long}$${long}`,
    '$argon2id$v=19$m=4194304,t=3,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY',
    '$argon2id$v=19$m=8192',
    '{SSHA}AAAA',
    `{SHA}${long}`,
    'md5$salt$5f4d',
    'sha256$salt$zz',
    firebase.replace('mem_cost=14', 'mem_cost=40'),
    firebase.replace('rounds=8', 'rounds=x'),
    '{"credentialData":"{}"}',
    keycloak({ hashIterations: 1_000, algorithm: 'hmac' }, { value: long, salt: long }),
    keycloak({ hashIterations: 'many', algorithm: 'pbkdf2-sha256' }, { value: long, salt: long }),
    'x'.repeat(3_000),
  ]
  for (const hash of wrong) {
    const reading = readHash(hash)
    assert.equal(reading.is, 'refused', hash)
    assert.ok(reading.is === 'refused' && !reading.why.includes(long), JSON.stringify(reading))
  }
  for (const hash of wrong.filter((one) => !one.startsWith('$argon2')))
    assert.equal(await passwords.verify(hash, 'secret'), false, hash)
})
