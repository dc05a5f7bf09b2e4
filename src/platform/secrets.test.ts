import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equal, openKeyring, openUnder, randomDigits, randomToken, sealUnder, sha256, uuidv7 } from './secrets.ts'

const [older, newer] = ['an older secret of thirty-two characters', 'a newer secret of thirty-two characters']

test('a version 7 uuid holds the time, the version and the variant', () => {
  const id = uuidv7(new Date('2026-03-04T05:06:07.089Z'))
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(parseInt(id.replace('-', '').slice(0, 12), 16), Date.parse('2026-03-04T05:06:07.089Z'))
})

test('uuids ascend, also many within one millisecond', () => {
  const now = new Date()
  const ids = Array.from({ length: 10_000 }, () => uuidv7(now))
  assert.deepEqual(ids, ids.toSorted())
  assert.equal(new Set(ids).size, ids.length)
})

test('uuids follow a clock that is set back', () => {
  uuidv7(new Date('2030-01-01T00:00:00Z'))
  const id = uuidv7(new Date('2020-01-01T00:00:00Z'))
  assert.equal(parseInt(id.replace('-', '').slice(0, 12), 16), Date.parse('2020-01-01T00:00:00Z'))
})

test('a token is 256 random bits in base64url', () => {
  assert.match(randomToken(), /^[\w-]{43}$/)
  assert.notEqual(randomToken(), randomToken())
  assert.equal(randomToken(16).length, 22)
})

test('digits come in the length asked for, each about as often', () => {
  assert.match(randomDigits(6), /^\d{6}$/)
  const counts = Map.groupBy(randomDigits(20_000), (digit) => digit)
  assert.equal(counts.size, 10)
  for (const [, { length }] of counts) assert.ok(length > 1_700 && length < 2_300, `${length}`)
})

test('sha256 is the hash everyone knows', () => {
  assert.equal(sha256('abc'), 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0')
})

test('equal compares texts of any lengths', () => {
  assert.equal(equal('same', 'same'), true)
  assert.equal(equal('same', 'sane'), false)
  assert.equal(equal('same', 'same longer'), false)
  assert.equal(equal('', ''), true)
})

test('a keyring opens what it sealed, under its context only', () => {
  const keyring = openKeyring([newer])
  const sealed = keyring.seal('grüße', 'totp:user-1')
  assert.equal(keyring.open(sealed, 'totp:user-1'), 'grüße')
  assert.throws(() => keyring.open(sealed, 'totp:user-2'))
  assert.equal(keyring.open(keyring.seal('', 'c'), 'c'), '')
})

test('two seals of one text differ', () => {
  const keyring = openKeyring([newer])
  assert.notEqual(keyring.seal('text', 'c'), keyring.seal('text', 'c'))
})

test('a sealed text that was changed anywhere does not open', () => {
  const keyring = openKeyring([newer])
  const sealed = keyring.seal('a text', 'c')
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
    assert.throws(() => keyring.open(changed, 'c'), /could not be opened/, `at ${at}`)
  }
  for (const other of ['', '.', sealed.slice(0, -1), `${sealed}A`, `${sealed}=`, sealed.split('.')[1] ?? ''])
    assert.throws(() => keyring.open(other, 'c'), /could not be opened/)
})

test('after a rotation the old seals open, and new ones are under the new secret', () => {
  const before = openKeyring([older])
  const after = openKeyring([newer, older])
  assert.equal(after.open(before.seal('kept', 'c'), 'c'), 'kept')
  assert.throws(() => before.open(after.seal('fresh', 'c'), 'c'))
  assert.throws(() => openKeyring([newer]).open(before.seal('gone', 'c'), 'c'))
})

test('hmacs are separated by purpose and found across a rotation', () => {
  const before = openKeyring([older])
  const after = openKeyring([newer, older])
  assert.notEqual(before.hmac('code', '123456'), before.hmac('link', '123456'))
  assert.notEqual(before.hmac('a', 'b:c'), before.hmac('a:b', 'c'))
  assert.deepEqual(after.hmacs('code', '1'), [after.hmac('code', '1'), before.hmac('code', '1')])
  assert.match(before.hmac('code', '1'), /^[\w-]{43}$/)
})

test('cookies are signed by the newest secret and known by every one', () => {
  const before = openKeyring([older]).cookieSigner()
  const after = openKeyring([newer, older]).cookieSigner()
  assert.equal(after.index('a=b', after.sign('a=b')), 0)
  assert.equal(after.index('a=b', before.sign('a=b')), 1)
  assert.equal(before.index('a=b', after.sign('a=b')), -1)
  assert.equal(after.verify('a=c', after.sign('a=b')), false)
  assert.equal(after.verify('a=b', ''), false)
})

test('a keyring without a secret is refused', () => {
  assert.throws(() => openKeyring([]), /at least one secret/)
})

test('what is sealed under a token opens with that token only', () => {
  const token = randomToken()
  const sealed = sealUnder(token, 'the successor')
  assert.equal(openUnder(token, sealed), 'the successor')
  assert.equal(openUnder(randomToken(), sealed), undefined)
  assert.equal(openUnder(token, `${sealed.slice(0, -2)}AA`), undefined)
  assert.equal(openUnder(token, ''), undefined)
})
