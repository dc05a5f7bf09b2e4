import type { Context, Middleware } from 'koa'
import { relatedOrigins } from '../directory/relying-party.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'

/**
 * Tells browsers which other origins may use the passkeys of a domain (WebAuthn L3 section 5.11). The domain is whatever
 * the browser looked it up by: it chooses among public lists, and nothing is made of it.
 */
export const wellKnown =
  ({ db }: Services): Middleware =>
  async (ctx, next) => {
    if (ctx.path !== '/.well-known/webauthn') return next()
    ctx.state.route = ctx.path
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD')
      throw new Problem('method_not_allowed')
    }
    const origins = await relatedOrigins(db, hostOf(ctx))
    if (origins.length === 0) throw new Problem('not_found')
    ctx.set('Cache-Control', 'public, max-age=300')
    ctx.vary('Host')
    ctx.type = 'json'
    ctx.body = JSON.stringify({ origins })
  }

const hostOf = (ctx: Context): string => (ctx.req.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
