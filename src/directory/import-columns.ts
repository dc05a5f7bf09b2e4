import { z } from 'zod'
import type { RawRow } from './import-rows.ts'

const columns = [
  'email',
  'mobile',
  'username',
  'email_verified',
  'mobile_verified',
  'profile',
  'metadata',
  'groups',
  'roles',
  'password_hash',
  'status',
  'external_id',
]

/** Whether a row may have a column of this name. */
export const isColumn = (name: string): boolean => columns.includes(name) || /^(profile|metadata)\../.test(name)

/** How the columns of a file are called here; null leaves one out. */
export const columnMapping = z
  .record(z.string().min(1), z.string().refine(isColumn, 'There is no such column').nullable())
  .refine((mapping) => {
    const used = Object.values(mapping).filter((name) => name !== null)
    return new Set(used).size === used.length
  }, 'Two columns cannot be one')
export type ColumnMapping = z.output<typeof columnMapping>

/** Rows with their columns called as they are here. */
export const renamed = async function* (rows: AsyncIterable<RawRow>, mapping: ColumnMapping): AsyncIterable<RawRow> {
  const names = new Map(Object.entries(mapping))
  if (names.size === 0) return yield* rows
  for await (const row of rows) yield row.is === 'row' ? rename(row.values, names) : row
}

const rename = (values: Record<string, unknown>, names: ReadonlyMap<string, string | null>): RawRow => {
  const cells = Object.entries(values).flatMap(([name, value]) => {
    const wanted = names.has(name) ? names.get(name) : name
    return wanted == null ? [] : [[wanted, value] as const]
  })
  const named = new Map(cells)
  const twice = cells.find(([name, value]) => named.get(name) !== value)
  if (twice) return { is: 'unreadable', why: `The column ${JSON.stringify(twice[0].slice(0, 60))} is there twice` }
  return { is: 'row', values: Object.fromEntries(cells) }
}
