import type { IdentifierKind } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'

/** A document that tells of somebody: an ID token, an answer of userinfo. */
type Document = Record<string, unknown>

interface Reading {
  tenantField: string | null
  rolesField: string
  groupsField: string
  vouches?(claims: Document): boolean
}

/**
 * What the documents of a provider tell of somebody, the surest one first. An address is proven only by the very document
 * that it stands in, and only by `true` itself (security.md A06).
 */
export const outsiderFrom = (externalId: string, documents: readonly Document[], reading: Reading): Outsider => {
  const claims = merged(documents)
  return {
    externalId,
    identifiers: [...addressOf(documents, 'email', reading), ...addressOf(documents, 'phone_number', reading)],
    claims,
    profile: Object.fromEntries(standard.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]]))),
    roles: namesIn(at(claims, reading.rolesField)),
    groups: namesIn(at(claims, reading.groupsField)),
    tenant: reading.tenantField === null ? undefined : textIn(at(claims, reading.tenantField)),
  }
}

/** The value at a path such as `address.country`; a name with dots in it is taken as it stands first. */
const at = (claims: Document, path: string): unknown => {
  if (Object.hasOwn(claims, path)) return claims[path]
  return path.split('.').reduce<unknown>((value, name) => {
    const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    return inside ? Reflect.get(value as object, name) : undefined
  }, claims)
}

/** Earlier documents count more; whether an address is proven goes with the address. Tokens' own claims say nothing. */
const merged = (documents: readonly Document[]): Document => {
  const all: Document = {}
  for (const document of documents) {
    const news = Object.entries(document).filter(([name]) => !(name in all) && !ofTokens.has(name))
    const known = new Set(Object.keys(all))
    for (const [name, value] of news) if (!known.has(name.replace(/_verified$/, ''))) all[name] = value
  }
  return all
}

/** What a token tells of itself, and of nobody. */
export const ofTokens: ReadonlySet<string> = new Set([
  'aud',
  'azp',
  'exp',
  'iat',
  'nbf',
  'nonce',
  'at_hash',
  'c_hash',
  's_hash',
  'jti',
  'sid',
  '__proto__',
])

const kinds: Record<string, IdentifierKind> = { email: 'email', phone_number: 'mobile' }

const addressOf = (documents: readonly Document[], claim: string, { vouches }: Reading): Outsider['identifiers'] => {
  const document = documents.find((one) => typeof one[claim] === 'string' && one[claim] !== '')
  const kind = kinds[claim]
  if (!document || !kind) return []
  const vouched = claim === 'email' && vouches ? vouches(document) : document[`${claim}_verified`] === true
  return [{ kind, typed: String(document[claim]), verified: vouched }]
}

/** OpenID Connect Core 1.0 section 5.1, without what somebody goes by. */
const standard = [
  'name',
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'preferred_username',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
  'address',
]

const namesIn = (value: unknown): string[] => {
  if (typeof value === 'string') return value === '' ? [] : [value]
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string' && one !== '') : []
}

const textIn = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
