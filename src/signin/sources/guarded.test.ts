import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { poolSource } from '../../directory/pool-source.ts'
import type { Pool } from '../../directory/pools.ts'
import { type Outside, openOutside } from '../../pages/outside-testing.ts'
import { openLog } from '../../platform/log.ts'
import { openMetrics } from '../../platform/metrics.ts'
import { openKeyring } from '../../platform/secrets.ts'
import type { Services } from '../../services.ts'
import { emailOf, sourceTools } from './double-testing.ts'
import { guardedSource } from './guarded.ts'

let outside: Outside
before(async () => {
  outside = await openOutside()
})
afterEach(() => {
  outside.instead = undefined
  outside.latency = 0
  outside.asked.length = 0
})
after(() => outside.close())

let now = Date.parse('2026-05-01T00:00:00Z')
const services = {
  ...sourceTools(undefined, { clock: { now: () => new Date(now) } }),
  metrics: openMetrics(),
  log: openLog({ level: 'error', destination: { write: () => {} } }),
  keyring: openKeyring(['a-secret-that-only-this-test-knows-0123456789']),
} as unknown as Services

let made = 0
const openOne = (more: object = {}) => {
  const settings = { url: outside.url, secret: 'the secret of the source' }
  const source = poolSource.parse({ type: 'http', mode: 'migrate', settings, ...more })
  return guardedSource({ id: `pool-${++made}`, slug: 'guarded', source } as Pool, services)
}
const ada = { identifier: emailOf('ada@example.org'), password: 'any', ip: '192.0.2.1' }

test('rests after five faults in a row, lets one call find out later, and goes on once that is answered', async () => {
  const source = openOne()
  outside.instead = () => ({ status: 500 })
  for (let n = 0; n < 7; n += 1) assert.equal((await source.check(ada)).is, 'unavailable')
  assert.equal(outside.asked.length, 5)
  now += 11_000
  const all = await Promise.all(Array.from({ length: 10 }, () => source.check(ada)))
  assert.deepEqual([...new Set(all.map(({ is }) => is))], ['unavailable'])
  assert.equal(outside.asked.length, 6, 'one finds out')
  outside.instead = undefined
  now += 11_000
  assert.equal((await source.check(ada)).is, 'not_found')
  assert.equal((await source.check(ada)).is, 'not_found')
})

test('faults that are not in a row, and limits of one person, open nothing', async () => {
  const source = openOne()
  for (let n = 0; n < 12; n += 1) {
    outside.instead = n % 4 === 3 ? undefined : () => ({ status: 500 })
    await source.check(ada)
  }
  outside.instead = () => ({ status: 429 })
  for (let n = 0; n < 12; n += 1) assert.equal((await source.check(ada)).is, 'rate_limited')
  assert.equal(outside.asked.length, 24)
})

test('asks once more who somebody is where the first answer was none, and never twice about a password', async () => {
  const source = openOne()
  outside.add({ email: 'ada@example.org' })
  let asked = 0
  outside.instead = () => (++asked === 1 ? { status: 500 } : undefined)
  assert.equal((await source.find(ada)).is, 'ok')
  assert.equal(asked, 2)
  outside.instead = () => ({ status: 500 })
  outside.asked.length = 0
  await source.check(ada)
  assert.equal(outside.asked.length, 1)
})

test('asks with so many at once and no more, and turns away who would wait too long', async () => {
  const source = openOne()
  outside.latency = 200
  const all = await Promise.all(Array.from({ length: 130 }, () => source.check(ada)))
  assert.ok(outside.asked.length === 120)
  const turned = all.filter(({ is }) => is === 'unavailable')
  assert.equal(turned.length, 10)
  assert.equal(all.length - turned.length, 120)
})

test('a source whose settings cannot be read, or that is paused, is told so without a call', async () => {
  assert.equal((await openOne({ settings: {} }).check(ada)).is, 'misconfigured')
  assert.equal((await openOne({ type: 'fax' }).find(ada)).is, 'misconfigured')
  assert.equal((await openOne({ settings: { secret: { sealed: 'x.y' } } }).find(ada)).is, 'misconfigured')
  assert.equal((await openOne({ paused: true }).check(ada)).is, 'unavailable')
  assert.equal(outside.asked.length, 0)
})
