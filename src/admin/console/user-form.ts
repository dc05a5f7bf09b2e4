import { type ProfileProperty, propertiesOf } from '../../directory/profiles.ts'
import type { Field } from '../../platform/http/render.ts'
import type { Json } from '../openapi.ts'
import { parseJson } from '../parse.ts'
import { humanName } from './fields.ts'
import { refuse } from './inside.ts'

/** What users of a pool may go by. */
export type Kind = 'email' | 'mobile' | 'username'

/** How each is called. */
export const kindNames: Record<Kind, string> = { email: 'Email', mobile: 'Mobile', username: 'Username' }

/** The kinds of identifier that a pool knows. */
export const kindsOf = ({ identifiers }: Json): Kind[] => identifiers as Kind[]

/** The fields of a profile by the pool's schema, and one for whatever no field can hold. */
export const profileFields = (pool: Json, profile: Json, { complete }: { complete: boolean }): Field[] => {
  const properties = propertiesOf(pool.user_schema as Json)
  const rest = restOf(properties, profile)
  const fields = properties.map((property) => fieldOf(property, profile[property.name], complete))
  if (!hasRest(pool, properties) && Object.keys(rest).length === 0) return fields
  const label = properties.length > 0 ? 'The rest of the profile' : 'Profile'
  const value = Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : ''
  return [...fields, { name: 'rest', kind: 'textarea', label, value, hint: restHint(pool, properties) }]
}

/** Reads a profile again. Throws `unprocessable` where the rest is no object. */
export const readProfile = (pool: Json, form: Record<string, string>, before: Json): Json => {
  const properties = propertiesOf(pool.user_schema as Json)
  const read = properties.flatMap((property) => {
    const value = readProperty(property, form[`profile.${property.name}`], before[property.name])
    return value === undefined ? [] : [[property.name, value]]
  })
  const rest = 'rest' in form ? readObject(form.rest, '/rest') : restOf(properties, before)
  return { ...rest, ...Object.fromEntries(read) }
}

/** The field of the metadata; none where a pool keeps none. */
export const metadataFields = (pool: Json, metadata: Json): Field[] => {
  const { metadata_schema: schema } = pool as { metadata_schema: Json }
  if (Object.keys(schema).length === 0 && Object.keys(metadata).length === 0) return []
  const names = Object.keys((schema.properties ?? {}) as Json)
  const hint = `As JSON${names.length > 0 ? `: ${names.join(', ')}` : ''}. Users never see it.`
  const value = Object.keys(metadata).length > 0 ? JSON.stringify(metadata, null, 2) : ''
  return [{ name: 'metadata', kind: 'textarea', label: 'Metadata', hint, value }]
}

export const readMetadata = (form: Record<string, string>, before: Json): Json =>
  'metadata' in form ? readObject(form.metadata, '/metadata') : before

const fieldOf = (property: ProfileProperty, value: unknown, complete: boolean): Field => {
  const { name, title, description, options, minLength, maxLength, minimum, maximum } = property
  const required = property.required && complete
  const text = value === undefined || value === null ? '' : String(value)
  return {
    name: `profile.${name}`,
    kind: kindOf(property),
    label: title === name ? humanName(name) : title,
    required,
    value: text,
    autocomplete: 'off',
    ...(description ? { hint: description } : {}),
    ...(options ? { options: optionsOf(options, text, required) } : {}),
    ...(minLength !== undefined ? { minlength: minLength } : {}),
    ...(maxLength !== undefined ? { maxlength: maxLength } : {}),
    ...(minimum !== undefined ? { min: minimum } : {}),
    ...(maximum !== undefined ? { max: maximum } : {}),
  }
}

const kindOf = ({ type, format, options, maxLength }: ProfileProperty): Field['kind'] => {
  if (options) return 'select'
  if (type === 'boolean') return 'checkbox'
  if (type !== 'string') return 'number'
  if (format === 'date' || format === 'email') return format
  if (format === 'uri') return 'url'
  return maxLength !== undefined && maxLength > 300 ? 'textarea' : 'text'
}

/** What is chosen can be taken back, and what is there is shown although the schema has moved on. */
const optionsOf = (options: string[], value: string, required: boolean) => {
  const known = value === '' || options.includes(value) ? options : [value, ...options]
  const none = value !== '' && !required ? [{ value: '', label: 'Nothing' }] : []
  return [...none, ...known.map((option) => ({ value: option, label: option }))]
}

const readProperty = ({ type, required }: ProfileProperty, typed: string | undefined, before: unknown): unknown => {
  // A box that was never ticked says nothing, unless it has to.
  if (type === 'boolean') return typed === 'true' || (required || before !== undefined ? false : undefined)
  const text = (typed ?? '').trim()
  if (text === '') return undefined
  if (type === 'string') return text
  const number = Number(text)
  return Number.isFinite(number) ? number : text
}

const restOf = (properties: readonly ProfileProperty[], profile: Json): Json =>
  Object.fromEntries(Object.entries(profile).filter(([key]) => !properties.some(({ name }) => name === key)))

const hasRest = ({ user_schema: schema }: Json, properties: readonly ProfileProperty[]): boolean => {
  const { properties: declared = {} } = schema as { properties?: Json }
  return Object.keys(declared).length > properties.length
}

const restHint = ({ user_schema: schema }: Json, properties: readonly ProfileProperty[]): string => {
  const { properties: declared = {} } = schema as { properties?: Json }
  const names = Object.keys(declared).filter((key) => !properties.some(({ name }) => name === key))
  return names.length > 0 ? `As JSON: ${names.join(', ')}.` : 'As JSON.'
}

const readObject = (text = '', pointer: string): Json => {
  if (text.trim() === '') return {}
  const value = parse(text, pointer)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse({ [pointer]: 'This is not a JSON object' })
  return value as Json
}

const parse = (text: string, pointer: string): unknown => {
  try {
    return parseJson(text)
  } catch {
    throw refuse({ [pointer]: 'This is not JSON' })
  }
}

/** What somebody is called: by name where there is one, else by what they go by. */
export const personName = ({ profile = {}, identifiers = [], id }: Json): string => {
  const { name, given_name, family_name } = profile as Record<string, unknown>
  const full = [given_name, family_name].filter((part) => typeof part === 'string' && part).join(' ')
  const [first] = identifiers as { value: string }[]
  return full || (typeof name === 'string' && name) || first?.value || String(id)
}

/** What a profile says, in the order and the words of the pool's schema, and then the rest. */
export const profileFacts = (pool: Json, profile: Json): { name: string; value: unknown }[] => {
  const { properties = {} } = pool.user_schema as { properties?: Record<string, Json> }
  const names = [...new Set([...Object.keys(properties), ...Object.keys(profile)])]
  return names
    .filter((name) => Object.hasOwn(profile, name) && profile[name] !== null)
    .map((name) => ({ name: String(properties[name]?.title ?? humanName(name)), value: profile[name] }))
}
