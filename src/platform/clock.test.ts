import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixedClock, systemClock } from './clock.ts'

test('the system clock tells the time', () => {
  const before = Date.now()
  const now = systemClock.now().getTime()
  assert.ok(now >= before && now <= Date.now())
})

test('a fixed clock stands still until it is advanced', () => {
  const clock = fixedClock(new Date('2026-01-01T00:00:00Z'))
  assert.equal(clock.now().toISOString(), '2026-01-01T00:00:00.000Z')
  clock.advance(1_500)
  assert.equal(clock.now().toISOString(), '2026-01-01T00:00:01.500Z')
})

test('nobody can move a fixed clock through a date it handed out', () => {
  const start = new Date('2026-01-01T00:00:00Z')
  const clock = fixedClock(start)
  start.setFullYear(1999)
  clock.now().setFullYear(1999)
  assert.equal(clock.now().getUTCFullYear(), 2026)
})
