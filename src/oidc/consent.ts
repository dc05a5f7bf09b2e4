import * as consents from '../directory/consents.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { keepSaid } from './said.ts'

type Grant = InstanceType<KoaContextWithOIDC['oidc']['provider']['Grant']>

/**
 * The grant that an authorization goes by: the one just given, the session's, what the person agreed to before, or, for
 * the workspace's own clients, whatever they ask for.
 */
export const loadGrant = async (
  services: Services,
  workspace: Workspace,
  ctx: KoaContextWithOIDC,
): Promise<Grant | undefined> => {
  const { provider, client, session, result, account } = ctx.oidc
  if (!client || !session || !account) return undefined
  const id = (result?.consent as { grantId?: string } | undefined)?.grantId ?? session.grantIdFor(client.clientId)
  const known = id ? await provider.Grant.find(id) : undefined
  const usable = known?.accountId === account.accountId ? known : undefined
  if (client.first_party === true) return keepSaid(ctx, await grantAll(ctx, usable ?? newGrant(ctx)))
  if (usable) return keepSaid(ctx, usable)
  const about = { workspaceId: workspace.id, clientId: client.clientId, userId: account.accountId }
  const agreed = await consents.find(services.db, about, shownOf(client.clientName, client.redirectUris))
  return agreed && keepSaid(ctx, await grantAgreed(ctx, newGrant(ctx), agreed))
}

const newGrant = (ctx: KoaContextWithOIDC): Grant =>
  new ctx.oidc.provider.Grant({
    accountId: ctx.oidc.account?.accountId ?? '',
    clientId: ctx.oidc.client?.clientId ?? '',
  })

const grantAll = async (ctx: KoaContextWithOIDC, grant: Grant): Promise<Grant> => {
  const before = JSON.stringify([grant.openid, grant.resources])
  const { requestParamOIDCScopes, requestParamScopes, requestParamClaims, resourceServers } = ctx.oidc
  grant.addOIDCScope([...requestParamOIDCScopes].join(' '))
  if (requestParamClaims.size > 0) grant.addOIDCClaims([...requestParamClaims])
  for (const [indicator, server] of Object.entries(resourceServers ?? {})) {
    const scopes = [...requestParamScopes].filter((scope) => server.scopes.has(scope))
    if (scopes.length > 0) grant.addResourceScope(indicator, scopes.join(' '))
  }
  if (!grant.jti || JSON.stringify([grant.openid, grant.resources]) !== before) await grant.save()
  return grant
}

/** What was agreed to before, of what is asked for at resources now. */
const grantAgreed = async (ctx: KoaContextWithOIDC, grant: Grant, agreed: consents.Agreed): Promise<Grant> => {
  grant.addOIDCScope(agreed.scopes.join(' '))
  for (const indicator of Object.keys(ctx.oidc.resourceServers ?? {})) {
    const scopes = agreed.resources[indicator] ?? []
    if (scopes.length > 0) grant.addResourceScope(indicator, scopes.join(' '))
  }
  await grant.save()
  return grant
}

/** As whom a client was shown: who calls itself something else, or is reached at another site, is somebody else. */
export const shownOf = (name: string | undefined, redirectUris: readonly string[] | undefined): string => {
  const sites = (redirectUris ?? []).map((uri) => URL.parse(uri)?.host || uri.split('/')[0])
  return sha256(JSON.stringify([name ?? '', [...new Set(sites)].sort()]))
}
