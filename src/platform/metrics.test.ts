import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { openMetrics } from './metrics.ts'

test('counts requests and their time by method, route and status', async () => {
  const metrics = openMetrics()
  metrics.request('GET', '/w/:workspace/authorize', 303, 0.004)
  metrics.request('GET', '/w/:workspace/authorize', 303, 0.04)
  const text = await metrics.text()
  const labels = 'method="GET",route="/w/:workspace/authorize",status="303"'
  assert.ok(text.includes(`lido_http_requests_total{${labels}} 2`))
  assert.ok(text.includes(`lido_http_request_duration_seconds_bucket{le="0.005",${labels}} 1`))
  assert.ok(text.includes(`lido_http_request_duration_seconds_count{${labels}} 2`))
})

test('counts sign-ins, jobs and statements', async () => {
  const metrics = openMetrics()
  metrics.signIn('wrong', 'password')
  metrics.signIn('wrong', 'password')
  metrics.job('send_message', 'retry')
  metrics.statement()
  const text = await metrics.text()
  assert.ok(text.includes('lido_sign_ins_total{outcome="wrong",method="password"} 2'))
  assert.ok(text.includes('lido_jobs_total{task="send_message",outcome="retry"} 1'))
  assert.match(text, /^lido_sql_statements_total 1$/m)
})

test('asks its sources at each scrape, the latest of a kind', async () => {
  const metrics = openMetrics()
  metrics.observe({ passwords: () => ({ running: 9, queued: 9 }) })
  let queued = 3
  metrics.observe({
    passwords: () => ({ running: 1, queued }),
    pool: () => ({ total: 4, idle: 3, waiting: 0 }),
  })
  assert.ok((await metrics.text()).includes('lido_password_hashes{state="queued"} 3'))
  queued = 5
  const text = await metrics.text()
  assert.ok(text.includes('lido_password_hashes{state="queued"} 5'))
  assert.ok(text.includes('lido_database_connections{state="idle"} 3'))
})

test('measures the event loop and the process', async () => {
  const metrics = openMetrics()
  await new Promise((resolve) => setTimeout(resolve, 100))
  const stop = performance.now() + 100
  while (performance.now() < stop);
  await new Promise((resolve) => setTimeout(resolve, 30))
  const text = await metrics.text()
  const value = (line: string) => Number(text.split(`${line} `)[1]?.split('\n')[0])
  const delay = (quantile: string) => value(`lido_event_loop_delay_seconds{quantile="${quantile}"}`)
  assert.ok(delay('0.5') < delay('0.99'))
  assert.ok(delay('0.99') > 0.05)
  assert.ok(value('lido_memory_bytes{kind="resident"}') > 20_000_000)
  assert.ok(value('lido_cpu_seconds{mode="user"}') > 0)
})

test('strange methods and a flood of routes do not fill the memory', async () => {
  const metrics = openMetrics()
  for (let i = 0; i < 5_000; i += 1) metrics.request(`X${i}`, '/', 405, 0.001)
  for (let i = 0; i < 5_000; i += 1) metrics.request('GET', `/raw/${i}`, 404, 0.001)
  const text = await metrics.text()
  assert.ok(text.includes('lido_http_requests_total{method="other",route="/",status="405"} 5000'))
  assert.ok(text.includes('lido_http_requests_total{method="other",route="other",status="other"} 3001'))
  assert.ok(text.split('\n').filter((line) => line.startsWith('lido_http_requests_total')).length <= 2_001)
})

test('two metrics in one process do not know each other', async () => {
  const [one, two] = [openMetrics(), openMetrics()]
  one.statement()
  assert.match(await two.text(), /^lido_sql_statements_total 0$/m)
  assert.equal(one.contentType, 'text/plain; version=0.0.4; charset=utf-8')
})

test('keeps no process alive', () => {
  const script = `import { openMetrics } from ${JSON.stringify(import.meta.resolve('./metrics.ts'))}; openMetrics()`
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 })
  assert.equal(status, 0)
})
