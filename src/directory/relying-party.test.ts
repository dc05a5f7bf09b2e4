import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf, type PasskeySettings, partyOf, passkeySettings } from './relying-party.ts'

const live = { publicUrl: 'https://login.example.org', env: 'production' } as const
const local = { publicUrl: 'http://localhost:3000', env: 'development' } as const
const settings = (some: Partial<PasskeySettings> = {}): PasskeySettings => passkeySettings.parse(some)
const pointers = (some: Partial<PasskeySettings>, where: Parameters<typeof faultsOf>[1] = live) =>
  faultsOf(settings(some), where).map(({ pointer }) => pointer)

test('passkeys belong to the host of PUBLIC_URL and are used there, unless told otherwise', () => {
  assert.deepEqual(partyOf(settings(), live), { id: 'login.example.org', origins: ['https://login.example.org'] })
  assert.deepEqual(partyOf(settings(), local), { id: 'localhost', origins: ['http://localhost:3000'] })
})

test('an RP ID may be a domain above, with origins below it and others that it lists', () => {
  const wanted = {
    rp_id: 'example.org',
    origins: ['https://shop.example.org', 'https://example.org'],
    related_origins: ['https://example.com'],
  }
  assert.deepEqual(pointers(wanted), [])
  assert.deepEqual(partyOf(settings(wanted), live), {
    id: 'example.org',
    origins: ['https://login.example.org', 'https://shop.example.org', 'https://example.org', 'https://example.com'],
  })
})

test('an RP ID that does not reach the pages is refused, unless they are among its related origins', () => {
  assert.deepEqual(pointers({ rp_id: 'example.com' }), ['/passkeys/rp_id'])
  assert.deepEqual(pointers({ rp_id: 'ample.org' }), ['/passkeys/rp_id'])
  assert.deepEqual(pointers({ rp_id: 'org' }), ['/passkeys/rp_id'])
  assert.deepEqual(pointers({ rp_id: 'example.com', related_origins: ['https://login.example.org'] }), [])
})

test('an origin elsewhere, and one without https, are refused', () => {
  assert.deepEqual(pointers({ origins: ['https://evil.example'] }), ['/passkeys/origins/0'])
  assert.deepEqual(pointers({ origins: ['https://notlogin.example.org'] }), ['/passkeys/origins/0'])
  assert.deepEqual(pointers({ origins: ['https://a.login.example.org', 'http://b.login.example.org'] }), [
    '/passkeys/origins/1',
  ])
  assert.deepEqual(pointers({ related_origins: ['http://localhost:4000'] }), ['/passkeys/related_origins/0'])
  assert.deepEqual(pointers({ origins: ['http://localhost:4000', 'http://app.localhost'] }, local), [])
})

test('an origin without https that was once set is not one in production', () => {
  const party = partyOf(settings({ related_origins: ['http://localhost:4000'] }), live)
  assert.deepEqual(party?.origins, ['https://login.example.org'])
})

test('no passkey can belong to an address or to a single label', () => {
  for (const publicUrl of ['http://127.0.0.1:3000', 'http://intranet'])
    assert.equal(partyOf(settings(), { publicUrl, env: 'test' }), undefined)
})

test('what is no origin is not read as one', () => {
  for (const odd of ['https://a.example/', 'https://a.example/path', 'https://A.example', '*', 'null', 'a.example'])
    assert.equal(passkeySettings.safeParse({ origins: [odd] }).success, false, odd)
  for (const odd of ['Example.org', 'example.org:443', 'https://example.org', '.example.org', 'example..org', '*'])
    assert.equal(passkeySettings.safeParse({ rp_id: odd }).success, false, odd)
})
