import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from './fixtures-testing.ts'
import { parseJson } from './parse.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const post = async (text: string): Promise<number> => {
  const headers = { Authorization: `Bearer ${await lido.token()}`, 'Content-Type': 'application/json' }
  return (await fetch(`${lido.url}/api/v1/pools`, { method: 'POST', headers, body: text })).status
}
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

test('text that no column takes is refused wherever it stands', async () => {
  for (const odd of ['\\ud800', '\\udfff half', '\\u0000']) {
    assert.equal(await post(`{"slug":"odd","name":"${odd}"}`), 400, odd)
    assert.equal(await post(`{"slug":"odd","name":"Odd","user_schema":{"${odd}":1}}`), 400, odd)
  }
  assert.equal(await post('{"slug":"even","name":"\\ud83d\\ude00"}'), 201)
})

test('what is nested without end is refused before anybody walks it', async () => {
  for (const levels of [101, 2000, 50_000])
    assert.equal(await post(`{"slug":"deep","name":"Deep","metadata_schema":${nested(levels)}}`), 400, String(levels))
  assert.throws(() => parseJson(nested(101)))
  assert.deepEqual(parseJson(nested(2)), { a: { a: 1 } })
})
