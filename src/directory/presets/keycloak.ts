import { checked, type HashText, without } from './hash-text.ts'
import { type Field, objectOf, type Preset, shown, textOf } from './preset.ts'

/** Keycloak's representation of a user, as its exports of a realm have it and its partial import takes it. */
export const keycloak: Preset = {
  name: 'keycloak',
  title: 'Keycloak',
  read: (record) => {
    if (textOf(record.serviceAccountClientId))
      return { is: 'none', why: 'This is the service account of a client, and nobody who signs in' }
    const { attributes, credentials, ...own } = record
    const inside = Object.entries(objectOf(attributes) ?? {}).map(([name, value]) => attributeOf(name, value))
    const password = passwordOf(credentials)
    const others = kindsOf(credentials).filter((kind) => kind !== 'password')
    return {
      is: 'person',
      fields: [
        ...(password?.is === 'read'
          ? [{ name: 'credentials.password', value: password.hash, column: 'password_hash' } as const]
          : []),
        ...Object.entries(own).flatMap(([name, value]) => fieldsOf(name, value, own)),
        ...inside,
        ...others.map((kind) => ({ name: `credentials.${kind.slice(0, 40)}`, value: true })),
      ],
      warnings: password?.is === 'refused' ? [password.why] : [],
    }
  },
}

const names: Record<string, string> = { firstName: 'given_name', lastName: 'family_name' }
const columns: Record<string, NonNullable<Field['column']>> = {
  id: 'external_id',
  email: 'email',
  emailVerified: 'email_verified',
  groups: 'groups',
}

const fieldsOf = (name: string, value: unknown, { email }: Record<string, unknown>): Field[] => {
  if (name === 'enabled') return value === false ? [{ name, value: 'inactive', column: 'status' }] : []
  if (name === 'username') return isSame(value, email) ? [] : [{ ...shown(name, value), column: 'username' }]
  if (emptyWays.has(name) && (value === false || value === 0)) return []
  const column = Object.hasOwn(columns, name) ? columns[name] : undefined
  const property = Object.hasOwn(names, name) ? names[name] : undefined
  return [column ? { ...shown(name, value), column } : shown(name, value, property)]
}

// What every user has, and says nothing.
const emptyWays = new Set(['totp', 'notBefore'])

const isSame = (one: unknown, other: unknown): boolean => textOf(one)?.toLowerCase() === textOf(other)?.toLowerCase()

/** Keycloak keeps a list of every attribute. */
const attributeOf = (key: string, listed: unknown): Field => {
  const value = Array.isArray(listed) && listed.length === 1 ? listed[0] : listed
  const name = `attributes.${key}`
  if (key === 'phoneNumber' || key === 'phone_number')
    return { ...shown(name, value, 'phone_number'), column: 'mobile' }
  if (key === 'phoneNumberVerified' || key === 'phone_number_verified')
    return { ...shown(name, value, 'phone_number_verified'), column: 'mobile_verified' }
  return shown(name, value, key)
}

const listOf = (credentials: unknown): Record<string, unknown>[] =>
  Array.isArray(credentials) ? credentials.map(objectOf).filter((one) => one !== undefined) : []

const kindsOf = (credentials: unknown): string[] => listOf(credentials).map(({ type }) => textOf(type) ?? 'password')

const passwordOf = (credentials: unknown): HashText | undefined => {
  const password = listOf(credentials).find(({ type }) => (textOf(type) ?? 'password') === 'password')
  if (!password) return undefined
  const { credentialData, secretData, hashedSaltedValue, salt, hashIterations, algorithm } = password
  if (textOf(credentialData) && textOf(secretData)) return checked(JSON.stringify({ credentialData, secretData }))
  // As Keycloak wrote it before version 4.
  if (textOf(hashedSaltedValue)) {
    const iterations = typeof hashIterations === 'number' ? hashIterations : 0
    return checked(`$${textOf(algorithm)}$i=${iterations}$${textOf(salt)}$${textOf(hashedSaltedValue)}`)
  }
  return without('A password that is not hashed is not taken')
}
