/** Cognito as somebody else doubles it, lax where cognito-testing.ts is strict: what is right has to work here, too. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readIdentifier } from '../../directory/identifiers.ts'
import { poolSource } from '../../directory/pool-source.ts'
import { isSignedIn, visitAs } from '../../pages/fixtures-testing.ts'
import { makeExternal } from '../../pages/outside-testing.ts'
import { type TestLido, testLido } from '../../testing.ts'
import { cognito } from './cognito.ts'
import { type CognitoLocal, openCognitoLocal } from './cognito-local-testing.ts'
import { sourceTools } from './double-testing.ts'

const password = 'Canary-horse-9-battery'
let local: CognitoLocal
let lido: TestLido

before(async () => {
  lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
  local = await openCognitoLocal()
  const attributes = { name: 'Ada', 'custom:tenant': 'acme' }
  await local.add({ email: 'ada@example.org', password, attributes, groups: ['admins', 'editors'] })
  await local.add({ email: 'grace@example.org', password, temporary: true })
})
after(async () => {
  await lido.stop()
  await local.stop()
})

const open = () => cognito.open(cognito.settings.parse(local.settings), sourceTools())
const identify = (typed: string) => readIdentifier(typed, ['email']) ?? assert.fail()
const check = (typed: string, tried = password) =>
  open().check({ identifier: identify(typed), password: tried, ip: '203.0.113.7' })

test('signs in over the real SDK, with groups and the custom attribute of the tenant', async () => {
  for (const answer of [
    await check('Ada@example.org'),
    await open().find({ identifier: identify('ada@example.org') }),
  ]) {
    assert.ok(answer.is === 'ok', JSON.stringify(answer))
    const { user } = answer
    assert.match(user.externalId, /^[0-9a-f-]{36}$/)
    assert.deepEqual(user.identifiers, [{ kind: 'email', typed: 'ada@example.org', verified: true }])
    assert.deepEqual(user.groups.toSorted(), ['admins', 'editors'])
    assert.deepEqual([user.tenant, user.profile.name], ['acme', 'Ada'])
  }
})

test('tells a stranger, and a password that has to be changed', async () => {
  assert.deepEqual(await check('nobody@example.org'), { is: 'invalid' })
  assert.deepEqual(await open().find({ identifier: identify('nobody@example.org') }), { is: 'not_found' })
  assert.equal((await check('grace@example.org')).is, 'must_change')
})

test('lets nobody in for a wrong password, which it calls by a name that Cognito does not know', async () => {
  const answer = await check('ada@example.org', 'wrong')
  assert.ok(answer.is === 'unavailable', JSON.stringify(answer))
  assert.match(answer.detail, /InvalidPasswordException/)
})

test('lists people, and finds its settings right', async () => {
  const page = await open().list?.(undefined)
  assert.ok(page?.is === 'ok')
  assert.deepEqual(page.users.map(({ claims }) => claims.email).toSorted(), ['ada@example.org', 'grace@example.org'])
  for (const { name, ok, detail } of await open().test()) assert.ok(ok, `${name}: ${detail}`)
})

test('moves somebody over at their first sign-in, who comes in again once Cognito is gone', async () => {
  const mapping = { tenant: { mode: 'none' } }
  const source = poolSource.parse({ type: 'cognito', mode: 'migrate', settings: local.settings, mapping })
  const { slug } = await makeExternal(lido, { url: '' }, { source })
  const signIn = async (email: string, tried = password) => {
    const browser = await visitAs(lido, slug, email)
    await browser.submit({ password: tried })
    return browser
  }
  assert.ok(isSignedIn(await signIn('Ada@Example.org')))
  const changing = await signIn('grace@example.org')
  assert.ok(!isSignedIn(changing), 'a temporary password is enough')
  await changing.submit({ new_password: 'a password that was chosen here' })
  assert.ok(isSignedIn(changing), changing.page.html)
  await local.stop()
  assert.ok(isSignedIn(await signIn('ada@example.org')))
  assert.ok(isSignedIn(await signIn('grace@example.org', 'a password that was chosen here')))
  assert.ok(!isSignedIn(await signIn('grace@example.org')), 'the temporary password still works')
  assert.doesNotMatch(lido.lines.join('\n'), /Canary-horse|local-secret/)
})
