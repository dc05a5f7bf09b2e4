import type { ErrorObject, Format, ValidateFunction } from 'ajv'
import { LRUCache } from 'lru-cache'

/** A property of a pool's JSON Schema (2020-12) as a form needs to know it. */
export interface ProfileProperty {
  name: string
  title: string
  description: string | undefined
  type: 'string' | 'number' | 'integer' | 'boolean'
  format: string | undefined
  options: string[] | undefined
  required: boolean
  readOnly: boolean
  minLength: number | undefined
  maxLength: number | undefined
  minimum: number | undefined
  maximum: number | undefined
}

/** What is wrong with one property: ajv's keyword, for the catalogue of words to explain. */
export interface ProfileFault {
  property: string
  keyword: string
  limit: string | number | undefined
}

type Schema = Record<string, unknown>

/** The scalar properties of a pool's schema, in its order. */
export const propertiesOf = (schema: Schema): ProfileProperty[] => {
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  return Object.entries((schema.properties ?? {}) as Record<string, Schema>).flatMap(([name, property]) => {
    const type = [property.type ?? typeOfOptions(property)].flat().find((one) => one !== 'null')
    return isScalar(type) ? [propertyFrom(name, type, property, required.has(name))] : []
  })
}

/** The properties that people fill in themselves: what is `readOnly` is for operators to set. */
export const askedOf = (schema: Schema): ProfileProperty[] => propertiesOf(schema).filter(({ readOnly }) => !readOnly)

/** What a schema asks of people themselves: nothing that is `readOnly` is required of them. */
export const ownSchema = (schema: Schema): Schema => {
  if (!Array.isArray(schema.required)) return schema
  const properties = (schema.properties ?? {}) as Record<string, Schema | undefined>
  return { ...schema, required: schema.required.filter((name) => properties[String(name)]?.readOnly !== true) }
}

/**
 * Turns what a form sent into a profile by the pool's schema, and checks it by what the schema asks of people
 * themselves. Only properties that they may fill in are read; an empty field is an absent one.
 */
export const readProfile = async (
  schema: Schema,
  fields: Record<string, string>,
): Promise<{ profile: Record<string, unknown>; faults: ProfileFault[] }> => {
  const profile: Record<string, unknown> = {}
  for (const property of askedOf(schema)) {
    const text = Object.hasOwn(fields, property.name) ? (fields[property.name] ?? '').trim() : ''
    if (property.type === 'boolean') profile[property.name] = text !== '' && text !== 'false'
    else if (text !== '')
      profile[property.name] = property.type === 'string' || !decimal.test(text) ? text : Number(text)
  }
  return { profile, faults: await faultsOf(ownSchema(schema), profile) }
}

/** Everything in which a profile does not fit its schema. */
export const faultsOf = async (schema: Schema, profile: Record<string, unknown>): Promise<ProfileFault[]> => {
  const validate = await compiled(schema)
  return validate(profile) ? [] : (validate.errors ?? []).map(faultFrom)
}

/** A fault in English, with the name of what holds the property; never a value. */
export const tellFault = (holder: string, { property, keyword, limit }: ProfileFault): string => {
  const where = property === '' ? holder : `${holder}.${property.slice(0, 60)}`
  return `${where} does not fit the pool's schema (${[keyword, limit].filter((part) => part !== undefined).join(' ')})`
}

/** Why users cannot be held to a schema that forms are drawn from, for its author; undefined where they can. */
export const schemaFault = async (schema: Schema): Promise<string | undefined> => {
  const properties = schema.properties
  const taken = isObject(properties) ? Object.keys(properties).find((name) => ownFields.has(name)) : undefined
  return taken ? `The forms have a field "${taken}" of their own.` : hiddenSchemaFault(schema)
}

/** The same for a schema that no form is drawn from. */
export const hiddenSchemaFault = (schema: Schema): Promise<string | undefined> =>
  compiled(schema).then(
    () => undefined,
    (error: Error) => `This schema cannot be used: ${error.message}`,
  )

const isObject = (value: unknown): value is Schema => typeof value === 'object' && value !== null

// A property of one of these names would be filled with what is no part of a profile, a password above all.
const ownFields = new Set([
  'identifier',
  'password',
  'new_password',
  'code',
  'method',
  'pool',
  'csrf',
  'asks',
  'action',
])

// Only what people write as a number: `Number` reads `0x24` and `Infinity` too.
const decimal = /^[+-]?\d+(\.\d+)?$/

// An enumeration needs no type beside it.
const typeOfOptions = ({ enum: options }: Schema): string | undefined =>
  Array.isArray(options) && options.length > 0 ? typeof options[0] : undefined

const isScalar = (type: unknown): type is ProfileProperty['type'] =>
  type === 'string' || type === 'number' || type === 'integer' || type === 'boolean'

const propertyFrom = (
  name: string,
  type: ProfileProperty['type'],
  property: Schema,
  required: boolean,
): ProfileProperty => ({
  name,
  type,
  required,
  title: typeof property.title === 'string' ? property.title : name,
  description: typeof property.description === 'string' ? property.description : undefined,
  format: typeof property.format === 'string' ? property.format : undefined,
  options: Array.isArray(property.enum) ? property.enum.map(String) : undefined,
  readOnly: property.readOnly === true,
  minLength: numberOf(property.minLength),
  maxLength: numberOf(property.maxLength),
  minimum: numberOf(property.minimum),
  maximum: numberOf(property.maximum),
})

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)

const faultFrom = ({ instancePath, keyword, params }: ErrorObject): ProfileFault => ({
  property: keyword === 'required' ? String(params.missingProperty) : (instancePath.split('/')[1] ?? ''),
  keyword,
  limit: params.limit ?? params.format ?? params.multipleOf,
})

const validators = new LRUCache<string, ValidateFunction>({ max: 200 })

const addressFormats = ['uri', 'uri-reference', 'url'] as const

// What is kept as an address is sooner or later a link: `javascript:`, `data:` and the like would run what it holds.
const followable =
  (format: Format) =>
  (text: string): boolean =>
    fitsFormat(format, text) && /^((https?|ftps?|mailto|tel|sms|urn):|[^:]*([/?#]|$))/i.test(text)

const fitsFormat = (format: Format, text: string): boolean => {
  if (format instanceof RegExp) return format.test(text)
  return typeof format === 'function' && format(text) === true
}

// Ajv is loaded with the first form that needs it: it is a tenth of what a start may cost.
const compiled = async (schema: Schema): Promise<ValidateFunction> => {
  const key = JSON.stringify(schema)
  const known = validators.get(key)
  if (known) return known
  const [{ Ajv2020 }, formats] = await Promise.all([import('ajv/dist/2020.js'), import('ajv-formats')])
  const ajv = new Ajv2020({ allErrors: true, strict: false, logger: false })
  formats.default.default(ajv)
  for (const name of addressFormats)
    ajv.addFormat(name, { type: 'string', validate: followable(formats.default.default.get(name)) })
  const validate = ajv.compile(schema)
  validators.set(key, validate)
  return validate
}
