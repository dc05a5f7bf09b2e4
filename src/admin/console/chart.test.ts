import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chartOf } from './chart.ts'

test('the highest bar stays below the top line, and each says what it counts', () => {
  const chart = chartOf('Sign-ins', [
    { at: '2026-11-20', count: 7 },
    { at: '2026-11-21', count: 0 },
  ])
  assert.deepEqual(
    chart.lines.map(({ label }) => label),
    ['0', '4', '8'],
  )
  const [first, second] = chart.bars
  assert.ok(first && second)
  assert.ok(first.y > 0 && first.y + first.height === chart.height)
  assert.equal(second.height, 0)
  assert.equal(first.title, '2026-11-20: 7')
  assert.equal(chart.summary, 'Sign-ins: 7 in all, at most 7 on a day')
})

test('nothing at all is drawn flat, and one is drawn whole', () => {
  const flat = chartOf('Failures', [{ at: '2026-11-21', count: 0 }])
  assert.deepEqual(flat.lines, [{ y: flat.height, label: '0' }])
  const one = chartOf('Failures', [{ at: '2026-11-21', count: 1 }])
  assert.equal(one.bars[0]?.height, 112)
  assert.equal(chartOf('Failures', []).bars.length, 0)
})

test('every scale is even, so that its middle is a whole number', () => {
  for (const count of [2, 3, 9, 10, 11, 19, 99, 101, 399, 1234, 98_765]) {
    const { lines } = chartOf('Sign-ins', [{ at: 'today', count }])
    assert.equal(lines.length, 3)
    for (const { label } of lines) assert.match(label, /^\d+$/)
    assert.ok(Number(lines[2]?.label) >= count)
  }
})
