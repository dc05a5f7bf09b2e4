import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openBrowser } from './browser-testing.ts'
import { type TestLido, testLido } from './testing.ts'

const started: TestLido[] = []
after(() => Promise.all(started.map(({ stop }) => stop())))

test('the demo application of each of two servers on one database can be signed in to', async () => {
  const first = await testLido()
  started.push(first)
  const { databaseUrl } = first.services.config
  started.unshift(await testLido({}, { config: (config) => ({ ...config, databaseUrl }) }))
  for (const { url } of started) assert.equal((await openBrowser(url).get('/demo/login')).step, 'identify')
})

test('metrics count the connections of both pools', async () => {
  const [lido] = started
  await openBrowser(lido?.url ?? '').get('/demo/login')
  const text = await (await fetch(`${lido?.url}/metrics`)).text()
  assert.match(text, /lido_database_connections\{state="total"\} ([2-9]|1\d)/)
})
