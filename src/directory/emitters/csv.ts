import { csvLine } from '../../platform/csv.ts'
import type { Pool } from '../pools.ts'
import { propertiesOf } from '../profiles.ts'
import type { Emitter } from './emitter.ts'
import { type ExportedRow, rowOf } from './table.ts'

/** A table in the columns that an import reads: one for each simple property, and one for the rest of them. */
export const csv: Emitter = {
  name: 'csv',
  title: 'CSV, for spreadsheets',
  type: 'text/csv',
  ending: 'csv',
  hashes: true,
  write: async function* (pool, pages, withHashes) {
    const columns = columnsOf(pool, withHashes)
    yield csvLine(columns)
    for await (const users of pages) yield users.map((user) => lineOf(rowOf(user), columns)).join('')
  },
}

const columnsOf = ({ settings }: Pool, withHashes: boolean): string[] => [
  'email',
  'email_verified',
  'mobile',
  'mobile_verified',
  'username',
  'status',
  'groups',
  'roles',
  'external_id',
  ...propertiesOf(settings.user_schema).map(({ name }) => `profile.${name}`),
  'profile',
  ...propertiesOf(settings.metadata_schema).map(({ name }) => `metadata.${name}`),
  'metadata',
  ...(withHashes ? ['password_hash'] : []),
]

const lineOf = (row: ExportedRow, columns: string[]): string =>
  csvLine(columns.map((column) => cellOf(row, column, columns)))

const cellOf = (row: ExportedRow, column: string, columns: string[]): string => {
  const [part = '', ...names] = column.split('.')
  if (names.length > 0) return textOf((row[part] as ExportedRow)[names.join('.')])
  if (part !== 'profile' && part !== 'metadata') return textOf(row[part])
  const rest = Object.entries(row[part] as ExportedRow).filter(([name]) => !columns.includes(`${part}.${name}`))
  return rest.length > 0 ? JSON.stringify(Object.fromEntries(rest)) : ''
}

const textOf = (value: unknown): string => {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.join(';')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
