import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'

/** Something wrong in a file, with the line that it is in, from 1. */
export interface FileFault {
  line: number
  detail: string
}

/** A file's content as plain values, and where in the file each of them stands. */
export interface FileContent {
  value: unknown
  /** The line of the value at a path, or of the nearest one around it. */
  lineOf(path: readonly (string | number)[]): number
}

const mostAliases = 100
const mostFaults = 100

/**
 * Reads YAML 1.2: JSON's values and nothing else, so no tags, no two keys that are the same, and aliases within bounds. No
 * fault quotes the file, which may hold what must not be shown.
 */
export const readYaml = (text: string): { content: FileContent; faults: FileFault[] } => {
  const lines = new LineCounter()
  const options = { lineCounter: lines, prettyErrors: false, resolveKnownTags: false, stringKeys: true }
  const document = parseDocument(text, options)
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line)
  const syntax = [...document.errors, ...document.warnings].map(({ code, pos }) => ({
    line: lineAt(pos[0]),
    detail: messages[code] ?? `This cannot be read as YAML (${code.toLowerCase().replaceAll('_', ' ')})`,
  }))
  const faults = distinct([...syntax, ...oddities(document, lineAt)])
  const content = { value: undefined, lineOf: (path: readonly (string | number)[]) => lineAt(offsetOf(document, path)) }
  if (faults.length > 0) return { content, faults }
  try {
    return { content: { ...content, value: document.toJS({ maxAliasCount: mostAliases }) }, faults }
  } catch {
    return { content, faults: [{ line: 1, detail: 'The aliases of this file stand for too much' }] }
  }
}

const messages: Partial<Record<string, string>> = {
  DUPLICATE_KEY: 'This key is here twice',
  MULTIPLE_DOCS: 'A file holds one document',
  NON_STRING_KEY: 'A key is plain text',
  RESOURCE_EXHAUSTION: 'This is nested too deeply',
  TAG_RESOLVE_FAILED: 'Tags are not read here',
}

/** What YAML allows and a configuration has no use for. */
const oddities = (document: Document, lineAt: (offset: number) => number): FileFault[] => {
  const found: FileFault[] = []
  const refuse = (node: { range?: [number, number, number] | null }, detail: string) => {
    found.push({ line: lineAt(node.range?.[0] ?? 0), detail })
  }
  visit(document, {
    Alias: (_, alias, ancestors) => {
      const source = alias.resolve(document)
      if (!source) refuse(alias, 'This alias stands for nothing before it')
      else if (ancestors.includes(source)) refuse(alias, 'An alias cannot stand for what it is in')
    },
    Pair: (_, { key }) => {
      if (isScalar(key) && key.value === '__proto__') refuse(key, 'This key is not allowed')
    },
    Scalar: (_, node) => {
      const { value } = node
      if (typeof value === 'string' && value.includes('\0')) refuse(node, 'A NUL is not allowed')
      if (typeof value === 'number' && !Number.isFinite(value)) refuse(node, 'This is no number that can be kept')
    },
  })
  return found
}

const distinct = (faults: FileFault[]): FileFault[] => {
  const known = new Map(faults.map((fault) => [`${fault.line} ${fault.detail}`, fault]))
  return [...known.values()].toSorted((one, other) => one.line - other.line).slice(0, mostFaults)
}

const offsetOf = (document: Document, path: readonly (string | number)[]): number => {
  let node = document.contents as Node | null | undefined
  let offset = node?.range?.[0] ?? 0
  for (const part of path) {
    const around = isAlias(node) ? node.resolve(document) : node
    if (isMap(around)) {
      const pair = around.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
      if (!pair) return offset
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value as Node | null
    } else if (isSeq(around)) {
      node = around.items[Number(part)] as Node | undefined
      offset = node?.range?.[0] ?? offset
    } else return offset
  }
  return offset
}
