import { limits } from './runner/limits.ts'

/** What a script gave back, or what is wrong with it. */
export type Read = { ok: true; output: unknown } | { ok: false; why: 'too_large' | 'bad_output'; detail: string }

/** The most lists and objects in one another: whoever checks what a script gave back goes down by recursion. */
const deepest = 64

/**
 * Reads what came from a child: small enough, JSON, not nested without end, and without a key that could change what
 * objects are.
 */
export const readOutput = (text: string): Read => {
  if (Buffer.byteLength(text) > limits.output)
    return { ok: false, why: 'too_large', detail: 'What it gave back is too long' }
  const output = parse(text)
  if (!output) return { ok: false, why: 'bad_output', detail: 'What it gave back is no JSON' }
  if (isTooDeep(text)) return { ok: false, why: 'bad_output', detail: 'What it gave back is nested too deep' }
  const key = findForbidden(output.value)
  if (key) return { ok: false, why: 'bad_output', detail: `What it gave back has the key ${key}` }
  return { ok: true, output: output.value }
}

const parse = (text: string): { value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Of a text that is JSON: how deep its brackets go that stand in no string. */
const isTooDeep = (text: string): boolean => {
  let depth = 0
  for (const [mark] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/g)) {
    if (mark === '[' || mark === '{') depth += 1
    else if (mark === ']' || mark === '}') depth -= 1
    if (depth > deepest) return true
  }
  return false
}

const forbidden = new Set(['__proto__', 'constructor', 'prototype'])

const findForbidden = (value: unknown): string | undefined => {
  const rest = [value]
  while (rest.length > 0) {
    const one = rest.pop()
    if (typeof one !== 'object' || one === null) continue
    const key = Object.keys(one).find((key) => forbidden.has(key))
    if (key) return key
    rest.push(...Object.values(one))
  }
  return undefined
}
