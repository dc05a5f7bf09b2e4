import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync, scryptSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { hash as argon2Hash } from '@node-rs/argon2'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { readHash } from '../../platform/foreign-hashes.ts'
import { textOfAuth0Hash } from './auth0-hashes.ts'

const password = 'pässwörd'
const salt = Buffer.from([0, 1, 36, 255, 16, 32, 64, 128])
const unpadded = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
const digest = (name: string, ...parts: (Buffer | string)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash(name)).digest()
const text = (value: string, encoding = 'utf8') => ({ value, encoding })

const vectors: [string, object | string][] = [
  ['bcrypt as a text', await bcryptHash(password, 4)],
  ['bcrypt', { algorithm: 'bcrypt', hash: text(await bcryptHash(password, 4)) }],
  ['argon2', { algorithm: 'argon2', hash: text(await argon2Hash(password)) }],
  [
    'PBKDF2 with SHA-512',
    {
      algorithm: 'pbkdf2',
      hash: text(
        `$pbkdf2-sha512$i=1000,l=64$${unpadded(salt)}$${unpadded(pbkdf2Sync(password, salt, 1_000, 64, 'sha512'))}`,
      ),
    },
  ],
  [
    'PBKDF2 with Auth0’s defaults and a prefix to its digest',
    {
      algorithm: 'pbkdf2',
      hash: text(`$pbkdf2-RSA-SHA256$${unpadded(salt)}$${unpadded(pbkdf2Sync(password, salt, 100_000, 64, 'sha256'))}`),
    },
  ],
  [
    'scrypt',
    {
      algorithm: 'scrypt',
      hash: text(scryptSync(password, 'abc123', 32, { N: 4_096 }).toString('hex'), 'hex'),
      salt: { value: 'abc123', encoding: 'utf8' },
      keylen: 32,
      cost: 4_096,
    },
  ],
  [
    'LDAP with SHA-384',
    {
      algorithm: 'ldap',
      hash: text(`{SSHA384}${Buffer.concat([digest('sha384', password, salt), salt]).toString('base64')}`),
    },
  ],
  [
    'MD5 without a salt',
    { algorithm: 'md5', hash: text(digest('md5', password).toString('hex').toUpperCase(), 'hex') },
  ],
  [
    'SHA-256 with a salt in front, a text unless told',
    {
      algorithm: 'sha256',
      hash: text(digest('sha256', 'a$c', password).toString('hex'), 'hex'),
      salt: { value: 'a$c' },
    },
  ],
  [
    'SHA-512 with a binary salt behind, in the base64 of addresses',
    {
      algorithm: 'sha512',
      hash: text(digest('sha512', password, salt).toString('base64url'), 'base64'),
      salt: { value: salt.toString('base64url'), encoding: 'base64', position: 'suffix' },
    },
  ],
  [
    'SHA-1 of a password in UTF-16',
    {
      algorithm: 'sha1',
      hash: text(digest('sha1', salt, Buffer.from(password, 'utf16le')).toString('base64'), 'base64'),
      salt: { value: salt.toString('hex'), encoding: 'hex' },
      password: { encoding: 'ucs2' },
    },
  ],
  [
    'HMAC',
    {
      algorithm: 'hmac',
      hash: {
        ...text(createHmac('sha1', 'shh').update(password).digest('base64'), 'base64'),
        digest: 'sha1',
        key: { value: '736868', encoding: 'hex' },
      },
    },
  ],
]

describe('keeps a hash so that its password, and no other, lets in', () => {
  for (const [name, value] of vectors)
    test(name, async () => {
      const kept = textOfAuth0Hash(value)
      assert.equal(kept.is, 'read', JSON.stringify(kept))
      const reading = readHash(kept.is === 'read' ? kept.hash : '')
      assert.equal(reading.is, 'read')
      if (reading.is !== 'read') return
      assert.equal(await reading.matches(password), true)
      assert.equal(await reading.matches(`${password} `), false)
    })
})

const salted = await bcryptHash('x', 4)

describe('says why there will be no password', () => {
  for (const [name, value, why] of [
    ['MD4', { algorithm: 'md4', hash: text('AbuUujgF0pPPkJPSFRTpmA==', 'base64') }, /algorithm "md4" is not supported/],
    ['a made-up one', { algorithm: 'rot13', hash: text('x') }, /algorithm "rot13" is not supported/],
    [
      'HMAC with Whirlpool',
      { algorithm: 'hmac', hash: { ...text('00'.repeat(64), 'hex'), digest: 'whirlpool', key: { value: 'k' } } },
      /whirlpool are not known/,
    ],
    [
      'HMAC without its key',
      { algorithm: 'hmac', hash: { ...text('00'.repeat(20), 'hex'), digest: 'sha1' } },
      /complete hmac/,
    ],
    [
      'bcrypt with a salt of its own',
      { algorithm: 'bcrypt', hash: text(salted), salt: { value: 'pepper' } },
      /salt beside a bcrypt hash/,
    ],
    [
      'PBKDF2 with MD4',
      { algorithm: 'pbkdf2', hash: text('$pbkdf2-md4$i=100000,l=64$+N375B8q0Fw$fp2R9KAM4hK/votGHC5Fu+jhqbxUD8+N') },
      /not a complete PBKDF2/,
    ],
    [
      'scrypt that costs too much',
      {
        algorithm: 'scrypt',
        hash: text('00'.repeat(32), 'hex'),
        salt: { value: 's' },
        cost: 2 ** 24,
      },
      /costs too much/,
    ],
    ['a short digest', { algorithm: 'sha256', hash: text('00', 'hex') }, /not a complete digest/],
    ['no hash at all', { algorithm: 'argon2' }, /has no value/],
    ['a number', 7, /neither a text nor an object/],
  ] as [string, unknown, RegExp][])
    test(name, () => {
      const kept = textOfAuth0Hash(value)
      assert.equal(kept.is, 'refused')
      assert.match(kept.is === 'refused' ? kept.why : '', why)
      assert.match(kept.is === 'refused' ? kept.why : '', /; the user is imported without a password$/)
    })
})
