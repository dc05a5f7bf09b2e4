import { currentWork } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC, Provider } from './engine.ts'
import { seenBy } from './seen.ts'

/**
 * Notes what tokens a client gets, in the commit that makes them: tokens that were lost to somebody quicker leave no event.
 * A machine's signed tokens are made without any commit, so they are noted only where the workspace wants all.
 */
export const noteIssued = (provider: Provider, { clock }: Services, { id, settings }: Workspace): void => {
  if (settings.token_events === 'none') return
  provider.on('grant.success', (ctx) => {
    const work = currentWork()
    const userId = ctx.oidc.entities.Account?.accountId
    if (!work || (userId === undefined && settings.token_events === 'people')) return
    const poolId = userId === undefined ? undefined : seenBy(work).accounts.get(userId)?.poolId
    const about = { workspaceId: id, clientId: ctx.oidc.client?.clientId, userId, poolId }
    work.events.push(audit.event(clock.now(), about, { type: 'token.issued', data: issuedIn(ctx) }))
  })
}

const issuedIn = ({ oidc, body }: KoaContextWithOIDC) => {
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
