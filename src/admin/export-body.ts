import { Readable } from 'node:stream'
import type { Db } from '../db/connect.ts'
import { columnsOf, type ExportedRow, readUsers } from '../directory/exports.ts'
import type { Pool } from '../directory/pools.ts'

/** How users are written, and the type of that. */
export const exportTypes = { csv: 'text/csv', ndjson: 'application/x-ndjson' } as const
export type ExportFormat = keyof typeof exportTypes

/** The users of a pool as a text that an import reads again, read from the database as fast as it is taken away. */
export const writeUsers = (db: Db, pool: Pool, format: ExportFormat, withHashes: boolean): Readable =>
  Readable.from(format === 'csv' ? csvOf(db, pool, withHashes) : ndjsonOf(db, pool, withHashes))

const ndjsonOf = async function* (db: Db, pool: Pool, withHashes: boolean): AsyncIterable<string> {
  for await (const rows of readUsers(db, pool, withHashes)) yield rows.map((row) => `${JSON.stringify(row)}\n`).join('')
}

const csvOf = async function* (db: Db, pool: Pool, withHashes: boolean): AsyncIterable<string> {
  const columns = columnsOf(pool, withHashes)
  yield csvLine(columns)
  for await (const rows of readUsers(db, pool, withHashes))
    yield rows.map((row) => csvLine(columns.map((column) => cellOf(row, column, columns)))).join('')
}

/** A line of CSV (RFC 4180), in which no cell is taken for a formula. */
export const csvLine = (cells: readonly string[]): string => `${cells.map(quoted).join(',')}\r\n`

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

// A spreadsheet takes what begins like this for a formula (OWASP, CSV injection); an import takes the quote away again.
const quoted = (cell: string): string => {
  const harmless = /^'*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n\t]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
