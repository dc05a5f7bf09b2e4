import { plainLine } from '../platform/storable.ts'

/** Characters of a reason at most. */
const most = 300

/** Why something was refused, as operators read it: without anything that was sent, on one line. Undefined for nothing. */
export const reasonFrom = (text: string, sent: readonly string[]): string | undefined => {
  const quoted = sent.filter((value) => value.length > 3 && text.includes(value))
  const clean = [...new Set(quoted)]
    .sort((one, other) => other.length - one.length)
    .reduce((left, value) => left.replaceAll(value, '…'), text)
  return plainLine(clean, most) || undefined
}

/** All texts in values, odd names among them, also of the JSON that is in a text; no more of them than a person would send. */
export const valuesIn = (values: readonly unknown[], limit = 5_000): string[] => {
  const found: string[] = []
  // Not by recursion: whoever sends a value says how deep it is.
  const left = [...values]
  while (left.length > 0 && found.length < limit) {
    const one = left.pop()
    if (typeof one === 'string') {
      found.push(one)
      left.push(...insideOf(one))
    } else if (typeof one === 'object' && one !== null) left.push(...Object.values(one), ...oddNames(one))
  }
  return found
}

// A field that is called as fields are called says nothing.
const oddNames = (value: object): string[] =>
  Array.isArray(value) ? [] : Object.keys(value).filter((name) => !/^[a-z][a-z0-9_]{0,40}$/.test(name))

const insideOf = (text: string): unknown[] => {
  if (!/^\s*[[{]/.test(text)) return []
  try {
    return [JSON.parse(text)]
  } catch {
    return []
  }
}
