import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl, openBrowser, type Page } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { callback, goodbye, makePool, makeWorkspace, signIn, type TestWorkspace } from './fixtures-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  await workspace.client('local', { redirect_uris: ['http://localhost:4000/callback'], first_party: true })
  await people.user('mike@example.org')
})
after(() => lido.stop())

const assertErrorPage = (page: Page, about: string): void => {
  assert.equal(page.status, 400, about)
  assert.equal(page.headers.get('Location'), null, about)
  assert.equal(page.step, 'problem', about)
}

/** Addresses that are not the registered one, but look like it to somebody. */
const almost = (uri: string): string[] => {
  const { protocol, host, pathname } = new URL(uri)
  const at = (path: string) => `${protocol}//${host}${path}`
  return [
    `${uri}x`,
    `${uri}/`,
    `${uri}/more`,
    `${uri}/..%2f..%2fevil`,
    `${uri}/../evil`,
    at(`/%2e%2e${pathname}`),
    at(`/.${pathname}`),
    at(`/${pathname}`),
    `${protocol}//${host}\\evil.example${pathname}`,
    `${protocol}\\\\${host}${pathname}`,
    `${protocol}//${host}@evil.example${pathname}`,
    `${protocol}//evil.example@${host}${pathname}`,
    `${protocol}//evil.example#@${host}${pathname}`,
    `//evil.example${pathname}`,
    `//${host}${pathname}`,
    `${protocol}//${host}.evil.example${pathname}`,
    `${protocol}//${host.split(':')[0]}:444${pathname}`,
    `${protocol === 'https:' ? 'http:' : 'https:'}//${host}${pathname}`,
    `${protocol}//${host.toUpperCase()}${pathname}`,
    at(pathname.toUpperCase()),
    `${protocol.toUpperCase()}//${host}${pathname}`,
    `${uri}#fragment`,
    `${uri}#`,
    `${uri}?`,
    `${uri}?added=1`,
    `${uri};added`,
    ` ${uri}`,
    `${uri} `,
    `${uri}\t`,
    `${uri}\n`,
    `${uri}%00`,
    `${uri} https://evil.example`,
    `javascript:alert(1)//${uri}`,
    `data:text/html,${uri}`,
    'https://evil.example/callback',
    'callback',
    '/callback',
    '',
  ]
}

for (const prompt of [undefined, 'none'])
  test(`A19: a redirect_uri that is only almost the registered one gets an error page${prompt ? ', A20: also with prompt=none' : ''}`, async () => {
    for (const [client_id, registered] of [
      ['spa', callback],
      ['local', 'http://localhost:4000/callback'],
    ] as const)
      for (const redirect_uri of almost(registered)) {
        const browser = openBrowser(lido.url)
        const { url } = authorizeUrl(lido.url, 'w1', { client_id, redirect_uri, ...(prompt ? { prompt } : {}) })
        assertErrorPage(await browser.get(url), JSON.stringify(redirect_uri))
      }
  })

test('A19: somebody who is signed in is sent nowhere else either', async () => {
  const { browser } = await signIn(lido, workspace, 'mike@example.org')
  for (const redirect_uri of almost(callback)) {
    const { url } = authorizeUrl(lido.url, 'w1', { client_id: 'spa', redirect_uri })
    assertErrorPage(await browser.get(url), JSON.stringify(redirect_uri))
    assertErrorPage(
      await browser.post(url.split('?')[0] ?? '', Object.fromEntries(new URL(url).searchParams)),
      redirect_uri,
    )
  }
})

test('a request that is posted goes on as one in the address', async () => {
  const { browser } = await signIn(lido, workspace, 'mike@example.org')
  const { url } = authorizeUrl(lido.url, 'w1', { client_id: 'spa', redirect_uri: callback, state: 'a=b&c d' })
  const { origin, pathname, searchParams } = new URL(url)
  await browser.post(origin + pathname, Object.fromEntries(searchParams), { Origin: 'https://app.example' })
  const at = new URL(browser.page.url)
  assert.equal(at.origin + at.pathname, callback)
  assert.equal(at.searchParams.get('state'), 'a=b&c d')
  assert(at.searchParams.get('code'))
  await browser.post(`${workspace.issuer}/logout`, { client_id: 'spa', post_logout_redirect_uri: goodbye })
  assert.equal(browser.page.step, 'logout')
})

test('A19: two redirect_uris, or none, get an error page', async () => {
  const { url } = authorizeUrl(lido.url, 'w1', { client_id: 'spa', redirect_uri: callback })
  const twice = `${url}&redirect_uri=${encodeURIComponent('https://evil.example/')}`
  assertErrorPage(await openBrowser(lido.url).get(twice), 'twice')
  const array = url.replace('redirect_uri=', 'redirect_uri[]=')
  assertErrorPage(await openBrowser(lido.url).get(array), 'array')
})

test('A19: other errors of a request with a bad redirect_uri are not sent to it', async () => {
  const others: Record<string, string>[] = [
    { response_type: 'token' },
    { scope: 'openid \u0001' },
    { prompt: 'none login' },
    { max_age: '-1' },
    { claims: '{' },
    { request: 'x.y.z' },
    { request_uri: 'https://evil.example/r' },
    { response_mode: 'unknown' },
    { code_challenge_method: 'plain' },
    { id_token_hint: 'x' },
  ]
  for (const more of others) {
    const wanted = { client_id: 'spa', redirect_uri: 'https://evil.example/callback', ...more }
    assertErrorPage(await openBrowser(lido.url).get(authorizeUrl(lido.url, 'w1', wanted).url), JSON.stringify(more))
  }
})

test('A19: a post_logout_redirect_uri that is only almost the registered one is not followed', async () => {
  const { browser } = await signIn(lido, workspace, 'mike@example.org')
  for (const post_logout_redirect_uri of almost(goodbye)) {
    if (!post_logout_redirect_uri) continue
    const query = new URLSearchParams({ client_id: 'spa', post_logout_redirect_uri })
    assertErrorPage(await browser.get(`${workspace.issuer}/logout?${query}`), post_logout_redirect_uri)
  }
  // Without a client nobody has registered it: it is not followed either.
  const query = new URLSearchParams({ post_logout_redirect_uri: goodbye })
  await browser.get(`${workspace.issuer}/logout?${query}`)
  await browser.submit({ logout: 'yes' })
  assert.equal(new URL(browser.page.url).origin, lido.url)
  assert.equal(browser.page.step, 'loggedout')
})

test('the issuer is named in every authorization response, errors too', async () => {
  const { at, browser } = await signIn(lido, workspace, 'mike@example.org')
  assert.equal(at.searchParams.get('iss'), workspace.issuer)
  const wanted = { client_id: 'spa', redirect_uri: callback, state: 'kept' }
  for (const [more, error] of [
    [{ prompt: 'login none' }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ scope: 'openid \u0001' }, 'invalid_scope'],
    [{ max_age: 'x' }, 'invalid_request'],
    [{ request: 'e30.e30.' }, 'invalid_request_object'],
    [{ request_uri: 'https://evil.example/r' }, 'request_uri_not_supported'],
    [{ registration: '{}' }, 'registration_not_supported'],
    [{ resource: 'https://other.example/' }, 'invalid_target'],
    [{ code_challenge: 'short' }, 'invalid_request'],
    [{ id_token_hint: 'x' }, 'invalid_request'],
  ] as const) {
    const page = await browser.get(authorizeUrl(lido.url, 'w1', { ...wanted, ...more }).url)
    const { origin, pathname, searchParams, hash } = new URL(page.url)
    assert.equal(origin + pathname, callback, `${JSON.stringify(more)} ${page.html}`)
    const told = hash ? new URLSearchParams(hash.slice(1)) : searchParams
    assert.deepEqual(
      [told.get('error'), told.get('iss'), told.get('state')],
      [error, workspace.issuer, 'kept'],
      JSON.stringify(more),
    )
  }
})
