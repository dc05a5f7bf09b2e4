import type { ColumnMapping } from '../import-columns.ts'
import type { RawRow } from '../import-rows.ts'
import type { PoolSettings } from '../pool-settings.ts'
import type { Field, Preset } from './preset.ts'

interface Wanted {
  preset: Preset
  settings: Pick<PoolSettings, 'identifiers' | 'user_schema' | 'metadata_schema'>
  /** By the other system's names; stronger than what the preset says. */
  mapping: ColumnMapping
}

/**
 * Turns the records of another system into rows, one by one. A field goes where the mapping says, to the column that it
 * is, or to the property of the pool's schemas that has its name; otherwise it is left out, and the row says so.
 */
export const placed = async function* (rows: AsyncIterable<RawRow>, wanted: Wanted): AsyncIterable<RawRow> {
  const place = placeFor(wanted)
  for await (const row of rows) yield row.is === 'row' ? rowOf(wanted.preset, row.values, place) : row
}

type Place = (
  field: Field,
  taken: ReadonlyMap<string, unknown>,
) => { is: 'column'; column: string } | { is: 'left' | 'unwanted' }

const rowOf = (preset: Preset, record: Record<string, unknown>, place: Place): RawRow => {
  const reading = preset.read(record)
  if (reading.is === 'none') return { is: 'unreadable', why: reading.why }
  const values = new Map<string, unknown>()
  const used = new Set<string>()
  const left: string[] = []
  for (const field of reading.fields) {
    if (isNothing(field.value)) continue
    const to = place(field, values)
    if (to.is === 'left') left.push(field.name)
    if (to.is !== 'column') continue
    used.add(field.name)
    values.set(to.column, field.value)
  }
  // One field may be two things, and is left out where it became neither.
  const leftOut = [...new Set(left)].filter((name) => !used.has(name))
  return {
    is: 'row',
    values: Object.fromEntries(values),
    ...(reading.warnings.length > 0 ? { warnings: reading.warnings } : {}),
    ...(leftOut.length > 0 ? { leftOut } : {}),
  }
}

const placeFor = ({ settings, mapping }: Wanted): Place => {
  const wanted = new Map(Object.entries(mapping))
  const promised = new Set(Object.values(mapping))
  const known = { profile: namesOf(settings.user_schema), metadata: namesOf(settings.metadata_schema) }
  const isFree = (column: string, taken: ReadonlyMap<string, unknown>) => !taken.has(column) && !promised.has(column)
  return ({ name, column, property }, taken) => {
    const to = wanted.get(name)
    if (to === null) return { is: 'unwanted' }
    if (to !== undefined) return taken.has(to) ? { is: 'left' } : { is: 'column', column: to }
    if (column && isUsed(column, settings.identifiers) && isFree(column, taken)) return { is: 'column', column }
    const holder = property?.among.find(
      (one) => known[one].has(property.name) && isFree(`${one}.${property.name}`, taken),
    )
    return property && holder ? { is: 'column', column: `${holder}.${property.name}` } : { is: 'left' }
  }
}

/** What a pool does not know people by may still be a property of theirs. */
const isUsed = (column: string, identifiers: readonly string[]): boolean => {
  const kind = column.replace(/_verified$/, '')
  return !['email', 'mobile', 'username'].includes(kind) || identifiers.includes(kind)
}

const namesOf = ({ properties }: Record<string, unknown>): ReadonlySet<string> =>
  new Set(typeof properties === 'object' && properties !== null ? Object.keys(properties) : [])

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === 'object' && !Array.isArray(value) && Object.keys(value as object).length === 0)
