import { textOfAuth0Hash } from './auth0-hashes.ts'
import { type Field, hidden, isSaid, objectOf, type Preset, shown, textOf } from './preset.ts'

/**
 * What Auth0 exports of its users (a line each, as CSV or as JSON), and what it imports; the names are of its normalized
 * user profile and of its schema for bulk imports.
 */
export const auth0: Preset = {
  name: 'auth0',
  title: 'Auth0',
  // Every text has a quote in front, against spreadsheets.
  csv: { cell: (text) => (text.startsWith("'") ? text.slice(1) : text), backslash: false },
  read: (record) => {
    const password = passwordOf(record)
    const fields = flat(record).map(([name, value]) => fieldOf(name, value))
    if (password.is === 'read') fields.unshift({ name: password.name, value: password.hash, column: 'password_hash' })
    return { is: 'person', fields, warnings: password.is === 'refused' ? [password.why] : [] }
  },
}

const bags = ['user_metadata', 'app_metadata']
const hashes = ['passwordHash', 'password_hash', 'custom_password_hash']

/** Metadata by the names that Auth0 has for each of it: `app_metadata.plan`. */
const flat = (record: Record<string, unknown>): [string, unknown][] => {
  const own = Object.entries(record).filter(([name]) => !hashes.includes(name))
  const inside = bags.flatMap((bag) =>
    Object.entries(objectOf(record[bag]) ?? {}).map(([name, value]): [string, unknown] => [`${bag}.${name}`, value]),
  )
  return [...own.filter(([name, value]) => !(bags.includes(name) && objectOf(value))), ...inside]
}

const columns: Record<string, NonNullable<Field['column']>> = {
  email: 'email',
  email_verified: 'email_verified',
  phone_number: 'mobile',
  phone_verified: 'mobile_verified',
  username: 'username',
  'app_metadata.phone_number': 'mobile',
  'app_metadata.phone_verified': 'mobile_verified',
}

const fieldOf = (name: string, value: unknown): Field => {
  const [, bag, key] = name.match(/^(user_metadata|app_metadata)\.(.+)$/) ?? []
  const column = Object.hasOwn(columns, name) ? columns[name] : undefined
  if (name === 'user_id') return { name, value: idOf(value), column: 'external_id' }
  if (name === 'blocked') return { name, value: isSaid(value, true) ? 'inactive' : undefined, column: 'status' }
  const field = bag === 'app_metadata' ? hidden(name, value, key) : shown(name, value, key)
  return column ? { ...field, column } : field
}

/** As Auth0 has it: what it imports without a connection in front becomes one of its database's. */
const idOf = (value: unknown): unknown => {
  const id = textOf(value)
  return id === undefined || id.includes('|') ? id : `auth0|${id}`
}

type Password = { is: 'absent' } | { is: 'read'; name: string; hash: string } | { is: 'refused'; why: string }

const passwordOf = (record: Record<string, unknown>): Password => {
  const name = hashes.find((one) => record[one] !== undefined && record[one] !== null && record[one] !== '')
  if (name === undefined) return { is: 'absent' }
  const read = textOfAuth0Hash(name === 'custom_password_hash' ? parsed(record[name]) : record[name])
  return read.is === 'read' ? { is: 'read', name, hash: read.hash } : read
}

/** In a CSV, an object is JSON. */
const parsed = (value: unknown): unknown => {
  try {
    return typeof value === 'string' && value.startsWith('{') ? JSON.parse(value) : value
  } catch {
    return value
  }
}
