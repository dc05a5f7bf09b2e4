import * as consents from '../directory/consents.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { keepLearnt } from './contexts.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { claimsCarried, claimsRequested } from './requested-claims.ts'
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
  keepLearnt({ services, workspace }, ctx)
  const id = (result?.consent as { grantId?: string } | undefined)?.grantId ?? session.grantIdFor(client.clientId)
  const known = id ? await provider.Grant.find(id) : undefined
  const usable = known?.accountId === account.accountId ? known : undefined
  if (client.first_party === true) return keepSaid(ctx, await grantAll(ctx, usable ?? newGrant(ctx)))
  if (usable) return keepSaid(ctx, await grantCarried(workspace, ctx, usable))
  const about = { workspaceId: workspace.id, clientId: client.clientId, userId: account.accountId }
  const agreed = await consents.find(services.db, about, shownOf(client.clientName, client.redirectUris))
  return agreed && keepSaid(ctx, await grantAgreed(workspace, ctx, agreed))
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
const grantAgreed = async (workspace: Workspace, ctx: KoaContextWithOIDC, agreed: consents.Agreed): Promise<Grant> => {
  const grant = newGrant(ctx)
  grant.addOIDCScope(agreed.scopes.join(' '))
  const claims = [...agreed.claims, ...carriedIn(workspace, ctx, grant)]
  if (claims.length > 0) grant.addOIDCClaims(claims)
  for (const indicator of Object.keys(ctx.oidc.resourceServers ?? {})) {
    const scopes = agreed.resources[indicator] ?? []
    if (scopes.length > 0) grant.addResourceScope(indicator, scopes.join(' '))
  }
  await grant.save()
  return grant
}

/** What is asked for claim by claim and comes with scopes that were agreed to: nobody is asked for it again. */
const grantCarried = async (workspace: Workspace, ctx: KoaContextWithOIDC, grant: Grant): Promise<Grant> => {
  const known = new Set(grant.getOIDCClaims())
  const more = carriedIn(workspace, ctx, grant).filter((name) => !known.has(name))
  if (more.length === 0) return grant
  grant.addOIDCClaims(more)
  await grant.save()
  return grant
}

const carriedIn = (workspace: Workspace, { oidc }: KoaContextWithOIDC, grant: Grant): string[] => {
  const asked = claimsRequested(oidc.params)
  const carried = asked.length > 0 ? claimsCarried(workspace, grant.getOIDCScope().split(' ')) : new Set<string>()
  return asked.filter((name) => carried.has(name))
}

/** As whom a client was shown: who calls itself something else, or is reached at another site, is somebody else. */
export const shownOf = (name: string | undefined, redirectUris: readonly string[] | undefined): string => {
  const sites = (redirectUris ?? []).map((uri) => URL.parse(uri)?.host || uri.split('/')[0])
  return sha256(JSON.stringify([name ?? '', [...new Set(sites)].sort()]))
}
