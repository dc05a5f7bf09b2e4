import type { Json } from '../openapi.ts'
import type { Wording } from './fields.ts'
import { type Pairing, pairingOf } from './pairs.ts'

interface Placed {
  path: string[]
  schema: Json
  required: boolean
  nullable: boolean
}

/** A property of a schema that one field stands for, with how it is read and drawn. */
export type Leaf = Placed &
  (
    | { kind: 'text' | 'checkbox' | 'number' | 'json' | 'lines' }
    | { kind: 'select' | 'checks' | 'spaced'; choices: string[] }
    | { kind: 'pairs'; pairing: Pairing }
  )

/** The properties of a schema in its order; those of an object in it stand by their paths. */
export const leavesOf = (schema: Json, path: string[], wording: Wording): Leaf[] => {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(properties).flatMap(([name, property]) => {
    const at = [...path, name]
    if (wording.omit?.includes(at.join('.'))) return []
    const inner = withoutNull(property)
    const apart = inner.type === 'object' && inner.properties && !wording.whole?.includes(at.join('.'))
    if (apart) return leavesOf(inner, at, wording)
    const needed = required.includes(name) && property.default === undefined
    const placed = { path: at, schema: { ...property, ...inner }, required: needed, nullable: isNullable(property) }
    return [leafOf(placed, wording)]
  })
}

const leafOf = (leaf: Placed, { options, spaced }: Wording): Leaf => {
  const { path, schema } = leaf
  const name = path.join('.')
  const choices = choicesOf(schema, options?.[name])
  const pairing = pairingOf(schema)
  if (pairing) return { ...leaf, kind: 'pairs', pairing }
  if (schema.type === 'array') {
    const item = (schema.items ?? {}) as Json
    const many = choicesOf(item, options?.[name])
    if (many) return { ...leaf, kind: 'checks', choices: many }
    return { ...leaf, kind: item.type === 'string' ? 'lines' : 'json' }
  }
  if (choices && spaced?.includes(name)) return { ...leaf, kind: 'spaced', choices }
  if (choices) return { ...leaf, kind: 'select', choices }
  if (schema.type === 'boolean') return { ...leaf, kind: 'checkbox' }
  if (schema.type === 'integer' || schema.type === 'number') return { ...leaf, kind: 'number' }
  return { ...leaf, kind: schema.type === 'string' ? 'text' : 'json' }
}

// What the schema knows and no option words is still there to be chosen, and kept.
const choicesOf = ({ enum: many, const: one }: Json, worded?: { value: string }[]): string[] | undefined => {
  const known = Array.isArray(many) ? many.filter((value) => value !== null) : one === undefined ? [] : [one]
  if (!worded && !Array.isArray(many) && one === undefined) return undefined
  return [...new Set([...(worded ?? []).map(({ value }) => value), ...known.map(String)])]
}

/** What may stand here besides null. */
const withoutNull = (schema: Json): Json => {
  const types = Array.isArray(schema.type) ? schema.type.filter((type) => type !== 'null') : []
  if (types.length === 1) return { ...schema, type: types[0] }
  const alternatives = (schema.anyOf ?? schema.oneOf) as Json[] | undefined
  const some = alternatives?.filter(({ type }) => type !== 'null') ?? []
  return some.length === 1 ? { ...(some[0] as Json) } : schema
}

const isNullable = (schema: Json): boolean => {
  const alternatives = (schema.anyOf ?? schema.oneOf ?? []) as Json[]
  return [schema.type].flat().includes('null') || alternatives.some(({ type }) => type === 'null')
}
