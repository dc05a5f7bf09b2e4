import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, errorAt, fillIn, hasForm, send, valueAt } from './forms-testing.ts'

let lido: AdminLido
let owner: ConsoleBrowser
let poolId: string
let group: string
let role: string
let tenant: string
let client: string

const invitations = '/console/pools/guests/invitations'
const user_schema = {
  type: 'object',
  properties: { given_name: { type: 'string' }, terms: { type: 'boolean' }, age: { type: 'integer', minimum: 18 } },
  required: ['given_name'],
}
const make = (path: string, body: object) => lido.make(path, body)

before(async () => {
  lido = await adminLido()
  poolId = String((await make('/pools', { slug: 'guests', name: 'Guests', user_schema })).id)
  await make('/pools', { slug: 'others', name: 'Others' })
  for (const slug of ['house', 'shop', 'elsewhere']) await make('/workspaces', { slug, name: `The ${slug}` })
  for (const slug of ['house', 'shop']) await make(`/workspaces/${slug}/connections`, { pool: 'guests' })
  const redirect_uris = ['https://shop.example/callback']
  client = String((await make('/workspaces/shop/clients', { client_name: 'Till', redirect_uris })).client_id)
  group = String((await make('/pools/guests/groups', { name: 'regulars' })).id)
  role = String((await make('/roles', { key: 'cook', name: 'Cook' })).id)
  tenant = String((await make('/tenants', { slug: 'acme', name: 'Acme', pool: 'guests' })).id)
  owner = await openConsole(lido)
})
after(() => lido.stop())

const invite = async (identifier: string) =>
  String((await make('/pools/guests/invitations', { identifier, workspace: 'house' })).id)
const get = async (id: string) => (await lido.call('GET', `/pools/guests/invitations/${id}`)).body
const idOf = ({ page }: ConsoleBrowser) => page.url.split('/').at(-1) ?? ''

test('invites with everything filled in before, to an application of the workspace that invites', async () => {
  await owner.get(`${invitations}/~new?workspace=shop`)
  assert.match(owner.page.html, /From The house/)
  assert.doesNotMatch(owner.page.html, /From The elsewhere/)
  await send(owner, `${invitations}/~new`, {
    identifier: 'ada@example.org',
    message: 'Come in',
    expires_in_days: '5',
    'profile.given_name': 'Ada',
    [`groups.${group}`]: 'true',
    [`roles.${role}`]: 'true',
    tenant,
    client_id: client,
    return_to: 'https://shop.example/welcome',
  })
  assert.equal(owner.page.status, 200, owner.page.alert)
  const made = await get(idOf(owner))
  assert.deepEqual([made.state, made.identifier, made.message], ['pending', 'ada@example.org', 'Come in'])
  assert.deepEqual(made.profile, { given_name: 'Ada' })
  assert.deepEqual([made.groups, made.roles, made.tenant], [[group], [role], tenant])
  assert.deepEqual([made.client_id, made.return_to], [client, 'https://shop.example/welcome'])
  const hours = (Date.parse(String(made.expires_at)) - Date.parse(String(made.created_at))) / 3_600_000
  assert.equal(hours, 120)
  for (const said of ['/regulars', 'Cook', 'Acme', 'The shop', 'Come in'])
    assert.ok(owner.page.html.includes(said), said)
  assert.match((await lido.message('ada@example.org')).link ?? '', /\/w\/shop\/invitation\//)
})

test('says at each field what is wrong with it, and keeps what was typed', async () => {
  await fillIn(owner, `${invitations}/~new`, {
    identifier: 'nobody',
    message: 'Kept',
    'profile.age': '3',
    expires_in_days: '0',
  })
  assert.equal(owner.page.status, 422)
  assert.match(errorAt(owner, 'expires_in_days'), /One day/)
  await send(owner, `${invitations}/~new`, { expires_in_days: '1' })
  assert.match(errorAt(owner, 'identifier'), /no email address/)
  await send(owner, `${invitations}/~new`, { identifier: 'eve@example.org' })
  assert.match(errorAt(owner, 'profile.age'), /\S/)
  assert.equal(valueAt(owner, 'message'), 'Kept')
  await send(owner, `${invitations}/~new`, { 'profile.age': '20', return_to: 'https://evil.example/' })
  assert.equal(owner.page.status, 422)
  assert.match(owner.page.html, /return_to needs the client/)
  assert.equal((await lido.call('GET', '/pools/guests/invitations?limit=200')).body.items?.length, 1)
})

test('lists by state, sends again with a new link, and takes back', async () => {
  const [first, second] = [await invite('again@example.org'), await invite('back@example.org')]
  const link = (await lido.message('again@example.org')).link
  await owner.get(`${invitations}/${first}`)
  assert.match(owner.page.html, /works until/)
  await send(owner, `${invitations}/${first}/~resend`)
  assert.match(owner.page.html, /The old one is dead/)
  assert.notEqual((await lido.message('again@example.org', 1)).link, link)
  await owner.get(`${invitations}/${second}/~revoke`)
  assert.equal((await get(second)).state, 'pending')
  await send(owner, `${invitations}/${second}/~revoke`)
  assert.equal((await get(second)).state, 'revoked')
  assert.ok(!hasForm(owner, `${invitations}/${second}/~resend`))
  await owner.get(`${invitations}?state=revoked`)
  assert.match(owner.page.html, /back@example\.org/)
  assert.doesNotMatch(owner.page.html, /again@example\.org/)
  await owner.post(`${invitations}/${second}/~resend`, { csrf: csrfOf(owner) })
  assert.equal(owner.page.status, 422)
})

test('a helpdesk operator invites without groups, roles and tenants, and only to their pool; a viewer only looks', async () => {
  const helper = await openConsole(lido, { role: 'helpdesk', pools: [poolId] })
  await helper.get(`${invitations}/~new`)
  assert.doesNotMatch(helper.page.html, /groups\.|roles\.|name="tenant"/)
  const typed = { identifier: 'helped@example.org', [`groups.${group}`]: 'true', [`roles.${role}`]: 'true', tenant }
  await send(helper, `${invitations}/~new`, typed)
  assert.equal(helper.page.status, 200, helper.page.alert)
  const made = await get(idOf(helper))
  assert.deepEqual([made.groups, made.roles, made.tenant], [[], [], null])
  await helper.get('/console/pools/others/invitations/~new')
  assert.equal(helper.page.status, 404)

  const id = await invite('watched@example.org')
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(`${invitations}/${id}`)
  assert.doesNotMatch(viewer.page.html, /~resend|~revoke/)
  for (const path of ['~new', `${id}/~revoke`]) {
    await viewer.get(`${invitations}/${path}`)
    assert.equal(viewer.page.status, 403, path)
  }
  await viewer.post(`${invitations}/${id}/~revoke`, { csrf: csrfOf(viewer) })
  assert.equal(viewer.page.status, 403)
  await owner.post(`${invitations}/${id}/~revoke`, {})
  assert.equal(owner.page.status, 403)
  assert.equal((await get(id)).state, 'pending')
})
