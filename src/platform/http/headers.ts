import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'

interface PageHeaders {
  /** Whether a script of the page asks this origin for the page anew. */
  renews?: boolean
  /** Where forms of the page may lead besides this origin: the client's redirect. */
  formAction?: readonly string[]
  /** Whether the address itself holds a token that no other page may see. */
  secretAddress?: boolean
  /** Whether pages of this origin may show the page in a frame, where it does nothing: no scripts, no forms. */
  framed?: boolean
  /** Whether the page shows others of this origin in frames. */
  frames?: boolean
}

/**
 * The headers of a page with a person's data on it (security.md 33, 73). Answers the nonce that its one style element
 * needs.
 */
export const setPageHeaders = (
  ctx: Context,
  { renews, formAction = [], secretAddress, framed, frames }: PageHeaders = {},
): string => {
  const nonce = randomBytes(16).toString('base64')
  const policy = [
    "default-src 'none'",
    // Ours are files in /assets and nothing else; there is no way to put a script elsewhere on this origin.
    `script-src ${framed ? "'none'" : "'self'"}`,
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data: https:",
    `form-action ${framed ? "'none'" : ["'self'", ...formAction].join(' ')}`,
    ...(frames ? ["frame-src 'self'"] : []),
    `frame-ancestors ${framed ? "'self'" : "'none'"}`,
    ...(renews ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    ...(framed ? ['sandbox'] : []),
  ]
  ctx.set('Content-Security-Policy', policy.join('; '))
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Referrer-Policy', secretAddress ? 'no-referrer' : 'same-origin')
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('X-Frame-Options', framed ? 'SAMEORIGIN' : 'DENY')
  ctx.set('Cross-Origin-Opener-Policy', 'same-origin')
  ctx.set('Permissions-Policy', 'camera=(), geolocation=(), microphone=()')
  return nonce
}
