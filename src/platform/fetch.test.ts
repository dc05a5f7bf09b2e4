import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { after, test } from 'node:test'
import { type Fetch, openFetch } from './fetch.ts'

const message = 'A request to another server failed'

const serve = async (listener: RequestListener, host = '127.0.0.1') => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  after(() => server.close().closeAllConnections())
  return { server, port: (server.address() as AddressInfo).port }
}

/** Something inside that must never be reached. */
const canary = async (host: string, port = 0) => {
  let touched = 0
  const server = createTcpServer((socket) => {
    touched += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  after(() => server.close())
  return { port: (server.address() as AddressInfo).port, touched: () => touched }
}

const reason = async (asked: Promise<unknown>): Promise<string> => {
  try {
    await asked
  } catch (error) {
    assert.equal((error as Error).message, message)
    return String(((error as Error).cause as Error).message)
  }
  return assert.fail('the request went through')
}

const refused = async (fetch: Fetch, url: string) =>
  assert.equal(await reason(fetch(url)), 'The address is not permitted', url)

test('asks an allowed server and hands over its answer', async () => {
  const { port } = await serve((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      response.writeHead(201, { 'Content-Type': 'application/json', 'Set-Cookie': ['a=1', 'b=2'] })
      response.end(JSON.stringify({ method: request.method, body, key: request.headers['x-key'] }))
    })
  })
  const fetch = openFetch({ allow: ['127.0.0.1'] })
  const url = `http://127.0.0.1:${port}/path?query`
  const reply = await fetch(url, { method: 'POST', headers: { 'x-key': 'k' }, body: 'grüße' })
  assert.equal(reply.status, 201)
  assert.equal(reply.headers['content-type'], 'application/json')
  assert.equal(reply.headers['set-cookie'], 'a=1, b=2')
  assert.deepEqual(reply.json(), { method: 'POST', body: 'grüße', key: 'k' })
  assert.equal(reply.text(), JSON.stringify(reply.json()))
})

test('refuses private addresses in every spelling, and the canary stays silent', async () => {
  const { port, touched } = await canary('127.0.0.1')
  const fetch = openFetch({ allow: [] })
  const loopback = ['127.0.0.1', '0x7f.1', '2130706433', '0177.0.0.1', '127.1', '127.0.0.1.', '[::1]', '0.0.0.0']
  const wrapped = ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]']
  const inner = ['169.254.169.254', '100.64.0.1', '10.0.0.1', '172.16.0.1', '192.168.0.1', '198.18.0.1', '224.0.0.1']
  const six = ['[fe80::1]', '[fc00::1]', '[fec0::1]', '[ff02::1]', '[::]', '[5f00::1]', '[4000::1]', '[2001:db8::1]']
  for (const host of [...loopback, ...wrapped, ...inner, ...six])
    for (const scheme of ['http', 'https']) await refused(fetch, `${scheme}://${host}:${port}/`)
  for (const name of ['localhost', 'LOCALHOST', 'localhost.']) await reason(fetch(`https://${name}:${port}/`))
  assert.equal(touched(), 0)
})

test('refuses other schemes, credentials in the address, and what is no address', async () => {
  const fetch = openFetch({ allow: ['127.0.0.0/8'] })
  for (const url of ['file:///etc/passwd', 'gopher://127.0.0.1/', 'ftp://127.0.0.1/', 'data:text/plain,x'])
    await refused(fetch, url)
  await refused(fetch, 'http://user:password@127.0.0.1/')
  for (const url of ['', 'not an address', 'http://', 'https://[::1', 'http://1.2.3.4.5/']) await reason(fetch(url))
})

test('refuses plain http to a public address, before connecting', async () => {
  const fetch = openFetch({ allow: [], lookup: async () => [{ address: '93.184.216.34', family: 4 }] })
  await refused(fetch, 'http://93.184.216.34/')
  await refused(fetch, 'http://public.test/')
})

test('connects to none but the addresses of a name that are permitted', async () => {
  const { port } = await serve((_request, response) => response.end('allowed'))
  const { touched } = await canary('127.0.0.2', port)
  const found = ['127.0.0.2', '::ffff:127.0.0.2', '127.0.0.1']
  const lookup = async () => found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const fetch = openFetch({ allow: ['127.0.0.1/32'], lookup })
  assert.equal((await fetch(`http://mixed.test:${port}/`)).text(), 'allowed')
  assert.equal(touched(), 0)
})

test('catches a name that flips to another address between two connections', async () => {
  const { port } = await serve((_request, response) => response.setHeader('Connection', 'close').end('outside'))
  const { touched } = await canary('127.0.0.2', port)
  const answers = ['127.0.0.1', '127.0.0.2']
  const lookup = async () => [{ address: answers.shift() ?? '127.0.0.2', family: 4 }]
  const fetch = openFetch({ allow: ['127.0.0.1'], lookup })
  assert.equal((await fetch(`http://flip.test:${port}/`)).text(), 'outside')
  await refused(fetch, `http://flip.test:${port}/`)
  assert.equal(touched(), 0)
})

test('reaches what the list names: an address, a range, a host and port', async () => {
  const { port } = await serve((_request, response) => response.end('here'))
  const lookup = async () => [{ address: '127.0.0.1', family: 4 }]
  const works = [
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.0/8', '127.0.0.1'],
    ['127.0.0.0/8', 'any.test'],
    [`127.0.0.1:${port}`, '127.0.0.1'],
    [`127.0.0.1:${port}`, 'any.test'],
    [`Sms.Test:${port}`, 'sms.test'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '[::ffff:127.0.0.1]'],
  ] as const
  for (const [entry, host] of works)
    assert.equal((await openFetch({ allow: [entry], lookup })(`http://${host}:${port}/`)).text(), 'here', entry)
  for (const entry of [`127.0.0.1:${port + 1}`, `sms.test:${port + 1}`, `other.test:${port}`, '127.0.0.2', '::1'])
    await refused(openFetch({ allow: [entry], lookup }), `http://sms.test:${port}/`)
})

test('an entry of the list that cannot be read is named', () => {
  for (const entry of ['localhost', '10.0.0.0/99', 'host:', 'a b:80', ''])
    assert.throws(() => openFetch({ allow: [entry] }), /Not an address, a CIDR range or host:port/, entry)
})

test('follows no redirect', async () => {
  const { port: inner, touched } = await canary('127.0.0.1')
  const { port } = await serve((_request, response) =>
    response.writeHead(302, { Location: `http://127.0.0.1:${inner}/` }).end(),
  )
  const { status } = await openFetch({ allow: ['127.0.0.1'] })(`http://127.0.0.1:${port}/`)
  assert.equal(status, 302)
  assert.equal(touched(), 0)
})

test('gives up on a server that is silent or drips', async () => {
  const { port } = await serve((request, response) => {
    if (request.url === '/drip') setInterval(() => response.write('x'), 20).unref()
  })
  const fetch = openFetch({ allow: ['127.0.0.1'] })
  for (const path of ['/silent', '/drip']) {
    const start = performance.now()
    await reason(fetch(`http://127.0.0.1:${port}${path}`, { timeoutMs: 200 }))
    assert.ok(performance.now() - start < 1_500, path)
  }
})

test('gives up on a name server that is silent', async () => {
  const fetch = openFetch({ allow: [], lookup: () => new Promise(() => {}) })
  const waker = setTimeout(() => {}, 5_000)
  const start = performance.now()
  await reason(fetch('https://silent.test/', { timeoutMs: 100 }))
  assert.ok(performance.now() - start < 1_500)
  clearTimeout(waker)
})

test('reads no more than the cap', async () => {
  const { port } = await serve((request, response) => response.end('x'.repeat(Number(request.url?.slice(1)))))
  const fetch = openFetch({ allow: ['127.0.0.1'] })
  assert.equal((await fetch(`http://127.0.0.1:${port}/100`, { maxBytes: 100 })).text().length, 100)
  assert.equal(await reason(fetch(`http://127.0.0.1:${port}/101`, { maxBytes: 100 })), 'The answer is too long')
  assert.equal(await reason(fetch(`http://127.0.0.1:${port}/1048577`)), 'The answer is too long')
})

test('says the same whether nothing listens, or something that speaks no HTTP, or no JSON', async () => {
  const fetch = openFetch({ allow: ['127.0.0.1'] })
  const closed = await canary('127.0.0.1')
  await reason(fetch(`http://127.0.0.1:${closed.port}/`))
  await reason(fetch('http://127.0.0.1:1/'))
  const { port } = await serve((_request, response) => response.end('<html>secret</html>'))
  const reply = await fetch(`http://127.0.0.1:${port}/`)
  assert.throws(() => reply.json(), { message })
})
