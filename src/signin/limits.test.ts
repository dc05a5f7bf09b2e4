import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressKey } from './limits.ts'

test('an IPv6 client is counted by its /64, an IPv4 one by its address', () => {
  assert.equal(addressKey('192.0.2.7'), '192.0.2.7')
  assert.equal(addressKey('::ffff:192.0.2.7'), '192.0.2.7')
  assert.equal(addressKey('2001:db8:1:2:aaaa::1'), addressKey('2001:db8:1:2:ffff:1:2:3'))
  assert.notEqual(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'))
  assert.equal(addressKey('2001:db8::1'), addressKey('2001:0db8:0:0:ffff::9'))
})
