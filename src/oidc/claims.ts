import { unmappedClaims as reserved } from '../directory/connections.ts'
import { upstreamPath } from '../directory/contexts.ts'
import { readPath } from '../directory/outside-mapping.ts'
import type { User } from '../directory/users.ts'
import type { Connection } from '../directory/workspaces.ts'

/** OpenID Connect Core 1.0 section 5.4, with ours. */
export const claimsOfScopes: Record<string, string[]> = {
  // Those after `idp` stand here too, for an ID token beside an access token tells only these; their own scopes fill them.
  openid: ['sub', 'amr', 'acr', 'auth_time', 'idp', 'groups', 'roles', 'permissions', 'tenant_id'],
  profile: [
    'name',
    'family_name',
    'given_name',
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
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  phone: ['phone_number', 'phone_number_verified'],
  address: ['address'],
  groups: ['groups'],
  roles: ['roles', 'permissions'],
  tenant: ['tenant_id'],
}

/** Everything that tokens and userinfo may say of a user who came through a connection; scopes choose from it. */
export const claimsOf = (
  user: User,
  connection: Connection,
  upstream: Record<string, unknown> = {},
): Record<string, unknown> & { sub: string } => {
  const email = bestOf(user, 'email')
  const mobile = bestOf(user, 'mobile')
  return {
    ...profileClaims(user),
    ...mappedClaims(user, connection.mapping, upstream),
    ...(email ? { email: email.typed, email_verified: email.verified } : {}),
    ...(mobile ? { phone_number: mobile.value, phone_number_verified: mobile.verified } : {}),
    idp: connection.id,
    sub: user.id,
  }
}

/** The claims that a workspace's connections add to the profile scope. */
export const mappedNames = (connections: readonly Connection[]): string[] => [
  ...new Set(connections.flatMap(({ mapping }) => Object.keys(mapping)).filter((name) => !reserved.has(name))),
]

const profileClaims = (user: User): Record<string, unknown> => {
  const { profile, updatedAt } = user
  const told = Object.fromEntries(
    [...(claimsOfScopes.profile ?? []), 'address'].flatMap((name) =>
      profile[name] === undefined ? [] : [[name, profile[name]]],
    ),
  )
  const name = [profile.given_name, profile.family_name].filter((part) => typeof part === 'string').join(' ')
  const username = bestOf(user, 'username')
  return {
    ...(name ? { name } : {}),
    ...(username ? { preferred_username: username.typed } : {}),
    ...told,
    updated_at: Math.floor(new Date(updatedAt).getTime() / 1000),
  }
}

/** What a connection's mapping makes of a user, and of what was told outside at their sign-in. */
export const mappedClaims = (
  user: User,
  mapping: Record<string, string>,
  upstream: Record<string, unknown>,
): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(mapping).flatMap(([claim, path]) => {
      const value = valueAt(user, path, upstream)
      return value === undefined || value === null || reserved.has(claim) ? [] : [[claim, value]]
    }),
  )

const valueAt = ({ profile, metadata }: User, path: string, upstream: Record<string, unknown>): unknown => {
  const outside = upstreamPath(path)
  if (outside !== undefined) return readPath(upstream, outside)
  const [, from, field = path] = path.match(/^(profile|metadata)\.(.+)$/) ?? []
  return from === 'metadata' ? metadata[field] : (profile[field] ?? (from ? undefined : metadata[field]))
}

const bestOf = ({ identifiers }: User, wanted: string) => {
  const known = identifiers.filter(({ kind }) => kind === wanted)
  return known.find(({ verified }) => verified) ?? known[0]
}
