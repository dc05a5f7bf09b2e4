import type { Next } from 'koa'
import { currentWork } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC, Provider } from './engine.ts'
import { pairwise } from './pairwise.ts'
import { seenBy } from './seen.ts'
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
    const to = leadingTo(ctx)
    if (!to) return pages.loggedOut(ctx, workspace)
    ctx.body = null
    goOn(ctx, to)
  }

/**
 * Whether the client has shown an ID token of this very session: then nobody else can have sent the browser here, and
 * there is nothing to ask (security.md 75). The engine has checked signature, issuer and audience; an ID token that has
 * expired is good for this (OpenID Connect RP-Initiated Logout 1.0 section 2).
 */
export const isMeant = (workspace: Workspace, ctx: KoaContextWithOIDC): boolean => {
  const { client, session, entities } = ctx.oidc
  const hint = (entities.IdTokenHint as { payload?: Record<string, unknown> } | undefined)?.payload
  if (!client || !session?.accountId || !hint) return false
  const { accountId } = session
  const ours = client.subjectType === 'pairwise' ? pairwise(workspace, client as Sector, accountId) : accountId
  const sid = session.authorizations?.[client.clientId]?.sid
  return hint.sub === ours && sid !== undefined && hint.sid === sid
}

type Sector = { sectorIdentifier?: string }

/** Ends the session of this browser with what hangs on it, as the engine does for whoever has said yes on its page. */
export const endSession = async (ctx: KoaContextWithOIDC): Promise<void> => {
  const { session, provider } = ctx.oidc
  if (!session) return
  const ending = Object.values((session.authorizations ?? {}) as Record<string, Authorization>).flatMap((known) =>
    known.grantId && !known.persistsLogout ? [known.grantId] : [],
  )
  const { adapter } = provider.Grant as unknown as { adapter: { destroy(id: string): Promise<void> } }
  await Promise.all(ending.map((id) => adapter.destroy(id)))
  await session.destroy()
  provider.emit('end_session.success', ctx)
  const secure = provider.issuer.startsWith('https:')
  const options = { httpOnly: true, sameSite: 'lax', secure, overwrite: true, signed: false } as const
  ctx.cookies.set((provider as unknown as Named).cookieName('session'), null, options)
  goOn(ctx, leadingTo(ctx) ?? new URL(`${provider.issuer}/logout/success`))
}

/** Notes sessions that end by a logout, in the commit that ends them. */
export const noteEnded = (provider: Provider, { clock }: Services, { id }: Workspace): void => {
  provider.on('end_session.success', (ctx) => {
    const { session, client } = ctx.oidc
    const work = currentWork()
    if (!work || !session?.accountId || !(session as { destroyed?: boolean }).destroyed) return
    const userId = session.accountId
    const poolId = seenBy(work).accounts.get(userId)?.poolId
    const about = { workspaceId: id, poolId, userId, clientId: client?.clientId }
    work.events.push(audit.event(clock.now(), about, { type: 'session.ended', data: {} }))
  })
}

interface Authorization {
  grantId?: string
  /** Offline access outlives the session that it was given in. */
  persistsLogout?: boolean
}

interface Named {
  cookieName(of: string): string
}

/** Where the client wants the browser to go on; undefined where it has not said so, or may not say so. */
const leadingTo = (ctx: KoaContextWithOIDC): URL | undefined => {
  const { post_logout_redirect_uri: to, state } = ctx.oidc.params ?? {}
  if (typeof to !== 'string') return undefined
  const url = new URL(to)
  if (typeof state === 'string') url.searchParams.set('state', state)
  return url
}

const goOn = (ctx: KoaContextWithOIDC, to: URL): void => {
  ctx.status = 303
  ctx.redirect(to.href)
}
