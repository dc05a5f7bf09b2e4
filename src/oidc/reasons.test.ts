import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStorable } from '../platform/storable.ts'
import { reasonFrom, valuesIn } from './reasons.ts'

test('a reason holds nothing of what was sent, also where it was sent inside something', () => {
  const details = JSON.stringify([{ type: 'a-secret-type', 'Odd Name!': { deep: 'a-secret-value' }, plain: 1 }])
  const sent = valuesIn(['a-secret', ['a-secret-token'], details, null, 7])
  const text = "a-secret-token of 'a-secret-type' in Odd Name! is a-secret-value; plain words stay"
  assert.equal(reasonFrom(text, sent), "… of '…' in … is …; plain words stay")
})

test('a reason is one short line of characters that can be read and stored', () => {
  const nasty = `one\r\ntwo\0three\ud800four\u2028five\u202esix\u001b[31mseven${'😀'.repeat(400)}`
  const reason = reasonFrom(nasty, []) ?? ''
  assert.match(reason, /^one two three four five six \[31mseven/)
  assert.ok(reason.length <= 300 && isStorable(reason))
  assert.equal(reasonFrom('\r\n \t', []), undefined)
})

test('whoever sends very much, or very deep, is not waited for', () => {
  const deep = JSON.parse(`${'['.repeat(20_000)}"deepest"${']'.repeat(20_000)}`)
  const wide = Array.from({ length: 100_000 }, (_, index) => `value ${index}`)
  const began = performance.now()
  assert.ok(valuesIn([deep, wide, '[[[[', '{"open']).length <= 5_000)
  reasonFrom('x'.repeat(100_000), valuesIn(wide))
  assert.ok(performance.now() - began < 1_000)
})
