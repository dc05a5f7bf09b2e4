import type { Field } from '../../platform/http/render.ts'
import { Problem } from '../../platform/problem.ts'
import type { Json } from '../openapi.ts'
import { parseJson } from '../parse.ts'
import { type Leaf, leavesOf } from './leaves.ts'

/** What may be chosen for a field, where that is only known when it is drawn. */
export type Options = Record<string, { value: string; label: string }[]>

/** Closer words and choices for some fields of a form. */
export interface Wording {
  labels?: Record<string, string>
  hints?: Record<string, string>
  options?: Options
  /** Lists that mean everything where nothing is ticked. */
  emptyIsNull?: readonly string[]
  /** Fields that the form leaves out. */
  omit?: readonly string[]
  /** Texts that are code, in as many lines as it takes. */
  code?: readonly string[]
  /** Objects that are written as JSON in one field, not as a field for each of their properties. */
  whole?: readonly string[]
  /** Texts of several words between spaces that are chosen from options. */
  spaced?: readonly string[]
  /** How the fields stand together, in this order; what is not named stands where it would. */
  groups?: readonly { title: string; about?: string; fields: readonly string[] }[]
}

/**
 * The same with what a record holds and the options do not name, where nothing ticked means everything: what is gone, or
 * not the operator's to see, stays ticked until somebody unticks it, or saving the form would lift a limit.
 */
export const keepingHeld = (wording: Wording, record: Json): Wording => {
  const options = { ...wording.options }
  for (const name of wording.emptyIsNull ?? []) {
    const worded = options[name]
    if (!worded) continue
    const strangers = listOf(read(record, name.split('.'))).filter((id) => !worded.some(({ value }) => value === id))
    options[name] = [...worded, ...strangers.map((value) => ({ value, label: `One that is not listed: ${value}` }))]
  }
  return { ...wording, options }
}

/** Fields that stand together under a heading; the first group of a form has none. */
export interface FieldGroup {
  title: string | null
  about?: string
  fields: Field[]
}

/**
 * The fields of a form for what a schema describes: one for each property, and a group for each object in it. Values come
 * from a record, errors by JSON pointer.
 */
export const fieldsOf = (
  schema: Json,
  {
    values = {},
    errors = {},
    wording = {},
  }: { values?: Json; errors?: Record<string, string>; wording?: Wording } = {},
): FieldGroup[] => {
  const own: Field[] = []
  const named = (wording.groups ?? []).map(({ fields: _, ...group }): FieldGroup => ({ ...group, fields: [] }))
  const groups = [...named]
  for (const leaf of inOrder(leavesOf(schema, [], wording), wording)) {
    const field = fieldOf(leaf, read(values, leaf.path), errorAt(pointerOf(leaf.path), errors), wording)
    const place = wording.groups?.findIndex(({ fields }) => fields.includes(field.name)) ?? -1
    if (place >= 0) named[place]?.fields.push(field)
    else if (leaf.path.length === 1) own.push(field)
    else groupOf(groups, titleOf(leaf.path.slice(0, -1).join('.'), wording)).fields.push(field)
  }
  return [{ title: null, fields: own }, ...groups].filter(({ fields }) => fields.length > 0)
}

const inOrder = (leaves: Leaf[], { groups = [] }: Wording): Leaf[] => {
  const wanted = groups.flatMap(({ fields }) => fields)
  const place = ({ path }: Leaf) => wanted.indexOf(path.join('.'))
  return leaves.toSorted((a, b) => place(a) - place(b))
}

/** What is wrong with a field, or with a part of it where it holds several. */
const errorAt = (pointer: string, errors: Record<string, string>): string | undefined => {
  const inside = Object.entries(errors).find(([one]) => one.startsWith(`${pointer}/`))
  if (errors[pointer] !== undefined || !inside) return errors[pointer]
  const [part = ''] = inside[0].slice(pointer.length + 1).split('/')
  const where = /^\d+$/.test(part) ? `Line ${Number(part) + 1}` : part.replaceAll('~1', '/').replaceAll('~0', '~')
  return `${where}: ${inside[1]}`
}

/** What a form says, as the JSON that its schema describes. Throws `unprocessable` with a pointer to what cannot be read. */
export const readFields = (schema: Json, form: Record<string, string>, wording: Wording = {}): Json => {
  const { body, errors } = readWhatCan(schema, form, wording)
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
  return body
}

/** As `readFields`, where the rest is of use without what cannot be read. */
export const readWhatCan = (schema: Json, form: Record<string, string>, wording: Wording = {}) => {
  const body: Json = {}
  const errors: { pointer: string; detail: string }[] = []
  for (const leaf of leavesOf(schema, [], wording)) {
    const told = readLeaf(leaf, form)
    const name = leaf.path.join('.')
    if ('value' in told && wording.emptyIsNull?.includes(name) && listOf(told.value).length === 0) told.value = null
    if ('fault' in told) errors.push({ pointer: pointerOf(leaf.path), detail: told.fault })
    else if (told.value !== undefined) put(body, leaf.path, told.value)
    else if (leaf.required) errors.push({ pointer: pointerOf(leaf.path), detail: 'This is needed' })
  }
  return { body, errors }
}

/** What a record has and a form leaves empty, as a merge patch (RFC 7396) takes it away. */
export const emptied = (schema: Json, form: Record<string, string>, before: Json, wording: Wording = {}): Json => {
  const gone: Json = {}
  for (const leaf of leavesOf(schema, [], wording)) {
    const told = readLeaf(leaf, form)
    const left = 'value' in told && told.value === undefined && !isNothing(read(before, leaf.path))
    if (left) put(gone, leaf.path, null)
  }
  return gone
}

/** The merge patch (RFC 7396) that makes one record of another, for the fields that the wanted one names. */
export const mergePatch = (before: Json, wanted: Json): Json => {
  const patch: Json = {}
  for (const [name, value] of Object.entries(wanted)) {
    const known = before[name]
    if (isObject(value) && isObject(known)) {
      const gone = Object.keys(known).filter((key) => !(key in value))
      const inner = { ...mergePatch(known, value), ...Object.fromEntries(gone.map((key) => [key, null])) }
      if (Object.keys(inner).length > 0) patch[name] = inner
    } else if (!(isNothing(known) && isNothing(value)) && JSON.stringify(known) !== JSON.stringify(value))
      patch[name] = value
  }
  return patch
}

/** A name as people read it: `sign_in_methods` → "Sign in methods". */
export const humanName = (name: string): string => {
  const words = name.replaceAll('_', ' ').replaceAll('.', ': ')
  return (words.charAt(0).toUpperCase() + words.slice(1)).replace(
    /\b(id|uri|url|amr)(s?)\b/gi,
    (_, word, many) => word.toUpperCase() + many,
  )
}

const fieldOf = (leaf: Leaf, value: unknown, error: string | undefined, wording: Wording): Field => {
  const name = leaf.path.join('.')
  const { schema, required } = leaf
  const hint = wording.hints?.[name] ?? hintOf(leaf)
  const common = {
    name,
    label: wording.labels?.[name] ?? humanName(leaf.path.at(-1) ?? name),
    required,
    ...(hint ? { hint } : {}),
    ...(error ? { error } : {}),
  }
  const shown = value ?? schema.default
  const text = shown === undefined || shown === null ? '' : String(shown)
  switch (leaf.kind) {
    case 'checkbox':
      return { ...common, kind: 'checkbox', value: text }
    case 'select':
      return { ...common, kind: 'select', value: text, options: [...noneFor(leaf), ...optionsOf(leaf, wording)] }
    case 'checks':
      return { ...common, kind: 'checks', values: listOf(shown), options: chosenFirst(leaf, listOf(shown), wording) }
    case 'spaced':
      return { ...common, kind: 'checks', values: text.split(' '), options: optionsOf(leaf, wording) }
    case 'pairs':
      return { ...common, kind: 'textarea', raw: true, value: leaf.pairing.write(shown) }
    case 'number':
      return { ...common, kind: 'number', value: text, step: 1, ...boundsOf(schema) }
    case 'lines':
      return { ...common, kind: 'textarea', value: listOf(shown).join('\n') }
    case 'json':
      return { ...common, kind: 'textarea', raw: true, value: jsonOf(shown) }
    case 'text':
      if (wording.code?.includes(name)) return { ...common, kind: 'textarea', raw: true, rows: 24, value: text }
      return { ...common, ...textKind(schema), value: text, ...lengthsOf(schema) }
  }
}

const optionsOf = ({ path, choices }: Extract<Leaf, { choices: string[] }>, { options }: Wording) => {
  const worded = options?.[path.join('.')] ?? []
  return choices.map((value) => worded.find((one) => one.value === value) ?? { value, label: humanName(value) })
}

const noneFor = ({ nullable }: Leaf) => (nullable ? [{ value: '', label: 'None' }] : [])

// A list is in an order, which its boxes keep: those that are ticked stand as it has them, and are sent as they stand.
const chosenFirst = (leaf: Extract<Leaf, { choices: string[] }>, chosen: string[], wording: Wording) => {
  const options = optionsOf(leaf, wording)
  const first = chosen.flatMap((value) => options.filter((option) => option.value === value))
  return [...first, ...options.filter((option) => !first.includes(option))]
}

const textKind = ({ format, maxLength }: Json): { kind: Field['kind'] } => {
  if (format === 'email') return { kind: 'email' }
  return { kind: typeof maxLength === 'number' && maxLength >= 1000 && format === undefined ? 'textarea' : 'text' }
}

const hintOf = ({ kind, schema }: Leaf): string | undefined => {
  const said = typeof schema.description === 'string' ? schema.description.replaceAll('`', '') : undefined
  const how = kind === 'lines' ? 'One a line.' : kind === 'json' ? 'As JSON.' : undefined
  return [said, how].filter(Boolean).join(said?.endsWith('.') ? ' ' : '. ') || undefined
}

const boundsOf = ({ minimum, maximum }: Json) => ({
  ...(typeof minimum === 'number' && minimum > -1e9 ? { min: minimum } : {}),
  ...(typeof maximum === 'number' && maximum < 1e12 ? { max: maximum } : {}),
})

const lengthsOf = ({ maxLength }: Json) => (typeof maxLength === 'number' ? { maxlength: maxLength } : {})

const readLeaf = (leaf: Leaf, form: Record<string, string>): { value: unknown } | { fault: string } => {
  const name = leaf.path.join('.')
  if (leaf.kind === 'checkbox') return { value: form[name] === 'true' }
  if (leaf.kind === 'checks') return { value: ticked(name, leaf.choices, form) }
  if (leaf.kind === 'spaced') return { value: ticked(name, leaf.choices, form).join(' ') || emptyOf(leaf) }
  const text = (form[name] ?? '').replaceAll('\r\n', '\n')
  if (leaf.kind === 'lines')
    return {
      value: text
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean),
    }
  if (leaf.kind === 'pairs') return leaf.pairing.read(text)
  if (leaf.kind === 'text' || leaf.kind === 'select') return { value: text === '' ? emptyOf(leaf) : text }
  if (text.trim() === '') return { value: emptyOf(leaf) }
  return leaf.kind === 'number' ? readNumber(text) : readJson(text)
}

const ticked = (name: string, choices: string[], form: Record<string, string>): string[] =>
  Object.keys(form)
    .filter((key) => key.startsWith(`${name}.`) && form[key] === 'true')
    .map((key) => key.slice(name.length + 1))
    .filter((choice) => choices.includes(choice))

// Nothing typed is null where null may stand, an empty text where that may, and else nothing said.
const emptyOf = ({ kind, schema, nullable }: Leaf): unknown => {
  if (nullable) return null
  const { minLength = 0, pattern, format, default: unset } = schema as { minLength?: number } & Json
  return kind === 'text' && unset !== undefined && minLength === 0 && !pattern && !format ? '' : undefined
}

const readNumber = (text: string) => {
  const value = Number(text)
  return Number.isFinite(value) ? { value } : { fault: 'This is not a number' }
}

const readJson = (text: string): { value: unknown } | { fault: string } => {
  try {
    return { value: parseJson(text) }
  } catch {
    return { fault: 'This is not JSON' }
  }
}

const read = (values: Json, path: string[]): unknown =>
  path.reduce<unknown>((held, name) => (isObject(held) && Object.hasOwn(held, name) ? held[name] : undefined), values)

const put = (body: Json, path: string[], value: unknown): void => {
  const [name = '', ...rest] = path
  if (rest.length === 0) {
    body[name] = value
    return
  }
  const inner = isObject(body[name]) ? body[name] : {}
  body[name] = inner
  put(inner, rest, value)
}

const groupOf = (groups: FieldGroup[], title: string): FieldGroup => {
  const known = groups.find((group) => group.title === title)
  if (known) return known
  const made = { title, fields: [] }
  groups.push(made)
  return made
}

const titleOf = (path: string, { labels }: Wording): string => labels?.[path] ?? humanName(path)
const pointerOf = (path: string[]): string => path.map((name) => `/${name}`).join('')
const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
const jsonOf = (value: unknown): string => (value === undefined || value === null ? '' : JSON.stringify(value, null, 2))
const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
