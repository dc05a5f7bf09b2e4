import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC } from './engine.ts'

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
  if (client.first_party === true) return grantAll(ctx, usable ?? newGrant(ctx))
  if (usable) return usable
  const agreed = await findConsent(services, workspace, client.clientId, account.accountId)
  return agreed.length > 0 ? grantScopes(newGrant(ctx), agreed) : undefined
}

/** Remembers what a person agreed to, so that they are asked again only for more. */
export const remember = async (
  { db, clock }: Services,
  workspace: Workspace,
  about: { clientId: string; userId: string; poolId: string },
  scopes: string[],
): Promise<void> => {
  const row = { workspaceId: workspace.id, ...about, scopes, updatedAt: clock.now() }
  await db
    .insertInto('consents')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['workspaceId', 'clientId', 'userId']).doUpdateSet({ scopes, updatedAt: row.updatedAt }),
    )
    .execute()
}

/** The scopes that a person has agreed to give a client, so far. */
const findConsent = async (
  { db }: Services,
  workspace: Workspace,
  clientId: string,
  userId: string,
): Promise<string[]> => {
  const row = await db
    .selectFrom('consents')
    .select('scopes')
    .where('workspaceId', '=', workspace.id)
    .where('clientId', '=', clientId)
    .where('userId', '=', userId)
    .executeTakeFirst()
  return row?.scopes ?? []
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

const grantScopes = async (grant: Grant, scopes: string[]): Promise<Grant> => {
  grant.addOIDCScope(scopes.join(' '))
  await grant.save()
  return grant
}
