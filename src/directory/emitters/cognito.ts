import type { ExportedUser } from '../exports.ts'
import type { Pool } from '../pools.ts'
import { propertiesOf } from '../profiles.ts'
import { type Emitter, goesBy } from './emitter.ts'

/**
 * The CSV of Amazon Cognito's user imports: its whole header, a backslash before a comma, and no quotes around cells.
 * Cognito takes no password hashes.
 */
export const cognito: Emitter = {
  name: 'cognito',
  title: 'Amazon Cognito, for its user import',
  type: 'text/csv',
  ending: 'csv',
  hashes: false,
  write: async function* (pool, pages) {
    const more = customOf(pool)
    yield lineOf([...columns, ...more.map(({ column }) => column)])
    for await (const users of pages) yield users.map((one) => lineOf(cellsOf(one, more))).join('')
  },
}

const standard = [
  ...['name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile', 'picture'],
  ...['website', 'gender', 'zoneinfo', 'locale', 'address'],
]

const columns = [
  ...['cognito:username', 'name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username'],
  ...['profile', 'picture', 'website', 'email', 'email_verified', 'gender', 'birthdate', 'zoneinfo', 'locale'],
  ...['phone_number', 'phone_number_verified', 'address', 'updated_at', 'cognito:mfa_enabled'],
]

interface Custom {
  column: string
  part: 'profile' | 'metadata'
  name: string
}

/** The simple properties that Cognito has no attribute for; a name of its own has at most twenty characters there. */
const customOf = ({ settings }: Pool): Custom[] => {
  const of = (part: Custom['part'], schema: Record<string, unknown>): Custom[] =>
    propertiesOf(schema)
      .map(({ name }) => ({ column: `custom:${name}`, part, name }))
      .filter(({ name }) => part === 'metadata' || !(standard.includes(name) || name === 'birthdate'))
      .filter(({ name }) => /^[\w.-]{1,20}$/.test(name))
  const profile = of('profile', settings.user_schema)
  const taken = new Set(profile.map(({ name }) => name))
  return [...profile, ...of('metadata', settings.metadata_schema).filter(({ name }) => !taken.has(name))]
}

const cellsOf = (one: ExportedUser, more: Custom[]): string[] => {
  const { id, externalId, profile, updatedAt } = one.user
  const { email, mobile, username } = goesBy(one)
  const named = Object.fromEntries(standard.map((name) => [name, textOf(profile[name])]))
  const cells: Record<string, string> = {
    ...named,
    'cognito:username': (username?.value ?? externalId ?? id).replace(/\s/g, '_'),
    email: email?.value ?? '',
    email_verified: email?.verified ? 'TRUE' : 'FALSE',
    birthdate: dateOf(profile.birthdate),
    phone_number: mobile?.value ?? '',
    phone_number_verified: mobile?.verified ? 'TRUE' : 'FALSE',
    updated_at: String(Math.floor(updatedAt.getTime() / 1000)),
    'cognito:mfa_enabled': 'FALSE',
  }
  return [...columns.map((name) => cells[name] ?? ''), ...more.map(({ part, name }) => textOf(one.user[part][name]))]
}

const textOf = (value: unknown): string => {
  if (value === undefined || value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** With the month first, as Cognito wants it; nothing for what is no date. */
const dateOf = (value: unknown): string => {
  const [, year, month, day] = String(value).match(/^(\d{4})-(\d{2})-(\d{2})$/) ?? []
  return year === undefined ? '' : `${month}/${day}/${year}`
}

const lineOf = (cells: string[]): string => `${cells.map(cellOf).join(',')}\r\n`

// A spreadsheet takes what begins like this for a formula (OWASP, CSV injection). A number with a plus in front is
// harmless, and Cognito wants it so. Lines do not go over into the next, and a comma comes after a backslash.
const cellOf = (cell: string): string => {
  const flat = cell.replace(/[\r\n\t]+/g, ' ').trim()
  const harmless = /^'*["=+\-@]/.test(flat) && !/^\+\d+$/.test(flat) ? `'${flat}` : flat
  return harmless.replaceAll(',', '\\,').replace(/\\$/, '\\ ')
}
