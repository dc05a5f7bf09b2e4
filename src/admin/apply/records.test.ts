import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinds } from './kinds.ts'
import { readRecords } from './records.ts'

const faultsOf = (text: string): string[] =>
  readRecords(text, kinds).faults.map(({ line, detail }) => `${line}: ${detail}`)

test('YAML that says more than JSON does is refused, without a word of it', () => {
  const bombs = ['a: &a [1,1,1,1,1,1,1,1,1,1]']
  for (const name of ['b', 'c', 'd', 'e', 'f']) {
    const last = bombs.at(-1)?.at(0)
    bombs.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${last}`).join(',')}]`)
  }
  for (const [text, told] of [
    ['pools: []\npools: []', /^2: This key is here twice$/],
    ['pools:\n  - !hidden hunter2', /^2: Tags are not read here$/],
    ['pools:\n  - !hidden { slug: hunter2 }', /^2: Tags are not read here$/],
    ['pools: !!binary hunter2', /^1: Tags are not read here$/],
    ['pools: !<tag:hunter2> 5', /^1: Tags are not read here$/],
    ['pools: *hunter2', /^1: This alias stands for nothing before it$/],
    ['pools: &hunter2 [*hunter2]', /^1: An alias cannot stand for what it is in$/],
    ['pools:\n  hunter2: x: y', /^2: This cannot be read as YAML \(block as implicit key\)$/],
    ['%hunter2\n--- {}', /^1: This cannot be read as YAML/],
    ['pools: @hunter2', /^1: This cannot be read as YAML/],
    ['--- {}\n--- { hunter2: 1 }', /^2: A file holds one document$/],
    ['pools: []\n? [hunter2]\n: 1', /^2: A key is plain text$/],
    ['pools: [{ slug: "hunter2\\0" }]', /^1: A NUL is not allowed$/],
    ['pools: [{ slug: a, "hunter2\\0": 1 }]', /^1: A NUL is not allowed$/],
    ['__proto__: { hunter2: 1 }', /^1: This key is not allowed$/],
    ['pools: [{ slug: a, user_schema: { __proto__: 1 } }]', /^1: This key is not allowed$/],
    ['tenants: [{ slug: a, metadata: { hunter2: .inf } }]', /^1: This is no number that can be kept$/],
    ['tenants: [{ slug: a, metadata: { hunter2: 1e999 } }]', /^1: This is no number that can be kept$/],
    [bombs.join('\n'), /^1: The aliases of this file stand for too much$/],
    ['['.repeat(20_000), /^1: This is nested too deeply$/],
    ['', /^1: A file holds lists: pools, /],
    ['hunter2', /^1: A file holds lists/],
    ['pools: hunter2', /^1: "pools" is a list$/],
    ['pools: [hunter2]', /^1: A pool has fields$/],
    ['pools: [{ slug: 5 }]', /^1: "slug" of a pool is text$/],
    ['pools: [{ name: hunter2 }]', /^1: A pool needs "slug"$/],
    ['prune: hunter2', /^1: "prune" says true for a kind/],
    ['prune: { pools: hunter2 }', /^1: This is true or false$/],
  ] as const) {
    const faults = faultsOf(text)
    assert.match(faults[0] ?? '', told, text.slice(0, 100))
    assert.doesNotMatch(faults.join(), /hunter2/)
  }
})

test('an alias stands for a record, and faults behind it are told where it stands', () => {
  const { records, faults } = readRecords('pools:\n  - &one { slug: one, name: "" }\nworkspaces:\n  - *one\n', kinds)
  assert.deepEqual(faults, [])
  const [workspace] = records.get('workspaces') ?? []
  assert.equal(workspace?.key, 'one')
  assert.equal(workspace?.lineOf(''), 4)
})

test('a value is found by its line, and what is not there by the line of what is around it', () => {
  const text = 'clients:\n  - workspace: a\n    client_id: b\n    redirect_uris:\n      - c\n      - d\n'
  const [client] = readRecords(text, kinds).records.get('clients') ?? []
  const lines = ['', '/client_id', '/redirect_uris/1', '/redirect_uris/9', '/grant_types/0'].map((pointer) =>
    client?.lineOf(pointer),
  )
  assert.deepEqual(lines, [2, 3, 6, 4, 2])
})

test('a file reaches the workspaces and pools that it names as the home of something', () => {
  const { reach } = readRecords(
    `pools: [{ slug: a }]
groups: [{ pool: b, path: /G }]
tenants: [{ slug: t }, { slug: t, pool: c }]
workspaces: [{ slug: v }]
connections: [{ workspace: w, pool: d }]
clients: [{ workspace: x, client_id: y }]`,
    kinds,
  )
  assert.deepEqual(
    [[...reach.pools], [...reach.workspaces]],
    [
      ['a', 'c', 'b'],
      ['v', 'w', 'x'],
    ],
  )
})
