import { readHash } from '../platform/foreign-hashes.ts'
import { type Identifier, type IdentifierKind, readIdentifier } from './identifiers.ts'
import { isColumn } from './import-columns.ts'
import { type NamedRole, readRoles } from './import-roles.ts'
import type { Pool } from './pools.ts'
import { faultsOf, propertiesOf, tellFault } from './profiles.ts'

/**
 * A row as it came: names of columns, with texts (CSV) or any JSON; a row that could not even be read tells why. One of
 * another system's file may come in without something, and have fields that nothing here is called by.
 */
export type RawRow =
  | { is: 'row'; values: Record<string, unknown>; warnings?: string[]; leftOut?: string[] }
  | { is: 'unreadable'; why: string }

/** A user as a row describes them; what a row does not name is undefined. */
export interface ImportedUser {
  identifiers: (Identifier & { verified: boolean })[]
  status: 'new' | 'active' | 'inactive' | undefined
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  /** Paths. */
  groups: string[]
  roles: NamedRole[]
  passwordHash: string | undefined
  externalId: string | undefined
}

export type ImportedRow = { is: 'user'; user: ImportedUser } | { is: 'faulty'; reasons: string[] }

/** Reads a row for a pool, or tells everything that is wrong with it; reasons hold neither hashes nor whole values. */
export const readRow = (pool: Pool, raw: RawRow): ImportedRow => {
  if (raw.is === 'unreadable') return { is: 'faulty', reasons: [raw.why] }
  const values = presentOf(raw.values)
  const profile = partOf(values, 'profile', pool.settings.user_schema)
  const metadata = partOf(values, 'metadata', pool.settings.metadata_schema)
  const identifiers = identifiersOf(pool, values)
  const groups = groupsOf(values.groups)
  const roles = readRoles(values.roles)
  const status = statuses.find((one) => one === values.status)
  const hash = hashOf(values.password_hash)
  const reasons = [
    ...strangeColumns(values),
    ...identifiers.reasons,
    ...(identifiers.known.length === 0 && identifiers.reasons.length === 0
      ? ['The row needs one of email, mobile and username, as the pool knows people']
      : []),
    ...(values.status !== undefined && !status ? ['status is new, active or inactive'] : []),
    ...(groups ? [] : ['groups are paths, each after a slash, separated by semicolons']),
    ...(roles ? [] : ['roles are keys, each alone or as TENANT/KEY, separated by semicolons']),
    ...(profile ? [] : ['profile is an object']),
    ...(metadata ? [] : ['metadata is an object']),
    ...hash.reasons,
    ...(isExternalId(values.external_id) ? [] : ['external_id is a text of 1 to 255 characters']),
  ]
  if (reasons.length > 0 || !profile || !metadata || !groups || !roles)
    return { is: 'faulty', reasons: reasons.slice(0, 10) }
  const externalId = values.external_id as string | undefined
  const user = {
    identifiers: identifiers.known,
    status,
    profile,
    metadata,
    groups,
    roles,
    passwordHash: hash.hash,
    externalId,
  }
  return { is: 'user', user }
}

/** Everything in which profile and metadata do not fit the pool's schemas. */
export const misfits = async (
  { settings }: Pool,
  { profile, metadata }: Pick<ImportedUser, 'profile' | 'metadata'>,
): Promise<string[]> => [
  ...(await faultsIn('profile', settings.user_schema, profile)),
  ...(await faultsIn('metadata', settings.metadata_schema, metadata)),
]

const kinds = ['email', 'mobile', 'username'] as const
const statuses = ['new', 'active', 'inactive'] as const

// Every sign-in and token reads a profile.
const mostCharacters = 32_768

/** An empty cell is an absent one. */
const presentOf = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '' && value !== null))

const strangeColumns = (values: Record<string, unknown>): string[] =>
  Object.keys(values)
    .filter((name) => !isColumn(name))
    .map((name) => `The column ${JSON.stringify(name.slice(0, 60))} is not known`)

const identifiersOf = ({ settings }: Pool, values: Record<string, unknown>) => {
  const reasons: string[] = []
  const told = kinds.flatMap((kind) =>
    textOf(values[kind])
      .split(';')
      .map((value) => ({ kind, value })),
  )
  const known = told.flatMap(({ kind, value }: { kind: IdentifierKind; value: string }) => {
    if (value === '') return []
    const verified = booleanOf(values[`${kind}_verified`])
    const identifier = readIdentifier(value, [kind], settings.default_country)
    if (!settings.identifiers.includes(kind)) reasons.push(`The pool does not know people by ${kind}`)
    else if (!identifier) reasons.push(`${kind} is none`)
    else if (verified === undefined) reasons.push(`${kind}_verified is true or false`)
    else return [{ ...identifier, verified }]
    return []
  })
  if (new Set(known.map(({ kind, value }) => `${kind}:${value}`)).size < known.length)
    reasons.push('One identifier is there twice')
  return { known, reasons }
}

/** What is no text stays none that fits: an object may well have a `toString` that is no function. */
const textOf = (value: unknown): string => {
  if (value === undefined) return ''
  return typeof value === 'object' && value !== null ? '{}' : String(value)
}

const booleanOf = (value: unknown): boolean | undefined => {
  if (value === undefined || /^(false|0|no)$/i.test(textOf(value))) return false
  return /^(true|1|yes)$/i.test(textOf(value)) ? true : undefined
}

const groupsOf = (value: unknown): string[] | undefined => {
  if (value === undefined) return []
  const listed = typeof value === 'string' ? value.split(';') : value
  if (!Array.isArray(listed) || listed.length > 100) return undefined
  const paths = listed.map((one) => (typeof one === 'string' ? one.trim() : ''))
  return paths.every((path) => path.startsWith('/')) ? [...new Set(paths)] : undefined
}

const hashOf = (value: unknown): { hash: string | undefined; reasons: string[] } => {
  if (value === undefined) return { hash: undefined, reasons: [] }
  const hash = typeof value === 'string' ? value : JSON.stringify(value)
  const reading = readHash(hash)
  return { hash, reasons: reading.is === 'read' ? [] : [`password_hash: ${reading.why}`] }
}

const isExternalId = (value: unknown): boolean =>
  value === undefined || (typeof value === 'string' && value.length > 0 && value.length <= 255)

/** What a row says of the profile or the metadata: as one object, by columns such as `profile.given_name`, or both. */
const partOf = (
  values: Record<string, unknown>,
  name: 'profile' | 'metadata',
  schema: Record<string, unknown>,
): Record<string, unknown> | undefined => {
  const whole = objectOf(values[name] ?? {})
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) return undefined
  const types = new Map(propertiesOf(schema).map((property) => [property.name, property.type]))
  const parts = Object.entries(values)
    .filter(([column]) => column.startsWith(`${name}.`))
    .map(([column, value]) => [column.slice(name.length + 1), typed(value, types.get(column.slice(name.length + 1)))])
  return { ...whole, ...Object.fromEntries(parts) }
}

/** A cell holds an object as JSON. */
const objectOf = (value: unknown): unknown => {
  try {
    return typeof value === 'string' ? JSON.parse(value) : value
  } catch {
    return undefined
  }
}

/** A cell as the schema wants it; one that cannot be stays a text, and the schema says so. */
const typed = (value: unknown, type: string | undefined): unknown => {
  if (typeof value !== 'string') return value
  if (type === 'boolean') return booleanOf(value) ?? value
  return (type === 'number' || type === 'integer') && /^[+-]?\d+(\.\d+)?$/.test(value) ? Number(value) : value
}

const faultsIn = async (
  name: string,
  schema: Record<string, unknown>,
  value: Record<string, unknown>,
): Promise<string[]> => {
  if (JSON.stringify(value).length > mostCharacters) return [`${name} is too much to keep`]
  return (await faultsOf(schema, value)).map((fault) => tellFault(name, fault))
}
