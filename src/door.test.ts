import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type AdminLido, adminLido } from './admin/fixtures-testing.ts'

const pace = { headers: 400, body: 500, pause: 400, upload: 4_000 }

let lido: AdminLido
before(async () => {
  lido = await adminLido({}, { pace })
  assert.equal((await lido.call('POST', '/pools', { slug: 'uploads', name: 'Uploads' })).status, 201)
})
after(() => lido.stop())

/** Sends the chunks of a body one after the other, so many milliseconds apart; 0 where the connection was ended. */
const send = async (path: string, chunks: string[], ms: number, headers: Record<string, string> = {}) => {
  const Authorization = `Bearer ${await lido.token()}`
  const sending = request(`${lido.url}${path}`, {
    method: 'POST',
    agent: false,
    headers: { Authorization, 'Content-Type': 'text/csv', ...headers },
  })
  const began = performance.now()
  let over = false
  const outcome = new Promise<{ status: number; text: string; ms: number }>((resolve) => {
    const settle = (status: number, text: string) => {
      over = true
      resolve({ status, text, ms: performance.now() - began })
    }
    sending.on('error', () => settle(0, ''))
    sending.on('response', async (response) => {
      let text = ''
      response.on('error', () => settle(response.statusCode ?? 0, text))
      for await (const chunk of response) text += chunk
      settle(response.statusCode ?? 0, text)
    })
  })
  sending.flushHeaders()
  for (const chunk of chunks) {
    if (over) break
    sending.write(chunk)
    await setTimeout(ms)
  }
  sending.end()
  return outcome
}

const rows = (count: number) => ['email\n', ...Array.from({ length: count }, (_, i) => `slow${i}@example.org\n`)]
const importsOf = async () => (await lido.call('GET', '/pools/uploads/imports')).body.items ?? []

test('an upload that goes on arriving may take longer than other requests', async () => {
  const { status, text, ms } = await send('/api/v1/pools/uploads/imports', rows(10), 150)
  assert.equal(status, 201, text)
  assert.ok(ms > 3 * pace.body, `${ms} ms`)
  assert.equal(JSON.parse(text).rows, 10)
})

test('an upload that stops arriving is ended, and nothing of it is kept', async () => {
  const known = (await importsOf()).length
  const { status, ms } = await send('/api/v1/pools/uploads/imports', rows(2), 1_500)
  assert.equal(status, 0)
  assert.ok(ms < 1_500, `${ms} ms`)
  for (const deadline = Date.now() + 2_000; Date.now() < deadline && (await importsOf()).length > known; )
    await setTimeout(20)
  assert.equal((await importsOf()).length, known)
})

test('no upload goes on for ever', async () => {
  const { status, ms } = await send('/api/v1/pools/uploads/imports', rows(60), 100)
  assert.equal(status, 0)
  assert.ok(ms > pace.upload - 100 && ms < pace.upload + 1_500, `${ms} ms`)
})

test('nobody gets that long without the right to upload, or at another address', async () => {
  for (const [path, headers] of [
    ['/api/v1/pools/uploads/imports', { Authorization: '' }],
    ['/api/v1/pools', { 'Content-Type': 'application/json' }],
    ['/w/admin/token', { 'Content-Type': 'application/x-www-form-urlencoded' }],
  ] as const) {
    const began = performance.now()
    await send(
      path,
      Array.from({ length: 30 }, () => ' '),
      100,
      headers,
    )
    assert.ok(performance.now() - began < 4 * pace.body, path)
  }
})

test('headers that do not arrive are not waited for', async () => {
  const { hostname, port } = new URL(lido.url)
  const socket = connect(Number(port), hostname)
  const began = performance.now()
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
  const dripping = setInterval(() => socket.writable && socket.write('X-A: b\r\n'), 100)
  await closed
  clearInterval(dripping)
  assert.ok(performance.now() - began < 4 * pace.headers)
})
