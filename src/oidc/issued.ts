import { currentWork, isEmpty, type Work } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC, Provider } from './engine.ts'
import { seenBy } from './seen.ts'

/**
 * Notes what tokens a client gets, in the commit that makes them: tokens that were lost to somebody quicker leave no event.
 * A machine's signed tokens are made without any commit; theirs are written a moment later, many at once, unless the
 * workspace wants a commit for each.
 */
export const noteIssued = (provider: Provider, services: Services, workspace: Workspace): void => {
  const { token_events: wanted, machine_events: written } = workspace.settings
  if (wanted === 'none') return
  const note = noteIn(services, workspace)
  provider.on('grant.success', (ctx) => {
    const work = currentWork()
    const userId = ctx.oidc.entities.Account?.accountId
    if (!work || (userId === undefined && wanted === 'people')) return
    const event = note(ctx, work, userId, issuedIn(ctx))
    if (userId === undefined && written === 'grouped' && isEmpty(work)) services.behind.add(event)
    else work.events.push(event)
  })
  // ID tokens that clients get without a code, or beside one.
  provider.on('authorization.success', (ctx, out?: { id_token?: string; access_token?: string }) => {
    const work = currentWork()
    if (!work || !(out?.id_token ?? out?.access_token)) return
    const scope = ctx.oidc.grant?.getOIDCScopeFiltered(ctx.oidc.requestParamScopes)
    const data = { grant_type: 'implicit', scopes: scope?.split(' ').filter(Boolean) ?? [] }
    work.events.push(note(ctx, work, ctx.oidc.entities.Account?.accountId, data))
  })
}

type Issued = Extract<audit.Happening, { type: 'token.issued' }>['data']

const noteIn =
  ({ clock }: Services, { id }: Workspace) =>
  (ctx: KoaContextWithOIDC, work: Work, userId: string | undefined, data: Issued) => {
    const poolId = userId === undefined ? undefined : seenBy(work).accounts.get(userId)?.poolId
    const about = { workspaceId: id, clientId: ctx.oidc.client?.clientId, userId, poolId }
    return audit.event(clock.now(), about, { type: 'token.issued', data })
  }

const issuedIn = ({ oidc, body }: KoaContextWithOIDC): Issued => {
  const { scope } = (body ?? {}) as { scope?: string }
  const { AccessToken, ClientCredentials } = oidc.entities
  const audience = (AccessToken ?? ClientCredentials)?.aud
  const resource = [audience ?? []].flat().join(' ')
  return {
    grant_type: String(oidc.params?.grant_type),
    scopes: scope?.split(' ').filter(Boolean) ?? [],
    ...(resource ? { resource } : {}),
  }
}
