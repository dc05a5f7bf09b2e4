import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBucket } from './bucket.ts'

test('lets a burst through, then so many a second, and never saves up more than a burst', () => {
  const isOpen = openBucket({ rate: 2, burst: 3 })
  const at = (seconds: number) => new Date(1_000_000 + seconds * 1000)
  const through = (seconds: number) => Array.from({ length: 10 }, () => isOpen(at(seconds))).filter(Boolean).length
  assert.equal(through(0), 3)
  assert.equal(through(0), 0)
  assert.equal(through(1), 2)
  assert.equal(through(1.25), 0)
  assert.equal(through(1.5), 1)
  assert.equal(through(3600), 3)
})

test('a clock that is set back gives nothing', () => {
  const isOpen = openBucket({ rate: 1000, burst: 1 })
  assert.equal(isOpen(new Date(10_000)), true)
  assert.equal(isOpen(new Date(0)), false)
})
