import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Whether many people use this password, or one that looks like it: in capitals, with digits in the place of letters,
 * written twice, or with a few characters around it. `few` is how many are too few to make it another password.
 */
export const isCommon = (password: string, few: number): boolean => {
  const text = password.toLowerCase()
  if (isListed(text)) return true
  const stem = text.replace(/^[^a-z]+|[^a-z]+$/g, '')
  const rest = text.replace(stem, '')
  return isListed(stem) && (rest.length < few || isListed(rest.replace(/\W/g, '')))
}

const isListed = (text: string): boolean =>
  [text, once(text)].some((one) => one.length > 3 && [one, ...plainOf(one)].some(isLine))

/** The part that a text repeats, or the text itself. */
const once = (text: string): string => {
  const period = (text + text).indexOf(text, 1)
  return text.length % period === 0 ? text.slice(0, period) : text
}

const letters: Record<string, string> = { 0: 'o', 3: 'e', 4: 'a', 5: 's', 7: 't', 8: 'b', '@': 'a', $: 's', '!': 'i' }

/** What is meant where digits and signs stand for letters; a 1 may be an i or an l. */
const plainOf = (text: string): string[] => {
  const plain = text.replace(/[034578@$!]/g, (sign) => letters[sign] ?? sign)
  return plain.includes('1') ? [plain.replaceAll('1', 'i'), plain.replaceAll('1', 'l')] : [plain]
}

const isLine = (text: string): boolean => {
  if (!/^[\x21-\x7e]+$/.test(text)) return false
  lines ??= readList()
  return lines.includes(`\n${text}\n`)
}

// One run of bytes outside of the heap (400 kB), searched in well under a millisecond: as a Set it would take 4 MB.
let lines: Buffer | undefined

const readList = (): Buffer => {
  const path = fileURLToPath(import.meta.resolve('@zxcvbn-ts/language-common/src/passwords.json'))
  const list = JSON.parse(readFileSync(path, 'utf8')) as string[]
  return Buffer.from(`\n${list.join('\n')}\n`, 'latin1')
}
