import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RawRow } from '../import-rows.ts'
import { auth0 } from './auth0.ts'
import { cognito } from './cognito.ts'
import { keycloak } from './keycloak.ts'
import { placed } from './placing.ts'
import type { Preset } from './preset.ts'

const user_schema = {
  type: 'object',
  properties: { given_name: { type: 'string' }, family_name: { type: 'string' }, birthdate: { type: 'string' } },
}
const metadata_schema = { type: 'object', properties: { plan: { type: 'string' }, seats: { type: 'integer' } } }
const everyone = { identifiers: ['email', 'mobile', 'username'], user_schema, metadata_schema } as const

interface Placed {
  values?: Record<string, unknown>
  leftOut?: string[]
  warnings?: string[]
  why?: string
}

const place = async (
  preset: Preset,
  record: Record<string, unknown>,
  { mapping = {}, settings = {} }: { mapping?: Record<string, string | null>; settings?: object } = {},
): Promise<Placed> => {
  const rows = async function* (): AsyncIterable<RawRow> {
    yield { is: 'row', values: record }
  }
  const wanted = { preset, mapping, settings: { ...everyone, identifiers: [...everyone.identifiers], ...settings } }
  for await (const row of placed(rows(), wanted)) return row.is === 'row' ? row : { why: row.why }
  throw new Error('There is no row.')
}

describe('Auth0', () => {
  test('knows who it is, and puts metadata where the schemas have its names', async () => {
    const row = await place(auth0, {
      user_id: 'auth0|1',
      email: 'ada@example.org',
      email_verified: true,
      phone_number: '+41791234567',
      phone_verified: true,
      username: 'ada',
      given_name: 'Ada',
      blocked: true,
      user_metadata: { plan: 'free', theme: 'dark' },
      app_metadata: { plan: 'gold', seats: 3 },
      identities: [{ provider: 'auth0', user_id: '1' }],
      created_at: '2024-01-01T00:00:00.000Z',
      last_ip: null,
    })
    assert.deepEqual(row.values, {
      external_id: 'auth0|1',
      email: 'ada@example.org',
      email_verified: true,
      mobile: '+41791234567',
      mobile_verified: true,
      username: 'ada',
      'profile.given_name': 'Ada',
      status: 'inactive',
      'metadata.plan': 'free',
      'metadata.seats': 3,
    })
    assert.deepEqual(row.leftOut, ['identities', 'created_at', 'user_metadata.theme', 'app_metadata.plan'])
  })

  test('a mapping is stronger than a name, and null leaves a field out in silence', async () => {
    const row = await place(
      auth0,
      { email: 'a@example.org', nickname: 'Addie', app_metadata: { roles: ['editor'], plan: 'gold' } },
      { mapping: { 'app_metadata.roles': 'roles', nickname: null, 'app_metadata.plan': 'metadata.tariff' } },
    )
    assert.deepEqual(row.values, { email: 'a@example.org', roles: ['editor'], 'metadata.tariff': 'gold' })
    assert.equal(row.leftOut, undefined)
  })

  test('a user of its schema for imports gets the id that Auth0 would give', async () => {
    assert.equal((await place(auth0, { user_id: '42' })).values?.external_id, 'auth0|42')
    assert.equal((await place(auth0, { user_id: 'google-oauth2|42' })).values?.external_id, 'google-oauth2|42')
  })

  test('what a pool does not know people by is a property, or left out', async () => {
    const record = { email: 'a@example.org', username: 'ada', phone_number: '+41791234567', phone_verified: true }
    const properties = { phone_number: { type: 'string' } }
    const settings = { identifiers: ['email'], user_schema: { type: 'object', properties } }
    const row = await place(auth0, record, { settings })
    assert.deepEqual(row.values, { email: 'a@example.org', 'profile.phone_number': '+41791234567' })
    assert.deepEqual(row.leftOut, ['username', 'phone_verified'])
  })

  test('takes away the one quote that its CSV has before every text', () => {
    assert.equal(auth0.csv?.cell("'ada@example.org"), 'ada@example.org')
    assert.equal(auth0.csv?.cell("''=1"), "'=1")
    assert.equal(auth0.csv?.cell('true'), 'true')
  })
})

describe('Amazon Cognito', () => {
  test('reads a row of its CSV, and a user as ListUsers answers them', async () => {
    const expected = {
      external_id: 'd3b07384-d113-4ec6-a1b0-1c2d3e4f5a6b',
      email: 'ada@example.org',
      email_verified: 'TRUE',
      'profile.given_name': 'Ada',
      'profile.birthdate': '1985-02-01',
      'metadata.plan': 'gold',
    }
    const flat = {
      'cognito:username': 'd3b07384-d113-4ec6-a1b0-1c2d3e4f5a6b',
      given_name: 'Ada',
      email: 'ada@example.org',
      email_verified: 'TRUE',
      birthdate: '02/01/1985',
      'custom:plan': 'gold',
      'cognito:mfa_enabled': 'FALSE',
      name: '',
    }
    const { 'cognito:username': Username, 'cognito:mfa_enabled': _, ...attributes } = flat
    const listed = {
      Username,
      Attributes: Object.entries(attributes).map(([Name, Value]) => ({ Name, Value })),
      Enabled: true,
    }
    for (const record of [flat, listed]) {
      const row = await place(cognito, record)
      assert.deepEqual(row.values, expected)
      assert.equal(row.leftOut, undefined)
    }
    const disabled = await place(cognito, { ...listed, Enabled: false, UserStatus: 'CONFIRMED' })
    assert.deepEqual([disabled.values?.status, disabled.leftOut], ['inactive', ['UserStatus']])
  })

  test('a name that people chose is what they go by; an id and an address once more are not', async () => {
    assert.equal((await place(cognito, { 'cognito:username': 'ada' })).values?.username, 'ada')
    const twice = { 'cognito:username': 'Ada@example.org', email: 'ada@example.org' }
    assert.deepEqual((await place(cognito, twice)).values, {
      external_id: 'Ada@example.org',
      email: 'ada@example.org',
    })
  })

  test('whatever its lists hold instead of attributes is no attribute', async () => {
    const row = await place(cognito, { Username: 'x', Attributes: [null, 1, 'a', { Name: 7 }, { Name: 'name' }] })
    assert.deepEqual(row.values, { external_id: 'x', username: 'x' })
  })
})

describe('Keycloak', () => {
  const credentialData = JSON.stringify({
    hashIterations: 27_500,
    algorithm: 'pbkdf2-sha256',
    additionalParameters: {},
  })
  const secretData = JSON.stringify({ value: Buffer.alloc(64, 1).toString('base64'), salt: 'c2FsdHNhbHRzYWx0c2FsdA==' })

  test('reads attributes, groups and a password', async () => {
    const row = await place(keycloak, {
      id: '9f0c6a1e-8f4b-4d8b-b0de-0b6c3a1d2e4f',
      username: 'ada@example.org',
      email: 'ada@example.org',
      emailVerified: true,
      enabled: false,
      totp: false,
      firstName: 'Ada',
      lastName: 'Lovelace',
      attributes: { plan: ['gold'], phoneNumber: ['+41791234567'], phoneNumberVerified: ['true'], tags: ['a', 'b'] },
      groups: ['/staff'],
      realmRoles: ['offline_access'],
      credentials: [{ type: 'otp' }, { type: 'password', credentialData, secretData }],
      requiredActions: [],
    })
    assert.deepEqual(row.values, {
      password_hash: JSON.stringify({ credentialData, secretData }),
      external_id: '9f0c6a1e-8f4b-4d8b-b0de-0b6c3a1d2e4f',
      email: 'ada@example.org',
      email_verified: true,
      status: 'inactive',
      'profile.given_name': 'Ada',
      'profile.family_name': 'Lovelace',
      groups: ['/staff'],
      'metadata.plan': 'gold',
      mobile: '+41791234567',
      mobile_verified: 'true',
    })
    assert.deepEqual(row.leftOut, ['realmRoles', 'attributes.tags', 'credentials.otp'])
  })

  test('reads the hashes of old versions, and takes no password in the clear', async () => {
    const old = { type: 'password', hashedSaltedValue: Buffer.alloc(64).toString('base64'), salt: 'c2FsdA==' }
    const credentials = [{ ...old, algorithm: 'pbkdf2-sha256', hashIterations: 27_500 }]
    assert.match(
      String((await place(keycloak, { username: 'a', credentials })).values?.password_hash),
      /^\$pbkdf2-sha256\$i=27500\$c2FsdA==\$/,
    )
    const clear = await place(keycloak, { username: 'a', credentials: [{ type: 'password', value: 'secret' }] })
    assert.equal(clear.values?.password_hash, undefined)
    assert.deepEqual(clear.warnings, [
      'A password that is not hashed is not taken; the user is imported without a password',
    ])
  })

  test('the service account of a client is nobody', async () => {
    assert.match(
      (await place(keycloak, { username: 's', serviceAccountClientId: 'shop' })).why ?? '',
      /service account/,
    )
  })
})

test('no record, however odd, breaks a preset or names what every object has', async () => {
  const odd: unknown[] = [
    null,
    1,
    '',
    'x',
    true,
    [],
    [[]],
    {},
    { a: null },
    { constructor: 1 },
    { toString: { valueOf: 1 } },
  ]
  const names = [
    ...['user_id', 'email', 'user_metadata', 'app_metadata', 'custom_password_hash', 'password_hash', 'blocked'],
    ...['Username', 'Attributes', 'Enabled', 'cognito:username', 'birthdate', 'constructor', 'hasOwnProperty'],
    ...['id', 'username', 'attributes', 'credentials', 'groups', 'enabled', 'serviceAccountClientId'],
  ]
  for (const preset of [auth0, cognito, keycloak])
    for (const name of names)
      for (const value of odd) {
        const row = await place(preset, { [name]: value, [`${name}.__proto__`]: value })
        for (const column of Object.keys(row.values ?? {})) assert.doesNotMatch(column, /__proto__|constructor/)
      }
  assert.equal(Object.hasOwn(Object.prototype, 'a'), false)
})
