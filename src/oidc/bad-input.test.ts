import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { authorizeUrl, openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  basic,
  callback,
  makePool,
  makeWorkspace,
  password,
  redeem,
  type SignedIn,
  signIn,
  type TestWorkspace,
  type Tokens,
  tokensOf,
} from './fixtures-testing.ts'
import { type Heard, type Raw, sendTo } from './raw-testing.ts'

let lido: TestLido
let workspace: TestWorkspace
let mike: Tokens & { browser: SignedIn['browser'] }
let web: Record<string, string>
before(async () => {
  lido = await testLido()
  const people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  await workspace.client('spa')
  web = basic('web', await workspace.client('web', { token_endpoint_auth_method: 'client_secret_basic' }))
  await people.user('mike@example.org')
  mike = await tokensOf(lido, workspace, 'mike@example.org')
})
after(() => lido.stop())

const send = (raw: Raw) => sendTo(lido.url, raw)

const form = (path: string, body: string, headers: Raw['headers'] = {}) =>
  send({ method: 'POST', path, body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers } })

const authorize = (params: Record<string, string> = {}, more = '') => {
  const { url } = authorizeUrl(lido.url, 'w1', { client_id: 'spa', redirect_uri: callback, ...params })
  return `/w/w1/authorize${new URL(url).search}${more}`
}

/** A refusal: no redirect off the list, no token, no fault of ours. */
const assertRefused = ({ status, headers, text }: Heard, about: string): void => {
  assert(status >= 300 && status < 500, `${status} ${about} ${text}`)
  if (status < 400) {
    const to = new URL(headers.location ?? '', lido.url)
    assert.equal(to.origin + to.pathname, callback, about)
    assert(to.searchParams.get('error'), about)
    assert.equal(to.searchParams.get('code'), null, about)
  } else assert.equal(headers.location, undefined, about)
  assert(!text.includes('access_token'), about)
}

/** Wherever it led, it was not off the list, brought no code, and was no fault of ours. */
const assertHarmless = ({ status, headers }: Heard, about: string): void => {
  assert(status === 303 || status === 400, `${status} ${about}`)
  const to = new URL(headers.location ?? lido.url, lido.url)
  assert([lido.url, new URL(callback).origin].includes(to.origin), about)
  assert.equal(to.searchParams.get('code'), null, about)
  assert.equal(headers['x-evil'], undefined)
}

const long = (length: number) => 'abcdefghij'.repeat(length / 10)

test('an unknown workspace, client or address is a page that says so, and no redirect', async () => {
  const query = authorize().split('?')[1]
  const slugs = [
    'nobody',
    'W1',
    '__proto__',
    'constructor',
    'w1%2f',
    '..',
    '%2e%2e',
    'w1%00',
    '%ff',
    '%',
    long(5000),
    "'--",
    'w1.',
  ]
  for (const slug of slugs)
    for (const path of ['authorize', 'token', 'jwks', 'signin/x', '.well-known/openid-configuration']) {
      const heard = await send({ path: `/w/${slug}/${path}?${query}`, headers: { Accept: 'text/html' } })
      assert.match(String(heard.status), /^4\d\d$/, slug)
      assert.equal(heard.headers.location, undefined)
      assert.match(heard.text, /data-step="problem"/)
    }
  for (const client_id of [
    'nobody',
    '__proto__',
    'constructor',
    'toString',
    '',
    long(300),
    long(9000),
    'spa ',
    'SPA',
    'ü',
    "' or 1=1",
  ]) {
    const heard = await send({ path: authorize({ client_id }), headers: { Accept: 'text/html' } })
    assert.equal(heard.status, 400, client_id)
    assert.equal(heard.headers.location, undefined)
    assert.match(heard.text, /data-step="problem"/)
  }
  for (const path of [
    '/w',
    '/w/',
    '/w/w1',
    '/w/w1/',
    '/w//authorize',
    '/w/w1//authorize',
    '/w/w1/authorize/../../x',
    '/w/w1/nothing',
  ])
    assert.equal((await send({ path })).status, 404, path)
  for (const path of [
    '/w/w1/authorize/x',
    '/w/w1/authorize/__proto__',
    '/w/w1/authorize/%ff',
    '/w/w1/signin/x',
    '/w/w1/signin/__proto__',
  ])
    assertRefused(await send({ path }), path)
})

test('a parameter that comes twice is refused, whichever it is', async () => {
  for (const name of [
    'client_id',
    'redirect_uri',
    'response_type',
    'scope',
    'state',
    'nonce',
    'prompt',
    'code_challenge',
    'code_challenge_method',
    'max_age',
    'login_hint',
    'ui_locales',
    'acr_values',
    'response_mode',
    'id_token_hint',
  ]) {
    const value = new URLSearchParams(authorize().split('?')[1]).get(name) ?? 'x'
    assertRefused(await send({ path: authorize({}, `&${name}=${value}&${name}=y`) }), name)
  }
  const signedIn = await signIn(lido, workspace, '', {}, mike.browser)
  const fields = {
    grant_type: 'authorization_code',
    code: signedIn.code,
    code_verifier: signedIn.verifier,
    redirect_uri: callback,
    client_id: 'spa',
  }
  for (const [name, value] of Object.entries(fields))
    for (const again of [value, 'other']) {
      const heard = await form(
        '/w/w1/token',
        `${new URLSearchParams(fields)}&${new URLSearchParams({ [name]: again })}`,
      )
      assert.equal(heard.status, 400, name)
      assert.equal(JSON.parse(heard.text).error, 'invalid_request')
    }
  for (const path of ['introspect', 'revoke'])
    assert.equal((await form(`/w/w1/${path}`, `token=${mike.access}&token=x&client_id=spa`)).status, 400)
  assert.equal((await redeem(workspace.issuer, signedIn)).status, 200)
  assert.equal((await send({ path: '/w/w1/logout?client_id=spa&client_id=web' })).status, 400)
})

const prototypes =
  '&__proto__=x&__proto__[client_id]=web&constructor=y&constructor[prototype]=z&toString=1&hasOwnProperty=1'

test('parameters with names of object prototypes are refused, and in a body change nothing', async () => {
  assert.equal((await send({ path: authorize({ prompt: 'none' }, prototypes) })).status, 400)
  const posted = await form('/w/w1/token', `grant_type=refresh_token&refresh_token=x&client_id=spa${prototypes}`)
  assert.deepEqual([posted.status, JSON.parse(posted.text).error], [400, 'invalid_grant'])
  const seen = await form('/w/w1/introspect', `token=${mike.access}&client_id=spa${prototypes}`)
  assert.equal(JSON.parse(seen.text).active, true)
  assert.equal(({} as Record<string, unknown>).client_id, undefined)
  assert.equal(
    (await send({ path: `/w/w1/userinfo?${prototypes}`, headers: { Authorization: `Bearer ${mike.access}` } })).status,
    400,
  )
})

test('NUL bytes, broken encodings and control characters are refused', async () => {
  for (const odd of [
    '%00',
    '%',
    '%zz',
    '%ff%fe',
    '%c0%80',
    '%0d%0aX-Evil:%201',
    '%ed%a0%80',
    '%e2%80%ae',
    '%1b[31m',
    '%F0%9F%92%A9',
  ]) {
    for (const name of [
      'client_id',
      'redirect_uri',
      'response_type',
      'scope',
      'prompt',
      'code_challenge',
      'max_age',
      'response_mode',
      'id_token_hint',
    ])
      assertHarmless(
        await send({ path: authorize({ [name]: '' }).replace(`${name}=`, `${name}=${odd}`) }),
        `${name} ${odd}`,
      )
    for (const name of ['state', 'nonce', 'login_hint', 'ui_locales', 'acr_values', 'idp_hint']) {
      const heard = await send({ path: `${authorize().replace(/&state=\w+/, '')}&${name}=${odd}` })
      assertHarmless(heard, `${name} ${odd}`)
    }
    for (const body of [
      `grant_type=${odd}&client_id=spa`,
      `grant_type=authorization_code&code=${odd}&redirect_uri=${odd}&code_verifier=${odd}&client_id=spa`,
      `grant_type=refresh_token&refresh_token=${odd}&client_id=spa`,
      `grant_type=refresh_token&refresh_token=x&scope=${odd}&client_id=spa`,
      `grant_type=client_credentials&client_id=${odd}&client_secret=${odd}`,
      `grant_type=client_credentials&resource=${odd}&client_id=spa`,
    ])
      assertRefused(await form('/w/w1/token', body), body)
    for (const path of ['introspect', 'revoke']) {
      const heard = await form(`/w/w1/${path}`, `token=${odd}&token_type_hint=${odd}&client_id=spa`)
      assert(heard.status === 200 || heard.status === 400, `${heard.status} ${path} ${odd}`)
    }
    for (const path of [
      `logout?id_token_hint=${odd}`,
      `logout?client_id=${odd}`,
      `logout/success?client_id=${odd}`,
      `authorize/${odd}`,
      `signin/${odd}`,
    ])
      assertRefused(await send({ path: `/w/w1/${path}` }), path)
  }
})

test('a state of 20 KB comes back as it was, one of 64 KB is refused or kept', async () => {
  const kept = `${long(20_000)}~-._`
  const browser = openBrowser(lido.url)
  const { url } = authorizeUrl(lido.url, 'w1', {
    client_id: 'spa',
    redirect_uri: callback,
    state: kept,
    login_hint: 'a@b.example',
  })
  await browser.get(url)
  await browser.submit({ identifier: 'mike@example.org' })
  assert.equal(browser.page.step, 'prove')
  const { pathname, search } = new URL(browser.page.url)
  const cookie = [...browser.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const csrf = browser.page.html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? ''
  const asks = browser.page.html.match(/name="asks" value="([^"]+)"/)?.[1]?.replaceAll('&quot;', '"')
  const answer = { csrf, password, ...(asks ? { asks } : {}) }
  const proven = await form(pathname + search, new URLSearchParams(answer).toString(), {
    Cookie: cookie,
    Origin: lido.url,
  })
  assert.equal(proven.status, 303, proven.text)
  const resumed = await send({
    path: new URL(proven.headers.location ?? '', lido.url).pathname,
    headers: { Cookie: cookie },
  })
  const back = new URL(resumed.headers.location ?? '')
  assert.equal(back.searchParams.get('state'), kept)
  assert(back.searchParams.get('code'))

  for (const length of [40_000, 64_000, 200_000]) {
    // A connection may be closed over an address that is too long, before all of it was sent.
    const heard = await send({ path: authorize({ state: long(length) }) }).catch(refusal)
    assert.match(String(heard.status), /^(303|4\d\d)$/)
  }
  for (const name of [
    'scope',
    'nonce',
    'login_hint',
    'acr_values',
    'ui_locales',
    'prompt',
    'code_challenge',
    'id_token_hint',
    'claims',
  ]) {
    const heard = await send({ path: authorize({ [name]: long(20_000) }) })
    assert(heard.status === 303 || heard.status === 400, `${heard.status} ${name}`)
  }
})

const refusal = (error: { code?: string }): Pick<Heard, 'status'> => {
  assert.match(error.code ?? String(error), /^(ECONNRESET|EPIPE)$/)
  return { status: 413 }
}

test('a body of more than 64 KB is not read', async () => {
  for (const path of [
    'token',
    'introspect',
    'revoke',
    'userinfo',
    'authorize',
    'logout',
    'logout/confirm',
    'signin/x',
    'recover',
  ])
    for (const headers of [{}, web] as Record<string, string>[]) {
      const heard = await form(`/w/w1/${path}`, `token=${long(70_000)}`, headers).catch(refusal)
      assert.match(String(heard.status), /^4\d\d$/, path)
    }
})

test('content that is no form is refused', async () => {
  const types = [
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/xml',
    'x',
    'application/x-www-form-urlencoded; charset=nonsense',
  ]
  for (const path of [
    'token',
    'introspect',
    'revoke',
    'userinfo',
    'authorize',
    'logout',
    'logout/confirm',
    'signin/x',
    'recover',
  ])
    for (const type of types)
      for (const body of [
        '{"grant_type":"client_credentials"',
        '{}',
        '[]',
        'null',
        'grant_type=client_credentials',
        '\0',
        '',
      ]) {
        const heard = await form(`/w/w1/${path}`, body, { 'Content-Type': type })
        const posted = type.includes('urlencoded') && ['authorize', 'logout'].includes(path)
        assert.match(String(heard.status), posted ? /^303$/ : /^4\d\d$/, `${path} ${type} ${body}`)
      }
  for (const encoding of ['gzip', 'deflate', 'br', 'nonsense']) {
    const heard = await form('/w/w1/token', 'grant_type=client_credentials&client_id=spa', {
      'Content-Encoding': encoding,
    })
    assert(heard.status >= 400 && heard.status < 500, encoding)
  }
})

test('a malformed Authorization header is refused', async () => {
  const encode = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  const values = [
    'Basic',
    'Basic ',
    'Basic !!!',
    'Basic a b',
    encode('web'),
    encode('web:'),
    encode(':x'),
    encode('%zz:%zz'),
    encode('w\0b:x'),
    encode('__proto__:x'),
    `Basic ${long(20_000)}`,
    'Digest x',
    'Bearer x',
    encode(`web:${long(9000)}`),
  ]
  for (const Authorization of values)
    for (const path of ['token', 'introspect', 'revoke']) {
      const heard = await form(`/w/w1/${path}`, 'grant_type=client_credentials&token=x', { Authorization })
      assert.match(
        `${heard.status} ${JSON.parse(heard.text).error}`,
        /^(401 invalid_client|400 invalid_request)$/,
        Authorization,
      )
    }
  const [header = '', payload = ''] = mike.id.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const tokens = [
    '',
    'x',
    'a b',
    long(20_000),
    mike.refresh,
    mike.id,
    `${none}.${payload}.`,
    `${header}.${payload}.AAAA`,
    '__proto__',
    '%00',
    '../../etc/passwd',
  ]
  for (const token of tokens)
    for (const scheme of ['Bearer', 'bearer', 'DPoP', 'Basic']) {
      const heard = await send({ path: '/w/w1/userinfo', headers: { Authorization: `${scheme} ${token}` } })
      assert.match(String(heard.status), /^40[01]$/, token)
    }
  const twice = await form('/w/w1/userinfo', `access_token=${mike.access}`, { Authorization: `Bearer ${mike.access}` })
  assert.equal(twice.status, 400)
})

test('cookies that are not ours, or not whole, are nobody', async () => {
  const names = new Set([...mike.browser.cookies.keys()].map((key) => key.split('@')[0] ?? ''))
  for (const name of [...names, 'lido_interaction', 'lido_interaction.sig', 'lido_resume'])
    for (const value of ['', 'x', '__proto__', '%00', '%', '"', long(9000), mike.access, 'a=b', 'ü']) {
      const Cookie = Buffer.from(`${name}=${value}; ${name}=twice; =; ;;`).toString('latin1')
      const asked = await send({ path: authorize({ prompt: 'none' }), headers: { Cookie } })
      assert.equal(new URL(asked.headers.location ?? '').searchParams.get('error'), 'login_required', value)
      for (const path of ['authorize/x', 'signin/x'])
        assertRefused(await send({ path: `/w/w1/${path}`, headers: { Cookie } }), value)
      assert((await send({ path: '/w/w1/logout', headers: { Cookie } })).status < 500)
    }
})

test('a database that is too slow below the engine is told as such, and not as an error of the client', async () => {
  await workspace.client('third', { first_party: false })
  const cookies = [...mike.browser.cookies].filter(([name]) => name.startsWith('lido_session'))
  const Cookie = cookies.map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const asking = { path: authorize({ client_id: 'third', prompt: 'none' }), headers: { Cookie } }
  const slow = await lido.services.db.transaction().execute(async (trx) => {
    await sql`lock table consents in access exclusive mode`.execute(trx)
    return send(asking)
  })
  assert.deepEqual([slow.status, slow.headers.location], [503, undefined])
  assert(Number(slow.headers['retry-after']) > 0)
  assert.equal((await send(asking)).status, 303)
})

test('a NUL in a form is refused, wherever a client posts it', async () => {
  const deviceOnly = {
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code' as const],
    redirect_uris: [],
    post_logout_redirect_uris: [],
  }
  await workspace.client('tv', deviceOnly)
  const [, query = ''] = authorize().split('?')
  for (const name of ['state', 'nonce', 'login_hint', 'acr_values', 'idp_hint']) {
    assertRefused(await form('/w/w1/par', `${query.replace(/&state=[^&]*/, '')}&${name}=a%00b`), name)
  }
  for (const name of ['login_hint', 'acr_values'])
    assertRefused(await form('/w/w1/device_authorization', `client_id=tv&scope=openid&${name}=a%00b`), name)
})

test('none of it was an error of ours', () => {
  const errors = lido.lines.filter((line) => JSON.parse(line).level >= 50)
  assert.deepEqual(errors, [])
})
