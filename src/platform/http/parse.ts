import type { Context } from 'koa'
import { Problem } from '../problem.ts'

const mostBytes = 64 * 1024

/**
 * Reads a form: each field once, as text. Throws `unsupported_type` on anything but a form, `too_large` over 64 KB, and
 * `invalid_request` on a repeated field, a NUL or a name that objects already have.
 */
export const readForm = async (ctx: Context): Promise<Record<string, string>> => {
  if (!ctx.is('application/x-www-form-urlencoded')) throw new Problem('unsupported_type')
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of new URLSearchParams(await readText(ctx))) {
    if (name in fields || name in Object.prototype || value.includes('\0')) throw new Problem('invalid_request')
    fields[name] = value
  }
  return fields
}

const readText = async (ctx: Context): Promise<string> => {
  if ((ctx.request.length ?? 0) > mostBytes) throw new Problem('too_large')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of ctx.req) {
    size += (chunk as Buffer).length
    if (size > mostBytes) throw new Problem('too_large')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
