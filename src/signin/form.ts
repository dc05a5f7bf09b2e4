import type { IdentifierKind } from '../directory/identifiers.ts'
import { passwordPolicyOf } from '../directory/pool-settings.ts'
import type { Pool } from '../directory/pools.ts'
import type { ProfileFault, ProfileProperty } from '../directory/profiles.ts'
import type { Field as DrawnField } from '../platform/http/render.ts'
import type { Words } from '../platform/words.ts'

/** A word from the catalogue, with what fills it in. */
export interface Word {
  key: string
  values?: Record<string, string | number>
}

/** One input of a page; labels that are words are looked up when the page is drawn, titles of a schema are not. */
export interface Field {
  name: string
  kind: 'text' | 'email' | 'tel' | 'password' | 'code' | 'number' | 'date' | 'url' | 'checkbox' | 'select'
  label: Word | string
  value?: string
  required?: boolean
  autocomplete?: string
  inputmode?: string
  hint?: Word | string
  error?: Word
  options?: string[]
  minlength?: number
  maxlength?: number
  min?: number
  max?: number
  readonly?: boolean
  /** Draws how strong the password is that is being typed; `least` is how long it must be. */
  meter?: { least: number }
}

/** What a step asks for; one template draws every one of them. */
export interface Form {
  fields: Field[]
  submit: string
  /** A secret to be copied to an authenticator: a picture that its camera reads, and the same to be typed. */
  show?: { qr: { size: number; path: string }; secret: string }
  /** What the browser's script asks an authenticator for; its answer goes into the field `credential`. */
  passkey?: { act: 'get' | 'create'; options: string }
}

/** The field for whatever a pool's users go by. */
export const identifierField = (kinds: readonly IdentifierKind[], value?: string, error?: Word): Field => {
  const only = kinds.length === 1 ? kinds[0] : undefined
  const known = (['email', 'mobile', 'username'] as const).filter((kind) => kinds.includes(kind))
  return {
    name: 'identifier',
    kind: only === 'email' ? 'email' : only === 'mobile' ? 'tel' : 'text',
    label: { key: `field.identifier.${known.join('_')}` },
    required: true,
    autocomplete: 'username',
    ...(only === 'email' ? { inputmode: 'email' } : {}),
    ...(value ? { value } : {}),
    ...(error ? { error } : {}),
  }
}

/** The field for what somebody registers with: theirs already, and so filled in by browsers as contact details are. */
export const registeredField = (kinds: readonly IdentifierKind[], value?: string, error?: Word): Field => {
  const [first = 'email', ...others] = kinds
  const autocomplete = others.length > 0 ? 'username' : first === 'mobile' ? 'tel' : 'email'
  return { ...identifierField(kinds, value, error), autocomplete }
}

export const passwordField = (name: 'password' | 'new_password', error?: Word): Field => ({
  name,
  kind: 'password',
  label: { key: name === 'password' ? 'field.password' : 'field.new_password' },
  required: true,
  autocomplete: 'current-password',
  ...(error ? { error } : {}),
})

/** Where a password is chosen: with what the pool asks of it, and how strong it is. */
export const newPasswordField = (name: 'password' | 'new_password', { settings }: Pool, error?: Word): Field => {
  const { min_length: count, lowercase, uppercase, digits, symbols } = passwordPolicyOf(settings)
  const mixed = lowercase + uppercase + digits + symbols > 0
  return {
    ...passwordField(name, error),
    autocomplete: 'new-password',
    hint: mixed
      ? { key: 'hint.password_asks', values: { count, lowercase, uppercase, digits, symbols } }
      : { key: 'hint.password', values: { count } },
    meter: { least: count },
  }
}

export const codeField = (length: number, error?: Word): Field => ({
  name: 'code',
  kind: 'code',
  label: { key: 'field.code' },
  required: true,
  autocomplete: 'one-time-code',
  inputmode: 'numeric',
  maxlength: length + 8,
  ...(error ? { error } : {}),
})

/** Said where something else is wrong with a form that held a code: a code is never sent back. */
export const codeAgain: Word = { key: 'error.code_again' }

/** The field of one property of a pool's schema. */
export const profileField = (property: ProfileProperty, value: string | undefined, error?: Word): Field => {
  const { minLength, maxLength, minimum, maximum, options } = property
  return {
    name: property.name,
    kind: profileKind(property),
    label: property.title,
    required: property.required,
    ...(Object.hasOwn(autocompletes, property.name) ? { autocomplete: autocompletes[property.name] ?? '' } : {}),
    ...(property.description ? { hint: property.description } : {}),
    ...(value !== undefined ? { value } : {}),
    ...(options ? { options } : {}),
    ...(minLength !== undefined ? { minlength: minLength } : {}),
    ...(maxLength !== undefined ? { maxlength: maxLength } : {}),
    ...(minimum !== undefined ? { min: minimum } : {}),
    ...(maximum !== undefined ? { max: maximum } : {}),
    ...(property.readOnly ? { readonly: true } : {}),
    ...(error ? { error } : {}),
  }
}

const autocompletes: Record<string, string> = {
  name: 'name',
  given_name: 'given-name',
  additional_name: 'additional-name',
  family_name: 'family-name',
  nickname: 'nickname',
  organization: 'organization',
  birthdate: 'bday',
  phone_number: 'tel',
  website: 'url',
}

const profileKind = ({ type, format, options }: ProfileProperty): Field['kind'] => {
  if (options) return 'select'
  if (type === 'boolean') return 'checkbox'
  if (type !== 'string') return 'number'
  return format === 'date' ? 'date' : format === 'email' ? 'email' : format === 'uri' ? 'url' : 'text'
}

const faultWords: Record<string, string> = {
  required: 'error.required',
  minLength: 'error.too_short',
  maxLength: 'error.too_long',
  minimum: 'error.minimum',
  maximum: 'error.maximum',
  type: 'error.number',
  multipleOf: 'error.step',
  pattern: 'error.pattern',
  enum: 'error.choice',
}
const formatWords: Record<string, string> = { date: 'error.date', email: 'error.email', uri: 'error.url' }

/** What a fault of a profile is called on a page. */
export const faultWord = ({ keyword, limit }: ProfileFault): Word => {
  if (keyword === 'format') return { key: formatWords[String(limit)] ?? 'error.invalid' }
  const key = faultWords[keyword] ?? 'error.invalid'
  return limit === undefined ? { key } : { key, values: { limit, count: limit, step: limit } }
}

/** What an identifier that cannot be read is called: by the kind that it looks like, else by the first that a pool knows. */
export const identifierError = (typed: string, kinds: readonly IdentifierKind[]): Word => {
  if (typed.trim() === '') return { key: 'error.required' }
  const isNumber = kinds.includes('mobile') && /^[+(]?\p{Nd}[\p{Nd}\s()./-]*$/u.test(typed.normalize('NFKC').trim())
  return { key: `error.${isNumber ? 'mobile' : (kinds[0] ?? 'email')}` }
}

/** A field as the views draw it, its words looked up. */
export const spokenField = ({ label, hint, error, options, ...field }: Field, words: Words): DrawnField => ({
  ...field,
  label: spoken(label, words),
  ...(hint ? { hint: spoken(hint, words) } : {}),
  ...(error ? { error: spoken(error, words) } : {}),
  ...(options ? { options: options.map((value) => ({ value, label: value })) } : {}),
})

const spoken = (text: Word | string, { t }: Words): string =>
  typeof text === 'string' ? text : t(text.key, text.values)
