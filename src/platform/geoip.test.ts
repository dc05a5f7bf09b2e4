import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openGeoip } from './geoip.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lido-geoip-'))
})
after(() => rm(folder, { recursive: true }))

const opened = async (text: string) => {
  const path = join(folder, `${Math.random()}.csv`)
  await writeFile(path, text)
  return openGeoip(path)
}

test('finds the range of an address, whichever family and order, and nothing beside it', async () => {
  const geoip = await opened(
    'network,country,latitude,longitude\r\n"203.0.113.0/24",jp,35.69,139.69\n# a remark\n\n192.0.2.0/25,CH,47.37,8.54\n2001:db8::/32,DE\n0.0.0.0/8,FR\n255.255.255.255/32,BR,-23.55,-46.63\n',
  )
  assert.equal(geoip.ranges, 5)
  assert.deepEqual(geoip.find('203.0.113.255'), { country: 'JP', latitude: 35.69, longitude: 139.69 })
  assert.deepEqual(geoip.find('192.0.2.127'), { country: 'CH', latitude: 47.37, longitude: 8.54 })
  assert.deepEqual(geoip.find('::ffff:192.0.2.1'), { country: 'CH', latitude: 47.37, longitude: 8.54 })
  assert.deepEqual(geoip.find('2001:db8:ffff::1'), { country: 'DE' })
  assert.deepEqual(geoip.find('0.1.2.3'), { country: 'FR' })
  assert.deepEqual(geoip.find('255.255.255.255'), { country: 'BR', latitude: -23.55, longitude: -46.63 })
  for (const ip of ['192.0.2.128', '203.0.112.255', '203.0.114.0', '2001:db9::1', '1.0.0.0', 'nobody'])
    assert.equal(geoip.find(ip), undefined, ip)
})

test('names the line that cannot be read, and never its text', async () => {
  for (const line of [
    '192.0.2.0,CH',
    '192.0.2.0/33,CH',
    '192.0.2.0/24,CHE',
    '192.0.2.0/24,CH,91,8',
    '192.0.2.0/24,CH,47',
  ])
    await assert.rejects(opened(`198.51.100.0/24,CH\n${line}\n`), /^Error: line 2 is no network,country/, line)
})

test('refuses ranges that overlap, a file without any, and one that is not there', async () => {
  await assert.rejects(opened('10.0.0.0/8,CH\n10.1.0.0/16,DE\n'), /overlap/)
  await assert.rejects(opened('10.1.0.0/16,DE\n10.1.0.0/16,DE\n'), /overlap/)
  await assert.rejects(opened('# nothing\n'), /no range/)
  await assert.rejects(openGeoip(join(folder, 'none.csv')), /ENOENT/)
})

test('fifty thousand ranges take a few megabytes, garbage and all', async () => {
  const lines = Array.from({ length: 50_000 }, (_, n) => {
    const start = n * 256 + 0x01000000
    return `${start >>> 24}.${(start >>> 16) & 255}.${(start >>> 8) & 255}.0/24,CH,47.37,8.54`
  })
  const text = lines.join('\n')
  const before = process.memoryUsage().arrayBuffers
  const geoip = await opened(text)
  assert.equal(geoip.ranges, 50_000)
  assert.deepEqual(geoip.find('1.0.0.1')?.country, 'CH')
  assert.deepEqual(geoip.find('1.195.79.255')?.country, 'CH')
  assert.equal(geoip.find('1.195.80.0'), undefined)
  const taken = process.memoryUsage().arrayBuffers - before
  assert.ok(taken < 12e6, `${taken}`)
})
