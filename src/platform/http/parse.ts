import type { Context } from 'koa'
import { Problem } from '../problem.ts'

const mostBytes = 64 * 1024

/**
 * Reads a form: each field once, as text. Throws `unsupported_type` on anything but a form, `too_large` over 64 KB, and
 * `invalid_request` on a repeated field, a NUL or a name that objects already have.
 */
export const readForm = async (ctx: Context): Promise<Record<string, string>> => {
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of new URLSearchParams(await readFormText(ctx))) {
    if (name in fields || name in Object.prototype || /\0/.test(name + value)) throw new Problem('invalid_request')
    fields[name] = value
  }
  return fields
}

/** The text of a form of so many bytes at most. Throws `unsupported_type` and `too_large`. */
export const readFormText = async (ctx: Context, most = mostBytes): Promise<string> => {
  if (!ctx.is('application/x-www-form-urlencoded')) throw new Problem('unsupported_type')
  return readText(ctx, most)
}

/** The text of a body of so many bytes at most. Throws `too_large`. */
export const readText = async (ctx: Context, most: number): Promise<string> => {
  if ((ctx.request.length ?? 0) > most) throw new Problem('too_large')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of ctx.req) {
    size += (chunk as Buffer).length
    if (size > most) throw new Problem('too_large')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
