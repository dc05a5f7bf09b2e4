import type { Context } from 'koa'
import { readText } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'

/**
 * Reads a JSON body; a patch may also come as merge patch. Throws `unsupported_type` on other content, `too_large` over
 * the limit, `invalid_request` on what `parseJson` refuses.
 */
export const readJson = async (ctx: Context, patch: boolean): Promise<unknown> => {
  const types = patch ? ['application/merge-patch+json', 'application/json'] : ['application/json']
  if (!ctx.is(types)) throw new Problem('unsupported_type', { detail: `Send ${types.join(' or ')}.` })
  const text = await readText(ctx, 1024 * 1024)
  try {
    return parseJson(text)
  } catch (cause) {
    throw new Problem('invalid_request', { detail: 'The body is not JSON that can be read.', cause })
  }
}

// Far more than a schema of ours or a profile has; what goes deeper exhausts the stack of whoever walks it.
const mostLevels = 100

/**
 * Reads JSON that somebody sent or typed. Throws on what is none, on a NUL or half a surrogate pair, which no column
 * takes, on a name that objects already have, and on more than a hundred levels.
 */
export const parseJson = (text: string): unknown => {
  const value: unknown = JSON.parse(text, refuseOddities)
  if (isTooDeep(value)) throw new Error('too many levels')
  return value
}

const refuseOddities = (name: string, value: unknown): unknown => {
  if (name === '__proto__' || isOdd(name)) throw new Error('a name that is not allowed')
  if (typeof value === 'string' && isOdd(value)) throw new Error('a character that is not text')
  return value
}

const isOdd = (text: string): boolean => text.includes('\0') || !text.isWellFormed()

/** Whether a value has more than a hundred levels. */
export const isTooDeep = (value: unknown, levels = mostLevels): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isTooDeep(inner, levels - 1)))
