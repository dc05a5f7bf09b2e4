import type { Next } from 'koa'
import type { Workspace } from '../directory/workspaces.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import type { EnginePages } from './wiring.ts'

/**
 * Where nobody is signed in there is nothing to confirm: the browser goes on at once, instead of by a page of the
 * engine's that sends itself (OpenID Connect RP-Initiated Logout 1.0 section 3). The engine has checked the address.
 */
export const skipNeedlessLogout =
  (pages: EnginePages, workspace: Workspace) =>
  async (ctx: KoaContextWithOIDC, next: Next): Promise<void> => {
    await next()
    if (ctx.path !== '/logout' || ctx.status !== 200 || ctx.oidc.session?.accountId !== undefined) return
    const { post_logout_redirect_uri: to, state } = ctx.oidc.params ?? {}
    if (typeof to !== 'string') return pages.loggedOut(ctx, workspace)
    const url = new URL(to)
    if (typeof state === 'string') url.searchParams.set('state', state)
    ctx.body = null
    ctx.status = 303
    ctx.redirect(url.href)
  }
