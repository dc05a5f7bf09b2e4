import * as groups from '../directory/groups.ts'
import * as roles from '../directory/roles.ts'
import * as users from '../directory/users.ts'
import { openConnection, type Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import { claimsOf } from './claims.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { marked, saidIn } from './said.ts'
import { seeAccount, seenHere } from './seen.ts'
import type { Wiring } from './wiring.ts'

/** Whoever a `sub` belongs to, if they may still sign in to this client here. */
export const findAccount = async (
  { services, workspace, reload }: Pick<Wiring, 'services' | 'workspace'> & Partial<Pick<Wiring, 'reload'>>,
  ctx: KoaContextWithOIDC,
  sub: string,
) => {
  const known = await findUser(services, sub)
  const connection = known && openConnection(workspace, known.poolId)
  const reloads = connection?.reloadClaimsAtRefresh && ctx.oidc.params?.grant_type === 'refresh_token'
  const user = known && reload && reloads ? await reload(known, connection.pool) : known
  const account = user && accountOf(user, workspace, ctx.oidc.client?.connections as string[] | null | undefined)
  if (!account) return undefined
  return {
    ...account,
    // Asked of the database only where they are asked for: most tokens tell nothing of these.
    claims: async (_use: string, scope: string) => ({
      ...(await account.claims()),
      ...(await belongings(services, user, new Set(scope.split(' ')))),
      ...marked(saidIn(services, user.id, ctx.oidc.grant, connection?.contextCacheSeconds ?? null)),
    }),
  }
}

/** A user as the engine knows one; undefined where they may not sign in to this workspace, or not by these connections. */
export const accountOf = (user: users.User, workspace: Workspace, connections: string[] | null | undefined) => {
  const connection = openConnection(workspace, user.poolId)
  if (user.status !== 'active' || !connection) return undefined
  if (connections && !connections.includes(connection.id)) return undefined
  const { script, application } = connection.postAuthentication
  const askedOf = script !== null || application !== null
  return { accountId: user.id, askedOf, claims: async () => claimsOf(user, connection) }
}

/** What somebody belongs to and may do, where scopes ask for it. */
const belongings = async ({ db }: Services, { poolId, id }: users.User, scopes: ReadonlySet<string>) => {
  const [paths, standing] = await Promise.all([
    scopes.has('groups') ? groups.pathsOf(db, poolId, id) : undefined,
    scopes.has('roles') || scopes.has('tenant') ? roles.standingOf(db, poolId, id) : undefined,
  ])
  return {
    ...(paths ? { groups: paths } : {}),
    ...(standing && scopes.has('roles') ? { roles: standing.roles, permissions: standing.permissions } : {}),
    ...(standing?.tenantId && scopes.has('tenant') ? { tenant_id: standing.tenantId } : {}),
  }
}

/**
 * What a token for a resource tells by itself: how its person was authenticated (RFC 9068 section 2.2.1), and their
 * groups and roles where the scopes ask for them (section 2.2.3.1).
 */
export const toldFor = async (
  services: Services,
  ctx: KoaContextWithOIDC,
  token: object,
): Promise<Record<string, unknown> | undefined> => {
  const { accountId, scopes, aud } = token as { accountId?: string; scopes?: Set<string>; aud?: unknown }
  if (!accountId || !aud) return undefined
  const belonging = scopes && ['groups', 'roles', 'tenant'].some((scope) => scopes.has(scope))
  const user = belonging ? await findUser(services, accountId) : undefined
  return { ...authenticationOf(ctx), ...(user && scopes ? await belongings(services, user, scopes) : {}) }
}

interface Source {
  acr?: string
  amr?: string[]
  authTime?: number
}

/** How whoever a token is made for has proven who they are, by what it is made from. */
const authenticationOf = ({ oidc }: KoaContextWithOIDC): Record<string, unknown> => {
  const { AuthorizationCode, RefreshToken, DeviceCode, BackchannelAuthenticationRequest } = oidc.entities
  const from: Source = (RefreshToken ??
    AuthorizationCode ??
    DeviceCode ??
    BackchannelAuthenticationRequest ??
    {}) as Source
  const { acr, amr, authTime } = from
  return {
    ...(authTime === undefined ? {} : { auth_time: authTime }),
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  }
}

const findUser = async ({ db }: Services, sub: string) => {
  const here = seenHere()
  const known = here?.seen.accounts.get(sub)
  if (known) return known
  const found = /^[0-9a-f-]{36}$/.test(sub) ? await users.findById(db, sub) : undefined
  if (found && here) seeAccount(here.seen, found)
  return found
}

/** What was said at the sign-in that a token is from, for whoever may ask what the token means. */
export const saidBehind = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  { oidc }: KoaContextWithOIDC,
  token: object,
): Promise<Record<string, unknown>> => {
  const { accountId } = token as { accountId?: string }
  if (accountId === undefined || !oidc.grant) return {}
  const user = await findUser(services, accountId)
  const connection = user && openConnection(workspace, user.poolId)
  return connection ? saidIn(services, user.id, oidc.grant, connection.contextCacheSeconds) : {}
}

/** Whether the person of a token, if it has one, may still sign in to its client. */
export const isAlive = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  client: object,
  token: object,
): Promise<boolean> => {
  const { accountId } = token as { accountId?: string }
  if (accountId === undefined) return true
  const user = await findUser(services, accountId)
  const { connections } = client as { connections?: string[] | null }
  return user !== undefined && accountOf(user, workspace, connections) !== undefined
}
