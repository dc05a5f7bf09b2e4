import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IntlMessageFormat } from 'intl-messageformat'
import { isolateValues } from './isolate.ts'

/** What is said to people in one language; values go in as plain text, so whoever draws them escapes. */
export interface Words {
  lang: string
  dir: 'ltr' | 'rtl'
  /** Throws where the key or a value that its message names is missing, which is a bug. */
  t(key: string, values?: Record<string, string | number>): string
}

/** The languages that have a catalogue, as BCP 47 tags; the first is the fallback. */
export const languages: readonly string[] = ['en', 'de', 'fr', 'es', 'ja', 'ar']

/** One language's words, read on first use; throws where there is no such catalogue. */
export const wordsFor = (lang: string): Words => {
  const known = opened.get(lang)
  if (known) return known
  if (!languages.includes(lang)) throw new Error(`there are no words in ${JSON.stringify(lang)}`)
  const words = openWords(lang)
  opened.set(lang, words)
  return words
}

/** The language to speak: `ui_locales` before Accept-Language, each by lookup (RFC 4647 section 3.4), else `otherwise`. */
export const chooseLanguage = (wanted: { uiLocales?: string; acceptLanguage?: string; otherwise?: string }): string => {
  for (const range of [...localeRanges(wanted.uiLocales), ...acceptRanges(wanted.acceptLanguage)]) {
    const found = lookUp(range)
    if (found) return found
  }
  return wanted.otherwise ?? fallback
}

const [fallback = 'en'] = languages
const opened = new Map<string, Words>()
const rightToLeft = new Set(['ar', 'fa', 'he', 'ur'])
/** More and longer ranges than any browser sends; the header may hold thousands, and looking costs time. */
const mostRanges = 32
const longestRange = 64

const openWords = (lang: string): Words => {
  const catalogue = readCatalogue(lang)
  const compiled = new Map<string, IntlMessageFormat>()
  const dir = rightToLeft.has(lang) ? 'rtl' : 'ltr'
  const compile = (key: string, message: string) => {
    const read = new IntlMessageFormat(message, lang, undefined, { ignoreTag: true })
    const format = dir === 'rtl' ? new IntlMessageFormat(isolateValues(read.getAst()), lang) : read
    compiled.set(key, format)
    return format
  }
  return {
    lang,
    dir,
    t(key, values) {
      const message = catalogue.get(key)
      if (message === undefined) throw new Error(`no words for ${JSON.stringify(key)} in ${lang}`)
      if (!message.includes('{')) return message
      return String((compiled.get(key) ?? compile(key, message)).format(values))
    },
  }
}

const readCatalogue = (lang: string): Map<string, string> => {
  const file = join(import.meta.dirname, '../../views/words', `${lang}.json`)
  return new Map(Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>))
}

const localeRanges = (uiLocales = ''): string[] => uiLocales.split(' ', mostRanges).filter(Boolean)

const acceptRanges = (acceptLanguage = ''): string[] =>
  acceptLanguage
    .split(',', mostRanges)
    .map((part) => part.split(';'))
    .map(([range = '', ...parameters]) => ({ range: range.trim(), weight: weightOf(parameters) }))
    .filter(({ range, weight }) => range && weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ range }) => range)

/** A weight that cannot be read counts as none, so a broken entry never wins (RFC 9110 section 12.4.2). */
const weightOf = (parameters: string[]): number => {
  const given = parameters.map((one) => one.trim().toLowerCase()).find((one) => one.startsWith('q='))
  return given === undefined ? 1 : Number(given.slice(2)) || 0
}

const lookUp = (range: string): string | undefined => {
  if (range.length > longestRange) return undefined
  for (let tag = range.toLowerCase(); tag; tag = shorten(tag)) {
    const found = languages.find((lang) => lang.toLowerCase() === tag)
    if (found) return found
  }
  return undefined
}

/** Drops the last subtag, and a single letter before it, which only introduces what was dropped. */
const shorten = (tag: string): string => tag.slice(0, Math.max(0, tag.lastIndexOf('-'))).replace(/-[^-]$/, '')
