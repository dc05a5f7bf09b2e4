import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { OAuth2Server } from 'oauth2-mock-server'
import { openFetch } from '../../platform/fetch.ts'
import { oidc } from './oidc.ts'
import { checkAssertion, openProvider, type Provider, type Tampering, toolsWith } from './provider-testing.ts'
import type { Arrived, Departing, NotArrived, OpenUpstream } from './upstream.ts'

const at = { callback: 'https://lido.example.test/callback/one', state: 'a-state-that-nobody-can-guess' }
const ada = { sub: 'ada-1', email: 'ada@example.org', email_verified: true, given_name: 'Ada' }

const openAt = (provider: Provider, more: Record<string, unknown> = {}): OpenUpstream =>
  oidc.open(
    oidc.settings.parse({ issuer: provider.issuer, client_id: 'lido', client_secret: 'secret', ...more }),
    toolsWith(provider.fetch),
  )

const leave = async (upstream: OpenUpstream, more: Partial<Departing> = {}) => {
  const left = await upstream.depart({ ...at, ...more })
  assert.ok(left.is === 'ok', JSON.stringify(left))
  return left
}

const come = async (
  provider: Provider,
  { settings = {}, claims = ada, departing = {}, ...tampering }: Coming = {},
): Promise<Arrived | NotArrived> => {
  const upstream = openAt(provider, settings)
  const { to, keep } = await leave(upstream, departing)
  return upstream.arrive(await provider.signIn(to, claims, tampering), keep, at)
}

type Coming = Tampering & {
  settings?: Record<string, unknown>
  claims?: Record<string, unknown>
  departing?: Partial<Departing>
}

const refused = async (coming: Promise<Arrived | NotArrived>, is = 'refused'): Promise<void> => {
  const outcome = await coming
  assert.equal(outcome.is, is, JSON.stringify(outcome))
}

test('somebody who signs in at the provider arrives with what it says of them', async () => {
  const outcome = await come(await openProvider(), {
    claims: {
      ...ada,
      roles: ['editor'],
      groups: ['/team'],
      org: 'acme',
      acr: 'gold',
      amr: ['pwd'],
      auth_time: 1_700_000_000,
    },
    settings: { tenant_id_field: 'org' },
  })
  assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
  const { user, acr, amr } = outcome
  assert.equal(user.externalId, 'ada-1')
  assert.deepEqual(user.identifiers, [{ kind: 'email', typed: 'ada@example.org', verified: true }])
  assert.deepEqual([user.roles, user.groups, user.tenant], [['editor'], ['/team'], 'acme'])
  assert.equal(user.profile.given_name, 'Ada')
  assert.deepEqual([acr, amr], ['gold', ['pwd']])
})

test('what the client asked of the sign-in is asked of the provider', async () => {
  const { to } = await leave(openAt(await openProvider()), {
    loginHint: 'ada@example.org',
    fresh: true,
    maxAge: 60,
    acrValues: ['gold', 'silver'],
    lang: 'de',
  })
  const asked = Object.fromEntries(to.searchParams)
  assert.equal(asked.login_hint, 'ada@example.org')
  assert.equal(asked.prompt, 'login')
  assert.equal(asked.max_age, '60')
  assert.equal(asked.acr_values, 'gold silver')
  assert.equal(asked.ui_locales, 'de')
  assert.equal(asked.state, at.state)
  assert.equal(asked.code_challenge_method, 'S256')
  assert.ok((asked.nonce ?? '').length >= 32)
})

describe('A35: nothing of another provider, client or sign-in is taken', () => {
  const wrongs: Record<string, Coming> = {
    'no nonce': { claims: { nonce: undefined } },
    'the nonce of another sign-in': { claims: { nonce: 'another' } },
    'the audience of another client': { claims: { aud: 'another' } },
    'several audiences and another azp': { claims: { aud: ['lido', 'another'], azp: 'another' } },
    'the token of another issuer': { claims: { iss: 'https://evil.example.test' } },
    'a token that is over': { claims: { exp: Math.floor(Date.now() / 1000) - 3600 } },
    'a token without a subject': { claims: { sub: undefined } },
    'another state': { fields: { state: 'another' } },
    'the iss of another provider (RFC 9207)': { fields: { iss: 'https://evil.example.test' } },
    'an injected code': { fields: { code: 'of-somebody-else' } },
    'userinfo of somebody else': { userinfo: { sub: 'grace-2' } },
  }
  for (const [title, { claims = {}, ...wrong }] of Object.entries(wrongs))
    test(title, async () => {
      const provider = await openProvider()
      const upstream = openAt(provider)
      const { to, keep } = await leave(upstream)
      const returned = await provider.signIn(to, ada, { claims, ...wrong })
      await refused(upstream.arrive(returned, keep, at))
    })

  test('no iss where the provider says that it sends one', async () => {
    const metadata = { authorization_response_iss_parameter_supported: true }
    await refused(come(await openProvider({ metadata })))
    const iss = 'https://id.example.test'
    assert.equal((await come(await openProvider({ metadata }), { fields: { iss } })).is, 'ok')
  })

  test('a code is of no use with what another browser has kept', async () => {
    const provider = await openProvider()
    const upstream = openAt(provider)
    const [mine, others] = [await leave(upstream), await leave(upstream)]
    await refused(upstream.arrive(await provider.signIn(others.to, ada), mine.keep, at))
  })

  test('no document of a provider under another name', async () => {
    const provider = await openProvider({ named: 'https://other.example.test' })
    const left = await openAt(provider).depart(at)
    assert.equal(left.is, 'misconfigured')
  })
})

describe('ID tokens that the provider has not signed', () => {
  test('without a signature', () => refusedWith(async (claims) => new UnsecuredJWT(claims).encode()))
  test('with the public key or the secret as a shared one (HS256)', () =>
    refusedWith(async (claims) => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const text = `${part({ alg: 'HS256' })}.${part(claims)}`
      return `${text}.${createHmac('sha256', 'secret').update(text).digest('base64url')}`
    }))
  test('with a key that is not published', () =>
    refusedWith(async (claims) => {
      const { privateKey } = await generateKeyPair('RS256')
      return new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)
    }))

  const refusedWith = async (sign: NonNullable<Tampering['sign']>) => refused(come(await openProvider(), { sign }))
})

describe('A06: an address is proven by the document that it stands in, and by nothing but true', () => {
  const cases: [string, Record<string, unknown>, Record<string, unknown>, boolean][] = [
    ['absent', { email_verified: undefined }, { email_verified: undefined }, false],
    ['false', { email_verified: false }, {}, false],
    ['a text', { email_verified: 'true' }, { email_verified: 'true' }, false],
    ['of the other document', { email: undefined }, { email: 'mike@example.org', email_verified: undefined }, false],
    ['true', {}, {}, true],
  ]
  for (const [title, claims, userinfo, verified] of cases)
    test(title, async () => {
      const provider = await openProvider()
      const upstream = openAt(provider)
      const { to, keep } = await leave(upstream)
      const outcome = await upstream.arrive(await provider.signIn(to, ada, { claims, userinfo }), keep, at)
      assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
      assert.equal(outcome.user.identifiers[0]?.verified, verified)
    })

  test('the ID token’s address stays, whatever userinfo says', async () => {
    const outcome = await come(await openProvider(), { userinfo: { email: 'mike@example.org' } })
    assert.ok(outcome.is === 'ok')
    assert.deepEqual(outcome.user.identifiers, [{ kind: 'email', typed: 'ada@example.org', verified: true }])
    assert.equal(outcome.user.claims.email, 'ada@example.org')
  })
})

test('who was to prove themselves anew and was waved through is refused', async () => {
  const provider = await openProvider()
  const auth_time = Math.floor(Date.now() / 1000) - 600
  await refused(come(provider, { departing: { fresh: true }, claims: { ...ada, auth_time } }))
  await refused(come(provider, { departing: { maxAge: 60 }, claims: { ...ada, auth_time } }))
  const now = Math.floor(Date.now() / 1000)
  assert.equal((await come(provider, { departing: { fresh: true }, claims: { ...ada, auth_time: now } })).is, 'ok')
})

describe('client authentication', () => {
  test('a secret in the header, escaped as RFC 6749 section 2.3.1 wants it', async () => {
    const client_secret = 'se:cr+et/ä'
    const provider = await openProvider({
      authenticate: (_form, headers) => {
        const [id, secret] = Buffer.from(headers.get('authorization')?.slice(6) ?? '', 'base64')
          .toString()
          .split(':')
        assert.deepEqual([id, decodeURIComponent(secret ?? '')], ['lido', client_secret])
      },
    })
    assert.equal((await come(provider, { settings: { client_secret } })).is, 'ok')
  })

  test('a secret in the form', async () => {
    const provider = await openProvider({
      authenticate: (form) => assert.equal(form.get('client_secret'), 'secret'),
    })
    assert.equal((await come(provider, { settings: { authentication: 'client_secret_post' } })).is, 'ok')
  })

  test('a private key, whose public half the other side is told', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    const private_key = JSON.stringify({ ...(await exportJWK(privateKey)), kid: 'k1' })
    const provider = await openProvider({
      authenticate: (form) =>
        checkAssertion(form.get('client_assertion') ?? '', jwk, 'https://id.example.test', 'lido'),
    })
    const settings = { authentication: 'private_key_jwt', client_secret: null, private_key }
    assert.equal((await come(provider, { settings })).is, 'ok')
    const told = openAt(provider, settings).metadata?.(at.callback)
    assert.equal(told?.type, 'application/jwk-set+json')
    const [key] = JSON.parse(told?.body ?? '').keys
    assert.deepEqual([key.x, key.kid, key.d], [jwk.x, 'k1', undefined])
  })

  test('a wrong secret is told the operator as such', async () => {
    const provider = await openProvider({
      authenticate: () => {
        throw new Error('no')
      },
    })
    await refused(come(provider), 'misconfigured')
  })

  test('a way without what it needs is no setting', () => {
    const given = { issuer: 'https://id.example.test', client_id: 'lido' }
    assert.equal(oidc.settings.safeParse(given).success, false)
    assert.equal(oidc.settings.safeParse({ ...given, authentication: 'private_key_jwt' }).success, false)
    assert.equal(oidc.settings.safeParse({ ...given, authentication: 'none' }).success, true)
  })
})

test('whoever does not go on there is no fault, and an outage is one', async () => {
  const provider = await openProvider()
  const upstream = openAt(provider)
  const { keep } = await leave(upstream)
  const fields = { state: at.state, error: 'access_denied' }
  await refused(upstream.arrive({ method: 'GET', fields }, keep, at), 'denied')
  await refused(
    upstream.arrive({ method: 'GET', fields: { ...fields, error: 'temporarily_unavailable' } }, keep, at),
    'unavailable',
  )
  provider.down = true
  assert.equal((await openAt(provider).depart(at)).is, 'unavailable')
  await refused(upstream.arrive({ method: 'GET', fields: { state: at.state, code: 'x' } }, keep, at), 'unavailable')
})

test('keys are read once for many, and once more at most for unknown ones within a minute', async () => {
  const provider = await openProvider()
  const upstream = openAt(provider)
  const arrive = async () => {
    const { to, keep } = await leave(upstream)
    return upstream.arrive(await provider.signIn(to, ada), keep, at)
  }
  for (let n = 0; n < 3; n += 1) assert.equal((await arrive()).is, 'ok')
  assert.equal(provider.asked.get('/keys'), 1)
  await provider.rotate()
  for (let n = 0; n < 5; n += 1) await arrive()
  assert.ok((provider.asked.get('/keys') ?? 0) <= 2, String(provider.asked.get('/keys')))
  assert.equal(provider.asked.get('/.well-known/openid-configuration'), 1)
})

test('A33: an issuer inside the network is not reached, and the answer says nothing of what is there', async () => {
  const tools = toolsWith(openFetch({ allow: [] }))
  for (const issuer of [
    'http://127.0.0.1:5432',
    'https://localhost',
    'https://[::ffff:127.0.0.1]',
    'https://169.254.169.254',
  ]) {
    const upstream = oidc.open(oidc.settings.parse({ issuer, client_id: 'lido', client_secret: 'secret' }), tools)
    const left = await upstream.depart(at)
    assert.deepEqual(left, { is: 'unavailable', detail: 'The provider could not be reached.' })
  }
})

test('A33: keys and endpoints that a document names inside the network are not reached', async () => {
  const metadata = { token_endpoint: 'http://127.0.0.1:5432/token' }
  const outcome = await come(await openProvider({ metadata }))
  assert.notEqual(outcome.is, 'ok')
})

test('the settings are tried without anybody', async () => {
  const provider = await openProvider()
  assert.ok((await openAt(provider).test()).every(({ ok }) => ok))
  provider.down = true
  assert.ok((await openAt(provider).test()).some(({ ok }) => !ok))
})

test('signing out goes on to the provider, with the token that it knows its session by', async () => {
  const provider = await openProvider()
  const upstream = openAt(provider)
  const { to, keep } = await leave(upstream)
  const outcome = await upstream.arrive(await provider.signIn(to, ada), keep, at)
  assert.ok(outcome.is === 'ok')
  const out = await upstream.leave?.(outcome.session, { back: 'https://lido.example.test/back', state: 's' })
  assert.equal(out?.origin + (out?.pathname ?? ''), 'https://id.example.test/logout')
  assert.ok(out?.searchParams.get('id_token_hint'))
})

test('a provider of others’ making lets somebody in over the network', async () => {
  const server = new OAuth2Server()
  await server.issuer.keys.generate('RS256')
  await server.start(0, '127.0.0.1')
  try {
    const issuer = `http://127.0.0.1:${server.address().port}`
    server.issuer.url = issuer
    server.service.on('beforeTokenSigning', (token) => {
      Object.assign(token.payload, { aud: 'lido', email: 'ada@example.org', email_verified: true })
    })
    server.service.on('beforeUserinfo', (answer) => {
      answer.body = { sub: 'johndoe' }
    })
    const settings = oidc.settings.parse({ issuer, client_id: 'lido', client_secret: 'secret' })
    const upstream = oidc.open(settings, toolsWith(openFetch({ allow: ['127.0.0.1'] })))
    const { to, keep } = await leave(upstream)
    const answer = await fetch(to, { redirect: 'manual' })
    const back = new URL(answer.headers.get('Location') ?? '')
    const outcome = await upstream.arrive({ method: 'GET', fields: Object.fromEntries(back.searchParams) }, keep, at)
    assert.ok(outcome.is === 'ok', JSON.stringify(outcome))
    assert.equal(outcome.user.externalId, 'johndoe')
    assert.equal(outcome.user.identifiers[0]?.verified, true)
  } finally {
    await server.stop()
  }
})
