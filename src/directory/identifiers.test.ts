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
