import { type Identifier, type IdentifierKind, readIdentifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'
import type { User } from './cognito-calls.ts'
import type { CognitoSettings } from './cognito-settings.ts'

/** Somebody of a user pool, with the groups where they are known; undefined where Cognito tells no `sub`. */
export const readUser = (user: User, groups: string[], settings: CognitoSettings): Outsider | undefined => {
  const told = attributesOf(user)
  if (!told.sub) return undefined
  return {
    externalId: told.sub,
    identifiers: identifiersOf(user, told),
    claims: {
      ...told,
      'cognito:username': user.Username,
      'cognito:groups': groups,
      'cognito:user_status': user.UserStatus,
      ...(user.UserCreateDate ? { created_at: user.UserCreateDate.toISOString() } : {}),
    },
    profile: profileOf(told),
    roles: [],
    groups,
    tenant: tenantOf(told, settings.tenant_id_field),
  }
}

/** The user's id for good; a pool's names may be given to somebody else. */
export const subOf = (user: User): string | undefined => attributesOf(user).sub

/** Whether what Cognito told is of whom it was asked about; where not, nothing of the answer is believed. */
export const isOf = (identifier: Identifier, user: User): boolean => {
  const told = attributesOf(user)
  const names: Record<IdentifierKind, (string | undefined)[]> = {
    email: [told.email],
    mobile: [told.phone_number],
    username: [user.Username, told.preferred_username],
  }
  return names[identifier.kind].some((name) => isSame(identifier, name))
}

/** Whether Cognito was asked by a name that is the user's own, which may look like an address that is another's. */
export const isNamed = (identifier: Identifier, user: User): boolean => isSame(identifier, user.Username)

export const isExternal = ({ UserStatus }: User): boolean => UserStatus === 'EXTERNAL_PROVIDER'

/** Disabled by an administrator, or put out of use by Cognito itself. */
export const isBlocked = ({ Enabled, UserStatus }: User): boolean =>
  !Enabled || UserStatus === 'ARCHIVED' || UserStatus === 'COMPROMISED'

/** Whether the address that they were asked by was proved there. */
export const isProved = (kind: 'email' | 'mobile', user: User): boolean =>
  isConfirmed(user) && attributesOf(user)[kind === 'email' ? 'email_verified' : 'phone_number_verified'] === 'true'

/** Whether a name is one that Cognito gives to whoever signs in by an address; nobody types it. */
export const isMadeUp = (name: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(name)

/**
 * The same person with the name by which Cognito knew them, where that is their preferred username: only as an alias is it
 * unique there, and everybody may call themselves by any other.
 */
export const knownBy = (identifier: Identifier, user: User, outsider: Outsider): Outsider => {
  const { preferred_username: typed } = attributesOf(user)
  if (identifier.kind !== 'username' || !typed || isNamed(identifier, user) || !isSame(identifier, typed))
    return outsider
  return {
    ...outsider,
    identifiers: [...outsider.identifiers, { kind: 'username', typed, verified: isConfirmed(user) }],
  }
}

type Attributes = Partial<Record<string, string>>

const attributesOf = ({ UserAttributes }: User): Attributes =>
  Object.fromEntries(UserAttributes.flatMap(({ Name, Value }) => (Value === undefined ? [] : [[Name, Value]])))

const isSame = ({ kind, value }: Identifier, name: string | undefined): boolean =>
  name !== undefined && readIdentifier(name, [kind])?.value === value

const isConfirmed = ({ UserStatus }: User): boolean => UserStatus !== 'UNCONFIRMED'

const identifiersOf = (user: User, told: Attributes): Outsider['identifiers'] => {
  const username = usernameOf(user, told)
  return [
    ...(told.email ? [{ kind: 'email' as const, typed: told.email, verified: isProved('email', user) }] : []),
    ...(told.phone_number
      ? [{ kind: 'mobile' as const, typed: told.phone_number, verified: isProved('mobile', user) }]
      : []),
    ...(username ? [{ kind: 'username' as const, typed: username, verified: isConfirmed(user) }] : []),
  ]
}

/** A name that people know; in a pool whose people sign in by an address, Cognito makes a UUID up. */
const usernameOf = ({ Username }: User, { sub }: Attributes): string | undefined =>
  Username !== sub && !isMadeUp(Username) && readIdentifier(Username, ['username']) ? Username : undefined

/** OpenID Connect Core section 5.1; Cognito keeps an address as one text. */
const profileOf = (told: Attributes): Record<string, unknown> => ({
  ...Object.fromEntries(standard.flatMap((name) => (told[name] ? [[name, told[name]]] : []))),
  ...(told.address ? { address: { formatted: told.address } } : {}),
})

const standard = [
  ...['name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile', 'picture'],
  ...['website', 'gender', 'birthdate', 'zoneinfo', 'locale'],
]

const tenantOf = (told: Attributes, field: string | undefined): string | undefined =>
  field === undefined ? undefined : told[field.startsWith('custom:') ? field : `custom:${field}`] || undefined
