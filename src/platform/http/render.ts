import { join } from 'node:path'
import nunjucks from 'nunjucks'
import type { Words } from '../words.ts'
import { addressOf, assetOf } from './assets.ts'
import { type MessageName, type TextName, type VariableName, variables } from './message-list.ts'
import { tint } from './tint.ts'
import { filled, type Known, paragraphsOf, plainOf, type Wording } from './wording.ts'

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
  kind:
    | 'text'
    | 'email'
    | 'tel'
    | 'password'
    | 'code'
    | 'number'
    | 'date'
    | 'url'
    | 'checkbox'
    | 'select'
    | 'textarea'
    | 'checks'
  label: string
  /** A checkbox is ticked by `true` and sends `true`; a password is never drawn. */
  value?: string
  /** Which of the options of `checks` are ticked; each sends `true` under the field's name, a dot and its value. */
  values?: string[]
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
  /** What is typed is code: drawn in letters of one width, and never corrected. */
  raw?: boolean
  /** How many lines a text has room for. */
  rows?: number
  /** Shows how strong a password is while it is typed; `least` is how many code points it must have. */
  meter?: { least: number }
}

/** What `views/form.njk` draws; `submit`, a button's `label`, `notice` and `alert.key` are keys of the words. */
export interface Form {
  action: string
  csrf: string
  hidden: { name: string; value: string }[]
  fields: Field[]
  submit: string
  /** Whether another button of the page is the one that most people want. */
  plain?: boolean
  buttons?: { name: string; value: string; label: string }[]
  notice?: string
  alert?: { key: string; values?: Record<string, string | number> }
}

/** What a mail is worded from; `name` is said only where the account is known to exist. */
interface MessageValues {
  brand: Brand
  address: string
  code?: string
  link?: string
  /** How long the code lasts; needed wherever there is one. */
  minutes?: number
  /** How many recovery codes are left. */
  left?: number
  /** What somebody goes by from now on, and no longer; `none` where nothing is gone. */
  added?: string
  gone?: string
  /** How long a deletion waits. */
  days?: number
  /** How long an invitation lasts. */
  hours?: number
  /** Who invites, and what they say. */
  inviter?: string
  message?: string
  /** Where a code is entered. */
  page?: string
  client?: string
  name?: string
  /** With what, from where and when somebody signed in. */
  device?: string
  network?: string
  time?: string
}

/** Opens the views; what it returns draws one of them (`signin/identify`), and throws where a value is missing. */
export const openRender = (options: { assetVersion?: string } = {}): ((view: string, values: object) => string) => {
  const { path, version } = assetOf('lido.css')
  const asset = `${path}?v=${options.assetVersion ?? version}`
  return (view, values) => {
    const { words, brand } = values as Page
    return pages().render(`${view}.njk`, { ...values, ...spoken(words), tint: tint(brand.color), asset })
  }
}

/** Words a mail as text and as HTML, in somebody's own wording as far as there is one; the subject is always one line. */
export const renderMessage = (
  name: MessageName,
  words: Words,
  values: MessageValues,
  own: Wording = {},
): { subject: string; text: string; html: string } => {
  const lines = Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? oneLine(value) : value])
  const service = oneLine(values.client ?? values.brand.name)
  const known = knownOf(words, { ...values, service })
  const said = (line: string | undefined) => line && oneLine(filled(line, known))
  const subject = said(own.subject) ?? words.t(`mail.${name}.subject`, { service })
  const drawn = { ...Object.fromEntries(lines), ...spoken(words), tint: tint(values.brand.color), service, subject }
  const text = own.text === undefined ? {} : worded(own.text, known, said(own.button))
  const view = own.text === undefined ? name : 'own'
  const all = { ...drawn, ...text, heading: said(own.heading) }
  return {
    subject,
    text: plain().render(`messages/${view}.txt.njk`, all),
    html: pages().render(`messages/${view}.html.njk`, all),
  }
}

/**
 * Words a text message. Its last line tells phones which site a code belongs to, so that they fill it in nowhere else
 * (WICG, "Origin-bound one-time codes delivered via SMS").
 */
export const renderText = (
  name: TextName,
  words: Words,
  { brand, host, code = '', minutes = 0 }: { brand: Brand; host: string; code?: string; minutes?: number },
  own: Wording = {},
): string => {
  // A name of any length would make one message several, each of which costs.
  const service = Array.from(oneLine(brand.name)).slice(0, 30).join('')
  const known = knownOf(words, { service, code, minutes })
  const told = own.text === undefined ? words.t(`sms.${name}`, { service, code, minutes }) : filled(own.text, known)
  return code ? `${told}\n\n@${host} #${code}` : told
}

/** What the paragraphs of somebody's own text are drawn from. */
const worded = (text: string, known: Known, button: string | undefined) => {
  const paragraphs = paragraphsOf(text, known)
  return { paragraphs, button, told: plainOf(paragraphs, button) }
}

/** The variables that have a value, in words; `none` is how our own words are told that there is none. */
const knownOf = ({ lang }: Words, values: Partial<Record<string, unknown>>): Known =>
  Object.fromEntries(
    (Object.keys(variables) as VariableName[]).flatMap((name) => {
      const value = values[name]
      if (typeof value === 'number') return [[name, new Intl.NumberFormat(lang).format(value)]]
      return typeof value === 'string' && value !== 'none' ? [[name, oneLine(value)]] : []
    }),
  )

const views = join(import.meta.dirname, '../../../views')

let escaping: nunjucks.Environment | undefined
let literal: nunjucks.Environment | undefined

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
    .addFilter('moment', moment)
    .addGlobal('focusOf', focusOf)
    .addGlobal('faultsOf', faultsOf)
    .addGlobal('assetAddress', addressOf)

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

/** A time as operators read it, to the second and in UTC. */
const moment = (time: string) => time.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*Z$/, '$1 $2 UTC')

const faultsOf = (fields: Field[]) => fields.filter(({ error }) => error)

/** Where typing begins: at the first error, else at the first field that is drawn empty. */
const focusOf = (fields: Field[]) => {
  const open = fields.filter(({ readonly }) => !readonly)
  return (open.find(({ error }) => error) ?? open.find(isEmpty))?.name
}

const isEmpty = ({ kind, value }: Field) =>
  kind !== 'checkbox' && (kind === 'password' || value === undefined || value === '')

const oneLine = (value: string) => value.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
