import type { ExportedUser } from '../exports.ts'
import { type Emitter, goesBy, listed } from './emitter.ts'
import { partsOf } from './hash-parts.ts'

/** The list that Auth0's bulk import reads; its schema has no other names on the first level than these. */
export const auth0: Emitter = {
  name: 'auth0',
  title: 'Auth0, for its bulk import',
  type: 'application/json',
  ending: 'json',
  hashes: true,
  write: (_, pages) => listed('[\n', pagesOf(pages), '\n]\n'),
}

const pagesOf = async function* (pages: AsyncIterable<ExportedUser[]>) {
  for await (const users of pages) yield users.map(userOf)
}

const standard = ['given_name', 'family_name', 'name', 'nickname', 'picture']

const userOf = (one: ExportedUser) => {
  const { id, status, externalId, profile, metadata, groups } = one.user
  const { email, mobile, username, others } = goesBy(one)
  const named = Object.entries(profile)
  const isStandard = ([name, value]: [string, unknown]) => standard.includes(name) && typeof value === 'string'
  const userMetadata = Object.fromEntries(named.filter((entry) => !isStandard(entry)))
  const appMetadata = {
    ...(mobile ? { phone_number: mobile.value, phone_verified: mobile.verified } : {}),
    ...(others.length > 0 ? { other_identifiers: others } : {}),
    ...(groups.length > 0 ? { groups } : {}),
    ...(one.roles.length > 0 ? { roles: one.roles } : {}),
    ...Object.fromEntries(Object.entries(metadata).map(([name, value]) => [allowed(name), value])),
  }
  return {
    user_id: (externalId ?? id).replace(/^auth0\|/, ''),
    ...(email ? { email: email.value, email_verified: email.verified } : {}),
    ...(username ? { username: username.value } : {}),
    ...Object.fromEntries(named.filter(isStandard)),
    ...(status === 'inactive' ? { blocked: true } : {}),
    user_metadata: userMetadata,
    app_metadata: appMetadata,
    ...hashOf(one.passwordHash),
  }
}

// Names that Auth0 keeps for itself in `app_metadata`.
const reserved = new Set([
  ...['__tenant', '_id', 'blocked', 'clientID', 'created_at', 'email_verified', 'email', 'globalClientID'],
  ...['global_client_id', 'identities', 'lastIP', 'lastLogin', 'loginsCount', 'metadata'],
  ...['multifactor_last_modified', 'multifactor', 'updated_at', 'user_id'],
])

const allowed = (name: string): string => (reserved.has(name) ? `own_${name}` : name)

const hashOf = (text: string | undefined): object => {
  const parts = text === undefined ? undefined : partsOf(text)
  if (!parts) return {}
  if (parts.is === 'bcrypt' || parts.is === 'ldap') return customOf(parts.is, { value: parts.text, encoding: 'utf8' })
  const [salt, hash] = [unpadded(parts.salt), unpadded(parts.hash)]
  if (parts.is === 'argon2') {
    const { variant, version, memory, passes, lanes } = parts
    const value = `$argon2${variant}$v=${version}$m=${memory},t=${passes},p=${lanes}$${salt}$${hash}`
    return customOf('argon2', { value, encoding: 'utf8' })
  }
  if (parts.is === 'pbkdf2') {
    const value = `$pbkdf2-${parts.digest}$i=${parts.iterations},l=${parts.hash.length}$${salt}$${hash}`
    return customOf('pbkdf2', { value, encoding: 'utf8' })
  }
  const { cost, blockSize, parallelization } = parts
  return customOf(
    'scrypt',
    { value: parts.hash.toString('hex'), encoding: 'hex' },
    {
      salt: { value: parts.salt.toString('hex'), encoding: 'hex' },
      keylen: parts.hash.length,
      ...{ cost, blockSize, parallelization },
    },
  )
}

const customOf = (algorithm: string, hash: { value: string; encoding: string }, more: object = {}) => ({
  custom_password_hash: { algorithm, hash, ...more },
})

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
