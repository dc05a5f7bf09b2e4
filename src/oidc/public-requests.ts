import type { Context } from 'koa'
import type { Workspace } from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import { isFirstParty } from './clients.ts'
import { errors, type KoaContextWithOIDC, Provider } from './engine.ts'
import type { EnginePages } from './wiring.ts'

/**
 * Lets nobody fill the database as a client that anybody can be, without a secret or come by itself: requests that are pushed
 * (RFC 9126 section 2.3 has the 429) or begun for a device are counted by their sender, once they are known to be of such a
 * client and before anything of them is kept. Clients that operators have made and that authenticate themselves are not.
 */
export const limitPublicRequests = (provider: Provider, pages: EnginePages, workspace: Workspace): void => {
  const count = (): void => {
    const ctx = Provider.ctx as (KoaContextWithOIDC & Context) | undefined
    if (!ctx || !isLeft(ctx) || counted.has(ctx)) return
    counted.add(ctx)
    if (!pages.mayLeave(ctx, workspace)) throw tooMany(ctx, workspace)
  }
  for (const model of [provider.PushedAuthorizationRequest, provider.DeviceCode]) {
    const { prototype } = model as unknown as { prototype: { save(ttl?: number): Promise<string> } }
    const { save } = prototype
    prototype.save = async function (ttl) {
      count()
      return save.call(this, ttl)
    }
  }
  // A proof that it was sent with is remembered, too.
  const { ReplayDetection } = provider
  const unique = ReplayDetection.unique.bind(ReplayDetection)
  ReplayDetection.unique = async (...proof) => {
    count()
    return unique(...proof)
  }
}

/**
 * Lets nobody have somebody far away sign at will, who is paid for each signature and gives only so many a second: what
 * is signed for people who are not signed in (JARM), and for clients that anybody can be (RFC 9701), is counted with what
 * is left here. For a workspace with such keys.
 */
export const limitSignatures = (provider: Provider, pages: EnginePages, workspace: Workspace): void => {
  const { prototype } = provider.IdToken as unknown as { prototype: { issue(how: { use: string }): Promise<string> } }
  const { issue } = prototype
  prototype.issue = async function (how) {
    const ctx = Provider.ctx as (KoaContextWithOIDC & Context) | undefined
    if (ctx && isForAnybody(ctx, how.use) && !pages.mayLeave(ctx, workspace))
      throw new Problem('too_many_requests', { retryAfter: secondsOf(workspace) })
    return issue.call(this, how)
  }
}

const isForAnybody = ({ oidc }: KoaContextWithOIDC, use: string): boolean =>
  (use === 'authorization' && !oidc.session?.accountId) ||
  (use === 'introspection' && oidc.client !== undefined && isAnybodys(oidc.client))

const counted = new WeakSet<object>()

const isLeft = ({ oidc }: KoaContextWithOIDC): boolean =>
  (oidc.route === 'pushed_authorization_request' || oidc.route === 'device_authorization') &&
  oidc.client !== undefined &&
  isAnybodys(oidc.client)

const isAnybodys = (client: NonNullable<KoaContextWithOIDC['oidc']['client']>): boolean =>
  client.clientAuthMethod === 'none' || (client.registered_by !== 'operator' && !isFirstParty(client))

const secondsOf = ({ settings }: Workspace): number => Math.ceil(60 / settings.public_requests_per_minute)

const tooMany = (ctx: Context, workspace: Workspace): Error => {
  ctx.set('Retry-After', String(secondsOf(workspace)))
  const error = new errors.TemporarilyUnavailable('too many requests were left from this address')
  const description = 'Too many requests; try again in a moment'
  return Object.assign(error, { status: 429, statusCode: 429, error_description: description })
}
