import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testSandbox, testServer } from './fixtures-testing.ts'

const { f } = testSandbox()
const server = await testServer(async (request, response) => {
  if (request.url === '/echo') return response.end(JSON.stringify(request.headers))
  if (request.url === '/slow') return setTimeout(() => response.end('slow'), 600)
  if (request.url === '/late') return setTimeout(() => response.end('late'), 1_600)
  if (request.url === '/away') return response.writeHead(302, { location: `${canary.origin}/` }).end()
  if (request.url === '/long') return response.end('x'.repeat(66_000))
  if (request.url === '/json') {
    let body = ''
    for await (const chunk of request) body += chunk
    return response.writeHead(201, { 'x-method': request.method }).end(JSON.stringify({ body }))
  }
  response.writeHead(404).end('nothing')
})
const canary = await testServer((_request, response) => response.end('never'))
const at = { origins: [server.origin], secrets: { API_KEY: 'hunter2-of-the-api' } }
const ask = (code: string, reach = at) => f(code, { fetch: reach, input: { at: server.origin, canary: canary.origin } })
const answer = async (code: string) => {
  const outcome = await ask(code)
  assert.ok(outcome.ok, JSON.stringify(outcome))
  return outcome.output
}
const detail = async (code: string) => {
  const outcome = await ask(code)
  assert.ok(!outcome.ok, JSON.stringify(outcome))
  return outcome.detail
}

test('lets a script ask an allowed origin', async () => {
  const asked = `const f = async ({ at }) => {
    const reply = await fetch(at + '/json', { method: 'POST', body: '{"a":1}' })
    return [reply.status, reply.ok, reply.headers.get('X-Method'), reply.headers.get('none'), (await reply.json()).body]
  }`
  assert.deepEqual(await answer(asked), [201, true, 'POST', null, '{"a":1}'])
  const missing = `const f = async ({ at }) => { const r = await fetch(at + '/none'); return [r.status, r.ok, await r.text()] }`
  assert.deepEqual(await answer(missing), [404, false, 'nothing'])
})

test('puts secrets into headers that the script never sees, not even where the server repeats them', async () => {
  const asked = `const f = async ({ at }) => {
    const reply = await fetch(at + '/echo', { headers: { authorization: 'Bearer {{secret:API_KEY}}' } })
    const text = await reply.text()
    console.log(text)
    return JSON.parse(text).authorization
  }`
  const outcome = await ask(asked)
  assert.equal(server.seen.at(-1)?.headers.authorization, 'Bearer hunter2-of-the-api')
  assert.equal(outcome.ok && outcome.output, 'Bearer {{secret:API_KEY}}')
  assert.ok(!JSON.stringify(outcome).includes('hunter2'))
  const unknown = `const f = ({ at }) => fetch(at + '/echo', { headers: { a: '{{secret:toString}}' } })`
  assert.match(await detail(unknown), /no secret called toString/)
})

test('leaves a secret alone in an address and in a body', async () => {
  const asked = `const f = async ({ at }) => (await (await fetch(at + '/json', { method: 'POST', body: '{{secret:API_KEY}}' })).json()).body`
  assert.equal(await answer(asked), '{{secret:API_KEY}}')
})

const told = (attempts: string[]) =>
  `const f = async ({ at, canary }) => {
    const told = []
    for (const attempt of [${attempts.map((one) => `() => fetch(${one})`).join(', ')}])
      await attempt().then((reply) => told.push(reply.status), (error) => told.push(error.message))
    return told
  }`

test('sends nothing to any other origin', async () => {
  const seen = server.seen.length
  const elsewhere = [
    [`canary + '/'`, `'http://localhost:1/'`, `at.replace('http:', 'https:')`, `at + '@evil.example/'`, `'/relative'`],
    [`'file:///etc/passwd'`, `{ toString: () => canary }`, `at.toUpperCase() + '.evil.example'`],
  ]
  for (const urls of elsewhere)
    for (const one of (await answer(told(urls))) as string[]) assert.match(one, /allowed origins/)
  assert.match(await detail(`const f = ({ at }) => fetch(at.replace('//', '//user:pass@'))`), /no user/)
  assert.equal(server.seen.length, seen)
  assert.equal(canary.seen.length, 0)
})

test('lets a script change neither where a request goes nor where it ends', async () => {
  const seen = server.seen.length
  const names = ['host', 'Transfer-Encoding', 'connection', 'proxy-authorization', 'a\\r\\nb']
  const attempts = names.map((name) => `at + '/echo', { headers: { '${name}': 'x' } }`)
  for (const one of (await answer(told(attempts))) as string[]) assert.match(one, /cannot be set/)
  assert.match(await detail(`const f = ({ at }) => fetch(at, { method: 'CONNECT' })`), /method/)
  assert.match(await detail(`const f = ({ at }) => fetch(at, { method: 'POST', body: 'x'.repeat(40000) })`), /body/)
  assert.equal(server.seen.length, seen)
})

test('follows no redirect and reads no more than 64 KB', async () => {
  assert.equal(await answer(`const f = async ({ at }) => (await fetch(at + '/away')).status`), 302)
  assert.match(await detail(`const f = ({ at }) => fetch(at + '/long')`), /The request failed/)
  assert.equal(canary.seen.length, 0)
})

test('does not count the waiting, and lets requests wait together', async () => {
  const both = `const f = async ({ at }) => {
    const [one, two] = await Promise.all([fetch(at + '/slow'), fetch(at + '/slow')])
    return await one.text() + await two.text()
  }`
  const outcome = await ask(both)
  assert.equal(outcome.ok && outcome.output, 'slowslow', JSON.stringify(outcome))
  assert.ok(outcome.ms >= 600 && outcome.ms < 1_200, `took ${outcome.ms} ms`)
})

test('ends a run that computes too long between its requests, or waits too long in all', async () => {
  const busy = await ask(`const f = async ({ at }) => { await fetch(at + '/slow'); for (;;); }`)
  assert.equal(!busy.ok && busy.why, 'timeout')
  assert.ok(busy.ms < 1_100, `took ${busy.ms} ms`)
  const late = await ask(`const f = async ({ at }) => { await fetch(at + '/late'); await fetch(at + '/late') }`)
  assert.equal(!late.ok && late.why, 'timeout')
  assert.ok(late.ms >= 3_000 && late.ms < 3_300, `took ${late.ms} ms`)
})

test('lets a run fetch five times', async () => {
  const seen = server.seen.length
  const many = `const f = async ({ at }) => {
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => fetch(at + '/none')))
    return all.filter(({ status }) => status === 'fulfilled').length
  }`
  assert.equal(await answer(many), 5)
  assert.equal(server.seen.length, seen + 5)
})

test('gives no fetch to a script that needs none', async () => {
  const outcome = await f('const f = () => fetch("http://127.0.0.1/")')
  assert.match(outcome.ok ? '' : outcome.detail, /'fetch' is not defined/)
})
