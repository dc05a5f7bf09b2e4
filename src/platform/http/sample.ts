import { wordsFor } from '../words.ts'
import { variables, type WordedMessage } from './message-list.ts'
import { type Brand, renderMessage, renderText } from './render.ts'
import type { Wording } from './wording.ts'

/** A message as somebody would get it. A text message has no subject and no HTML. */
export interface Shown {
  subject: string
  text: string
  html: string
}

/** A message with sample values, which are nobody's. `host` is where a code is entered. */
export const sampleOf = (
  message: WordedMessage,
  { lang, brand, host, own }: { lang: string; brand: Brand; host: string; own: Wording | undefined },
): Shown => {
  const words = wordsFor(lang)
  const values = { ...sampleValues(message), brand, host }
  if (message.channel === 'sms')
    return { subject: '', text: renderText(message.template, words, values, own), html: '' }
  return renderMessage(message.template, words, { address: '', ...values }, own)
}

/** The values of a sample by the names of the variables. */
export const sampleValues = ({ variables: all }: WordedMessage): Record<string, string | number> =>
  Object.fromEntries(all.map(({ name }) => [name, variables[name].sample]))

/** Our own words for a message, its variables in braces: what somebody may start from. */
export const oursOf = (message: WordedMessage, lang: string): { subject?: string; text: string } => {
  const key = `${message.name} ${lang}`
  const known = kept.get(key) ?? writeOurs(message, lang)
  kept.set(key, known)
  return known
}

const kept = new Map<string, { subject?: string; text: string }>()

const writeOurs = (message: WordedMessage, lang: string): { subject?: string; text: string } => {
  const words = wordsFor(lang)
  const values = Object.fromEntries(message.variables.map(({ name }) => [name, standIn(name)]))
  const brand: Brand = { name: '{service}', logo: null, color: '#000000', links: [] }
  if (message.channel === 'sms') {
    const [text = ''] = renderText(message.template, words, { ...values, brand, host: '' }).split('\n\n@')
    return { text: inBraces(message, lang, text) }
  }
  const { subject, text } = renderMessage(message.template, words, { address: '', ...values, brand })
  const [main = ''] = text.split('\n--\n')
  return { subject, text: inBraces(message, lang, main) }
}

// A number stands for itself, for its words change with it.
const standIn = (name: keyof typeof variables): string | number => {
  const { sample, inOurs = `{${name}}` } = variables[name]
  return typeof sample === 'number' ? sample : inOurs
}

const inBraces = ({ variables: all }: WordedMessage, lang: string, text: string): string => {
  const numbers = all.filter(({ name }) => typeof variables[name].sample === 'number')
  const written = new Intl.NumberFormat(lang)
  const named = numbers.reduce(
    (told, { name }) => told.replaceAll(written.format(Number(variables[name].sample)), `{${name}}`),
    text,
  )
  return named
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim()
}
