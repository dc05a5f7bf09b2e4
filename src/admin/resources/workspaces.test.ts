import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl, openBrowser } from '../../browser-testing.ts'
import { eventually } from '../../oidc/fixtures-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

test('makes a workspace that issues at once, changes it and deletes it', async () => {
  const made = await lido.call('POST', '/workspaces', { slug: 'acme', name: 'Acme' })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.equal(made.headers.get('Location'), '/api/v1/workspaces/acme')
  assert.equal(made.body.issuer, `${lido.url}/w/acme`)
  assert.equal(made.body.refresh_grace_seconds, 10)
  assert.equal(made.body.default_language, 'en')
  const jwks = (await (await fetch(`${lido.url}/w/acme/jwks`)).json()) as { keys: { alg: string }[] }
  assert.deepEqual(jwks.keys.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'PS256', 'RS256'])
  assert.deepEqual((await lido.call('GET', `/workspaces/${made.body.id}`)).body, made.body)
  const patch = { branding: { color: '#aa0000' }, lifetimes: { code: 30, pushed_request: 300 }, default_language: 'ar' }
  const changed = await lido.call('PATCH', '/workspaces/acme', patch)
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.deepEqual(changed.body.branding, { logo: null, color: '#aa0000', links: [] })
  assert.equal(changed.body.default_language, 'ar')
  assert.equal((changed.body.lifetimes as Record<string, number>).code, 30)
  assert.equal((changed.body.lifetimes as Record<string, number>).pushed_request, 300)
  assert.equal((changed.body.lifetimes as Record<string, number>).access_token, 3600)
  assert.equal((await lido.call('PATCH', '/workspaces/acme', { status: 'inactive' })).body.status, 'inactive')
  await eventually(3000, async () => assert.equal((await fetch(`${lido.url}/w/acme/jwks`)).status, 404))
  assert.equal((await lido.call('DELETE', '/workspaces/acme')).status, 204)
  assert.equal((await lido.call('GET', '/workspaces/acme')).status, 404)
})

test('keeps the admin workspace', async () => {
  assert.equal((await lido.call('DELETE', '/workspaces/admin')).status, 409)
  assert.equal((await lido.call('PATCH', '/workspaces/admin', { slug: 'other' })).status, 409)
  assert.equal((await lido.call('PATCH', '/workspaces/admin', { status: 'inactive' })).status, 409)
  assert.equal((await lido.call('PATCH', '/workspaces/admin', { name: 'Operations' })).status, 200)
})

test('says what is not valid, at any depth', async () => {
  const { status, body } = await lido.call('POST', '/workspaces', {
    slug: 'No!',
    name: '',
    branding: { logo: 'javascript:alert(1)', colour: 'red', links: [{ label: 'A', href: 'http://a.example', x: 1 }] },
    lifetimes: { code: 600, pushed_request: 601, forever: true },
    default_language: 'tlh',
  })
  assert.equal(status, 422)
  assert.deepEqual((body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort(), [
    '/branding/colour',
    '/branding/links/0/href',
    '/branding/links/0/x',
    '/branding/logo',
    '/default_language',
    '/lifetimes/code',
    '/lifetimes/forever',
    '/lifetimes/pushed_request',
    '/name',
    '/slug',
  ])
  assert.equal((await lido.call('PATCH', '/workspaces/demo', { id: 'mine' })).status, 422)
  assert.equal((await lido.call('POST', '/workspaces', { slug: 'demo', name: 'Again' })).status, 409)
  await lido.call('POST', '/workspaces', { slug: 'second', name: 'Second' })
  assert.equal((await lido.call('PATCH', '/workspaces/second', { slug: 'demo' })).status, 409)
})

test('loses no change of twenty at once, and says which were too late', async () => {
  await lido.call('POST', '/workspaces', { slug: 'busy', name: 'Busy' })
  const patches = Array.from({ length: 20 }, (_, index) =>
    lido.call('PATCH', '/workspaces/busy', index % 2 ? { name: `Busy ${index}` } : { refresh_grace_seconds: index }),
  )
  const answers = await Promise.all(patches)
  assert(answers.every(({ status }) => status === 200 || status === 409))
  const done = answers.map(({ status }, index) => ({ status, index })).filter(({ status }) => status === 200)
  const { body } = await lido.call('GET', '/workspaces/busy')
  const last = (odd: number) => done.filter(({ index }) => index % 2 === odd).map(({ index }) => index)
  assert(
    [...last(1).map((index) => `Busy ${index}`), ...(last(1).length > 0 ? [] : ['Busy'])].includes(String(body.name)),
  )
  assert([...last(0), ...(last(0).length > 0 ? [] : [10])].includes(Number(body.refresh_grace_seconds)))
})

test('a change meant for another version is refused', async () => {
  const etag = (await lido.call('GET', '/workspaces/demo')).headers.get('ETag') ?? ''
  assert.equal((await lido.call('PATCH', '/workspaces/demo', { name: 'One' }, { 'If-Match': etag })).status, 200)
  assert.equal((await lido.call('PATCH', '/workspaces/demo', { name: 'Two' }, { 'If-Match': etag })).status, 412)
})

test('lists in pages', async () => {
  const slugs = (await lido.list('/workspaces?limit=1')).map(({ slug }) => slug)
  assert(slugs.includes('admin') && slugs.includes('demo'))
  assert.equal(new Set(slugs).size, slugs.length)
})

test('an operator with limits meets only their workspaces, and makes none', async () => {
  const { id } = (await lido.call('POST', '/workspaces', { slug: 'theirs', name: 'Theirs' })).body
  const limited = await operator(lido, 'limited@example.org', { role: 'admin', workspaces: [String(id)] })
  const { items = [] } = (await limited.call('GET', '/workspaces')).body
  assert.deepEqual(
    items.map(({ slug }) => slug),
    ['theirs'],
  )
  assert.equal((await limited.call('PATCH', '/workspaces/theirs', { name: 'Ours' })).status, 200)
  assert.equal((await limited.call('POST', '/workspaces', { slug: 'more', name: 'More' })).status, 403)
  for (const [method, body] of [['GET'], ['PATCH', { name: 'Ours' }], ['DELETE']] as [string, object?][])
    for (const path of ['', '/clients', '/connections', '/keys'])
      if (path === '' || method === 'GET')
        assert.equal((await limited.call(method, `/workspaces/demo${path}`, body)).status, 404, path)
})

test('someone signs up and in to a client that was made through the API alone', async () => {
  const make = async (path: string, body: unknown) => {
    const answer = await lido.call('POST', path, body)
    assert.equal(answer.status, 201, JSON.stringify(answer.body))
    return answer.body
  }
  await make('/workspaces', { slug: 'shop', name: 'Shop' })
  await make('/pools', { slug: 'buyers', name: 'Buyers', self_registration: true })
  await make('/workspaces/shop/connections', { pool: 'buyers' })
  const redirect_uri = 'https://shop.example/callback'
  const client = await make('/workspaces/shop/clients', {
    client_name: 'Shop',
    redirect_uris: [redirect_uri],
    first_party: true,
  })
  const client_id = String(client.client_id)
  const password = 'correct horse battery staple'
  const open = async () => {
    const browser = openBrowser(lido.url)
    const { url, verifier } = authorizeUrl(lido.url, 'shop', { client_id, redirect_uri, scope: 'openid email' })
    await browser.get(url)
    return { browser, verifier }
  }

  const { browser: newcomer } = await open()
  await newcomer.get(newcomer.link('Create an account'))
  await newcomer.submit({ identifier: 'bea@example.org', password })
  await newcomer.submit({ code: (await lido.message('bea@example.org')).code })
  assert(newcomer.page.url.startsWith(`${redirect_uri}?`), newcomer.page.html)

  const { browser, verifier } = await open()
  await browser.submit({ identifier: 'bea@example.org' })
  await browser.submit({ password })
  const code = new URL(browser.page.url).searchParams.get('code')
  assert(code, browser.page.html)
  const response = await fetch(`${lido.url}/w/shop/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${client_id}:${client.client_secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri }),
  })
  const tokens = (await response.json()) as { id_token?: string }
  assert.equal(response.status, 200, JSON.stringify(tokens))
  const claims = JSON.parse(Buffer.from(tokens.id_token?.split('.')[1] ?? '', 'base64url').toString())
  assert.equal(claims.iss, `${lido.url}/w/shop`)
})

test('passkeys belong to a domain that reaches the pages, and are taken from no origin beside it', async () => {
  await lido.call('POST', '/workspaces', { slug: 'keys-here', name: 'Keys' })
  const patch = (passkeys: object) => lido.call('PATCH', '/workspaces/keys-here', { passkeys })
  const set = await patch({ origins: ['http://shop.localhost:4000'], related_origins: ['https://example.com'] })
  assert.equal(set.status, 200)
  const stored = { rp_id: null, origins: ['http://shop.localhost:4000'], related_origins: ['https://example.com'] }
  assert.deepEqual((await lido.call('GET', '/workspaces/keys-here')).body.passkeys, stored)
  for (const [passkeys, pointer] of [
    [{ rp_id: 'example.org' }, '/passkeys/rp_id'],
    [{ origins: ['https://evil.example'] }, '/passkeys/origins/0'],
    [{ origins: ['http://evil.example'] }, '/passkeys/origins/0'],
    [{ related_origins: ['http://evil.example'] }, '/passkeys/related_origins/0'],
    [{ related_origins: ['https://evil.example/path'] }, '/passkeys/related_origins/0'],
    [{ rp_id: 'https://localhost' }, '/passkeys/rp_id'],
    [{ rpid: 'localhost' }, '/passkeys/rpid'],
  ] as const) {
    const { status, body } = await patch(passkeys)
    assert.equal(status, 422, JSON.stringify(passkeys))
    const pointers = (body.errors as unknown as { pointer: string }[]).map((one) => one.pointer)
    assert.ok(pointers.includes(pointer), JSON.stringify(body))
  }
  assert.deepEqual((await lido.call('GET', '/workspaces/keys-here')).body.passkeys, stored)
})

test('has keys of the algorithms that it names, unless somebody needs another one', async () => {
  const only = { algorithms: ['RS256', 'ES256'], rotate_after_days: 0 }
  const made = await lido.call('POST', '/workspaces', { slug: 'two-algs', name: 'Two algorithms', keys: only })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const signing = async () =>
    ((await lido.call('GET', '/workspaces/two-algs/keys')).body.items ?? [])
      .filter(({ state }) => state === 'signing')
      .map(({ alg }) => alg)
      .sort()
  assert.deepEqual(await signing(), ['ES256', 'RS256'])
  const client = { client_name: 'App', redirect_uris: ['https://app.example/cb'], token_endpoint_auth_method: 'none' }
  const signed = (alg: string) => ({ ...client, id_token_signed_response_alg: alg })
  assert.equal((await lido.call('POST', '/workspaces/two-algs/clients', signed('EdDSA'))).status, 422)
  assert.equal((await lido.call('POST', '/workspaces/two-algs/clients', signed('ES256'))).status, 201)
  const change = (algorithms: string[]) => lido.call('PATCH', '/workspaces/two-algs', { keys: { algorithms } })
  assert.equal((await change(['RS256'])).status, 409)
  assert.equal((await change(['ES256'])).status, 422)
  assert.equal((await change(['RS256', 'ES256', 'EdDSA'])).status, 200)
  assert.deepEqual(await signing(), ['ES256', 'EdDSA', 'RS256'])
  const { keys } = (await lido.call('GET', '/workspaces/two-algs')).body as { keys?: Record<string, unknown> }
  assert.equal(keys?.rotate_after_days, 0)
  const patch = (days: unknown) => lido.call('PATCH', '/workspaces/two-algs', { keys: { rotate_after_days: days } })
  for (const [days, status] of [
    [30, 200],
    [0, 200],
    [3, 422],
    [-1, 422],
    [null, 200],
  ])
    assert.equal((await patch(days)).status, status, String(days))
})
