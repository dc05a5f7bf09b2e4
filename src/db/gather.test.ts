import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gather } from './gather.ts'

const recorder = (options: { lanes: number; most: number; patience?: number; keys?: (job: string) => string[] }) => {
  const runs: string[][] = []
  const finish: (() => void)[] = []
  const submit = gather<string, string>({
    ...options,
    run: async (jobs) => {
      runs.push(jobs)
      await new Promise<void>((resolve) => finish.push(resolve))
      return jobs.map((job) => job.toUpperCase())
    },
  })
  const settle = async () => {
    await new Promise(setImmediate)
    for (const one of finish.splice(0)) one()
    await new Promise(setImmediate)
  }
  return { runs, submit, settle }
}

test('a lone job runs at once, and what comes meanwhile goes together', async () => {
  const { runs, submit, settle } = recorder({ lanes: 1, most: 10 })
  const first = submit('a')
  await new Promise(setImmediate)
  const others = ['b', 'c', 'd'].map(submit)
  await settle()
  await settle()
  assert.deepEqual(await Promise.all([first, ...others]), ['A', 'B', 'C', 'D'])
  assert.deepEqual(runs, [['a'], ['b', 'c', 'd']])
})

test('jobs that share a key never run together and keep their order', async () => {
  const { runs, submit, settle } = recorder({ lanes: 1, most: 10, keys: (job) => [job[0] ?? ''] })
  const answers = ['x1', 'x2', 'y1', 'x3'].map(submit)
  for (let round = 0; round < 4; round += 1) await settle()
  await Promise.all(answers)
  assert.deepEqual(runs, [['x1', 'y1'], ['x2'], ['x3']])
})

test('a run that fails fails each of its jobs and no other', async () => {
  let fail = true
  const submit = gather<string, string>({
    lanes: 1,
    most: 1,
    run: async ([job = '']) => {
      if (fail) throw new Error('broken')
      return [job]
    },
  })
  await assert.rejects(submit('a'), /broken/)
  fail = false
  assert.equal(await submit('b'), 'b')
})

test('a slow run holds nobody up while there is another lane', async () => {
  const { runs, submit, settle } = recorder({ lanes: 2, most: 10, patience: 20 })
  const slow = submit('a')
  await new Promise(setImmediate)
  const others = ['b', 'c'].map(submit)
  await new Promise(setImmediate)
  assert.deepEqual(runs, [['a']])
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.deepEqual(runs, [['a'], ['b', 'c']])
  await settle()
  assert.deepEqual(await Promise.all([slow, ...others]), ['A', 'B', 'C'])
})

test('whoever waited long behind a run that fails does not wait for another', async () => {
  let fail: (error: Error) => void = () => {}
  const submit = gather<string, string>({
    lanes: 1,
    most: 1,
    run: ([job = '']) => (job === 'first' ? new Promise((_, reject) => (fail = reject)) : Promise.resolve([job])),
  })
  const first = submit('first')
  const early = submit('early')
  const outcomes = Promise.allSettled([first, early])
  await new Promise((resolve) => setTimeout(resolve, 250))
  const late = submit('late')
  await new Promise(setImmediate)
  fail(new Error('away'))
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(await late, 'late')
})
