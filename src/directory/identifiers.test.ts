import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readIdentifier } from './identifiers.ts'

const value = (typed: string, kinds: Parameters<typeof readIdentifier>[1] = ['email']) =>
  readIdentifier(typed, kinds)?.value

test('one address is one identifier however it is written', () => {
  for (const typed of ['ada@example.org', ' Ada@Example.ORG ', 'ＡＤＡ@example.org'])
    assert.equal(value(typed), 'ada@example.org')
  assert.equal(value('ada@bücher.example'), 'ada@xn--bcher-kva.example')
})

test('addresses that only look alike stay different', () => {
  assert.notEqual(value('аda@example.org'), value('ada@example.org'))
  assert.notEqual(value('ada@example.org'), value('ada+x@example.org'))
  assert.notEqual(value('ada@exаmple.org'), value('ada@example.org'))
})

test('what is no address is refused', () => {
  const wrong = [
    '',
    'ada',
    '@example.org',
    'ada@',
    'ada@localhost',
    'a b@example.org',
    'ada@example.org\r\nBcc: eve@example.org',
  ]
  for (const typed of [...wrong, `${'a'.repeat(65)}@example.org`, 'ada@exam\u202eple.org', 'a\u200bda@example.org']) {
    assert.equal(value(typed), undefined, typed)
  }
})

test('a pool reads only the kinds that it knows', () => {
  assert.equal(value('+41 79 123 45 67', ['mobile']), '+41791234567')
  assert.equal(value('+41 79 123 45 67', ['email']), undefined)
  assert.equal(value('Ada.L', ['email', 'username']), 'ada.l')
  assert.equal(value('0791234567', ['mobile']), undefined)
})

test('one mobile number is one identifier however it is written', () => {
  const written = ['+41791234567', '0041 79 123 45 67', '079 123 45 67', '(079) 123-45-67', '+41 (0)79 123 45 67']
  const scripts = ['+４１ ７９ １２３ ４５ ６７', '＋41791234567', '٠٧٩١٢٣٤٥٦٧', '079/123.45.67', '079–123–45–67']
  for (const typed of [...written, ...scripts])
    assert.equal(readIdentifier(typed, ['email', 'mobile'], 'CH')?.value, '+41791234567', typed)
  assert.equal(readIdentifier('011 41 79 123 45 67', ['mobile'], 'US')?.value, '+41791234567')
})

test('a number without its country is one of the country that is set, and of none without', () => {
  assert.equal(readIdentifier('0170 1234567', ['mobile'], 'DE')?.value, '+491701234567')
  assert.equal(readIdentifier('202 555 0123', ['mobile'], 'US')?.value, '+12025550123')
  assert.equal(readIdentifier('0170 1234567', ['mobile'], null), undefined)
})

test('what is no mobile number is refused', () => {
  const wrong = ['', '+', '+41', '+41 44 123 45 67', '+1 555 555 0100', '+999 123 456 789', '+41791234567890123']
  const odd = [
    '+41 79 123 45 67 ext. 5',
    '+41 79 123 45 67;ext=5',
    '1-800-FLOWERS',
    'tel:+41791234567',
    '+41 79 l23 45 67',
  ]
  const hidden = [
    '+41791234567\u202e',
    '+4179\u200b1234567',
    '+41791234567\r\n+41791234568',
    '+41791234567, +41791234568',
  ]
  for (const typed of [...wrong, ...odd, ...hidden])
    assert.equal(readIdentifier(typed, ['mobile'], 'CH'), undefined, JSON.stringify(typed))
})
