import assert from 'node:assert/strict'
import { test } from 'node:test'

const file = new URL('../../views/assets/strength.js', import.meta.url).href
const { strengthOf }: { strengthOf(password: string, least: number, told?: string[]): number } = await import(file)

const cases: [password: string, lowest: number, highest: number][] = [
  ['', 0, 0],
  ['password1234', 0, 0],
  ['P@ssw0rd2024!', 0, 1],
  ['aaaaaaaaaaaaaaaa', 0, 0],
  ['abcabcabcabc', 0, 1],
  ['123456789012', 0, 0],
  ['qwertyuiopas', 0, 1],
  ['Summer2024!!', 0, 1],
  ['ada.example.org', 0, 0],
  ['kX9#vQ2!', 1, 1],
  ['kX9#vQ2!mP4$', 3, 4],
  ['correct horse battery staple', 4, 4],
  ['grüße aus münchen heute', 3, 4],
  ['日本語のパスワードです', 1, 1],
  ['日本語のパスワードです。', 4, 4],
]

for (const [password, lowest, highest] of cases)
  test(`"${password}" is worth ${lowest} to ${highest}`, () => {
    const score = strengthOf(password, 12, ['ada@example.org'])
    assert.ok(score >= lowest && score <= highest, String(score))
  })

test('the longest password holds nobody up, whatever is in it', () => {
  for (const password of ['ab'.repeat(512), 'a'.repeat(1_024), 'İ'.repeat(500), '😀'.repeat(256)]) {
    const began = performance.now()
    strengthOf(password, 12)
    assert.ok(performance.now() - began < 200, password.slice(0, 2))
  }
})
