import { type Field, isSaid, objectOf, type Preset, shown, textOf } from './preset.ts'

/**
 * Amazon Cognito's CSV for user imports, and what ListUsers answers, a user each. Cognito gives no password hashes away,
 * so these users come without a password.
 */
export const cognito: Preset = {
  name: 'cognito',
  title: 'Amazon Cognito',
  csv: { cell: (text) => (/^'+["=+\-@\t\r]/.test(text) ? text.slice(1) : text), backslash: true },
  read: (record) => {
    const attributes = attributesOf(record)
    const taken = new Set([attributes.email, attributes.phone_number].map((one) => textOf(one)?.toLowerCase()))
    return {
      is: 'person',
      fields: Object.entries(attributes).flatMap(([name, value]) => fieldsOf(name, value, taken)),
      warnings: [],
    }
  },
}

/** One flat record of both: `Attributes` is what ListUsers answers, `UserAttributes` what AdminGetUser does. */
const attributesOf = (record: Record<string, unknown>): Record<string, unknown> => {
  const listed = [record.Attributes, record.UserAttributes].find(Array.isArray)
  if (!listed) return record
  const { Attributes: _, UserAttributes: __, Username, Enabled, ...more } = record
  const named = listed.flatMap((one): [string, unknown][] => {
    const { Name, Value } = objectOf(one) ?? {}
    return typeof Name === 'string' ? [[Name, Value]] : []
  })
  return { 'cognito:username': Username, Enabled, ...more, ...Object.fromEntries(named) }
}

const columns: Record<string, NonNullable<Field['column']>> = {
  email: 'email',
  email_verified: 'email_verified',
  phone_number: 'mobile',
  phone_number_verified: 'mobile_verified',
}

const fieldsOf = (name: string, value: unknown, taken: ReadonlySet<string | undefined>): Field[] => {
  const column = Object.hasOwn(columns, name) ? columns[name] : undefined
  if (column) return [{ ...shown(name, value), column }]
  if (name === 'cognito:username') return nameOf(name, value, taken)
  if (name === 'Enabled') return isSaid(value, false) ? [{ name, value: 'inactive', column: 'status' }] : []
  if (name === 'cognito:mfa_enabled' && isSaid(value, false)) return []
  if (name === 'birthdate') return [shown(name, dateOf(value))]
  return [shown(name, value, name.replace(/^custom:/, ''))]
}

/** Where people sign in by an address, their name is an id that Cognito made, or the address once more. */
const nameOf = (name: string, value: unknown, taken: ReadonlySet<string | undefined>): Field[] => {
  const text = textOf(value)
  const isTyped = text !== undefined && !uuid.test(text) && !taken.has(text.toLowerCase())
  return [{ name, value, column: 'external_id' }, ...(isTyped ? [{ name, value, column: 'username' } as const] : [])]
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Their CSV has the month first. */
const dateOf = (value: unknown): unknown => {
  const [, month, day, year] = textOf(value)?.match(/^(\d{2})\/(\d{2})\/(\d{4})$/) ?? []
  return year === undefined ? value : `${year}-${month}-${day}`
}
