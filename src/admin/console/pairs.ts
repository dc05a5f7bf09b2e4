import type { Json } from '../openapi.ts'

/** How what has two sides stands in a textarea: `name = value`, one a line. */
export interface Pairing {
  write(value: unknown): string
  read(text: string): { value: unknown } | { fault: string }
}

/** The pairing of what a schema describes, where it is one: a map of texts or of lists, or a list of two texts each. */
export const pairingOf = ({ type, items, additionalProperties, properties }: Json): Pairing | undefined => {
  if (type === 'array') return isObject(items) ? listPairing(items) : undefined
  if (type !== 'object' || properties || !isObject(additionalProperties)) return undefined
  if (additionalProperties.type === 'string') return textPairing
  const inner = additionalProperties.items
  return additionalProperties.type === 'array' && isObject(inner) && inner.type === 'string' ? wordPairing : undefined
}

const textPairing: Pairing = {
  write: (value) => lines(Object.entries(asObject(value)).map(([name, text]) => [name, String(text)])),
  read: (text) => intoMap(text, (right) => right),
}

const wordPairing: Pairing = {
  write: (value) => lines(Object.entries(asObject(value)).map(([name, words]) => [name, [words].flat().join(' ')])),
  read: (text) => intoMap(text, (right) => right.split(/\s+/).filter(Boolean)),
}

const listPairing = ({ properties }: Json): Pairing | undefined => {
  const sides = Object.entries((properties ?? {}) as Record<string, Json>)
  const [left, right] = sides.map(([name]) => name)
  if (sides.length !== 2 || sides.some(([, { type }]) => type !== 'string') || !left || !right) return undefined
  return {
    write: (value) =>
      lines((Array.isArray(value) ? value : []).map((one: Json) => [String(one[left]), String(one[right])])),
    read: (text) => {
      const told = pairs(text)
      return 'fault' in told ? told : { value: told.pairs.map(([a, b]) => ({ [left]: a, [right]: b })) }
    },
  }
}

const lines = (sides: [string, string][]): string => sides.map(([left, right]) => `${left} = ${right}`).join('\n')

const intoMap = (text: string, side: (right: string) => unknown): { value: unknown } | { fault: string } => {
  const told = pairs(text)
  return 'fault' in told ? told : { value: Object.fromEntries(told.pairs.map(([left, right]) => [left, side(right)])) }
}

// Between spaces, for an address may have the sign in it.
const pairs = (text: string): { pairs: [string, string][] } | { fault: string } => {
  const written = text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
  const found = written.map((line) => /^(.+?)(?:\s+=\s*|=\s+|=$)(.*)$|^([^=]+)=([^=]+)$/.exec(line))
  const odd = found.indexOf(null)
  if (odd >= 0) return { fault: `Write line ${odd + 1} as "name = value"` }
  return { pairs: found.flatMap((match) => (match ? [[match[1] ?? match[3] ?? '', match[2] ?? match[4] ?? '']] : [])) }
}

const asObject = (value: unknown): Json => (isObject(value) ? value : {})
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
