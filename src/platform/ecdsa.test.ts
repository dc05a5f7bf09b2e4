import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { rawSignature } from './ecdsa.ts'

test('puts r and s beside each other, whatever zeros they begin with', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // About one in 128 has an r or s of fewer than 32 bytes.
  for (let count = 0; count < 500; count += 1) {
    const message = Buffer.from(`message ${count}`)
    const raw = rawSignature(sign('sha256', message, privateKey), 32)
    assert.equal(raw.length, 64)
    assert(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw))
  }
})

test('takes nothing that is not DER of two integers of that size', () => {
  const right = Buffer.from('3006020101020102', 'hex')
  assert.deepEqual(rawSignature(right, 2), Buffer.from('00010002', 'hex'))
  const wrong = [
    '',
    '30',
    '3006020101020102ff',
    '3005020101020102',
    '310602010102010200',
    '3006030101020102',
    '3006020201020102',
    '3006020100020102',
    '3004020102020102',
    '300402000200',
    '300802030101010201ff',
  ]
  for (const hex of wrong) assert.throws(() => rawSignature(Buffer.from(hex, 'hex'), 2), /No ECDSA signature/, hex)
})
