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

const person = (name: string, ip: string) => ({ identifier: emailOf(`${name}@example.org`), password: 'any', ip })
const failsFor = (names: readonly string[]) => {
  outside.instead = ({ identifier }) =>
    names.some((name) => identifier.startsWith(name)) ? { status: 500 } : undefined
}

test('one identifier that the source cannot answer for rests alone, wherever it is asked about from', async () => {
  const source = openOne()
  failsFor(['poison'])
  for (let n = 0; n < 30; n += 1) assert.equal((await source.check(person('poison', `192.0.${n}.1`))).is, 'unavailable')
  assert.equal(outside.asked.length, 5, 'nobody goes on asking about it')
  assert.equal((await source.check(person('bob', '192.0.2.1'))).is, 'not_found')
  assert.equal((await source.check(person('eve', '198.51.100.1'))).is, 'not_found')
})

test('one sender with ever new identifiers that fail rests alone, and nobody else does', async () => {
  const source = openOne()
  failsFor(['poison'])
  for (let n = 0; n < 30; n += 1)
    assert.equal((await source.check(person(`poison${n}`, '192.0.2.66'))).is, 'unavailable')
  assert.equal(outside.asked.length, 5)
  assert.equal((await source.find(person('bob', '192.0.2.67'))).is, 'not_found')
  assert.equal((await source.check(person('eve', '198.51.100.1'))).is, 'not_found')
})

test('a person who cannot be answered for keeps nobody of the same office out', async () => {
  const source = openOne()
  failsFor(['poison'])
  for (let n = 0; n < 9; n += 1) await source.check(person('poison', '192.0.2.66'))
  assert.equal((await source.check(person('bob', '192.0.2.66'))).is, 'not_found')
})

test('a source that is away for people from everywhere rests at once, for everybody', async () => {
  const source = openOne()
  outside.instead = () => ({ status: 500 })
  for (let n = 0; n < 5; n += 1) await source.check(person(`p${n}`, `192.0.${n}.1`))
  assert.equal((await source.check(person('bob', '198.51.100.1'))).is, 'unavailable')
  assert.equal(outside.asked.length, 5)
})

test('nobody alone keeps a source resting that answers others again', async () => {
  const source = openOne()
  outside.instead = () => ({ status: 500 })
  for (let n = 0; n < 5; n += 1) await source.check(person(`p${n}`, `192.0.${n}.1`))
  failsFor(['poison'])
  for (let n = 0; n < 3; n += 1) {
    now += 11_000
    assert.equal((await source.check(person(`poison${n}`, '192.0.2.66'))).is, 'unavailable')
    assert.equal((await source.check(person(`poison${n}`, '192.0.2.66'))).is, 'unavailable')
  }
  assert.equal((await source.check(person('bob', '198.51.100.1'))).is, 'not_found')
  assert.equal((await source.check(person('eve', '198.51.101.1'))).is, 'not_found')
})

test('a source that is still away rests again when two have found out', async () => {
  const source = openOne()
  outside.instead = () => ({ status: 500 })
  for (let n = 0; n < 5; n += 1) await source.check(person(`p${n}`, `192.0.${n}.1`))
  now += 11_000
  for (let n = 0; n < 6; n += 1) await source.check(person(`q${n}`, `192.0.${n}.1`))
  assert.equal(outside.asked.length, 7)
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

test('an answer that is nested without end is somebody, and breaks nothing', async () => {
  const source = openOne()
  const endless = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
  const body = `{"id":"1","email":"ada@example.org","metadata":{"few":1,"endless":${endless}}}`
  outside.instead = () => ({ status: 200, body })
  for (const call of ['find', 'check'] as const) assert.equal((await source[call](ada)).is, 'ok')
})

test('a source whose settings cannot be read, or that is paused, is told so without a call', async () => {
  assert.equal((await openOne({ settings: {} }).check(ada)).is, 'misconfigured')
  assert.equal((await openOne({ type: 'fax' }).find(ada)).is, 'misconfigured')
  assert.equal((await openOne({ settings: { secret: { sealed: 'x.y' } } }).find(ada)).is, 'misconfigured')
  assert.equal((await openOne({ paused: true }).check(ada)).is, 'unavailable')
  assert.equal(outside.asked.length, 0)
})
