import { type VariableName, variables, type WordedMessage } from './message-list.ts'

/** How somebody words a message in one language; what is not said is said in our words. Plain text, never markup. */
export interface Wording {
  subject?: string | undefined
  heading?: string | undefined
  /** Paragraphs, with an empty line between them. */
  text?: string | undefined
  /** What the link is called where it stands alone. */
  button?: string | undefined
}

/** The values of the variables that are known, as text. */
export type Known = Partial<Record<VariableName, string>>

/** A part of a line; a link has an address of ours. */
type Piece = { text: string } | { href: string }

/** A paragraph as our own views draw it. */
type Paragraph = { is: 'code'; code: string } | { is: 'link'; href: string } | { is: 'lines'; lines: Piece[][] }

/** What is wrong with a wording of a message, each with the JSON pointer of its part. */
export const faultsOf = (message: WordedMessage, wording: Wording): { pointer: string; detail: string }[] => [
  ...lineFaults(message, 'subject', wording.subject),
  ...lineFaults(message, 'heading', wording.heading),
  ...lineFaults(message, 'button', wording.button),
  ...buttonFaults(message, wording),
  ...textFaults(message, wording.text).map((detail) => ({ pointer: '/text', detail })),
]

/** The paragraphs of a text. One that names what has no value is left out. */
export const paragraphsOf = (text: string, known: Known): Paragraph[] =>
  blocksOf(text)
    .filter((block) => namesIn(block).every((name) => Boolean(known[name])))
    .map((block) => paragraphOf(block, known))

/** The same as plain text. */
export const plainOf = (paragraphs: readonly Paragraph[], button: string | undefined): string =>
  paragraphs.map((paragraph) => plainParagraph(paragraph, button)).join('\n\n')

/** One line with its variables filled in. A value is never read again: what looks like a variable in it stays. */
export const filled = (line: string, known: Known): string =>
  line.replace(variable, (_, name: VariableName) => known[name] ?? '')

/** What stands between braces, as far as it can be a name; `{{7*7}}` and `{% %}` are text like any other. */
const variable = /\{(\w[\w-]*)\}/g
/** Everything that ends a line or has no shape of its own, and halves of characters. */
const unseen = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u
const unseenButBreaks = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u
const longestText = 300

const blocksOf = (text: string): string[] =>
  text
    .split(/\n[^\S\n]*\n/)
    .map((block) => block.trim())
    .filter(Boolean)

const namesIn = (text: string): VariableName[] => [...text.matchAll(variable)].map(([, name]) => name as VariableName)

const paragraphOf = (block: string, known: Known): Paragraph => {
  const [, alone] = block.match(/^\{(\w+)\}$/) ?? []
  if (alone === 'code') return { is: 'code', code: known.code ?? '' }
  if (alone === 'link') return { is: 'link', href: known.link ?? '' }
  return { is: 'lines', lines: block.split('\n').map((line) => piecesOf(line.trim(), known)) }
}

const piecesOf = (line: string, known: Known): Piece[] =>
  line
    .split(/(\{\w[\w-]*\})/)
    .filter(Boolean)
    .map((part) => pieceOf(part, known))

const pieceOf = (part: string, known: Known): Piece => {
  const [name] = namesIn(part)
  if (name === undefined) return { text: part }
  const value = known[name] ?? ''
  return variables[name].isLink ? { href: value } : { text: value }
}

const plainParagraph = (paragraph: Paragraph, button: string | undefined): string => {
  if (paragraph.is === 'code') return `    ${paragraph.code}`
  if (paragraph.is === 'link') return button ? `${button}:\n${paragraph.href}` : paragraph.href
  return paragraph.lines.map((pieces) => pieces.map(plainPiece).join('')).join('\n')
}

const plainPiece = (piece: Piece): string => ('href' in piece ? piece.href : piece.text)

const lineFaults = (message: WordedMessage, part: 'subject' | 'heading' | 'button', line: string | undefined) => {
  if (line === undefined) return []
  const pointer = `/${part}`
  if (message.channel === 'sms') return [{ pointer, detail: 'A text message has a text and nothing else' }]
  if (unseen.test(line)) return [{ pointer, detail: 'This is one line, without control characters' }]
  const links = message.variables.filter(({ name, always }) => variables[name].isLink || !always)
  const unfit = links.find(({ name }) => namesIn(line).includes(name))
  if (unfit) return [{ pointer, detail: `{${unfit.name}} can only stand in the text` }]
  return nameFaults(message, line).map((detail) => ({ pointer, detail }))
}

const buttonFaults = (message: WordedMessage, { text, button }: Wording) =>
  button === undefined || message.channel === 'sms' || (text !== undefined && blocksOf(text).includes('{link}'))
    ? []
    : [{ pointer: '/button', detail: 'A button stands where the text has {link} in a paragraph of its own' }]

const textFaults = (message: WordedMessage, text: string | undefined): string[] => {
  if (text === undefined) return []
  if (unseenButBreaks.test(text)) return ['Control characters are not allowed']
  if (message.channel === 'sms' && text.length > longestText)
    return [`A text message has at most ${longestText} characters`]
  const names = nameFaults(message, text)
  return names.length > 0 ? names : lossFaults(message, text)
}

const nameFaults = (message: WordedMessage, text: string): string[] => {
  const known = message.variables.map(({ name }) => name)
  const unknown = [...new Set(namesIn(text))].filter((name) => !known.includes(name))
  const doubled = /\{\{\s*(\w[\w-]*)\s*\}\}/.exec(text)
  if (doubled) return [`Variables stand in single braces: {${doubled[1]}}`]
  const offered = known.map((name) => `{${name}}`).join(', ')
  return unknown.map((name) => `{${name}} is not known here; there are ${offered}`)
}

/** What a reader would miss where a variable has no value: its whole paragraph is left out. */
const lossFaults = ({ variables: all }: WordedMessage, text: string): string[] => {
  const missing = all.filter(({ name, required }) => required && !namesIn(text).includes(name))
  if (missing.length > 0) return missing.map(({ name }) => `{${name}} is needed`)
  const unsure = new Set(all.filter(({ always }) => !always).map(({ name }) => name))
  const kept = blocksOf(text).filter((block) => !namesIn(block).some((name) => unsure.has(name)))
  const named = [...unsure].map((name) => `{${name}}`).join(' and ')
  const lost = all.filter(({ name, required }) => required && !kept.some((block) => namesIn(block).includes(name)))
  if (lost.length > 0)
    return lost.map(({ name }) => `{${name}} needs a paragraph without ${named}, which may be unknown`)
  return kept.length > 0 ? [] : [`A paragraph without ${named} is needed, which may be unknown`]
}
