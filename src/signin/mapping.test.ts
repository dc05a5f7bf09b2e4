import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outsideMapping } from '../directory/outside-mapping.ts'
import { poolSettings } from '../directory/pool-settings.ts'
import { mapOutsider, notIgnored } from './mapping.ts'
import type { Outsider } from './outsider.ts'

const settings = poolSettings.parse({
  user_schema: {
    type: 'object',
    properties: { given_name: { type: 'string', maxLength: 5 }, city: { type: 'string' }, age: { type: 'integer' } },
    required: ['age'],
    additionalProperties: false,
  },
  metadata_schema: { type: 'object', properties: { plan: { enum: ['free', 'gold'] } } },
})

const ada: Outsider = {
  externalId: 'there|1',
  identifiers: [],
  claims: { address: { city: 'London' }, 'https://x.example/plan': 'gold', teams: ['a', 'b', 7], 'custom:age': 'old' },
  profile: { given_name: 'Ada', family_name: 'Lovelace' },
  roles: ['editor', 'internal-a'],
  groups: ['crew', '/known'],
  tenant: 'acme',
}

test('standard claims come where the schema knows them, others by their way; what the schema requires is not asked for', async () => {
  const mapping = outsideMapping.parse({
    profile: { city: 'address.city' },
    metadata: { plan: 'https://x.example/plan' },
    roles: { ignore: ['internal-*'] },
    groups: { names: { crew: 'staff/crew' } },
  })
  assert.deepEqual(await mapOutsider(mapping, ada, settings), {
    profile: { given_name: 'Ada', city: 'London' },
    metadata: { plan: 'gold' },
    roles: ['editor'],
    groups: ['/staff/crew', '/known'],
    tenant: 'acme',
    dropped: 0,
  })
})

test('what fits no schema is left out and counted, and the rest stays', async () => {
  const mapping = outsideMapping.parse({
    profile: { age: 'custom:age', shoe: 'address' },
    metadata: { plan: 'address.city' },
  })
  const long = { ...ada, profile: { given_name: 'Augusta' } }
  const mapped = await mapOutsider(mapping, { ...long, profile: { ...long.profile } }, settings)
  assert.deepEqual([mapped.profile, mapped.metadata, mapped.dropped], [{}, {}, 4])
})

test('names come from where the mapping says, and nothing but texts counts', async () => {
  const mapping = outsideMapping.parse({ roles: { from: 'teams', ignore: ['a'] }, groups: { from: 'nowhere' } })
  const { roles, groups } = await mapOutsider(mapping, ada, settings)
  assert.deepEqual([roles, groups], [['b'], []])
})

test('a pattern stands for itself but for the star, and nobody reaches what every object has', async () => {
  const mapping = outsideMapping.parse({
    profile: { city: 'constructor.name', given_name: '__proto__.x' },
    roles: { ignore: ['e.itor', '*-a'] },
  })
  const { profile, roles } = await mapOutsider(mapping, { ...ada, profile: {} }, settings)
  assert.deepEqual([profile, roles], [{}, ['editor']])
})

test('a pattern of names costs no time, however many stars it has', () => {
  const began = performance.now()
  assert.equal(notIgnored([`${'*a'.repeat(49)}b`])('a'.repeat(500)), true)
  assert.ok(performance.now() - began < 50)
})

test('a star of a pattern stands for anything or nothing, and everything else for itself', () => {
  const ignored = (pattern: string, name: string) => !notIgnored([pattern])(name)
  for (const [pattern, name] of [
    ['*', ''],
    ['a*', 'a'],
    ['a*c', 'abc'],
    ['*b*', 'abc'],
    ['a**c', 'a\nc'],
    ['*ab*ab', 'abab'],
    ['a.c', 'a.c'],
    ['*a*b*c', 'xaybzbc'],
  ] as const)
    assert.ok(ignored(pattern, name), `${pattern} ${name}`)
  for (const [pattern, name] of [
    ['a', 'ab'],
    ['a*a', 'a'],
    ['*ab*ab', 'ab'],
    ['a.c', 'abc'],
    ['*ab*b', 'ab'],
    ['*c', 'cb'],
  ] as const)
    assert.ok(!ignored(pattern, name), `${pattern} ${name}`)
})
