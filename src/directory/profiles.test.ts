import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf, readProfile, schemaFault } from './profiles.ts'

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

test('an address that would run something where it is shown is none', async () => {
  for (const format of ['uri', 'uri-reference', 'url']) {
    const faults = (value: string) => faultsOf(withProperty('site', { type: 'string', format }), { site: value })
    for (const value of ['https://example.org/a?b#c', 'http://example.org'])
      assert.deepEqual(await faults(value), [], `${format} ${value}`)
    for (const value of [
      'javascript:alert(1)',
      'JaVaScRiPt://x/%0aalert(1)',
      'data:text/html,x',
      'vbscript:x',
      'file:///etc',
    ])
      assert.equal((await faults(value))[0]?.limit, format, `${format} ${value}`)
    for (const value of [
      'java\tscript:alert(1)',
      ' javascript:alert(1)',
      '\u0001javascript:alert(1)',
      'java\nscript:x',
    ])
      assert.equal((await faults(value))[0]?.limit, format, `${format} ${JSON.stringify(value)}`)
  }
  const reference = withProperty('site', { type: 'string', format: 'uri-reference' })
  for (const site of ['/path?at=10:30', '#a:b', 'page.html']) assert.deepEqual(await faultsOf(reference, { site }), [])
})

test('what is for operators to set is neither read from a form nor missed in it', async () => {
  const properties = { badge: { type: 'string', readOnly: true }, staff: { type: 'boolean', readOnly: true }, name: {} }
  const schema = { type: 'object', properties, required: ['badge', 'staff', 'name'] }
  const named = { ...schema, properties: { ...properties, name: { type: 'string' } } }
  const read = await readProfile(named, { badge: 'B-1', staff: 'on', name: 'Ada' })
  assert.deepEqual(read, { profile: { name: 'Ada' }, faults: [] })
  const missed = await readProfile(named, { badge: 'B-1' })
  assert.deepEqual(
    missed.faults.map(({ property, keyword }) => [property, keyword]),
    [['name', 'required']],
  )
  assert.equal((await faultsOf(named, { name: 'Ada' })).length, 2, 'an operator has to set them')
})
