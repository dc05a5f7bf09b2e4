import { decodeJwt } from 'jose'
import { z } from 'zod'
import type { Identifier } from '../../directory/identifiers.ts'
import { ask, type Heard, misconfigured, rateLimited, silent, strange, unavailable } from './asking.ts'
import { type Auth0Settings, readBase } from './auth0-settings.ts'
import { type Auth0Claims, auth0Claims } from './auth0-user.ts'
import type { SourceTools, Trouble } from './source.ts'

/** What Auth0's token endpoint says of a name and a password. */
export type LoggedIn =
  | { is: 'ok'; claims: Auth0Claims }
  | { is: 'mfa_required' }
  | { is: 'password_leaked' }
  | { is: 'invalid' | 'blocked' }
  | Trouble

interface Asked {
  identifier: Identifier
  password: string
  ip?: string
}

/**
 * The Resource Owner Password grant, with `realm` where the settings name one. The person's address goes along, which
 * Auth0's attack protection heeds where "Trust Token Endpoint IP Header" is on.
 */
export const logIn = async (settings: Auth0Settings, tools: SourceTools, asked: Asked): Promise<LoggedIn> => {
  const base = readBase(settings.domain) ?? ''
  const heard = await ask(tools.fetch, `${base}/oauth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(asked.ip ? { 'auth0-forwarded-for': asked.ip } : {}) },
    body: JSON.stringify({
      grant_type: grantOf(settings),
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      username: nameOf(asked.identifier),
      password: asked.password,
      scope: 'openid profile email phone',
      ...(settings.realm === undefined ? {} : { realm: settings.realm }),
      ...(settings.audience === undefined ? {} : { audience: settings.audience }),
    }),
  })
  if (!heard) return silent('Auth0')
  if (heard.status !== 200) return refusal(settings, heard, tools.clock.now())
  return readToken(settings, base, heard, tools.clock.now())
}

/** How Auth0 keeps what people type: addresses and user names in lower case. */
export const nameOf = ({ kind, typed, value }: Identifier): string => (kind === 'mobile' ? value : typed.toLowerCase())

const grantOf = ({ realm }: Auth0Settings): string =>
  realm === undefined ? 'password' : 'http://auth0.com/oauth/grant-type/password-realm'

const tokens = z.looseObject({ id_token: z.string() })

const idToken = auth0Claims.extend({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: z.number(),
})

// It came from the token endpoint itself, so TLS stands for its signature (OpenID Connect Core 1.0 section 3.1.3.7, 6).
const readToken = ({ client_id }: Auth0Settings, base: string, { body }: Heard, now: Date): LoggedIn => {
  const claims = idToken.safeParse(decoded(tokens.safeParse(body).data?.id_token))
  if (!claims.success) return unavailable('Auth0 answered without an ID token that can be read')
  const { iss, aud, exp } = claims.data
  if (iss !== `${base}/`) return misconfigured('Auth0 speaks for another domain than the settings name')
  if (![aud].flat().includes(client_id)) return unavailable('Auth0 answered with an ID token for another application')
  if (exp * 1000 + 60_000 < now.getTime()) return unavailable('Auth0 answered with an ID token that has expired')
  return { is: 'ok', claims: claims.data }
}

const decoded = (token = ''): unknown => {
  try {
    return decodeJwt(token)
  } catch {
    return undefined
  }
}

/** Decides on `error` and status: descriptions are for people, and change. */
const refusal = (settings: Auth0Settings, heard: Heard, now: Date): LoggedIn => {
  const { status } = heard
  const error = errors.safeParse(heard.body).data?.error
  const known = said.get(error)
  if (known) return known
  // Of the application's secret, or of somebody whom an Action does not let in (some versions say that with a 500).
  if (error === 'access_denied') return status === 401 ? misconfigured(noClient) : { is: 'blocked' }
  if (status === 429) return rateLimited('Auth0', heard, now)
  if (error === 'invalid_client') return misconfigured(noClient)
  if (error === 'unauthorized_client' || error === 'unsupported_grant_type')
    return misconfigured(
      `The application may not use the grant type ${grantOf(settings)}: switch on "Password" in its Grant Types`,
    )
  if (error === 'invalid_request' || error === 'invalid_scope')
    return misconfigured(
      settings.realm === undefined
        ? `Auth0 takes the request for wrong (${error}): name the database connection as realm, or check the audience`
        : `Auth0 takes the request for wrong (${error}): check that the realm is a database connection, and on for the application`,
    )
  if (status === 404 && error !== undefined) return misconfigured('No Auth0 tenant answers at this domain')
  if (error === 'server_error' && settings.realm === undefined)
    return unavailable('Auth0 failed (server_error); without a realm, the tenant needs a Default Directory')
  return strange('Auth0', heard)
}

const errors = z.looseObject({ error: z.string() })

const noClient =
  'Auth0 does not know the application by this client_id and client_secret, or it is not Client Secret (Post)'

/** Errors that say something of the person, whatever their status. */
const said = new Map<string | undefined, LoggedIn>([
  ['invalid_grant', { is: 'invalid' }],
  ['invalid_user_password', { is: 'invalid' }],
  ['mfa_required', { is: 'mfa_required' }],
  ['mfa_registration_required', { is: 'mfa_required' }],
  ['password_leaked', { is: 'password_leaked' }],
  ['unauthorized', { is: 'blocked' }],
  ['blocked_user', { is: 'blocked' }],
  ['too_many_attempts', { is: 'blocked' }],
  ['too_many_logins', { is: 'blocked' }],
  ['requires_verification', { is: 'blocked' }],
  ['requires_validation', { is: 'blocked' }],
])
