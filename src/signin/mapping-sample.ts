import type { Outsider } from './outsider.ts'

/** What somebody tries a mapping with: the claims as the outside system names them, and what its type would make of them. */
export interface Sample {
  claims: Record<string, unknown>
  roles?: string[] | undefined
  groups?: string[] | undefined
  tenant?: string | null | undefined
}

/** OpenID Connect Core 1.0 section 5.1, but for the subject. */
const standard = new Set(
  [
    'name given_name family_name middle_name nickname preferred_username profile picture website email gender birthdate',
    'zoneinfo locale phone_number address',
  ]
    .join(' ')
    .split(' '),
)

/** Somebody from outside as a sample tells of them. `tenantField` is where the type's settings say that the tenant is. */
export const outsiderOf = ({ claims, roles, groups, tenant }: Sample, tenantField: unknown): Outsider => ({
  externalId: 'sample',
  identifiers: [],
  claims,
  profile: Object.fromEntries(Object.entries(claims).filter(([name]) => standard.has(name))),
  roles: roles ?? namesIn(claims.roles),
  groups: groups ?? namesIn(claims.groups ?? claims['cognito:groups']),
  tenant: tenant === undefined ? tenantIn(claims, tenantField) : (tenant ?? undefined),
})

const namesIn = (told: unknown): string[] =>
  Array.isArray(told) ? told.filter((name): name is string => typeof name === 'string') : []

/** Where the sources keep it: at Auth0 in `app_metadata`, in Cognito as a custom attribute, elsewhere in `metadata`. */
const tenantIn = (claims: Record<string, unknown>, field: unknown): string | undefined => {
  if (typeof field !== 'string') return undefined
  const inside = (name: string) => (claims[name] as Record<string, unknown> | null | undefined)?.[field]
  const told = claims[field] ?? claims[`custom:${field}`] ?? inside('app_metadata') ?? inside('metadata')
  return typeof told === 'string' ? told : undefined
}
