import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { type AdminLido, adminLido } from '../../admin/fixtures-testing.ts'
import { type Browser, openBrowser, type Page } from '../../browser-testing.ts'
import type { Fetch } from '../../platform/fetch.ts'
import {
  type Answer,
  ask,
  basic,
  makePool,
  makeWorkspace,
  password,
  post,
  type TestPool,
  type TestWorkspace,
} from '../fixtures-testing.ts'

/** Where the suite is sent back to, and whom it signs in. */
export const callback = 'https://suite.example/test/a/lido/callback'
export const goodbye = 'https://suite.example/test/a/lido/post_logout_redirect'
export const email = 'mike@example.org'

/** Everything that the standard scopes tell of somebody. */
export const profile = {
  name: 'Mike Miller',
  given_name: 'Mike',
  middle_name: 'Max',
  family_name: 'Miller',
  nickname: 'mm',
  preferred_username: 'mike',
  profile: 'https://mike.example/',
  picture: 'https://mike.example/me.png',
  website: 'https://mike.example/',
  gender: 'male',
  birthdate: '1987-10-16',
  zoneinfo: 'Europe/Berlin',
  locale: 'de-DE',
  address: { street_address: 'Am Markt 1', locality: 'Bremen', postal_code: '28195', country: 'DE' },
}

/** A client of the suite, and how it says that it is itself. */
export interface SuiteClient {
  id: string
  secret: string
  /** Adds what the client authenticates by to a request. */
  proves(fields: Record<string, string>): { fields: Record<string, string>; headers: Record<string, string> }
}

/** An answer to a request for authorization, or the page where the browser stayed. */
export interface Returned {
  browser: Browser
  page: Page
  /** The steps that somebody was asked for. */
  steps: string[]
  /** Where the browser was sent; undefined where it stayed at a page. */
  address: URL | undefined
  answer: URLSearchParams
  code: string
}

/** What the suite has after a whole flow. */
export interface Flow extends Returned {
  body: Answer['body']
  access: string
  idToken: string
  claims: JWTPayload
}

export type Params = Record<string, string>

/** A provider under test, and a client that plays the OpenID Foundation's conformance suite against it. */
export interface Suite {
  lido: AdminLido
  workspace: TestWorkspace
  people: TestPool
  issuer: string
  metadata: Record<string, unknown>
  client(fields?: Record<string, unknown>): Promise<SuiteClient>
  /** Sends a browser to the authorization endpoint and answers its pages. */
  authorize(client: SuiteClient, params?: Params, how?: { browser?: Browser; post?: boolean }): Promise<Returned>
  /** The same without an answer to the first page. */
  visit(client: SuiteClient, params?: Params, browser?: Browser): Promise<Returned>
  redeem(client: SuiteClient, code: string, more?: Params): Promise<Answer>
  /** The whole flow: a code, its tokens, the ID token checked. */
  flow(client: SuiteClient, params?: Params, how?: { browser?: Browser; post?: boolean }): Promise<Flow>
  /** What there is to check of every ID token (OpenID Connect Core 1.0 section 3.1.3.7). */
  checkIdToken(client: SuiteClient, token: string, expected?: { nonce?: string; alg?: string }): Promise<JWTPayload>
  userinfo(token: string): Promise<Answer>
  stop(): Promise<void>
}

/** Starts a provider; with `form_post`, every answer is asked for in a form. */
export const openSuite = async (
  how: {
    mode?: 'form_post'
    settings?: Parameters<typeof makeWorkspace>[2]['settings']
    env?: Record<string, string>
    fetch?: Fetch
  } = {},
): Promise<Suite> => {
  const lido = await adminLido(how.env ?? {})
  if (how.fetch) lido.services.fetch = how.fetch
  const people = await makePool(lido, 'suite')
  const settings = how.settings ? { settings: how.settings } : {}
  const workspace = await makeWorkspace(lido, 'conformance', { pools: [people], ...settings })
  const id = await people.user(email, profile)
  await change(lido, '/pools/suite', { identifiers: ['email', 'mobile'] })
  await change(lido, `/pools/suite/users/${id}`, {
    identifiers: [
      { type: 'email', value: email, verified: true },
      { type: 'mobile', value: '+4915112345678', verified: true },
    ],
  })
  const { issuer } = workspace
  const metadata = (await ask(`${issuer}/.well-known/openid-configuration`)).body as Record<string, unknown>
  const jwks = createRemoteJWKSet(new URL(String(metadata.jwks_uri)), { cooldownDuration: 0 })
  const mode: Params = how.mode ? { response_mode: how.mode } : {}
  const endpoint = String(metadata.authorization_endpoint)

  const ended = (browser: Browser, steps: string[]): Returned => ({ browser, steps, ...readAnswer(browser.page) })

  const start = async (client: SuiteClient, params: Params, browser: Browser, posted = false): Promise<void> => {
    const asked = withoutGaps({ ...requestOf(client), ...mode, ...params })
    if (posted) await browser.post(endpoint, asked)
    else await browser.get(`${endpoint}?${new URLSearchParams(asked)}`)
  }

  const suite: Suite = {
    lido,
    workspace,
    people,
    issuer,
    metadata,
    stop: () => lido.stop(),
    client: (fields = {}) => makeClient(lido, fields),
    visit: async (client, params = {}, browser = openBrowser(lido.url)) => {
      await start(client, params, browser)
      return ended(browser, [])
    },
    authorize: async (client, params = {}, { browser = openBrowser(lido.url), post: posted = false } = {}) => {
      await start(client, params, browser, posted)
      return ended(browser, await answerPages(browser))
    },
    redeem: (client, code, more = {}) => {
      const { fields, headers } = client.proves({
        grant_type: 'authorization_code',
        code,
        redirect_uri: callback,
        ...more,
      })
      return post(String(metadata.token_endpoint), withoutGaps(fields), headers)
    },
    flow: async (client, params = {}, more = {}) => {
      const nonce = params.nonce ?? crypto.randomUUID()
      const state = params.state ?? crypto.randomUUID()
      const returned = await suite.authorize(client, { ...params, nonce, state }, more)
      checkAnswer(returned, suite, state)
      const { status, headers, body, text } = await suite.redeem(client, returned.code)
      assert.equal(status, 200, text)
      checkTokenAnswer(headers, body)
      const idToken = String(body.id_token)
      const claims = await suite.checkIdToken(client, idToken, { nonce })
      return { ...returned, body, access: String(body.access_token), idToken, claims }
    },
    checkIdToken: async ({ id: audience }, token, { nonce, alg = 'RS256' } = {}) => {
      const checks = { issuer, audience, algorithms: [alg], requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'] }
      const { payload, protectedHeader } = await jwtVerify(token, jwks, checks)
      assert(protectedHeader.kid, 'a key ID, for there is more than one key')
      assert.equal(payload.nonce, nonce || undefined)
      assert(String(payload.sub).length <= 255)
      assert(Math.abs(Number(payload.iat) - Date.now() / 1000) < 60)
      return payload
    },
    userinfo: (token) => ask(String(metadata.userinfo_endpoint), { headers: { Authorization: `Bearer ${token}` } }),
  }
  return suite
}

const change = async (lido: AdminLido, path: string, body: unknown): Promise<void> => {
  const { status, body: answer } = await lido.call('PATCH', path, body)
  assert.equal(status, 200, JSON.stringify(answer))
}

/** Registers a client as an operator does: a confidential one that need not use PKCE, which the basic plan does not. */
const makeClient = async (lido: AdminLido, fields: Record<string, unknown>): Promise<SuiteClient> => {
  const { status, body } = await lido.call('POST', '/workspaces/conformance/clients', {
    client_name: 'The suite',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [callback],
    post_logout_redirect_uris: [goodbye],
    require_pkce: false,
    ...fields,
  })
  assert.equal(status, 201, JSON.stringify(body))
  return clientOf(String(body.client_id), String(body.client_secret), String(body.token_endpoint_auth_method))
}

/** A client that is known by its secret, one way or the other. */
const clientOf = (id: string, secret: string, method: string): SuiteClient => ({
  id,
  secret,
  proves: (fields) =>
    method === 'client_secret_post'
      ? { fields: { ...fields, client_id: id, client_secret: secret }, headers: {} }
      : { fields, headers: basic(id, secret) },
})

const requestOf = ({ id }: SuiteClient): Params => ({
  client_id: id,
  redirect_uri: callback,
  response_type: 'code',
  scope: 'openid',
  state: 'a-state',
  nonce: 'a-nonce',
})

/** Leaves out what is empty: a field of `''` is one that is not sent. */
export const withoutGaps = (fields: Params): Params =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))

/** Signs in and agrees, as somebody without JavaScript does; says which pages came. */
export const answerPages = async (browser: Browser, decision = 'allow'): Promise<string[]> => {
  const steps: string[] = []
  const answers: Record<string, Params> = {
    identify: { identifier: email },
    prove: { password },
    consent: { decision },
  }
  for (const step of ['identify', 'prove', 'consent']) {
    if (browser.page.step !== step) continue
    steps.push(step)
    await browser.submit(answers[step])
  }
  return steps
}

/** Reads where a browser ended: in the query, the fragment or a form. */
export const readAnswer = (page: Page): Pick<Returned, 'page' | 'address' | 'answer' | 'code'> => {
  const posted = page.step === 'formpost' ? formOf(page.html) : undefined
  const url = new URL(posted?.action ?? page.url)
  const away = url.origin === new URL(callback).origin
  const answer = posted?.fields ?? new URLSearchParams(url.hash ? url.hash.slice(1) : url.search)
  return {
    page,
    address: away ? url : undefined,
    answer: away ? answer : new URLSearchParams(),
    code: away ? (answer.get('code') ?? '') : '',
  }
}

const formOf = (html: string): { action: string; fields: URLSearchParams } => {
  const [, action = ''] = html.match(/<form method="post" action="([^"]*)"/) ?? []
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)
  return {
    action: plain(action),
    fields: new URLSearchParams(
      Object.fromEntries([...inputs].map(([, name = '', value = '']) => [plain(name), plain(value)])),
    ),
  }
}

const plain = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')

/** What every good answer is: at the address that is registered, with the state, from this issuer (RFC 9207). */
export const checkAnswer = (
  { address, answer, code, page }: Returned,
  { issuer }: { issuer: string },
  state: string,
) => {
  assert(address && code, `${page.status} ${page.step} ${page.url}`)
  assert.equal(address.origin + address.pathname, callback)
  assert.equal(answer.get('error'), null)
  assert.equal(answer.get('state') ?? '', state)
  assert.equal(answer.get('iss'), issuer)
  assert(code.length >= 22, 'a code with enough entropy')
}

/** What every answer of the token endpoint is (OpenID Connect Core 1.0 section 3.1.3.3). */
const checkTokenAnswer = (headers: Headers, body: Answer['body'], type = 'Bearer'): void => {
  assert.match(headers.get('Cache-Control') ?? '', /no-store/)
  assert.equal(body.token_type, type)
  assert(Number(body.expires_in) > 0)
  assert(String(body.access_token).length >= 22)
}

/** A challenge and its verifier (RFC 7636). */
export const challenge = (verifier: string) => ({
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
})
