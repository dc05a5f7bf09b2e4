import type { Context } from 'koa'
import { readText } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'

/**
 * Reads a JSON body; a patch may also come as merge patch. Throws `unsupported_type` on other content, `too_large` over
 * the limit, `invalid_request` on what is no JSON or holds a NUL or a name that objects already have.
 */
export const readJson = async (ctx: Context, patch: boolean): Promise<unknown> => {
  const types = patch ? ['application/merge-patch+json', 'application/json'] : ['application/json']
  if (!ctx.is(types)) throw new Problem('unsupported_type', { detail: `Send ${types.join(' or ')}.` })
  const text = await readText(ctx, 1024 * 1024)
  try {
    return JSON.parse(text, refuseOddities)
  } catch (cause) {
    throw new Problem('invalid_request', { detail: 'The body is not JSON that can be read.', cause })
  }
}

const refuseOddities = (name: string, value: unknown): unknown => {
  if (name === '__proto__' || name.includes('\0')) throw new Error('a name that is not allowed')
  if (typeof value === 'string' && value.includes('\0')) throw new Error('a NUL')
  return value
}
