import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { custom } from './custom.ts'
import { readCheck, readFind } from './custom-answers.ts'
import { documented, endSandboxes, openCustom } from './custom-testing.ts'
import { emailOf } from './double-testing.ts'

after(endSandboxes)

const ada = { identifier: emailOf('Ada@example.org'), password: 'canary horse', ip: '203.0.113.7' }

test('runs the documented script that needs no network', async () => {
  const source = openCustom({ code: documented[1] })
  const checked = await source.check(ada)
  assert.equal(checked.is === 'must_reset' && checked.user?.externalId, 'p-1')
  assert.equal((await source.find(ada)).is, 'ok')
  assert.deepEqual(await source.find({ identifier: emailOf('nobody@example.org') }), { is: 'not_found' })
  assert.deepEqual(
    (await source.test()).map(({ ok }) => ok),
    [true, true],
  )
})

test('hands the password to check, and to nothing else', async () => {
  const code = `const told = (input) => ({ id: 'p-1', email: input.identifier, profile: input })
    const check = told, find = told`
  const source = openCustom({ code })
  const checked = await source.check(ada)
  const told = { identifier: 'ada@example.org', kind: 'email', typed: 'Ada@example.org' }
  assert.deepEqual(checked.is === 'ok' && checked.user.profile, {
    ...told,
    password: 'canary horse',
    ip: '203.0.113.7',
  })
  const found = await source.find(ada)
  assert.deepEqual(found.is === 'ok' && found.user.profile, told)
})

test('takes nothing for a wrong password, or for nobody', async () => {
  const source = openCustom({ code: 'const check = () => {}, find = async () => null' })
  assert.deepEqual(await source.check(ada), { is: 'invalid' })
  assert.deepEqual(await source.find(ada), { is: 'not_found' })
})

const asked = { identifier: ada.identifier, tenantField: undefined }
const user = { id: 'p-1', email: 'ada@example.org', email_verified: true }

test('takes every documented result', () => {
  const said = (output: unknown) => readCheck(output, asked).is
  assert.equal(said(user), 'ok')
  assert.equal(said({ ...user, must_change: true }), 'must_change')
  assert.equal(said({ ...user, must_change: true, mfa: true }), 'mfa_required')
  for (const result of ['ok', 'must_change', 'mfa_required', 'must_reset']) assert.equal(said({ result, user }), result)
  for (const result of ['must_reset', 'invalid', 'not_found', 'blocked', 'unavailable', 'misconfigured'])
    assert.equal(said({ result }), result)
  const limited = readCheck({ result: 'rate_limited', retry_after: 7 }, asked)
  assert.equal(limited.is === 'rate_limited' && limited.retryAfter, 7)
})

test('takes an answer that it does not understand for an outage, and never for a wrong password', () => {
  const answers = [
    ...[true, false, 0, '', 'ok', [], {}, [user], { ...user, id: 5 }, { id: 'p-2' }, { email: user.email }],
    ...[{ result: 'ok' }, { result: 'fine', user }, { result: 'ok', user, admin: true }, { result: null }],
    ...[
      { id: 'p-2', email: 'other@example.org' },
      { result: 'must_reset', user: { id: 'p-2', email: 'o@example.org' } },
    ],
  ]
  for (const answer of answers) {
    assert.equal(readCheck(answer, asked).is, 'unavailable', JSON.stringify(answer))
    assert.equal(readFind(answer, asked).is, 'unavailable', JSON.stringify(answer))
  }
})

test('takes find for no judge of passwords', () => {
  assert.equal(readFind({ result: 'invalid' }, asked).is, 'unavailable')
  assert.equal(readFind({ result: 'must_change', user }, asked).is, 'ok')
})

test('takes a script that fails for an outage, and does not repeat what it threw', async () => {
  const throwing = 'const check = ({ password }) => { throw new Error(password) }'
  for (const code of [throwing, 'const check = () => { for (;;); }', 'const check = (']) {
    const answer = await openCustom({ code }).check(ada)
    assert.equal(answer.is, 'unavailable', code)
    assert.doesNotMatch(JSON.stringify(answer), /canary/)
  }
})

test('says what is wrong with a script when it is tried', async () => {
  const [first, second] = await openCustom({ code: 'const find = () => missing()' }).test()
  assert.deepEqual(first, { name: 'check', ok: false, detail: 'The script has no function check' })
  assert.match(`${second?.ok} ${second?.detail}`, /false .*'missing' is not defined/)
  const [broken] = await openCustom({ code: 'const find = (' }).test()
  assert.match(`${broken?.ok} ${broken?.detail}`, /false .*SyntaxError/)
  const [, generous] = await openCustom({
    code: `const check = 1, find = ({ identifier }) => ({ id: '1', email: identifier })`,
  }).test()
  assert.equal(generous?.ok, false)
})

test('takes settings that can be meant', () => {
  const takes = (settings: object) => custom.settings.safeParse({ code: 'x', ...settings }).success
  assert.ok(takes({}))
  assert.ok(takes({ allowed_origins: ['https://people.example.org', 'http://127.0.0.1:8080'] }))
  for (const origin of [
    'people.example.org',
    'https://people.example.org/',
    'https://a@b.example',
    'file:///',
    '*',
    'null',
  ])
    assert.ok(!takes({ allowed_origins: [origin] }), origin)
  assert.ok(!takes({ secrets: { 'a b': 'x' } }))
  assert.ok(!takes({ code: '' }))
})

test('a name that the script never comes to an end with lets it rest for that name alone', async () => {
  const code = `
    function check({ identifier }) { while (identifier.startsWith('poison')); return null }
    function find() { return null }`
  const source = openCustom({ code })
  const ask = (name: string) => source.check({ identifier: emailOf(`${name}@example.org`), password: 'any', ip: '' })
  for (let n = 0; n < 6; n += 1) assert.equal((await ask('poison')).is, 'unavailable')
  assert.match(JSON.stringify(await ask('poison')), /failed again and again/)
  for (let n = 0; n < 5; n += 1) assert.equal((await ask(`poison${n}`)).is, 'unavailable')
  assert.equal((await ask('bob')).is, 'invalid')
})
