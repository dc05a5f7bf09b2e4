import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'

interface PageHeaders {
  /** Where forms of the page may lead besides this origin: the client's redirect. */
  formAction?: readonly string[]
  /** Whether the address itself holds a token that no other page may see. */
  secretAddress?: boolean
}

/**
 * The headers of a page with a person's data on it (security.md 33, 73). Answers the nonce that its one style element
 * needs.
 */
export const setPageHeaders = (ctx: Context, { formAction = [], secretAddress }: PageHeaders = {}): string => {
  const nonce = randomBytes(16).toString('base64')
  const policy = [
    "default-src 'none'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data: https:",
    `form-action ${["'self'", ...formAction].join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ]
  ctx.set('Content-Security-Policy', policy.join('; '))
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Referrer-Policy', secretAddress ? 'no-referrer' : 'same-origin')
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('X-Frame-Options', 'DENY')
  ctx.set('Cross-Origin-Opener-Policy', 'same-origin')
  ctx.set('Permissions-Policy', 'camera=(), geolocation=(), microphone=()')
  return nonce
}
