import { describedIn, type Resource } from '../directory/resources.ts'
import type { Words } from '../platform/words.ts'

/** What a client asks for in detail, as the page of consent says it: all of it, in the words of whoever declared it. */
export interface ToldDetail {
  label: string
  facts: { name: string; value: string }[]
}

type Json = Record<string, unknown>

/** Reads `authorization_details`, which the engine has checked (RFC 9396). */
export const detailsIn = (asked: unknown, words: Words, resources: readonly Resource[]): ToldDetail[] => {
  const declared = new Map(
    resources.flatMap(({ authorization_details_types: types }) => types.map((one) => [one.type, one] as const)),
  )
  const details = typeof asked === 'string' ? (JSON.parse(asked) as Json[]) : []
  return details.map(({ type, ...fields }) => {
    const known = declared.get(String(type))
    const label = (known && describedIn(known.description, words.lang)) ?? String(type)
    return { label, facts: factsOf(fields, known?.schema ?? {}, [], words) }
  })
}

/** Every value by the titles that the schema gives on the way to it; nothing that was asked for is left out. */
const factsOf = (value: unknown, schema: Json, names: string[], words: Words): ToldDetail['facts'] => {
  if (Array.isArray(value)) {
    if (value.every((one) => !isObject(one) && !Array.isArray(one)))
      return [{ name: names.join(', '), value: value.map((one) => plain(one, words)).join(', ') }]
    const item = isObject(schema.items) ? schema.items : {}
    return value.flatMap((one, index) => factsOf(one, item, [...names, String(index + 1)], words))
  }
  if (!isObject(value)) return [{ name: names.join(', '), value: plain(value, words) }]
  const properties = isObject(schema.properties) ? schema.properties : {}
  return Object.entries(value).flatMap(([name, one]) => {
    const property = Object.hasOwn(properties, name) && isObject(properties[name]) ? properties[name] : {}
    const title = typeof property.title === 'string' ? property.title : name
    return factsOf(one, property, [...names, title], words)
  })
}

const plain = (value: unknown, { t }: Words): string =>
  typeof value === 'boolean' ? t(value ? 'consent.yes' : 'consent.no') : String(value)

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
