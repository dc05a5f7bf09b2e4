import type { Context, Next } from 'koa'
import { sha256 } from '../platform/secrets.ts'

/** How long clients may keep a workspace's documents, in seconds; new keys are published longer than this before use. */
const cacheSeconds = 300

const addresses = new Set(['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/jwks'])

/**
 * Discovery and JWKS never change while an engine lives: they are made once and answered from memory. Both are public,
 * so any origin may read them.
 */
export const documents = () => {
  const made = new Map<string, string>()
  return async (ctx: Context, next: Next) => {
    if (ctx.method !== 'GET' || !addresses.has(ctx.path)) return next()
    const known = made.get(ctx.path) ?? (await make(ctx, next))
    if (known === undefined) return
    made.set(ctx.path, known)
    ctx.set('Access-Control-Allow-Origin', '*')
    ctx.set('Cache-Control', `public, max-age=${cacheSeconds}`)
    ctx.set('ETag', `"${sha256(known).slice(0, 27)}"`)
    ctx.type = ctx.path === '/jwks' ? 'application/jwk-set+json' : 'application/json'
    ctx.body = known
    if (ctx.fresh) ctx.status = 304
  }
}

const make = async (ctx: Context, next: Next): Promise<string | undefined> => {
  await next()
  if (ctx.status !== 200) return undefined
  return JSON.stringify(ctx.path === '/jwks' ? ctx.body : advertised(ctx.body as Record<string, unknown>))
}

/**
 * Discovery without lists that are empty (RFC 8414 section 3.2), and without what is there for single clients alone: ID
 * tokens through the browser, which an operator opens for certification.
 */
const advertised = (told: Record<string, unknown>): Record<string, unknown> => {
  const grants = (told.grant_types_supported as string[]).filter((type) => type !== 'implicit')
  // Nobody has a code of their own for requests that come from elsewhere (CIBA Core 1.0 section 4).
  const ciba = { backchannel_user_code_parameter_supported: false }
  const all = { ...told, grant_types_supported: grants, response_types_supported: ['code'], ...ciba }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => !Array.isArray(value) || value.length > 0))
}
