import type { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { type ColumnMapping, renamed } from '../directory/import-columns.ts'
import type { RawRow } from '../directory/import-rows.ts'
import type { Pool } from '../directory/pools.ts'
import { placed } from '../directory/presets/placing.ts'
import type { Dialect, Preset } from '../directory/presets/preset.ts'
import { Problem } from '../platform/problem.ts'
import { splitList } from './json-rows.ts'
import { isTooDeep } from './parse.ts'

const mostCharacters = 128 * 1024

/** What an upload may be; one JSON for all users only where another system writes it so. */
export const importTypes = ['text/csv', 'application/x-ndjson', 'application/json'] as const
export type ImportType = (typeof importTypes)[number]

/** How the file of an import is to be read. */
export interface FileOptions {
  preset: Preset | undefined
  mapping: ColumnMapping
  pool: Pool
}

/**
 * Reads the rows of a file as they come, in UTF-8. A line that is no JSON object, or a record with too many or too few
 * cells, is a row that says so. Throws `unprocessable` where quotes or brackets go wrong, as nothing after that can be told
 * apart, and `unsupported_type` for one JSON without a preset.
 */
export const readRows = (source: Readable, type: ImportType, options: FileOptions): AsyncIterable<RawRow> => {
  const { preset, mapping, pool } = options
  if (!preset && type === 'application/json')
    throw new Problem('unsupported_type', { detail: 'Send CSV or NDJSON, or say whose JSON it is (`preset`).' })
  const rows = type === 'text/csv' ? readCsv(source, preset?.csv ?? plain) : readJson(source, type)
  return preset ? placed(rows, { preset, mapping, settings: pool.settings }) : renamed(rows, mapping)
}

// What an export put before a text that a spreadsheet would take for a formula.
const plain: Dialect = { cell: (text) => (/^'+[=+\-@\t\r]/.test(text) ? text.slice(1) : text), backslash: false }

const readCsv = async function* (source: Readable, dialect: Dialect): AsyncIterable<RawRow> {
  const parser = parse({
    bom: true,
    relax_column_count: true,
    relax_quotes: dialect.backslash,
    skip_empty_lines: true,
    max_record_size: mostCharacters,
  })
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  let names: string[] | undefined
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      const whole = dialect.backslash ? joined(cells) : cells
      if (names) yield rowOf(names, whole, dialect)
      else names = headerOf(whole)
    }
  } catch (error) {
    if (error instanceof CsvError)
      throw new Problem('unprocessable', { detail: `The CSV cannot be read: ${error.message.slice(0, 200)}` })
    throw error
  }
}

/** Cells that were parted at a comma with a backslash before it. */
const joined = (cells: string[]): string[] => {
  const whole: string[] = []
  for (const cell of cells) {
    const last = whole.at(-1)
    if (last?.endsWith('\\')) whole[whole.length - 1] = `${last.slice(0, -1)},${cell}`
    else whole.push(cell)
  }
  return whole
}

const headerOf = (cells: string[]): string[] => {
  const names = cells.map((cell) => cell.trim())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw new Problem('unprocessable', { detail: `The column ${JSON.stringify(twice.slice(0, 60))} is there twice.` })
  return names
}

const rowOf = (names: string[], cells: string[], { cell }: Dialect): RawRow => {
  if (cells.length !== names.length)
    return { is: 'unreadable', why: `The row has ${cells.length} cells, and the first line ${names.length}` }
  if (cells.some(isOdd)) return oddText
  return { is: 'row', values: Object.fromEntries(names.map((name, index) => [name, cell(cells[index] ?? '')])) }
}

const textsOf = async function* (source: Readable): AsyncIterable<string> {
  const decoder = new TextDecoder()
  for await (const chunk of source) yield decoder.decode(chunk as Buffer, { stream: true })
  yield decoder.decode()
}

/** What is called JSON may well be NDJSON: its first line tells. */
const readJson = async function* (source: Readable, type: ImportType): AsyncIterable<RawRow> {
  const texts = textsOf(source)
  if (type === 'application/x-ndjson') return yield* readNdjson(texts)
  let begin = ''
  for (const iterator = texts[Symbol.asyncIterator](); ; ) {
    const { value, done } = await iterator.next()
    begin += value ?? ''
    if (!done && begin.length <= mostCharacters && !begin.trimStart().includes('\n')) continue
    const all = again(begin, { [Symbol.asyncIterator]: () => iterator })
    return yield* isLine(begin) ? readNdjson(all) : readList(all)
  }
}

const again = async function* (begin: string, rest: AsyncIterable<string>): AsyncIterable<string> {
  yield begin
  yield* rest
}

/** Whether the first line is a user alone, and not a list of them nor what holds one. */
const isLine = (begin: string): boolean => {
  try {
    const value: unknown = JSON.parse(begin.trimStart().split('\n')[0] ?? '')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    return !Object.entries(value).some(([name, inner]) => /^users$/i.test(name) && Array.isArray(inner))
  } catch {
    return false
  }
}

const readList = async function* (texts: AsyncIterable<string>): AsyncIterable<RawRow> {
  for await (const text of splitList(texts, mostCharacters)) yield text === undefined ? longLine : lineOf(text)
}

const readNdjson = async function* (texts: AsyncIterable<string>): AsyncIterable<RawRow> {
  let rest = ''
  for await (const text of texts) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > mostCharacters) throw new Problem('unprocessable', { detail: 'A line is too long.' })
    for (const line of lines) if (line.trim() !== '') yield lineOf(line)
  }
  if (rest.trim() !== '') yield lineOf(rest)
}

const longLine: RawRow = { is: 'unreadable', why: 'The line is too long' }

const lineOf = (line: string): RawRow => {
  if (line.length > mostCharacters) return longLine
  try {
    const values: unknown = JSON.parse(line, (name, value) => {
      if (name === '__proto__' || isOdd(name) || (typeof value === 'string' && isOdd(value))) throw new OddText()
      return value
    })
    if (isTooDeep(values)) return { is: 'unreadable', why: 'The line has too many levels' }
    if (typeof values === 'object' && values !== null && !Array.isArray(values))
      return { is: 'row', values: values as Record<string, unknown> }
  } catch (error) {
    if (error instanceof OddText) return oddText
  }
  return { is: 'unreadable', why: 'The line is no JSON object' }
}

class OddText extends Error {}

// A lone surrogate fits no column either; a replacement character is what is left of another encoding.
const isOdd = (text: string): boolean => text.includes('\0') || text.includes('\ufffd') || !text.isWellFormed()

const oddText: RawRow = { is: 'unreadable', why: 'The row holds a character that is not text in UTF-8' }
