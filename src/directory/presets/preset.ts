/** A preset by its name: the system whose file an import reads. */
export type PresetName = 'auth0' | 'cognito' | 'keycloak'

/** What another system writes of its users, and what that is here. */
export interface Preset {
  name: PresetName
  /** Where the other system names itself, for people. */
  title: string
  /** How its CSV differs from others; nothing where it writes none of its own. */
  csv?: Dialect
  /** The fields of one record, the most telling first; reads nothing but the record. */
  read(record: Record<string, unknown>): Reading
}

/** How a system writes CSV. */
export interface Dialect {
  /** What a cell says, as it was written. */
  cell(text: string): string
  /** Whether a comma within a cell has a backslash before it, instead of quotes around the cell. */
  backslash: boolean
}

export type Reading =
  | { is: 'person'; fields: Field[]; warnings: string[] }
  /** A record that no user can be made of. */
  | { is: 'none'; why: string }

/** One thing that a record tells. */
export interface Field {
  /** As the other system calls it; people name it so when they map it. */
  name: string
  value: unknown
  /** The column of an import that it is. */
  column?: 'email' | 'email_verified' | 'mobile' | 'mobile_verified' | 'username' | MoreColumns
  /** The property that it is where a schema of the pool has one of that name; looked for in this order. */
  property?: { name: string; among: readonly ('profile' | 'metadata')[] }
}

type MoreColumns = 'external_id' | 'status' | 'groups' | 'password_hash'

/** A thing that users may see of themselves, unless the pool has it among what they do not. */
export const shown = (name: string, value: unknown, property = name): Field => ({
  name,
  value,
  property: { name: property, among: ['profile', 'metadata'] },
})

/** A thing that users do not see, unless the pool has it in their profile. */
export const hidden = (name: string, value: unknown, property = name): Field => ({
  name,
  value,
  property: { name: property, among: ['metadata', 'profile'] },
})

/** An object as such; undefined for everything else, lists too. */
export const objectOf = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined

/** A text that is not empty. Nothing else is made one: an object may well have a `toString` that is no function. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/** Whether a value says yes or no, as such or in a cell. */
export const isSaid = (value: unknown, said: boolean): boolean =>
  value === said || textOf(value)?.toLowerCase() === String(said)
