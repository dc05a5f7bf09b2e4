import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hash as argon2Hash } from '@node-rs/argon2'
import type { ExportedUser } from '../exports.ts'
import { poolSettings } from '../pool-settings.ts'
import type { Pool } from '../pools.ts'
import { partsOf } from './hash-parts.ts'
import { emitterNames, emitters } from './index.ts'

const settings = poolSettings.parse({
  identifiers: ['email', 'mobile', 'username'],
  user_schema: {
    type: 'object',
    properties: { given_name: { type: 'string' }, birthdate: { type: 'string' }, team: { type: 'string' } },
  },
  metadata_schema: { type: 'object', properties: { plan: { type: 'string' }, 'much-too-long-for-an-attribute': {} } },
})
const pool = { slug: 'people', settings } as Pool
const passwordHash = await argon2Hash('secret', { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
const at = new Date('2026-01-02T03:04:05.000Z')

const ada = (user: Partial<ExportedUser['user']> = {}, more: Partial<ExportedUser> = {}): ExportedUser => ({
  user: {
    poolId: 'p',
    id: '019caddc-0e40-7b1f-9c3a-5d2e8f6a1b47',
    status: 'active',
    authority: 'local',
    source: null,
    migratedAt: null,
    profile: { given_name: 'Ada', birthdate: '1985-02-01', team: 'a, b' },
    metadata: { plan: 'gold' },
    createdAt: at,
    updatedAt: at,
    lastSignInAt: null,
    externalId: 'auth0|7',
    identifiers: [
      { kind: 'email', value: 'ada@example.org', verified: true },
      { kind: 'email', value: 'ada@home.example', verified: false },
      { kind: 'mobile', value: '+41791234567', verified: true },
    ],
    groups: ['/staff'],
    roles: [],
    tenants: [],
    ...user,
  },
  roles: ['editor', 'acme/boss'],
  passwordHash,
  ...more,
})

const written = async (name: (typeof emitterNames)[number], users: ExportedUser[], withHashes = false) => {
  const pages = async function* () {
    if (users.length > 0) yield users
  }
  let text = ''
  for await (const piece of emitters[name].write(pool, pages(), withHashes)) text += piece
  return text
}

test('Auth0’s list has the names of its schema alone, and everything else within metadata', async () => {
  const [user, ...rest] = JSON.parse(await written('auth0', [ada()]))
  assert.deepEqual(rest, [])
  assert.deepEqual(user, {
    user_id: '7',
    email: 'ada@example.org',
    email_verified: true,
    given_name: 'Ada',
    user_metadata: { birthdate: '1985-02-01', team: 'a, b' },
    app_metadata: {
      phone_number: '+41791234567',
      phone_verified: true,
      other_identifiers: ['ada@home.example'],
      groups: ['/staff'],
      roles: ['editor', 'acme/boss'],
      plan: 'gold',
    },
    custom_password_hash: { algorithm: 'argon2', hash: { value: passwordHash, encoding: 'utf8' } },
  })
  const [odd] = JSON.parse(await written('auth0', [ada({ status: 'inactive', metadata: { blocked: 1, email: 'x' } })]))
  assert.equal(odd.blocked, true)
  assert.deepEqual([odd.app_metadata.own_blocked, odd.app_metadata.email], [1, undefined])
})

test('Keycloak’s users have its credential for argon2, padded as it compares it', async () => {
  const { users } = JSON.parse(await written('keycloak', [ada()]))
  const [{ credentials, ...user }] = users
  assert.deepEqual(user, {
    id: '019caddc-0e40-7b1f-9c3a-5d2e8f6a1b47',
    username: 'ada@example.org',
    email: 'ada@example.org',
    emailVerified: true,
    enabled: true,
    createdTimestamp: at.getTime(),
    firstName: 'Ada',
    attributes: {
      plan: ['gold'],
      birthdate: ['1985-02-01'],
      team: ['a, b'],
      phoneNumber: ['+41791234567'],
      phoneNumberVerified: ['true'],
      otherIdentifiers: ['ada@home.example'],
      tenantRoles: ['acme/boss'],
    },
    groups: ['/staff'],
    realmRoles: ['editor'],
  })
  assert.deepEqual(JSON.parse(credentials[0].credentialData), {
    hashIterations: 2,
    algorithm: 'argon2',
    additionalParameters: {
      hashLength: ['32'],
      memory: ['19456'],
      type: ['id'],
      version: ['1.3'],
      parallelism: ['1'],
    },
  })
  const { value, salt } = JSON.parse(credentials[0].secretData)
  assert.match(value, /^[A-Za-z0-9+/]{43}=$/)
  assert.match(salt, /^[A-Za-z0-9+/]+=*$/)
})

test('Cognito’s CSV has its whole header, a backslash before a comma, and no formulas', async () => {
  const text = await written('cognito', [
    ada({ profile: { given_name: '=HYPERLINK("http://evil")', team: 'a, b\\', birthdate: '1985-02-01' } }),
    ada({ profile: { given_name: 'two\r\nlines', team: '@x' }, externalId: null, identifiers: [] }),
  ])
  const [header, first, second, end] = text.split('\r\n')
  assert.equal(
    header,
    'cognito:username,name,given_name,family_name,middle_name,nickname,preferred_username,profile,picture,website,email,email_verified,gender,birthdate,zoneinfo,locale,phone_number,phone_number_verified,address,updated_at,cognito:mfa_enabled,custom:team,custom:plan',
  )
  assert.equal(
    first,
    `auth0|7,,'=HYPERLINK("http://evil"),,,,,,,,ada@example.org,TRUE,,02/01/1985,,,+41791234567,TRUE,,1767323045,FALSE,a\\, b\\ ,gold`,
  )
  assert.equal(
    second,
    `019caddc-0e40-7b1f-9c3a-5d2e8f6a1b47,,two lines,,,,,,,,,FALSE,,,,,,FALSE,,1767323045,FALSE,'@x,gold`,
  )
  assert.equal(end, '')
})

test('nobody at all is still a whole file', async () => {
  assert.deepEqual(JSON.parse(await written('auth0', [])), [])
  assert.deepEqual(JSON.parse(await written('keycloak', [])), { users: [] })
  assert.equal((await written('cognito', [])).split('\r\n').length, 2)
  assert.deepEqual(Object.keys(emitters).sort(), [...emitterNames].sort())
})

test('a hash that another system cannot take is left out there, with nothing of it', async () => {
  const bcrypt = `$2b$10$${'a'.repeat(53)}`
  const firebase = '$firebase-scrypt$rounds=8,mem_cost=14,salt_separator=Bw==,signer_key=secretkey$c2FsdA==$aGFzaA=='
  const auth0 = await written('auth0', [ada({}, { passwordHash: bcrypt }), ada({}, { passwordHash: firebase })])
  assert.deepEqual(
    JSON.parse(auth0).map((user: Record<string, unknown>) => user.custom_password_hash),
    [{ algorithm: 'bcrypt', hash: { value: bcrypt, encoding: 'utf8' } }, undefined],
  )
  assert.doesNotMatch(await written('keycloak', [ada({}, { passwordHash: bcrypt })]), /credentials|aaaaa/)
  assert.doesNotMatch(auth0, /secretkey/)
  assert.equal(partsOf('nothing'), undefined)
})
