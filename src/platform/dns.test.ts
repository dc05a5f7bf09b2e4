import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { areServers, openDns } from './dns.ts'
import { type DnsDouble, dnsDouble } from './dns-testing.ts'

let double: DnsDouble
before(async () => {
  double = await dnsDouble()
})
after(() => double.stop())

const ask = (name: string, timeoutMs = 3_000) => openDns({ servers: [double.server], timeoutMs }).texts(name)

test('reads the texts of a name, long ones put together, and follows an alias', async () => {
  const long = 'x'.repeat(600)
  double.zone['a.example'] = ['one', long]
  double.zone['b.example'] = { alias: 'a.example' }
  assert.deepEqual((await ask('a.example')).sort(), ['one', long])
  assert.deepEqual((await ask('b.example')).sort(), ['one', long])
})

test('a name that does not exist has none, and neither has one that is another name for nothing', async () => {
  double.zone['c.example'] = { alias: 'nowhere.example' }
  double.zone['d.example'] = []
  for (const name of ['nowhere.example', 'c.example', 'd.example']) assert.deepEqual(await ask(name), [], name)
})

test('of a thousand texts, and of an endless one, only so much is taken', async () => {
  double.zone['many.example'] = Array.from({ length: 1000 }, (_, index) => `text ${index}`)
  double.zone['long.example'] = ['y'.repeat(20_000)]
  assert.equal((await ask('many.example')).length, 100)
  assert.equal((await ask('long.example'))[0]?.length, 1000)
})

test('a server that fails or hangs is an error, within the time that there is', async () => {
  double.zone['fails.example'] = 'fails'
  double.zone['hangs.example'] = 'hangs'
  await assert.rejects(ask('fails.example'), /did not answer/)
  const began = performance.now()
  await assert.rejects(ask('hangs.example', 500), /did not answer/)
  assert(performance.now() - began < 2_000)
})

test('what is no address of a server is told', () => {
  for (const good of ['127.0.0.1', '127.0.0.1:5353', '[::1]:5353', '::1']) assert(areServers([good]), good)
  for (const bad of ['dns.example', '1.2.3', '127.0.0.1:x']) assert(!areServers([bad]), bad)
})
