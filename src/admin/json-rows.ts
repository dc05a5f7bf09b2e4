import { Problem } from '../platform/problem.ts'

/** The text of one object in a list; undefined where it is longer than `most` characters. */
export type Listed = string | undefined

/**
 * The objects of a list that is the whole JSON, or is called `users` in it, as they arrive; what is around the list is
 * passed over, and no more than one object is in memory. Throws `unprocessable` where it is no such JSON.
 */
export const splitList = async function* (pieces: AsyncIterable<string>, most: number): AsyncIterable<Listed> {
  const scanner = openScanner(most)
  for await (const piece of pieces) yield* scanner.read(piece)
  if (!scanner.isOver()) throw broken('The JSON ends too early.')
}

const broken = (detail: string) => new Problem('unprocessable', { detail })

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a]
const opening = new Set([0x5b, 0x7b])
const closing = new Set([0x5d, 0x7d])
const space = new Set([0x20, 0x09, 0x0a, 0x0d])

/** Counts brackets outside of strings; whether what is between them is JSON is for whoever reads an object. */
const openScanner = (most: number) => {
  let depth = 0
  let inString = false
  let escaped = false
  let begun = false
  /** How deep the objects of the list are; 0 while no list is open. */
  let listed = 0
  let isList = false
  /** The last string right in the outermost object, which names what comes next. */
  let name = ''
  let kept = ''
  let from = -1
  let isLong = false

  const keep = (text: string) => {
    isLong ||= kept.length + text.length > most
    kept = isLong ? '' : kept + text
  }
  const take = (text: string): Listed => {
    keep(text)
    const whole = isLong ? undefined : kept
    kept = ''
    isLong = false
    from = -1
    return whole
  }
  const open = (code: number) => {
    if (begun && depth === 0) throw broken('After the JSON comes more.')
    begun = true
    isList = code === 0x5b
    depth += 1
    if (isList && listed === 0 && (depth === 1 || (depth === 2 && /^users$/i.test(name)))) listed = depth
  }
  return {
    isOver: () => begun && depth === 0 && !inString,
    *read(piece: string): Iterable<Listed> {
      if (from !== -1) from = 0
      for (let at = 0; at < piece.length; at += 1) {
        const code = piece.charCodeAt(at)
        if (inString) {
          if (escaped) escaped = false
          else if (code === backslash) escaped = true
          else if (code === quote) inString = false
          if (depth === 1 && inString && name.length < 10) name += piece[at]
        } else if (code === quote) {
          if (listed > 0 && depth === listed) throw broken('The list holds something that is no object.')
          inString = true
          if (depth === 1) name = ''
        } else if (opening.has(code)) {
          if (listed > 0 && depth === listed) from = at
          open(code)
        } else if (closing.has(code)) {
          depth -= 1
          if (depth < 0) throw broken('This is no JSON.')
          if (listed > 0 && depth === listed) yield take(piece.slice(from, at + 1))
          else if (depth < listed) listed = 0
        } else if (!space.has(code) && (!begun || depth === 0)) throw broken('This is no JSON.')
        else if (listed > 0 && depth === listed && !space.has(code) && code !== comma && code !== colon)
          throw broken('The list holds something that is no object.')
      }
      if (from !== -1) keep(piece.slice(from))
    },
  }
}
