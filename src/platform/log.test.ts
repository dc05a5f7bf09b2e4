import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLog } from './log.ts'
import { Problem } from './problem.ts'

const capture = (level = 'trace') => {
  const lines: string[] = []
  const log = openLog({ level, destination: { write: (line) => lines.push(line) } })
  const only = (): Record<string, unknown> => {
    assert.equal(lines.length, 1)
    return JSON.parse(lines[0] ?? '')
  }
  return { log, lines, only }
}

const thrown = (run: () => unknown): Error => {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

test('an event is one JSON line with an ISO time and the name of its level', () => {
  const { log, lines, only } = capture()
  log.info({ method: 'GET', status: 200, at: new Date(0), gone: undefined, none: null }, 'request')
  assert.ok(lines[0]?.endsWith('}\n'))
  const { time, ...rest } = only()
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.deepEqual(rest, {
    level: 'info',
    method: 'GET',
    status: 200,
    at: '1970-01-01T00:00:00.000Z',
    none: null,
    msg: 'request',
  })
})

test('lines below the level are not written', () => {
  const { log, lines } = capture('warn')
  log.info('quiet')
  assert.deepEqual(lines, [])
})

test('what a name says is secret is hidden at any depth, whatever its spelling', () => {
  const canary = 'canary-7f3a'
  const names = ['password', 'new_password', 'newPassword', 'code', 'token', 'access_token', 'refreshToken', 'id_token']
  const more = ['client_secret', 'Authorization', 'cookie', 'Set-Cookie', 'code_verifier', 'client_assertion']
  const others = ['secrets', 'tokens', 'link', 'text', 'html', 'body', 'passwordHash', 'private_key']
  const { log, lines } = capture()
  for (const name of [...names, ...more, ...others]) {
    log.info({ [name]: canary })
    log.info({ [name]: [canary], deep: { deeper: [{ deepest: { [name]: { inner: canary } } }] } })
    log.child({ [name]: canary, request: { [name]: canary } }).info('bound')
    log.info({ any: { toJSON: () => ({ [name]: canary }) } })
  }
  assert.equal(lines.length, 4 * 22)
  for (const line of lines) assert.ok(!line.includes(canary), line)
})

test('what only looks a little like a secret stays', () => {
  const { log, only } = capture()
  log.info({ status_code: 404, passwordless: 'yes', tokenless: 'yes', verified: true, textual: 1, client_id: 'web' })
  const { time, level, ...rest } = only()
  assert.deepEqual(rest, {
    status_code: 404,
    passwordless: 'yes',
    tokenless: 'yes',
    verified: true,
    textual: 1,
    client_id: 'web',
  })
})

test('query strings are cut from addresses', () => {
  const { log, only } = capture()
  const url = 'https://app.example/callback?code=canary&state=x#access_token=canary'
  log.info({ url, referer: '/a?code=canary', where: new URL(url), path: '/plain' })
  const { where, ...rest } = only()
  assert.equal(where, 'https://app.example/callback?…')
  assert.equal(rest.url, where)
  assert.equal(rest.referer, '/a?…')
  assert.equal(rest.path, '/plain')
})

test('an error tells its kind, message, frames and causes', () => {
  const { log, only } = capture()
  const cause = Object.assign(new Error('connect failed'), { code: 'ECONNREFUSED', syscall: 'connect' })
  log.error(new Problem('unavailable', { detail: 'Later.', cause }), 'failed')
  const { err, msg } = only() as { err: Record<string, unknown>; msg: string }
  assert.equal(msg, 'failed')
  assert.equal(err.type, 'Problem')
  assert.equal(err.message, 'Later.')
  assert.equal(err.status, 503)
  assert.match(String(err.stack), /^at .*log\.test\.ts/)
  const { stack, ...rest } = err.cause as Record<string, unknown>
  assert.deepEqual(rest, { type: 'Error', message: 'connect failed', code: 'ECONNREFUSED', syscall: 'connect' })
})

test('an error never tells the body of a request or the values of a query', () => {
  const { log, lines } = capture()
  const extra = { body: 'canary', rawBody: 'canary', detail: 'Key (value)=(canary)', parameters: ['canary'] }
  log.error(Object.assign(new Error('bad'), extra))
  log.error({ err: Object.assign(new Error('bad', { cause: { password: 'canary', x: 'canary' } }), extra) })
  log.error({ deep: { failure: new AggregateError([Object.assign(new Error('inner'), extra)], 'outer') } })
  log.error(thrown(() => JSON.parse('canary')))
  log.error(thrown(() => JSON.parse('{"password":"canary", }')))
  log.error({ err: new Error('x', { cause: thrown(() => JSON.parse('{"a":canary')) }) })
  assert.equal(lines.length, 6)
  for (const line of lines) assert.ok(!line.includes('canary'), line)
  assert.ok(lines[2]?.includes('inner'))
})

test('no value makes a second line or moves a terminal', () => {
  const evil = 'eve\r\n{"level":"info","msg":"forged"}\u001b[2J\u009b2J\u2028\u202e\u0000'
  const { log, lines } = capture()
  log.info({ username: evil, [evil]: evil, list: [evil] }, evil)
  log.child({ evil }).info(evil)
  log.error(new Error(evil))
  assert.equal(lines.length, 3)
  for (const line of lines) {
    assert.match(line, /^[^\p{Cc}\u2028\u2029\u202e]*\n$/u)
    assert.ok(JSON.stringify(JSON.parse(line)).includes('forged'))
  }
  assert.equal(JSON.parse(lines[0] ?? '').username, evil)
})

test('circular and odd values are logged, not thrown', () => {
  const { log, lines } = capture()
  const circle: Record<string, unknown> = { name: 'circle' }
  circle.self = circle
  log.info({ circle, big: 10n, bytes: Buffer.from('canary'), call: () => 1, bare: Object.create(null) })
  const error = new Error('round')
  error.cause = error
  log.error(error)
  assert.equal(lines.length, 2)
  assert.ok(!lines.join().includes('canary'))
})
