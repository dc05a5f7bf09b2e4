import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isCommon } from './common-passwords.ts'

test('knows tens of thousands of passwords, each as it is and in capitals', () => {
  const path = fileURLToPath(import.meta.resolve('@zxcvbn-ts/language-common/src/passwords.json'))
  const list = JSON.parse(readFileSync(path, 'utf8')) as string[]
  const long = list.filter((one) => one.length > 3)
  assert.ok(long.length > 30_000)
  const some = [...long.slice(0, 3_000), ...long.filter((_, at) => at % 100 === 0)]
  assert.deepEqual(
    some.filter((one) => !isCommon(one, 6) || !isCommon(one.toUpperCase(), 6)),
    [],
  )
})

test('takes a common word for one of many where enough stands around it', () => {
  assert.equal(isCommon('dragon-12345', 6), true)
  assert.equal(isCommon('dragon-48291-73', 6), false)
  assert.equal(isCommon('the dragon of lindau', 6), false)
})

test('takes no part of a line for a line', () => {
  assert.equal(isCommon('123456\npassword\nqwerty', 6), false)
  assert.equal(isCommon('assword', 6), isCommon('ASSWORD', 6))
})

test('looks at the longest password in no time', () => {
  const began = performance.now()
  isCommon(`${'1'.repeat(512)}a${'!'.repeat(511)}`, 6)
  isCommon('ab'.repeat(512), 6)
  assert.ok(performance.now() - began < 200)
})
