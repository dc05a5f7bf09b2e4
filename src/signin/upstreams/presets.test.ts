import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportJWK, exportPKCS8, generateKeyPair, importJWK, jwtVerify } from 'jose'
import type { Fetch } from '../../platform/fetch.ts'
import { doubles } from './double-testing.ts'
import { apple, facebook, github, google, microsoft } from './presets.ts'
import { json, openProvider, toolsWith } from './provider-testing.ts'
import type { OpenUpstream, Returned } from './upstream.ts'

const at = { callback: 'https://lido.example.test/callback/one', state: 'a-state-that-nobody-can-guess' }
const secret = { client_id: 'lido', client_secret: 'secret' }

const leave = async (upstream: OpenUpstream) => {
  const left = await upstream.depart(at)
  assert.ok(left.is === 'ok', JSON.stringify(left))
  return left
}

describe('Google', () => {
  const issuer = 'https://accounts.google.com'
  const ada = { sub: '1', email: 'ada@example.org', email_verified: true }

  test('lets somebody in with the secret in the form, and believes it of addresses', async () => {
    const provider = await openProvider({
      issuer,
      authenticate: (form) => assert.equal(form.get('client_secret'), 'secret'),
    })
    const upstream = google.open(google.settings.parse(secret), toolsWith(provider.fetch))
    const { to, keep } = await leave(upstream)
    const outcome = await upstream.arrive(await provider.signIn(to, ada), keep, at)
    assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
    assert.equal(outcome.user.identifiers[0]?.verified, true)
  })

  test('keeps people of other domains out, whatever the address asked for', async () => {
    const provider = await openProvider({ issuer })
    const given = google.settings.parse({ ...secret, hosted_domain: 'example.org' })
    const upstream = google.open(given, toolsWith(provider.fetch))
    for (const [hd, is] of [
      ['example.org', 'ok'],
      ['evil.example', 'refused'],
      [undefined, 'refused'],
    ] as const) {
      const { to, keep } = await leave(upstream)
      assert.equal(to.searchParams.get('hd'), 'example.org')
      assert.equal((await upstream.arrive(await provider.signIn(to, { ...ada, hd }), keep, at)).is, is)
    }
  })
})

describe('Microsoft', () => {
  const tid = '9188040d-6c67-4c5b-b112-36a304b66dad'
  const open = async (tenants: string[] = []) => {
    const named = 'https://login.microsoftonline.com/{tenantid}/v2.0'
    const provider = await openProvider({ issuer: 'https://login.microsoftonline.com/organizations/v2.0', named })
    const given = microsoft.settings.parse({ ...secret, tenants })
    return { provider, upstream: microsoft.open(given, toolsWith(provider.fetch)) }
  }
  const iss = `https://login.microsoftonline.com/${tid}/v2.0`
  const come = async (claims: Record<string, unknown>, tenants?: string[]) => {
    const { provider, upstream } = await open(tenants)
    const { to, keep } = await leave(upstream)
    return upstream.arrive(await provider.signIn(to, claims, { claims: { iss, ...claims } }), keep, at)
  }

  test('takes people of every directory, with the issuer of theirs', async () => {
    const outcome = await come({ sub: '1', tid, email: 'ada@example.org', email_verified: true })
    assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
    assert.equal(outcome.user.tenant, tid)
    // Administrators of a directory write what they like there.
    assert.equal(outcome.user.identifiers[0]?.verified, false)
  })

  test('believes of an address what the directory has proven', async () => {
    const outcome = await come({ sub: '1', tid, email: 'ada@example.org', xms_edov: true })
    assert.ok(outcome.is === 'ok')
    assert.equal(outcome.user.identifiers[0]?.verified, true)
  })

  test('refuses a directory whose issuer is another, and those that are not on the list', async () => {
    const other = randomUUID()
    assert.equal((await come({ sub: '1', tid: other })).is, 'refused')
    assert.equal((await come({ sub: '1', tid }, [other])).is, 'refused')
    assert.equal((await come({ sub: '1', tid }, [tid])).is, 'ok')
  })
})

test('Apple gets a secret signed for five minutes, and its name is taken from the browser, once', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const key = await importJWK(await exportJWK(publicKey), 'ES256')
  const provider = await openProvider({
    issuer: 'https://appleid.apple.com',
    clientId: 'org.example.signin',
    authenticate: async (form) => {
      const audience = 'https://appleid.apple.com'
      const { payload, protectedHeader } = await jwtVerify(form.get('client_secret') ?? '', key, { audience })
      assert.deepEqual(
        [payload.iss, payload.sub, protectedHeader.kid],
        ['ABCDE12345', 'org.example.signin', 'KEY1234567'],
      )
      assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 300)
    },
  })
  const given = apple.settings.parse({
    client_id: 'org.example.signin',
    team_id: 'ABCDE12345',
    key_id: 'KEY1234567',
    private_key: await exportPKCS8(privateKey),
  })
  const upstream = apple.open(given, toolsWith(provider.fetch))
  const { to, keep } = await leave(upstream)
  assert.equal(to.searchParams.get('response_mode'), 'form_post')
  const user = JSON.stringify({ name: { firstName: 'Ada', lastName: 'Lovelace' }, email: 'mike@example.org' })
  const claims = { sub: '001', email: 'ada@privaterelay.appleid.com', email_verified: 'true' }
  const returned = await provider.signIn(to, claims, { fields: { user } })
  const outcome = await upstream.arrive({ ...returned, method: 'POST' }, keep, at)
  assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
  assert.deepEqual(outcome.user.profile, { given_name: 'Ada', family_name: 'Lovelace' })
  // What the browser says of an address is signed by nobody.
  assert.deepEqual(outcome.user.identifiers, [{ kind: 'email', typed: 'ada@privaterelay.appleid.com', verified: true }])
})

/** A double of an OAuth 2.0 provider with an API: one code, once, for whoever has the secret and the verifier. */
const openOauth = (token: string, api: Record<string, unknown>, proof?: (url: URL) => void): Fetch => {
  let code: string | undefined = 'the-code'
  return async (url, { body = '', headers = {} } = {}) => {
    const { origin, pathname } = new URL(url)
    if (origin + pathname === token) {
      const form = new URLSearchParams(String(body))
      const right = form.get('code') === code && form.get('client_secret') === 'secret' && form.get('code_verifier')
      code = undefined
      return right ? json({ access_token: 'the-token' }) : json({ error: 'bad_verification_code' })
    }
    proof?.(new URL(url))
    if (new Headers(headers).get('authorization') !== 'Bearer the-token') return json({}, 401)
    return json(api[origin + pathname] ?? {}, origin + pathname in api ? 200 : 404)
  }
}

const returned = (fields: Record<string, string> = {}): Returned => ({
  method: 'GET',
  fields: { code: 'the-code', state: at.state, ...fields },
})

describe('GitHub', () => {
  const token = 'https://github.com/login/oauth/access_token'
  const api = (emails: unknown[]) => ({
    'https://api.github.com/user': { id: 42, login: 'ada', name: 'Ada Lovelace', avatar_url: null, html_url: null },
    'https://api.github.com/user/emails': emails,
  })
  const open = (emails: unknown[]) =>
    github.open(github.settings.parse(secret), toolsWith(openOauth(token, api(emails))))
  const one = { email: 'ada@example.org', primary: true, verified: true }

  test('names somebody by their number, and takes the primary address where it is proven', async () => {
    const upstream = open([{ ...one, email: 'other@example.org', primary: false }, one])
    const { to, keep } = await leave(upstream)
    assert.equal(to.origin, 'https://github.com')
    assert.equal(to.searchParams.get('code_challenge_method'), 'S256')
    const outcome = await upstream.arrive(returned(), keep, at)
    assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
    assert.equal(outcome.user.externalId, '42')
    assert.deepEqual(outcome.user.identifiers, [{ kind: 'email', typed: 'ada@example.org', verified: true }])
    assert.equal((await upstream.arrive(returned(), keep, at)).is, 'refused')
  })

  test('takes no address that is not proven there', async () => {
    const upstream = open([{ ...one, verified: false }])
    const { keep } = await leave(upstream)
    const outcome = await upstream.arrive(returned(), keep, at)
    assert.ok(outcome.is === 'ok')
    assert.deepEqual(outcome.user.identifiers, [])
  })

  test('refuses another state, an error and an answer without a code', async () => {
    const upstream = open([one])
    const { keep } = await leave(upstream)
    assert.equal((await upstream.arrive(returned({ state: 'another' }), keep, at)).is, 'refused')
    assert.equal((await upstream.arrive(returned({ error: 'access_denied' }), keep, at)).is, 'denied')
    assert.equal((await upstream.arrive({ method: 'GET', fields: { state: at.state } }, keep, at)).is, 'refused')
  })
})

test('Facebook is asked with a proof of the secret, and no address of it is proven', async () => {
  const api = { 'https://graph.facebook.com/v23.0/me': { id: '7', name: 'Ada', email: 'ada@example.org' } }
  const fetch = openOauth('https://graph.facebook.com/v23.0/oauth/access_token', api, (url) =>
    assert.equal(
      url.searchParams.get('appsecret_proof'),
      createHmac('sha256', 'secret').update('the-token').digest('hex'),
    ),
  )
  const upstream = facebook.open(facebook.settings.parse(secret), toolsWith(fetch))
  const { to, keep } = await leave(upstream)
  assert.equal(to.origin, 'https://www.facebook.com')
  const outcome = await upstream.arrive(returned(), keep, at)
  assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
  assert.deepEqual(outcome.user.identifiers, [{ kind: 'email', typed: 'ada@example.org', verified: false }])
})

test('a refresh token is asked for in each provider’s own way, and only where it is wanted', async () => {
  const ways = { google: ['openid profile email', 'offline', 'login consent'], microsoft: [offlineToo, null, 'login'] }
  for (const [name, wanted] of Object.entries(ways)) {
    const { upstream } = (await doubles[name]?.()) ?? {}
    const at = { callback: 'https://lido.example/callback/1', state: 'state' }
    const asked = async (more: object) => {
      const left = await upstream?.depart({ ...at, ...more })
      assert.ok(left?.is === 'ok')
      return ['scope', 'access_type', 'prompt'].map((one) => left.to.searchParams.get(one))
    }
    assert.deepEqual(await asked({}), ['openid profile email', null, null])
    assert.deepEqual(await asked({ renewable: true, fresh: true }), wanted)
  }
})

const offlineToo = 'openid profile email offline_access'
