import assert from 'node:assert/strict'
import { sha256 } from '../../platform/secrets.ts'
import { ask, headerOf, post } from '../fixtures-testing.ts'
import { callback, email, type Flow, profile, type Suite } from './suite-testing.ts'

/** A module of the conformance suite: its name there, what it holds, and how it does. */
export interface Module {
  name: string
  says: string
  run(suite: Suite): Promise<void>
}

const claimsOfProfile = Object.keys(profile).filter((name) => name !== 'address')

const told: Record<string, string[]> = {
  profile: claimsOfProfile,
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
}

/** Asks for scopes; what they tell is at userinfo, and not in the ID token beside it (OpenID Connect Core 1.0 section 5.4). */
const scoped = async (suite: Suite, scopes: string[], asked = ['openid', ...scopes]): Promise<Flow> => {
  const flow = await suite.flow(await suite.client(), { scope: asked.join(' ') })
  const { status, body } = await suite.userinfo(flow.access)
  assert.equal(status, 200)
  assert.equal(body.sub, flow.claims.sub)
  for (const [scope, names] of Object.entries(told))
    for (const name of names) {
      assert.equal(name in body, scopes.includes(scope), `${name} at userinfo`)
      assert.equal(name in flow.claims, false, `${name} in the ID token`)
    }
  return flow
}

const scopeModule = (name: string, ...scopes: string[]): Module => ({
  name,
  says: `${scopes.join(', ')} and nothing else is told, by the types of section 5.1`,
  run: async (suite) => {
    const { access } = await scoped(suite, scopes)
    const { body } = await suite.userinfo(access)
    if (scopes.includes('email')) assert.deepEqual([body.email, body.email_verified], [email, true])
    if (scopes.includes('phone'))
      assert.deepEqual([typeof body.phone_number, body.phone_number_verified], ['string', true])
    if (scopes.includes('address')) assert.equal(typeof body.address, 'object')
    if (scopes.includes('profile')) assert.equal(typeof body.updated_at, 'number')
  },
})

const userinfoModule = (
  name: string,
  says: string,
  send: (address: string, token: string) => ReturnType<typeof ask>,
) => ({
  name,
  says,
  run: async (suite: Suite) => {
    const { access, claims } = await suite.flow(await suite.client(), { scope: 'openid profile' })
    const { status, headers, body } = await send(String(suite.metadata.userinfo_endpoint), access)
    assert.equal(status, 200)
    assert.match(headers.get('Content-Type') ?? '', /^application\/json/)
    assert.equal(body.sub, claims.sub)
  },
})

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

/** A code that was used is worth nothing, and what it gave is taken back (RFC 6749 section 4.1.2). */
const reuse = async (suite: Suite, pause: (code: string) => Promise<void>): Promise<void> => {
  const client = await suite.client()
  const { code, access } = await suite.flow(client)
  await pause(code)
  const { status, body } = await suite.redeem(client, code)
  assert.deepEqual([status, body.error], [400, 'invalid_grant'])
  assert.equal((await suite.userinfo(access)).status, 401)
}

/** Of the basic plan: the flow, its tokens, who is told what. */
export const coreModules: Module[] = [
  {
    name: 'oidcc-server',
    says: 'the whole flow, by client_secret_basic; the token is refused at userinfo when it is another one',
    run: async (suite) => {
      const { access, claims, idToken } = await suite.flow(await suite.client(), { scope: 'openid profile' })
      assert.equal((await suite.userinfo(access)).body.sub, claims.sub)
      const wrong = await suite.userinfo(`${access}x`)
      assert.equal(wrong.status, 401)
      assert.match(wrong.headers.get('WWW-Authenticate') ?? '', /^Bearer .*error="invalid_token"/)
      assert.equal(headerOf(idToken).alg, 'RS256')
    },
  },
  {
    name: 'oidcc-response-type-missing',
    says: 'a request without response_type is refused at the client, or on a page',
    run: async (suite) => {
      const { answer, code } = await suite.visit(await suite.client(), { response_type: '' })
      assert.deepEqual([answer.get('error'), answer.get('state'), code], ['invalid_request', 'a-state', ''])
    },
  },
  {
    name: 'oidcc-idtoken-signature',
    says: 'the signature is by a key of the JWKS that its kid names',
    run: async (suite) => {
      const { idToken } = await suite.flow(await suite.client())
      const { keys } = (await ask(String(suite.metadata.jwks_uri))).body as unknown as { keys: { kid: string }[] }
      assert.equal(keys.filter(({ kid }) => kid === headerOf(idToken).kid).length, 1)
    },
  },
  userinfoModule('oidcc-userinfo-get', 'userinfo by GET, with the token in the header', (address, token) =>
    ask(address, { headers: bearer(token) }),
  ),
  userinfoModule('oidcc-userinfo-post-header', 'userinfo by POST, with the token in the header', (address, token) =>
    post(address, {}, bearer(token)),
  ),
  userinfoModule('oidcc-userinfo-post-body', 'userinfo by POST, with the token in the body', (address, token) =>
    post(address, { access_token: token }),
  ),
  {
    name: 'oidcc-ensure-request-without-nonce-succeeds-for-code-flow',
    says: 'without a nonce there is none in the ID token',
    run: async (suite) => {
      const { claims } = await suite.flow(await suite.client(), { nonce: '' })
      assert.equal('nonce' in claims, false)
    },
  },
  scopeModule('oidcc-scope-profile', 'profile'),
  scopeModule('oidcc-scope-email', 'email'),
  scopeModule('oidcc-scope-address', 'address'),
  scopeModule('oidcc-scope-phone', 'phone'),
  scopeModule('oidcc-scope-all', 'profile', 'email', 'address', 'phone'),
  {
    name: 'oidcc-alternate-happy-flow',
    says: 'scopes and parameters come in any order (oidcc-ensure-other-scope-order-succeeds before)',
    run: async (suite) => {
      await scoped(suite, ['email'], ['email', 'openid'])
    },
  },
  {
    name: 'oidcc-claims-essential',
    says: 'a name that is asked for as essential is told, whatever the scope',
    run: async (suite) => {
      const client = await suite.client()
      const claims = JSON.stringify({ userinfo: { name: { essential: true } } })
      for (const scope of ['openid', 'openid profile']) {
        const { access } = await suite.flow(client, { claims, scope })
        assert.equal((await suite.userinfo(access)).body.name, profile.name)
      }
    },
  },
  {
    name: 'oidcc-codereuse',
    says: 'a code is refused the second time, at once',
    run: (suite) => reuse(suite, async () => {}),
  },
  {
    name: 'oidcc-codereuse-30seconds',
    says: 'a code is refused the second time, half a minute later, and its access token is revoked',
    run: (suite) => reuse(suite, (code) => halfAMinuteLater(suite, code)),
  },
  {
    name: 'oidcc-server-client-secret-post',
    says: 'the whole flow, by client_secret_post',
    run: async (suite) => {
      const client = await suite.client({ token_endpoint_auth_method: 'client_secret_post' })
      const { access, claims } = await suite.flow(client)
      assert.equal((await suite.userinfo(access)).body.sub, claims.sub)
    },
  },
  {
    name: 'oidcc-refresh-token',
    says: 'a refresh token is good for a new one, of its client alone, and the ID token stays of the same person',
    run: async (suite) => {
      const [client, second] = [await suite.client(), await suite.client()]
      const asked = { scope: 'openid offline_access', prompt: 'consent' }
      const { body, claims, access } = await suite.flow(client, asked)
      const token = String(body.refresh_token)
      assert.match(token, /^[\x20-\x7e]+$/)
      const fields = { grant_type: 'refresh_token', refresh_token: token, code: '', redirect_uri: '' }
      const stranger = await suite.redeem(second, '', fields)
      assert.deepEqual([stranger.status, stranger.body.error], [400, 'invalid_grant'])
      const answer = await suite.redeem(client, '', fields)
      assert.equal(answer.status, 200, answer.text)
      assert.notEqual(answer.body.access_token, access)
      const again = await suite.checkIdToken(client, String(answer.body.id_token), { nonce: String(claims.nonce) })
      const { iss, sub, aud, auth_time } = claims
      assert.deepEqual([again.iss, again.sub, again.aud, again.auth_time], [iss, sub, aud, auth_time])
      assert(Number(again.iat) >= Number(claims.iat))
      assert.equal((await suite.userinfo(String(answer.body.access_token))).status, 200)
    },
  },
  {
    name: 'oidcc-ensure-post-request-succeeds',
    says: 'a request for authorization may come by POST',
    run: async (suite) => {
      await suite.flow(await suite.client(), {}, { post: true })
    },
  },
  {
    name: 'oidcc-ensure-registered-redirect-uri',
    says: 'an address that is not registered gets a page, and nothing is sent there',
    run: async (suite) => {
      const { page, address } = await suite.visit(await suite.client(), { redirect_uri: `${callback}/other` })
      assert.deepEqual([page.status, page.step, address], [400, 'problem', undefined])
    },
  },
]

/** Lets the used code grow older than half a minute, for the database as for the engine. */
const halfAMinuteLater = async ({ lido }: Suite, code: string): Promise<void> => {
  const { db } = lido.services
  const id = sha256(code)
  const row = await db.selectFrom('artifacts').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const { iat, exp } = row.payload as { iat: number; exp: number }
  const payload = JSON.stringify({ ...(row.payload as object), iat: iat - 31, exp: exp - 31 })
  await db.updateTable('artifacts').set({ payload }).where('id', '=', id).execute()
}
