import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../admin/fixtures-testing.ts'
import {
  eventually,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'

const orders = 'https://orders.example'
const email = 'ada@example.org'
const scope = 'openid profile email groups offline_access'

let lido: AdminLido
let workspace: TestWorkspace
let ada: string
before(async () => {
  lido = await adminLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  const types = ['code', 'code id_token', 'id_token'] as const
  const more = {
    response_types: [...types],
    grant_types: ['authorization_code' as const, 'refresh_token' as const, 'password' as const],
    resources: { [orders]: ['orders:read'] },
  }
  await workspace.client('plain', more)
  await workspace.client('full', { ...more, id_token_claims: 'scopes' })
  await workspace.client('third', { ...more, id_token_claims: 'scopes', first_party: false })
  await workspace.client('paired', { id_token_claims: 'scopes', subject_type: 'pairwise' })
  ada = await people.user(email, { given_name: 'Ada', family_name: 'Byron' })
})
after(() => lido.stop())

/** What an ID token tells of the person, of those that these scopes carry. */
const told = (id: string) => {
  const { name, email: address, email_verified, groups, sub } = payloadOf(id)
  return [name, address, email_verified, groups, sub]
}
const everything = () => ['Ada Byron', email, true, [], ada]
/** Groups are told wherever their scope was asked for, as roles are. */
const minimal = () => [undefined, undefined, undefined, [], ada]

test('an ID token tells who it is, and also what its scopes tell where the client is set to that, for good', async () => {
  for (const [client_id, expected] of [
    ['plain', minimal()],
    ['full', everything()],
  ] as const) {
    const tokens = await tokensOf(lido, workspace, email, { client_id, scope })
    assert.deepEqual(told(tokens.id), expected, client_id)
    assert.equal((await userinfo(workspace.issuer, tokens.access)).body.name, 'Ada Byron')
    const next = tokensFrom(await refresh(workspace.issuer, tokens.refresh, { client_id }))
    assert.deepEqual(told(next.id), expected, client_id)
    const narrow = await refresh(workspace.issuer, next.refresh, { client_id, scope: 'openid email' })
    const [name, address] = told(String(narrow.body.id_token))
    assert.deepEqual([name, address], [undefined, client_id === 'full' ? email : undefined])
  }
})

test('of scopes that were not asked for it tells nothing', async () => {
  const { id } = await tokensOf(lido, workspace, email, { client_id: 'full', scope: 'openid email' })
  assert.deepEqual(told(id), [undefined, email, true, undefined, ada])
  const bare = await tokensOf(lido, workspace, email, { client_id: 'full', scope: 'openid' })
  assert.deepEqual(told(bare.id), [undefined, undefined, undefined, undefined, ada])
})

test('it is the same through the browser, alone and beside a code', async () => {
  for (const [client_id, response_type, expected] of [
    ['plain', 'code id_token', minimal()],
    ['full', 'code id_token', everything()],
    // OpenID Connect Core 1.0 section 5.4: without an access token there is no userinfo.
    ['plain', 'id_token', everything()],
    ['full', 'id_token', everything()],
  ] as const) {
    const { at } = await signIn(lido, workspace, email, {
      client_id,
      response_type,
      nonce: 'n1',
      ...{ scope: 'openid profile email groups' },
      ...(response_type === 'id_token' ? { code_challenge: '', code_challenge_method: '' } : {}),
    })
    const id = new URLSearchParams(at.hash.slice(1)).get('id_token') ?? ''
    assert.deepEqual(told(id), expected, `${client_id} ${response_type}`)
  }
})

test('it is the same beside a token for a resource, and for the password grant', async () => {
  const beside = await tokensOf(lido, workspace, email, { client_id: 'full', scope, resource: orders })
  assert.deepEqual(told(beside.id), everything())
  for (const [client_id, expected] of [
    ['plain', [undefined, undefined]],
    ['full', ['Ada Byron', email]],
  ] as const) {
    const sent = { grant_type: 'password', username: email, password, client_id, scope: 'openid profile email' }
    const { body, text } = await post(`${workspace.issuer}/token`, sent)
    assert.deepEqual(told(String(body.id_token)).slice(0, 2), expected, text)
  }
})

test('it tells only what the person agreed to, and knows people by the names that its sector has for them', async () => {
  const signedIn = await signIn(lido, workspace, email, { client_id: 'third', scope: 'openid email' })
  assert.equal(signedIn.browser.page.step, 'consent')
  await signedIn.browser.submit({ decision: 'allow' })
  const code = new URL(signedIn.browser.page.url).searchParams.get('code') ?? ''
  const { id } = tokensFrom(await redeem(workspace.issuer, { ...signedIn, code }, { client_id: 'third' }))
  assert.deepEqual(told(id), [undefined, email, true, undefined, ada])
  const pair = await tokensOf(lido, workspace, email, { client_id: 'paired', scope })
  const [name, , , , sub] = told(pair.id)
  assert.equal(name, 'Ada Byron')
  assert.equal(JSON.stringify(payloadOf(pair.id)).includes(ada), false)
  assert.equal(sub, (await userinfo(workspace.issuer, pair.access)).body.sub)
})

test('operators set it by the API, and the next token follows', async () => {
  const at = `/workspaces/${workspace.id}/clients`
  const made = await lido.call('POST', at, {
    client_id: 'shop',
    client_name: 'Shop',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['https://app.example/callback'],
    first_party: true,
  })
  assert.deepEqual([made.status, made.body.id_token_claims], [201, 'minimal'])
  assert.equal((await lido.call('PATCH', `${at}/shop`, { id_token_claims: 'everything' })).status, 422)
  const changed = await lido.call('PATCH', `${at}/shop`, { id_token_claims: 'scopes' })
  assert.deepEqual([changed.status, changed.body.id_token_claims], [200, 'scopes'])
  await eventually(5_000, async () => {
    const { id } = await tokensOf(lido, workspace, email, { client_id: 'shop', scope: 'openid email' })
    assert.equal(payloadOf(id).email, email)
  })
})
