import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { testSandbox } from './fixtures-testing.ts'
import { strippedRunner } from './stripped.ts'

const until = async (true_: () => boolean) => {
  for (const end = Date.now() + 5_000; !true_(); await sleep(20)) assert.ok(Date.now() < end, 'it never came')
}

test('runs two at a time, lets twenty wait, and sends the rest away', async () => {
  const { f, run } = testSandbox()
  assert.ok((await f('const f = () => 1')).ok)
  const one = (n: number) => run({ key: 'crowd', code: 'const f = (n) => n + 1', call: 'f', input: n })
  const outcomes = await Promise.all(Array.from({ length: 100 }, (_, n) => one(n)))
  const served = outcomes.flatMap((outcome, n) => (outcome.ok ? [[outcome.output, n + 1]] : []))
  assert.equal(served.length, 22)
  for (const [output, wanted] of served) assert.equal(output, wanted)
  assert.equal(outcomes.filter((outcome) => !outcome.ok && outcome.why === 'busy').length, 78)
})

test('lets a crowd of broken scripts keep nobody else waiting', async () => {
  const { f } = testSandbox()
  assert.ok((await f('const f = () => 1')).ok)
  let brokenDone = 0
  const broken = Array.from({ length: 22 }, () =>
    f('const f = () => { for (;;); }', { key: 'broken' }).then(() => {
      brokenDone += 1
    }),
  )
  const good = await f('const f = () => "good"', { key: 'good' })
  assert.ok(good.ok, JSON.stringify(good))
  assert.ok(brokenDone < 6, `${brokenDone} came first`)
  await Promise.all(broken)
})

test('lets a crowd of scripts of one workspace keep those of another neither waiting nor out', async () => {
  const { f } = testSandbox()
  assert.ok((await f('const f = () => 1')).ok)
  let brokenDone = 0
  const broken = Array.from({ length: 40 }, (_, n) =>
    f('const f = () => { for (;;); }', { key: `script ${n}`, turnsOf: 'crowded' }).then(() => {
      brokenDone += 1
    }),
  )
  const sentAway = brokenDone
  const good = await f('const f = () => "good"', { key: 'good', turnsOf: 'calm' })
  assert.ok(good.ok, JSON.stringify(good))
  assert.ok(brokenDone - sentAway < 24, `${brokenDone} came first`)
  await Promise.all(broken)
})

test('stops trying a script that failed five times, for a while, and no other', async () => {
  let now = 0
  const { f } = testSandbox({ now: () => now })
  const loop = () => f('const f = () => { for (;;); }', { key: 'loop' })
  for (let n = 0; n < 5; n += 1) assert.equal((await loop()).ms > 50, true)
  const refused = await loop()
  assert.equal(!refused.ok && refused.why, 'busy')
  assert.ok((await f('const f = () => 1', { key: 'other' })).ok)
  now += 10_001
  assert.ok((await f('const f = () => 1', { key: 'loop' })).ok)
  const again = await loop()
  assert.equal(!again.ok && again.why, 'timeout')
})

test('does not count what a script throws as a failure of its process', async () => {
  const { f } = testSandbox()
  for (let n = 0; n < 7; n += 1) {
    const outcome = await f('const f = () => { throw new Error("no") }', { key: 'thrower' })
    assert.equal(!outcome.ok && outcome.why, 'threw')
  }
})

test('survives that a child is killed while it runs, and while it waits', async () => {
  const { f, children, warm } = testSandbox()
  assert.ok((await f('const f = () => 1')).ok)
  await warm()
  const running = f('const f = () => { for (;;); }')
  await sleep(30)
  for (const child of children) if (child.lives()) process.kill(child.pid ?? 0, 'SIGKILL')
  const outcome = await running
  assert.equal(!outcome.ok && outcome.why, 'crashed')
  await warm()
  for (const child of children) if (child.lives()) process.kill(child.pid ?? 0, 'SIGKILL')
  await Promise.all(children.map(({ gone }) => gone))
  assert.ok((await f('const f = () => 1')).ok)
})

test('ends a child that stands still', async () => {
  const { f, children, warm } = testSandbox()
  assert.ok((await f('const f = () => 1')).ok)
  await warm()
  const running = f('const f = () => { for (;;); }')
  for (const child of children) if (child.lives()) process.kill(child.pid ?? 0, 'SIGSTOP')
  const outcome = await running
  assert.equal(!outcome.ok && outcome.why, 'timeout')
  // A busy machine notices a little later.
  assert.ok(outcome.ms >= 395 && outcome.ms < 900, `took ${outcome.ms} ms`)
})

test('uses each child once, and leaves none behind', async () => {
  const { f, children, close } = testSandbox()
  await f('globalThis.mark = 1; const f = () => 1')
  const second = await f('const f = () => typeof mark')
  assert.deepEqual(second.ok && second.output, 'undefined')
  const running = f('const f = () => { for (;;); }')
  await sleep(20)
  await close()
  await running
  assert.ok(children.length >= 3)
  assert.deepEqual(
    children.filter((child) => child.lives()),
    [],
  )
  const late = await f('const f = () => 1')
  assert.equal(!late.ok && late.why, 'busy')
})

test('makes its runner anew where the folder of temporary files was cleaned', async () => {
  const { f } = testSandbox()
  rmSync(strippedRunner(), { recursive: true })
  assert.ok((await f('const f = () => 1')).ok)
})

test('keeps no child where nobody runs anything', async () => {
  const { f, children } = testSandbox({ idleMs: 300 })
  assert.ok((await f('const f = () => 1')).ok)
  await until(() => children.length >= 3)
  await until(() => children.every((child) => !child.lives()))
  assert.ok((await f('const f = () => 1')).ok)
})

test('says once how scripts are shut in', async () => {
  const { f, lines } = testSandbox()
  await f('const f = () => 1')
  await f('const f = () => 1')
  assert.equal(lines.filter((line) => line.includes('scripts are shut in')).length, 1)
})
