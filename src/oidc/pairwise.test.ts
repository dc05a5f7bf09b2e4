import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import {
  anotherNode,
  callback,
  goodbye,
  makePool,
  makeWorkspace,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestWorkspace,
  tokensFrom,
  userinfo,
} from './fixtures-testing.ts'

let lido: AdminLido
let workspace: TestWorkspace
let other: TestWorkspace
let mike: string
let lists: Server
let listed: unknown = [callback]
const asked: string[] = []

before(async () => {
  lists = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/away') return response.writeHead(302, { Location: '/list' }).end()
    response.end(JSON.stringify(listed))
  })
  await new Promise<void>((resolve) => lists.listen(0, '127.0.0.1', resolve))
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  const { fetch } = lido.services
  const at = `http://127.0.0.1:${(lists.address() as AddressInfo).port}`
  lido.services.fetch = (url, init) => fetch(url.replace('https://sector.example', at), init)
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  other = await makeWorkspace(lido, 'w2', { pools: [people] })
  mike = await people.user('mike@example.org')
  await workspace.client('public')
  for (const { client } of [workspace, other]) {
    await client('here', { subject_type: 'pairwise' })
    await client('sister', { subject_type: 'pairwise' })
    await client('away', { subject_type: 'pairwise', redirect_uris: [callback.replace('app', 'other')] })
  }
  const sector_identifier_uri = 'https://other.example/sector.json'
  await workspace.client('cousin', { subject_type: 'pairwise', sector_identifier_uri })
})
after(async () => {
  await lido.stop()
  lists.close()
})

const tokensAt = async (client_id: string, { params = {}, where = workspace } = {}) => {
  const redirect_uri = client_id === 'away' ? callback.replace('app', 'other') : callback
  const signedIn = await signIn(lido, where, 'mike@example.org', { client_id, redirect_uri, ...params })
  const tokens = tokensFrom(await redeem(where.issuer, signedIn, { client_id, redirect_uri }))
  return { ...tokens, browser: signedIn.browser, sub: String(payloadOf(tokens.id).sub) }
}

test('clients of one sector know somebody by the same name, those of another by another, and none by the real one', async () => {
  const [here, sister, away, cousin, open] = await Promise.all(
    ['here', 'sister', 'away', 'cousin', 'public'].map((client) => tokensAt(client)),
  )
  assert.equal(open?.sub, mike)
  assert.equal(here?.sub, sister?.sub)
  assert.equal(away?.sub, cousin?.sub)
  assert.equal(new Set([here?.sub, away?.sub, mike]).size, 3)
  assert.match(here?.sub ?? '', /^[\w-]{43}$/)
  assert.notEqual((await tokensAt('here', { where: other })).sub, here?.sub)
})

test('it is the same at every sign-in, at every node and in everything that the client is told', async () => {
  const { sub, access, refresh: token } = await tokensAt('here', { params: { scope: 'openid offline_access' } })
  assert.equal((await tokensAt('here')).sub, sub)
  assert.equal((await userinfo(workspace.issuer, access)).body.sub, sub)
  const seen = await post(`${workspace.issuer}/introspect`, { token: access, client_id: 'here' })
  assert.equal(seen.body.sub, sub)
  const node = await anotherNode(lido)
  try {
    const next = tokensFrom(await refresh(node.issuer(workspace), token, { client_id: 'here' }))
    assert.equal(payloadOf(next.id).sub, sub)
    assert.doesNotMatch(JSON.stringify(payloadOf(next.id)), new RegExp(mike))
  } finally {
    await node.stop()
  }
})

test('what the program keeps and tells its operators is the person', async () => {
  await tokensAt('here')
  const { body } = await lido.call('GET', `/events?type=sign_in.succeeded&client=here&user=${mike}`)
  const { items = [] } = body as { items?: { user_id: string }[] }
  assert(items.length > 0 && items.every(({ user_id }) => user_id === mike), JSON.stringify(body))
})

test('a client may give its ID token back as a hint', async () => {
  const { id, browser } = await tokensAt('here')
  const asked = { client_id: 'here', prompt: 'none', id_token_hint: id }
  assert((await signIn(lido, workspace, '', asked, browser)).code)
  const elsewhere = await tokensAt('away')
  const strange = await signIn(lido, workspace, '', { ...asked, id_token_hint: elsewhere.id }, browser)
  assert.equal(strange.code, '')
  const out = `${workspace.issuer}/logout?${new URLSearchParams({ id_token_hint: id, post_logout_redirect_uri: goodbye })}`
  const page = await browser.get(out)
  if (page.step === 'logout') await browser.submit({ logout: 'yes' })
  assert.equal(browser.page.url.split('?')[0], goodbye)
})

const client = (more: object) => ({
  client_name: 'Pairwise',
  first_party: true,
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code'],
  redirect_uris: [callback],
  subject_type: 'pairwise',
  ...more,
})

const register = (more: object) => lido.call('POST', '/workspaces/w1/clients', client(more))

test('a client on several hosts names a sector, and the sector names the client', async () => {
  const redirect_uris = [callback, 'https://elsewhere.example/callback']
  const without = await register({ redirect_uris })
  assert.equal(without.status, 422, JSON.stringify(without.body))
  const sector_identifier_uri = 'https://sector.example/list'
  listed = [callback]
  const unknown = await register({ redirect_uris, sector_identifier_uri })
  assert.deepEqual([unknown.status, pointersOf(unknown)], [422, ['/sector_identifier_uri']])
  listed = redirect_uris
  const made = await register({ redirect_uris, sector_identifier_uri, client_id: 'both' })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  asked.length = 0
  await lido.call('PATCH', '/workspaces/w1/clients/both', { client_name: 'Both' })
  assert.deepEqual(asked, [])
  const more = [...redirect_uris, 'https://third.example/callback']
  const grown = await lido.call('PATCH', '/workspaces/w1/clients/both', { redirect_uris: more })
  assert.deepEqual([grown.status, pointersOf(grown), asked], [422, ['/sector_identifier_uri'], ['/list']])
  const { sub } = await tokensAt('both')
  assert.notEqual(sub, mike)
  assert.deepEqual(asked, ['/list'])
})

test('A33: an address that may not be reached is not, and nothing is told of it', async () => {
  asked.length = 0
  const answers = []
  for (const sector_identifier_uri of [
    'https://10.0.0.1/list',
    'https://[::1]/list',
    'https://0x7f.1:1/list',
    'https://169.254.169.254/latest',
    'https://sector.example/away',
  ])
    answers.push(await register({ sector_identifier_uri }))
  for (const { status, body } of answers) {
    assert.equal(status, 422)
    assert.deepEqual((body as { errors: unknown }).errors, [
      { pointer: '/sector_identifier_uri', detail: 'No list of addresses could be read there' },
    ])
  }
  assert.deepEqual(asked, ['/away'])
  for (const sector_identifier_uri of ['http://sector.example/list', 'file:///etc/passwd', 'https://'])
    assert.equal((await register({ sector_identifier_uri })).status, 422)
})

test('a list that is no list of texts is none', async () => {
  for (const wrong of [{}, 'x', [1], null, { redirect_uris: [callback] }]) {
    listed = wrong
    assert.equal((await register({ sector_identifier_uri: 'https://sector.example/list' })).status, 422)
  }
})

const pointersOf = ({ body }: { body: unknown }) =>
  (body as { errors?: { pointer: string }[] }).errors?.map(({ pointer }) => pointer)
