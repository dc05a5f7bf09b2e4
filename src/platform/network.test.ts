import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from './network.ts'

test('a public address belongs to a /24 of IPv4 or a /48 of IPv6', () => {
  assert.equal(networkOf('198.51.100.77'), '198.51.100.0/24')
  assert.equal(networkOf('::ffff:198.51.100.77'), '198.51.100.0/24')
  assert.equal(networkOf('2001:db8:7:9::1'), '2001:db8:7::/48')
})

test('an address from inside, or none, belongs to no network that says anything', () => {
  for (const ip of [
    '127.0.0.1',
    '10.1.2.3',
    '192.168.1.1',
    '172.16.0.9',
    '169.254.0.1',
    '::1',
    'fe80::1',
    'fd00::1',
    '',
  ])
    assert.equal(networkOf(ip), undefined, ip)
})
