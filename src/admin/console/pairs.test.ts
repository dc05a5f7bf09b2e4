import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pairingOf } from './pairs.ts'

const texts = pairingOf({ type: 'object', additionalProperties: { type: 'string' } })
const words = pairingOf({ type: 'object', additionalProperties: { type: 'array', items: { type: 'string' } } })
const text = { type: 'string' }
const links = pairingOf({ type: 'array', items: { type: 'object', properties: { label: text, href: text } } })

test('what has two sides comes back as it was written', () => {
  const mapping = { department: 'metadata.department', 'https://a.example/?x=1': 'name' }
  assert.deepEqual(texts?.read(texts.write(mapping)), { value: mapping })
  const scopes = { 'https://api.example/?a=b': ['read', 'write'], 'https://b.example': [] }
  assert.deepEqual(words?.read(words.write(scopes)), { value: scopes })
  const footer = [
    { label: 'Terms', href: 'https://a.example/?x=1' },
    { label: 'Privacy, please', href: 'https://a.example' },
  ]
  assert.deepEqual(links?.read(links.write(footer)), { value: footer })
})

test('spaces around the sign may be left out where it stands but once', () => {
  assert.deepEqual(texts?.read('a=b\n\n  c = d  '), { value: { a: 'b', c: 'd' } })
})

test('a line without two sides is named', () => {
  assert.deepEqual(texts?.read('a = b\nnothing'), { fault: 'Write line 2 as "name = value"' })
})

test('a name that objects have of themselves is a name like any other', () => {
  const told = texts?.read('__proto__ = x')
  assert.ok(told && 'value' in told)
  assert.deepEqual(Object.keys(told.value as object), ['__proto__'])
})

test('what has no two sides is no pairing', () => {
  for (const schema of [
    { type: 'object', additionalProperties: {} },
    { type: 'object', properties: { a: text } },
    { type: 'array', items: text },
    { type: 'string' },
  ])
    assert.equal(pairingOf(schema), undefined)
})
