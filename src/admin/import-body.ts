import type { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import type { RawRow } from '../directory/import-rows.ts'
import { Problem } from '../platform/problem.ts'
import { isTooDeep } from './parse.ts'

const mostCharacters = 128 * 1024

/** Rows of an upload as they arrive, in either of its two types. */
export const importTypes = ['text/csv', 'application/x-ndjson'] as const
export type ImportType = (typeof importTypes)[number]

/**
 * Reads rows as they come, in UTF-8. A line that is no JSON object, or a record with too many or too few cells, is a row
 * that says so. Throws `unprocessable` where quotes go wrong, as nothing after that can be told apart.
 */
export const readRows = (source: Readable, type: ImportType): AsyncIterable<RawRow> =>
  type === 'text/csv' ? readCsv(source) : readNdjson(source)

const readCsv = async function* (source: Readable): AsyncIterable<RawRow> {
  const parser = parse({
    bom: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: mostCharacters,
  })
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  let names: string[] | undefined
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      if (names) yield rowOf(names, cells)
      else names = headerOf(cells)
    }
  } catch (error) {
    if (error instanceof CsvError)
      throw new Problem('unprocessable', { detail: `The CSV cannot be read: ${error.message.slice(0, 200)}` })
    throw error
  }
}

const headerOf = (cells: string[]): string[] => {
  const names = cells.map((cell) => cell.trim())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw new Problem('unprocessable', { detail: `The column ${JSON.stringify(twice.slice(0, 60))} is there twice.` })
  return names
}

const rowOf = (names: string[], cells: string[]): RawRow => {
  if (cells.length !== names.length)
    return { is: 'unreadable', why: `The row has ${cells.length} cells, and the first line ${names.length}` }
  if (cells.some(isOdd)) return oddText
  return { is: 'row', values: Object.fromEntries(names.map((name, index) => [name, asWritten(cells[index] ?? '')])) }
}

// What an export put before a text that a spreadsheet would take for a formula.
const asWritten = (cell: string): string => (/^'+[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell)

const readNdjson = async function* (source: Readable): AsyncIterable<RawRow> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of source) {
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > mostCharacters) throw new Problem('unprocessable', { detail: 'A line is too long.' })
    for (const line of lines) if (line.trim() !== '') yield lineOf(line)
  }
  rest += decoder.decode()
  if (rest.trim() !== '') yield lineOf(rest)
}

const lineOf = (line: string): RawRow => {
  if (line.length > mostCharacters) return { is: 'unreadable', why: 'The line is too long' }
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
