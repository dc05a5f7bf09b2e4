import type { Context, Next } from 'koa'
import { pathOf } from '../directory/address.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { readFormText } from '../platform/http/parse.ts'

/** What still fits into an address, with its headers. */
const mostBytes = 24 * 1024

const addresses = new Set(['/authorize', '/logout'])

/**
 * Takes requests that other sites post (OpenID Connect Core 1.0 section 3.1.2.1, RP-Initiated Logout 1.0 section 2) and
 * sends the browser to the same request by GET: only there it shows a session cookie that is `SameSite=Lax`.
 */
export const posted = (workspace: Workspace) => async (ctx: Context, next: Next) => {
  if (ctx.method !== 'POST' || !addresses.has(ctx.path)) return next()
  const query = new URLSearchParams(await readFormText(ctx, mostBytes))
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(`${pathOf(workspace)}${ctx.path}?${query}`)
}
