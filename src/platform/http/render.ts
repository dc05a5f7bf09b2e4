import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import nunjucks from 'nunjucks'
import type { Words } from '../words.ts'
import { tint } from './tint.ts'

export { onBrand } from './tint.ts'

/** A workspace's looks, as typed values; nothing of it is ever read as a template. */
export interface Brand {
  name: string
  /** An https or data: address of a picture. */
  logo: string | null
  /** `#rrggbb`. */
  color: string
  links: { label: string; href: string }[]
}

/** What every page is drawn from; a view gets its own values besides. */
export interface Page {
  view: string
  words: Words
  brand: Brand
  [value: string]: unknown
}

/** One field of a form, its words already in the reader's language. */
export interface Field {
  name: string
  kind: 'text' | 'email' | 'tel' | 'password' | 'code' | 'number' | 'date' | 'url' | 'checkbox' | 'select' | 'textarea'
  label: string
  /** A checkbox is ticked by `true` and sends `true`; a password is never drawn. */
  value?: string
  required?: boolean
  autocomplete?: string
  inputmode?: string
  hint?: string
  error?: string
  options?: { value: string; label: string }[]
  minlength?: number
  /** Not drawn on passwords: browsers cut what is pasted, without a word. */
  maxlength?: number
  min?: number | string
  max?: number | string
  step?: number | string
  readonly?: boolean
}

/** What `views/form.njk` draws; `submit`, a button's `label`, `notice` and `alert.key` are keys of the words. */
export interface Form {
  action: string
  csrf: string
  hidden: { name: string; value: string }[]
  fields: Field[]
  submit: string
  buttons?: { name: string; value: string; label: string }[]
  notice?: string
  alert?: { key: string; values?: Record<string, string | number> }
}

/** Every mail there is: two views each, and a subject in the words. */
export const messageNames = [
  'code',
  'register-code',
  'register-taken',
  'recover',
  'password-changed',
  'refresh-reuse',
  'invitation',
  'reset',
] as const
export type MessageName = (typeof messageNames)[number]

/** What a mail is worded from; `name` is said only where the account is known to exist. */
interface MessageValues {
  brand: Brand
  address: string
  code?: string
  link?: string
  /** How long the code lasts; needed wherever there is one. */
  minutes?: number
  /** How long an invitation lasts. */
  hours?: number
  /** Who invites, and what they say. */
  inviter?: string
  message?: string
  /** Where a code is entered. */
  page?: string
  client?: string
  name?: string
}

/** Opens the views; what it returns draws one of them (`signin/identify`), and throws where a value is missing. */
export const openRender = (options: { assetVersion?: string } = {}): ((view: string, values: object) => string) => {
  const { path, version } = stylesheet()
  const asset = `${path}?v=${options.assetVersion ?? version}`
  return (view, values) => {
    const { words, brand } = values as Page
    return pages().render(`${view}.njk`, { ...values, ...spoken(words), tint: tint(brand.color), asset })
  }
}

/** The one stylesheet of all pages; its version changes with its text, so it may be cached for ever. */
export const stylesheet = (): { css: string; version: string; path: string } => {
  sheet ??= readStylesheet()
  return sheet
}

/** Words a mail as text and as HTML; the subject is one line, whatever the values hold. */
export const renderMessage = (
  name: MessageName,
  words: Words,
  values: MessageValues,
): { subject: string; text: string; html: string } => {
  const lines = Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? oneLine(value) : value])
  const service = oneLine(values.client ?? values.brand.name)
  const subject = words.t(`mail.${name}.subject`, { service })
  const drawn = { ...Object.fromEntries(lines), ...spoken(words), tint: tint(values.brand.color), service, subject }
  return {
    subject,
    text: plain().render(`messages/${name}.txt.njk`, drawn),
    html: pages().render(`messages/${name}.html.njk`, drawn),
  }
}

const views = join(import.meta.dirname, '../../../views')

let sheet: ReturnType<typeof stylesheet> | undefined
let escaping: nunjucks.Environment | undefined
let literal: nunjucks.Environment | undefined

const readStylesheet = () => {
  const css = readFileSync(join(views, 'lido.css'), 'utf8')
  return { css, version: createHash('sha256').update(css).digest('base64url').slice(0, 12), path: '/assets/lido.css' }
}

const pages = () => {
  escaping ??= openViews(true)
  return escaping
}

const plain = () => {
  literal ??= openViews(false)
  return literal
}

const openViews = (autoescape: boolean) =>
  new nunjucks.Environment(new nunjucks.FileSystemLoader(views), {
    autoescape,
    throwOnUndefined: true,
    trimBlocks: true,
    lstripBlocks: true,
  })
    .addFilter('web', webAddress)
    .addFilter('tint', tint)
    .addFilter('stress', stress)
    .addFilter('initial', initial)
    .addGlobal('focusOf', focusOf)
    .addGlobal('faultsOf', faultsOf)

const spoken = ({ t, lang, dir }: Words) => ({ t, lang, dir })

/** The address where following it is harmless; `javascript:` and its like come out undefined. */
const webAddress = (href: unknown) =>
  typeof href === 'string' && /^(?:https?:\/\/|mailto:|\/(?![/\\]))/i.test(href) ? href : undefined

/** Sets a value apart inside its sentence; both come out escaped. */
const stress = (sentence: string, value: string) => {
  const apart = escaped(value)
  const marked = escaped(sentence).replace(apart, () => `<strong dir="auto">${apart}</strong>`)
  return new nunjucks.runtime.SafeString(marked)
}

const escaped = (value: string) => String(pages().getFilter('escape')(value))

const initial = (name: string) => Array.from(name.trim())[0]?.toUpperCase() ?? ''

const faultsOf = (fields: Field[]) => fields.filter(({ error }) => error)

/** Where typing begins: at the first error, else at the first field that is drawn empty. */
const focusOf = (fields: Field[]) => {
  const open = fields.filter(({ readonly }) => !readonly)
  return (open.find(({ error }) => error) ?? open.find(isEmpty))?.name
}

const isEmpty = ({ kind, value }: Field) =>
  kind !== 'checkbox' && (kind === 'password' || value === undefined || value === '')

const oneLine = (value: string) => value.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
