import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hash as argon2Hash } from '@node-rs/argon2'
import { openPasswords } from './passwords.ts'
import { Problem } from './problem.ts'

const passwords = openPasswords({})

const problem = (code: string) => (error: unknown) => error instanceof Problem && error.code === code

/** The milliseconds that this process computes for something, on all its threads, whatever else the machine does. */
const computing = async (run: () => Promise<unknown>): Promise<number> => {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

test('hashes with argon2id at the strength of the plan, and verifies', async () => {
  const hash = await passwords.hash('correct horse')
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
  assert.equal(await passwords.verify(hash, 'correct horse'), true)
  assert.equal(await passwords.verify(hash, 'correct horsf'), false)
  assert.notEqual(hash, await passwords.hash('correct horse'))
})

test('neither trims, cuts nor changes case', async () => {
  const long = 'p'.repeat(72)
  const hash = await passwords.hash(`${long}A`)
  assert.equal(await passwords.verify(hash, `${long}B`), false)
  const spaced = await passwords.hash(' Space ')
  for (const other of ['Space', ' Space', ' space ', ' Space \0'])
    assert.equal(await passwords.verify(spaced, other), false)
  assert.equal(await passwords.verify(spaced, ' Space '), true)
})

test('takes one letter in either of its Unicode forms', async () => {
  const composed = 'caf\u00e9 \u{1F511}'
  const hash = await passwords.hash(composed)
  assert.equal(await passwords.verify(hash, composed.normalize('NFD')), true)
  const other = await passwords.hash(composed.normalize('NFD'))
  assert.equal(await passwords.verify(other, composed), true)
})

test('accepts 1,024 bytes and refuses more before any hash', async () => {
  assert.equal(await passwords.verify(await passwords.hash('x'.repeat(1_024)), 'x'.repeat(1_024)), true)
  const { hash, verify, state } = openPasswords({ concurrency: 1, queue: 0 })
  for (const long of ['x'.repeat(1_025), 'é'.repeat(513)]) {
    await assert.rejects(hash(long), problem('invalid_request'))
    await assert.rejects(verify(undefined, long), problem('invalid_request'))
  }
  assert.deepEqual(state(), { running: 0, queued: 0 })
})

test('no hash or an unreadable one is false, and costs what a wrong password costs', async () => {
  const hash = await passwords.hash('right')
  const broken = ['', 'plain', '$2b$10$abcdefghijklmnopqrstuv', `${hash}$x`, hash.replace('m=19456', 'm=1')]
  for (const stored of [undefined, ...broken]) assert.equal(await passwords.verify(stored, 'right'), false)
  const fastest = async (stored: string | undefined) => {
    const times: number[] = []
    for (let i = 0; i < 7; i += 1) times.push(await computing(() => passwords.verify(stored, 'wrong')))
    return Math.min(...times)
  }
  const real = await fastest(hash)
  for (const stored of [undefined, 'plain']) {
    const time = await fastest(stored)
    assert.ok(time > real * 0.6 && time < real * 1.7, `${time} ms against ${real} ms`)
  }
})

test('asks for a new hash where the old one is weaker', async () => {
  assert.equal(passwords.needsRehash(await passwords.hash('x')), false)
  assert.equal(passwords.needsRehash(await argon2Hash('x', { memoryCost: 65_536, timeCost: 3 })), false)
  for (const weaker of [{ memoryCost: 8_192 }, { timeCost: 1 }, { algorithm: 1 }, { outputLen: 16 }, { version: 0 }])
    assert.equal(passwords.needsRehash(await argon2Hash('x', weaker)), true, JSON.stringify(weaker))
  assert.equal(passwords.needsRehash('$2b$10$abcdefghijklmnopqrstuv'), true)
})

test('runs so many at once, lets so many wait in their order, and refuses the rest', async () => {
  const { hash, state } = openPasswords({ concurrency: 1, queue: 2 })
  const done: number[] = []
  const jobs = [0, 1, 2].map((job) => hash('x').then(() => done.push(job)))
  assert.deepEqual(state(), { running: 1, queued: 2 })
  await assert.rejects(hash('x'), (error) => problem('unavailable')(error) && (error as Problem).retryAfter === 2)
  await Promise.all(jobs)
  assert.deepEqual(done, [0, 1, 2])
  assert.deepEqual(state(), { running: 0, queued: 0 })
})
