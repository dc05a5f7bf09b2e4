import { z } from 'zod'
import { type Identifier, type IdentifierKind, readIdentifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'
import type { Auth0Settings } from './auth0-settings.ts'

const text = z.string().nullish()

const identity = z.looseObject({
  connection: z.string(),
  provider: z.string(),
  user_id: z.union([z.string(), z.number()]),
  profileData: z.looseObject({ email: text, email_verified: z.unknown() }).nullish(),
})

const addresses = { email: text, phone_number: text, username: text }

/** A user as the Management API shows them. */
export const auth0User = z.looseObject({
  user_id: z.string().min(1).max(255),
  ...addresses,
  blocked: z.boolean().nullish(),
  /** The kinds of second factors that they have enrolled. */
  multifactor: z.array(z.string()).nullish(),
  identities: z.array(identity),
  app_metadata: z.record(z.string(), z.unknown()).nullish(),
})
export type Auth0User = z.infer<typeof auth0User>

/** Whom an ID token tells of; tokens of Auth0 say `phone_number_verified`, its Management API `phone_verified`. */
export const auth0Claims = z.looseObject({ sub: z.string().min(1).max(255), ...addresses })
export type Auth0Claims = z.infer<typeof auth0Claims>

/** Whether a user can sign in by the connection that the settings name, or by any database without one. */
export const livesIn = ({ realm }: Auth0Settings, { identities }: Auth0User): boolean =>
  identities.some((one) => isOf(realm, one))

/** Whoever the Management API tells of, with the addresses of accounts that were linked in the connection. */
export const outsiderOf = (settings: Auth0Settings, user: Auth0User, roles: string[]): Outsider => ({
  externalId: user.user_id,
  identifiers: unique([...identifiersOf(user), ...linkedEmails(settings, user)]),
  claims: {
    ...user,
    identities: user.identities.map(({ connection, provider, user_id }) => ({ connection, provider, user_id })),
  },
  profile: profileOf(user),
  roles,
  groups: [],
  tenant: tenantOf(settings, user.app_metadata ?? {}),
})

/** Whoever an ID token tells of: it knows no roles, and names a tenant only where an Action puts it there. */
export const outsiderOfClaims = (settings: Auth0Settings, claims: Auth0Claims): Outsider => ({
  externalId: claims.sub,
  identifiers: identifiersOf(claims),
  claims: Object.fromEntries(Object.entries(claims).filter(([name]) => !ofTheToken.has(name))),
  profile: profileOf(claims),
  roles: [],
  groups: [],
  tenant: tenantOf(settings, claims),
})

/**
 * The same with what was asked for among their identifiers, or undefined where this is somebody else. A user name or a
 * number that Auth0 does not repeat is theirs, too, since they got in with it; an address always is repeated.
 */
export const askedFor = (asked: Identifier, user: Outsider): Outsider | undefined => {
  const known = user.identifiers.filter(({ kind }) => kind === asked.kind)
  if (known.some(({ kind, typed }) => readIdentifier(typed, [kind])?.value === asked.value)) return user
  if (asked.kind === 'email' || known.length > 0) return undefined
  return { ...user, identifiers: [...user.identifiers, { kind: asked.kind, typed: asked.typed, verified: false }] }
}

const isOf = (realm: string | undefined, { connection, provider }: z.infer<typeof identity>): boolean =>
  realm === undefined ? provider === 'auth0' : connection === realm

type Named = { email?: unknown; phone_number?: unknown; username?: unknown; [more: string]: unknown }

const identifiersOf = (user: Named): Outsider['identifiers'] => [
  ...named('email', user.email, user.email_verified === true),
  ...named('mobile', user.phone_number, user.phone_verified === true || user.phone_number_verified === true),
  ...named('username', user.username, false),
]

const linkedEmails = ({ realm }: Auth0Settings, { identities }: Auth0User): Outsider['identifiers'] =>
  identities
    .filter((one) => isOf(realm, one))
    .flatMap(({ profileData }) => named('email', profileData?.email, profileData?.email_verified === true))

const named = (kind: IdentifierKind, typed: unknown, verified: boolean): Outsider['identifiers'] =>
  typeof typed === 'string' && typed !== '' ? [{ kind, typed, verified }] : []

const unique = (identifiers: Outsider['identifiers']): Outsider['identifiers'] =>
  identifiers.filter(
    ({ kind, typed }, at) => at === identifiers.findIndex((other) => other.kind === kind && other.typed === typed),
  )

const tenantOf = ({ tenant_id_field: field }: Auth0Settings, held: Record<string, unknown>): string | undefined => {
  const tenant = field !== undefined && Object.hasOwn(held, field) ? held[field] : undefined
  return (typeof tenant === 'string' && tenant !== '') || typeof tenant === 'number' ? String(tenant) : undefined
}

const profileOf = (user: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    standard.flatMap((name) => (typeof user[name] === 'string' && user[name] !== '' ? [[name, user[name]]] : [])),
  )

/** OpenID Connect Core 1.0 section 5.1, without what are identifiers here. */
const standard = [
  'name',
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
]

/** What an ID token says of itself rather than of anybody. */
const ofTheToken = new Set([
  'iss',
  'aud',
  'azp',
  'exp',
  'iat',
  'nbf',
  'jti',
  'nonce',
  'at_hash',
  'c_hash',
  'sid',
  'amr',
  'acr',
  'auth_time',
])
