import type { Context, Middleware } from 'koa'
import { proofPath, proofsAt } from '../directory/domain-proofs.ts'
import { relatedOrigins } from '../directory/relying-party.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'

/**
 * Tells browsers which other origins may use the passkeys of a domain (WebAuthn L3 section 5.11). The domain is whatever
 * the browser looked it up by: it chooses among public lists, and nothing is made of it.
 */
export const wellKnown =
  ({ db }: Services, home: string): Middleware =>
  async (ctx, next) => {
    if (ctx.path !== '/.well-known/webauthn') return next()
    ctx.state.route = ctx.path
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD')
      throw new Problem('method_not_allowed')
    }
    const origins = await relatedOrigins(db, hostOf(ctx), home)
    if (origins.length === 0) throw new Problem('not_found')
    ctx.set('Cache-Control', 'public, max-age=300')
    ctx.vary('Host')
    ctx.type = 'json'
    ctx.body = JSON.stringify({ origins })
  }

/**
 * Says that a host leads here, to whoever verifies a domain by asking for it (docs/custom-domains.md). The host is looked
 * up and not said again.
 */
export const domainProof =
  ({ db, keyring }: Services): Middleware =>
  async (ctx, next) => {
    if (ctx.path !== proofPath) return next()
    ctx.state.route = ctx.path
    if (ctx.method !== 'GET') {
      ctx.set('Allow', 'GET')
      throw new Problem('method_not_allowed')
    }
    const proofs = await proofsAt(db, keyring, hostOf(ctx))
    if (proofs.length === 0) throw new Problem('not_found')
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'text/plain'
    ctx.body = proofs.join('\n')
  }

/**
 * A workspace's documents at the addresses that RFC 8414 section 3.1 makes of an issuer with a path: the well-known part
 * comes first there. They are answered as at the addresses below the issuer.
 */
export const insertedForm: Middleware = (ctx, next) => {
  const [, name, issuer] = ctx.path.match(inserted) ?? []
  if (name !== undefined) ctx.path = `${issuer}/.well-known/${name}`
  return next()
}

const inserted = /^\/\.well-known\/(oauth-authorization-server|openid-configuration)(\/w\/[a-z0-9-]+)$/

const hostOf = (ctx: Context): string => (ctx.req.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
