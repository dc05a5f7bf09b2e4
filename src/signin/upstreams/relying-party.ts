import type * as openid from 'openid-client'
import { randomToken, sha256 } from '../../platform/secrets.ts'
import type { Tried } from '../sources/source.ts'
import { ofTokens, outsiderFrom } from './claims.ts'
import { faultOf } from './faults.ts'
import type { Arrived, Departing, NotArrived, OpenUpstream, Renewed, Returned, UpstreamTools } from './upstream.ts'

type Client = typeof openid

/** What this program is at an OpenID Provider, and what is special about the provider. */
export interface RelyingParty {
  issuer: string
  clientId: string
  scopes: readonly string[]
  userinfo: boolean
  tenantField: string | null
  rolesField: string
  groupsField: string
  authenticate(client: Client): Promise<openid.ClientAuth>
  /** The private key that we sign with, as a JWK in JSON; its public half is told to the other side. */
  publicKeys?: string | null
  /** Parameters that this provider wants besides. */
  more?: Record<string, string>
  /** What is asked for besides where a refresh token is wanted; undefined where it gives one to everybody. */
  offline?: { scope?: string; parameters?: Record<string, string> } | undefined
  /** What is known of somebody besides their ID token, from what the browser brought. */
  told?(fields: Returned['fields']): Record<string, unknown>
  /** Whether the email address is theirs, where the provider says so in a way of its own. */
  vouches?(claims: Record<string, unknown>): boolean
  /** Throws where somebody is not from where they have to be from. */
  admits?(claims: Record<string, unknown>): string | undefined
}

interface Kept {
  nonce: string
  verifier: string
  maxAge?: number | undefined
  fresh?: boolean | undefined
  renewable?: boolean | undefined
  at: number
}

/** What a provider is asked again with: its refresh token, and what only its ID token told of somebody. */
interface Renewal {
  /** Who gave it, and to whom: nobody else is shown it, also where the settings are another's by now. */
  from: string
  refresh_token: string
  sub: string
  id_token: Record<string, unknown>
}

/** An OpenID Provider as an upstream: authorization code with PKCE, state and nonce (security.md 85–90). */
export const openRelyingParty = (party: RelyingParty, tools: UpstreamTools): OpenUpstream => {
  const configured = remembered(() => configure(party, tools), tools)
  return {
    depart: (at) => caught(() => depart(party, tools, configured, at)),
    arrive: (returned, kept, at) => caught(() => arrive(party, configured, { returned, kept: kept as Kept, ...at })),
    renew: (renewal) => renew(party, configured, renewal as Renewal),
    leave: async (session, { back, state }) => leave(await configured(), session, back, state).catch(() => undefined),
    test: () => test(party, tools),
    ...(party.publicKeys
      ? { metadata: () => ({ type: 'application/jwk-set+json', body: publicKeysOf(party.publicKeys ?? '') }) }
      : {}),
  }
}

type Configured = () => Promise<{ client: Client; config: openid.Configuration }>

/** Parameters in the order in which people read them; `max_age` 0 is `prompt=login` for those who do not know it. */
const depart = async (
  party: RelyingParty,
  tools: UpstreamTools,
  configured: Configured,
  { callback, state, loginHint, fresh, maxAge, acrValues, lang, renewable }: Departing,
): Promise<{ is: 'ok'; to: URL; keep: Kept }> => {
  const { client, config } = await configured()
  const at = tools.clock.now().getTime()
  const kept = { nonce: randomToken(), verifier: randomToken(48), maxAge, fresh, renewable, at }
  const offline = renewable ? party.offline : undefined
  const prompts = [...(fresh ? ['login'] : []), ...(offline?.parameters?.prompt ? [offline.parameters.prompt] : [])]
  const to = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: [...party.scopes, ...(offline?.scope ? [offline.scope] : [])].join(' '),
    state,
    nonce: kept.nonce,
    code_challenge: sha256(kept.verifier),
    code_challenge_method: 'S256',
    ...(loginHint ? { login_hint: loginHint } : {}),
    ...offline?.parameters,
    ...(prompts.length > 0 ? { prompt: prompts.join(' ') } : {}),
    ...(maxAge !== undefined ? { max_age: String(maxAge) } : {}),
    ...(acrValues && acrValues.length > 0 ? { acr_values: acrValues.join(' ') } : {}),
    ...(lang ? { ui_locales: lang } : {}),
    ...party.more,
  })
  return { is: 'ok', to, keep: kept }
}

interface Coming {
  returned: Returned
  kept: Kept
  callback: string
  state: string
}

const arrive = async (
  party: RelyingParty,
  configured: Configured,
  { returned, kept, callback, state }: Coming,
): Promise<Arrived | NotArrived> => {
  const { client, config } = await configured()
  const url = new URL(callback)
  for (const [name, value] of Object.entries(returned.fields)) if (answers.has(name)) url.searchParams.set(name, value)
  const tokens = await client.authorizationCodeGrant(config, url, {
    expectedState: state,
    expectedNonce: kept.nonce,
    pkceCodeVerifier: kept.verifier,
    idTokenExpected: true,
    ...(kept.maxAge !== undefined ? { maxAge: kept.maxAge } : {}),
  })
  const token = tokens.claims()
  if (!token) return { is: 'refused', detail: 'There is no ID token.' }
  // Whoever was to prove themselves anew and was waved through has proven nothing (`prompt=login`).
  if (kept.fresh && typeof token.auth_time === 'number' && token.auth_time * 1000 < kept.at - skewMs)
    return { is: 'refused', detail: 'The provider did not ask anew who it is: auth_time is from before.' }
  const wrong = party.admits?.(token)
  if (wrong) return { is: 'refused', detail: wrong }
  const info = await infoOf(party, { client, config }, tokens.access_token, token.sub)
  const documents = [token, info, party.told?.(returned.fields)].filter((one) => one !== undefined)
  return {
    is: 'ok',
    user: outsiderFrom(token.sub, documents, party),
    acr: typeof token.acr === 'string' ? token.acr : undefined,
    amr: Array.isArray(token.amr) ? token.amr.filter((one): one is string => typeof one === 'string') : undefined,
    at: typeof token.auth_time === 'number' ? new Date(token.auth_time * 1000) : undefined,
    session: { id_token: tokens.id_token },
    ...(kept.renewable && tokens.refresh_token
      ? {
          renewal: {
            from: giverOf(party),
            refresh_token: tokens.refresh_token,
            sub: token.sub,
            id_token: lastingOf(token),
          } satisfies Renewal,
        }
      : {}),
  }
}

const infoOf = async (
  { userinfo }: RelyingParty,
  { client, config }: Awaited<ReturnType<Configured>>,
  accessToken: string | undefined,
  sub: string,
): Promise<Record<string, unknown> | undefined> =>
  userinfo && config.serverMetadata().userinfo_endpoint && accessToken
    ? client.fetchUserInfo(config, accessToken, sub)
    : undefined

const giverOf = ({ issuer, clientId }: RelyingParty): string => JSON.stringify([issuer, clientId])

/** What an ID token tells of somebody, without what it tells of itself. */
const lastingOf = (token: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(token).filter(([name]) => !ofTokens.has(name)))

/**
 * Asks again by the refresh token (OpenID Connect Core 1.0 section 12). A new ID token and userinfo have to be of the same
 * `sub`; where no new ID token comes, the first one's word stands for what userinfo does not tell. Once the provider has
 * answered, its new refresh token is kept whatever comes after.
 */
const renew = async (party: RelyingParty, configured: Configured, before: Renewal): Promise<Renewed> => {
  if (before.from !== giverOf(party)) return { is: 'ended' }
  let renewal: Renewal | undefined
  try {
    const { client, config } = await configured()
    const tokens = await client.refreshTokenGrant(config, before.refresh_token)
    renewal = { ...before, refresh_token: tokens.refresh_token ?? before.refresh_token }
    const token = tokens.claims()
    if (token && token.sub !== before.sub)
      return { is: 'refused', detail: 'The new ID token is of somebody else.', renewal }
    if (token) renewal.id_token = lastingOf(token)
    const wrong = party.admits?.(renewal.id_token)
    if (wrong) return { is: 'refused', detail: wrong, renewal }
    const info = await infoOf(party, { client, config }, tokens.access_token, before.sub)
    const documents = token ? [renewal.id_token, info] : [info, renewal.id_token]
    const told = documents.filter((one) => one !== undefined)
    return { is: 'ok', user: outsiderFrom(before.sub, told, party), renewal }
  } catch (error) {
    const { error: code } = (error ?? {}) as { error?: unknown }
    if (!renewal && code === 'invalid_grant') return { is: 'ended' }
    return { ...faultOf(error), ...(renewal ? { renewal } : {}) }
  }
}

/** The parameters of an authorization response that count (RFC 6749 section 4.1.2, RFC 9207). */
const answers = new Set(['code', 'state', 'iss', 'error', 'error_description', 'session_state'])
const skewMs = 30_000

const leave = async (
  { client, config }: Awaited<ReturnType<Configured>>,
  session: unknown,
  back: string,
  state: string,
): Promise<URL | undefined> => {
  if (!config.serverMetadata().end_session_endpoint) return undefined
  const { id_token } = (session ?? {}) as { id_token?: string }
  return client.buildEndSessionUrl(config, {
    post_logout_redirect_uri: back,
    state,
    ...(id_token ? { id_token_hint: id_token } : {}),
  })
}

const configure = async (party: RelyingParty, { fetch, clock }: UpstreamTools) => {
  const client = await import('openid-client')
  const skew = Math.round((clock.now().getTime() - Date.now()) / 1000)
  const config = await client.discovery(
    new URL(party.issuer),
    party.clientId,
    { [client.clockSkew]: skew, [client.clockTolerance]: skewMs / 1000 },
    await party.authenticate(client),
    {
      [client.customFetch]: throughGuard(fetch),
      // Whether plain http may be spoken is the guarded fetch's to say: only to addresses on the operator's list.
      execute: [client.enableNonRepudiationChecks, ...(isPlain(party.issuer) ? [client.allowInsecureRequests] : [])],
    },
  )
  return { client, config }
}

const isPlain = (issuer: string): boolean => new URL(issuer).protocol === 'http:'

const throughGuard =
  (fetch: UpstreamTools['fetch']): openid.CustomFetch =>
  async (url, { method, headers, body }) => {
    const sent = body === null || body === undefined ? {} : { body: String(body) }
    const {
      status,
      headers: received,
      text,
    } = await fetch(url, { method, headers, ...sent, ...patienceFor(sent.body) })
    return new Response([204, 205, 304].includes(status) ? null : text(), { status, headers: received })
  }

/** An answer that comes late may hold the only refresh token that is left; nobody waits for it so long. */
const patienceFor = (body: string | undefined): { timeoutMs?: number } =>
  body?.includes('grant_type=refresh_token') ? { timeoutMs: 10_000 } : {}

/** A discovery document is read again after an hour, and at once where reading it failed. */
const remembered = <Result>(make: () => Promise<Result>, { clock }: UpstreamTools): (() => Promise<Result>) => {
  let known: { made: Promise<Result>; until: number } | undefined
  return () => {
    const now = clock.now().getTime()
    if (known && now < known.until) return known.made
    const made = make()
    const one = { made, until: now + 3_600_000 }
    known = one
    made.catch(() => {
      if (known === one) known = undefined
    })
    return made
  }
}

const caught = async <Result>(act: () => Promise<Result>): Promise<Result | NotArrived> => {
  try {
    return await act()
  } catch (error) {
    return faultOf(error)
  }
}

const test = async (party: RelyingParty, tools: UpstreamTools): Promise<Tried[]> => {
  const name = 'Discovery document'
  try {
    const { config } = await configure(party, tools)
    const { issuer, authorization_endpoint, jwks_uri, code_challenge_methods_supported: pkce } = config.serverMetadata()
    const missing = [...(authorization_endpoint ? [] : ['authorization_endpoint']), ...(jwks_uri ? [] : ['jwks_uri'])]
    const found = {
      name,
      ok: missing.length === 0,
      detail: missing.length ? `It lacks ${missing.join(', ')}.` : issuer,
    }
    const proofKey = pkce && !pkce.includes('S256') ? 'The provider does not list S256.' : 'S256 is used.'
    return [found, { name: 'PKCE', ok: true, detail: proofKey }, await tryKeys(jwks_uri, tools)]
  } catch (error) {
    return [{ name, ok: false, detail: faultOf(error).detail }]
  }
}

const tryKeys = async (jwksUri: string | undefined, { fetch }: UpstreamTools): Promise<Tried> => {
  const name = 'Signing keys'
  try {
    const { keys } = (await fetch(jwksUri ?? '')).json() as { keys: unknown[] }
    return { name, ok: keys.length > 0, detail: `${keys.length} ${keys.length === 1 ? 'key' : 'keys'}` }
  } catch {
    return { name, ok: false, detail: 'The document of jwks_uri could not be read.' }
  }
}

/** A private signing key as a JWK; undefined where the text is none. */
export const readJwk = (text: string): Record<string, string> | undefined => {
  try {
    const jwk = JSON.parse(text)
    return typeof jwk?.kty === 'string' && typeof jwk?.d === 'string' ? jwk : undefined
  } catch {
    return undefined
  }
}

/** The key as signing wants it. Throws where it is none. */
export const privateJwk = async (text: string): Promise<openid.CryptoKey | { key: openid.CryptoKey; kid: string }> => {
  const { importJWK } = await import('jose')
  const jwk = readJwk(text) ?? {}
  const key = (await importJWK(jwk, jwk.alg ?? algorithmOf(jwk))) as openid.CryptoKey
  return jwk.kid ? { key, kid: jwk.kid } : key
}

const algorithmOf = ({ kty, crv }: Record<string, string>): string =>
  kty === 'RSA' ? 'RS256' : kty === 'OKP' ? 'EdDSA' : crv === 'P-384' ? 'ES384' : 'ES256'

const publicParts = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg']

const publicKeysOf = (text: string): string => {
  const jwk = readJwk(text) ?? {}
  const told = Object.fromEntries(publicParts.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]])))
  return JSON.stringify({ keys: [{ ...told, alg: jwk.alg ?? algorithmOf(jwk), use: 'sig' }] })
}
