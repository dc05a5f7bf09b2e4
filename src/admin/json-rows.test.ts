import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitList } from './json-rows.ts'

const most = 10_000
const read = async (text: string, size: number): Promise<(string | undefined)[]> => {
  const pieces = async function* () {
    for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
  }
  const found: (string | undefined)[] = []
  for await (const one of splitList(pieces(), most)) found.push(one)
  return found
}

test('finds the same objects however the text is cut', async () => {
  const users = [{ a: '}]{["\\' }, {}, { users: [{ b: 1 }], c: { d: [[]] } }, { e: '\\"' }]
  const expected = users.map((user) => JSON.stringify(user))
  const texts = [
    JSON.stringify(users),
    JSON.stringify({ x: { users: [{ no: 1 }] }, y: 'users', z: [{ no: 2 }], users, w: [{ no: 3 }] }),
    `  {"Users" :\n[ ${expected.join(' ,\n')} ] } \n`,
  ]
  for (const text of texts)
    for (const size of [1, 2, 3, 7, 1_000]) assert.deepEqual(await read(text, size), expected, `${size}: ${text}`)
})

test('passes over an object that is too long, and goes on with the next', async () => {
  const text = JSON.stringify([{ a: 1 }, { long: 'x'.repeat(1_000_000) }, { b: '{' }])
  for (const size of [1_000, 64_000, 2_000_000])
    assert.deepEqual(await read(text, size), ['{"a":1}', undefined, '{"b":"{"}'])
})

test('throws at what is no list', async () => {
  for (const text of ['', ' ', 'x', '"x"', '[1]', '["a"]', '[true]', '[{}', '[{"a":"}]', '[]]', '[{}] [', '[] 1', ']'])
    await assert.rejects(read(text, 2), { code: 'unprocessable' }, text)
})

test('has no more than one object in memory, however long the list', async () => {
  const user = JSON.stringify({ text: 'x'.repeat(5_000) })
  const pieces = async function* () {
    yield '['
    for (let n = 0; n < 40_000; n += 1) yield `${n > 0 ? ',' : ''}${user}`
    yield ']'
  }
  const before = process.memoryUsage().rss
  let count = 0
  let highest = 0
  for await (const one of splitList(pieces(), most)) {
    if (one === user) count += 1
    if (count % 1_000 === 0) highest = Math.max(highest, process.memoryUsage().rss - before)
  }
  assert.equal(count, 40_000)
  assert.ok(highest < 100 * 1024 * 1024, `${Math.round(highest / 1024 / 1024)} MB for a list of 200 MB`)
})
