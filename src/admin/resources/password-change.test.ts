import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../../directory/pools.ts'
import {
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  visitAs,
} from '../../pages/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

const fine = 'three herons on a jetty'

let lido: AdminLido
let pool: Pool

before(async () => {
  lido = await adminLido()
  pool = await makePool(lido, 'herons')
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makePool(lido, 'others')
})
after(() => lido.stop())

let people = 0
const somebody = () => {
  people += 1
  return `heron${people}@example.org`
}

const callChange = (slug: string, id: string, old_password: string, new_password: string) =>
  lido.call('POST', `/pools/${slug}/users/${id}/password/change`, { old_password, new_password })

const signIn = async (identifier: string, secret: string) => {
  const browser = await visitAs(lido, 'acme', identifier)
  await browser.submit({ password: secret })
  return browser
}

test('a change needs the old password, ends every session and tells the owner', async () => {
  const identifier = somebody()
  const id = await makeUser(lido, pool, identifier)
  const browser = await signIn(identifier, password)
  assert.ok(isSignedIn(browser))
  const before = await lido.call('GET', `/pools/herons/users/${id}/sessions`)
  assert.equal(before.body.items?.length, 1)
  const wrong = await callChange('herons', id, 'not the old one', fine)
  assert.equal(wrong.status, 422)
  assert.deepEqual(wrong.body.errors, [{ pointer: '/old_password', detail: 'This is not the password' }])
  assert.equal((await callChange('herons', id, password, fine)).status, 204)
  const afterwards = await lido.call('GET', `/pools/herons/users/${id}/sessions`)
  assert.equal(afterwards.body.items?.length, 0)
  assert.match((await lido.message(identifier)).subject, /was changed/)
  assert.equal((await signIn(identifier, password)).page.step, 'prove')
  assert.ok(isSignedIn(await signIn(identifier, fine)))
  const events = await lido.call('GET', `/pools/herons/users/${id}/events`)
  const types = events.body.items?.map(({ type }) => type)
  assert.ok(types?.includes('user.password_set') && types.includes('user.password_change_failed'))
  assert.doesNotMatch(JSON.stringify(events.body), /not the old one|herons|argon2/)
})

test('of twenty changes at once one is made, and guesses count with those of the sign-in', async () => {
  const identifier = somebody()
  const id = await makeUser(lido, pool, identifier)
  const all = Array.from({ length: 20 }, (_, n) => callChange('herons', id, password, `heron number ${n} on a jetty`))
  const statuses = (await Promise.all(all)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 204).length, 1, String(statuses))
  assert.ok(
    statuses.every((status) => [204, 422, 429].includes(status)),
    String(statuses),
  )

  const guessed = somebody()
  const victim = await makeUser(lido, pool, guessed)
  const guesses = Array.from({ length: 50 }, (_, n) => callChange('herons', victim, `guess ${n}`, fine))
  const answers = (await Promise.all(guesses)).map(({ status }) => status)
  assert.equal(answers.filter((status) => status === 422).length, 10, String(answers))
  assert.equal((await callChange('herons', victim, password, fine)).status, 429)
  const locked = await signIn(guessed, password)
  assert.match(locked.page.alert ?? '', /Too many tries/)
})

test('nobody changes the password of another pool, or where there are none', async () => {
  const id = await makeUser(lido, pool, somebody())
  assert.equal((await callChange('others', id, password, fine)).status, 404)
  const bare = await makeUser(lido, pool, somebody(), { password: null })
  assert.equal((await callChange('herons', bare, '', fine)).status, 422)
  const codes = await makePool(lido, 'codes', { sign_in_methods: ['email_code'] })
  const nobody = await makeUser(lido, codes, somebody(), { password: null })
  assert.equal((await callChange('codes', nobody, '', fine)).status, 422)
})
