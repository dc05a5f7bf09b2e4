import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { authorizeUrl } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { callback, makePool, makeWorkspace, type TestWorkspace, tokensOf } from './fixtures-testing.ts'
import { type Raw, sendTo } from './raw-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
let access: string
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await people.user('mike@example.org')
  access = (await tokensOf(lido, workspace, 'mike@example.org')).access
})
after(() => lido.stop())

const send = (raw: Raw) => sendTo(lido.url, raw)

const authorize = (params: Record<string, string> = {}) => {
  const { url } = authorizeUrl(lido.url, 'w1', { client_id: 'spa', redirect_uri: callback, ...params })
  return `/w/w1/authorize${new URL(url).search}`
}

test('A13: whatever a request says of its host, every address is of the configured origin', async () => {
  const lies: Record<string, string | string[]>[] = [
    { Host: 'evil.example' },
    { Host: 'evil.example:fake@localhost' },
    { Host: '' },
    { Host: 'localhost:1' },
    { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '1' },
    { Forwarded: 'host=evil.example;proto=https' },
    { 'X-Original-URL': '/evil', 'X-Rewrite-URL': '/evil', 'X-Host': 'evil.example' },
  ]
  for (const headers of lies) {
    const told = await send({ path: '/w/w1/.well-known/oauth-authorization-server', headers })
    if (told.status === 400) continue
    assert.equal(told.status, 200)
    assert.equal(JSON.parse(told.text).issuer, workspace.issuer)
    assert(!told.text.includes('evil'))
    const asked = await send({ path: authorize(), headers })
    assert.equal(asked.status, 303)
    assert.equal(new URL(asked.headers.location ?? '', lido.url).origin, lido.url)
    assert(!JSON.stringify(asked.headers).includes('evil'))
    const left = await send({ path: '/w/w1/logout', headers })
    assert(!(left.text + JSON.stringify(left.headers)).includes('evil'))
    const failed = await send({ path: authorize({ prompt: 'none' }), headers })
    assert.equal(new URL(failed.headers.location ?? '').searchParams.get('iss'), workspace.issuer)
  }
})

test('A13: a target in absolute form, or two hosts, are refused', async () => {
  for (const path of [
    'http://evil.example/w/w1/.well-known/openid-configuration',
    `${lido.url}${authorize()}`,
    '//evil.example/w/w1/jwks',
    '*',
    'evil.example:443',
  ])
    assert.match(String((await send({ path, headers: { Accept: 'text/html' } })).status), /^40[04]$/, path)
  const { port } = new URL(lido.url)
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(
        `GET /w/w1/jwks HTTP/1.1\r\nHost: localhost:${port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n`,
      ),
    )
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.on('error', reject)
  })
  assert.match(answer, /^HTTP\/1\.1 (400|200)/)
  assert(!answer.includes('evil'))
})

test('other methods are refused at every address', async () => {
  for (const path of [
    'authorize',
    'token',
    'userinfo',
    'jwks',
    'logout',
    'introspect',
    'revoke',
    'signin/x',
    'recover',
    '.well-known/openid-configuration',
  ])
    for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'HEAD', 'OPTIONS']) {
      const { status } = await send({ method, path: `/w/w1/${path}` })
      assert(status < 500, `${status} ${method} ${path}`)
    }
  for (const path of ['token', 'introspect', 'revoke', 'logout/confirm'])
    assert.equal((await send({ path: `/w/w1/${path}?token=${access}&client_id=spa` })).status, 404, path)
})

test('none of it was an error of ours', () => {
  assert.deepEqual(
    lido.lines.filter((line) => JSON.parse(line).level >= 50),
    [],
  )
})
