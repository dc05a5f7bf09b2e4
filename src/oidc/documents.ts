import type { Context, Next } from 'koa'

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
    ctx.type = ctx.path === '/jwks' ? 'application/jwk-set+json' : 'application/json'
    ctx.body = known
  }
}

const make = async (ctx: Context, next: Next): Promise<string | undefined> => {
  await next()
  return ctx.status === 200 ? JSON.stringify(ctx.body) : undefined
}
