import { good, shown, texts } from './example-values.ts'
import { closest, insideOf, type Place } from './field-words.ts'
import type { Json } from './openapi.ts'

/** An example of an answer, with every field that it can have. */
export const answerExample = (schema: Json, place: Place): unknown =>
  exampleOf(schema, '', { place, takes: () => true })

/** An example of a request, with the fields that it needs and those that are worth showing. */
export const requestExample = (schema: Json, place: Place): unknown =>
  exampleOf(schema, '', { place, takes: (name, _, required) => required || shown.has(name) })

/** An example of a merge patch (RFC 7396): the first three fields of what it changes. */
export const patchExample = (schema: Json, place: Place): Json => {
  const names = Object.keys((schema.properties ?? {}) as Json).slice(0, 3)
  const takes: Wanted['takes'] = (name, { within }, required) =>
    required || within !== undefined || names.includes(name)
  const whole = exampleOf(schema, '', { place, takes }) as Json
  return Object.fromEntries(names.map((name) => [name, whole[name]]))
}

interface Wanted {
  place: Place
  /** Whether an example has this property. */
  takes(name: string, place: Place, required: boolean): boolean
}

const exampleOf = (schema: Json, name: string, wanted: Wanted): unknown => {
  const known = closest(good, name, wanted.place)?.find((value) => fits(schema, value))
  if (known !== undefined) return known
  if (schema.const !== undefined) return schema.const
  if (schema.default !== undefined) return schema.default
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const [first] = alternativesOf(schema).filter(({ type }) => type !== 'null')
  if (first) return exampleOf(first, name, wanted)
  return byType(schema, name, wanted)
}

const byType = (schema: Json, name: string, wanted: Wanted): unknown => {
  const [type] = typesOf(schema).filter((one) => one !== 'null')
  if (type === 'object') return objectOf(schema, { ...wanted, place: insideOf(name || 'items', wanted.place) })
  if (type === 'array') return [exampleOf((schema.items ?? {}) as Json, '', inItems(name, wanted))]
  if (type === 'integer' || type === 'number') return Math.max(1, Number(schema.minimum ?? 1))
  if (type === 'boolean') return true
  if (type === 'string') return texts.find((text) => fits(schema, text))
  return null
}

const inItems = (name: string, wanted: Wanted): Wanted => ({
  ...wanted,
  place: insideOf(name || 'items', wanted.place),
})

const objectOf = (schema: Json, wanted: Wanted): Json => {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Json>; required?: string[] }
  const taken = Object.entries(properties).filter(([name]) => wanted.takes(name, wanted.place, required.includes(name)))
  return Object.fromEntries(taken.map(([name, property]) => [name, exampleOf(property, name, wanted)]))
}

/** Whether a value fits a schema, as far as the schemas of the API go. */
const fits = (schema: Json, value: unknown): boolean => {
  const alternatives = alternativesOf(schema)
  if (alternatives.length > 0) return alternatives.some((one) => fits(one, value))
  if (schema.const !== undefined && schema.const !== value) return false
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return false
  const types = typesOf(schema)
  if (types.length > 0 && !types.includes(typeOf(value))) return false
  if (typeof value === 'string') return textFits(schema, value)
  if (typeof value === 'number') return value >= most(schema.minimum, -1) && value <= most(schema.maximum, 1)
  if (Array.isArray(value)) return listFits(schema, value)
  return typeof value !== 'object' || value === null || recordFits(schema, value as Json)
}

const textFits = ({ pattern, format, minLength, maxLength }: Json, text: string): boolean =>
  (typeof pattern !== 'string' || new RegExp(pattern, 'u').test(text)) &&
  (format !== 'uri' || URL.canParse(text)) &&
  text.length >= most(minLength, -1) &&
  text.length <= most(maxLength, 1)

const listFits = ({ items, minItems, maxItems }: Json, list: unknown[]): boolean =>
  list.length >= most(minItems, -1) &&
  list.length <= most(maxItems, 1) &&
  list.every((one) => fits((items ?? {}) as Json, one))

const recordFits = ({ properties, required = [], additionalProperties }: Json, record: Json): boolean =>
  (required as string[]).every((name) => Object.hasOwn(record, name)) &&
  Object.entries(record).every(([name, value]) => {
    const property = (properties as Record<string, Json> | undefined)?.[name]
    if (property) return fits(property, value)
    return additionalProperties !== false && fits((additionalProperties ?? {}) as Json, value)
  })

const most = (limit: unknown, sign: 1 | -1): number => (typeof limit === 'number' ? limit : sign * Infinity)

const alternativesOf = ({ anyOf, oneOf }: Json): Json[] => (anyOf ?? oneOf ?? []) as Json[]

const typesOf = ({ type }: Json): string[] => (Array.isArray(type) ? type : type ? [type] : []) as string[]

const typeOf = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}
