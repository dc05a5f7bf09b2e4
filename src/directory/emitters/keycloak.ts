import type { ExportedUser } from '../exports.ts'
import { type Emitter, goesBy, listed } from './emitter.ts'
import { type HashParts, partsOf } from './hash-parts.ts'

/** What Keycloak's partial import reads, and its import of a realm. */
export const keycloak: Emitter = {
  name: 'keycloak',
  title: 'Keycloak, for its partial import',
  type: 'application/json',
  ending: 'json',
  hashes: true,
  write: (_, pages) => listed('{"users":[\n', pagesOf(pages), '\n]}\n'),
}

const pagesOf = async function* (pages: AsyncIterable<ExportedUser[]>) {
  for await (const users of pages) yield users.map(userOf)
}

const userOf = (one: ExportedUser) => {
  const { id, status, externalId, profile, metadata, groups, createdAt } = one.user
  const { email, mobile, username, others } = goesBy(one)
  const { given_name, family_name, ...more } = profile
  const global = one.roles.filter((role) => !role.includes('/'))
  const inTenants = one.roles.filter((role) => role.includes('/'))
  const credential = credentialOf(one.passwordHash)
  return {
    id: externalId !== null && /^[\w-]{1,36}$/.test(externalId) ? externalId : id,
    username: (username ?? email ?? mobile)?.value ?? id,
    ...(email ? { email: email.value, emailVerified: email.verified } : {}),
    enabled: status !== 'inactive',
    createdTimestamp: createdAt.getTime(),
    ...(given_name === undefined ? {} : { firstName: String(given_name) }),
    ...(family_name === undefined ? {} : { lastName: String(family_name) }),
    attributes: {
      ...attributesOf(metadata),
      ...attributesOf(more),
      ...(mobile ? { phoneNumber: [mobile.value], phoneNumberVerified: [String(mobile.verified)] } : {}),
      ...(others.length > 0 ? { otherIdentifiers: others } : {}),
      ...(inTenants.length > 0 ? { tenantRoles: inTenants } : {}),
    },
    ...(groups.length > 0 ? { groups } : {}),
    ...(global.length > 0 ? { realmRoles: global } : {}),
    ...(credential ? { credentials: [credential] } : {}),
  }
}

/** An attribute of Keycloak is a list of texts. */
const attributesOf = (properties: Record<string, unknown>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, [value].flat().map(textOf)]))

const textOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)

const credentialOf = (text: string | undefined) => {
  const parts = text === undefined ? undefined : partsOf(text)
  const data = parts && dataOf(parts)
  if (!parts || !data || !('salt' in parts)) return undefined
  const secret = { value: parts.hash.toString('base64'), salt: parts.salt.toString('base64'), additionalParameters: {} }
  return { type: 'password', credentialData: JSON.stringify(data), secretData: JSON.stringify(secret) }
}

/** PBKDF2 as Keycloak has always hashed, argon2 as it does since version 24; it knows no others. */
const dataOf = (parts: HashParts) => {
  if (parts.is === 'pbkdf2' && parts.digest !== 'sha384') {
    const algorithm = parts.digest === 'sha1' ? 'pbkdf2' : `pbkdf2-${parts.digest}`
    return { hashIterations: parts.iterations, algorithm, additionalParameters: {} }
  }
  if (parts.is !== 'argon2') return undefined
  const additionalParameters = {
    hashLength: [String(parts.hash.length)],
    memory: [String(parts.memory)],
    type: [parts.variant],
    version: [parts.version === 16 ? '1.0' : '1.3'],
    parallelism: [String(parts.lanes)],
  }
  return { hashIterations: parts.passes, algorithm: 'argon2', additionalParameters }
}
