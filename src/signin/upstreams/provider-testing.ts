import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from 'jose'
import { readConfig } from '../../config.ts'
import type { Fetch, Reply } from '../../platform/fetch.ts'
import type { Returned, UpstreamTools } from './upstream.ts'

/** What a provider is asked to get wrong, for one sign-in. */
export interface Tampering {
  /** Claims of the ID token in the place of the right ones; undefined leaves one out. */
  claims?: Record<string, unknown>
  /** What userinfo says in the place of the right claims. */
  userinfo?: Record<string, unknown>
  /** Parameters that the browser brings in the place of the right ones. */
  fields?: Record<string, string>
  /** Signs with something else. */
  sign?(claims: Record<string, unknown>): Promise<string>
}

/** A double of an OpenID Provider, strict about its clients and able to be wrong about everything else. */
export interface Provider {
  issuer: string
  fetch: Fetch
  /** How often each path was asked. */
  asked: Map<string, number>
  /** What somebody does who was sent there and signs in; answers what their browser brings back. */
  signIn(to: URL, claims: Record<string, unknown>, tampering?: Tampering): Promise<Returned>
  /** New keys in the place of the old ones. */
  rotate(): Promise<void>
  /** Whether it answers at all. */
  down: boolean
  /** What it makes of its refresh tokens, each of which is good once. */
  again: Again
}

/** How a provider answers whoever asks again who somebody is. */
interface Again {
  /** How often it was asked; what userinfo says besides since; what a new ID token says, where one comes. */
  times: number
  userinfo: Record<string, unknown>
  claims: Record<string, unknown> | undefined
  /** Milliseconds that it takes. */
  latency: number
  /** Answers in the place of the token endpoint, and of userinfo. */
  instead: (() => Reply) | undefined
  insteadOfInfo: (() => Reply) | undefined
}

interface Options {
  issuer?: string
  clientId?: string
  /** Throws where the client is not who it says. */
  authenticate?(form: URLSearchParams, headers: Headers): Promise<void> | void
  metadata?: Record<string, unknown>
  /** What the discovery document says its issuer is, where that is not it. */
  named?: string
}

export const openProvider = async ({
  issuer = 'https://id.example.test',
  clientId = 'lido',
  authenticate = () => {},
  metadata = {},
  named = issuer,
}: Options = {}): Promise<Provider> => {
  let keys = await makeKeys()
  const codes = new Map<string, { form: URLSearchParams; idToken: string; info: unknown }>()
  const infos = new Map<string, unknown>()
  const asked: Provider['asked'] = new Map()
  const refreshTokens = new Map<string, Record<string, unknown>>()
  const again: Again = {
    ...{ times: 0, userinfo: {}, claims: undefined, latency: 0, instead: undefined, insteadOfInfo: undefined },
  }
  const refreshTokenFor = (info: Record<string, unknown>) => {
    const value = randomUUID()
    refreshTokens.set(value, info)
    return value
  }
  const renew = async (form: URLSearchParams): Promise<Reply> => {
    again.times += 1
    await new Promise((resolve) => setTimeout(resolve, again.latency))
    const value = form.get('refresh_token') ?? ''
    const known = refreshTokens.get(value)
    if (again.instead) return again.instead()
    refreshTokens.delete(value)
    if (!known) return json({ error: 'invalid_grant' }, 400)
    const access_token = randomUUID()
    infos.set(access_token, { ...known, ...again.userinfo })
    const now = Math.floor(Date.now() / 1000)
    const told = { iss: named, aud: clientId, iat: now, exp: now + 300, sub: known.sub, ...again.claims }
    return json({
      ...{ access_token, token_type: 'Bearer', expires_in: 300, refresh_token: refreshTokenFor(known) },
      ...(again.claims ? { id_token: await keys.sign(told) } : {}),
    })
  }
  const token = async (body: string, headers: Headers): Promise<Reply> => {
    const form = new URLSearchParams(body)
    const kept = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    try {
      await authenticate(form, headers)
    } catch {
      return json({ error: 'invalid_client' }, 401)
    }
    if (form.get('grant_type') === 'refresh_token') return renew(form)
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const fits =
      kept?.form.get('redirect_uri') === form.get('redirect_uri') && kept?.form.get('code_challenge') === challenge
    if (!kept || !fits) return json({ error: 'invalid_grant' }, 400)
    const access_token = randomUUID()
    infos.set(access_token, kept.info)
    const { scope, access_type } = Object.fromEntries(kept.form)
    const isOffline = scope?.split(' ').includes('offline_access') || access_type === 'offline'
    const refresh = isOffline ? { refresh_token: refreshTokenFor(kept.info as Record<string, unknown>) } : {}
    return json({ access_token, token_type: 'Bearer', expires_in: 300, id_token: kept.idToken, ...refresh })
  }
  const provider: Provider = {
    issuer,
    asked,
    down: false,
    again,
    fetch: async (url, { headers = {}, body = '' } = {}) => {
      if (provider.down || !url.startsWith(new URL(issuer).origin))
        throw new Error('A request to another server failed')
      const { pathname } = new URL(url)
      asked.set(pathname, (asked.get(pathname) ?? 0) + 1)
      if (pathname.endsWith('/.well-known/openid-configuration'))
        return json({ ...documentOf(named, issuer), ...metadata })
      if (pathname.endsWith('/keys')) return json({ keys: [keys.jwk] })
      if (pathname.endsWith('/token')) return token(String(body), new Headers(headers))
      if (again.insteadOfInfo) return again.insteadOfInfo()
      const info = infos.get(new Headers(headers).get('authorization')?.slice(7) ?? '')
      return info ? json(info) : json({ error: 'invalid_token' }, 401)
    },
    signIn: async (to, claims, { claims: wrong = {}, userinfo = {}, fields = {}, sign } = {}) => {
      const form = to.searchParams
      if (form.get('client_id') !== clientId || form.get('code_challenge_method') !== 'S256') throw new Error('Refused')
      const now = Math.floor(Date.now() / 1000)
      const all: Record<string, unknown> = {
        ...{ iss: named, aud: clientId, iat: now, exp: now + 300, nonce: form.get('nonce'), ...claims, ...wrong },
      }
      const told = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
      const idToken = await (sign ?? keys.sign)(told)
      const code = randomUUID()
      codes.set(code, { form, idToken, info: { ...claims, ...userinfo } })
      const brought = { code, state: form.get('state') ?? '', ...fields }
      return { method: 'GET', fields: brought }
    },
    rotate: async () => {
      keys = await makeKeys()
    },
  }
  return provider
}

const documentOf = (named: string, issuer: string) => ({
  issuer: named,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  userinfo_endpoint: `${issuer}/userinfo`,
  end_session_endpoint: `${issuer}/logout`,
  jwks_uri: `${issuer}/keys`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['RS256'],
})

const makeKeys = async () => {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const kid = randomUUID()
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey)
  return { jwk, sign }
}

/** An answer as the guarded fetch gives it. */
export const json = (body: unknown, status = 200): Reply => {
  const text = JSON.stringify(body)
  return { status, headers: { 'content-type': 'application/json' }, text: () => text, json: () => JSON.parse(text) }
}

/** What upstreams are handed, with a double in the place of the network. */
export const toolsWith = (fetch: Fetch): UpstreamTools => {
  const seen = new Set<string>()
  return {
    fetch,
    clock: { now: () => new Date() },
    config: readConfig({ NODE_ENV: 'test', SECRETS: 'a-secret-that-only-this-test-knows-0123456789' }),
    once: async (key) => !seen.has(key) && seen.add(key) !== undefined,
  }
}

/** Checks a client's assertion (RFC 7523 section 3) with its public keys. Throws where it does not hold. */
export const checkAssertion = async (
  assertion: string,
  jwk: JWK,
  audience: string,
  clientId: string,
): Promise<void> => {
  const { importJWK } = await import('jose')
  const { payload } = await jwtVerify(assertion, await importJWK(jwk, jwk.alg ?? 'ES256'), { audience })
  if (payload.sub !== clientId) throw new Error('Another subject')
}
