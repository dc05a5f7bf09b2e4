import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaFault } from './profiles.ts'

const withProperty = (name: string, property: unknown) => ({ type: 'object', properties: { [name]: property } })

test('a schema that says what a user has can be used', async () => {
  assert.equal(await schemaFault({}), undefined)
  assert.equal(await schemaFault(withProperty('given_name', { type: 'string', format: 'tel' })), undefined)
})

test('a schema that a form or its check would fail on is refused', async () => {
  assert.match((await schemaFault(withProperty('age', { type: 'bogus' }))) ?? '', /cannot be used/)
  assert.match((await schemaFault(withProperty('age', { $ref: 'https://example.org/age' }))) ?? '', /cannot be used/)
  assert.match((await schemaFault(withProperty('password', { type: 'string' }))) ?? '', /a field "password"/)
})
