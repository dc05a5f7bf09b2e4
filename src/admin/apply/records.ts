import type { z } from 'zod'
import { type FileContent, type FileFault, readYaml } from './file.ts'
import type { Naming, Reach } from './kind.ts'

/** A record as a file wishes for it. */
export interface WrittenRecord {
  key: string
  naming: Naming
  fields: Record<string, unknown>
  /** The line of one of its values, by JSON pointer; of the record itself where the file does not say the value. */
  lineOf(pointer: string): number
}

/** A file, read: what of it can be understood, and everything that cannot. */
export interface WrittenFile {
  records: ReadonlyMap<string, readonly WrittenRecord[]>
  /** The kinds of which nothing stays that the file does not name, with the line that says so. */
  prune: ReadonlyMap<string, number>
  reach: Reach
  faults: FileFault[]
}

interface Named {
  name: string
  noun: string
  naming: z.ZodObject<Record<string, z.ZodType<string | null>>>
  keyOf(naming: Naming): string
}

/** Reads a file of lists of records, one a kind. */
export const readRecords = (text: string, kinds: readonly Named[]): WrittenFile => {
  const { content, faults } = readYaml(text)
  const records = new Map<string, WrittenRecord[]>()
  const prune = new Map<string, number>()
  if (faults.length === 0) readAll(content, kinds, { records, prune, faults })
  return { records, prune, faults, reach: reachOf(records) }
}

type Reading = { records: Map<string, WrittenRecord[]>; prune: Map<string, number>; faults: FileFault[] }

const readAll = (content: FileContent, kinds: readonly Named[], { records, prune, faults }: Reading): void => {
  const refuse = (path: (string | number)[], detail: string) => faults.push({ line: content.lineOf(path), detail })
  const { value } = content
  if (!isRecord(value)) {
    refuse([], `A file holds lists: ${kinds.map(({ name }) => name).join(', ')}`)
    return
  }
  const names = new Set(kinds.map(({ name }) => name))
  for (const name of Object.keys(value))
    if (name !== 'prune' && !names.has(name)) refuse([name], `"${name}" is none of prune, ${[...names].join(', ')}`)
  for (const kind of kinds) records.set(kind.name, readList(content, kind, value[kind.name], refuse))
  readPrune(value.prune, names, refuse, (name) => prune.set(name, content.lineOf(['prune', name])))
}

type Refuse = (path: (string | number)[], detail: string) => void

const readList = (content: FileContent, kind: Named, list: unknown, refuse: Refuse): WrittenRecord[] => {
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) {
    refuse([kind.name], `"${kind.name}" is a list`)
    return []
  }
  const found = new Map<string, WrittenRecord>()
  for (const [index, fields] of list.entries()) {
    const path = [kind.name, index]
    const naming = isRecord(fields) ? readNaming(kind, fields, path, refuse) : undefined
    if (!isRecord(fields)) refuse(path, `A ${kind.noun} has fields`)
    if (!isRecord(fields) || !naming) continue
    const key = kind.keyOf(naming)
    const first = found.get(key)
    if (first) refuse(path, `${kind.noun} ${key} is here twice, first on line ${first.lineOf('')}`)
    else found.set(key, { key, naming, fields, lineOf: (pointer) => content.lineOf([...path, ...partsOf(pointer)]) })
  }
  return [...found.values()]
}

const readNaming = (
  { noun, naming }: Named,
  fields: Record<string, unknown>,
  path: (string | number)[],
  refuse: Refuse,
): Naming | undefined => {
  const read = naming.safeParse(fields)
  if (read.success) return read.data
  for (const { path: at } of read.error.issues) {
    const name = String(at[0])
    refuse([...path, name], name in fields ? `"${name}" of a ${noun} is text` : `A ${noun} needs "${name}"`)
  }
  return undefined
}

const readPrune = (prune: unknown, names: ReadonlySet<string>, refuse: Refuse, add: (name: string) => void): void => {
  if (prune === undefined || prune === null) return
  if (!isRecord(prune)) refuse(['prune'], '"prune" says true for a kind, such as { clients: true }')
  else
    for (const [name, wanted] of Object.entries(prune)) {
      if (!names.has(name)) refuse(['prune', name], `"${name}" is none of ${[...names].join(', ')}`)
      else if (typeof wanted !== 'boolean') refuse(['prune', name], 'This is true or false')
      else if (wanted) add(name)
    }
}

const reachOf = (records: ReadonlyMap<string, readonly WrittenRecord[]>): Reach => {
  const named = (kind: string, field: string) =>
    (records.get(kind) ?? []).flatMap(({ naming }) => {
      const slug = naming[field]
      return typeof slug === 'string' ? [slug] : []
    })
  return {
    workspaces: new Set([
      ...named('workspaces', 'slug'),
      ...named('connections', 'workspace'),
      ...named('clients', 'workspace'),
      ...named('messages', 'workspace'),
      ...named('resources', 'workspace'),
      ...named('domains', 'workspace'),
      ...named('scripts', 'workspace'),
    ]),
    pools: new Set([...named('pools', 'slug'), ...named('tenants', 'pool'), ...named('groups', 'pool')]),
  }
}

const partsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
