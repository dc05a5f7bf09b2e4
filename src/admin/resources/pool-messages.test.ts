import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

let count = 0
const make = (fields: Record<string, unknown>) => {
  count += 1
  return lido.call('POST', '/pools', { slug: `pool-${count}`, name: 'Pool', ...fields })
}

const refused: [what: string, fields: Record<string, unknown>, pointer: string, detail: RegExp][] = [
  [
    'texts without mobile numbers',
    { sign_in_methods: ['password', 'sms_code'] },
    '/sign_in_methods',
    /needs the identifier mobile/,
  ],
  [
    'nothing but texts',
    { identifiers: ['email', 'mobile'], sign_in_methods: ['sms_code'] },
    '/sign_in_methods',
    /needs another way beside it/,
  ],
  [
    'links without email addresses',
    { identifiers: ['mobile'], sign_in_methods: ['password', 'magic_link'] },
    '/sign_in_methods',
    /needs the identifier email/,
  ],
  [
    'texts as a second factor without mobile numbers',
    { second_factor: 'required', second_factors: ['sms_code'] },
    '/second_factors',
    /needs the identifier mobile/,
  ],
  ['a country that is none', { default_country: 'XX' }, '/default_country', /ISO 3166-1/],
  ['a country in small letters', { sms_countries: ['ch'] }, '/sms_countries/0', /ISO 3166-1/],
  ['no texts at all as a limit', { sms_per_country_hour: 0 }, '/sms_per_country_hour', /./],
  ['a method that nobody knows', { sign_in_methods: ['pigeon'] }, '/sign_in_methods/0', /./],
]
for (const [what, fields, pointer, detail] of refused) {
  test(`a pool with ${what} is refused, with a pointer`, async () => {
    const { status, body } = await make(fields)
    assert.equal(status, 422, JSON.stringify(body))
    const [error] = body.errors as { pointer: string; detail: string }[]
    assert.equal(error?.pointer, pointer)
    assert.match(error.detail, detail)
  })
}

test('takes texts and links where they can be used, and refuses a change that leaves them without', async () => {
  const ways = { identifiers: ['email', 'mobile'], sign_in_methods: ['magic_link', 'sms_code'] }
  const made = await make({ ...ways, default_country: 'CH', sms_countries: ['CH', 'DE'] })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const path = `/pools/${made.body.slug}`
  assert.deepEqual((await lido.call('GET', path)).body.sign_in_methods, ways.sign_in_methods)
  for (const change of [{ identifiers: ['email'] }, { sign_in_methods: ['sms_code'] }])
    assert.equal((await lido.call('PATCH', path, change)).status, 422, JSON.stringify(change))
  assert.equal((await lido.call('PATCH', path, { sms_countries: null })).status, 200)
})

test('an operator writes a number as people of the pool do, and finds its owner by it', async () => {
  const made = await make({ identifiers: ['mobile'], default_country: 'DE' })
  const users = `/pools/${made.body.slug}/users`
  const wanted = { mode: 'set_credentials', password: 'correct horse battery staple' }
  const user = await lido.call('POST', users, {
    ...wanted,
    identifiers: [{ type: 'mobile', value: '0170 1234567', verified: true }],
  })
  assert.equal(user.status, 201, JSON.stringify(user.body))
  assert.deepEqual(user.body.identifiers, [{ type: 'mobile', value: '+491701234567', verified: true }])
  for (const typed of ['0170 1234567', '+49 170 1234567', '0049 170 1234567']) {
    const { body } = await lido.call('GET', `${users}?identifier=${encodeURIComponent(typed)}`)
    assert.equal((body.items as unknown[]).length, 1, typed)
  }
  const wrong = await lido.call('POST', users, { ...wanted, identifiers: [{ type: 'mobile', value: '030 123456' }] })
  assert.equal(wrong.status, 422)
})

test('an invitation that is sent over and over ends at the budget of its reader', async () => {
  const made = await make({})
  await lido.call('POST', '/workspaces', { slug: 'inviting', name: 'Inviting' })
  await lido.call('POST', '/workspaces/inviting/connections', { pool: made.body.slug, name: 'Pool' })
  const invited = { identifier: 'ada@example.org', workspace: 'inviting' }
  const invitation = await lido.call('POST', `/pools/${made.body.slug}/invitations`, invited)
  assert.equal(invitation.status, 201, JSON.stringify(invitation.body))
  const resend = `/pools/${made.body.slug}/invitations/${invitation.body.id}/resend`
  const statuses: number[] = []
  for (let n = 0; n < 61; n += 1) statuses.push((await lido.call('POST', resend)).status)
  assert.deepEqual([...new Set(statuses.slice(0, 59))], [201])
  assert.deepEqual([...new Set(statuses.slice(59))], [429])
})
