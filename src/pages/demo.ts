import type { Context, Middleware } from 'koa'
import type { Configuration } from 'openid-client'
import { z } from 'zod'
import { setPageHeaders } from '../platform/http/headers.ts'
import { Problem } from '../platform/problem.ts'
import { lido } from './development.ts'
import { type Desk, wordsOf } from './page.ts'

const kept = z.object({
  verifier: z.string().optional(),
  state: z.string().optional(),
  nonce: z.string().optional(),
  claims: z.record(z.string(), z.unknown()).optional(),
  idToken: z.string().optional(),
})
type Kept = z.infer<typeof kept>

/** A small relying party that signs in to the demo workspace: what an application does, in one file. */
export const demo = (desk: Desk): Middleware => {
  const site = desk.services.config.publicUrl
  let discovered: Promise<Configuration> | undefined
  const client = async () => {
    const { allowInsecureRequests, discovery, None } = await import('openid-client')
    const insecure = site.startsWith('http:') ? { execute: [allowInsecureRequests] } : {}
    discovered ??= discovery(new URL(`${site}/w/demo`), 'demo', undefined, None(), insecure)
    return discovered.catch((error) => {
      discovered = undefined
      throw error
    })
  }
  const pages: Record<string, (ctx: Context) => Promise<void> | void> = {
    '/demo': (ctx) => home(ctx, desk),
    '/demo/login': async (ctx) => login(ctx, desk, await client()),
    '/demo/callback': async (ctx) => callback(ctx, desk, await client()),
    '/demo/logout': async (ctx) => logout(ctx, desk, await client()),
  }
  return async (ctx, next) => {
    const page = ctx.method === 'GET' ? pages[ctx.path] : undefined
    if (!page) return next()
    ctx.state.route = ctx.path
    ctx.set('Cache-Control', 'no-store')
    await page(ctx)
  }
}

const home = (ctx: Context, desk: Desk): void => {
  const { claims } = read(ctx, desk)
  const nonce = setPageHeaders(ctx)
  const rows =
    claims &&
    Object.entries(claims).map(([name, value]) => ({
      name,
      value: typeof value === 'string' ? value : JSON.stringify(value),
    }))
  const links = { signin: '/demo/login', signout: '/demo/logout' }
  ctx.type = 'html'
  ctx.body = desk.render('dev/demo', {
    words: wordsOf(ctx),
    brand: { ...lido, name: 'Demo' },
    nonce,
    claims: rows ?? null,
    links,
  })
}

const login = async (ctx: Context, desk: Desk, config: Configuration): Promise<void> => {
  const oidc = await import('openid-client')
  const verifier = oidc.randomPKCECodeVerifier()
  const begun = { verifier, state: oidc.randomState(), nonce: oidc.randomNonce() }
  write(ctx, desk, begun)
  const asked = ctx.query.prompt
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${desk.services.config.publicUrl}/demo/callback`,
    scope: 'openid profile email phone offline_access',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: begun.state,
    nonce: begun.nonce,
    ...(typeof asked === 'string' ? { prompt: asked } : {}),
  })
  ctx.redirect(url.href)
}

const callback = async (ctx: Context, desk: Desk, config: Configuration): Promise<void> => {
  const oidc = await import('openid-client')
  const { verifier, state, nonce } = read(ctx, desk)
  if (!verifier || !state || !nonce) throw new Problem('expired')
  const here = new URL(ctx.originalUrl, desk.services.config.publicUrl)
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  const tokens = await oidc.authorizationCodeGrant(config, here, checks).catch((cause) => {
    throw new Problem('invalid_request', { cause })
  })
  const told = tokens.claims()
  const info = await oidc.fetchUserInfo(config, tokens.access_token, told?.sub ?? '')
  write(ctx, desk, { claims: { ...told, ...info }, ...(tokens.id_token ? { idToken: tokens.id_token } : {}) })
  ctx.redirect('/demo')
}

const logout = async (ctx: Context, desk: Desk, config: Configuration): Promise<void> => {
  const { buildEndSessionUrl } = await import('openid-client')
  const { idToken } = read(ctx, desk)
  ctx.cookies.set(cookie, null)
  const back = { post_logout_redirect_uri: `${desk.services.config.publicUrl}/demo` }
  ctx.redirect(buildEndSessionUrl(config, { ...back, ...(idToken ? { id_token_hint: idToken } : {}) }).href)
}

const cookie = 'lido_demo'

const read = (ctx: Context, { services }: Desk): Kept => {
  try {
    return kept.parse(JSON.parse(services.keyring.open(ctx.cookies.get(cookie) ?? '', 'demo')))
  } catch {
    return {}
  }
}

const write = (ctx: Context, { services }: Desk, state: Kept): void => {
  const secure = services.config.publicUrl.startsWith('https:')
  const sealed = services.keyring.seal(JSON.stringify(state), 'demo')
  ctx.cookies.set(cookie, sealed, { httpOnly: true, sameSite: 'lax', secure, overwrite: true, signed: false })
}
